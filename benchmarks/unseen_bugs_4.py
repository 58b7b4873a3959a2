"""Forty further bugs, written blind like those of ``unseen_bugs.py``, ``_2`` and ``_3``: from the protocol code alone.

Neither strategies nor oracles were in view. Above each stands how it does harm. J01-J08 are blunt, J09-J28 moderate, J29-J40
need a combination (a leader change at the right moment and a crash, say). In the form of ``--mutants``:

    torture matrix --mutants benchmarks/unseen_bugs_4.py --trials 1 --budget 150
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from paxos_impl.acceptor import Acceptor
from paxos_impl.client import ClientSession, Finished
from paxos_impl.election import LEADING, PREPARING, Election
from paxos_impl.gate import Gate
from paxos_impl.kv import KeyValueStore
from paxos_impl.learner import Learner
from paxos_impl.log import Checkpoint, Log, VoteRecord
from paxos_impl.messages import (
    EXPIRED,
    NO_BALLOT,
    NO_OP,
    OK,
    Accept,
    Accepted,
    AnyMessage,
    Ballot,
    Command,
    PastVote,
    Prepare,
    Promise,
    Reply,
    Request,
    Value,
    client_address,
)
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import PromiseBook, Proposal, Proposer
from paxos_impl.replica import Replica
from paxos_impl.sessions import Outcome, Session, StateMachine
from paxos_impl.tally import Tally

# -- blunt ------------------------------------------------------------------------------------------------------------


# The leader tells the client that its write is done and dies before a quorum voted for it: the next leader has never heard of
# it. Or it is cut off right then: the next leader answers a read with the older value.
@mutant(
    "J01",
    "a write is acknowledged when it is proposed, not when it is applied",
    rule="a client is told of what is chosen and applied",
    breaks="D",
    difficulty="easy",
)
class AnswersAtOnce(Proposer):
    def next_batch(self) -> Value:
        batch = super().next_batch()
        for command in batch:
            if command.f == "write":
                self.send(client_address(command.client), Reply(command.client, command.seq, OK, None, self.node))
        return batch


# Slot 6 is chosen before slot 5 (whose Accept was lost): it is applied, slot 5 never is. A replica to which nothing was lost
# applied both, in order: their states differ from then on.
@mutant(
    "J02",
    "what is chosen is applied though a lower slot is missing, and that one is passed over",
    rule="in order",
    breaks="I",
    difficulty="easy",
)
class AppliesWhatIsThere(Learner):
    def apply_ready(self) -> None:
        for slot in sorted(self.decided):
            if slot > self.applied:
                self.apply(slot)


# A client that heard nothing repeats its append to the next leader, which has inherited the first copy: the command stands in
# two slots and is executed in both.
@mutant(
    "J03",
    "the last command of a session is not known again",
    rule="a seq is executed once",
    breaks="X",
    difficulty="easy",
)
class LastIsNoDuplicate(StateMachine):
    def is_duplicate(self, session: Session, command: Command) -> bool:
        return command.seq < session.seq


# An acceptor says "accepted", the leader counts it and answers the client, and a power cut takes the vote before it was synced.
# With the leader away the rest finds nothing in that slot.
@mutant(
    "J04",
    "an acceptor's answer to an Accept does not wait for the disk",
    rule="durability rule of the gate",
    breaks="D",
    difficulty="easy",
)
class AcceptedLeavesEarly(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return type(message) is Accepted or super().may_leave(message, offset)


# The leader chose a value with one follower, answered its client and died before that follower was told the commit index: the
# follower's promise tells a vote, not a chosen value. The next leader puts a no-op in its place.
@mutant(
    "J05",
    "a new leader takes over chosen values only; a slot that has but votes becomes a no-op",
    rule="P2c",
    breaks="A",
    difficulty="easy",
)
class VotesCountForNothing(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        return next((vote.value for vote in votes if vote.chosen), NO_OP)


# After a leader change the highest slot any promise reported is neither learned nor proposed again, and new commands go behind
# it: nothing is applied any more, while the leader goes on to send heartbeats and nobody replaces it.
@mutant(
    "J06",
    "a new leader takes over all slots but the highest one",
    rule="gaps are closed",
    breaks="P",
    difficulty="easy",
)
class HighestSlotLeftOpen(Proposer):
    def slots_to_close(self, reported: dict[int, list[PastVote]], top: int) -> Iterable[int]:
        return range(self.commit + 1, top)


# Two nodes whose timers ran out together take the same round, and so the same ballot: an acceptor promises it to both, and
# each proposes its own value in the same slot. The votes of the two are added up.
@mutant(
    "J07",
    "the ballots of all proposers bear the id of the first one",
    rule="B1: a ballot has one owner",
    breaks="A",
    difficulty="easy",
)
class BallotsInCommon(Proposer):
    def next_ballot(self) -> Ballot:
        return (self.round + 1, min(self.config.proposers))


# An Accept is lost on its way to so many that no quorum is left. Those who voted are asked again, for ever, the others never:
# the slot stays open, nothing behind it is applied, and the leader, whose heartbeats are answered, stays.
@mutant(
    "J08",
    "an Accept is repeated to those who have answered it",
    rule="retransmission",
    breaks="P",
    difficulty="easy",
)
class RepeatsToTheWrongOnes(Proposer):
    def retransmit(self) -> None:
        before_ns = self.context.now_ns - self.config.retransmit_ns
        for slot, proposal in self.proposals.items():
            if proposal.sent_ns <= before_ns:
                proposal.sent_ns = self.context.now_ns
                for acceptor in sorted(proposal.accepted_by):
                    self.send(acceptor, Accept(self.ballot, slot, proposal.value, self.commit))


# -- moderate: acceptor and leader change -----------------------------------------------------------------------------


# Two candidates hold ballots of one round, (7, 0) and (7, 1). An acceptor that promised the higher one, with no vote to tell,
# then votes for the lower one: both leaders have a quorum for their own value in that slot.
@mutant(
    "J09",
    "an acceptor compares the rounds of ballots, not their owners, when it is asked for a vote",
    rule="accept unless a higher ballot was promised",
    breaks="A",
    difficulty="medium",
)
class AcceptsWithinTheRound(Acceptor):
    def may_accept(self, ballot: Ballot, slot: int) -> bool:
        return ballot[0] >= self.promised[0]


# A candidate lags behind, and what an acceptor has to tell takes two pages: the second is never sent, the first claims to be
# the last. Chosen values of the second look like free slots, and get others.
@mutant(
    "J10",
    "a promise tells what fits into one page and says that this is all",
    rule="a promise tells every vote",
    breaks="A",
    difficulty="medium",
)
class OnePageOnly(Acceptor):
    def promise_pages(self, message: Prepare) -> Iterator[Promise]:
        page = next(super().promise_pages(message))
        yield Promise(page.ballot, page.start, True, page.floor, page.votes)


# The first page of a promise is lost or comes late, the last one comes: the promise counts. The votes of the missing page are
# not reported, and slots that hold a chosen value get a no-op.
@mutant(
    "J11",
    "a promise is complete when its last page has come",
    rule="promises count only when all their pages are there",
    breaks="A",
    difficulty="medium",
)
class LastPageSuffices(PromiseBook):
    def complete(self) -> list[int]:
        return list(self.last_page)


# An acceptor votes in slot 101, writes a checkpoint for slot 100 and is restarted: the segment with the vote is cut, the
# checkpoint's copy is not read. If the vote made the quorum, and the other voter is away, the value is gone.
@mutant(
    "J12",
    "the votes in a checkpoint are not taken up after a restart",
    rule="a vote is never forgotten",
    breaks="D",
    difficulty="medium",
)
class CheckpointWithoutVotes(Acceptor):
    def recover_checkpoint(self, checkpoint: Checkpoint) -> None:
        super().recover_checkpoint(checkpoint)
        self.votes.clear()


# A leader steps down with slots 6 to 9 in flight, another one chooses values there, and the first leads again before it has
# learned them: it asks from slot 10 on, hears nothing of 6 to 9 and closes them with no-ops.
@mutant(
    "J13",
    "who led before asks for promises from the slot on that it would have proposed next",
    rule="phase 1 covers every slot not known chosen",
    breaks="A",
    difficulty="medium",
)
class PreparesFromItsNextSlot(Proposer):
    def first_slot_to_prepare(self) -> int:
        return max(self.commit + 1, self.next_slot)


# A deleted key is left out of the snapshot. A replica that restarts from it, or installs it, answers a read of that key as if
# it had never been written; the others tell of the tombstone.
@mutant(
    "J14",
    "tombstones are not put into snapshots",
    rule="a snapshot holds the whole state",
    breaks="R",
    difficulty="medium",
)
class SnapshotWithoutTombstones(KeyValueStore):
    def snapshot(self) -> dict[str, object]:
        return {key: value for key, value in super().snapshot().items() if not isinstance(value, dict)}


# Slot 6 is chosen, slot 5 is not: only the leader and one follower of five voted there. The heartbeat says 6, so that follower
# takes its vote in slot 5 for chosen. Leader and follower are cut off, and the other three choose a no-op in slot 5.
@mutant(
    "J15",
    "the commit index a heartbeat tells is the highest chosen slot, gaps or not",
    rule="the commit index is the end of the contiguous run",
    breaks="A",
    difficulty="hard",
    deployments=("collapsed",),
)
class CommitOverGaps(Proposer):
    def commit_index(self) -> int:
        return max(self.chosen_above, default=self.commit)


# A candidate gives up round 7 and tries round 9. An acceptor's answer to round 7 comes only now: since then it voted in round 8
# for a value that was chosen. It counts as a promise of round 9, without that vote.
@mutant(
    "J16",
    "a promise of any ballot of its own counts for a candidate, also of an earlier try",
    rule="promises are keyed by ballot",
    breaks="A",
    difficulty="medium",
)
class PromisesOfEarlierTries(Proposer):
    def counts_promise(self, message: Promise) -> bool:
        return self.state == PREPARING and message.ballot[1] == self.node


# A leader that lost its quorum refuses also the commands that some acceptor has a vote for. The client hears nothing but
# refusals until it gives up, and reports a failure; the next leader takes the command over and it is executed.
@mutant(
    "J17",
    "who steps down refuses also the commands it has proposed",
    rule="a command is refused only if it was never proposed",
    breaks="L",
    difficulty="medium",
)
class RefusesWhatIsInFlight(Proposer):
    def on_stepped_down(self) -> None:
        for proposal in self.proposals.values():
            for command in proposal.value:
                self.refuse(command)
        super().on_stepped_down()


# A replica that lags asks a peer which voted in slots nobody knows to be chosen, perhaps under a leader that was deposed since:
# it learns those values, though another leader chooses different ones.
@mutant(
    "J18",
    "who is asked for chosen values goes on with its own votes where those end",
    rule="a learner learns chosen values only",
    breaks="A",
    difficulty="medium",
    deployments=("collapsed",),
)
class ServesVotesToo(Learner):
    def values_to_serve(self, slot: int) -> tuple[Value, ...]:
        values = list(super().values_to_serve(slot))
        while slot + len(values) in self.votes and len(values) < 64:
            values.append(self.votes[slot + len(values)][1])
        return tuple(values)


# The old leader chose a write, answered the client and died. The new one, which has only a vote for it, is asked for a read
# before it has chosen that slot again: it hears a quorum, answers from its state and tells the older value.
@mutant(
    "J19",
    "a leader that hears a quorum answers reads from its own state",
    rule="reads go through the log",
    breaks="L",
    difficulty="medium",
    deployments=("collapsed",),
)
class ReadsUnderALease(Proposer):
    def on_request(self, source: int, message: Request) -> None:
        command = message.command
        learner = getattr(self.household, "learner", None)
        if command.f == "read" and self.state == LEADING and self.hears_quorum() and learner is not None:
            result = learner.machine.store.read(command.key)
            self.send(client_address(command.client), Reply(command.client, command.seq, OK, result, self.node))
            return
        super().on_request(source, message)


# The value was chosen by the old leader and this candidate, and the old leader is dead. The third node's promise comes before
# the candidate's own, which waits for its disk: the quorum seems complete, and the candidate's own vote is not looked at.
@mutant(
    "J20",
    "a candidate counts itself among those that promised, before its own promise has come",
    rule="a quorum of complete promises",
    breaks="A",
    difficulty="medium",
    deployments=("collapsed",),
)
class PromisedByItself(Proposer):
    def promise_quorum(self) -> list[int]:
        complete = super().promise_quorum()
        return complete if self.node in complete else [*complete, self.node]


# -- moderate: sessions, clients, storage, clocks, catch-up ------------------------------------------------------------


# A compare-and-set stands in two slots (a retry to a new leader). The first copy fails and the client is told; another client
# writes the expected value; the second copy is not known again, and takes place.
@mutant(
    "J21",
    "a compare-and-set that failed is not remembered: it changed nothing",
    rule="a seq is executed once",
    breaks="X",
    difficulty="medium",
)
class FailedSwapForgotten(StateMachine):
    def remember(self, session: Session, command: Command, result: object) -> None:
        if command.f != "cas" or not isinstance(result, list) or result[0]:
            super().remember(session, command, result)


# The first attempt reached a leader that proposed it and was cut off; the second was refused by a node that does not lead. The
# client reports a failure, and the next leader takes the command over.
@mutant(
    "J22",
    "an operation failed for sure if its last attempts were refused, whatever became of the first",
    rule="definite failure",
    breaks="L",
    difficulty="medium",
)
class OneRefusalSuffices(ClientSession):
    def is_definite_failure(self) -> bool:
        return super().is_definite_failure() or self._refused > 0


# The session was asked for twice, since the first answer came late. The second answer comes while a read is in flight: the read
# ends with the number of the session for its result. A write ends before it is executed.
@mutant(
    "J23",
    "an answer to the opening of the session counts also when the session is open",
    rule="an answer belongs to one operation",
    breaks="L",
    difficulty="medium",
)
class OpeningAnswersAll(ClientSession):
    def answers(self, reply: Reply, operation: Command) -> bool:
        return reply.seq == 0 or super().answers(reply, operation)


# An append was executed, its answer lost, and the session made room for others. The retry is refused as expired, so the client
# opens another session and repeats the append under it: nothing tells that it was executed before.
@mutant(
    "J24",
    "a client whose session has expired opens another one and repeats the operation",
    rule="after an expiry nobody knows whether it was executed",
    breaks="X",
    difficulty="medium",
)
class RepeatsInANewSession(ClientSession):
    def on_reply(self, now_ns: int, source: int, reply: Reply) -> Finished | None:
        operation = self._operation
        if operation is not None and reply.client == self.client and reply.status == EXPIRED and self.session:
            if self.answers(reply, operation):
                self.session = 0
                self._attempt(now_ns)
            return None
        return super().on_reply(now_ns, source, reply)


# A vote is appended while a sync is under way: it is not covered by it. When that sync ends the vote counts as durable, its
# answer leaves, the write is acknowledged, and a power cut before the next sync takes the vote.
@mutant(
    "J25",
    "when a sync ends all that was appended by then counts as durable",
    rule="durable is what was handed over before the sync began",
    breaks="D",
    difficulty="medium",
)
class SyncCoversLatecomers(Log):
    def end_sync(self) -> int | None:
        slot = super().end_sync()
        self.durable = self.end
        return slot


# The leader's clock is set back by a minute while an Accept is lost: for a minute it seems to have been sent just now and is
# not repeated. The leader's heartbeats go on, nobody replaces it, and nothing behind that slot is applied.
@mutant(
    "J26",
    "when the clock is set back the times at which Accepts were sent stay as they were",
    rule="times noted move with the clock",
    breaks="P",
    difficulty="medium",
)
class SentInTheFuture(Proposer):
    def on_clock_set_back(self, by_ns: int) -> None:
        Election.on_clock_set_back(self, by_ns)


# A learner lags so far behind that the proposers have dropped what it lacks: only another learner's snapshot can help. It asks
# the leader, which told the commit index, over and over, and nobody else.
@mutant(
    "J27",
    "what is missing is asked only of the one that told the commit index",
    rule="one peer after the other is asked",
    breaks="P",
    difficulty="medium",
)
class AsksOnePeerOnly(Learner):
    def catch_up_peer(self) -> int:
        return self.commit_source if self.commit_source not in (-1, self.node) else super().catch_up_peer()


# A client read slot 40's value at one replica and turns to another. That one heard that slot 40 is chosen but has applied 35
# only: it takes itself for new enough and answers with an older value.
@mutant(
    "J28",
    "a learner answers local reads if it has heard of the slot asked for, though it did not apply it",
    rule="versions a client reads never sink",
    breaks="L",
    difficulty="medium",
)
class HeardIsReadable(Learner):
    def may_read_locally(self, at_least: int) -> bool:
        return max(self.applied, self.known_commit) >= at_least


# -- subtle -----------------------------------------------------------------------------------------------------------


# Leader A of three voted for w in slot 5 (nobody else heard of it), and its slot 6 reached B. A is away; B closes the gap with
# a no-op, chosen by B and C. B dies, A comes back: C keeps quiet about the no-op, and w is proposed in slot 5.
@mutant(
    "J29",
    "a promise leaves out no-ops: an empty batch is taken for no value",
    rule="a chosen no-op is no free slot",
    breaks="A",
    difficulty="hard",
)
class NoOpsUntold(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        return [vote for vote in super().promise_content(slot) if vote.value]


# Of five, A (ballot 1) is cut off with v in slot 5. B leads by the promises of B, D, E; B, C and D choose w. C restarts, with
# the promise of ballot 1, and A repeats its Accept to C: v overwrites w. B and D go, and A, C and E find v only.
@mutant(
    "J30",
    "a vote that is read back after a restart does not raise the promise",
    rule="accepting raises the promise, over all incarnations",
    breaks="A",
    difficulty="hard",
)
class PromiseOfVotesForgotten(Acceptor):
    def recover_vote(self, record: VoteRecord) -> None:
        promised = self.promised
        super().recover_vote(record)
        self.promised = promised


# The opening of a session was sent twice and its second copy is chosen late, behind an append whose answer was lost. The
# session starts anew at seq 0, and the retry of the append is executed again.
@mutant(
    "J31",
    "opening a session that is open already begins it anew",
    rule="a session remembers its last command",
    breaks="X",
    difficulty="hard",
)
class OpensAnew(StateMachine):
    def open(self, slot: int, place: int, command: Command) -> Outcome:
        session = self.sessions.get(command.client)
        if session is not None:
            session.seq, session.result = 0, None
        return super().open(slot, place, command)


# Two candidates of one round: (7, 0) led long enough that node 0 voted for v in slot 5, (7, 1) chose w there with the others.
# Node 0 misses that Accept and hears the commit index of (7, 1): its own vote has the right round, so it learns v.
@mutant(
    "J32",
    "an own vote is chosen if its ballot has the round of the leader that says so",
    rule="a vote of that leader's ballot",
    breaks="A",
    difficulty="hard",
    deployments=("collapsed",),
)
class ChosenWithinTheRound(Learner):
    def is_chosen_vote(self, vote: tuple[Ballot, Value], ballot: Ballot) -> bool:
        return vote[0][0] == ballot[0]


# A has v of ballot 1, B has w of ballot 2. Leader 3 hears A and C, takes v over and has it chosen by them; A's vote stays one
# of ballot 1, for the value is the same. C is away: leader 4 hears A and B, and w of ballot 2 is the highest.
@mutant(
    "J33",
    "who voted for the same value in an older ballot need not vote again",
    rule="a vote bears the ballot it was cast in last",
    breaks="A",
    difficulty="deep",
)
class SameValueIsEnough(Acceptor):
    def has_voted(self, ballot: Ballot, slot: int, value: Value) -> bool:
        vote = self.votes.get(slot)
        return vote is not None and vote[1] == value


# B promised ballot 9 with nothing to tell, wrote a checkpoint (no vote of ballot 9 in it) and was restarted. The old leader of
# ballot 8, cut off from the new one, asks B for a vote: its value and that of ballot 9 are both chosen in one slot.
@mutant(
    "J34",
    "a checkpoint keeps the ballot of the highest vote in it for the promise",
    rule="promises never sink",
    breaks="A",
    difficulty="hard",
)
class CheckpointOfVotesOnly(Acceptor):
    def checkpoint(self, slot: int, state: bytes, round_: int, chosen: tuple[tuple[int, Value], ...]) -> Checkpoint:
        made = super().checkpoint(slot, state, round_, chosen)
        return msgspec.structs.replace(made, promised=max((vote[1] for vote in made.votes), default=NO_BALLOT))


# A new leader inherits a command in slot 6 and puts the client's retry of it into slot 9, whose Accept reaches one follower.
# Once slot 6 is applied the repeated Accept of slot 9 holds fewer commands: two followers learn different values of one ballot.
@mutant(
    "J35",
    "a repeated Accept leaves out commands that were executed meanwhile",
    rule="a ballot has one value in a slot",
    breaks="A",
    difficulty="deep",
    deployments=("collapsed",),
)
class RepeatsWhatIsLeft(Proposer):
    def value_to_retransmit(self, slot: int, proposal: Proposal) -> Value:
        return tuple(command for command in proposal.value if self.household.outcome_of(command) is None)


# A replica fetches a snapshot of several pages from a peer that takes the next one meanwhile: the later pages are of that one.
# What is put together cannot be read, or it mixes the states of two slots.
@mutant(
    "J36",
    "pages are cut from the latest snapshot, though the transfer began with an older one",
    rule="pages of one snapshot make a whole",
    breaks="R",
    difficulty="hard",
)
class PagesOfTheLatest(Learner):
    def send_page(self, target: int, slot: int, page: int) -> None:
        self.served[target] = (slot, self.snapshot_data)
        super().send_page(target, slot, page)


# (7, 0) got one vote for v in slot 5 before (7, 1), which knew nothing of it, proposed w there. A learner that has seen the
# vote for v adds up both and learns v when one vote for w comes from another acceptor; w is chosen.
@mutant(
    "J37",
    "votes of ballots of one round are added up",
    rule="votes of different ballots are never added up",
    breaks="A",
    difficulty="hard",
    deployments=("classic",),
)
class CountsByRound(Tally):
    def counted_under(self, ballot: Ballot, value: Value) -> Ballot:
        return (ballot[0], 0)


# A and C chose slots 31-50; A took a snapshot and cut its log. B, at slot 30, becomes leader with A's promise and its own: it
# knows no value there, and goes on as if those slots were free. C votes for B's no-ops before A's objection comes.
@mutant(
    "J38",
    "a new leader heeds the lowest of the floors it was told",
    rule="what an acceptor has cut is chosen",
    breaks="A",
    difficulty="hard",
)
class LowestFloor(Proposer):
    def heed_floors(self, floors: dict[int, int]) -> None:
        super().heed_floors(dict.fromkeys(floors, min(floors.values(), default=0)))


# A replica voted for v in slot 11, which lost; it learns slots up to 12 from a peer, w in slot 11, and slot 10 makes it write a
# checkpoint. After a restart the checkpoint says "chosen up to 12", and the vote for v is all that is left of slot 11.
@mutant(
    "J39",
    "a checkpoint holds the votes above the snapshot, but not which values were chosen there",
    rule="the log holds the chosen value of every slot it calls chosen",
    breaks="A",
    difficulty="deep",
    deployments=("collapsed",),
)
class CheckpointWithoutChosen(Replica):
    def checkpoint(self) -> Checkpoint:
        return msgspec.structs.replace(super().checkpoint(), chosen=())


# A checkpoint begins a new segment while the last votes stand unsynced in the old one. The next sync lets their answers go, and
# a power cut comes before the checkpoint, which holds them too, has got its name.
@mutant(
    "J40",
    "a sync covers the newest segment only",
    rule="a sync covers all that was appended",
    breaks="D",
    difficulty="deep",
)
class NewestSegmentOnly(Log):
    def begin_sync(self) -> None:
        for name in list(self._unsynced)[:-1]:
            del self._unsynced[name]
        super().begin_sync()
