"""Forty further bugs, the fifth set, written blind like those of ``unseen_bugs.py`` to ``_4``: from the protocol code alone.

Neither strategies nor oracles were in view. Above each stands how it does harm. K01-K08 are blunt, K09-K28 moderate, K29-K40
need a combination (a leader change at the right moment and a crash, say). In the form of ``--mutants``:

    torture matrix --mutants benchmarks/unseen_bugs_5.py --trials 1 --budget 150
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from paxos_impl.acceptor import Acceptor
from paxos_impl.client import LOCAL_READ, ClientSession, Finished
from paxos_impl.election import LEADING
from paxos_impl.gate import Gate
from paxos_impl.kv import KeyValueStore
from paxos_impl.learner import Learner
from paxos_impl.log import AnyRecord, Checkpoint, Log, segment_name
from paxos_impl.messages import (
    NOT_LEADER,
    OK,
    Accept,
    AnyMessage,
    Ballot,
    Command,
    HeartbeatReply,
    Learn,
    LocalValue,
    PastVote,
    Prepare,
    PreVoteReply,
    Reply,
    Value,
)
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import Proposal, Proposer
from paxos_impl.replica import Replica
from paxos_impl.sessions import DUPLICATE, Outcome, Session, StateMachine

# -- blunt ------------------------------------------------------------------------------------------------------------


# A replica lacks slots 6 and 7, asks for them and gets them. A second copy of the answer (the network doubled it, or the
# question was asked twice) comes when it has learned up to 7: the values of 6 and 7 are learned again, as 8 and 9. So it
# executes other commands in these slots than everybody else.
@mutant(
    "K01",
    "a page of chosen values is put behind what is learned, wherever it says that it begins",
    rule="a page of chosen values names its first slot",
    breaks="R",
    difficulty="easy",
)
class AppendsWhatIsLearned(Learner):
    def on_learn(self, source: int, message: Learn) -> None:
        super().on_learn(source, msgspec.structs.replace(message, slot=self.learned + 1))


# Every poll, every lost try and every change of the leader doubles the wait of each node, and nothing ever makes it short
# again. After ten changes the next leader that dies is missed only after a minute or more: until then no command is chosen.
@mutant(
    "K02",
    "the election timeout doubles whenever one is drawn, and is never reset",
    rule="backoff is bounded and ends with the first success",
    breaks="P",
    difficulty="easy",
)
class WaitOnlyGrows(Proposer):
    def election_wait_ns(self) -> int:
        return max(super().election_wait_ns(), 2 * self.wait_ns)


# The timer comes due once while the leader has nothing in flight, and is not set again. Later the Accept of some slot is lost
# on its way to a quorum: nobody repeats it, the slot stays open and blocks all behind it. The leader hears its quorum all the
# while, so no other one takes over.
@mutant(
    "K03",
    "the retransmission timer of a leader ends with the first quiet moment",
    rule="what is undecided is repeated",
    breaks="P",
    difficulty="easy",
)
class RepeatsUntilQuiet(Proposer):
    def on_retransmit_due(self) -> None:
        if self.state != LEADING or self.proposals:
            super().on_retransmit_due()


# Node B is restarted: A, which knows its first life, takes all that the second one says for stale. Then C is restarted too:
# A hears nobody any more, and B, which has spoken with C's first life, hears A alone. Whatever one asks, another one does not
# hear it or its answer: no quorum is left though everybody is up.
@mutant(
    "K04",
    "only the life of a peer that was heard first counts, also after its restart",
    rule="a message of an earlier life is dead",
    breaks="P",
    difficulty="easy",
    deployments="collapsed",
)
class KnowsTheFirstLife(Replica):
    def is_stale(self, source: int, incarnation: int) -> bool:
        return incarnation != self.incarnations.setdefault(source, incarnation)


# One client deletes a key, then another one deletes it, and is told that it is done. A read still finds the tombstone of the
# first: the second delete was acknowledged and had no effect.
@mutant(
    "K05",
    "deleting what is deleted already changes nothing",
    rule="a tombstone bears the identity of the last delete",
    breaks="L",
    difficulty="easy",
)
class FirstTombstoneStays(KeyValueStore):
    def delete(self, key: str, identity: object) -> None:
        if not isinstance(self.data.get(key), dict):
            super().delete(key, identity)


# B and C chose a value in slot 9 under the leader C, which dies. A, which never saw slot 9, asks for promises: its own comes
# first, and with itself added that makes two, a quorum of three. Nothing is reported in slot 9, so A puts a no-op or a new
# command there, and B accepts it.
@mutant(
    "K06",
    "a candidate adds itself to those that promised, though its own promise is among them",
    rule="a quorum of promises, each acceptor counted once",
    breaks="A",
    difficulty="easy",
)
class PromisesItself(Proposer):
    def promise_quorum(self) -> list[int]:
        return [*super().promise_quorum(), self.node]


# A client with an open session asks a server in the middle of an election and is refused without a hint. It sets no deadline,
# so it neither tries again nor gives up: its operation never ends, and it never begins another one. A few elections silence all
# clients.
@mutant(
    "K07",
    "a client that was refused without a hint sets no timer for its next try",
    rule="an operation is retried until it is answered or given up",
    breaks="P",
    difficulty="easy",
)
class WaitsForAHint(ClientSession):
    def on_reply(self, now_ns: int, source: int, reply: Reply) -> Finished | None:
        finished = super().on_reply(now_ns, source, reply)
        if self.busy and self.session and reply.status == NOT_LEADER and reply.leader < 0:
            self.deadline_ns = None
        return finished


# While a sync runs, an acceptor votes for slot 9; the end of that sync, which does not cover the vote, lets the Accepted go
# all the same. The leader counts it and tells the client. A power cut takes the vote, and a quorum of those that never had
# it finds slot 9 free.
@mutant(
    "K08",
    "the end of a sync lets go all that waits, also what was written after the sync began",
    rule="a message waits until the log is durable as far as it relies on it",
    breaks="D",
    difficulty="easy",
)
class LetsAllGo(Gate):
    def release_durable(self) -> None:
        while self.held:
            _, target, message = self.held.popleft()
            self._release(target, message)


# -- moderate ---------------------------------------------------------------------------------------------------------


# Node 2 gets promises for round 7 from nodes 0 and 1 and dies before it leads. They ask each other about a ballot of round 7,
# are denied because (7, 2) is above it, and do not take note of the round in the denial: they ask about the same ballot for
# ever. Until node 2 is back nobody leads.
@mutant(
    "K09",
    "the round that a denied pre-vote tells of is not noted",
    rule="rounds seen count",
    breaks="P",
)
class DeafToDenials(Proposer):
    def on_pre_vote_reply(self, source: int, message: PreVoteReply) -> None:
        if self.counts_pre_vote(message):
            super().on_pre_vote_reply(source, message)


# Node 0 is down, node 2 leads, and an Accept for node 1 is lost. The leader lacks one vote and repeats the Accept to one
# acceptor, the first that is silent: that is node 0, every time. The slot is never chosen, while node 1 keeps the leader in
# office with its heartbeats.
@mutant(
    "K10",
    "an Accept is repeated only to as many acceptors as votes are missing, the lowest first",
    rule="repeat what is undecided to all who did not answer",
    breaks="P",
)
class Thrifty(Proposer):
    def retransmit(self) -> None:
        before_ns = self.context.now_ns - self.config.retransmit_ns
        for slot, proposal in self.proposals.items():
            if proposal.sent_ns <= before_ns:
                proposal.sent_ns = self.context.now_ns
                silent = [one for one in self.config.acceptors if one not in proposal.accepted_by]
                for acceptor in silent[: self.quorum_size - len(proposal.accepted_by)]:
                    self.send(acceptor, Accept(self.ballot, slot, proposal.value, self.commit))


# The leader dies while the others cannot reach each other (or the polls, or the answers, are lost): each asks once for
# pre-votes, gets no quorum, and has no timer that would let it ask again. After the heal everybody waits for a leader.
@mutant(
    "K11",
    "who asks for pre-votes sets no timer to ask again",
    rule="the election timer is set in every state but leading",
    breaks="P",
)
class PollsOnce(Proposer):
    def ask_for_pre_votes(self) -> None:
        super().ask_for_pre_votes()
        self.clear_timer("election")


# The links to the leader break, those from it do not. Its heartbeats reach everybody, so nobody stands for election; no vote
# reaches it, so nothing is chosen. The quorum it heard when it was elected counts for ever, and it stays.
@mutant(
    "K12",
    "who was heard once in this reign counts as heard for all of it",
    rule="check-quorum looks at the last election timeout",
    breaks="P",
)
class ActiveForEver(Proposer):
    def hears_quorum(self) -> bool:
        return self.is_quorum(list(self.heard_ns))


# B's promise to C leaves, and the power goes before it is written. B comes back with its old promise and accepts slot 9 from
# the old leader A: with A's own vote the value is chosen. C leads with the promises of B and C, in which slot 9 was empty, and
# puts something else there.
@mutant(
    "K13",
    "the answer to a Prepare is sent before the promise is written to the log",
    rule="a promise is durable before it is said",
    breaks="A",
)
class SaysThenWrites(Acceptor):
    def on_prepare(self, source: int, message: Prepare) -> None:
        if not self.may_promise(message.ballot):
            super().on_prepare(source, message)
            return
        for promise in self.promise_pages(message):
            self.send(source, promise)
        if self.precedes(self.promised, message.ballot):
            self.make_promise(message.ballot)


# A, cut off with B out of five, sends B slots 5 and 6. With slot 6 B is told that 5 is chosen, has a vote of that ballot, and
# applies it. The other three elect a leader that knows nothing of slot 5 and choose another value.
@mutant(
    "K14",
    "the Accept of a slot says that all slots below it are chosen",
    rule="the commit index ends before the first slot that is not chosen",
    breaks="R",
    deployments="collapsed",
)
class TakesLowerOnesForChosen(Proposer):
    def propose(self, slot: int, value: Value) -> None:
        self.proposals[slot] = Proposal(value, self.context.now_ns)
        self.trace("propose", self.ballot, slot, value)
        for acceptor in self.config.acceptors:
            self.send(acceptor, Accept(self.ballot, slot, value, slot - 1))


# Out of five, only A and B voted for x in slot 5, in the ballot (3, A); the others choose y there in (4, C). A leads again as
# (6, A), has learned y by phase 1 and tells commit 5. B takes its old vote, since A owns both ballots, and applies x.
@mutant(
    "K15",
    "a commit index confirms own votes of any ballot of the same leader",
    rule="an own vote of that leader's ballot",
    breaks="R",
    deployments="collapsed",
)
class SameLeaderWillDo(Learner):
    def is_chosen_vote(self, vote: tuple[Ballot, Value], ballot: Ballot) -> bool:
        return vote[0][1] == ballot[1]


# The power goes while a checkpoint is being written: its name is there, of its content only a part. At the start it is taken
# for the newest checkpoint, found damaged, and the replica never starts again; or it is whole but still not on disk, the
# segments it replaces are removed, and the next power cut takes it.
@mutant(
    "K16",
    "recovery takes up a checkpoint that was not finished",
    rule="a checkpoint gets its name when its content is durable",
    breaks="D",
)
class TakesUpTheUnfinished(Log):
    def recover(self) -> tuple[Checkpoint, list[AnyRecord]]:
        for name in self.files.names():
            if name.endswith(".tmp"):
                self.files.rename(name, name.removesuffix(".tmp"))
        return super().recover()


# Slot 499 comes late, when 500 to 507 are here already: all are learned, then applied one by one, and after 500 a snapshot is
# taken that says it covers 507. Who is restarted from it, or gets it from a peer, never executes 501 to 507.
@mutant(
    "K17",
    "a snapshot says that it covers all that is learned, not what is applied",
    rule="state after exactly the slots that were applied",
    breaks="R",
)
class SnapshotSaysLearned(Learner):
    def snapshot_content(self) -> bytes:
        return self.machine.image(self.learned, self.outcomes)


# A compare-and-set is sent to a leader that is just cut off, and again to its successor, which executes it: it does not match,
# and the client is told so. Then the first copy is chosen after all, or the network's second one. Meanwhile the key holds what
# was expected: now it takes place, though its client knows that it did not.
@mutant(
    "K18",
    "a compare-and-set that did not take place is not remembered by the session",
    rule="a seq is executed once",
    breaks="X",
)
class ForgetsWhatChangedNothing(StateMachine):
    def remember(self, session: Session, command: Command, result: object) -> None:
        if command.f == "cas" and isinstance(result, list) and not result[0]:
            return
        super().remember(session, command, result)


# A client had to ask twice for its session; the second copy is chosen late, behind its first append. The session forgets that
# append, whose answer was lost: the retry is executed again, and the value stands twice in the list.
@mutant(
    "K19",
    "opening a session that is open makes it forget what it has executed",
    rule="a repeated open tells the session there is",
    breaks="X",
)
class OpensAnew(StateMachine):
    def open(self, slot: int, place: int, command: Command) -> Outcome:
        outcome = super().open(slot, place, command)
        session = self.sessions.get(command.client)
        if session is not None:
            session.seq, session.result = 0, None
        return outcome


# A read is executed, its answer is lost, and the leader dies. The next leader got its state from a snapshot: it knows that
# this seq was executed and answers the retry with nothing. The client believes that the key was never written.
@mutant(
    "K20",
    "snapshots hold the sessions without their last results",
    rule="sessions are part of every snapshot",
    breaks="L",
)
class ResultsLeftOut(StateMachine):
    def image(self, slot: int, outcomes: int) -> bytes:
        sessions = self.sessions
        self.sessions = {client: Session(one.id, one.seq, None) for client, one in sessions.items()}
        data = super().image(slot, outcomes)
        self.sessions = sessions
        return data


# A node loses its leadership a few times, each time with some slots in flight. When sixteen were left behind that way, its
# window is full of slots that nobody will ever close: elected once more it keeps its office and proposes nothing, not even
# what it inherited, until it is restarted.
@mutant(
    "K21",
    "slots in flight at a step-down keep their place in the window for good",
    rule="give up what only a leader holds",
    breaks="P",
)
class WindowLeaks(Proposer):
    lost = 0

    def on_stepped_down(self) -> None:
        self.lost += len(self.proposals)
        super().on_stepped_down()

    def pump(self) -> None:
        if self.lost < self.config.window:
            super().pump()


# The first attempt of a write goes to a leader that proposes it and is cut off before it can answer. The second one is refused
# by a node that does not lead, and the time is over: the client reports a sure failure. The next leader finds the vote and
# the write takes place.
@mutant(
    "K22",
    "a refusal settles all attempts made before it too",
    rule="a definite failure needs a refusal of every attempt",
    breaks="L",
)
class OneRefusalForAll(ClientSession):
    def on_reply(self, now_ns: int, source: int, reply: Reply) -> Finished | None:
        operation = self._operation
        if operation is not None and reply.status == NOT_LEADER and self.answers(reply, operation):
            self._unanswered = self._refused + 1
        return super().on_reply(now_ns, source, reply)


# A local read of x is answered slowly, so the client asks another replica and goes on, with a local read of y. Now the first
# answer comes: it is taken for the value of y.
@mutant(
    "K23",
    "any answer to a local read ends the local read under way",
    rule="an answer to this very operation, not to one before",
    breaks="L",
)
class AnyLocalValue(ClientSession):
    def on_local_value(self, source: int, message: LocalValue) -> Finished | None:
        operation = self._operation
        if operation is None or operation.f != LOCAL_READ:
            return None
        self.note_version(message.version)
        return self._finish("ok", [message.value, message.version], source, None)


# The disk is slow: an acceptor's vote waits for its sync longer than a leader waits to repeat an Accept. The answer to the
# repeated one, the same as that which waits, leaves at once and is counted. The power goes, and with it the vote.
@mutant(
    "K24",
    "a message that is said for the second time need not wait, the first one does",
    rule="a duplicate answered from memory waits too",
    breaks="D",
)
class RepeatsFreely(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return super().may_leave(message, offset) or any(message == waiting for _, _, waiting in self.held)


# Votes are written and spoken of after a sync that did nothing; only with the next record does a real one come. If the power
# goes in between, in several nodes at once or in one whose vote was needed, what was acknowledged last is gone.
@mutant(
    "K25",
    "every second sync of the log is left to the next one",
    rule="what is spoken of has been synced",
    breaks="D",
)
class EverySecondSync(Log):
    skips = True

    def begin_sync(self) -> None:
        self.skips = not self.skips
        if self.skips:
            self._unsynced.clear()
        super().begin_sync()


# The clock of a follower is set back by a minute, then the leader dies. For the acceptor of that node the leader was heard in
# the future: it denies every pre-vote for a minute, and out of three nodes no quorum is left. A leader whose clock is set
# back takes dead peers for alive and does not repeat what was in flight.
@mutant(
    "K26",
    "a clock that is set back is told to the learner alone",
    rule="times noted move with the clock",
    breaks="P",
    deployments="collapsed",
)
class ClockOfTheLearner(Replica):
    def on_clock_set_back(self, by_ns: int) -> None:
        self.learner.on_clock_set_back(by_ns)


# A replica that slept is elected; the others have cut slots it lacks. It asks for no-ops in them. Where an acceptor has not cut
# yet, its vote for the chosen value is replaced and a second value is chosen; where all have, nobody accepts, and the new
# leader never gets behind these slots to anything new.
@mutant(
    "K27",
    "a new leader closes every slot it asked about, also those cut elsewhere because they are chosen",
    rule="no slot that an acceptor has cut is free",
    breaks="A",
)
class ClosesWhatIsCut(Proposer):
    def slots_to_close(self, reported: dict[int, list[PastVote]], top: int) -> Iterable[int]:
        return range(self.first_slot, top + 1)


# An append is executed, its answer is lost; the retry meets a node that does not lead. Since "nothing happened" the client
# takes a new number for its third attempt, which no session knows: the value is appended twice.
@mutant(
    "K28",
    "after a refusal the operation is tried again under a new seq",
    rule="a retry repeats the command word for word",
    breaks="X",
)
class NewNumberAfterRefusal(ClientSession):
    def on_reply(self, now_ns: int, source: int, reply: Reply) -> Finished | None:
        before = self._operation
        refused = before is not None and reply.status == NOT_LEADER and self.answers(reply, before)
        finished = super().on_reply(now_ns, source, reply)
        if refused and self.session and self._operation is not None:
            self.seq = self.next_seq()
            self._operation = msgspec.structs.replace(self._operation, seq=self.seq)
        return finished


# -- combinations -----------------------------------------------------------------------------------------------------


# Slot 5: A has x of ballot 1, B has y of ballot 2. C leads in ballot 3 with the promise of A, proposes x, and A says yes; but
# its vote stays one of ballot 1, for the value is the same. C applies x, answers the client and dies before A has asked it for
# the value. A and B elect: x of ballot 1, y of ballot 2, so y is chosen too.
@mutant(
    "K29",
    "a vote for the value voted for before is not written again under the higher ballot",
    rule="a vote is of the ballot it was cast in",
    breaks="A",
    difficulty="hard",
)
class SameValueNoNewVote(Acceptor):
    def has_voted(self, ballot: Ballot, slot: int, value: Value) -> bool:
        vote = self.votes.get(slot)
        return vote is not None and vote[1] == value


# A voted for x in slot 7 and went away. The next leader B closed the gap with a no-op, chosen by B and C and applied by B. B
# dies before C hears that, A comes back, and C asks A and itself: x of the old ballot, a no-op of the newer one. The no-op is
# passed over, x is chosen in the same slot.
@mutant(
    "K30",
    "a no-op reported in a slot gives way to any command reported there",
    rule="P2c",
    breaks="A",
    difficulty="hard",
)
class NoOpIsNothing(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        return super().value_to_propose(slot, [vote for vote in votes if vote.value] or votes)


# Slot 5: A voted for x in ballot 1, B for y in ballot 2, C for x in ballot 3. C is elected once more, is told x by A and by
# itself, takes that for a quorum, applies x and answers. It dies; A and B elect the next leader, which finds y in the higher
# ballot of the two and chooses it. (Figure 8 of the Raft paper.)
@mutant(
    "K31",
    "a value that a quorum of promises reports counts as chosen, whatever the ballots of its votes",
    rule="chosen is what a quorum accepted in one ballot",
    breaks="A",
    difficulty="hard",
)
class CountsOldVotes(Proposer):
    def inherit(self) -> None:
        super().inherit()
        for slot, value in list(self.inherited):
            votes = self.promises.votes.get(slot, [])
            if sum(vote.value == value for vote in votes) >= self.quorum_size:
                self.inherited.remove((slot, value))
                self.chosen_above.add(slot)
                self.learn_chosen(slot, value)
        self.advance_commit()


# B restarts from its snapshot of slot 500: what it voted and learned up to 500 is not in its log any more, but its floor says
# 400. A, which stopped at slot 450, is elected with the promise of B, which tells of nothing up to 500: A puts no-ops into
# slots 451 to 500, and B accepts them.
@mutant(
    "K32",
    "after a restart the acceptor's floor is where values were cut, not where its snapshot ends",
    rule="nothing is silently left out of a promise",
    breaks="A",
    difficulty="hard",
    deployments="collapsed",
)
class FloorBelowTheSnapshot(Acceptor):
    def recover_checkpoint(self, checkpoint: Checkpoint) -> None:
        super().recover_checkpoint(checkpoint)
        self.floor = checkpoint.floor


# The leader A has a slow disk: its own vote for slot 9 counts while it is still being written, and with B's the value is
# chosen. The Accept of slot 10 leaves early, as it may, and tells B that 9 is chosen: B applies it. A loses power and its vote,
# B is cut off, A and C choose something else in slot 9.
@mutant(
    "K33",
    "messages to oneself do not wait for the log",
    rule="the own vote counts only as an Accepted to itself, which waits like any other",
    breaks="A",
    difficulty="hard",
    deployments="collapsed",
)
class TrustsItself(Gate):
    def send(self, target: int, message: AnyMessage) -> None:
        if target == self.node:
            self.loopback.append(message)
        else:
            super().send(target, message)


# A checkpoint begins: the last votes go to the old segment, a new one is opened, and from now on only that one is synced. The
# votes are spoken of after the next sync. The power goes before the checkpoint has its name: the old segment is needed, and
# its end was never on disk.
@mutant(
    "K34",
    "only the newest segment of the log is synced",
    rule="everything appended so far is made durable",
    breaks="D",
    difficulty="hard",
)
class SyncsTheNewest(Log):
    def begin_sync(self) -> None:
        newest = segment_name(self._segment)
        self._unsynced = {name: None for name in self._unsynced if name == newest}
        super().begin_sync()


# An acceptor is killed with a vote handed to the system and not yet synced. Its next life reads the vote back and takes it for
# durable without a sync; the leader repeats its Accept and is answered from memory at once. Then the power goes before
# anything else was written: the vote that was counted is gone.
@mutant(
    "K35",
    "what recovery has read back is not synced",
    rule="what was read back may have stood in the page cache only",
    breaks="D",
    difficulty="hard",
)
class ReadIsDurable(Log):
    def recover(self) -> tuple[Checkpoint, list[AnyRecord]]:
        found = super().recover()
        self._unsynced.clear()
        return found


# The disk is slow, or has just recovered: a checkpoint must wait for the end of the one before it, or for a sync. What it holds
# is gathered at once, what it replaces ends where it is written. Promises and votes of the time between, spoken of long ago,
# are in neither; after the next crash this acceptor knows nothing of them.
@mutant(
    "K36",
    "the content of a checkpoint that has to wait is gathered before it waits",
    rule="a checkpoint holds all that the segments before it told",
    breaks="D",
    difficulty="hard",
    deployments="collapsed",
)
class GathersTooEarly(Replica):
    gathered: Checkpoint | None = None

    def flush(self) -> None:
        if self.learner.checkpoint_wanted and self.gathered is None:
            self.gathered = super().checkpoint()
        super().flush()

    def checkpoint(self) -> Checkpoint:
        gathered, self.gathered = self.gathered, None
        return gathered or super().checkpoint()


# B voted for x in slot 5 and was cut off; the others chose y there. It is back, hears commit 11, votes for slot 12, and the
# record says that all up to 11 is chosen as this log has it (in Raft that would be true). It is killed before it has caught up,
# and recovers x as the chosen value of slot 5.
@mutant(
    "K37",
    "the log notes the commit index that was heard, not how far the values are known",
    rule="every slot up to the index is chosen with the value this log holds",
    breaks="R",
    difficulty="hard",
    deployments="collapsed",
)
class LogsWhatWasHeard(Replica):
    def chosen_in_log(self) -> int:
        return max(super().chosen_in_log(), self.learner.known_commit)


# A chooses slot 5 with the vote of C, tells B the commit index (whose Accept was lost) but no longer C, and dies. B is elected
# and asks only about slots above 5. It lacks the value, C has it but only as a vote of another ballot, which confirms nothing:
# nobody will ever apply slot 5, nor anything behind it, while B leads.
@mutant(
    "K38",
    "phase 1 begins above the commit index that was heard, also where the values are lacking",
    rule="phase 1 covers every slot not learned",
    breaks="P",
    difficulty="hard",
    deployments="collapsed",
)
class PreparesAboveHearsay(Replica):
    def learned(self) -> int | None:
        return max(self.learner.learned, self.learner.known_commit)


# A leader is paused, or its clock runs slow, or the answers to its heartbeats take long: they are from before the others gave
# it up, but count from when they are read. For an election timeout it answers reads from its own state, though the next leader
# has been elected and has acknowledged a newer write.
@mutant(
    "K39",
    "a leader that has all applied reads from its own state as long as it hears a quorum, counted from when answers come",
    rule="reads go through the log",
    breaks="L",
    difficulty="hard",
    deployments="collapsed",
)
class LeaseFromTheAnswer(Replica):
    def outcome_of(self, command: Command) -> Outcome | None:
        nothing_open = self.proposer.next_slot == self.learner.applied + 1
        if command.f == "read" and nothing_open and self.proposer.hears_quorum():
            return Outcome(DUPLICATE, OK, self.learner.machine.store.read(command.key))
        return super().outcome_of(command)


# All learners have applied up to 503, but their snapshots of 500 or of less are what their disks hold. The leader calls 503
# stable, the acceptors cut their logs there. Then all learners are killed: they come back at 500 or lower, and nobody has the
# values that were acknowledged behind.
@mutant(
    "K40",
    "the stable slot is counted from what the learners have applied, not from their durable snapshots",
    rule="cut is only what a majority of the learners has in durable snapshots",
    breaks="D",
    difficulty="hard",
    deployments="classic",
)
class StableIsApplied(Proposer):
    def on_heartbeat_reply(self, source: int, message: HeartbeatReply) -> None:
        super().on_heartbeat_reply(source, msgspec.structs.replace(message, durable=message.applied))
