"""What an agent says of its promises and ballots is on its disk before it says so.

Rules (Part-Time Parliament 2.3, nextBal and lastTried)
-------------------------------------------------------
* promise/not-durable: a promise leaves its acceptor, and the own one counts, when a sync has ended that covers it or a higher
  one.
* ballot/not-durable: a Prepare leaves its proposer when a sync has ended that covers the ballot's round.

Who says it before is wrong even if no power fails just then.

Assumptions about the events
----------------------------
* Only a world that sees syncs and what leaves an agent can tell (``sync_begun``, ``sync_ended``, ``told_promise``,
  ``told_prepare``).
* A sync that has begun covers what the agent had ``promised``, voted for or told with ``prepare`` before it.
* What is recovered and was not durable before may stand in the page cache only: the next sync covers it. What is there after a
  power cut (``power_lost``) is durable.
* ``Promises`` and ``Votes`` hear of every event first: they keep what each acceptor has promised, by voting too.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.oracle import NO_BALLOT, Handler, Sink, show
from harness.checkers.promises import Promises
from harness.record import Ballot

ABOVE_ALL: Ballot = (1 << 62, 0)
"""All that will be recovered."""


class DurablePromises:
    """Promises and own ballots by how far they have come: written, under a sync, durable."""

    def __init__(self, sink: Sink, promises: Promises) -> None:
        self.sink = sink
        self.promise = promises.promise
        self.syncing: dict[int, Ballot] = {}
        """Agent -> what it had promised when its last sync began."""
        self.durable: dict[int, Ballot] = {}
        """The same, of the last sync that has ended."""
        self.tried: dict[int, Ballot] = {}
        """Agent -> the ballot it tried last, if no sync has begun since."""
        self.syncing_tried: dict[int, Ballot] = {}
        """The same, if that sync has not ended."""
        self.durable_tried: dict[int, Ballot] = {}
        """The same, if it has."""
        self.handlers: dict[str, Handler] = {
            "sync_begun": self.on_sync_begun,
            "sync_ended": self.on_sync_ended,
            "power_lost": self.on_power_lost,
            "recovered": self.on_recovered,
            "recovered_round": self.on_recovered_round,
            "prepare": self.on_prepare,
            "leader": self.on_leader,
            "told_promise": self.on_told_promise,
            "told_prepare": self.on_told_prepare,
        }

    def on_prepare(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self.tried[agent] = ballot

    def on_sync_begun(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.syncing[agent] = self.promise.get(agent, NO_BALLOT)
        if agent in self.tried:
            self.syncing_tried[agent] = self.tried.pop(agent)

    def on_sync_ended(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.durable[agent] = self.syncing.get(agent, NO_BALLOT)
        if agent in self.syncing_tried:
            self.durable_tried[agent] = self.syncing_tried.pop(agent)

    def on_power_lost(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.durable[agent] = ABOVE_ALL

    def on_recovered(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot | None, slot: int, value: Any, extra: Any
    ) -> None:
        self.syncing[agent] = NO_BALLOT
        self.durable[agent] = min(self.durable.get(agent, NO_BALLOT), ballot or NO_BALLOT)

    def on_recovered_round(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        for tried in (self.tried, self.syncing_tried, self.durable_tried):
            tried.pop(agent, None)

    def on_told_promise(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        if self.durable.get(agent, NO_BALLOT) < ballot:
            self._not_durable(agent, time_ns, ballot, f"promises {show(ballot)} before")

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        if agent in (extra or ()) and self.durable.get(agent, NO_BALLOT) < ballot:
            self._not_durable(agent, time_ns, ballot, f"leads {show(ballot)} and counts its own promise before")

    def _not_durable(self, agent: int, time_ns: int, ballot: Ballot, what: str) -> None:
        self.sink.add(
            "promise/not-durable",
            f"{self.sink.name(agent)} {what} a sync has covered it; durable is its promise of "
            f"{show(self.durable.get(agent))}",
            time_ns,
            (agent,),
            ballot=ballot,
        )

    def on_told_prepare(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        durable = self.durable_tried.get(agent, NO_BALLOT)
        if durable < ballot:
            self.sink.add(
                "ballot/not-durable",
                f"{self.sink.name(agent)} prepares {show(ballot)} before a sync has covered its round; durable is that of "
                f"{show(durable)}",
                time_ns,
                (agent,),
                ballot=ballot,
            )
