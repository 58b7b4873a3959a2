"""Learner: learns what is chosen, applies it in order, answers clients, takes and gives snapshots.

Rules
* **Chosen is for ever**: a second, different value for a slot is a crash with a trace, never an overwrite.
* **In order**: slot s is applied when every lower slot is.
* A learner knows a slot chosen (a) from a quorum of votes in one ballot, (b) from a leader's commit index together with an
  own vote *of that leader's ballot*, (c) from another learner that has learned it. Never from an accepted value alone.
* **The last value**: heartbeats carry the commit index, so a learner can tell what it misses, and asks for it, at a limited
  rate, one peer after the other.
* **Snapshot** = state, sessions and the slot they cover, taken between two slots; an older one is never installed over
  newer state; installing replaces everything.

Sources: Paxos Made Simple, sections 2.3 and 3; Paxos Made Live, sections 5.5 (snapshots) and 4.2 (catch-up).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from itertools import islice

import msgspec

from paxos_impl.agent import Agent, Context, ProtocolViolation
from paxos_impl.log import AnyRecord, Checkpoint, ChosenRecord, VoteRecord
from paxos_impl.messages import (
    BUSY,
    EXPIRED,
    NO_BALLOT,
    Ballot,
    CatchUp,
    Command,
    FetchPage,
    Heartbeat,
    HeartbeatReply,
    Learn,
    LocalRead,
    LocalValue,
    Reply,
    SnapshotPage,
    Value,
    Vote,
    client_address,
    client_name,
    value_bytes,
)
from paxos_impl.sessions import APPLIED, Outcome, StateMachine
from paxos_impl.tally import QuorumTest, Tally

SCAN_SLOTS = 256
"""How far ahead of the first missing slot own votes are looked through at once."""

PAGES_ON_THE_WAY = 8
"""How many pages of a snapshot are asked for before the first of them has come."""

FETCH_TRIES = 3
"""How often a peer that sends no further page of its snapshot is asked again, before the next peer is tried."""

_encode = msgspec.msgpack.Encoder().encode


class Learner(Agent):
    role = "learner"

    def __init__(self, context: Context, machine: StateMachine, make_tally: Callable[[QuorumTest], Tally]) -> None:
        super().__init__(context)
        self.machine = machine
        self.tally = make_tally(self.is_quorum)
        self.votes: dict[int, tuple[Ballot, Value]] = {}
        """Own votes; a collapsed replica lends its acceptor's."""
        self.decided: dict[int, Value] = {}
        """Chosen values above ``floor``."""
        self.floor = 0
        self.learned = 0
        """Every slot up to this is known chosen with its value (or covered by a snapshot)."""
        self.applied = 0
        self.outcomes = 0
        """Rolling checksum of all outcomes: equal logs must give equal ones."""
        self.known_commit = 0
        self.commit_source = -1
        self.snapshot_slot = 0
        self.snapshot_data = b""
        """The latest snapshot, durable or not, for peers that lag behind the cut."""
        self.durable_slot = 0
        """Covered by a checkpoint that survives a power cut."""
        self.installed_slot = 0
        """Slot of the last snapshot installed from a peer, and what was learned before it."""
        self.installed_over = 0
        self.recovering = False
        self.news_ns = 0
        """When a value or a page that was lacked came last, or a peer was named that has what is lacked."""
        self.asked = 0
        self.pages: dict[int, bytes] = {}
        self.pages_of: tuple[int, int] = (-1, 0)
        """(peer, slot) of the snapshot being fetched."""
        self.page_count = 0
        self.page_came_ns = 0
        self.pages_asked: dict[int, int] = {}
        """Page -> when it was asked for last."""
        self.fetch_tries = 0
        """Times the peer was asked again since its last page came."""
        self.served: dict[int, tuple[int, bytes]] = {}
        """Peer -> (slot, content) of the snapshot it is fetching: kept for it, however many are taken meanwhile."""
        self.checkpoint_wanted = False
        self.handlers = {
            Vote: self.on_vote,
            Heartbeat: self.on_heartbeat,
            CatchUp: self.on_catch_up,
            LocalRead: self.on_local_read,
            Learn: self.on_learn,
            FetchPage: self.on_fetch_page,
            SnapshotPage: self.on_snapshot_page,
        }
        self.on_timer("catch_up", self.on_catch_up_due)

    def applied_slot(self) -> int:
        return self.applied

    def state_digest(self) -> int | None:
        return zlib.crc32(b"%d" % self.outcomes, self.machine.digest())

    # -- learning -----------------------------------------------------------------------------------------------------

    def on_vote(self, source: int, message: Vote) -> None:
        if message.slot <= self.learned:
            return
        value = self.tally.add(source, message.ballot, message.slot, message.value)
        if value is not None:
            self.learn(message.slot, message.ballot, value)

    def on_heartbeat(self, source: int, message: Heartbeat) -> None:
        self.note_commit(source, message.ballot, message.commit)
        if not self.config.collapsed:
            self.send(source, HeartbeatReply(message.ballot, message.beat, self.applied, self.durable_slot))

    def note_commit(self, source: int, ballot: Ballot, commit: int) -> None:
        """The leader of ``ballot`` says: all slots <= commit are chosen."""
        if commit > self.known_commit:
            self.known_commit = commit
            self.commit_source = source
        if commit <= self.learned:
            return
        for slot in range(self.learned + 1, min(commit, self.learned + SCAN_SLOTS) + 1):
            vote = self.votes.get(slot)
            if vote is not None and self.is_chosen_vote(vote, ballot):
                self.learn(slot, ballot, vote[1])
        if self.learned < self.known_commit and "catch_up" not in self.context.timers:
            self.set_timer("catch_up", self.config.heartbeat_ns)

    def hear_commit(self, source: int, commit: int) -> None:
        """``source`` holds a snapshot that covers ``commit``: ask it first."""
        if commit > self.learned:
            self.known_commit, self.commit_source = max(self.known_commit, commit), source
            self.asked = 0
            self.news_ns = self.context.now_ns
            self.set_timer("catch_up", 0)

    def is_chosen_vote(self, vote: tuple[Ballot, Value], ballot: Ballot) -> bool:
        """An own vote is the chosen value only if it was cast in the ballot whose leader says so."""
        return vote[0] == ballot

    def learn(self, slot: int, ballot: Ballot | None, value: Value) -> None:
        """``value`` is chosen in ``slot``. Raises ProtocolViolation if another one was."""
        if slot <= self.floor:
            return
        known = self.decided.get(slot)
        if known is not None:
            if known is not value and known != value:
                self.on_second_value(slot, known, value)
            return
        self.decided[slot] = value
        self.trace("chosen", ballot, slot, value)
        self.log_chosen(slot, value)
        if slot == self.learned + 1:
            self.learned = slot
            while self.learned + 1 in self.decided:
                self.learned += 1
        self.apply_ready()

    def on_second_value(self, slot: int, known: Value, value: Value) -> None:
        """At most one value is chosen in a slot (PMS section 2.1): whoever sees two stops."""
        raise ProtocolViolation(f"slot {slot}: {_brief(known)} is chosen, and now {_brief(value)} too")

    def log_chosen(self, slot: int, value: Value) -> None:
        """If the log holds another value for this slot, or none, the chosen one is added. Classic learners keep no log."""
        if not self.config.collapsed or self.recovering:
            return
        vote = self.votes.get(slot)
        if vote is None or (vote[1] is not value and vote[1] != value):
            self.context.log.append(ChosenRecord(slot, value))

    def chosen_in_log(self) -> int:
        """Every slot up to this is chosen and this process's log holds its value. After a snapshot was installed the log
        lacks the slots it covers, until its checkpoint is durable."""
        return self.learned if self.durable_slot >= self.installed_slot else self.installed_over

    # -- applying -----------------------------------------------------------------------------------------------------

    def apply_ready(self) -> None:
        """As far as no slot is missing."""
        while self.may_apply(self.applied + 1):
            self.apply(self.applied + 1)

    def may_apply(self, slot: int) -> bool:
        """The next slot, and no other: lower slots first."""
        return slot in self.decided

    def apply(self, slot: int) -> None:
        value = self.decided[slot]
        skipped = []
        outcomes = []
        for place, command in enumerate(value):
            outcome = self.machine.execute(slot, place, command)
            outcomes.append(outcome)
            if outcome.how != APPLIED:
                skipped.append([place, outcome.how])
            if self.answers_clients():
                self.answer(command, outcome)
        self.applied = slot
        if outcomes:
            self.outcomes = zlib.crc32(_encode(outcomes), self.outcomes)
        self.trace("applied", None, slot, value, [self.outcomes, skipped])
        if self.wants_snapshot(slot):
            self.take_snapshot()

    def answers_clients(self) -> bool:
        """Of collapsed replicas the leader alone."""
        return self.household.answers_clients()

    def answer(self, command: Command, outcome: Outcome) -> None:
        """Only now, when the command is chosen and applied, may its client be told."""
        if outcome.status == EXPIRED and outcome.how != EXPIRED:
            return
        self.send(
            client_address(command.client),
            Reply(command.client, command.seq, outcome.status, outcome.result, self.node),
        )

    # -- reading what is here --------------------------------------------------------------------------------------

    def on_local_read(self, source: int, message: LocalRead) -> None:
        target = client_address(message.client)
        if self.may_read_locally(message.at_least):
            value = self.machine.store.read(message.key)
            self.send(target, LocalValue(message.client, message.seq, value, self.applied))
        else:
            self.send(target, Reply(message.client, message.seq, BUSY, None, self.node))

    def may_read_locally(self, at_least: int) -> bool:
        """Not behind what this client saw before: versions it reads never sink (PTP section 3.3.4)."""
        return self.applied >= at_least

    # -- catching up --------------------------------------------------------------------------------------------------

    def on_catch_up_due(self) -> None:
        """Ask one peer after the other, once a retransmission interval, until nothing is missing."""
        if self.learned >= self.known_commit:
            return
        if self.pages and self.may_install(self.pages_of[1]) and self.fetch_tries < FETCH_TRIES:
            self.fetch_tries += 1
            self.fetch_pages()
            return
        self.asked += 1
        self.send(self.catch_up_peer(), CatchUp(self.learned + 1))
        self.set_timer("catch_up", self.config.retransmit_ns)

    def catch_up_peer(self) -> int:
        """The one that told the commit index first, then each other learner in turn."""
        peers = [peer for peer in self.config.learners if peer != self.node]
        if self.commit_source in peers:
            peers.remove(self.commit_source)
        if self.commit_source not in (-1, self.node):
            peers.insert(0, self.commit_source)
        return peers[(self.asked - 1) % len(peers)] if peers else self.node

    def on_catch_up(self, source: int, message: CatchUp) -> None:
        """Chosen values only, in order; below the cut the snapshot stands in for them."""
        if self.is_cut(message.slot):
            self.begin_transfer(source)
            return
        self.served.pop(source, None)
        values = self.values_to_serve(message.slot)
        if values:
            self.send(source, Learn(message.slot, values, self.learned))

    def is_cut(self, slot: int) -> bool:
        """Values of slots <= floor are not here any more."""
        return slot <= self.floor

    def values_to_serve(self, slot: int) -> tuple[Value, ...]:
        """The contiguous run of chosen values from ``slot`` on, as far as a page holds."""
        values: list[Value] = []
        size = 0
        while slot in self.decided and size < self.config.page_bytes:
            values.append(self.decided[slot])
            size += value_bytes(self.decided[slot])
            slot += 1
        return tuple(values)

    def on_learn(self, source: int, message: Learn) -> None:
        before = self.learned
        for slot, value in enumerate(message.values, message.slot):
            self.learn(slot, None, value)
        if message.commit > self.known_commit:
            self.known_commit, self.commit_source = message.commit, source
        if self.learned > before:
            self.news_ns = self.context.now_ns
            if self.learned < self.known_commit:
                self.send(source, CatchUp(self.learned + 1))
                self.set_timer("catch_up", self.config.retransmit_ns)

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def wants_snapshot(self, slot: int) -> bool:
        """At the same slots in every process, so that their digests can be compared."""
        return self.config.snapshot_every > 0 and slot % self.config.snapshot_every == 0

    def take_snapshot(self) -> None:
        """Between two slots; the log is cut only when its checkpoint is durable."""
        self.snapshot_slot = self.applied
        self.snapshot_data = self.snapshot_content()
        self.trace("snapshot", None, self.applied, None, self.state_digest())
        self.checkpoint_wanted = True

    def snapshot_content(self) -> bytes:
        """State and sessions after exactly the slots <= ``applied``."""
        return self.machine.image(self.applied, self.outcomes)

    def begin_transfer(self, target: int) -> None:
        if self.snapshot_data:
            self.served[target] = (self.snapshot_slot, self.snapshot_data)
            self.send_page(target, self.snapshot_slot, 0)

    def send_page(self, target: int, slot: int, page: int) -> None:
        size = self.config.page_bytes
        data = self.served[target][1]
        pages = (len(data) + size - 1) // size
        if page < pages:
            self.send(target, SnapshotPage(slot, page, pages, data[page * size : (page + 1) * size]))

    def on_fetch_page(self, source: int, message: FetchPage) -> None:
        """Of the snapshot this peer began to fetch; if that is gone (a restart), the transfer begins anew."""
        if source in self.served and self.served[source][0] == message.slot:
            self.send_page(source, message.slot, message.page)
        else:
            self.begin_transfer(source)

    def on_snapshot_page(self, source: int, message: SnapshotPage) -> None:
        if not self.may_install(message.slot):
            return
        if not self.same_snapshot(source, message.slot):
            if self.is_fetching() and (source != self.pages_of[0] or message.slot < self.pages_of[1]):
                return
            self.pages_of, self.pages, self.pages_asked = (source, message.slot), {}, {}
        self.pages[message.page] = message.data
        self.page_count = message.pages
        self.page_came_ns = self.news_ns = self.context.now_ns
        self.fetch_tries = 0
        if self.pages_to_fetch(message.pages):
            self.fetch_pages()
            return
        data = self.assemble(message.pages)
        self.pages_of, self.pages = (-1, 0), {}
        self.install(data)
        if self.learned < self.known_commit:
            self.send(source, CatchUp(self.learned + 1))
            self.set_timer("catch_up", self.config.retransmit_ns)

    def is_fetching(self) -> bool:
        """Pages are coming. Those of another peer are ignored then: two transfers in turn would never make a whole."""
        return bool(self.pages) and self.context.now_ns - self.page_came_ns < self.config.retransmit_ns

    def fetch_pages(self) -> None:
        """Ask for what is missing; each page once in a retransmission interval, or duplicates would breed duplicates."""
        now_ns = self.context.now_ns
        source, slot = self.pages_of
        for page in self.pages_to_fetch(self.page_count):
            if page not in self.pages_asked or now_ns - self.pages_asked[page] >= self.config.retransmit_ns:
                self.pages_asked[page] = now_ns
                self.send(source, FetchPage(slot, page))
        self.set_timer("catch_up", self.config.retransmit_ns)

    def on_clock_set_back(self, by_ns: int) -> None:
        self.page_came_ns -= by_ns
        self.news_ns -= by_ns
        self.pages_asked = {page: asked_ns - by_ns for page, asked_ns in self.pages_asked.items()}

    def same_snapshot(self, source: int, slot: int) -> bool:
        """Pages of one snapshot of one peer make a whole; others begin anew."""
        return self.pages_of == (source, slot)

    def pages_to_fetch(self, pages: int) -> list[int]:
        """The first few pages that are missing; none if all are here. One a round trip would take long, all at once would
        crowd out everything else."""
        return list(islice((page for page in range(pages) if page not in self.pages), PAGES_ON_THE_WAY))

    def assemble(self, pages: int) -> bytes:
        """Pages in order of their numbers, in whatever order they came."""
        return b"".join(self.pages[page] for page in range(pages))

    def may_install(self, slot: int) -> bool:
        """Only a snapshot that covers more than what is learned; an older one would undo applied slots."""
        return slot > self.learned

    def install(self, data: bytes) -> None:
        """Become the snapshot's state; values it covers are not needed any more."""
        self.installed_over = self.chosen_in_log()
        self.restore(data)
        self.installed_slot = self.snapshot_slot
        self.snapshot_data = data
        self.trace("installed", None, self.applied, None, self.state_digest())
        self.cut(self.applied)
        self.checkpoint_wanted = True
        self.apply_ready()

    def restore(self, data: bytes) -> None:
        """State, outcomes and the slot they stand at are those of the snapshot; what is chosen behind it follows."""
        image = self.machine.restore(data)
        self.applied = self.snapshot_slot = image.slot
        self.outcomes = image.outcomes
        self.learned = image.slot
        while self.learned + 1 in self.decided:
            self.learned += 1

    def cut(self, floor: int) -> None:
        """Forget chosen values of slots <= floor: a snapshot covers them."""
        if floor <= self.floor:
            return
        self.floor = floor
        for slot in [slot for slot in self.decided if slot <= floor]:
            del self.decided[slot]
        self.tally.forget(floor)
        self.trace("cut", None, floor)

    def cut_slot(self) -> int:
        """Values a little below the snapshot stay, for peers a little behind."""
        return max(0, self.snapshot_slot - self.config.keep_slots)

    def flush(self) -> None:
        if self.checkpoint_wanted and not self.context.log.checkpointing:
            self.checkpoint_wanted = False
            self.write_checkpoint()

    def write_checkpoint(self) -> None:
        """A classic learner's log is its checkpoints: what lies between is asked from the others again."""
        self.context.log.start_checkpoint(
            Checkpoint(
                self.snapshot_slot, self.snapshot_data, NO_BALLOT, 0, self.snapshot_slot, (), (), self.snapshot_slot, 0
            )
        )

    def on_checkpoint_durable(self, slot: int) -> None:
        """Only behind a durable snapshot is a log cut (Paxos Made Live, section 5.5)."""
        self.durable_slot = max(self.durable_slot, slot)
        self.cut(min(self.cut_slot(), self.durable_slot))

    # -- recovery -----------------------------------------------------------------------------------------------------

    def recover(self, checkpoint: Checkpoint, records: list[AnyRecord]) -> None:
        self.recovering = True
        if checkpoint.slot:
            self.restore(checkpoint.state)
            self.trace("restored", None, self.applied, None, self.state_digest())
            self.snapshot_data = checkpoint.state
            self.floor = self.durable_slot = self.snapshot_slot
        commit, values = self.recover_chosen(checkpoint, records)
        for slot in range(self.applied + 1, commit + 1):
            if slot not in values:
                break
            self.learn(slot, None, values[slot])
        self.recovering = False
        self.known_commit = max(commit, self.learned)

    def recover_chosen(self, checkpoint: Checkpoint, records: list[AnyRecord]) -> tuple[int, dict[int, Value]]:
        """(commit index, value by slot) the log vouches for: the chosen record of a slot, else the vote that stood last when a
        commit index first covered the slot. A vote cast later may be for another value (a late Accept of a ballot between)."""
        commit = checkpoint.slot
        values = {slot: value for slot, _, value in checkpoint.votes}
        chosen = dict(checkpoint.chosen)

        def confirm(known: int) -> int:
            for slot in range(commit + 1, known + 1):
                if slot not in chosen and slot in values:
                    chosen[slot] = values[slot]
            return max(commit, known)

        commit = confirm(checkpoint.commit)
        for record in records:
            if isinstance(record, VoteRecord):
                if record.commit > commit:
                    commit = confirm(record.commit)
                values[record.slot] = record.value
            elif isinstance(record, ChosenRecord):
                chosen[record.slot] = record.value
        return commit, values | chosen


def _brief(value: Value) -> str:
    if not value:
        return "a no-op"
    first = value[0]
    more = f" and {len(value) - 1} more" if len(value) > 1 else ""
    return f"{first.f} {first.key} (client {client_name(first.client)}, operation {first.seq}){more}"
