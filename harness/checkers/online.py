"""Protocol invariants, fed event by event: in the simulator while it runs, or from a recorded trace merged by time.

What is assumed of the events
-----------------------------
* An event is observed before any message that follows from it is received: of one clock, with links slower than its tick.
* ``promised`` and ``accepted`` tell that the record was *appended*. It may be lost in a power cut as long as it is not
  synced, and nothing was told to anybody until then. So a vote or promise that is missing after a restart is no
  violation by itself. ``recovered`` is the truth about what the acceptor holds from then on, also when it shows *more*
  than was traced (killed between the append and its trace).
* What was *released* shows in what others did with it: a leader had a quorum of durable promises, a chosen value a quorum
  of durable votes. The rules on forgetting count those quorums, never a single acceptor.
* Slots at or below an acceptor's cut, its installed snapshot or its recovered commit are known chosen there; a missing
  vote in them means nothing.

Rules (``oracle/rule``), with where they stand in the papers
------------------------------------------------------------
* ballot/not-owner: prepare, leader and propose come from the ballot's own node (Part-Time Parliament 2.1, B1).
* ballot/reused: a ballot that an earlier incarnation has shown to others is not used again. (A ballot whose Prepare never
  left, because its round was not yet durable, may be.)
* ballot/not-led, ballot/below-phase-1: a proposal needs the end of phase 1 of its ballot, for that slot (Paxos Made Simple 3).
* promise/lowered, promise/broken: promises rise; no vote below the promise (P1a, Paxos Made Simple 2.2).
* ballot/forgotten: a proposer that restarts has tried no round below one whose ballot others know (PTP 2.3, lastTried).
* promise/no-quorum, promise/forgotten: a leader had a quorum of promises, and they last (PMS 2.2, 2.5). If it tells whose
  promises it counted, those must be real. Where it is seen what leaves an acceptor, each promise that was told lasts.
* promise/incomplete: a promise tells every vote below its ballot in the slots it covers, with the ballot it was cast in, or
  that the slot is chosen (PMS 2.2, phase 1b). Where it is seen what leaves an acceptor.
* vote/two-values: one value for each ballot and slot (B1).
* vote/unsafe-value: a proposed value is the one voted in the highest ballot below, among the quorum whose promises were
  counted, or free if none of them voted (B3; PMS 2.2, phase 2a). Where it is not told whose were, some quorum will do.
* vote/contradicts-quorum: once a quorum voted (b, v), proposals and votes of higher ballots in that slot carry v (P2b).
* vote/forgotten: votes that chose a value last; and each vote that was told, where that is seen (PTP 2.3, prevVote).
* vote/returned: a life has no vote or promise that the one before had neither recovered nor given, where syncs are seen.
* proposal/window: a new slot is begun only with fewer than the window in flight (PMS 3). Where leaders are learners, online.
* snapshot/forgotten: a snapshot that was told to be durable is there after a restart (Paxos Made Live 5.5).
* decision/no-quorum: what a learner holds chosen was voted by a quorum in one ballot (PMS 2.3).
* decision/not-durable: what a learner holds chosen rests on a quorum of durable votes, where syncs are seen (PTP 2.3).
* decision/forgotten: what a learner holds chosen it does not lose: it learns a slot once a life (PMS 2.3).
* decision/two-values, decision/not-chosen: learners agree; what is applied is what is chosen.
* decision/order, decision/outcomes, decision/states: slots are applied in order; equal slots give equal outcomes and states.

Cost: little, since values are compared by identity first; the last ``benchmarks/checkers.py`` stands in docs/benchmarks.md.
State grows with the number of slots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.checkers.case import brief
from harness.checkers.durable_votes import DurableVotes
from harness.checkers.learned_once import LearnedOnce
from harness.checkers.open_slots import OpenSlots
from harness.checkers.returned_votes import ReturnedVotes
from harness.record import Ballot
from harness.results import Violation

Handler = Callable[[int, int, int, Ballot, int, Any, Any], None]
"""(agent, incarnation, time_ns, ballot, slot, value, extra)"""

NO_BALLOT: Ballot = (-1, -1)
MOST_VIOLATIONS = 50
"""Kept per run; what follows a first violation is mostly its consequence."""


class Sink:
    """Where oracles put violations, and how they name agents."""

    def __init__(self, names: Mapping[int, str] | None) -> None:
        self.violations: list[Violation] = []
        self.names = names or {}

    def name(self, agent: int) -> str:
        return self.names.get(agent, f"agent {agent}")

    def add(
        self,
        rule: str,
        sentence: str,
        time_ns: int,
        agents: tuple[int, ...],
        slot: int | None = None,
        values: tuple[Any, ...] = (),
        **details: Any,
    ) -> None:
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(
                Violation(
                    rule,
                    sentence,
                    time_ns,
                    slot,
                    agents=tuple(self.name(agent) for agent in agents),
                    values=tuple(brief(value) for value in values),
                    details=details,
                )
            )


def show(ballot: Ballot | None) -> str:
    return "no ballot" if ballot is None or ballot == NO_BALLOT else f"ballot {ballot[0]}.{ballot[1]}"


class Ballots:
    """Ballots belong to one node, and to one of its incarnations once others have seen them."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.shown: set[Ballot] = set()
        """Ballots that left their node."""
        self.highest_shown: dict[int, int] = {}
        """Node -> the highest round of its own that left it."""
        self.user: dict[Ballot, tuple[int, int]] = {}
        self.first_slot: dict[Ballot, int] = {}
        self.led: dict[Ballot, tuple[int, int]] = {}
        self.handlers: dict[str, Handler] = {
            "prepare": self.on_prepare,
            "leader": self.on_leader,
            "propose": self.on_propose,
            "recovered_round": self.on_recovered_round,
        }

    def show(self, ballot: Ballot) -> None:
        """The ballot is known outside its node: ``Promises`` tells of those that others promised or voted."""
        if ballot not in self.shown:
            self.shown.add(ballot)
            self.highest_shown[ballot[1]] = max(ballot[0], self.highest_shown.get(ballot[1], -1))

    def on_recovered_round(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        highest = self.highest_shown.get(agent, -1)
        if ballot[0] < highest:
            self.sink.add(
                "ballot/forgotten",
                f"{self.sink.name(agent)} (incarnation {inc}) restarts as if it had tried no round above {ballot[0]}, "
                f"though others know its {show((highest, agent))}",
                time_ns,
                (agent,),
                ballot=(highest, agent),
                recovered=ballot[0],
            )

    def _use(self, agent: int, incarnation: int, time_ns: int, ballot: Ballot, what: str) -> None:
        who = (agent, incarnation)
        if agent != ballot[1]:
            self.sink.add(
                "ballot/not-owner",
                f"{self.sink.name(agent)} {what} {show(ballot)}, which belongs to {self.sink.name(ballot[1])}",
                time_ns,
                (agent, ballot[1]),
                ballot=ballot,
            )
        known = self.user.setdefault(ballot, who)
        if known != who:
            if ballot in self.shown and known[0] == agent:
                self.sink.add(
                    "ballot/reused",
                    f"{self.sink.name(agent)} (incarnation {incarnation}) {what} {show(ballot)}, "
                    f"which its incarnation {known[1]} used before it restarted",
                    time_ns,
                    (agent,),
                    ballot=ballot,
                )
            self.user[ballot] = who

    def on_prepare(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self._use(agent, inc, time_ns, ballot, "prepares")
        self.first_slot[ballot] = slot

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self._use(agent, inc, time_ns, ballot, "leads")
        self.led[ballot] = (agent, inc)
        self.show(ballot)

    def on_propose(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        leads = self.led.get(ballot)
        if leads is None or leads[0] != agent or leads[1] != inc:
            self._use(agent, inc, time_ns, ballot, "proposes in")
            self.sink.add(
                "ballot/not-led",
                f"{self.sink.name(agent)} proposes {brief(value)} in slot {slot} at {show(ballot)} "
                "without having ended phase 1",
                time_ns,
                (agent,),
                slot,
                (value,),
                ballot=ballot,
            )
        elif slot < self.first_slot.get(ballot, slot):
            self.sink.add(
                "ballot/below-phase-1",
                f"{self.sink.name(agent)} proposes {brief(value)} in slot {slot} at {show(ballot)}, "
                f"whose phase 1 covers slots from {self.first_slot[ballot]} on",
                time_ns,
                (agent,),
                slot,
                (value,),
                ballot=ballot,
            )


class Promises:
    """Acceptors keep their promises, over restarts too."""

    def __init__(self, sink: Sink, voters: frozenset[int], quorum: int, ballots: Ballots) -> None:
        self.sink = sink
        self.voters = voters
        self.quorum = quorum
        self.ballots = ballots
        self.promise: dict[int, Ballot] = {}
        """What each acceptor has promised now; no entry: not known (a restart whose ``recovered`` is still to come)."""
        self.incarnation: dict[int, int] = {}
        self.at: dict[Ballot, int] = {}
        """Ballot -> acceptors (bits) that have promised exactly it, without those that have forgotten it since."""
        self.led: list[Ballot] = []
        self.counted: dict[Ballot, int] = {}
        """Ballot -> acceptors (bits) whose promises its leader says it counted."""
        self.handlers: dict[str, Handler] = {
            "promised": self.on_promised,
            "recovered": self.on_recovered,
            "leader": self.on_leader,
        }

    def on_promised(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        if self.incarnation.get(agent) != inc:
            self._restarted(agent, inc)
        held = self.promise.get(agent, NO_BALLOT)
        if ballot < held:
            self.sink.add(
                "promise/lowered",
                f"{self.sink.name(agent)} promises {show(ballot)} after {show(held)}",
                time_ns,
                (agent,),
                ballot=ballot,
                held=held,
            )
        self._holds(agent, ballot)

    def voted(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any) -> None:
        """A vote is a promise too. ``Votes`` tells of it, unless it was cast in the very ballot that is promised."""
        if self.incarnation.get(agent) != inc:
            self._restarted(agent, inc)
        held = self.promise.get(agent, NO_BALLOT)
        if ballot == held:
            return
        if ballot < held:
            self.sink.add(
                "promise/broken",
                f"{self.sink.name(agent)} votes at {show(ballot)} in slot {slot} though it has promised {show(held)}",
                time_ns,
                (agent,),
                slot,
                (value,),
                ballot=ballot,
                promised=held,
            )
            return
        self._holds(agent, ballot)

    def on_recovered(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot | None, slot: int, v: Any, e: Any
    ) -> None:
        self.incarnation[agent] = inc
        held = ballot or NO_BALLOT
        bit = 1 << agent
        for led in self.led:
            mask = self.at.get(led, 0)
            if led > held and mask & bit:
                self.at[led] = mask & ~bit
                if (mask & ~bit).bit_count() < self.quorum:
                    self.sink.add(
                        "promise/forgotten",
                        f"{self.sink.name(agent)} restarts with a promise of {show(held)}; the quorum that let "
                        f"{self.sink.name(led[1])} lead {show(led)} has shrunk to {(mask & ~bit).bit_count()}",
                        time_ns,
                        (agent, led[1]),
                        ballot=led,
                        recovered=held,
                    )
        for promised, mask in self.at.items():
            if promised > held and mask & bit:
                self.at[promised] = mask & ~bit
        self.promise[agent] = NO_BALLOT
        self._holds(agent, held)

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        promised = self.at.get(ballot, 0)
        if extra is not None:
            self.counted[ballot] = counted = sum(1 << int(one) for one in set(extra))
            promised &= counted
        have = promised.bit_count()
        if have < self.quorum:
            self.sink.add(
                "promise/no-quorum",
                f"{self.sink.name(agent)} leads {show(ballot)} on {have} promises; a quorum is {self.quorum}",
                time_ns,
                (agent,),
                ballot=ballot,
            )
        self.led.append(ballot)

    def _restarted(self, agent: int, inc: int) -> None:
        """A new incarnation that has not told what it recovered: its promise is not known."""
        self.incarnation[agent] = inc
        self.promise.pop(agent, None)

    def _holds(self, agent: int, ballot: Ballot) -> None:
        self.promise[agent] = ballot
        if agent in self.voters:
            self.at[ballot] = self.at.get(ballot, 0) | 1 << agent
        if ballot[1] != agent:
            self.ballots.show(ballot)


class _Tally:
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
        self.slots: dict[int, dict[Ballot, _Tally]] = {}
        self.latest: dict[int, dict[int, Ballot]] = {agent: {} for agent in voters}
        """Acceptor -> slot above its floor -> ballot of the vote it holds."""
        self.written: dict[int, list[_Tally]] = {agent: [] for agent in voters}
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
        tallies[ballot] = _Tally(value)

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
            tally = tallies[ballot] = _Tally(value)
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
        tallies: dict[Ballot, _Tally],
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
        self, tallies: dict[Ballot, _Tally], agent: int, time_ns: int, ballot: Ballot, slot: int, value: Any
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
        self, tallies: dict[Ballot, _Tally], agent: int, time_ns: int, ballot: Ballot, slot: int, value: Any
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


class Told:
    """What was told lasts: durable before it is said, and so there after every restart (PTP 2.3; Paxos Made Live 4.1).
    A vote is a promise too."""

    def __init__(self, sink: Sink, votes: Votes) -> None:
        self.sink = sink
        self.floor = votes.floor
        """Acceptor -> slots up to this are known chosen there. ``Votes`` keeps it, and is asked first."""
        self.latest = votes.latest
        self.pages: dict[int, tuple[int, dict[int, Ballot | None]]] = {}
        """Acceptor -> first slot of the answer it is giving, and what it told so far: slot -> ballot, None: chosen."""
        self.promises: dict[int, Ballot] = {}
        self.votes: dict[int, dict[Ballot, list[int]]] = {}
        """Acceptor -> ballot -> slots in which it told a vote at that ballot, as often as it told it."""
        self.speaks: dict[int, tuple[Ballot, list[int]]] = {}
        """The ballot of which an acceptor told a vote last, with its slots: the next one is mostly of the same."""
        self.snapshots: dict[int, int] = {}
        self.handlers: dict[str, Handler] = {
            "told_promise": self.on_told_promise,
            "told_vote": self.on_told_vote,
            "told_snapshot": self.on_told_snapshot,
            "recovered": self.on_recovered,
            "started": self.on_started,
        }

    def on_told_promise(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        if ballot > self.promises.get(agent, NO_BALLOT):
            self.promises[agent] = ballot
        if extra is None:
            return
        last, votes = extra
        first, told = self.pages.setdefault(agent, (slot, {}))
        told.update((at, None if chosen else (voted[0], voted[1])) for at, voted, chosen in votes)
        if last:
            del self.pages[agent]
            self._must_be_complete(agent, time_ns, ballot, first, told)

    def _must_be_complete(
        self, agent: int, time_ns: int, ballot: Ballot, first: int, told: dict[int, Ballot | None]
    ) -> None:
        """Votes at the promised ballot or above were cast later. (The promise forbids others meanwhile.)"""
        for slot, voted in self.latest.get(agent, {}).items():
            if slot >= first and voted < ballot and told.get(slot, NO_BALLOT) not in (None, voted):
                what = f"a vote at {show(told[slot])}" if slot in told else "nothing"
                self.sink.add(
                    "promise/incomplete",
                    f"{self.sink.name(agent)} promises {show(ballot)} and tells {what} of slot {slot}, where it voted at "
                    f"{show(voted)}",
                    time_ns,
                    (agent,),
                    slot,
                    ballot=ballot,
                    voted=voted,
                )
                return

    def on_told_vote(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        spoken, slots = self.speaks.get(agent, NOTHING_TOLD)
        if spoken is ballot:
            slots.append(slot)
            return
        if ballot > self.promises.get(agent, NO_BALLOT):
            self.promises[agent] = ballot
        slots = self.votes.setdefault(agent, {}).setdefault(ballot, [])
        slots.append(slot)
        self.speaks[agent] = (ballot, slots)

    def on_told_snapshot(
        self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any
    ) -> None:
        if slot > self.snapshots.get(agent, 0):
            self.snapshots[agent] = slot

    def on_recovered(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot | None, slot: int, value: Any, extra: Any
    ) -> None:
        self.pages.pop(agent, None)
        told = self.promises.get(agent, NO_BALLOT)
        if (ballot or NO_BALLOT) < told:
            self.sink.add(
                "promise/forgotten",
                f"{self.sink.name(agent)} restarts with a promise of {show(ballot)}; it has told its promise of {show(told)}",
                time_ns,
                (agent,),
                ballot=told,
                recovered=ballot,
            )
        floor = self.floor.get(agent, 0)
        votes = {voted: [at for at in slots if at > floor] for voted, slots in self.votes.get(agent, {}).items()}
        self.votes[agent] = votes
        self.speaks.pop(agent, None)
        back = self.latest.get(agent, {})
        forgotten = [(at, voted) for voted in votes for at in votes[voted] if back.get(at, NO_BALLOT) < voted]
        if forgotten:
            first = min(forgotten)[0]
            voted = max(voted for at, voted in forgotten if at == first)
            self.sink.add(
                "vote/forgotten",
                f"{self.sink.name(agent)} restarts with {_vote_at(back.get(first))} in slot {first}; it has told its vote at "
                f"{show(voted)}",
                time_ns,
                (agent,),
                first,
                ballot=voted,
                recovered=back.get(first),
            )

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        told = self.snapshots.get(agent, 0)
        if isinstance(extra, dict) and int(extra.get("commit", told)) < told:
            self.sink.add(
                "snapshot/forgotten",
                f"{self.sink.name(agent)} restarts from a snapshot of slot {extra['commit']}; it has told that one of slot "
                f"{told} is durable",
                time_ns,
                (agent,),
                told,
            )


NOTHING_TOLD: tuple[Ballot, list[int]] = (NO_BALLOT, [])
"""Never added to: nobody votes at no ballot."""


def _vote_at(ballot: Ballot | None) -> str:
    return "no vote" if ballot is None else f"a vote at {show(ballot)}"


class Standing:
    """What one learner holds: also for ``OpenSlots``, kept by who hears of each step anyway."""

    __slots__ = ("chosen", "covered", "incarnation", "open", "slot")

    def __init__(self) -> None:
        self.incarnation = -1
        """Of which ``slot`` is known; -1: of none."""
        self.slot = 0
        """What its state covers."""
        self.chosen: set[int] = set()
        """Slots above ``covered`` that it holds chosen."""
        self.covered = 0
        """Slots up to this were applied or installed since it started, as far as is known; 0: none."""
        self.open: set[int] | None = None
        """While it leads: slots that it proposed and does not yet hold chosen."""

    def cover(self, slot: int) -> None:
        """Its state covers ``slot`` from now on."""
        self.covered = slot
        for slots in (self.chosen, self.open):
            if slots:
                slots -= {one for one in slots if one <= slot}


class Decisions:
    """Learners agree, apply in order, and come to the same outcomes and states.

    ``first``: handlers by kind, for who wants to hear only of the first ``chosen`` and the first ``applied`` of each slot.
    """

    def __init__(self, sink: Sink, votes: Votes, durable: DurableVotes, first: Mapping[str, Handler]) -> None:
        self.sink = sink
        self.durable = durable
        self.unjudged = durable.unjudged
        self.first_chosen: Handler = first.get("chosen", ignore)
        self.first_applied: Handler = first.get("applied", ignore)
        self.votes = votes
        self.chosen: dict[int, tuple[Any, int, int]] = {}
        """Slot -> (value, agent, incarnation) that learned it first."""
        self.outcome: dict[int, tuple[Any, int]] = {}
        self.state: dict[int, tuple[Any, int]] = {}
        self.standings: dict[int, Standing] = {}
        self.handlers: dict[str, Handler] = {
            "chosen": self.on_chosen,
            "applied": self.on_applied,
            "installed": self.on_installed,
            "snapshot": self.on_snapshot,
            "restored": self.on_snapshot,
            "started": self.on_started,
            "stopped": self.on_stopped,
        }

    def standing(self, agent: int) -> Standing:
        standing = self.standings.get(agent)
        if standing is None:
            standing = self.standings[agent] = Standing()
        return standing

    def on_chosen(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        known = self.chosen.get(slot)
        if known is None:
            self.chosen[slot] = (value, agent, inc)
            self.votes.learned(agent, time_ns, ballot, slot, value)
            self.first_chosen(agent, inc, time_ns, ballot, slot, value, extra)
            self.durable.learned(agent, time_ns, ballot, slot, value)
        elif known[0] is not value or slot in self.unjudged:
            self._chosen_again(agent, inc, time_ns, ballot, slot, value, known)
        standing = self.standings.get(agent) or self.standing(agent)
        standing.chosen.add(slot)
        if standing.open:
            standing.open.discard(slot)

    def _chosen_again(
        self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, known: tuple[Any, int, int]
    ) -> None:
        if slot in self.unjudged:
            self.durable.learned(agent, time_ns, ballot, slot, value)
        if known[0] is not value and known[0] != value:
            self.votes.learned(agent, time_ns, ballot, slot, value)
            self._differs("decision/two-values", "learns", agent, inc, time_ns, slot, value, known)

    def on_applied(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        known = self.chosen.get(slot)
        if known is not None and known[0] is not value and value is not None and known[0] != value:
            self._differs("decision/not-chosen", "applies", agent, inc, time_ns, slot, value, known)
        standing = self.standings.get(agent) or self.standing(agent)
        if standing.slot + 1 == slot and standing.incarnation == inc:
            standing.slot = slot
        else:
            self._out_of_turn(standing, agent, inc, time_ns, slot)
        if standing.covered + 1 == slot:  # as ``cover`` has it
            standing.covered = slot
            standing.chosen.discard(slot)
        else:
            standing.cover(slot)
        if extra is not None:
            first = self.outcome.get(slot)
            if first is None:
                self.outcome[slot] = (extra, agent)
                self.first_applied(agent, inc, time_ns, ballot, slot, value, extra)
            elif first[0] != extra:
                self.sink.add(
                    "decision/outcomes",
                    f"{self.sink.name(agent)} and {self.sink.name(first[1])} apply slot {slot} with different outcomes",
                    time_ns,
                    (first[1], agent),
                    slot,
                    outcomes=[first[0], extra],
                )

    def _out_of_turn(self, standing: Standing, agent: int, inc: int, time_ns: int, slot: int) -> None:
        if standing.incarnation == inc:
            self.sink.add(
                "decision/order",
                f"{self.sink.name(agent)} (incarnation {inc}) applies slot {slot}, its state is of slot {standing.slot}",
                time_ns,
                (agent,),
                slot,
            )
        standing.incarnation, standing.slot = inc, slot

    def on_installed(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        standing = self.standing(agent)
        if standing.incarnation == inc and slot < standing.slot:
            self.sink.add(
                "decision/order",
                f"{self.sink.name(agent)} (incarnation {inc}) installs a snapshot up to slot {slot} "
                f"over its state of slot {standing.slot}",
                time_ns,
                (agent,),
                slot,
            )
        standing.incarnation, standing.slot = inc, slot
        standing.cover(slot)
        self._compare_state(agent, time_ns, slot, extra)

    def on_snapshot(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self._compare_state(agent, time_ns, slot, extra)

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        before, standing = self.standing(agent), Standing()
        self.standings[agent] = standing
        standing.incarnation, standing.slot = before.incarnation, before.slot
        if before.incarnation != inc and isinstance(extra, dict) and "commit" in extra:
            standing.incarnation, standing.slot = inc, int(extra["commit"])

    def on_stopped(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if isinstance(extra, dict):
            self._compare_state(agent, time_ns, int(extra.get("commit", 0)), extra.get("state_digest"))

    def _compare_state(self, agent: int, time_ns: int, slot: int, digest: Any) -> None:
        if digest is None:
            return
        first = self.state.setdefault(slot, (digest, agent))
        if first[0] != digest:
            self.sink.add(
                "decision/states",
                f"after slot {slot} the states of {self.sink.name(agent)} and {self.sink.name(first[1])} differ",
                time_ns,
                (first[1], agent),
                slot,
                digests=[first[0], digest],
            )

    def _differs(
        self,
        rule: str,
        verb: str,
        agent: int,
        inc: int,
        time_ns: int,
        slot: int,
        value: Any,
        known: tuple[Any, int, int],
    ) -> None:
        self.sink.add(
            rule,
            f"{self.sink.name(agent)} (incarnation {inc}) {verb} {brief(value)} in slot {slot}; "
            f"{self.sink.name(known[1])} (incarnation {known[2]}) learned {brief(known[0])}",
            time_ns,
            (known[1], agent),
            slot,
            (known[0], value),
        )


def ignore(agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
    """Nobody listens."""


def in_turn(handlers: Sequence[Handler]) -> Handler:
    """All of them behind one call, in their order."""
    first, *others = handlers
    if not others:
        return first
    then = in_turn(others)

    def both(agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        first(agent, inc, time_ns, ballot, slot, value, extra)
        then(agent, inc, time_ns, ballot, slot, value, extra)

    return both


class OnlineOracles:
    """All protocol oracles behind one call. ``violations`` grows as they fire (bounded, the first come first)."""

    def __init__(
        self,
        voters: frozenset[int],
        quorum: int,
        names: Mapping[int, str] | None = None,
        first: Mapping[str, Handler] | None = None,
        window: int = 0,
    ) -> None:
        """``voters``: ids of the acceptors; ``quorum``: votes that choose; ``names``: agent id -> name, for sentences;
        ``first``: as for ``Decisions``; ``window``: as for ``OpenSlots``, 0: not judged."""
        sink = Sink(names)
        self.violations = sink.violations
        ballots = Ballots(sink)
        promises = Promises(sink, voters, quorum, ballots)
        votes = Votes(sink, voters, quorum, promises)
        durable = DurableVotes(sink, votes)
        decisions = Decisions(sink, votes, durable, first or {})
        self._standings = decisions.standings
        self.handlers: dict[str, tuple[Handler, ...]] = {}
        self.add(ReturnedVotes(sink, promises, votes, durable).handlers)
        for oracle in (ballots, promises, votes, Told(sink, votes), decisions, durable):
            self.add(oracle.handlers)
        self.add(LearnedOnce(sink).handlers)
        if window:
            self.add(OpenSlots(sink, window, decisions).handlers)

    def add(self, handlers: Mapping[str, Handler]) -> None:
        """Let somebody else hear of traced steps, behind those that are here already."""
        for kind, handler in handlers.items():
            self.handlers[kind] = (*self.handlers.get(kind, ()), handler)

    def positions(self) -> dict[int, tuple[int, int]]:
        """Agent -> (incarnation, slot its state covers)."""
        standings = self._standings.items()
        return {agent: (one.incarnation, one.slot) for agent, one in standings if one.incarnation >= 0}

    def observe(
        self,
        agent: int,
        incarnation: int,
        time_ns: int,
        kind: str,
        ballot: Any = None,
        slot: int = 0,
        value: Any = None,
        extra: Any = None,
    ) -> None:
        """One traced step, in the order of time. Kinds that no oracle wants cost one look-up."""
        for handler in self.handlers.get(kind, ()):
            handler(agent, incarnation, time_ns, ballot, slot, value, extra)
