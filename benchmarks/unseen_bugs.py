"""Forty bugs written from the list of rule methods alone, by eyes that had seen neither strategies nor oracles.

The planted bugs of the project are a score on known bugs: strategies were widened with them in view. How these fared before
anything was changed for them is a forecast for yours; docs/unseen-bugs.md has the figures. In the form of ``--mutants``:

    torture matrix --mutants benchmarks/unseen_bugs.py --trials 1 --budget 150
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from paxos_impl.acceptor import Acceptor
from paxos_impl.client import ClientSession
from paxos_impl.election import LEADING, PREPARING
from paxos_impl.gate import Gate
from paxos_impl.kv import KeyValueStore
from paxos_impl.learner import Learner
from paxos_impl.log import Checkpoint, Log, RoundRecord, VoteRecord
from paxos_impl.messages import (
    NO_OP,
    Accept,
    Accepted,
    AnyMessage,
    Ballot,
    Command,
    FetchPage,
    HeartbeatReply,
    PastVote,
    Prepare,
    Promise,
    Reply,
    Value,
    value_bytes,
)
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import PromiseBook, Proposer
from paxos_impl.replica import Replica
from paxos_impl.sessions import Session, StateMachine
from paxos_impl.tally import Tally


@mutant("G01", "a promise leaves out what this node has learned", rule="promise contents", breaks="A")
class G01(Acceptor):
    def promise_content(self, slot: int) -> list[PastVote]:
        known = self.chosen_in_log()
        return [vote for vote in super().promise_content(slot) if vote.slot > known]


@mutant("G02", "a Prepare of the promised round by a lower node is promised", rule="P1a", breaks="A")
class G02(Acceptor):
    def may_promise(self, ballot: Ballot) -> bool:
        return ballot[0] >= self.promised[0]


@mutant("G03", "an Accept of the promised round by a lower node is accepted", rule="accept", breaks="A")
class G03(Acceptor):
    def may_accept(self, ballot: Ballot, slot: int) -> bool:
        return ballot[0] >= self.promised[0]


@mutant("G04", "the same value again is not voted for anew, also in a higher ballot", rule="vote", breaks="A")
class G04(Acceptor):
    def has_voted(self, ballot: Ballot, slot: int, value: Value) -> bool:
        vote = self.votes.get(slot)
        return vote is not None and vote[1] == value


@mutant("G05", "a vote read back raises no promise", rule="recovery", breaks="A")
class G05(Acceptor):
    def recover_vote(self, record: VoteRecord) -> None:
        if record.slot > self.floor:
            self.votes[record.slot] = (record.ballot, record.value)


@mutant("G06", "the checkpoint keeps the ballot of the latest vote as the promise", rule="checkpoint", breaks="A")
class G06(Acceptor):
    def checkpoint(self, slot: int, state: bytes, round_: int, chosen: tuple[tuple[int, Value], ...]) -> Checkpoint:
        made = super().checkpoint(slot, state, round_, chosen)
        votes = [ballot for ballot, _ in self.votes.values()]
        return msgspec.structs.replace(made, promised=max(votes)) if votes else made


@mutant("G07", "every page of a promise says that it begins where the candidate asked", rule="pages", breaks="A")
class G07(Acceptor):
    def promise_pages(self, message: Prepare) -> Iterator[Promise]:
        for page in super().promise_pages(message):
            yield msgspec.structs.replace(page, start=message.slot)


@mutant("G08", "a promise is complete when its last page is there", rule="pages", breaks="A")
class G08(PromiseBook):
    def complete(self) -> list[int]:
        return list(self.last_page)


@mutant("G09", "pages with one slot between them fit together", rule="pages", breaks="A")
class G09(PromiseBook):
    def told(self, source: int) -> int:
        told = self.first_slot
        for start, behind in sorted(self.pages[source].items()):
            if start <= told + 1:
                told = max(told, behind)
        return told


@mutant("G10", "promises of an earlier try of this node count", rule="phase 1", breaks="A")
class G10(Proposer):
    def counts_promise(self, message: Promise) -> bool:
        return self.state == PREPARING and message.ballot[1] == self.node


@mutant("G11", "phase 1 begins behind what was chosen under an earlier leadership", rule="phase 1", breaks="P")
class G11(Proposer):
    def known_prefix(self) -> int:
        return max(super().known_prefix(), self.commit)


@mutant("G12", "the top slot is that of the highest vote; chosen values are not counted", rule="top", breaks="A")
class G12(Proposer):
    def top_slot(self, reported: dict[int, list[PastVote]]) -> int:
        voted = [slot for slot, votes in reported.items() if not any(vote.chosen for vote in votes)]
        return max([self.commit, *voted])


@mutant("G13", "gaps are closed from the first slot asked for, floors or not", rule="floors", breaks="A")
class G13(Proposer):
    def slots_to_close(self, reported: dict[int, list[PastVote]], top: int) -> Iterable[int]:
        return range(self.first_slot, top + 1)


@mutant("G14", "of two votes of the same round the first one heard wins", rule="P2c", breaks="A")
class G14(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        if not votes:
            return NO_OP
        best = votes[0]
        for vote in votes[1:]:
            if vote.chosen or (not best.chosen and vote.ballot[0] > best.ballot[0]):
                best = vote
        return best.value


@mutant("G15", "a leader that led before goes on behind its own last slot", rule="top", breaks="P")
class G15(Proposer):
    def inherit(self) -> None:
        before = self.next_slot
        super().inherit()
        self.next_slot = max(before, self.next_slot)


@mutant("G16", "the command that would overfill a batch is dropped", rule="batching", breaks="P")
class G16(Proposer):
    def next_batch(self) -> Value:
        batch: list[Command] = []
        size = 0
        while self.queue and len(batch) < self.config.batch_commands:
            command = self.queue.popleft()
            size += value_bytes((command,))
            if batch and size > self.config.batch_bytes:
                break
            batch.append(command)
        return tuple(batch)


@mutant("G17", "votes for this leader's earlier ballots count", rule="phase 2", breaks="A")
class G17(Proposer):
    def counts_accepted(self, message: Accepted) -> bool:
        return self.state == LEADING and message.ballot[1] == self.node


@mutant("G18", "who steps down refuses what no acceptor has answered yet", rule="step-down", breaks="L")
class G18(Proposer):
    def on_stepped_down(self) -> None:
        for proposal in self.proposals.values():
            if not proposal.accepted_by:
                self.queue.extend(proposal.value)
        super().on_stepped_down()


@mutant("G19", "nothing is sent again to an acceptor heard lately", rule="retransmission", breaks="P")
class G19(Proposer):
    def retransmit(self) -> None:
        before_ns = self.context.now_ns - self.config.retransmit_ns
        for slot, proposal in self.proposals.items():
            if proposal.sent_ns <= before_ns:
                proposal.sent_ns = self.context.now_ns
                message = Accept(self.ballot, slot, self.value_to_retransmit(slot, proposal), self.commit)
                for acceptor in self.config.acceptors:
                    if acceptor not in proposal.accepted_by and self.heard_ns.get(acceptor, 0) <= before_ns:
                        self.send(acceptor, message)


@mutant("G20", "with nothing in flight everything is said to be chosen", rule="commit index", breaks="A")
class G20(Proposer):
    def commit_index(self) -> int:
        return self.commit if self.proposals else max(self.commit, self.next_slot - 1)


@mutant("G21", "half of the learners are enough to cut", rule="stable", breaks="P", deployments=("classic",))
class G21(Proposer):
    def stable_slot(self) -> int:
        durable = sorted((self.learner_durable.get(one, 0) for one in self.config.learners), reverse=True)
        return durable[(len(self.config.learners) - 1) // 2]


@mutant("G22", "a leader counts itself among those heard, twice", rule="check-quorum", breaks="P")
class G22(Proposer):
    def hears_quorum(self) -> bool:
        since_ns = self.context.now_ns - self.config.election_timeout_ns
        return self.is_quorum([self.node, *(n for n, at in self.heard_ns.items() if at >= since_ns)])


@mutant("G23", "an answer of a learner is a sign of an acceptor's life", rule="check-quorum", breaks="P")
class G23(Proposer):
    def is_sign_of_life(self, source: int, message: HeartbeatReply) -> bool:
        return self.state == LEADING and message.ballot == self.ballot


@mutant("G24", "rounds are reserved in pairs, and the first of the pair is logged", rule="lastTried", breaks="A")
class G24(Proposer):
    reserved = 0

    def log_round(self, ballot: Ballot) -> None:
        if ballot[0] > self.reserved:
            self.reserved = ballot[0] + 1
            self.context.log.append(RoundRecord(ballot[0]))


@mutant("G25", "the backoff has no bound but that of the counter", rule="backoff", breaks="P")
class G25(Proposer):
    def backoff_factor(self) -> int:
        return 1 + int(self.context.draw() * ((1 << self.failures) - 1))


@mutant(
    "G26",
    "a checkpoint holds chosen values only behind what is applied",
    rule="checkpoint",
    breaks="A",
    deployments=("collapsed",),
)
class G26(Replica):
    def checkpoint(self) -> Checkpoint:
        made = super().checkpoint()
        chosen = tuple(one for one in made.chosen if one[0] > self.learner.applied)
        return msgspec.structs.replace(made, chosen=chosen)


@mutant("G27", "a learner asks only whoever told it the commit index", rule="catch-up", breaks="P")
class G27(Learner):
    def catch_up_peer(self) -> int:
        return self.commit_source if self.commit_source >= 0 else super().catch_up_peer()


@mutant("G28", "catch-up stops at a no-op", rule="catch-up", breaks="P")
class G28(Learner):
    def values_to_serve(self, slot: int) -> tuple[Value, ...]:
        values, size = [], 0
        while (value := self.decided.get(slot)) and size < self.config.page_bytes:
            values.append(value)
            size += value_bytes(value)
            slot += 1
        return tuple(values)


@mutant("G29", "a vote for a no-op counts as none", rule="P2c", breaks="A")
class G29(Proposer):
    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        return super().value_to_propose(slot, [vote for vote in votes if vote.value or vote.chosen])


@mutant(
    "G30",
    "after a snapshot was installed the log counts as whole at once",
    rule="snapshots",
    breaks="A",
    deployments=("collapsed",),
)
class G30(Learner):
    def install(self, data: bytes) -> None:
        super().install(data)
        self.installed_slot = 0


@mutant("G31", "only the very last command of a session is a duplicate", rule="sessions", breaks="X")
class G31(StateMachine):
    def is_duplicate(self, session: Session, command: Command) -> bool:
        return command.seq == session.seq


@mutant("G32", "a command of an expired session runs in its client's new one", rule="sessions", breaks="X")
class G32(StateMachine):
    def session_of(self, command: Command) -> Session | None:
        return self.sessions.get(command.client)


@mutant("G33", "a compare-and-set that expects nothing takes a tombstone for it", rule="kv", breaks="L")
class G33(KeyValueStore):
    def matches(self, found: Any, expected: Any) -> bool:
        return found == expected or (expected is None and isinstance(found, dict))


@mutant("G34", "reading a list gives the list itself", rule="kv", breaks="R")
class G34(KeyValueStore):
    def read(self, key: str) -> Any:
        return self.data.get(key)


@mutant("G35", "segments behind a torn record stay", rule="torn tail", breaks="D")
class G35(Log):
    def cut_tail(self, names: list[str], position: int) -> None:
        self._cut_unsynced = True
        self.files.truncate(names[0], position)


@mutant("G36", "a Prepare need not wait for the log either", rule="gate", breaks="A")
class G36(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return super().may_leave(message, offset) or type(message) is Prepare


@mutant("G37", "an answer to the opening of the session counts as the operation's", rule="client", breaks="L")
class G37(ClientSession):
    def answers(self, reply: Reply, operation: Command) -> bool:
        return reply.seq in (0, operation.seq)


@mutant("G38", "a local read may be one slot behind", rule="reads", breaks="L")
class G38(Learner):
    def may_read_locally(self, at_least: int) -> bool:
        return self.applied + 1 >= at_least


@mutant("G39", "votes of one round are added up", rule="tally", breaks="A", deployments=("classic",))
class G39(Tally):
    def counted_under(self, ballot: Ballot, value: Value) -> Ballot:
        return (ballot[0], 0)


@mutant("G40", "pages come of the snapshot that is newest now", rule="snapshots", breaks="R")
class G40(Learner):
    def on_fetch_page(self, source: int, message: FetchPage) -> None:
        if source in self.served and self.served[source][0] == message.slot:
            self.served[source] = (message.slot, self.snapshot_data)
        super().on_fetch_page(source, message)
