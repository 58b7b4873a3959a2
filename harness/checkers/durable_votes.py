"""What is chosen rests on a quorum of votes that are durable: written, and synced since.

A value is chosen when a quorum has voted for it on paper that does not burn (Part-Time Parliament 2.3; Paxos Made Live 4.1).
Who counts a vote before its sync has ended, be it the own one, is wrong even if no power fails just then.

Assumptions about the events
----------------------------
* Only a world that sees syncs can tell (``sync_begun``, ``sync_ended``, ``power_lost``): without them nothing is judged.
* A sync that has begun covers what was ``accepted`` before it by that agent. A process that is killed leaves what it wrote to
  the operating system, not durable until the next sync; what is there after a power cut is durable.
* Only the first ``chosen`` of a slot that names a ballot is judged: who is told by another, or reads its log, counts nothing.

Does not judge promises and snapshots: what is told of them is held against what comes back (``online.Told``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.record import Ballot

if TYPE_CHECKING:
    from harness.checkers.online import Handler, Sink

_Vote = tuple[int, Ballot]
"""(slot, ballot)"""


class DurableVotes:
    """Votes by how far they have come: written, under a sync, durable."""

    def __init__(self, sink: Sink, voters: frozenset[int], quorum: int) -> None:
        self.sink = sink
        self.voters = voters
        self.quorum = quorum
        self.sees_syncs = False
        self.written: dict[int, list[_Vote]] = {agent: [] for agent in voters}
        self.syncing: dict[int, list[_Vote]] = {agent: [] for agent in voters}
        self.durable: dict[_Vote, int] = {}
        """Vote -> acceptors (bits) for which it is durable."""
        self.without_power: set[int] = set()
        """Agents that have not come back since their power was cut."""
        self.chosen: set[int] = set()
        self.handlers: dict[str, Handler] = {
            "accepted": self.on_accepted,
            "sync_begun": self.on_sync_begun,
            "sync_ended": self.on_sync_ended,
            "power_lost": self.on_power_lost,
            "recovered": self.on_recovered,
            "chosen": self.on_chosen,
        }

    def on_accepted(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        if self.sees_syncs and agent in self.voters:
            self.written[agent].append((slot, ballot))

    def on_sync_begun(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.sees_syncs = True
        if agent in self.voters:
            self.syncing[agent] += self.written[agent]
            self.written[agent] = []

    def on_sync_ended(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if agent in self.voters:
            self._are_durable(agent, self.syncing[agent])
            self.syncing[agent] = []

    def on_power_lost(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.without_power.add(agent)

    def on_recovered(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if agent not in self.voters:
            return
        back = [(int(at), (int(vote[0]), int(vote[1]))) for at, vote in extra or ()]
        self.written[agent], self.syncing[agent] = [], []
        if agent in self.without_power:
            self.without_power.discard(agent)
            self._are_durable(agent, back)
        else:
            self.written[agent] = [vote for vote in back if not self.durable.get(vote, 0) >> agent & 1]

    def on_chosen(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot | None, slot: int, value: Any, extra: Any
    ) -> None:
        if slot in self.chosen or ballot is None or ballot[0] < 0 or not self.sees_syncs:
            return
        self.chosen.add(slot)
        have = self.durable.get((slot, ballot), 0).bit_count()
        if have < self.quorum:
            self.sink.add(
                "decision/not-durable",
                f"{self.sink.name(agent)} holds slot {slot} chosen at ballot {ballot[0]}.{ballot[1]} while {have} "
                f"{'vote is' if have == 1 else 'votes are'} durable; a quorum is {self.quorum}",
                time_ns,
                (agent,),
                slot,
                (value,),
                ballot=ballot,
            )

    def _are_durable(self, agent: int, votes: list[_Vote]) -> None:
        durable, bit = self.durable, 1 << agent
        for vote in votes:
            durable[vote] = durable.get(vote, 0) | bit
