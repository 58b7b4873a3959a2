"""Proposer: runs phase 1 once per leadership, then phase 2 for slot after slot.

Rules (Paxos Made Simple, sections 2.2 to 3; The Part-Time Parliament, section 3)
* **Phase 1** asks a quorum, for all slots from the first not known chosen; promises are collected by sender, keyed by
  ballot, and count only when all their pages are there.
* **P2c** in each slot propose the value of the highest-ballot vote reported; only a slot in which nothing was reported is free.
* **Gaps** below the highest slot reported are closed with no-ops before anything new is proposed behind them.
* A new command takes the next slot above everything known; at most ``window`` slots are open, waiting commands are batched.
* **Retransmission** repeats the same value in the same slot and ballot; the ballot is not raised for it.
* A slot is chosen when a quorum of acceptors, counted by sender, accepted it in this ballot.
* A leader that waits in vain for values that an acceptor of its quorum has cut steps down: a new phase 1 asks who is there now.
* A command is refused ("not leader") only if this leader never proposed it; one that the store cannot execute by every leader.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from paxos_impl.agent import Context
from paxos_impl.election import LEADING, PREPARING, Election
from paxos_impl.kv import problem_with
from paxos_impl.log import EMPTY_CHECKPOINT, AnyRecord, Checkpoint, RoundRecord
from paxos_impl.messages import (
    BUSY,
    MALFORMED,
    NO_OP,
    NOT_LEADER,
    Accept,
    Accepted,
    CatchUp,
    Command,
    Heartbeat,
    HeartbeatReply,
    Learn,
    PastVote,
    Prepare,
    Promise,
    Reply,
    Request,
    Truncated,
    Value,
    client_address,
    value_bytes,
)

BEHIND_ALL = 1 << 62
"""A slot behind every other: a last page tells of all slots up to it."""

RECOVERY_WINDOW = 64
"""Inherited slots in flight: all were open before, so a small window would only make a failover slow."""


PATIENCE_TIMEOUTS = 2
"""Election timeouts without news after which a leader no longer waits for what is cut elsewhere: time to ask every peer."""


class Proposal:
    """A slot in flight: one value, one ballot, who accepted it, when it was sent last."""

    __slots__ = ("accepted_by", "sent_ns", "value")

    def __init__(self, value: Value, sent_ns: int) -> None:
        self.value = value
        self.sent_ns = sent_ns
        self.accepted_by: set[int] = set()


class PromiseBook:
    """Promises of one ballot, by sender: which slots their pages tell of, where the last page begins, the votes reported.

    An acceptor asked twice may cut its answers into other pages, so pages are joined by the slots they cover, not counted.
    """

    def __init__(self) -> None:
        self.first_slot = 1
        """What was asked for: every slot from here on."""
        self.pages: dict[int, dict[int, int]] = {}
        """Sender -> first slot of a page -> first slot behind it."""
        self.last_page: dict[int, int] = {}
        self.whole: set[int] = set()
        """Senders found complete: they stay so, and need not be looked at again."""
        self.votes: dict[int, list[PastVote]] = {}
        self.floors: dict[int, int] = {}

    def add(self, source: int, message: Promise) -> None:
        """A page of an acceptor's promise: its votes, and which slots it tells of. The same page again adds nothing."""
        pages = self.pages.setdefault(source, {})
        behind = BEHIND_ALL if message.last else message.votes[-1].slot + 1
        if pages.get(message.start, 0) >= behind:
            return
        pages[message.start] = behind
        if message.last:
            self.last_page[source] = message.start
        self.floors[source] = max(self.floors.get(source, 0), message.floor)
        for vote in message.votes:
            self.votes.setdefault(vote.slot, []).append(vote)

    def complete(self) -> list[int]:
        """Senders whose pages tell of every slot that was asked for."""
        self.whole.update(one for one in self.last_page if one not in self.whole and self.told(one) == BEHIND_ALL)
        return [source for source in self.last_page if source in self.whole]

    def told(self, source: int) -> int:
        """The first slot the sender's pages do not tell of."""
        told = self.first_slot
        for start, behind in sorted(self.pages[source].items()):
            if start <= told:
                told = max(told, behind)
        return told


class Proposer(Election):
    role = "proposer"

    def __init__(self, context: Context, make_book: Callable[[], PromiseBook] = PromiseBook) -> None:
        super().__init__(context)
        self.make_book = make_book
        self.promises = make_book()
        self.rounds_logged = 0
        """Records of rounds in the log since its last checkpoint."""
        self.first_slot = 1
        """Phase 1 covers slots >= first_slot."""
        self.commit = 0
        """Every slot <= commit is known chosen."""
        self.chosen_above: set[int] = set()
        self.stable = 0
        self.learner_durable: dict[int, int] = {}
        self.next_slot = 1
        self.proposals: dict[int, Proposal] = {}
        self.inherited: deque[tuple[int, Value]] = deque()
        """Slots below next_slot that phase 1 found open, with the value each must get."""
        self.queue: deque[Command] = deque()
        self.in_progress: dict[int, int] = {}
        """client -> seq of its latest command that waits or is in flight."""
        self.decided: dict[int, Value] = {}
        """Classic deployment: chosen values not yet in durable snapshots, for learners that miss them."""
        self.handlers.update(
            {
                Request: self.on_request,
                Promise: self.on_promise,
                Accepted: self.on_accepted,
                Truncated: self.on_truncated,
            }
        )
        if not self.config.collapsed:
            self.handlers[CatchUp] = self.on_catch_up
        self.on_timer("retransmit", self.on_retransmit_due)

    # -- phase 1 ------------------------------------------------------------------------------------------------------

    def begin_phase_1(self) -> None:
        self.ballot = self.next_ballot()
        self.round = self.ballot[0]
        self.state = PREPARING
        self.log_round(self.ballot)
        self.rounds_logged += 1
        self.promises = self.make_book()
        self.commit = self.known_prefix()
        self.chosen_above = set()
        self.first_slot = self.promises.first_slot = self.first_slot_to_prepare()
        self.trace("prepare", self.ballot, self.first_slot)
        self.send_prepare(self.config.acceptors)
        self.set_timer("retransmit", self.config.retransmit_ns)
        self.await_leader()

    def known_prefix(self) -> int:
        """Slots up to this need no phase 1: chosen and learned (collapsed), or in durable snapshots (classic)."""
        learned = self.household.learned()
        return self.stable if learned is None else learned

    def first_slot_to_prepare(self) -> int:
        """Phase 1 covers every slot not known chosen, gaps included (Paxos Made Simple, section 3)."""
        return self.commit + 1

    def send_prepare(self, acceptors: tuple[int, ...] | list[int]) -> None:
        for acceptor in acceptors:
            self.send(acceptor, Prepare(self.ballot, self.first_slot))

    def on_promise(self, source: int, message: Promise) -> None:
        if not self.counts_promise(message):
            return
        self.promises.add(source, message)
        if self.is_quorum(self.promise_quorum()):
            self.become_leader()

    def counts_promise(self, message: Promise) -> bool:
        """Only promises of the ballot being prepared; those of an earlier try say nothing about this one."""
        return self.state == PREPARING and message.ballot == self.ballot

    def promise_quorum(self) -> list[int]:
        """Acceptors whose promise is complete, each once."""
        return self.promises.complete()

    def become_leader(self) -> None:
        self.state = LEADING
        self.leader = self.node
        self.leader_ballot = self.ballot
        self.failures = 0
        self.clear_timer("election")
        self.heard_ns = dict.fromkeys(self.promise_quorum(), self.context.now_ns)
        self.heed_floors(self.promises.floors)
        self.inherit()
        self.trace("leader", self.ballot, self.next_slot, None, self.promise_quorum())
        self.send_heartbeat()
        self.set_timer("retransmit", self.config.retransmit_ns)
        self.pump()

    def heed_floors(self, floors: dict[int, int]) -> None:
        """What an acceptor has cut is chosen, though it cannot tell the values: no slot up to there is free."""
        source = max(floors, key=lambda one: floors[one], default=self.node)
        floor = floors.get(source, 0)
        if floor > self.commit:
            self.commit = floor
            self.on_floor(source, floor)

    def inherit(self) -> None:
        """Take over every slot phase 1 found open, and begin new slots behind them."""
        self.proposals = {}
        self.inherited = deque()
        reported = self.promises.votes
        top = self.top_slot(reported)
        for slot in self.slots_to_close(reported, top):
            votes = reported.get(slot, [])
            chosen = next((vote.value for vote in votes if vote.chosen), None)
            if chosen is not None and self.household.learn(slot, None, chosen):
                self.chosen_above.add(slot)
                continue
            self.inherited.append((slot, self.value_to_propose(slot, votes)))
        self.next_slot = top + 1
        self.advance_commit()

    def top_slot(self, reported: dict[int, list[PastVote]]) -> int:
        """New commands go above every slot that is chosen or in which any promise reported a vote."""
        return max(self.commit, *reported) if reported else self.commit

    def slots_to_close(self, reported: dict[int, list[PastVote]], top: int) -> Iterable[int]:
        """Every slot up to ``top`` that is not known chosen, also those nobody reported: a gap would block the log for ever
        (Paxos Made Simple, section 3)."""
        return range(self.commit + 1, top + 1)

    def value_to_propose(self, slot: int, votes: list[PastVote]) -> Value:
        """P2c: a chosen value if one is reported, else the vote of the highest ballot, else nothing was accepted: a no-op."""
        if not votes:
            return NO_OP
        best = votes[0]
        for vote in votes[1:]:
            if vote.chosen or (not best.chosen and self.precedes(best.ballot, vote.ballot)):
                best = vote
        return best.value

    def on_floor(self, source: int, floor: int) -> None:
        """``source`` has cut its log above what is known here. In the classic deployment only stable slots are ever cut."""
        if not self.config.collapsed:
            self.stable = max(self.stable, floor)
        self.household.behind(source, floor)

    def on_heartbeat_due(self) -> None:
        if self.state == LEADING and self.waits_in_vain():
            self.step_down("values that another node has cut do not come")
            return
        super().on_heartbeat_due()

    def waits_in_vain(self) -> bool:
        """Phase 1 left out what an acceptor had cut, and that acceptor is gone: nothing behind can be applied here. But what
        was chosen there another acceptor voted for, so phase 1 with those that are left finds it (any two quorums meet)."""
        learned = self.household.learned()
        if learned is None or learned >= self.commit:
            return False
        return self.context.now_ns - self.household.news_ns() >= PATIENCE_TIMEOUTS * self.config.election_timeout_ns

    # -- phase 2 ------------------------------------------------------------------------------------------------------

    def on_request(self, source: int, message: Request) -> None:
        command = message.command
        if self.state != LEADING:
            self.refuse(command)
            return
        if self.is_in_progress(command):
            return
        problem = self.problem_with(command)
        if problem is not None:
            self.send(client_address(command.client), Reply(command.client, command.seq, MALFORMED, problem, self.node))
            return
        outcome = self.household.outcome_of(command)
        if outcome is not None:
            self.send(
                client_address(command.client),
                Reply(command.client, command.seq, outcome.status, outcome.result, self.node),
            )
            return
        if self.is_full():
            self.send(client_address(command.client), Reply(command.client, command.seq, BUSY, None, self.node))
            return
        self.in_progress[command.client] = command.seq
        self.queue.append(command)

    def is_full(self) -> bool:
        """The queue is bounded: what does not fit is refused before it was proposed, so nothing happened."""
        return len(self.queue) >= self.config.queue_commands

    def problem_with(self, command: Command) -> str | None:
        """What no replica could execute is refused at the door: once chosen it would stop every one of them."""
        return None if command.f == "open" else problem_with(command)

    def is_in_progress(self, command: Command) -> bool:
        """A retry of what waits or is in flight adds nothing, nor does a late copy of what came before it. (Else copies of two
        commands of a client, coming in turns, would each look new, and fill the queue.)"""
        return command.seq <= self.in_progress.get(command.client, -1)

    def refuse(self, command: Command) -> None:
        """This node did not propose it and will not; who else would, as far as is known here."""
        hint = self.leader if self.leader != self.node else -1
        self.send(client_address(command.client), Reply(command.client, command.seq, NOT_LEADER, None, hint))

    def flush(self) -> None:
        if self.state == LEADING and (self.queue or self.inherited):
            self.pump()
        if self.is_log_long() and not self.context.log.checkpointing:
            self.rounds_logged = 0
            self.context.log.start_checkpoint(msgspec.structs.replace(EMPTY_CHECKPOINT, round=self.round))

    def is_log_long(self) -> bool:
        """A proposer that lives alone logs rounds only: a checkpoint of the last one replaces many of them."""
        return self.rounds_logged > self.config.rounds_kept and not self.config.collapsed

    def pump(self) -> None:
        """Open slots while the window allows: inherited ones first, then batches of waiting commands."""
        window = self.config.window
        while self.inherited and len(self.proposals) < max(window, RECOVERY_WINDOW):
            slot, value = self.inherited.popleft()
            self.propose(slot, value)
        while self.queue and not self.inherited and len(self.proposals) < window:
            slot = self.next_slot
            self.next_slot += 1
            self.propose(slot, self.next_batch())

    def next_batch(self) -> Value:
        """Waiting commands in order of arrival, within the bounds of a batch."""
        batch: list[Command] = []
        size = 0
        while self.queue and len(batch) < self.config.batch_commands and size < self.config.batch_bytes:
            command = self.queue.popleft()
            batch.append(command)
            size += value_bytes((command,))
        return tuple(batch)

    def propose(self, slot: int, value: Value) -> None:
        self.proposals[slot] = Proposal(value, self.context.now_ns)
        self.trace("propose", self.ballot, slot, value)
        message = Accept(self.ballot, slot, value, self.commit)
        for acceptor in self.config.acceptors:
            self.send(acceptor, message)

    def on_accepted(self, source: int, message: Accepted) -> None:
        if not self.counts_accepted(message):
            return
        self.heard_ns[source] = self.context.now_ns
        for slot in self.slots_acknowledged(message):
            proposal = self.proposals.get(slot)
            if proposal is None:
                continue
            proposal.accepted_by.add(source)
            if self.is_chosen(proposal):
                self.on_chosen(slot, proposal.value)

    def counts_accepted(self, message: Accepted) -> bool:
        """Only votes of the ballot this leader leads in."""
        return self.state == LEADING and message.ballot == self.ballot

    def slots_acknowledged(self, message: Accepted) -> tuple[int, ...] | range:
        """A vote is for one slot; it says nothing about lower ones."""
        return (message.slot,)

    def is_chosen(self, proposal: Proposal) -> bool:
        """A quorum accepted it in this ballot (Paxos Made Simple, section 2.2)."""
        return self.is_quorum(proposal.accepted_by)

    def on_chosen(self, slot: int, value: Value) -> None:
        del self.proposals[slot]
        self.chosen_above.add(slot)
        self.release(value)
        self.learn_chosen(slot, value)
        self.advance_commit()

    def release(self, value: Value) -> None:
        """Its commands are no longer in progress; a later retry is answered by the sessions."""
        for command in value:
            if self.in_progress.get(command.client) == command.seq:
                del self.in_progress[command.client]

    def learn_chosen(self, slot: int, value: Value) -> None:
        """A learner in this process takes it at once; else it is kept for learners that miss it."""
        if not self.household.learn(slot, self.ballot, value):
            self.decided[slot] = value

    def advance_commit(self) -> None:
        """The commit index is the end of the *contiguous* run of chosen slots."""
        while self.commit + 1 in self.chosen_above:
            self.commit += 1
            self.chosen_above.remove(self.commit)

    def on_truncated(self, source: int, message: Truncated) -> None:
        """An acceptor has cut slots this leader proposed in: they were chosen, perhaps under a higher ballot with another
        value. Who must apply them needs their values, and only a new phase 1 above them is safe; a proposer that lives alone
        leaves them to the learners. Slots known chosen here need nothing: an Accept came late, or twice."""
        if self.state != LEADING or message.ballot != self.ballot or message.floor <= self.commit:
            return
        self.on_floor(source, message.floor)
        if self.household.learned() is None:
            self.pass_over(message.floor)
        else:
            self.step_down(f"node {source} has cut its log up to slot {message.floor}")

    def pass_over(self, floor: int) -> None:
        """Slots up to ``floor`` are chosen, whatever this leader asks for in them: it asks no more, and claims no value there.
        (With slow acceptors the learners are often first to know. If it gave up for that, so would every leader after it.)"""
        for slot in [slot for slot in self.proposals if slot <= floor]:
            self.release(self.proposals.pop(slot).value)
        while self.inherited and self.inherited[0][0] <= floor:
            self.inherited.popleft()
        self.chosen_above = {slot for slot in self.chosen_above if slot > floor}
        self.next_slot = max(self.next_slot, floor + 1)
        self.commit = floor
        self.advance_commit()

    # -- retransmission -----------------------------------------------------------------------------------------------

    def on_retransmit_due(self) -> None:
        if self.state == PREPARING:
            complete = self.promises.complete()
            self.send_prepare([acceptor for acceptor in self.config.acceptors if acceptor not in complete])
        elif self.state == LEADING:
            self.retransmit()
        else:
            return
        self.set_timer("retransmit", self.config.retransmit_ns)

    def retransmit(self) -> None:
        """Repeat what is undecided: the same value, slot and ballot, to those who did not answer."""
        before_ns = self.context.now_ns - self.config.retransmit_ns
        for slot, proposal in self.proposals.items():
            if proposal.sent_ns <= before_ns:
                proposal.sent_ns = self.context.now_ns
                message = Accept(self.ballot, slot, self.value_to_retransmit(slot, proposal), self.commit)
                for acceptor in self.config.acceptors:
                    if acceptor not in proposal.accepted_by:
                        self.send(acceptor, message)

    def on_clock_set_back(self, by_ns: int) -> None:
        super().on_clock_set_back(by_ns)
        for proposal in self.proposals.values():
            proposal.sent_ns -= by_ns

    def value_to_retransmit(self, slot: int, proposal: Proposal) -> Value:
        """A ballot has one value in a slot, whoever asks again (PTP section 2.1, B1)."""
        return proposal.value

    # -- heartbeats ---------------------------------------------------------------------------------------------------

    def send_heartbeat(self) -> None:
        self.beat += 1
        message = Heartbeat(self.ballot, self.beat, self.commit_index(), self.stable)
        for agent in range(len(self.config.names)):
            self.send(agent, message)
        self.set_timer("heartbeat", self.config.heartbeat_ns)

    def commit_index(self) -> int:
        """What learners may take as chosen: so they can tell that they miss even the last value."""
        return self.commit

    def on_heartbeat_reply(self, source: int, message: HeartbeatReply) -> None:
        super().on_heartbeat_reply(source, message)
        if source in self.config.learners and message.durable > self.learner_durable.get(source, 0):
            self.learner_durable[source] = message.durable
            self.stable = max(self.stable, self.stable_slot())
            if self.state == LEADING and self.stable > self.commit and self.household.learned() is None:
                self.pass_over(self.stable)
            for slot in [slot for slot in self.decided if slot <= self.stable]:
                del self.decided[slot]

    def stable_slot(self) -> int:
        """The slot up to which a majority of the learners has durable snapshots."""
        durable = sorted((self.learner_durable.get(learner, 0) for learner in self.config.learners), reverse=True)
        return durable[len(self.config.learners) // 2]

    def on_heartbeat(self, source: int, message: Heartbeat) -> None:
        super().on_heartbeat(source, message)
        self.note_stable(message.stable)

    def note_stable(self, stable: int) -> None:
        """Another leader counted durable snapshots: what was stable once stays so."""
        self.stable = max(self.stable, stable)

    # -- catch-up (classic) -------------------------------------------------------------------------------------------

    def on_catch_up(self, source: int, message: CatchUp) -> None:
        """A learner misses values: the leader sends those chosen under it."""
        if self.state != LEADING:
            return
        values: list[Value] = []
        size = 0
        slot = message.slot
        while slot in self.decided and size < self.config.page_bytes:
            values.append(self.decided[slot])
            size += value_bytes(self.decided[slot])
            slot += 1
        if values:
            self.send(source, Learn(message.slot, tuple(values), self.commit))

    # -- giving up ----------------------------------------------------------------------------------------------------

    def on_stepped_down(self) -> None:
        """Commands never proposed are refused; those proposed may still be chosen, nobody may call them failed."""
        waiting, self.queue = self.queue, deque()
        for command in waiting:
            self.refuse(command)
        self.in_progress = {}
        self.proposals = {}
        self.inherited = deque()
        self.promises = self.make_book()
        self.decided = {}

    # -- recovery -----------------------------------------------------------------------------------------------------

    def recover(self, checkpoint: Checkpoint, records: list[AnyRecord]) -> None:
        self.recover_round(checkpoint.round)
        self.rounds_logged = len(records)
        for record in records:
            if isinstance(record, RoundRecord):
                self.recover_round(record.round)
        self.trace("recovered_round", (self.round, self.node))
