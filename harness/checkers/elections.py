"""Elections: who stands, who lets it, and who waits too long.

Rules
-----
* election/no-pre-vote: phase 1 begins only when a quorum has granted the pre-vote of that try (Ongaro's thesis 9.6): else a
  node that was away deposes a healthy leader.
* election/granted-too-soon: no pre-vote is granted within an election timeout of hearing the leader (the same).
* election/idle: who hears no leader and tries again has not waited for longer than backoff may last (Paxos Made Simple 2.4:
  somebody must try). Who never does is not seen here, but by the liveness of the whole run.

Assumptions about the events
----------------------------
* Only a world that sees what leaves an agent can tell (``told_pre_vote``, ``told_grant``): without them nothing is judged.
* A grant is told before the candidate can count it. A voter grants its own pre-vote within itself, which nobody sees.
* Pre-votes are not logged: a new life may ask about a ballot that an earlier one asked about, and late grants of that count.
* What was said may have been meant a little earlier, before a sync: so a leader heard in the last half of a timeout does not
  count. ``extra`` is None where it may have been meant long before (a stop, a slow disk), or the clock of the agent is wrong.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.oracle import NO_BALLOT, Handler, Sink, show
from harness.checkers.promises import Promises
from harness.record import Ballot

IDLE_TIMEOUTS = 10
"""Election timeouts within which every wait is over: one is shorter than twice four, as backoff is bounded."""


class Elections:
    """What candidates and voters do. ``Promises`` hears of each event first."""

    def __init__(self, sink: Sink, promises: Promises, election_timeout_ns: int) -> None:
        """``election_timeout_ns``: 0 if it is not known; then no time is judged."""
        self.sink = sink
        self.promises = promises
        self.timeout_ns = election_timeout_ns
        self.polled: dict[int, Ballot] = {}
        """Agent -> the ballot that its latest pre-vote asked about."""
        self.asked: dict[int, set[Ballot]] = {}
        """Agent -> all that its pre-votes asked about."""
        self.before: dict[int, set[Ballot]] = {}
        """Agent -> what its earlier lives asked about."""
        self.granted: dict[Ballot, int] = {}
        """Ballot -> voters (bits) that granted a pre-vote of it."""
        self.acted_ns: dict[int, int] = {}
        """Agent -> when it last tried, led or gave up."""
        self.handlers: dict[str, Handler] = {
            "started": self.on_started,
            "told_pre_vote": self.on_told_pre_vote,
            "told_grant": self.on_told_grant,
            "prepare": self.on_prepare,
            "leader": self.on_act,
            "step_down": self.on_act,
        }

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.acted_ns[agent] = time_ns
        self.before[agent] = set(self.asked.get(agent, ()))

    def on_act(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.acted_ns[agent] = time_ns

    def on_told_pre_vote(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        """``extra``: until when it heard a leader, or was held up."""
        self.polled[agent] = ballot
        self.asked.setdefault(agent, set()).add(ballot)
        since_ns = self.acted_ns.get(agent)
        self.acted_ns[agent] = time_ns
        if extra is None or since_ns is None or not self.timeout_ns:
            return
        waited_ns = time_ns - max(since_ns, extra)
        if waited_ns > IDLE_TIMEOUTS * self.timeout_ns:
            self.sink.add(
                "election/idle",
                f"{self.sink.name(agent)} heard no leader and did nothing for {waited_ns / 1e9:.3f} s, "
                f"{waited_ns / self.timeout_ns:.1f} election timeouts",
                time_ns,
                (agent,),
                ballot=ballot,
            )

    def on_told_grant(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        """``extra``: the ballot of the leader that it heard last, and when."""
        self.granted[ballot] = self.granted.get(ballot, 0) | 1 << agent
        if extra is None:
            return
        led, heard_ns = extra
        if self.timeout_ns // 2 < time_ns - heard_ns < self.timeout_ns and led >= self.promises.promise.get(agent, led):
            self.sink.add(
                "election/granted-too-soon",
                f"{self.sink.name(agent)} lets {self.sink.name(ballot[1])} try {show(ballot)}, "
                f"{(time_ns - heard_ns) / 1e9:.3f} s after it heard the leader of {show(led)}",
                time_ns,
                (agent, ballot[1]),
                ballot=ballot,
                led=led,
            )

    def on_prepare(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self.acted_ns[agent] = time_ns
        voters, quorum = self.promises.voters, self.promises.quorum
        own = 1 << agent if agent in voters else 0
        polls = {self.polled.get(agent, NO_BALLOT), *self.before.get(agent, ())}
        most = max((self.granted.get(poll, 0) | own).bit_count() for poll in polls)
        if quorum > 1 and most < quorum:
            self.sink.add(
                "election/no-pre-vote",
                f"{self.sink.name(agent)} begins phase 1 of {show(ballot)}; of its pre-vote {most} have "
                f"granted, a quorum is {quorum}",
                time_ns,
                (agent,),
                ballot=ballot,
            )
