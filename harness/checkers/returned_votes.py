"""What a recovery did not find is gone: no later life has it back.

Rule
----
* vote/returned: a life has no vote or promise that the one before had neither recovered nor given.

An acceptor's memory is what it recovered and what it did since (Part-Time Parliament 2.2, the ledger; Paxos Made Live 5.1).
A record that a recovery cut off was never told to anybody. If it comes back behind records written over the cut, the log
says something that was never true: a vote of before after one of now, a commit index that vouches for what is gone.

Assumptions about the events
----------------------------
* Only a world that sees syncs tells each vote and promise before it dies: without ``sync_begun`` nothing is judged.
* ``Promises`` and ``Votes`` hear of ``recovered`` afterwards: they still hold what the life before had.
* An *older* vote or promise than that life had may come back (the newer one was not durable), and so may one in a slot that
  it took for cut (the checkpoint was not durable).
"""

from __future__ import annotations

from typing import Any

from harness.checkers.durable_votes import DurableVotes
from harness.checkers.oracle import Handler, Sink, show
from harness.checkers.promises import Promises
from harness.checkers.votes import Votes
from harness.record import Ballot


class ReturnedVotes:
    """Compares what a life recovers with what the one before knew."""

    def __init__(self, sink: Sink, promises: Promises, votes: Votes, durable: DurableVotes) -> None:
        self.sink = sink
        self.promises = promises
        self.votes = votes
        self.durable = durable
        self.recovered: set[int] = set()
        """Acceptors that have told once what they recovered."""
        self.handlers: dict[str, Handler] = {"recovered": self.on_recovered}

    def on_recovered(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot | None, slot: int, value: Any, extra: Any
    ) -> None:
        first = agent not in self.recovered
        self.recovered.add(agent)
        if first or not self.durable.sees_syncs or agent not in self.votes.voters:
            return
        promised = self.promises.promise.get(agent)
        if promised is not None and ballot is not None and ballot > promised:
            self._returned(agent, time_ns, ballot, None, f"a promise of {show(ballot)}")
            return
        had, floor = self.votes.latest[agent], self.votes.floor[agent]
        for at, voted in extra or ():
            vote = int(voted[0]), int(voted[1])
            if at > floor and (at not in had or had[at] < vote):
                self._returned(agent, time_ns, vote, int(at), f"a vote at {show(vote)} in slot {at}")
                return

    def _returned(self, agent: int, time_ns: int, ballot: Ballot, slot: int | None, what: str) -> None:
        self.sink.add(
            "vote/returned",
            f"{self.sink.name(agent)} restarts with {what} that the life before had neither recovered nor given",
            time_ns,
            (agent,),
            slot,
            ballot=ballot,
        )
