"""Planted bugs of the election: ballots, timeouts, backoff, stepping down."""

from __future__ import annotations

from paxos_impl.acceptor import Acceptor
from paxos_impl.messages import Ballot, Nack
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import Proposer


@mutant(
    "P03",
    "the round of a ballot is not written to the log: a restart uses the ballot again",
    rule="lastTried is durable before its Prepare leaves",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    source="the seed package; phxpaxos #145",
    oracle="ballot",
    difficulty="deep",
    deployments=("classic",),
)
class RoundNotLogged(Proposer):
    def log_round(self, ballot: Ballot) -> None:
        pass


@mutant(
    "P04",
    "ballots bear no owner: two nodes use the same one",
    rule="ballots belong to one node",
    paper="The Part-Time Parliament, 2.1, B1",
    breaks="A",
    source="the seed package",
    oracle="ballot",
    difficulty="easy",
)
class BallotWithoutOwner(Proposer):
    def next_ballot(self) -> Ballot:
        return (self.round + 1, self.config.proposers[0])


@mutant(
    "P05",
    "ballots are compared by round only",
    rule="ballots are totally ordered",
    paper="The Part-Time Parliament, 2.1, B1",
    breaks="A",
    oracle="promise",
)
class ComparesRoundsOnly(Acceptor):
    def precedes(self, first: Ballot, second: Ballot) -> bool:
        return first[0] < second[0]


@mutant("P05", "ballots are compared by round only", rule="ballots are totally ordered", breaks="A")
class ProposerComparesRoundsOnly(Proposer):
    def precedes(self, first: Ballot, second: Ballot) -> bool:
        return first[0] < second[0]


@mutant(
    "P20",
    "takes the ballot it was refused with as its own",
    rule="a ballot belongs to the node it names",
    paper="The Part-Time Parliament, 2.1, B1",
    breaks="A",
    source="shared ballot field, as in paxi",
    oracle="ballot",
)
class TakesForeignBallot(Proposer):
    def on_nack(self, source: int, message: Nack) -> None:
        self.note_round(message.promised)
        if message.ballot == self.ballot and self.precedes(self.ballot, message.promised):
            self.ballot = message.promised


@mutant(
    "P24",
    "whoever loses a try begins the next at once",
    rule="backoff",
    paper="Paxos Made Simple, 2.4",
    breaks="P",
    source="duelling proposers",
    oracle="liveness",
)
class TriesAgainAtOnce(Proposer):
    def must_yield(self, promised: Ballot) -> bool:
        if not super().must_yield(promised):
            return False
        self.step_down(f"{promised} was promised")
        self.begin_phase_1()
        return False


@mutant(
    "E14",
    "no pre-vote: a node that was away deposes the leader",
    rule="pre-vote",
    paper="Ongaro's thesis, 9.6",
    breaks="P",
    source="etcd #9241; SecureValueRecovery #4",
    oracle="liveness",
)
class NoPreVote(Proposer):
    def ask_for_pre_votes(self) -> None:
        self.begin_phase_1()


@mutant(
    "E15",
    "election timeouts are fixed and equal",
    rule="election timeouts are drawn anew each time",
    paper="Paxos Made Simple, 2.4",
    breaks="",
    equivalent="of candidates of one round the one of the highest node is promised by all and wins; the others wait anew",
)
class EqualTimeouts(Proposer):
    def election_wait_ns(self) -> int:
        return self.config.election_timeout_ns


@mutant(
    "E17",
    "a refusal with a higher ballot counts as an acknowledgement",
    rule="a leader that sees a higher ballot steps down",
    paper="Paxos Made Simple, 2.3",
    breaks="LDA",
    oracle="decision",
    difficulty="easy",
)
class NackIsAcknowledgement(Proposer):
    def on_nack(self, source: int, message: Nack) -> None:
        for slot, proposal in list(self.proposals.items()):
            proposal.accepted_by.add(source)
            if self.is_chosen(proposal):
                self.on_chosen(slot, proposal.value)


@mutant(
    "E20",
    "a leader that hears nobody goes on leading",
    rule="check-quorum",
    paper="Ongaro's thesis, 6.2",
    breaks="P",
    oracle="liveness",
    difficulty="hard",
)
class NoCheckQuorum(Proposer):
    def hears_quorum(self) -> bool:
        return True


@mutant(
    "E21",
    "who has once given up leadership never stands for election again",
    rule="try after an election timeout without a leader",
    paper="Paxos Made Simple, 2.4",
    breaks="P",
    oracle="liveness",
)
class StandsOnlyOnce(Proposer):
    def step_down(self, reason: str) -> None:
        super().step_down(reason)
        self.clear_timer("election")


@mutant(
    "E22",
    "rounds seen do not count: a node that lags behind never wins again",
    rule="next ballot = a round above every one seen",
    paper="The Part-Time Parliament, 2.3",
    breaks="P",
    oracle="liveness",
)
class IgnoresRoundsSeen(Proposer):
    def note_round(self, ballot: Ballot) -> None:
        pass


@mutant(
    "E23",
    "a restart forgets the rounds of the log",
    rule="lastTried is read back",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    oracle="ballot",
    difficulty="deep",
    deployments=("classic",),
)
class RoundNotRecovered(Proposer):
    def recover_round(self, round_: int) -> None:
        pass


@mutant(
    "E24",
    "a leader refused by a higher ballot raises its own round and goes on without a new phase 1",
    rule="a new ballot needs a phase 1 of its own",
    paper="Paxos Made Simple, 3",
    breaks="A",
    oracle="ballot",
    difficulty="easy",
)
class RaisesBallotInPlace(Proposer):
    def must_yield(self, promised: Ballot) -> bool:
        if self.state == "leading" and super().must_yield(promised):
            self.ballot = self.next_ballot()
            return False
        return super().must_yield(promised)


@mutant(
    "E25",
    "each lost try doubles the wait, without a bound",
    rule="backoff is bounded",
    paper="Paxos Made Simple, 2.4",
    breaks="P",
    oracle="liveness",
    difficulty="hard",
)
class BackoffWithoutBound(Proposer):
    def backoff_factor(self) -> int:
        return 1 << 2 * min(self.failures, 6)


@mutant(
    "E18",
    "a clock that is set back leaves the leader heard in the future, and protected until then",
    rule="times noted move with a clock that is set back",
    paper="Ongaro's thesis, 9.6",
    breaks="P",
    source="this project's own Paxos (docs/track-record.md)",
    oracle="liveness",
    difficulty="deep",
)
class LeaderHeardInTheFuture(Acceptor):
    def on_clock_set_back(self, by_ns: int) -> None:
        pass


@mutant(
    "E26",
    "a lost try is repeated under the same ballot",
    rule="next ballot = a round above every one tried",
    paper="The Part-Time Parliament, 2.3",
    breaks="AP",
    oracle="ballot, liveness",
    difficulty="easy",
)
class RepeatsTheBallot(Proposer):
    def next_ballot(self) -> Ballot:
        return self.ballot if self.ballot[0] == self.round else super().next_ballot()


@mutant(
    "E27",
    "the round logged is the one before",
    rule="lastTried is durable before its Prepare leaves",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    oracle="ballot",
    difficulty="easy",
)
class LogsTheRoundBefore(Proposer):
    def log_round(self, ballot: Ballot) -> None:
        super().log_round((ballot[0] - 1, ballot[1]))


@mutant(
    "E28",
    "after a poll that found no quorum nobody polls again",
    rule="try after an election timeout without a leader",
    paper="Paxos Made Simple, 2.4",
    breaks="P",
    oracle="liveness",
)
class PollsOnce(Proposer):
    def ask_for_pre_votes(self) -> None:
        super().ask_for_pre_votes()
        self.clear_timer("election")


@mutant(
    "EQ1",
    "a leader does not care about refusals",
    rule="a leader that sees a higher ballot steps down",
    breaks="",
    equivalent="its slots get no quorum any more; the next leader's heartbeat or check-quorum makes it give up",
    paper="Paxos Made Simple, 2.3 (the refusal is an optimisation)",
)
class IgnoresNacks(Proposer):
    def must_yield(self, promised: Ballot) -> bool:
        return False


@mutant(
    "EQ2",
    "no backoff",
    rule="backoff",
    breaks="",
    equivalent="timeouts are random and pre-vote lets one candidate through, so duels end by themselves",
    paper="Paxos Made Simple, 2.4",
)
class NoBackoff(Proposer):
    def backoff_factor(self) -> int:
        return 1


@mutant(
    "EQ3",
    "each try skips a round",
    rule="next ballot = a round above every one seen",
    breaks="",
    equivalent="ballots need be higher, not consecutive",
    paper="The Part-Time Parliament, 2.3",
)
class SkipsRounds(Proposer):
    def next_ballot(self) -> Ballot:
        return (self.round + 3, self.node)


@mutant(
    "EQ4",
    "phase 1 that takes too long is not given up but asked again",
    rule="a try that takes an election timeout is given up",
    breaks="",
    equivalent="the same Prepare is answered again, and a higher ballot still ends it",
    paper="Paxos Made Simple, 2.4",
)
class KeepsPreparing(Proposer):
    def on_phase_1_timeout(self) -> None:
        self.send_prepare(self.config.acceptors)
        self.await_leader()
