"""Planted bugs of the proposer: quorums, value choice, slots, ballots counted, retransmission."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from paxos_impl.messages import (
    NO_OP,
    NOT_LEADER,
    Accepted,
    Ballot,
    Command,
    Nack,
    PastVote,
    Promise,
    Reply,
    Request,
    Value,
    client_address,
)
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import PromiseBook, Proposal, Proposer


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


@mutant(
    "P07",
    "promises are counted, not collected by sender",
    rule="a quorum counts each acceptor once",
    paper="The Part-Time Parliament, 2.1, B2",
    breaks="A",
    source="xnnyygn/xraft #27; coyote-samples #8",
    oracle="promise",
)
class CountsPromises(Proposer):
    def on_promise(self, source: int, message: Promise) -> None:
        if self.counts_promise(message):
            self.promises.add(source, message)
            heard: list[Ballot] = self.__dict__.setdefault("heard", [])
            heard[:] = [ballot for ballot in heard if ballot == message.ballot] + [message.ballot]
            if len(heard) >= self.quorum_size:
                self.become_leader()


@mutant(
    "P08",
    "a promise of an older try of the same node counts",
    rule="promises are keyed by ballot",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    source="luohaha/MyPaxos #18",
    oracle="promise",
)
class CountsOldPromises(Proposer):
    def counts_promise(self, message: Promise) -> bool:
        return self.state == "preparing"


@mutant(
    "P10",
    "adopts the vote of the lowest ballot",
    rule="P2c: the value of the highest-ballot vote",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="vote",
)
class AdoptsLowest(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        return min(votes, key=lambda vote: (not vote.chosen, vote.ballot)).value if votes else NO_OP


@mutant(
    "P11",
    "adopts the value it was told first",
    rule="P2c: the value of the highest-ballot vote",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="vote",
)
class AdoptsFirst(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        return votes[0].value if votes else NO_OP


@mutant(
    "P12",
    "adopts the value most acceptors report",
    rule="P2c: the value of the highest-ballot vote",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="vote",
    difficulty="hard",
)
class AdoptsMostFrequent(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        if any(vote.chosen for vote in votes) or not votes:
            return super().value_to_propose(slot, votes)
        most, _ = Counter(repr(vote.value) for vote in votes).most_common(1)[0]
        return next(vote.value for vote in votes if repr(vote.value) == most)


@mutant(
    "P13",
    "a vote for a no-op counts as no vote",
    rule="nothing accepted is the absence of a vote, never a value",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    source="the seed package (None = nothing)",
    oracle="vote",
)
class NoOpIsNothing(PromiseBook):
    def add(self, source: int, message: Promise) -> None:
        super().add(source, message)
        for slot, votes in list(self.votes.items()):
            self.votes[slot] = [vote for vote in votes if vote.value]
            if not self.votes[slot]:
                del self.votes[slot]


@mutant(
    "P14",
    "proposes a value of its own though a vote was reported",
    rule="P2c: the value of the highest-ballot vote",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="vote",
    difficulty="easy",
)
class ProposesOwnValue(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        return self.next_batch()


@mutant(
    "P15",
    "phase 1 begins above the gaps, which are closed with no-ops all the same",
    rule="phase 1 covers every slot that is proposed in",
    paper="Paxos Made Simple, 3",
    breaks="A",
    oracle="ballot, vote",
)
class PreparesAboveGaps(Proposer):
    def first_slot_to_prepare(self) -> int:
        return max(self.commit + 1, self.next_slot - 1)


@mutant(
    "P16",
    "the next slot is the own last chosen one plus one, whatever promises report",
    rule="new commands go above every slot reported",
    paper="Paxos Made Simple, 3",
    breaks="A",
    source="paxi (reproduced)",
    oracle="vote",
)
class NextSlotFromOwnLog(Proposer):
    def top_slot(self, reported: dict[int, list[PastVote]]) -> int:
        return self.commit


@mutant(
    "P17",
    "gaps are never closed",
    rule="gaps are closed with no-ops",
    paper="Paxos Made Simple, 3",
    breaks="P",
    source="paxi, an open to-do",
    oracle="liveness",
)
class LeavesGaps(Proposer):
    def slots_to_close(self, reported: dict[int, list[PastVote]], top: int) -> Iterable[int]:
        return [slot for slot in super().slots_to_close(reported, top) if slot in reported]


@mutant(
    "P18",
    "after a timeout another command goes into the same slot and ballot",
    rule="retransmission repeats the same value",
    paper="Paxos Made Simple, 2.2; The Part-Time Parliament, 2.1, B1",
    breaks="A",
    source="the seed package, an open to-do",
    oracle="vote",
)
class RetransmitsAnotherCommand(Proposer):
    def value_to_retransmit(self, slot: int, proposal: Proposal) -> Value:
        return self.next_batch() if self.queue else proposal.value


@mutant(
    "P22",
    "Accepted for a slot counts for all slots below it",
    rule="a vote is for one slot",
    paper="Paxos Made Simple, 3",
    breaks="AD",
    source="oxia PR 1239",
    oracle="decision",
)
class AcceptedUpTo(Proposer):
    def slots_acknowledged(self, message: Accepted) -> tuple[int, ...] | range:
        return tuple(slot for slot in self.proposals if slot <= message.slot)


@mutant(
    "P25",
    "an Accept is never sent again",
    rule="the leader retries what is undecided",
    paper="Paxos Made Simple, 3",
    breaks="P",
    source="the seed package, an open to-do",
    oracle="liveness",
)
class NeverRetransmits(Proposer):
    def retransmit(self) -> None:
        pass


@mutant(
    "P26",
    "each retry of phase 2 begins with a higher ballot",
    rule="retransmission does not raise the ballot",
    paper="Paxos Made Simple, 2.4",
    breaks="P",
    source="the seed package, an open to-do",
    oracle="liveness",
)
class RetryRaisesBallot(Proposer):
    def retransmit(self) -> None:
        if self.proposals:
            self.step_down("retry")
            self.begin_phase_1()


@mutant(
    "P27",
    "the retry of an undecided slot proposes nothing",
    rule="retransmission repeats the same value",
    paper="Paxos Made Simple, 2.2",
    breaks="VA",
    source="the seed package, an open to-do",
    oracle="vote",
    difficulty="easy",
)
class RetransmitsNothing(Proposer):
    def value_to_retransmit(self, slot: int, proposal: Proposal) -> Value:
        return NO_OP


@mutant(
    "P28",
    "a value counts as chosen after the first vote",
    rule="chosen = a quorum in one ballot",
    paper="Paxos Made Simple, 2.3",
    breaks="DA",
    oracle="decision",
    difficulty="easy",
)
class ChosenByOneVote(Proposer):
    def is_chosen(self, proposal: Proposal) -> bool:
        return len(proposal.accepted_by) >= 1


@mutant(
    "P29",
    "a promise counts as soon as its last page is here",
    rule="promises count only when all their pages are there",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="vote",
    difficulty="hard",
)
class LastPageIsEnough(PromiseBook):
    def complete(self) -> list[int]:
        return list(self.last_page)


@mutant(
    "P30",
    "an Accepted of an earlier ballot of the same leader counts",
    rule="only votes of the ballot this leader leads in count",
    paper="Paxos Made Simple, 2.3",
    breaks="A",
    oracle="decision",
)
class CountsOldAccepted(Proposer):
    def counts_accepted(self, message: Accepted) -> bool:
        return self.state == "leading"


@mutant(
    "P31",
    "the commit index is the highest chosen slot, gaps or not",
    rule="the commit index is the end of the contiguous run of chosen slots",
    paper="Paxos Made Simple, 3",
    breaks="A",
    oracle="decision",
)
class CommitsOverGaps(Proposer):
    def commit_index(self) -> int:
        return max(self.commit, *self.chosen_above) if self.chosen_above else self.commit


@mutant(
    "P32",
    "a leader that gives up refuses commands it has already proposed",
    rule="refused only if never proposed",
    paper="Paxos Made Live, 5.3",
    breaks="LX",
    source="phantom entries, Kongfy blog on Paxos ghost entries",
    oracle="witness, linearizability",
    difficulty="hard",
)
class RefusesProposed(Proposer):
    def on_stepped_down(self) -> None:
        for proposal in self.proposals.values():
            for command in proposal.value:
                self.send(client_address(command.client), Reply(command.client, command.seq, NOT_LEADER, None, -1))
        super().on_stepped_down()


@mutant(
    "P33",
    "values are cut as soon as one learner has a durable snapshot of them",
    rule="cut only what a majority of the learners holds in durable snapshots",
    paper="Paxos Made Live, 5.5",
    breaks="DP",
    oracle="durability, liveness",
    deployments=("classic",),
    difficulty="hard",
)
class StableAtOneLearner(Proposer):
    def stable_slot(self) -> int:
        return max((self.learner_durable.get(learner, 0) for learner in self.config.learners), default=0)


@mutant(
    "P34",
    "phase 1 begins above the commit index of the last leadership, though learners may still miss values",
    rule="phase 1 covers every slot not in durable snapshots (classic)",
    paper="Paxos Made Simple, 3",
    breaks="P",
    oracle="liveness",
    deployments=("classic",),
)
class PreparesAboveOwnCommit(Proposer):
    def known_prefix(self) -> int:
        return max(self.commit, super().known_prefix())


# Mostly hidden by ``pass_over``: learners tell of the cut too. A plan that shows it: tests/regressions/test_planted.py.
@mutant(
    "P35",
    "goes on leading after an acceptor said that its slots are cut",
    rule="only a new phase 1 above the cut is safe",
    paper="Paxos Made Live, 5.5",
    breaks="P",
    oracle="liveness",
    difficulty="deep",
)
class IgnoresTruncated(Proposer):
    def on_truncated(self, source: int, message: object) -> None:
        pass


@mutant(
    "P36",
    "the slot of the batch opened last is handed out again",
    rule="a new command takes the next slot above everything known",
    paper="Paxos Made Simple, 3",
    breaks="A",
    oracle="vote",
    difficulty="easy",
)
class SlotTakenTwice(Proposer):
    def pump(self) -> None:
        super().pump()
        if self.next_slot - 1 in self.proposals:
            self.next_slot -= 1


@mutant(
    "P37",
    "inherited values move up by one slot",
    rule="each inherited value stays in its slot",
    paper="Paxos Made Simple, 3",
    breaks="A",
    oracle="vote",
    difficulty="easy",
)
class ShiftsInherited(Proposer):
    def inherit(self) -> None:
        super().inherit()
        if len(self.inherited) > 1:
            values = [value for _, value in self.inherited]
            slots = [slot for slot, _ in self.inherited]
            self.inherited = type(self.inherited)(zip(slots, values[1:] + values[:1], strict=True))


@mutant(
    "P38",
    "a node counts itself twice",
    rule="a quorum counts each acceptor once",
    paper="The Part-Time Parliament, 2.1, B2",
    breaks="A",
    oracle="promise",
    difficulty="easy",
    deployments=("collapsed",),
)
class CountsItselfTwice(Proposer):
    def is_quorum(self, members: Collection[int]) -> bool:
        return len(members) + (self.node in members) >= self.quorum_size


@mutant(
    "P39",
    "a refusal counts as a promise without votes",
    rule="only promises count",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="promise",
)
class CountsRefusals(Proposer):
    def on_nack(self, source: int, message: Nack) -> None:
        if self.state == "preparing" and message.ballot == self.ballot:
            self.on_promise(source, Promise(self.ballot, self.first_slot, True, 0, ()))
        else:
            super().on_nack(source, message)


@mutant(
    "P40",
    "each further promise makes the leader begin anew",
    rule="phase 1 ends once",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="vote",
    difficulty="easy",
)
class LeadsAnewWithEachPromise(Proposer):
    def counts_promise(self, message: Promise) -> bool:
        return self.state in ("preparing", "leading") and message.ballot == self.ballot


@mutant(
    "P41",
    "a new leader does not heed that acceptors have cut values",
    rule="what an acceptor has cut is chosen",
    paper="Paxos Made Live, 5.5",
    breaks="A",
    oracle="vote",
    difficulty="easy",
)
class IgnoresFloors(Proposer):
    def heed_floors(self, floors: dict[int, int]) -> None:
        pass


@mutant(
    "P42",
    "what waits is added to a value when it is sent again",
    rule="retransmission repeats the same value",
    paper="The Part-Time Parliament, 2.1, B1",
    breaks="A",
    oracle="vote",
    difficulty="easy",
)
class RetransmitsMore(Proposer):
    def value_to_retransmit(self, slot: int, proposal: Proposal) -> Value:
        if self.queue:
            proposal.value = (*proposal.value, *self.next_batch())
        return proposal.value


@mutant(
    "P43",
    "the command that does not fit into a batch is lost",
    rule="waiting commands are proposed in order of arrival",
    paper="Paxos Made Simple, 3",
    breaks="P",
    oracle="liveness",
)
class LosesWhatDoesNotFit(Proposer):
    def next_batch(self) -> Value:
        batch = super().next_batch()
        if self.queue:
            self.queue.popleft()
        return batch


@mutant(
    "P44",
    "a write is acknowledged when it is taken, not when it is chosen",
    rule="every answer comes from the log",
    paper="Ongaro's thesis, 6.3",
    breaks="DL",
    oracle="durability",
    difficulty="easy",
)
class AnswersWhenTaken(Proposer):
    def on_request(self, source: int, message: Request) -> None:
        super().on_request(source, message)
        command = message.command
        if command.f == "write" and self.is_in_progress(command):
            self.send(client_address(command.client), Reply(command.client, command.seq, "ok", None, self.node))


@mutant(
    "P45",
    "pages of a promise with one slot between them count as whole",
    rule="promises count only when all their pages are there",
    paper="Paxos Made Simple, 2.2, phase 1b",
    breaks="A",
    oracle="vote",
    difficulty="hard",
)
class OverlooksAGapBetweenPages(PromiseBook):
    def told(self, source: int) -> int:
        told = self.first_slot
        for start, behind in sorted(self.pages[source].items()):
            if start <= told + 1:
                told = max(told, behind)
        return told


@mutant(
    "P47",
    "the leader counts its own vote as soon as it proposes",
    rule="a value is chosen when a quorum has voted, and each vote is durable",
    paper="Paxos Made Simple, 2.2",
    breaks="AD",
    oracle="decision",
    deployments=("collapsed",),
)
class CountsItself(Proposer):
    def is_chosen(self, proposal: Proposal) -> bool:
        return self.is_quorum({*proposal.accepted_by, self.node})


@mutant(
    "P48",
    "a slot in which only a no-op was accepted counts as free",
    rule="nothing accepted is the absence of a vote, never a value",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="vote",
    difficulty="deep",
)
class NoOpAtTheTopIsNothing(Proposer):
    def top_slot(self, reported: dict[int, list[PastVote]]) -> int:
        return super().top_slot({slot: votes for slot, votes in reported.items() if any(vote.value for vote in votes)})


@mutant(
    "P46",
    "a retry of a command in flight is proposed a second time: retries of an overloaded cluster crowd out everything else",
    rule="a retry of what waits or is in flight adds nothing",
    breaks="P",
    oracle="liveness",
    difficulty="deep",
    paper="Ongaro's thesis, 6.3",
)
class ProposesRetriesAgain(Proposer):
    def is_in_progress(self, command: Command) -> bool:
        return False


@mutant(
    "P49",
    "a leader waits for ever for what an acceptor of its quorum has cut, though that acceptor is gone",
    rule="a leader that waits in vain for values cut elsewhere steps down",
    paper="Paxos Made Live, 4.2",
    breaks="P",
    source="this project's own Paxos (docs/track-record.md)",
    oracle="liveness",
    seen_in="worlds with small snapshots in which a minority stays broken",
    difficulty="deep",
    deployments=("collapsed",),
)
class WaitsForWhatIsGone(Proposer):
    def waits_in_vain(self) -> bool:
        return False


@mutant(
    "P50",
    "a leader gives up when the learners know more than it does: so does every one after it",
    rule="slots that learners have in durable snapshots are left to them",
    paper="Paxos Made Simple, 3",
    breaks="P",
    source="this project's own Paxos (docs/track-record.md)",
    oracle="liveness",
    seen_in="slow acceptors, a snapshot after every few slots",
    difficulty="deep",
    deployments=("classic",),
)
class GivesUpForWhatLearnersKnow(Proposer):
    def pass_over(self, floor: int) -> None:
        self.step_down(f"slots up to {floor} are decided")


@mutant(
    "P54",
    "of votes of one round the one told first is adopted, whichever node led",
    rule="ballots are ordered by round, then by node",
    paper="The Part-Time Parliament, 2.1, B1",
    breaks="A",
    oracle="vote",
    difficulty="deep",
)
class ComparesVotesByRound(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        return max(votes, key=lambda vote: (vote.chosen, vote.ballot[0])).value if votes else NO_OP


@mutant(
    "P56",
    "who leads again goes on behind the slots of its earlier leadership, though nobody else knows of them",
    rule="new commands go right above every slot reported",
    paper="Paxos Made Simple, 3",
    breaks="P",
    oracle="liveness",
    difficulty="deep",
)
class GoesOnBehindItsOwnSlots(Proposer):
    def inherit(self) -> None:
        before = self.next_slot
        super().inherit()
        self.next_slot = max(before, self.next_slot)


@mutant(
    "PQ2",
    "of equal ballots the vote told last is adopted",
    rule="P2c: the value of the highest-ballot vote",
    breaks="",
    equivalent="votes of one ballot in one slot have one value",
    paper="Paxos Made Simple, 2.2",
)
class AdoptsLastOfEqual(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        return super().value_to_propose(slot, votes[::-1])


@mutant(
    "PQ3",
    "new commands begin one slot higher than they must; the slot between is closed with a no-op",
    rule="new commands go above every slot reported",
    breaks="",
    equivalent="a slot more is closed with a no-op, phase 1 covers it",
    paper="Paxos Made Simple, 3",
)
class LeavesASlot(Proposer):
    def top_slot(self, reported: dict[int, list[PastVote]]) -> int:
        return super().top_slot(reported) + 1
