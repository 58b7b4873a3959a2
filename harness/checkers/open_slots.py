"""Open slots: a leader has at most ``window`` slots in flight when it begins a new one.

Assumptions about the events
----------------------------
* The proposer and a learner share an agent (collapsed deployment), so that what the leader counts as chosen is told as
  ``chosen`` there, before it begins another slot; and the events come in the very order in which they happened.
* What its learner holds chosen already, or covered by a snapshot, when the leader proposes it again is not counted: nothing
  more is told of such a slot.
* ``leader`` tells the first slot that is the leader's own; those below are inherited, were open before, and may be more.

Does not judge: how many inherited slots are in flight; classic proposers.

Source: Paxos Made Simple, section 3 (a leader may be alpha commands ahead).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.record import Ballot

if TYPE_CHECKING:
    from harness.checkers.online import Handler, Sink


class OpenSlots:
    """Slots in flight at each leader."""

    def __init__(self, sink: Sink, window: int) -> None:
        self.sink = sink
        self.window = window
        self.open: dict[int, set[int]] = {}
        """Leader -> slots that it proposed and does not yet hold chosen."""
        self.first_own: dict[int, int] = {}
        self.chosen: dict[int, set[int]] = {}
        """Agent -> slots above ``covered`` that it holds chosen."""
        self.covered: dict[int, int] = {}
        """Agent -> slots up to this are in its state."""
        self.handlers: dict[str, Handler] = {
            "leader": self.on_leader,
            "propose": self.on_propose,
            "chosen": self.on_chosen,
            "step_down": self.on_end,
            "started": self.on_started,
            "applied": self.on_covered,
            "installed": self.on_covered,
        }

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self.open[agent] = set()
        self.first_own[agent] = slot

    def on_propose(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        open_slots = self.open.get(agent)
        if open_slots is None or slot <= self.covered.get(agent, 0) or slot in self.chosen.get(agent, ()):
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

    def on_chosen(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.chosen.setdefault(agent, set()).add(slot)
        open_slots = self.open.get(agent)
        if open_slots is not None:
            open_slots.discard(slot)

    def on_covered(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        before, self.covered[agent] = self.covered.get(agent, 0), slot
        if slot == before + 1:
            self.chosen.get(agent, set()).discard(slot)
            return
        for slots in (self.chosen.get(agent), self.open.get(agent)):
            if slots is not None:
                slots -= {one for one in slots if one <= slot}

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.open.pop(agent, None)
        self.chosen.pop(agent, None)
        self.covered.pop(agent, None)

    def on_end(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.open.pop(agent, None)
