"""Planted bugs of the proposer: quorums, value choice, ballots, retransmission."""

from __future__ import annotations

from collections.abc import Collection

from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import Proposer


@mutant(
    "P01",
    "a quorum is half of the acceptors, rounded down",
    rule="any two quorums meet",
    paper="The Part-Time Parliament, 2.1, B2",
    breaks="A",
    oracle="promise, decision",
)
class HalfIsEnough(Proposer):
    def is_quorum(self, members: Collection[int]) -> bool:
        return len(members) >= len(self.config.acceptors) // 2
