"""Forty further bugs, written blind like those of ``unseen_bugs.py`` and ``unseen_bugs_2.py``: from the protocol code alone.

Neither strategies nor oracles were in view. Above each stands how it does harm. I01-I08 are blunt, I09-I26 moderate, I27-I40
need a combination (a leader change at the right moment and a crash, say). In the form of ``--mutants``:

    torture matrix --mutants benchmarks/unseen_bugs_3.py --trials 1 --budget 150
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from paxos_impl.acceptor import Acceptor
from paxos_impl.client import ClientSession, Finished, OutcomeType
from paxos_impl.election import Election
from paxos_impl.learner import SCAN_SLOTS, Learner
from paxos_impl.log import AnyRecord, Checkpoint, Log, checkpoint_name, segment_name
from paxos_impl.messages import (
    EXPIRED,
    NO_BALLOT,
    NO_OP,
    OK,
    Accept,
    Ballot,
    Command,
    HeartbeatReply,
    Learn,
    LocalRead,
    LocalValue,
    PastVote,
    Prepare,
    Promise,
    Reply,
    Value,
    client_address,
    value_bytes,
)
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import PromiseBook, Proposal, Proposer
from paxos_impl.replica import Replica
from paxos_impl.sessions import APPLIED, DUPLICATE, Outcome, Session, StateImage, StateMachine

# -- plain ------------------------------------------------------------------------------------------------------------


# A write is chosen by the leader and B and acknowledged; C hears of it with the next heartbeat only, and later still if it was
# cut off. A client whose first guess is C reads the older value after the write was acknowledged.
@mutant(
    "I01",
    "who does not lead answers a read from its own state instead of refusing it",
    rule="reads go through the log",
    breaks="L",
    difficulty="easy",
    deployments=("collapsed",),
)
class FollowerReads(Proposer):
    def refuse(self, command: Command) -> None:
        if command.f != "read":
            super().refuse(command)
            return
        value = self.household.learner.machine.store.read(command.key)  # type: ignore[attr-defined]
        self.send(client_address(command.client), Reply(command.client, command.seq, OK, value, self.node))


# Off by one. The highest slot that phase 1 reported is proposed by nobody, and new commands go behind it: the commit index
# stops below it, and nothing is applied any more as long as this leader leads (its heartbeats keep it in office).
@mutant(
    "I02",
    "a new leader takes over every open slot but the highest",
    rule="gaps are closed",
    breaks="P",
    difficulty="easy",
)
class TopStaysOpen(Proposer):
    def slots_to_close(self, reported: dict[int, list[PastVote]], top: int) -> Iterable[int]:
        return range(self.commit + 1, top)


# Two peers answer (the first one late), or a link doubles the page: the second copy is taken for the slots behind the first,
# and the values of 5-10 are learned for 11-16.
@mutant(
    "I03",
    "a page of chosen values is taken for the slots that are missing when it comes",
    rule="catch-up",
    breaks="A",
    difficulty="easy",
)
class PageFitsWhereItIsNeeded(Learner):
    def on_learn(self, source: int, message: Learn) -> None:
        super().on_learn(source, msgspec.structs.replace(message, slot=self.learned + 1))


# Writes and deletes return nothing, so the session does not note them. Executed, and the answer is lost: the retry is neither
# answered from the session nor known for a duplicate; it is chosen again and executed again, perhaps over another's write.
@mutant(
    "I04",
    "a command that returned nothing is not remembered",
    rule="exactly once",
    breaks="X",
    difficulty="easy",
)
class NothingToRemember(StateMachine):
    def remember(self, session: Session, command: Command, result: Any) -> None:
        if result is not None:
            super().remember(session, command, result)


# Operation 4 timed out, but was executed. The next operation is number 4 too: it counts as a duplicate, is answered with the
# result of the other one, and never executed; or the late answer to the first one ends it.
@mutant(
    "I05",
    "an operation without an answer gives its number back",
    rule="every operation has a seq of its own",
    breaks="L",
    difficulty="easy",
)
class NumberGivenBack(ClientSession):
    def _finish(self, type_: OutcomeType, result: Any, node: int, error: str | None) -> Finished:
        if type_ == "info":
            self.seq -= 1
        return super()._finish(type_, result, node, error)


# True only of a leader with one slot in flight. B gets the Accepts of 5 and 6 of a leader whose other links are down: B takes
# its own vote in 5 for chosen and applies it. The leader dies, the others find slot 5 empty and choose something else there.
@mutant(
    "I06",
    "an Accept for a slot says that everything below it is chosen",
    rule="commit index",
    breaks="A",
    difficulty="easy",
    deployments=("collapsed",),
)
class AcceptsComeInOrder(Replica):
    def on_accept(self, source: int, message: Accept) -> None:
        super().on_accept(source, message)
        if source != self.node:
            self.noted[source, message.ballot] = max(message.commit, message.slot - 1)


# Slots chosen out of turn are not counted. 5 and 7 are in flight, 6 is chosen, 4 is the commit index: the next command gets
# slot 4 + 2 + 1 = 7 in the same ballot, over what was proposed there. Two values in one ballot; acceptors vote for either.
@mutant(
    "I07",
    "the next slot is the commit index plus what is open",
    rule="next slot",
    breaks="A",
    difficulty="easy",
)
class SlotByCounting(Proposer):
    def pump(self) -> None:
        self.next_slot = self.commit + len(self.proposals) + len(self.inherited) + 1
        super().pump()


# The Accept of slot 7 was lost on its way to C. The leader says commit 7: C has no vote there, takes it for a closed gap and
# applies nothing, while the others apply the command.
@mutant(
    "I08",
    "a slot below the commit index without an own vote is taken for a no-op",
    rule="learning",
    breaks="R",
    difficulty="easy",
)
class MissingIsNoOp(Learner):
    def note_commit(self, source: int, ballot: Ballot, commit: int) -> None:
        super().note_commit(source, ballot, commit)
        for slot in range(self.learned + 1, min(commit, self.learned + SCAN_SLOTS) + 1):
            if slot not in self.votes and slot not in self.decided:
                self.learn(slot, ballot, NO_OP)


# -- middle -----------------------------------------------------------------------------------------------------------


# A knows w chosen in slot 7 (by A and C in ballot 2) and reports it as a vote without a ballot: that hides its own vote (2, w).
# B has an old vote (1, v) there, is behind and becomes a candidate with {A, B}: (1, v) is the highest vote, v is proposed.
@mutant(
    "I09",
    "a promise tells chosen values without saying that they are chosen",
    rule="promise content",
    breaks="A",
    difficulty="medium",
    deployments=("collapsed",),
)
class ChosenWithoutMark(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        return [PastVote(vote.slot, vote.ballot, vote.value, False) for vote in super().promise_content(slot)]


# C led in ballot 5, gave up and leads again in 7 with a quorum that had no vote in slot 9: it puts w there. A has voted (7, w);
# the Accept (5, v) for slot 9 that was long on its way replaces that vote, and with it perhaps what made w chosen.
@mutant(
    "I10",
    "an Accept of the node that was promised is accepted, whatever its round",
    rule="P1b",
    breaks="A",
    difficulty="medium",
)
class OwnerIsEnough(Acceptor):
    def may_accept(self, ballot: Ballot, slot: int) -> bool:
        return ballot[1] == self.promised[1] or super().may_accept(ballot, slot)


# Of five acceptors three promised, and two of these three are a majority of them: a value counts as chosen with two votes. Both
# are cut off or die, and the other three, none of which knows it, choose another. (With three acceptors nothing is wrong.)
@mutant(
    "I11",
    "a value is chosen when a majority of those that promised has accepted it",
    rule="quorums meet",
    breaks="A",
    difficulty="medium",
)
class MajorityOfPromises(Proposer):
    def is_chosen(self, proposal: Proposal) -> bool:
        return len(proposal.accepted_by) > len(self.promise_quorum()) // 2


# C asks for slot 7. The peer whose turn it is misses 7 itself but knows 8 and 9: what it sends begins "at 7" with the value
# of 8.
@mutant(
    "I12",
    "catch-up serves all that is known from a slot on, and leaves gaps out",
    rule="catch-up serves the contiguous run",
    breaks="A",
    difficulty="medium",
)
class ServesOverGaps(Learner):
    def values_to_serve(self, slot: int) -> tuple[Value, ...]:
        values: list[Value] = []
        size = 0
        for at in sorted(self.decided):
            if at >= slot and size < self.config.page_bytes:
                values.append(self.decided[at])
                size += value_bytes(self.decided[at])
        return tuple(values)


# A has an old vote v in slot 7; the next leader chose w there and its Accept never reached A. A hears "commit 7" and votes in 8
# with that commit index in the record. Killed before it caught up, it takes v for chosen when it reads its log, and applies it.
@mutant(
    "I13",
    "votes are logged with the commit index that was heard, not with what is learned",
    rule="commit in the log",
    breaks="R",
    difficulty="medium",
    deployments=("collapsed",),
)
class HeardCommitIsLogged(Learner):
    def chosen_in_log(self) -> int:
        return max(super().chosen_in_log(), self.known_commit)


# A new leader closes gap 7 with a no-op, which A and C vote for and all apply. A restarts and has forgotten its vote; C dies.
# The next leader hears A and B, which know of nothing in 7 (unless they learned it), and puts a command there.
@mutant(
    "I14",
    "a vote for a no-op is not written to the log: there is nothing to lose",
    rule="a vote is durable",
    breaks="AD",
    difficulty="medium",
)
class NoOpNotLogged(Acceptor):
    def log_vote(self, ballot: Ballot, slot: int, value: Value) -> None:
        if value:
            super().log_vote(ballot, slot, value)


# A client has opened its session, the snapshot is taken, its first operation comes behind. Who restored the snapshot (a
# restart, a laggard) does not know the session: "expired", not executed; the others execute it.
@mutant(
    "I15",
    "snapshots leave out sessions that have executed nothing yet",
    rule="snapshot content",
    breaks="R",
    difficulty="medium",
)
class UnusedSessionsLeftOut(StateMachine):
    def image(self, slot: int, outcomes: int) -> bytes:
        used = {client: session for client, session in self.sessions.items() if session.seq > 0}
        return msgspec.msgpack.encode(StateImage(slot, outcomes, self.store.snapshot(), used))


# The value of slot 90 is told as one of slot 80: the client's next local read may go to a learner that has applied 85 only, and
# shows it what it already saw replaced.
@mutant(
    "I16",
    "a local read is told the slot of the last durable snapshot as its version",
    rule="monotonic reads",
    breaks="L",
    difficulty="medium",
)
class DurableVersion(Learner):
    def on_local_read(self, source: int, message: LocalRead) -> None:
        if not self.may_read_locally(message.at_least):
            super().on_local_read(source, message)
            return
        value = self.machine.store.read(message.key)
        answer = LocalValue(message.client, message.seq, value, self.durable_slot)
        self.send(client_address(message.client), answer)


# The answer to the opening of a session was lost. Each retry is chosen, found to be done already, and not answered (the
# leader's cache knows operations only): this client never gets a session, whoever leads and however long all is well.
@mutant(
    "I17",
    "what was executed before is not answered a second time",
    rule="a retry gets the same answer",
    breaks="P",
    difficulty="medium",
)
class AnsweredBefore(Learner):
    def answer(self, command: Command, outcome: Outcome) -> None:
        if outcome.how != DUPLICATE:
            super().answer(command, outcome)


# The leader dies with slots 5 and 6 in flight; B and C got the Accept of 6 only. Asked from 5 on, both say that their page
# begins at 6: nobody tells of slot 5, no promise of theirs is ever complete, and the old leader's alone is no quorum. No
# leader, for ever.
@mutant(
    "I18",
    "a page of a promise begins at its first vote",
    rule="pages say which slots they tell of",
    breaks="P",
    difficulty="medium",
)
class PageBeginsAtVote(Acceptor):
    def promise_pages(self, message: Prepare) -> Iterator[Promise]:
        for page in super().promise_pages(message):
            yield msgspec.structs.replace(page, start=page.votes[0].slot) if page.votes else page


# Counted up when a slot is opened and down when it is chosen; what is open when the leader steps down is never counted down.
# After a few terms that ended under load the count has reached the window: the node leads, is heard, and proposes nothing
# ever more.
@mutant(
    "I19",
    "slots open at the end of a term still fill the window of the next one",
    rule="flow control",
    breaks="P",
    difficulty="medium",
)
class LeakyWindow(Proposer):
    open_slots = 0

    def propose(self, slot: int, value: Value) -> None:
        self.open_slots += 1
        super().propose(slot, value)

    def on_chosen(self, slot: int, value: Value) -> None:
        self.open_slots -= 1
        super().on_chosen(slot, value)

    def pump(self) -> None:
        if self.open_slots < self.config.window:
            super().pump()


# The request was doubled on its way. One copy is refused by a follower, the other is late and finds that node leading: it is
# executed, after the client, refused by all, has said that the operation surely did not happen.
@mutant(
    "I20",
    "every attempt was refused: that is a definite failure also where links duplicate requests",
    rule="definite failure",
    breaks="L",
    difficulty="medium",
)
class RefusedIsFailed(ClientSession):
    def is_definite_failure(self) -> bool:
        return super().is_definite_failure() or self._unanswered == self._refused


# Executed, the answer lost, the session evicted by others: the retry is told "expired", and sent anew under a fresh session
# which knows nothing of it. It is executed twice. (Needs more clients than sessions.)
@mutant(
    "I21",
    "an operation whose session has expired is sent again under a new one",
    rule="exactly once",
    breaks="X",
    difficulty="medium",
)
class AgainUnderNewSession(ClientSession):
    def on_reply(self, now_ns: int, source: int, reply: Reply) -> Finished | None:
        operation = self._operation
        if operation is not None and reply.client == self.client and reply.status == EXPIRED:
            if self.answers(reply, operation):
                self.session = 0
                self._attempt(now_ns)
            return None
        return super().on_reply(now_ns, source, reply)


# Learners have applied 520 and hold snapshots of 500. The leader calls 520 stable: it drops the values, the acceptors cut
# theirs, and the next phase 1 begins at 521. All learners restart: 501-520 are nowhere, or nobody asks for them; nothing is
# ever applied.
@mutant(
    "I22",
    "stable is what a majority of the learners has applied",
    rule="only durable snapshots let values go",
    breaks="DP",
    difficulty="medium",
    deployments=("classic",),
)
class AppliedIsStable(Proposer):
    def on_heartbeat_reply(self, source: int, message: HeartbeatReply) -> None:
        super().on_heartbeat_reply(source, msgspec.structs.replace(message, durable=message.applied))


# A's promise has two pages and the first one is lost; B's is complete. A's last page is here and B's pages cover the rest, so A
# counts: a value chosen by A and C, told in A's first page, is not known to the new leader.
@mutant(
    "I23",
    "pages of all senders together show what is told",
    rule="promises are collected by sender",
    breaks="A",
    difficulty="medium",
)
class PagesOfAll(PromiseBook):
    def told(self, source: int) -> int:
        told = self.first_slot
        for start, behind in sorted(item for pages in self.pages.values() for item in pages.items()):
            if start <= told:
                told = max(told, behind)
        return told


# A power cut takes one unsynced page and leaves a later one: the record behind the hole says that all before it was durable, so
# what must be cut counts as corruption, and the node refuses to start. With two nodes cut like this the cluster is dead.
@mutant(
    "I24",
    "each record says that everything before it is durable",
    rule="torn tail or corruption",
    breaks="P",
    difficulty="medium",
)
class AllBeforeIsDurable(Log):
    def frame(self, record: AnyRecord, offset: int, durable: int) -> bytes:
        return super().frame(record, offset, offset)


# "One vote is no quorum, so it was not chosen." Of the acceptors A and B that chose v only B is in the new leader's quorum: a
# no-op is proposed over v.
@mutant(
    "I25",
    "a vote that only one acceptor reports is not heeded",
    rule="P2c",
    breaks="A",
    difficulty="medium",
)
class OneVoteIsNone(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        if len(votes) == 1 and not votes[0].chosen:
            return NO_OP
        return super().value_to_propose(slot, votes)


# The candidate's own promise waits for its disk; B's answer is faster. It leads with B's votes alone, though only its own
# acceptor knows of the value that it and the dead leader chose: a no-op is proposed there.
@mutant(
    "I26",
    "a candidate counts its own promise before it has come",
    rule="promise quorum",
    breaks="A",
    difficulty="medium",
    deployments=("collapsed",),
)
class OwnPromiseIsSure(Proposer):
    def promise_quorum(self) -> list[int]:
        return sorted({*super().promise_quorum(), self.node})


# -- subtle -----------------------------------------------------------------------------------------------------------


# A promised (5, B). C leads in (5, C), its Prepare never reached A, its Accept of w does: A votes, and its promise stays (5,
# B). An Accept (5, B) of v that was on its way is accepted and replaces the vote: w, chosen by A and C, is known to C alone.
@mutant(
    "I27",
    "accepting raises the promise only if the round is higher",
    rule="accepting is promising",
    breaks="A",
    difficulty="hard",
)
class RaisesByRound(Acceptor):
    def raise_promise(self, ballot: Ballot) -> None:
        if ballot[0] > self.promised[0]:
            self.promised = ballot


# B, leading in (5, B), opens slot 7 just when its acceptor has promised (5, C): only A votes for v there. C chooses w in 7
# with B. Its heartbeat "commit 7" reaches A, whose vote is of round 5 too: A applies v.
@mutant(
    "I28",
    "a commit index confirms own votes of the leader's round, whoever led then",
    rule="learning from a commit index",
    breaks="AR",
    difficulty="hard",
    deployments=("collapsed",),
)
class ConfirmedByRound(Learner):
    def is_chosen_vote(self, vote: tuple[Ballot, Value], ballot: Ballot) -> bool:
        return vote[0][0] == ballot[0]


# The values agree, the ballots do not: A (1, v), B (3, v), and C has (2, w), which 3 had not seen. Nobody chose v yet, but
# the leader of ballot 4 learns, applies and answers it without a phase 2, and dies. The next one hears A and C: w is the
# highest vote.
@mutant(
    "I29",
    "a value that a quorum reports, in whatever ballots, is taken for chosen",
    rule="chosen in one ballot",
    breaks="A",
    difficulty="hard",
    deployments=("collapsed",),
)
class AgreedInPromises(Proposer):
    def inherit(self) -> None:
        for slot, votes in self.promises.votes.items():
            if len(votes) >= self.quorum_size and all(vote.value == votes[0].value for vote in votes):
                votes.append(PastVote(slot, NO_BALLOT, votes[0].value, True))
        super().inherit()


# A voted (1, v), B (2, w); leader 3 took v over from A (and C) and chose it with A and C. A restarts: its log says (1, v). C
# dies, and the next leader hears A (1, v) and B (2, w): it proposes w. Also lost with that vote: the promise of ballot 3.
@mutant(
    "I30",
    "a vote in a higher ballot for the value voted for before is not written again",
    rule="a vote is durable with its ballot",
    breaks="AD",
    difficulty="hard",
)
class SameValueNotLogged(Acceptor):
    def cast_vote(self, ballot: Ballot, slot: int, value: Value) -> None:
        before = self.votes.get(slot)
        if before is None or before[1] != value:
            super().cast_vote(ballot, slot, value)
            return
        self.votes[slot] = (ballot, value)
        self.trace("accepted", ballot, slot, value)


# "The round is in the log already." A prepares (5, A) with {A, B}, sends v for slot 7 to B, and loses power before its own
# vote is durable: it comes back with the promise before that, (4, C). C's late Accept (4, u) for slot 7 gets A's vote: u is
# chosen by A and C, though ballot 5 was promised and has v in B. The next leader hears A and B and proposes v.
@mutant(
    "I31",
    "the promise to the own proposer is not logged",
    rule="a promise is durable",
    breaks="A",
    difficulty="hard",
    deployments=("collapsed",),
)
class OwnPromiseNotLogged(Acceptor):
    def log_promise(self, ballot: Ballot) -> None:
        if ballot[1] != self.node:
            super().log_promise(ballot)


# After a restart the acceptor has neither the votes it cut nor the number up to which it cut them. When a quorum of acceptors
# and the proposer are restarted (which then knows of no stable slot), slots 1-500 are reported by nobody and closed with no-
# ops: a learner that is behind applies these.
@mutant(
    "I32",
    "an acceptor's checkpoint does not say up to where values were cut",
    rule="checkpoint content",
    breaks="A",
    difficulty="hard",
    deployments=("classic",),
)
class FloorForgotten(Acceptor):
    def checkpoint(self, slot: int, state: bytes, round_: int, chosen: tuple[tuple[int, Value], ...]) -> Checkpoint:
        return msgspec.structs.replace(super().checkpoint(slot, state, round_, chosen), floor=0)


# A checkpoint begins a new segment. Records handed to the old one just before are covered by the next sync in name only:
# votes are told, and a power cut before the checkpoint has its name takes them. So also after a kill, when there is more than
# one segment.
@mutant(
    "I33",
    "a sync flushes the newest segment only",
    rule="durable is what was synced",
    breaks="D",
    difficulty="hard",
)
class SyncsNewestSegment(Log):
    def begin_sync(self) -> None:
        newest = segment_name(self._segment)
        self._unsynced = {name: None for name in self._unsynced if name == newest}
        super().begin_sync()


# The checkpoint before is still on its way when snapshot 20 is taken, so the next one begins some slots later. Promises and
# votes given between are in the segment that it replaces and not in its image: after a restart they never were.
@mutant(
    "I34",
    "a checkpoint holds promise and votes of when its snapshot was taken, not of when its segment begins",
    rule="checkpoint content",
    breaks="AD",
    difficulty="hard",
    deployments=("collapsed",),
)
class EarlyImage(Replica):
    early: Checkpoint | None = None

    def flush(self) -> None:
        if self.learner.checkpoint_wanted and (self.early is None or self.early.slot != self.learner.snapshot_slot):
            self.early = super().checkpoint()
        super().flush()

    def checkpoint(self) -> Checkpoint:
        return super().checkpoint() if self.early is None else self.early


# A read lease that counts from when answers came, not from when what they answer was sent; and who promised does not protect
# the leader before it has heard of it. Answers (or promises) that were slow, then a cut: the others elect a leader and
# acknowledge a write while the old one, with everything of its own applied, still reads from its state.
@mutant(
    "I35",
    "a leader that heard a quorum lately, and has applied all it proposed, answers reads without the log",
    rule="reads go through the log",
    breaks="L",
    difficulty="hard",
    deployments=("collapsed",),
)
class LeaseFromReceipt(Replica):
    def outcome_of(self, command: Command) -> Outcome | None:
        known = super().outcome_of(command)
        proposer, learner = self.proposer, self.learner
        if (
            known is None
            and command.f == "read"
            and learner.applied + 1 == proposer.next_slot
            and proposer.hears_quorum()
        ):
            return Outcome(APPLIED, OK, learner.machine.store.read(command.key))
        return known


# A new leader has taken a write over from one acceptor's vote and asks for it in its own ballot; the client's retry is told
# "ok" at once. It dies before a second acceptor has voted, and the next quorum holds no one who did (of five, or after a
# power cut that took the old leader's vote): an acknowledged write is gone.
@mutant(
    "I36",
    "the retry of a write that a new leader has taken over is acknowledged before it is chosen",
    rule="every answer comes from the log",
    breaks="DL",
    difficulty="hard",
)
class InheritedIsDone(Proposer):
    def is_in_progress(self, command: Command) -> bool:
        if super().is_in_progress(command):
            return True
        done = command.f == "write" and any(command in proposal.value for proposal in self.proposals.values())
        if done:
            self.send(client_address(command.client), Reply(command.client, command.seq, OK, None, self.node))
        return done


# After a failover a command stands in slot 5 (inherited) and in slot 6 (the client's retry). The leader chose both and dies.
# Its successor has executed slot 5 and knows 6 as a vote only: it proposes slot 6 without the command, over the chosen value.
@mutant(
    "I37",
    "a value that is taken over is freed of commands that were executed already",
    rule="P2c",
    breaks="A",
    difficulty="hard",
    deployments=("collapsed",),
)
class CleanedOfDuplicates(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        value = super().value_to_propose(slot, votes)
        return tuple(command for command in value if self.household.outcome_of(command) is None)


# A alone voted for v of a dead leader in slot 7; the next one closed 7 with a no-op, whose Accept A missed. A learns the no-
# op by catch-up and does not log it, votes on (with a commit index above 7) and restarts: its log vouches for v in 7, and A
# applies it.
@mutant(
    "I38",
    "a no-op that was learned is not logged",
    rule="the log holds the chosen value of every slot it vouches for",
    breaks="R",
    difficulty="hard",
    deployments=("collapsed",),
)
class LearnedNoOpNotLogged(Learner):
    def log_chosen(self, slot: int, value: Value) -> None:
        if value:
            super().log_chosen(slot, value)


# An Accept is lost and then the leader's clock is set back: the proposal seems to have been sent in the future, and is not
# sent again until the clock shows that time. The slot stays open and blocks all behind it, while heartbeats keep the leader
# in office.
@mutant(
    "I39",
    "when the clock is set back the times at which proposals were sent stay",
    rule="times noted move with a clock that is set back",
    breaks="P",
    difficulty="hard",
)
class SentInTheFuture(Proposer):
    def on_clock_set_back(self, by_ns: int) -> None:
        Election.on_clock_set_back(self, by_ns)


# A kill (or a full disk) while checkpoint 2 is written leaves segments 1 and 2. Checkpoint 3 removes segment 2 and leaves 1:
# at the next start a segment seems to be missing between, the node refuses to start, and no restart helps. Two of them, and
# all is over.
@mutant(
    "I40",
    "a durable checkpoint removes only what comes right before it",
    rule="what a checkpoint replaces",
    breaks="P",
    difficulty="hard",
)
class RemovesOneBefore(Log):
    def remove_before(self, segment: int) -> None:
        there = self.files.names()
        for name in (segment_name(segment - 1), checkpoint_name(segment - 1)):
            if name in there:
                self.files.remove(name)
                self._unsynced.pop(name, None)
