"""Forty more bugs, written blind as well: from the protocol code and its rules alone.

Like those of ``unseen_bugs.py`` they were planted with neither strategies nor oracles in view. How these fared before anything
was changed for them is a second forecast for yours; docs/unseen-bugs.md has the figures. Above each stands how it does harm. In
the form of ``--mutants``:

    torture matrix --mutants benchmarks/unseen_bugs_2.py --trials 1 --budget 150
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any

import msgspec

from paxos_impl.acceptor import Acceptor
from paxos_impl.client import ClientSession
from paxos_impl.gate import Gate
from paxos_impl.kv import KeyValueStore
from paxos_impl.learner import Learner
from paxos_impl.log import AnyRecord, Checkpoint, ChosenRecord, Log, LogCorrupted
from paxos_impl.messages import NO_OP, OK, Ballot, Command, PastVote, PreVoteReply, Promise, Reply, Value
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import BEHIND_ALL, PromiseBook, Proposal, Proposer
from paxos_impl.replica import Replica
from paxos_impl.sessions import APPLIED, DUPLICATE, PLACES_IN_VALUE, Outcome, Session, StateMachine
from paxos_impl.tally import Tally

# -- plain ------------------------------------------------------------------------------------------------------------


# The third acceptor's Promise comes when the node leads already: become_leader runs again, proposals in flight are thrown
# away, next_slot falls back, and slots used already get other commands *in the same ballot* (agreement); the commands thrown
# away stay in in_progress, so their retries are ignored. Nothing else asks for the state in on_promise.
@mutant(
    "H01",
    "a late promise of the ballot led in counts too: the leader takes over once more",
    rule="P2c",
    breaks="A",
    difficulty="easy",
)
class PromiseCountsWhenLeading(Proposer):
    def counts_promise(self, message: Promise) -> bool:
        return message.ballot == self.ballot


# The first open slot is left out of every promise. Leader dies; a value chosen in the new leader's slot learned+1 is
# reported by nobody: it gets a no-op or a new command. The quorum's other members leave out the same slot, so no other
# promise covers it.
@mutant(
    "H02",
    "a promise tells the votes behind the slot asked for, not in it",
    rule="promise content",
    breaks="A",
    difficulty="easy",
)
class PromiseFromNextSlot(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        return super().promise_content(slot + 1)


# A round seen at another node is taken as the own next round, although (r, 0) < (r, 2). Leader 2 of (r, 2) dies: 0 and 1 poll
# with (r, 0) and (r, 1), are refused by every acceptor that promised (r, 2), learn no higher round from it, and poll so for
# ever; node 2, restarted (ballot forgotten, round r recovered), polls with (r, 2) itself, which was promised already.
@mutant(
    "H03",
    "the next ballot reuses the highest round seen if this node has not tried it",
    rule="next ballot",
    breaks="P",
    difficulty="easy",
)
class RoundOfAnother(Proposer):
    def next_ballot(self) -> Ballot:
        if self.round > self.ballot[0]:
            return (self.round, self.node)
        return (self.round + 1, self.node)


# After A restarts, B and C know its old incarnation and drop all that it says now: it is never heard or caught up again.
# After a second node's restart no quorum hears each other and nothing is chosen any more. Replica.receive asks only here.
@mutant(
    "H04",
    "messages of any other life of a sender than the first one seen are dead",
    rule="stale messages",
    breaks="P",
    difficulty="easy",
    deployments=("collapsed",),
)
class NewLifeIsStale(Replica):
    def is_stale(self, source: int, incarnation: int) -> bool:
        known = self.incarnations.setdefault(source, incarnation)
        return incarnation != known


# B promised (5, C) and has no vote in slot 7. The late Accept (4, A) of v for slot 7 is accepted: v is chosen by A and B. C's
# phase 1 did not hear of it and puts w into slot 7, which B and C accept: two values chosen.
@mutant(
    "H05",
    "an Accept is measured by the slot's last vote, not by the promise",
    rule="P1b",
    breaks="A",
    difficulty="easy",
)
class AcceptAgainstVote(Acceptor):
    def may_accept(self, ballot: Ballot, slot: int) -> bool:
        vote = self.votes.get(slot)
        return vote is None or not self.precedes(ballot, vote[0])


# The opening of a session was asked for twice (the first answer was late). The first answer opens it and the operation is
# sent; the second answer (seq 0) then ends the operation with "ok" and the session's id as its result, before it ran.
@mutant(
    "H06",
    "a second answer to the opening of the session is taken for that to the operation",
    rule="client answers",
    breaks="L",
    difficulty="easy",
)
class OpenAnswersOperation(ClientSession):
    def answers(self, reply: Reply, operation: Command) -> bool:
        return reply.seq in (0, operation.seq)


# write x, delete x, cas x None -> v takes place, though None expects a key never written and a deleted one holds its
# tombstone: every replica does so alike, but no sequential store of this specification does. Needs no fault at all.
@mutant(
    "H07",
    "compare-and-set takes a deleted key for one never written",
    rule="compare and set",
    breaks="L",
    difficulty="easy",
)
class DeletedIsUnwritten(KeyValueStore):
    def matches(self, found: Any, expected: Any) -> bool:
        if expected is None:
            return found is None or isinstance(found, dict)
        return bool(found == expected)


# Slot 9 was chosen by A (leader, dead now) and B. C leads with {B, C}: only B reports slot 9, so it counts as free and C's
# first new command goes there, over the chosen value. slots_to_close ends at the same top, so nothing else takes it up.
@mutant("H08", "new commands go above the slots that a quorum reported", rule="top slot", breaks="A", difficulty="easy")
class TopByQuorum(Proposer):
    def top_slot(self, reported: dict[int, list[PastVote]]) -> int:
        return max([self.commit, *(slot for slot, votes in reported.items() if self.is_quorum(votes))])  # type: ignore[arg-type]


# First attempt: proposed and executed, but the leader died before it answered. Second attempt: "not leader". Time is up: the
# client says "fail", surely not executed. What it wrote is read by others.
@mutant(
    "H09",
    "one refusal makes a definite failure, though other attempts are unanswered",
    rule="definite failure",
    breaks="L",
    difficulty="easy",
)
class RefusedOnceIsFailed(ClientSession):
    def is_definite_failure(self) -> bool:
        if self.session == 0 or self._operation is None:
            return True
        return self._refused > 0 and not self.config.links_may_duplicate


# The leader dies with a command proposed; the next leader inherits it and, as inherited commands are not in in_progress,
# also queues the client's retry: both copies are chosen, and the second (same seq) is executed again. cached() helps only
# when the first copy was applied before the retry came.
@mutant(
    "H10",
    "only lower seqs are duplicates: the same seq is executed again",
    rule="exactly once",
    breaks="X",
    difficulty="easy",
)
class SameSeqAgain(StateMachine):
    def is_duplicate(self, session: Session, command: Command) -> bool:
        return command.seq < session.seq


# -- middle -----------------------------------------------------------------------------------------------------------


# B and C duel in the same round: A promises (5, C) and, as (5, B) is not "less", answers B's Prepare too and accepts from
# both. v of (5, B) is chosen by A and B, then w of (5, C) by A and C, whose phase 1 was over before A voted for v.
@mutant("H11", "acceptors compare the rounds of ballots only", rule="order of ballots", breaks="A", difficulty="medium")
class RoundsOnly(Acceptor):
    def precedes(self, first: Ballot, second: Ballot) -> bool:
        return first[0] < second[0]


# B reports (2, w) for slot 7, chosen by B and C; then A reports (1, v), a vote it cast for a deposed leader. The book keeps
# the report that came last, value_to_propose sees v alone: v is proposed over the chosen w.
@mutant(
    "H12", "the last report of a slot replaces those of other acceptors", rule="P2c", breaks="A", difficulty="medium"
)
class LastReportStays(PromiseBook):
    def add(self, source: int, message: Promise) -> None:
        pages = self.pages.setdefault(source, {})
        behind = BEHIND_ALL if message.last else message.votes[-1].slot + 1
        if pages.get(message.start, 0) >= behind:
            return
        pages[message.start] = behind
        if message.last:
            self.last_page[source] = message.start
        self.floors[source] = max(self.floors.get(source, 0), message.floor)
        self.votes.update({vote.slot: [vote] for vote in message.votes})


# A led, proposed slots 10-12 and stepped down while they were in flight; C chose other values there. A is elected again and
# asks from its old next_slot 13 on only: slots 10-12 are unreported and get no-ops or new commands over chosen values.
@mutant(
    "H13",
    "phase 1 begins at the slot this node would have used next in its last term",
    rule="first slot",
    breaks="A",
    difficulty="medium",
)
class PrepareFromNextSlot(Proposer):
    def first_slot_to_prepare(self) -> int:
        return max(self.commit + 1, self.next_slot)


# Slot 6 is chosen, slot 5 has one vote (B's; the other Accepts are lost). The heartbeat says commit 6: B takes its own vote
# in 5 for chosen and applies it. The leader dies, the others find slot 5 empty and choose something else there.
@mutant(
    "H14",
    "heartbeats carry the highest slot chosen, not the end of the contiguous run",
    rule="commit index",
    breaks="A",
    difficulty="medium",
)
class HighestIsCommit(Proposer):
    def commit_index(self) -> int:
        return max(self.chosen_above, default=self.commit)


# A retransmission leaves out commands whose clients no longer wait: the same ballot and slot then have two values. Inherited
# commands are in no client's in_progress, so after a failover a lost Accept is repeated as a no-op: the acceptor that gets it
# votes for the no-op in this ballot, the leader counts it for the value, and that replica learns the no-op from its own vote.
@mutant(
    "H15",
    "an Accept sent again leaves out commands that nobody waits for",
    rule="one value a ballot",
    breaks="A",
    difficulty="medium",
)
class LeanRetransmission(Proposer):
    def value_to_retransmit(self, slot: int, proposal: Proposal) -> Value:
        return tuple(command for command in proposal.value if self.is_in_progress(command))


# The leader answers a read from its own state. Cut off from the others it does not know that a new leader acknowledged a
# write; just elected, it has not chosen anew what the old leader acknowledged. Either way the read is stale.
@mutant(
    "H16",
    "a leader that has applied its commit index answers reads without the log",
    rule="reads go through the log",
    breaks="L",
    difficulty="medium",
    deployments=("collapsed",),
)
class LeaderReads(Replica):
    def outcome_of(self, command: Command) -> Outcome | None:
        known = super().outcome_of(command)
        if known is None and command.f == "read" and self.learner.applied >= self.proposer.commit:
            return Outcome(APPLIED, OK, self.learner.machine.store.read(command.key))
        return known


# A voted for v in slot 5 for a deposed leader, then learned from a peer that w is chosen there. The log holds a vote, so
# nothing is added. Later votes are logged with commit >= 5: after a restart recover_chosen takes v for the chosen value.
# keep_chosen does not help: it guards against votes that come *after* the learning.
@mutant(
    "H17",
    "a chosen value is logged only if the log has no vote for the slot at all",
    rule="chosen values are logged",
    breaks="R",
    difficulty="medium",
    deployments=("collapsed",),
)
class VoteStandsForChosen(Learner):
    def log_chosen(self, slot: int, value: Value) -> None:
        if self.config.collapsed and not self.recovering and slot not in self.votes:
            self.context.log.append(ChosenRecord(slot, value))


# C misses the last slots and heard of them from leader A, which dies. The new leader's commit index is no higher than the one
# C knows, so the source stays A: C asks a dead node for ever, as long as no further command is chosen.
@mutant(
    "H18",
    "a learner asks only the one that told it of the commit index",
    rule="catch-up in turn",
    breaks="P",
    difficulty="medium",
)
class AsksOnlyTheSource(Learner):
    def catch_up_peer(self) -> int:
        if self.commit_source not in (-1, self.node):
            return self.commit_source
        return super().catch_up_peer()


# A client read slot 90's version at one replica. Another knows from a heartbeat that 90 is chosen but has applied 80 only
# (its Accepts were lost): it answers with the older state, and the client sees a write undone.
@mutant(
    "H19",
    "a learner that has heard of a version answers local reads that ask for it",
    rule="monotonic reads",
    breaks="L",
    difficulty="medium",
)
class HeardIsEnough(Learner):
    def may_read_locally(self, at_least: int) -> bool:
        return max(self.applied, self.known_commit) >= at_least


# More clients than max_sessions: a newly opened session (seq 0) is the least used, so it is evicted in the very command that
# opened it, and its client is told an id that names nothing. Its operation expires, it opens again, and so on for ever.
@mutant(
    "H20", "the session with the fewest operations is evicted", rule="session expiry", breaks="P", difficulty="medium"
)
class EvictsTheNewest(StateMachine):
    def session_to_evict(self) -> int:
        return min(self.sessions, key=lambda client: self.sessions[client].seq)


# A vote appended while a sync is running is not covered by it, yet its Accepted leaves when that sync ends. The leader counts
# it, the client is answered, a power cut takes the vote: the next quorum finds the slot empty.
@mutant(
    "H21",
    "when a sync has finished everything that is held goes, also what was appended meanwhile",
    rule="gate",
    breaks="D",
    difficulty="medium",
)
class SyncFreesAll(Gate):
    def release_durable(self) -> None:
        while self.held:
            _, target, message = self.held.popleft()
            self._release(target, message)


# A record torn exactly at the known-durable offset (the first one behind a checkpoint, or the first of all while a later page
# survived) was never synced and must be cut. Here it counts as corruption: after a power cut the node refuses to start, and
# with two nodes cut like this the cluster is dead.
@mutant(
    "H22",
    "a torn record right at the durable offset is taken for corruption",
    rule="torn tail",
    breaks="P",
    difficulty="medium",
)
class TornIsCorrupt(Log):
    def on_bad_record(self, name: str, position: int, bad: int, known: int) -> None:
        if bad <= known:
            raise LogCorrupted(f"{name} is damaged at byte {position}, offset {bad}; {known} was known durable")


# The checkpoint gets its name, the name is synced, the old segments go; the content is never synced (a scratch file is in no
# list of unsynced files before the next restart). A power cut leaves a damaged checkpoint and no log before it.
@mutant(
    "H23",
    "a checkpoint is renamed without the sync of its content",
    rule="checkpoint steps",
    breaks="D",
    difficulty="medium",
)
class NameWithoutContent(Log):
    def checkpoint_order(self) -> list[str]:
        return ["rename", "sync_name", "cut"]


# A leader whose incoming links are broken still sends: its heartbeats keep everybody from an election (acceptors refuse
# pre-votes, followers start their timers anew) while it hears no vote. Who was heard once counts as heard for ever, so it
# never gives up, and nothing is chosen as long as the links stay so.
@mutant(
    "H24",
    "check-quorum counts every acceptor heard since the term began",
    rule="check-quorum",
    breaks="P",
    difficulty="medium",
)
class HeardOnce(Proposer):
    def hears_quorum(self) -> bool:
        return self.is_quorum(self.heard_ns)


# Two proposers lead one after the other in round 5. A voted for v in (5, 0), B for w in (5, 1): the learner adds both up under
# the value that came first and takes v for chosen, though a quorum accepts w in (5, 1).
@mutant(
    "H25",
    "votes are added up by round",
    rule="votes of one ballot",
    breaks="A",
    difficulty="medium",
    deployments=("classic",),
)
class CountedByRound(Tally):
    def counted_under(self, ballot: Ballot, value: Value) -> Ballot:
        return (ballot[0], 0)


# Delete a key, take a snapshot, restart (or let a laggard install it): the key now reads as never written, and a
# compare-and-set that expects None takes place on that replica alone.
@mutant("H26", "snapshots leave out deleted keys", rule="snapshot content", breaks="R", difficulty="medium")
class SnapshotWithoutTombstones(KeyValueStore):
    def snapshot(self) -> dict[str, Any]:
        live = {key: value for key, value in self.data.items() if not isinstance(value, dict)}
        return dict(sorted(live.items()))


# A snapshot of more than two pages is asked for eight pages at a time; page 2 overtakes page 1 (or page 1 is lost and asked
# for again), and the state is put together in the wrong order: what is installed is damaged, or cannot be read at all.
@mutant(
    "H27", "the pages of a snapshot are joined in the order they came", rule="paging", breaks="R", difficulty="medium"
)
class PagesAsTheyCame(Learner):
    def assemble(self, pages: int) -> bytes:
        return b"".join(self.pages.values())


# The window is full, more commands wait than a batch holds; the next batch takes its share and the rest is dropped. They stay
# in in_progress, so every retry to this leader is ignored: those operations are never executed while it leads.
@mutant(
    "H28", "what does not fit into a batch is dropped from the queue", rule="batching", breaks="P", difficulty="medium"
)
class BatchEmptiesQueue(Proposer):
    def next_batch(self) -> Value:
        batch = tuple(islice(self.queue, self.config.batch_commands))
        self.queue.clear()
        return batch


# -- subtle -----------------------------------------------------------------------------------------------------------


# Two leaders of one round, then a third: A reports (5, 0) with v, never chosen; B, after it, (5, 1) with w, chosen by B and C
# but not yet learned by B. The rounds are equal, so the first report stays and v is proposed over w.
@mutant("H29", "of two votes of the same round the one reported first wins", rule="P2c", breaks="A", difficulty="hard")
class BestByRound(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        if not votes:
            return NO_OP
        best = votes[0]
        for vote in votes[1:]:
            if vote.chosen or (not best.chosen and best.ballot[0] < vote.ballot[0]):
                best = vote
        return best.value


# A voted (1, v); B voted (2, w), not chosen; leader (3, C) proposes v again and A says Accepted without a vote of ballot 3: v
# is chosen by A and C. The next leader hears A (1, v) and B (2, w) and proposes w. Also: when A was not in C's phase 1, only
# the vote's record would have kept promise 3 over a restart of A.
@mutant(
    "H30",
    "a value voted for in any earlier ballot is not voted for again",
    rule="a vote is durable",
    breaks="A",
    difficulty="hard",
)
class SameValueIsVoted(Acceptor):
    def has_voted(self, ballot: Ballot, slot: int, value: Value) -> bool:
        vote = self.votes.get(slot)
        return vote is not None and vote[1] == value


# A has an old vote v in slot 351, where w was chosen, and installs a peer's snapshot of slot 500. Before its own checkpoint is
# durable it votes in slot 501 and logs commit 500; then it is killed. The log is read back with the checkpoint of before: the
# commit index vouches for v in slot 351, and A applies v. (Learner.chosen_in_log guards this; the vote's record passes it by.)
@mutant(
    "H31",
    "votes are logged with all that is learned as commit index, also what only a snapshot holds",
    rule="commit in the log",
    breaks="R",
    difficulty="hard",
    deployments=("collapsed",),
)
class LearnedIsInLog(Acceptor):
    def chosen_in_log(self) -> int:
        return self.household.learned() or 0


# When the checkpoint of slot 500 is written slot 503 is already learned, with another value than the own vote there (a hole
# was filled, or the checkpoint before was still on its way). The chosen record is in a segment that goes; its copy in the
# checkpoint is not read. After a restart the checkpoint's commit index makes the old vote the chosen value of 503.
@mutant(
    "H32",
    "chosen values that the checkpoint holds beside its votes are not read back",
    rule="recovery",
    breaks="R",
    difficulty="hard",
    deployments=("collapsed",),
)
class CheckpointWithoutChosen(Learner):
    def recover_chosen(self, checkpoint: Checkpoint, records: list[AnyRecord]) -> tuple[int, dict[int, Value]]:
        return super().recover_chosen(msgspec.structs.replace(checkpoint, chosen=()), records)


# The snapshot is of slot 500, but 505 slots are applied when its checkpoint can begin (the one before was on its way). Votes
# and values of 501-505 are left out, as if the state covered them, and the segments that held them go. When all replicas did
# so and restart, acknowledged slots are nowhere, and every promise says with its floor 505 that they need not be asked for.
@mutant(
    "H33",
    "a checkpoint claims to cover what is applied when it is written, not what its snapshot covers",
    rule="checkpoint content",
    breaks="D",
    difficulty="hard",
    deployments=("collapsed",),
)
class CheckpointOfApplied(Replica):
    def checkpoint(self) -> Checkpoint:
        learner = self.learner
        slot = learner.applied
        chosen = tuple((at, value) for at, value in sorted(learner.decided.items()) if at > slot)
        return self.acceptor.checkpoint(slot, learner.snapshot_data, self.proposer.round, chosen)


# A copy of the client's open (retried, or doubled by a link) is chosen late, after operation 3 was executed whose answer was
# lost: the session keeps its id but forgets seq 3. The client's retry of operation 3 is executed once more.
@mutant("H34", "opening a session that is there resets its seq", rule="exactly once", breaks="X", difficulty="hard")
class OpenResets(StateMachine):
    def open(self, slot: int, place: int, command: Command) -> Outcome:
        known = self.sessions.pop(command.client, None)
        session = Session(slot * PLACES_IN_VALUE + place if known is None else known.id, 0, None)
        self.sessions[command.client] = session
        while len(self.sessions) > self.max_sessions:
            del self.sessions[self.session_to_evict()]
        return Outcome(APPLIED if known is None else DUPLICATE, OK, session.id)


# Slot 7 is chosen, but the votes to the learners were lost, and the leader that could serve it (its ``decided`` is emptied)
# steps down. Elected again it begins phase 1 behind its old commit index: nobody proposes slot 7 anew, no learner can be told
# its value, nothing behind it is ever applied while this proposer leads.
@mutant(
    "H35",
    "what a proposer saw chosen in an earlier term needs no phase 1, though no learner may have it",
    rule="first slot",
    breaks="P",
    difficulty="hard",
    deployments=("classic",),
)
class KnownFromEarlierTerm(Proposer):
    def known_prefix(self) -> int:
        learned = self.household.learned()
        return max(self.stable, self.commit) if learned is None else learned


# Slots 500-505 are known but wait for 499. When it comes, learned jumps to 505 and the slots are applied one by one; the
# snapshot taken at 500 says it covers 505. Who restores it (a restart, a laggard) leaves out the effects of 501-505.
@mutant(
    "H36",
    "a snapshot bears the number of the last slot learned, not of the last one applied",
    rule="snapshot content",
    breaks="R",
    difficulty="hard",
)
class SnapshotOfLearned(Learner):
    def snapshot_content(self) -> bytes:
        return self.machine.image(self.learned, self.outcomes)


# A lags (350 learned) and is elected with {A, B}; B has cut its log up to 400, so its promise tells nothing of 351-400. A's own
# floor is the lowest, so these slots count as free and get no-ops. B says Truncated, but if A's and C's votes (C has cut
# nothing yet) are counted first, no-ops are chosen over values chosen long ago.
@mutant(
    "H37",
    "of the floors that promises report the lowest is heeded",
    rule="floors",
    breaks="A",
    difficulty="hard",
    deployments=("collapsed",),
)
class LowestFloor(Proposer):
    def heed_floors(self, floors: dict[int, int]) -> None:
        source = min(floors, key=lambda one: floors[one], default=self.node)
        floor = floors.get(source, 0)
        if floor > self.commit:
            self.commit = floor
            self.on_floor(source, floor)


# The process is killed after a vote was written and before it was synced; the next life reads it from the page cache and,
# as all that was read counts as durable, answers the repeated Accept at once. Then the power fails before the first sync:
# the vote is gone though it was told and counted.
@mutant(
    "H38", "what recovery read back counts as durable", rule="durable after recovery", breaks="D", difficulty="hard"
)
class ReadIsDurable(Log):
    def durable_after_recovery(self, known: int, end: int) -> int:
        return end


# The window is full when the leader steps down: the waiting commands are refused, and stay in the queue. The client, refused
# everywhere, says "fail" (surely not executed). When the node leads again it proposes them.
@mutant(
    "H39",
    "commands refused at the end of a term wait on for the next one",
    rule="definite failure",
    breaks="L",
    difficulty="hard",
)
class QueueOutlivesTerm(Proposer):
    def on_stepped_down(self) -> None:
        for command in self.queue:
            self.refuse(command)
        self.in_progress = {}
        self.proposals = {}
        self.inherited = deque()
        self.promises = self.make_book()
        self.decided = {}


# Leader A of round 9 dies for good, and the others are restarted before anybody leads: they remember their own rounds (2, say)
# but their acceptors promised 9. Every poll asks for round 3, is refused, and nothing is learned from the refusal: no Nack
# comes as no Prepare is sent. There is never a leader again.
@mutant("H40", "only a granted pre-vote tells of a round", rule="next ballot", breaks="P", difficulty="hard")
class RefusalTellsNothing(Proposer):
    def on_pre_vote_reply(self, source: int, message: PreVoteReply) -> None:
        if not self.counts_pre_vote(message):
            return
        self.note_round(message.promised)
        self.pre_votes.add(source)
        if self.is_quorum(self.pre_votes):
            self.begin_phase_1()
