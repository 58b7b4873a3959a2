"""Thirty harmless variations, written blind: from the protocol code alone, neither strategies nor oracles in view.

Each does something else than the code does in ordinary runs, and breaks nothing: ``equivalent`` argues why, and tells how
often it acts. What a harness says against one of them is a false alarm, or an argument here is wrong.

    torture simulate --mutant benchmarks/harmless_variants.py:V01 --runs 100
"""

from __future__ import annotations

import msgspec

from paxos_impl.acceptor import Acceptor
from paxos_impl.client import ClientSession
from paxos_impl.election import LEADING, PREPARING
from paxos_impl.gate import Gate
from paxos_impl.kv import KeyValueStore
from paxos_impl.learner import Learner
from paxos_impl.log import Checkpoint, ChosenRecord, Log
from paxos_impl.messages import (
    NO_OP,
    Accept,
    Accepted,
    AnyMessage,
    Ballot,
    CatchUp,
    Command,
    FetchPage,
    Learn,
    PastVote,
    PreVote,
    Promise,
    Value,
)
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import Proposal, Proposer
from paxos_impl.replica import Replica
from paxos_impl.sessions import APPLIED, Outcome, StateMachine

# -- acceptor ---------------------------------------------------------------------------------------------------------


@mutant(
    "V01",
    "a promise also tells the votes and chosen values of the twenty slots below those asked for",
    rule="a promise tells every vote in the slots asked for",
    breaks="",
    equivalent="Nothing asked for is left out, and what is told besides is as true as the rest. The candidate closes slots"
    " above its commit index only, so it passes over the lower ones; they cannot raise the top slot above what is open, nor"
    " make a page seem to cover more. At most twenty entries more. Acts in nearly every promise once slots are chosen.",
)
class TellsLowerSlotsToo(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        return super().promise_content(max(1, slot - 20))


@mutant(
    "V02",
    "the vote for an Accept that came before is cast and logged again",
    rule="a repeated Accept is answered again",
    breaks="",
    equivalent="The record repeats ballot, slot and value of the vote that stands (an Accept of a lower ballot is refused"
    " before, and a ballot has one value in a slot), so recovery ends with the same vote, the same promise and the same chosen"
    " values, whether or not the second record survives. The answer waits for the second record: later, never earlier. One"
    " record for each duplicate that arrives; the next checkpoint cuts them. Acts for duplicated or retransmitted Accepts.",
)
class VotesAgain(Acceptor):
    def has_voted(self, ballot: Ballot, slot: int, value: Value) -> bool:
        return False


@mutant(
    "V03",
    "with the answer for a slot an acceptor repeats that for the slot before, if it voted there in the same ballot",
    rule="a vote is for one slot",
    breaks="",
    equivalent="That it voted in this ballot is a fact that nothing undoes; the record stands in the log before the message,"
    " and the gate waits for it. A leader counts senders, so a repetition adds nothing, and mends a lost answer. Said only"
    " while the ballot is the promised one and the vote is kept. Acts for nearly every Accept but the first of a ballot.",
)
class RepeatsTheAnswerBefore(Acceptor):
    def on_accept(self, source: int, message: Accept) -> None:
        super().on_accept(source, message)
        before = message.slot - 1
        vote = self.votes.get(before)
        if vote is not None and vote[0] == message.ballot == self.promised:
            self.send(source, Accepted(message.ballot, before))


@mutant(
    "V04",
    "for a slot known chosen a promise tells the own vote beside the chosen value",
    rule="a promise tells every vote and every chosen value",
    breaks="",
    deployments="collapsed",
    equivalent="The vote is a true one. A value reported as chosen wins over every vote, whatever the order or the ballots,"
    " in the very list where both stand; if a page break parts them, all pages are needed anyway. Promises are at most twice"
    " as long. Acts in a promise to a candidate that has learned less than the acceptor: in about every other election.",
)
class TellsTheVoteBesideTheChosen(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        content = super().promise_content(slot)
        both = [at for at in self.votes if at >= slot and at in self.decided]
        content += [PastVote(at, *self.votes[at], False) for at in both]
        return sorted(content, key=lambda vote: vote.slot)


@mutant(
    "V05",
    "a pre-vote is denied until a leader was silent for one and a half election timeouts",
    rule="pre-vote",
    breaks="",
    equivalent="A denied pre-vote changes no state and is no lost try: the node polls again after its next wait, which is at"
    " least an election timeout. So a failover takes one poll longer at most. Without a leader (a start, a deposed one)"
    " nothing keeps the time from running out. Acts in most failovers.",
)
class ProtectsTheLeaderLonger(Acceptor):
    def may_pre_vote(self, ballot: Ballot) -> bool:
        quiet_ns = self.context.now_ns - self.leader_heard_ns
        return super().may_pre_vote(ballot) and 2 * quiet_ns >= 3 * self.config.election_timeout_ns


# -- proposer ---------------------------------------------------------------------------------------------------------


@mutant(
    "V06",
    "a candidate waits for the promises of all acceptors, and takes a mere quorum only when it retransmits",
    rule="phase 1 asks a quorum",
    breaks="",
    equivalent="It leads only with a quorum of whole promises of its ballot, as before; more of them only add true votes. The"
    " retransmission timer runs while it prepares, and is shorter than an election timeout: so a silent acceptor costs one"
    " retransmission interval an election. A refusal meanwhile makes it step down as before. Acts in every election.",
)
class WaitsForEveryPromise(Proposer):
    def on_promise(self, source: int, message: Promise) -> None:
        if not self.counts_promise(message):
            return
        self.promises.add(source, message)
        if len(self.promise_quorum()) == len(self.config.acceptors):
            self.become_leader()

    def on_retransmit_due(self) -> None:
        if self.state == PREPARING and self.is_quorum(self.promise_quorum()):
            self.become_leader()
        else:
            super().on_retransmit_due()


@mutant(
    "V07",
    "a new slot is asked only of the acceptors heard within an election timeout, if they are a quorum",
    rule="phase 2a goes to a quorum",
    breaks="",
    equivalent="Phase 2 needs a quorum, whichever. Who was left out, or does not answer, is asked by the retransmission,"
    " which goes to everybody without a vote; and an acceptor that answers a heartbeat is asked from then on. A replica that"
    " got no Accept learns by the commit index of the heartbeats and catches up. Acts for the first slots of every leader"
    " (the third promise is not in yet) and for each slot while an acceptor is away.",
)
class AsksWhoIsThere(Proposer):
    def propose(self, slot: int, value: Value) -> None:
        everybody, since_ns = self.config.acceptors, self.context.now_ns - self.config.election_timeout_ns
        near = tuple(one for one in everybody if self.heard_ns.get(one, since_ns - 1) >= since_ns)
        self.trace("propose", self.ballot, slot, value)
        self.proposals[slot] = Proposal(value, self.context.now_ns)
        for acceptor in near if self.is_quorum(near) else everybody:
            self.send(acceptor, Accept(self.ballot, slot, value, self.commit))


@mutant(
    "V08",
    "while slots are in flight fewer than four waiting commands wait on, to become one batch (Nagle)",
    rule="at most window slots are open, waiting commands are batched",
    breaks="",
    equivalent="A part of the window is used. Something in flight ends by being chosen, which is an event after which the"
    " waiting commands go, or by a step down, which refuses them; and what comes behind could not be applied before it anyway."
    " So a command waits for one more round trip at most. Inherited slots do not wait. Acts whenever commands overlap.",
)
class WaitsForABatch(Proposer):
    def pump(self) -> None:
        if self.inherited or not self.proposals or len(self.queue) >= 4:
            super().pump()


@mutant(
    "V09",
    "with every tenth heartbeat the leader proposes a no-op in the next slot",
    rule="a new command takes the next slot above everything known",
    breaks="",
    equivalent="A no-op is a value like any other and changes no state; its slot is free, above everything known, and is used"
    " for nothing else. Not while inherited slots wait, and only if the window has room. Five slots a second: snapshots cut"
    " them like all others. Acts about five times a second.",
)
class ProposesNoOps(Proposer):
    def on_heartbeat_due(self) -> None:
        super().on_heartbeat_due()
        room = not self.inherited and len(self.proposals) < self.config.window
        if self.state == LEADING and room and self.beat % 10 == 0:
            self.next_slot += 1
            self.propose(self.next_slot - 1, NO_OP)


@mutant(
    "V10",
    "the leader tells the chosen value of every fourth slot to all learners at once",
    rule="a learner may learn from another that a value is chosen",
    breaks="",
    equivalent="It tells what a quorum accepted in its ballot: chosen for ever, so it may be told any time, in any order, also"
    " twice. A learner that has no vote for it logs it, as from a catch-up. The commit index told is the one it would tell in"
    " a catch-up. One message a learner for every fourth slot.",
)
class TellsTheLearners(Proposer):
    def on_chosen(self, slot: int, value: Value) -> None:
        super().on_chosen(slot, value)
        learned = self.household.learned()
        commit = self.commit if learned is None else learned
        for learner in self.config.learners if slot % 4 == 0 else ():
            if learner != self.node:
                self.send(learner, Learn(slot, (value,), commit))


@mutant(
    "V11",
    "a batch is put in order of client and seq instead of arrival",
    rule="waiting commands in order of arrival",
    breaks="",
    equivalent="All commands of a batch are unanswered, so any order of different clients is one they could have come in; those"
    " of one client stay in order of seq. The order is fixed before the value is proposed, and is the same on every replica."
    " The same commands are taken, so nobody waits longer. Acts when two commands wait at once (a burst,"
    " a full window): now and then in a run.",
)
class SortsTheBatch(Proposer):
    def next_batch(self) -> Value:
        batch = super().next_batch()
        return tuple(sorted(batch, key=lambda command: (command.client, command.seq)))


@mutant(
    "V12",
    "rounds are shared out: a node tries only those that leave its own number as remainder",
    rule="next ballot: a round above every one seen, own node",
    breaks="",
    equivalent="The round still lies above every one seen or tried, by at most as many as there are nodes; the ballot bears the"
    " own node, is logged before its Prepare leaves, and is unique even by its round. Nothing relies on rounds without gaps."
    " Acts in every poll and election.",
)
class SharesOutTheRounds(Proposer):
    def next_ballot(self) -> Ballot:
        lowest = self.round + 1
        return (lowest + (self.node - lowest) % len(self.config.names), self.node)


@mutant(
    "V13",
    "a leader steps down when it heard no quorum for three quarters of an election timeout",
    rule="check-quorum",
    breaks="",
    equivalent="A leader may step down at any time; what it proposed the next one finds. Three heartbeats and their answers fit"
    " into that time, so with messages arriving a leader stays, as long as before. Who is cut off gives up 25 ms sooner, and"
    " its clients are told sooner. Acts when the answers stay away: a pause, a partition, heavy losses; about once a fault.",
)
class GivesUpSooner(Proposer):
    def hears_quorum(self) -> bool:
        since_ns = self.context.now_ns - self.config.election_timeout_ns * 3 // 4
        return self.is_quorum([node for node, heard_ns in self.heard_ns.items() if heard_ns >= since_ns])


@mutant(
    "V14",
    "every other heartbeat tells a commit index one lower",
    rule="every slot up to the commit index is chosen",
    breaks="",
    equivalent="What it says is true: those slots are chosen. Heartbeats are reordered and lost anyway, so nobody relies on an"
    " index that never sinks. The next heartbeat tells the last slot too: it is learned 20 ms later at most. Acts in every"
    " other heartbeat.",
)
class TellsAnOlderCommit(Proposer):
    def commit_index(self) -> int:
        return self.commit if self.beat % 2 else max(0, self.commit - 1)


# -- learner ----------------------------------------------------------------------------------------------------------


@mutant(
    "V15",
    "every chosen value is logged as chosen, also where the own vote in the log is for the same value",
    rule="the log holds the chosen value",
    breaks="",
    deployments="collapsed",
    equivalent="The record is true, and says what recovery would conclude from the vote and the commit index; if a power cut"
    " takes it, the vote still stands. What is sent behind it waits for it: one sync more, never one less. The log is at most"
    " twice as long, and the next checkpoint cuts it. Acts for every slot.",
)
class LogsEveryChosenValue(Learner):
    def log_chosen(self, slot: int, value: Value) -> None:
        if self.config.collapsed and not self.recovering:
            self.context.log.append(ChosenRecord(slot, value))


@mutant(
    "V16",
    "a learner that misses values asks two peers at once",
    rule="one peer after the other",
    breaks="",
    equivalent="A question changes nothing; what comes back is chosen, whoever tells it, and the second answer adds nothing."
    " Of two snapshots the pages of one are taken and those of the other ignored, as if the answer to an earlier question came"
    " late. Twice as many questions, at the same limited rate. Acts in every catch-up with two peers or more.",
)
class AsksTwoPeers(Learner):
    def on_catch_up_due(self) -> None:
        asked = self.asked
        super().on_catch_up_due()
        others = [peer for peer in self.config.learners if peer not in (self.node, self.catch_up_peer())]
        if self.asked > asked and others:
            self.send(others[self.asked % len(others)], CatchUp(self.learned + 1))


# -- snapshots --------------------------------------------------------------------------------------------------------


@mutant(
    "V17",
    "whoever lags behind the last snapshot is sent the snapshot, though the values are still here",
    rule="below the cut the snapshot stands in for the values",
    breaks="",
    equivalent="A snapshot is the effect of exactly the chosen values up to its slot, so it may stand in for them at any time."
    " It covers the slot asked for, so the asker is behind it and may install it; what lies above it is asked for next. A"
    " snapshot not yet durable here is served anyway: the asker makes it durable itself before it relies on it. Acts in"
    " catch-ups across a snapshot: after a restart or a partition.",
)
class SendsTheSnapshotSooner(Learner):
    def is_cut(self, slot: int) -> bool:
        return super().is_cut(slot) or (bool(self.snapshot_data) and slot <= self.snapshot_slot)


@mutant(
    "V18",
    "snapshots are taken half-way too: twice as many",
    rule="snapshots at the same slots in every process",
    breaks="",
    equivalent="Still by the number of the slot alone, so at the same slots in every process; each is taken between two slots"
    " and cuts the log only when its checkpoint is durable. Checkpoints are written one after the other, the latest snapshot"
    " stands for those between. Acts once in snapshot_every slots.",
)
class SnapshotsHalfWay(Learner):
    def wants_snapshot(self, slot: int) -> bool:
        every = self.config.snapshot_every
        return every > 0 and slot % every in (0, every // 2)


@mutant(
    "V19",
    "a checkpoint keeps every vote that is in memory, also those that its snapshot covers",
    rule="promise and live votes go into the checkpoint",
    breaks="",
    deployments="collapsed",
    equivalent="More than needed: when it is read back, votes up to its own slot are passed over by acceptor and learner alike,"
    " and those above are as before. Bounded by what memory holds, which the cut bounds. Acts in every checkpoint of a process"
    " that voted.",
)
class KeepsOldVotesInTheCheckpoint(Acceptor):
    def checkpoint(self, slot: int, state: bytes, round_: int, chosen: tuple[tuple[int, Value], ...]) -> Checkpoint:
        made = super().checkpoint(slot, state, round_, chosen)
        votes = tuple((at, ballot, value) for at, (ballot, value) in sorted(self.votes.items()))
        return msgspec.structs.replace(made, votes=votes)


# -- log files --------------------------------------------------------------------------------------------------------


@mutant(
    "V20",
    "the name of a checkpoint is synced twice before the old files go",
    rule="content before name, name before the old goes",
    breaks="",
    equivalent="The order is kept; the log is cut one sync later than it could be, and what was cut is replaced by a durable"
    " checkpoint all the more. Until then the old files are there beside the new: recovery takes the newest checkpoint, as"
    " when a process dies between name and cut. Acts in every checkpoint.",
)
class SyncsTheNameTwice(Log):
    def checkpoint_order(self) -> list[str]:
        return ["sync_content", "rename", "sync_name", "sync_name", "cut"]


@mutant(
    "V21",
    "records that wait are handed to the operating system one by one, not in one piece",
    rule="append before you speak",
    breaks="",
    equivalent="The same bytes in the same order, before the same sync. A power cut may take any unsynced bytes, however they"
    " were appended; recovery cuts at the first bad record. If one append fails, the agent stops as before: records before it"
    " were said by nobody. Nothing is taken while a cut waits for its sync. Acts when a step logs two records or more.",
)
class AppendsOneByOne(Log):
    def flush(self) -> bool:
        if not self.pending or not self.cut_is_durable():
            return False
        for record in self.pending:
            self.pending = [record]
            super().flush()
        return True


@mutant(
    "V22",
    "the checkpoint before the last is kept on disk as a spare copy",
    rule="what a durable checkpoint replaces goes",
    breaks="",
    equivalent="Recovery reads the newest checkpoint, which has its name durably before anything is removed, and the segments"
    " behind it; the older one is never read, nor is a segment kept with it. When the next checkpoint comes it goes: two at"
    " most. Acts in every checkpoint but the first.",
)
class KeepsASpareCheckpoint(Log):
    def remove_before(self, segment: int) -> None:
        names = [name for name in self.files.names() if name.startswith(("log-", "checkpoint-"))]
        older = [name for name in names if name[-8:].isdigit() and int(name[-8:]) < segment]
        spare = [name for name in older if name.startswith("checkpoint-")][-1:]
        for name in older:
            if name not in spare:
                self.files.remove(name)
                self._unsynced.pop(name, None)


# -- gate -------------------------------------------------------------------------------------------------------------


@mutant(
    "V23",
    "an Accept waits for the log like every other message",
    rule="the durability rule without its exemption",
    breaks="",
    deployments="collapsed",
    equivalent="The exemption is an optimisation: to wait longer is always safe, and the order of what is held stays. A"
    " command costs two syncs in a row (of what the leader logged before, and of the votes) instead of one. Acts whenever"
    " the leader has something unsynced while it proposes or retransmits: often under load.",
)
class AcceptsWaitToo(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return offset <= self.durable_offset()


@mutant(
    "V24",
    "questions (pre-vote, catch-up, a page of a snapshot) leave at once, whatever the log still waits for",
    rule="no message leaves before the log is durable as far as the message relies on it",
    breaks="",
    equivalent="A question states nothing about the disk and promises nothing: who is asked changes no state for a PreVote"
    " (phase 1 logs its round and waits for that), and tells only what is chosen to a CatchUp or FetchPage. Forgotten by a"
    " power cut it is a question of an earlier life. Only after the first sync of this life, which recovery waits for."
    " Acts when an agent asks while it has unsynced records: in many catch-ups, some polls.",
)
class QuestionsDoNotWait(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        question = isinstance(message, PreVote | CatchUp | FetchPage) and self.log.cut_is_durable()
        return question or super().may_leave(message, offset)


# -- replica ----------------------------------------------------------------------------------------------------------


@mutant(
    "V25",
    "every replica answers the clients of what it applies, not the leader alone",
    rule="of collapsed replicas the leader alone answers",
    breaks="",
    deployments="collapsed",
    equivalent="A command is chosen and applied in order wherever it is answered, and the outcome is the same on every replica;"
    " a client takes the first answer to its operation and passes over the others, as in the classic deployment. It may turn to"
    " a follower next, which points to the leader: one hop more. What is applied while recovering is answered by nobody."
    " Acts for every command on every follower.",
)
class EveryReplicaAnswers(Replica):
    def answers_clients(self) -> bool:
        return super().answers_clients() or not self.learner.recovering


# -- client -----------------------------------------------------------------------------------------------------------


@mutant(
    "V26",
    "a client tries the servers in turn backwards",
    rule="in turn, so that each is asked before one is asked again",
    breaks="",
    equivalent="Each is asked before one is asked again, in the other direction. Acts in every turn away from a server that is"
    " silent or refuses without a hint.",
)
class TurnsBackwards(ClientSession):
    def next_server(self, server: int) -> int:
        servers = self.config.servers
        return servers[servers.index(server) - 1] if server in servers else servers[-1]


@mutant(
    "V27",
    "a client counts its operations in steps of three",
    rule="every operation of a session has a seq of its own",
    breaks="",
    equivalent="Seqs rise strictly and a retry repeats its own; sessions, queue and replies compare them by order and equality"
    " only, and nothing asks for one without gaps. Never 0, which is the opening. Acts in every operation.",
)
class CountsInThrees(ClientSession):
    def next_seq(self) -> int:
        return self.seq + 3


# -- state machine ----------------------------------------------------------------------------------------------------


@mutant(
    "V28",
    "a leader never answers a retry from the sessions: it goes through the log again",
    rule="a retry is executed once",
    breaks="",
    deployments="collapsed",
    equivalent="The log decides as for two copies in flight: the second is found in the session when it is applied, is not"
    " executed, and the result of the first is answered. One decree for each retry that reaches a leader after the command was"
    " chosen. Acts for late or duplicated requests: a few in a run with losses, slow links or a failover.",
)
class AnswersRetriesByTheLog(StateMachine):
    def cached(self, command: Command) -> Outcome | None:
        return None


@mutant(
    "V29",
    "the id of a session is twice its place in the log and one",
    rule="a session is named by its place in the log",
    breaks="",
    equivalent="A function of the place that gives different places different ids, the same on every replica and after every"
    " recovery or snapshot; clients only hand it back. Acts in every opening of a session.",
)
class OtherSessionIds(StateMachine):
    def open(self, slot: int, place: int, command: Command) -> Outcome:
        outcome = super().open(slot, place, command)
        if outcome.how != APPLIED:
            return outcome
        session = self.sessions[command.client]
        session.id = 2 * session.id + 1
        return Outcome(APPLIED, outcome.status, session.id)


@mutant(
    "V30",
    "the keys of a snapshot stand in falling order",
    rule="equal states have equal snapshots",
    breaks="",
    equivalent="Any order of the keys that depends on them alone makes equal states equal bytes. Nothing reads the store in the"
    " order of its keys: the digest sorts them. Acts in every snapshot of two keys or more.",
)
class KeysInFallingOrder(KeyValueStore):
    def snapshot(self) -> dict[str, object]:
        return dict(sorted(self.data.items(), reverse=True))
