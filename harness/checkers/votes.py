"""Votes: one value for each ballot and slot, no other once a quorum has voted for it, and votes that chose a value last.

Rules
-----
* vote/two-values: one value for each ballot and slot (Part-Time Parliament 2.1, B1).
* vote/unsafe-value: a proposed value is the one voted in the highest ballot below, among the quorum whose promises were
  counted, or free if none of them voted (B3; Paxos Made Simple 2.2, phase 2a). Where it is not told whose were, some quorum
  will do.
* vote/contradicts-quorum: once a quorum voted (b, v), proposals and votes of higher ballots in that slot carry v (P2b).
* vote/forgotten: votes that chose a value last (PTP 2.3, prevVote).
* decision/no-quorum: what a learner holds chosen was voted by a quorum in one ballot (PMS 2.3).

Assumptions about the events
----------------------------
* What was *released* shows in what others did with it: a chosen value had a quorum of durable votes. The rule on forgetting
  counts that quorum, never a single acceptor. (Where it is seen what leaves an acceptor, ``Told`` judges each.)
* Slots at or below an acceptor's cut, its installed snapshot or its recovered commit are known chosen there; a missing
  vote in them means nothing.
* ``Promises`` hears of every event first: it keeps who has promised what. ``Decisions`` tells of each value that is learned
  for the first time in its slot.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.case import brief
from harness.checkers.oracle import NO_BALLOT, Handler, Sink, show
from harness.checkers.promises import Promises
from harness.record import Ballot


class Tally:
    """The votes for one (ballot, slot)."""

    __slots__ = ("durable", "ever", "held", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.ever = 0
        """Acceptors (bits) that cast this vote."""
        self.held = 0
        """The same, without those that have lost it since."""
        self.durable = 0
        """Acceptors (bits) whose vote has been synced: ``DurableVotes`` keeps it."""


class Votes:
    """What acceptors voted, and what leaders may propose because of it."""

    def __init__(self, sink: Sink, voters: frozenset[int], quorum: int, promises: Promises) -> None:
        self.sink = sink
        self.voters = voters
        self.quorum = quorum
        self.promises = promises
        self.slots: dict[int, dict[Ballot, Tally]] = {}
        self.latest: dict[int, dict[int, Ballot]] = {agent: {} for agent in voters}
        """Acceptor -> slot above its floor -> ballot of the vote it holds."""
        self.written: dict[int, list[Tally]] = {agent: [] for agent in voters}
        """Acceptor -> votes cast that no sync has begun to cover; ``DurableVotes`` takes them out."""
        self.floor: dict[int, int] = dict.fromkeys(voters, 0)
        """Acceptor -> slots up to this are known chosen there."""
        self.chosen: dict[int, Any] = {}
        """Slot -> value learned first."""
        self.handlers: dict[str, Handler] = {
            "propose": self.on_propose,
            "accepted": self.on_accepted,
            "recovered": self.on_recovered,
            "cut": self.on_floor,
            "installed": self.on_floor,
            "started": self.on_started,
        }

    def on_propose(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        tallies = self.slots.get(slot)
        if tallies is None:
            tallies = self.slots[slot] = {}
        tally = tallies.get(ballot)
        if tally is not None:
            if tally.value is not value and tally.value != value:
                self._two_values(agent, time_ns, ballot, slot, tally.value, value)
            return
        if tallies:
            self._contradicts(tallies, agent, time_ns, ballot, slot, value, "proposes")
            self._unsafe(tallies, agent, time_ns, ballot, slot, value)
        tallies[ballot] = Tally(value)

    def on_accepted(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        promises = self.promises
        if promises.promise.get(agent) is not ballot or promises.incarnation.get(agent) != inc:
            promises.voted(agent, inc, time_ns, ballot, slot, value)
        tallies = self.slots.get(slot)
        if tallies is None:
            tallies = self.slots[slot] = {}
        tally = tallies.get(ballot)
        if tally is None:
            self._contradicts(tallies, agent, time_ns, ballot, slot, value, "votes for")
            tally = tallies[ballot] = Tally(value)
        elif tally.value is not value and tally.value != value:
            self._two_values(agent, time_ns, ballot, slot, tally.value, value)
            return
        bit = 1 << agent
        latest = self.latest.get(agent)
        if latest is None or tally.held & bit:
            return
        tally.ever |= bit
        tally.held |= bit
        latest[slot] = ballot
        self.written[agent].append(tally)
        if len(tallies) > 1 and tally.held.bit_count() == self.quorum:
            self._quorum_now(tallies, agent, time_ns, ballot, slot, value)

    def learned(self, agent: int, time_ns: int, ballot: Any, slot: int, value: Any) -> None:
        """A value learned for the first time in its slot (or a second, different one): a quorum must have voted for it."""
        self.chosen.setdefault(slot, value)
        for tally in self.slots.get(slot, {}).values():
            if tally.ever.bit_count() >= self.quorum and (tally.value is value or tally.value == value):
                return
        votes = {show(b): t.ever.bit_count() for b, t in sorted(self.slots.get(slot, {}).items())}
        self.sink.add(
            "decision/no-quorum",
            f"{self.sink.name(agent)} holds {brief(value)} chosen in slot {slot}, but in no ballot a quorum "
            f"voted for it (votes: {votes or 'none'})",
            time_ns,
            (agent,),
            slot,
            (value,),
            ballot=ballot,
        )

    def has_quorum(self, slot: int) -> bool:
        """Whether a quorum voted for one value there, in one ballot."""
        return any(tally.ever.bit_count() >= self.quorum for tally in self.slots.get(slot, {}).values())

    def on_floor(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if slot < self.floor.get(agent, slot + 1):
            return
        # An equal one again: a learner's cut comes first, the acceptor's when the snapshot is durable; it votes in between.
        self.floor[agent] = slot
        latest = self.latest[agent]
        for below in [at for at in latest if at <= slot]:
            del latest[below]

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if isinstance(extra, dict):
            self.on_floor(agent, inc, time_ns, None, int(extra.get("commit", 0)), None, None)

    def on_recovered(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if agent not in self.voters:
            return
        # It may stand lower than before: what was cut under a checkpoint that was not durable is back.
        cut_before, self.floor[agent] = self.floor[agent], 0
        self.on_floor(agent, inc, time_ns, None, slot, None, None)
        bit = 1 << agent
        back: dict[int, Ballot] = {at: (round_, node) for at, (round_, node) in extra or ()}
        for at in range(self.floor[agent] + 1, cut_before + 1):
            for cast_at, gone in self.slots.get(at, {}).items():
                if cast_at > back.get(at, NO_BALLOT):
                    gone.held &= ~bit
        before = self.latest[agent]
        for at in sorted([at for at, held in before.items() if back.get(at, NO_BALLOT) < held]):
            self._forgets(agent, bit, at, back.get(at, NO_BALLOT), time_ns)
        for at, now in back.items():
            if before.get(at) != now:
                tally = self.slots.get(at, {}).get(now)
                if tally is not None:
                    tally.ever |= bit
                    tally.held |= bit
        self.latest[agent] = {at: now for at, now in back.items() if at > self.floor[agent]}

    def _forgets(self, agent: int, bit: int, slot: int, now: Ballot, time_ns: int) -> None:
        """The acceptor's votes in this slot at ballots above ``now`` are gone."""
        tallies = self.slots[slot]
        for ballot, tally in tallies.items():
            if ballot > now:
                tally.held &= ~bit
        if slot not in self.chosen:
            return
        value = self.chosen[slot]
        choosing = [
            ballot
            for ballot, tally in tallies.items()
            if tally.ever.bit_count() >= self.quorum and (tally.value is value or tally.value == value)
        ]
        if not choosing or now >= min(choosing):
            return
        keepers = 0
        for ballot, tally in tallies.items():
            if ballot >= min(choosing):
                keepers |= tally.held
        for other in self.voters:
            if self.floor[other] >= slot:
                keepers |= 1 << other
        if keepers.bit_count() < self.quorum:
            self.sink.add(
                "vote/forgotten",
                f"{self.sink.name(agent)} restarts without its vote in slot {slot}; of the votes that chose "
                f"{brief(value)} at {show(min(choosing))} only {keepers.bit_count()} are left",
                time_ns,
                (agent,),
                slot,
                (value,),
                ballot=min(choosing),
            )

    # What is wrong with a proposal or vote.

    def _two_values(self, agent: int, time_ns: int, ballot: Ballot, slot: int, known: Any, value: Any) -> None:
        self.sink.add(
            "vote/two-values",
            f"slot {slot}, {show(ballot)}: {self.sink.name(agent)} has {brief(value)}, "
            f"but the ballot's value is {brief(known)}",
            time_ns,
            (agent,),
            slot,
            (known, value),
            ballot=ballot,
        )

    def _contradicts(
        self,
        tallies: dict[Ballot, Tally],
        agent: int,
        time_ns: int,
        ballot: Ballot,
        slot: int,
        value: Any,
        what: str,
    ) -> None:
        for lower, tally in tallies.items():
            if (
                lower < ballot
                and tally.held.bit_count() >= self.quorum
                and tally.value is not value
                and tally.value != value
            ):
                self.sink.add(
                    "vote/contradicts-quorum",
                    f"{self.sink.name(agent)} {what} {brief(value)} in slot {slot} at {show(ballot)}, "
                    f"though a quorum voted for {brief(tally.value)} at {show(lower)}",
                    time_ns,
                    (agent,),
                    slot,
                    (tally.value, value),
                    ballot=ballot,
                    chosen_at=lower,
                )
                return

    def _quorum_now(
        self, tallies: dict[Ballot, Tally], agent: int, time_ns: int, ballot: Ballot, slot: int, value: Any
    ) -> None:
        for higher, tally in tallies.items():
            if higher > ballot and tally.value is not value and tally.value != value:
                self.sink.add(
                    "vote/contradicts-quorum",
                    f"{self.sink.name(agent)} completes a quorum for {brief(value)} in slot {slot} at {show(ballot)}, "
                    f"though {brief(tally.value)} was already proposed at {show(higher)}",
                    time_ns,
                    (agent,),
                    slot,
                    (value, tally.value),
                    ballot=higher,
                    chosen_at=ballot,
                )
                return

    def _unsafe(
        self, tallies: dict[Ballot, Tally], agent: int, time_ns: int, ballot: Ballot, slot: int, value: Any
    ) -> None:
        """Is there a quorum of promises for which phase 1 of this ballot allows this value?

        Acceptors that have promised the ballot vote no more below it, so their highest votes below it are fixed: sorted,
        each quorum's highest is at or above the quorum-th of them. Of those that were not counted a page may have come all
        the same: to heed it, too, is safe, for whoever answers has promised.
        """
        if slot in self.chosen and (self.chosen[slot] is value or self.chosen[slot] == value):
            return
        promised = self.promises.at.get(ballot, 0)
        counted = self.promises.counted.get(ballot)
        highest: list[tuple[Ballot, Any]] = []
        others: list[tuple[Ballot, Any]] = []
        for acceptor in self.voters:
            bit = 1 << acceptor
            if not promised & bit:
                continue
            was_counted = counted is None or counted & bit
            if self.floor[acceptor] >= slot:
                if was_counted:
                    return  # it told the value as chosen
                continue
            below = [b for b, tally in tallies.items() if b < ballot and tally.held & bit]
            top = max(below, default=NO_BALLOT)
            (highest if was_counted else others).append((top, tallies[top].value if below else None))
        if len(highest) < self.quorum:
            return  # promise/no-quorum has told it
        highest.sort(key=lambda vote: vote[0])
        weakest = self.quorum - 1 if counted is None else len(highest) - 1
        least = highest[weakest][0]
        if least == NO_BALLOT:
            return
        if any(top >= least and (voted is value or voted == value) for top, voted in (*highest, *others)):
            return
        self.sink.add(
            "vote/unsafe-value",
            f"{self.sink.name(agent)} proposes {brief(value)} in slot {slot} at {show(ballot)}; every quorum that promised "
            f"it holds a vote of {show(least)} or higher for another value ({brief(highest[weakest][1])})",
            time_ns,
            (agent,),
            slot,
            (value, highest[weakest][1]),
            ballot=ballot,
        )
