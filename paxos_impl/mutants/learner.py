"""Planted bugs of the learner and of the counting of votes."""

from __future__ import annotations

from paxos_impl.learner import Learner
from paxos_impl.messages import Ballot, Value
from paxos_impl.mutants.registry import mutant
from paxos_impl.tally import Tally


@mutant(
    "L01",
    "votes of different ballots are added up",
    rule="chosen = a quorum in one ballot",
    paper="Paxos Made Simple, 2.3",
    breaks="A",
    oracle="decision",
)
class MixedBallots(Tally):
    def counted_under(self, ballot: Ballot, value: Value) -> Ballot:
        return (0, 0)


@mutant(
    "L01",
    "votes of different ballots are added up",
    rule="chosen = a quorum in one ballot",
    breaks="A",
)
class ConfirmsAnyBallot(Learner):
    def is_chosen_vote(self, vote: tuple[Ballot, Value], ballot: Ballot) -> bool:
        return True
