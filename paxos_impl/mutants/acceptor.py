"""Planted bugs of the acceptor: what it promises, votes, remembers and tells."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from paxos_impl.acceptor import Acceptor
from paxos_impl.log import Checkpoint, PromiseRecord, VoteRecord
from paxos_impl.messages import NO_BALLOT, Accept, Accepted, Ballot, PastVote, Prepare, Promise, Value
from paxos_impl.mutants.registry import mutant


@mutant(
    "A01",
    "a promise is not written to the log",
    rule="a promise is durable before it is said",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    source="Synod B3; the seed package",
    oracle="promise",
)
class PromiseNotLogged(Acceptor):
    def log_promise(self, ballot: Ballot) -> None:
        pass


@mutant(
    "A02",
    "a vote is not written to the log",
    rule="a vote is durable before it is said",
    paper="The Part-Time Parliament, 2.3",
    breaks="AD",
    source="the seed package (amnesia)",
    oracle="vote",
    difficulty="easy",
)
class VoteNotLogged(Acceptor):
    def log_vote(self, ballot: Ballot, slot: int, value: Value) -> None:
        pass


@mutant(
    "A04",
    "accepting does not raise the promise",
    rule="accepting is promising",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    source="the seed package; cassandra PR 1327",
    oracle="promise",
)
class AcceptDoesNotPromise(Acceptor):
    def raise_promise(self, ballot: Ballot) -> None:
        pass


@mutant(
    "A05",
    "accepts without looking at the promise",
    rule="accept unless a higher ballot was promised",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="promise",
    difficulty="easy",
)
class AcceptIgnoresPromise(Acceptor):
    def may_accept(self, ballot: Ballot, slot: int) -> bool:
        return True


@mutant(
    "A07",
    "in a slot it voted in, a lower ballot's Accept overwrites the vote",
    rule="accept unless a higher ballot was promised",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    source="the seed package, second half",
    oracle="promise",
)
class LowerBallotOverwrites(Acceptor):
    def may_accept(self, ballot: Ballot, slot: int) -> bool:
        return slot in self.votes or super().may_accept(ballot, slot)


@mutant(
    "A08",
    "a promise leaves out the votes",
    rule="a promise tells every vote",
    paper="Paxos Made Simple, 2.2, phase 1b",
    breaks="A",
    oracle="vote",
    difficulty="easy",
)
class PromiseWithoutVotes(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        return [vote for vote in super().promise_content(slot) if vote.chosen]


@mutant(
    "A09",
    "a promise leaves out the slots known chosen",
    rule="a promise tells every vote and every chosen value",
    paper="Paxos Made Simple, 3",
    breaks="A",
    source="paxi (reproduced)",
    oracle="vote",
    deployments=("collapsed",),
)
class PromiseWithoutChosen(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        return [vote for vote in super().promise_content(slot) if not vote.chosen]


@mutant(
    "A11",
    "a new promise forgets the votes",
    rule="votes outlive promises",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    oracle="vote",
    difficulty="easy",
)
class PromiseResetsVotes(Acceptor):
    def make_promise(self, ballot: Ballot) -> None:
        super().make_promise(ballot)
        self.votes.clear()


@mutant(
    "L11",
    "a late Accept that comes twice cuts off the votes behind it",
    rule="a vote lasts until a higher ballot's replaces it",
    paper="The Part-Time Parliament, 2.3",
    breaks="DA",
    source="PySyncObj (reproduced); Raft 5.3",
    oracle="vote",
    difficulty="hard",
)
class LateAcceptTruncates(Acceptor):
    def on_accept(self, source: int, message: Accept) -> None:
        if message.slot in self.votes:
            for slot in [slot for slot in self.votes if slot > message.slot]:
                del self.votes[slot]
        super().on_accept(source, message)


@mutant(
    "A17",
    "one variable for the ballot promised and the ballot voted in",
    rule="prevVote keeps the ballot of the vote",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    source="EPaxos, arXiv 1906.10917",
    oracle="vote",
)
class VoteToldAtPromise(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        content = super().promise_content(slot)
        return [vote if vote.chosen else msgspec.structs.replace(vote, ballot=self.promised) for vote in content]


@mutant(
    "A20",
    "a vote read back from the log does not raise the promise",
    rule="accepting is promising, over restarts too",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="promise",
)
class RecoveredVoteDoesNotPromise(Acceptor):
    def recover_vote(self, record: VoteRecord) -> None:
        promised = self.promised
        super().recover_vote(record)
        self.promised = promised


@mutant(
    "A21",
    "the checkpoint leaves out the promise",
    rule="a checkpoint holds all that must not be forgotten",
    paper="Paxos Made Live, 5.5",
    breaks="A",
    oracle="promise",
)
class CheckpointWithoutPromise(Acceptor):
    def checkpoint(self, slot: int, state: bytes, round_: int, chosen: tuple[tuple[int, Value], ...]) -> Checkpoint:
        made = super().checkpoint(slot, state, round_, chosen)
        return msgspec.structs.replace(made, promised=NO_BALLOT)


@mutant(
    "A22",
    "the checkpoint leaves out the votes",
    rule="a checkpoint holds all that must not be forgotten",
    paper="Paxos Made Live, 5.5",
    breaks="AD",
    oracle="vote",
)
class CheckpointWithoutVotes(Acceptor):
    def checkpoint(self, slot: int, state: bytes, round_: int, chosen: tuple[tuple[int, Value], ...]) -> Checkpoint:
        made = super().checkpoint(slot, state, round_, chosen)
        return msgspec.structs.replace(made, votes=())


@mutant(
    "A23",
    "a promise of many pages says that its first page is the last",
    rule="a promise tells every vote",
    paper="Paxos Made Simple, 2.2, phase 1b",
    breaks="A",
    oracle="vote",
    difficulty="hard",
)
class FirstPageIsLast(Acceptor):
    def promise_pages(self, message: Prepare) -> Iterator[Promise]:
        first = next(iter(super().promise_pages(message)))
        yield msgspec.structs.replace(first, last=True)


@mutant(
    "A24",
    "a promise begins one slot too high",
    rule="a promise tells every vote in the slots asked for",
    paper="Paxos Made Simple, 3",
    breaks="A",
    oracle="vote",
)
class PromiseSkipsFirstSlot(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        return super().promise_content(slot + 1)


@mutant(
    "A25",
    "the same value again at a higher ballot is acknowledged, but not recorded as a new vote",
    rule="a vote bears the ballot it was cast in",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="decision, vote",
)
class SameValueIsNoNewVote(Acceptor):
    def has_voted(self, ballot: Ballot, slot: int, value: Value) -> bool:
        vote = self.votes.get(slot)
        return vote is not None and vote[1] == value


@mutant(
    "A26",
    "cutting the log forgets the votes above the cut as well",
    rule="only chosen slots covered by snapshots are cut",
    paper="Paxos Made Live, 5.5",
    breaks="A",
    oracle="vote",
)
class CutsAllVotes(Acceptor):
    def cut(self, floor: int) -> None:
        if floor > self.floor:
            self.votes.clear()
        super().cut(floor)


@mutant(
    "A27",
    "promises a lower ballot after a higher one",
    rule="P1a",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="promise",
    difficulty="easy",
)
class PromisesAnything(Acceptor):
    def on_prepare(self, source: int, message: Prepare) -> None:
        self.promised = min(self.promised, message.ballot)
        super().on_prepare(source, message)


@mutant(
    "A28",
    "recovery reads the votes behind the checkpoint, not the promises",
    rule="neither promise nor votes sink, over all incarnations",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    oracle="promise",
)
class PromiseNotRecovered(Acceptor):
    def recover_promise(self, record: PromiseRecord) -> None:
        pass


@mutant(
    "A29",
    "a promise tells only the last eight votes",
    rule="a promise tells every vote",
    paper="Paxos Made Simple, 2.2, phase 1b",
    breaks="A",
    oracle="vote",
    difficulty="easy",
)
class PromiseTellsTheLastEight(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        return super().promise_content(slot)[-8:]


@mutant(
    "A30",
    "a promise leaves out the slots that the sender's own log knows chosen",
    rule="a promise tells every vote and every chosen value",
    paper="Paxos Made Simple, 3",
    breaks="A",
    oracle="vote",
    deployments=("collapsed",),
)
class PromiseAboveOwnCommit(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        return super().promise_content(max(slot, self.chosen_in_log() + 1))


@mutant(
    "A31",
    "a promise does not say that values were cut",
    rule="a promise tells up to where values were cut",
    paper="Paxos Made Live, 5.5",
    breaks="A",
    oracle="vote",
)
class PromiseWithoutFloor(Acceptor):
    def promise_pages(self, message: Prepare) -> Iterator[Promise]:
        for page in super().promise_pages(message):
            yield msgspec.structs.replace(page, floor=0)


@mutant(
    "A32",
    "of the votes of one batch only the first is logged",
    rule="a vote is durable before it is said",
    paper="The Part-Time Parliament, 2.3",
    breaks="AD",
    oracle="vote",
)
class LogsTheFirstOfABatch(Acceptor):
    def log_vote(self, ballot: Ballot, slot: int, value: Value) -> None:
        if not self.context.log.pending:
            super().log_vote(ballot, slot, value)


@mutant(
    "A33",
    "recovery keeps the first vote of a slot, not the last",
    rule="the vote cast last in a slot counts",
    paper="The Part-Time Parliament, 2.3",
    breaks="AD",
    oracle="vote",
)
class RecoversTheFirstVote(Acceptor):
    def recover_vote(self, record: VoteRecord) -> None:
        first = self.votes.get(record.slot)
        super().recover_vote(record)
        if first is not None:
            self.votes[record.slot] = first


@mutant(
    "A34",
    "of a promise only the round is logged, not whose it is",
    rule="ballots belong to one node",
    paper="The Part-Time Parliament, 2.1, B1",
    breaks="A",
    oracle="promise",
)
class LogsTheRoundOnly(Acceptor):
    def log_promise(self, ballot: Ballot) -> None:
        self.context.log.append(PromiseRecord((ballot[0], 0)))


@mutant(
    "A35",
    "the checkpoint's promise is the highest ballot voted in",
    rule="a checkpoint holds all that must not be forgotten",
    paper="Paxos Made Live, 5.5",
    breaks="A",
    oracle="promise",
    difficulty="hard",
)
class CheckpointPromisesTheHighestVote(Acceptor):
    def checkpoint(self, slot: int, state: bytes, round_: int, chosen: tuple[tuple[int, Value], ...]) -> Checkpoint:
        made = super().checkpoint(slot, state, round_, chosen)
        return msgspec.structs.replace(
            made, promised=max((ballot for ballot, _ in self.votes.values()), default=NO_BALLOT)
        )


@mutant(
    "A36",
    "a refused Accept is acknowledged",
    rule="accept unless a higher ballot was promised",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    oracle="decision",
)
class AcknowledgesWhatItRefuses(Acceptor):
    def on_accept(self, source: int, message: Accept) -> None:
        if self.may_accept(message.ballot, message.slot):
            super().on_accept(source, message)
        else:
            self.send(source, Accepted(message.ballot, message.slot))


@mutant(
    "A37",
    "the log vouches for one slot more than is chosen",
    rule="every slot up to the logged commit index has its chosen value in the log",
    paper="Paxos Made Live, 5.5",
    breaks="A",
    oracle="decision",
    deployments=("collapsed",),
)
class VouchesForOneMore(Acceptor):
    def chosen_in_log(self) -> int:
        return super().chosen_in_log() + 1


@mutant(
    "A38",
    "the checkpoint forgets the round",
    rule="lastTried is kept over checkpoints",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    oracle="ballot",
    deployments=("collapsed",),
)
class CheckpointWithoutRound(Acceptor):
    def checkpoint(self, slot: int, state: bytes, round_: int, chosen: tuple[tuple[int, Value], ...]) -> Checkpoint:
        return super().checkpoint(slot, state, 0, chosen)


@mutant(
    "AQ1",
    "a repeated Accept is known by its ballot alone",
    rule="a repeated Accept is answered again",
    breaks="",
    equivalent="a ballot has one value a slot, so the value need not be compared",
    paper="Paxos Made Simple, 2.2",
)
class KnowsVoteByBallot(Acceptor):
    def has_voted(self, ballot: Ballot, slot: int, value: Value) -> bool:
        vote = self.votes.get(slot)
        return vote is not None and vote[0] == ballot


@mutant(
    "AQ2",
    "a repeated Prepare of the promised ballot is refused",
    rule="P1a",
    breaks="",
    equivalent="the candidate loses one promise at most and tries again with a higher ballot",
    paper="Paxos Made Simple, 2.2",
)
class StrictPrepare(Acceptor):
    def may_promise(self, ballot: Ballot) -> bool:
        return self.precedes(self.promised, ballot)
