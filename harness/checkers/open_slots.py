"""Open slots: how many a leader has in flight.

Rule
----
* proposal/window: a new slot is begun only with fewer than ``window`` in flight (Paxos Made Simple 3: a leader may be alpha
  commands ahead).

Assumptions about the events
----------------------------
* The proposer and a learner share an agent (collapsed deployment), so that what the leader counts as chosen is told as
  ``chosen`` there, before it begins another slot; and the events come in the very order in which they happened.
* What its learner holds chosen already, or covered by a snapshot, when the leader proposes it again is not counted: nothing
  more is told of such a slot.
* ``leader`` tells the first slot that is the leader's own; those below are inherited, were open before, and may be more.

Does not judge: how many inherited slots are in flight; classic proposers.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.decisions import Decisions
from harness.checkers.oracle import Handler, Sink
from harness.record import Ballot


class OpenSlots:
    """Slots in flight at each leader. ``Decisions`` hears of every event first: it keeps what each agent holds."""

    def __init__(self, sink: Sink, window: int, decisions: Decisions) -> None:
        self.sink = sink
        self.window = window
        self.standing = decisions.standing
        self.first_own: dict[int, int] = {}
        self.handlers: dict[str, Handler] = {
            "leader": self.on_leader,
            "propose": self.on_propose,
            "step_down": self.on_end,
        }

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self.standing(agent).open = set()
        self.first_own[agent] = slot

    def on_propose(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        standing = self.standing(agent)
        open_slots = standing.open
        if open_slots is None or slot <= standing.covered or slot in standing.chosen:
            return
        open_slots.add(slot)
        if len(open_slots) > self.window and slot >= self.first_own[agent]:
            self.sink.add(
                "proposal/window",
                f"{self.sink.name(agent)} begins slot {slot} with {len(open_slots) - 1} slots in flight; "
                f"its window is {self.window}",
                time_ns,
                (agent,),
                slot,
                (value,),
                ballot=ballot,
            )

    def on_end(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.standing(agent).open = None
