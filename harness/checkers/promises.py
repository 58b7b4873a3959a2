"""Promises rise, are kept by whoever votes, make leaders by the quorum, and last over restarts.

Rules
-----
* promise/lowered, promise/broken: promises rise; no vote below the promise (P1a, Paxos Made Simple 2.2).
* promise/no-quorum, promise/forgotten: a leader had a quorum of promises, and they last (PMS 2.2, 2.5). If it tells whose
  promises it counted, those must be real.

Assumptions about the events
----------------------------
* What was *released* shows in what others did with it: a leader had a quorum of durable promises, and each that it says it
  counted had left its acceptor. Where it does not say whose they were, the rule on forgetting counts the quorum, never a
  single acceptor. (Where it is seen what leaves an acceptor, ``Told`` judges each.)
* ``Votes`` tells of each vote that was cast in another ballot than the promised one: a vote is a promise too.

Does not judge what a promise tells of votes: ``Told`` does.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.ballots import Ballots
from harness.checkers.oracle import NO_BALLOT, Handler, Sink, show
from harness.record import Ballot


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
        self, agent: int, inc: int, time_ns: int, ballot: Ballot | None, slot: int, value: Any, extra: Any
    ) -> None:
        self.incarnation[agent] = inc
        held = ballot or NO_BALLOT
        bit = 1 << agent
        for led in self.led:
            mask = self.at.get(led, 0)
            if led > held and mask & bit:
                self.at[led] = mask & ~bit
                left = (mask & ~bit).bit_count()
                if left < self.quorum:
                    what = f"the quorum that let {self.sink.name(led[1])} lead {show(led)} has shrunk to {left}"
                elif self.counted.get(led, 0) & bit:
                    what = f"{self.sink.name(led[1])} counted its promise of {show(led)}"
                else:
                    continue
                self.sink.add(
                    "promise/forgotten",
                    f"{self.sink.name(agent)} restarts with a promise of {show(held)}; {what}",
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
