"""What is chosen rests on a quorum of votes that are durable: written, and synced since. And so is each vote that is told.

Rules
-----
* decision/not-durable: a value is chosen when a quorum has voted for it on paper that does not burn (Part-Time Parliament
  2.3; Paxos Made Live 4.1). Who counts a vote before its sync has ended, be it the own one, is wrong even if no power
  fails just then.
* vote/not-durable: a vote leaves its acceptor when it has been cast, and a sync has ended that covers it (PTP 2.3, prevVote).

Assumptions about the events
----------------------------
* Only a world that sees syncs can tell (``sync_begun``, ``sync_ended``, ``power_lost``): without them nothing is judged.
* A sync that has begun covers what was ``accepted`` before it by that agent. A process that is killed leaves what it wrote to
  the operating system, not durable until the next sync; what is there after a power cut is durable.
* Where it is seen what leaves an acceptor (``told_vote``), each vote is judged, and not only those that a learner counts.
* Only the first ``chosen`` of a slot that names a ballot is judged: who is told by another, or reads its log, counts nothing.
* ``Votes`` hears of every event first: it keeps the tallies of votes.

Does not judge promises (``DurablePromises`` does) and snapshots: what is told of them is held against what comes back
(``Told``).
"""

from __future__ import annotations

from typing import Any

from harness.checkers.oracle import Handler, Sink, show
from harness.checkers.votes import Tally, Votes
from harness.record import Ballot


class DurableVotes:
    """Votes by how far they have come: written (``Votes.written``), under a sync, durable (``Tally.durable``)."""

    def __init__(self, sink: Sink, votes: Votes) -> None:
        self.sink = sink
        self.votes = votes
        self.written = votes.written
        self.sees_syncs = False
        self.syncing: dict[int, list[Tally]] = {agent: [] for agent in votes.voters}
        self.without_power: set[int] = set()
        """Agents that have not come back since their power was cut."""
        self.unjudged: set[int] = set()
        """Slots that were learned, but by nobody who named a ballot."""
        self.handlers: dict[str, Handler] = {
            "sync_begun": self.on_sync_begun,
            "sync_ended": self.on_sync_ended,
            "power_lost": self.on_power_lost,
            "recovered": self.on_recovered,
            "told_vote": self.on_told_vote,
        }

    def on_sync_begun(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.sees_syncs = True
        written = self.written.get(agent)
        if written:
            self.syncing[agent] += written
            written.clear()

    def on_sync_ended(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        syncing = self.syncing.get(agent)
        if syncing:
            bit = 1 << agent
            for tally in syncing:
                tally.durable |= bit
            syncing.clear()

    def on_power_lost(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.without_power.add(agent)

    def on_recovered(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if agent not in self.syncing:
            return
        bit = 1 << agent
        self.syncing[agent].clear()
        written = self.written[agent]
        written.clear()
        durable = agent in self.without_power
        self.without_power.discard(agent)
        for at, voted in extra or ():
            tally = self.votes.slots.get(int(at), {}).get((int(voted[0]), int(voted[1])))
            if tally is None:
                continue
            if durable:
                tally.durable |= bit
            elif not tally.durable & bit:
                written.append(tally)

    def on_told_vote(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        tallies = self.votes.slots.get(slot)
        tally = None if tallies is None else tallies.get(ballot)
        if (tally is not None and tally.durable >> agent & 1) or not self.sees_syncs:
            return
        was_cast = tally is not None and tally.ever >> agent & 1
        self.sink.add(
            "vote/not-durable",
            f"{self.sink.name(agent)} tells of its vote in slot {slot} at {show(ballot)}, "
            f"{'which no sync has covered yet' if was_cast else 'which it has not cast'}",
            time_ns,
            (agent,),
            slot,
            ballot=ballot,
        )

    def learned(self, agent: int, time_ns: int, ballot: Ballot | None, slot: int, value: Any) -> None:
        """A slot was learned for the first time, or is still unjudged."""
        if not self.sees_syncs:
            return
        if ballot is None or ballot[0] < 0:
            self.unjudged.add(slot)
            return
        self.unjudged.discard(slot)
        tally = self.votes.slots.get(slot, {}).get(ballot)
        have = 0 if tally is None else tally.durable.bit_count()
        if have < self.votes.quorum:
            self.sink.add(
                "decision/not-durable",
                f"{self.sink.name(agent)} holds slot {slot} chosen at {show(ballot)} while {have} "
                f"{'vote is' if have == 1 else 'votes are'} durable; a quorum is {self.votes.quorum}",
                time_ns,
                (agent,),
                slot,
                (value,),
                ballot=ballot,
            )
