"""Retransmissions: what a leader asks for and is not answered it asks for again.

Rule
----
* proposal/not-repeated: a leader repeats its Accept of the lowest slot that is open, as long as it leads and an acceptor has
  not answered (Paxos Made Simple 2.2: messages may be lost; progress needs that they are sent again), and leaves out none that
  has not: whom it asks instead may be gone for good. All slots behind wait for that one.

Assumptions about the events
----------------------------
* Only a world that sees messages leave and arrive can tell (``told_heartbeat``, ``told_accept``, ``heard_vote``): without them
  nothing is judged. ``told_accept`` is told from when it is in ``wanted``.
* ``told_heartbeat`` tells the commit index, and None in place of the acceptors that were heard where a clock fault, a stop or a
  slow disk may keep back what the leader does; such a time counts for nothing.
* A leader looks for what to repeat once in a retransmission interval, and repeats what it sent an interval before; one that
  waits for its sync looks when that has ended.
* ``Counted`` and ``Decisions`` hear of each event first.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.counted import Counted
from harness.checkers.decisions import Decisions
from harness.checkers.oracle import Handler, Sink, show
from harness.record import Ballot

PATIENCE_INTERVALS = 3
"""Retransmission intervals in which an Accept is repeated at least once: two, and one for what was under way. Who asks one
acceptor after the other may take one more for each."""


class _Watch:
    """The lowest open slot of a leader."""

    __slots__ = ("asked", "since_ns", "slot", "told_ns")

    def __init__(self, slot: int, time_ns: int) -> None:
        self.slot = slot
        self.since_ns = self.told_ns = time_ns
        """When it was looked at first; when its Accept left last."""
        self.asked: dict[int, int] = {}
        """Acceptor -> when an Accept left for it last."""


class Retransmissions:
    """The oldest open proposal of each leader."""

    def __init__(
        self,
        sink: Sink,
        counted: Counted,
        decisions: Decisions,
        retransmit_ns: int,
        blocked_ns: int,
        wanted: set[str],
    ) -> None:
        """``retransmit_ns``: the retransmission interval; 0: nothing is judged. ``blocked_ns``: the longest that an agent waits
        for a sync that does not count as slow; 0: it goes on meanwhile. ``wanted``: kinds of events to be told of."""
        self.sink = sink
        self.counted = counted
        self.votes = counted.votes
        self.decisions = decisions
        self.patience_ns = PATIENCE_INTERVALS * retransmit_ns + blocked_ns if retransmit_ns else 0
        self.turns_ns = len(self.votes.voters) * retransmit_ns
        self.wanted = wanted
        self.open: dict[int, dict[int, int]] = {}
        """Leader -> slot it proposed in -> when; those known chosen go when they are met."""
        self.watched: dict[int, _Watch] = {}
        self.handlers: dict[str, Handler] = {
            "leader": self.on_leader,
            "propose": self.on_propose,
            "step_down": self.on_end,
            "started": self.on_end,
            "told_accept": self.on_told_accept,
            "told_heartbeat": self.on_told_heartbeat,
        }

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self.open[agent] = {}
        self.watched.pop(agent, None)

    def on_propose(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        open_slots = self.open.get(agent)
        if open_slots is not None:
            open_slots[slot] = time_ns

    def on_end(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.open.pop(agent, None)
        self.watched.pop(agent, None)

    def on_told_accept(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        """``extra``: (whom it asks, the commit index)."""
        watched = self.watched.get(agent)
        if watched is not None and watched.slot == slot:
            watched.told_ns = watched.asked[extra[0]] = time_ns

    def on_told_heartbeat(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        """``slot``: the commit index."""
        open_slots = self.open.get(agent)
        if not open_slots or not self.patience_ns:
            return
        oldest = self._oldest(agent, ballot, slot, open_slots)
        watched = self.watched.get(agent)
        _, heard = extra
        if heard is None or oldest is None or time_ns - open_slots[oldest] <= self.patience_ns:
            self.watched.pop(agent, None)
        elif watched is None or watched.slot != oldest:
            self.watched[agent] = _Watch(oldest, time_ns)
            self.wanted.add("told_accept")
        elif time_ns - watched.told_ns > self.patience_ns:
            self._not_repeated(
                agent, time_ns, ballot, oldest, watched.told_ns, "an acceptor", "acceptors have not answered"
            )
        else:
            self._must_ask_all(agent, time_ns, ballot, watched)

    def _must_ask_all(self, agent: int, time_ns: int, ballot: Ballot, watched: _Watch) -> None:
        for acceptor in self._silent(agent, ballot, watched.slot):
            asked_ns = watched.asked.get(acceptor, watched.since_ns)
            if time_ns - asked_ns > self.patience_ns + self.turns_ns:
                who = self.sink.name(acceptor)
                self._not_repeated(agent, time_ns, ballot, watched.slot, asked_ns, who, f"{who} has not answered")
                return

    def _oldest(self, agent: int, ballot: Ballot, commit: int, open_slots: dict[int, int]) -> int | None:
        """The lowest slot that waits for the vote of another acceptor; those that wait for nothing are dropped."""
        for slot in sorted(open_slots):
            if slot > commit and not self._is_chosen(agent, ballot, slot):
                return slot if self._silent(agent, ballot, slot) else None
            del open_slots[slot]
        return None

    def _is_chosen(self, agent: int, ballot: Ballot, slot: int) -> bool:
        """As far as its leader can know."""
        standing = self.decisions.standings.get(agent)
        if standing is not None and (slot in standing.chosen or slot <= standing.covered):
            return True
        return self._heard(agent, ballot, slot).bit_count() >= self.votes.quorum

    def _silent(self, agent: int, ballot: Ballot, slot: int) -> list[int]:
        """The other acceptors whose vote it has not heard."""
        heard = self._heard(agent, ballot, slot)
        return [voter for voter in sorted(self.votes.voters) if voter != agent and not heard >> voter & 1]

    def _heard(self, agent: int, ballot: Ballot, slot: int) -> int:
        return self.counted.heard.get(agent, {}).get((ballot, slot), 0)

    def _not_repeated(
        self, agent: int, time_ns: int, ballot: Ballot, slot: int, since_ns: int, whom: str, why: str
    ) -> None:
        self.sink.add(
            "proposal/not-repeated",
            f"{self.sink.name(agent)} leads {show(ballot)} and has not asked {whom} again for slot {slot} for "
            f"{(time_ns - since_ns) / 1e9:.3f} s, though {why}",
            time_ns,
            (agent,),
            slot,
            ballot=ballot,
        )
        self.watched[agent] = _Watch(slot, time_ns)
