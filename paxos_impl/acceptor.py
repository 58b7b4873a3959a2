"""Acceptor: the memory of the protocol.

Rules (Paxos Made Simple, section 2.2; The Part-Time Parliament, section 2.3)
* **P1a** promise ballot b only if no higher one was promised; a promise is durable before it is said.
* A promise tells *every* vote in the slots asked for, and every value known chosen there; nothing is silently left out.
* Accept ballot b unless a higher one was promised; *accepting raises the promise too*.
* A vote is durable before it is said.

Invariant kept: for every slot, vote ballot <= promise, and neither ever sinks, over all incarnations.
"""

from __future__ import annotations

from collections.abc import Iterator

from paxos_impl.agent import Agent, Context
from paxos_impl.log import AnyRecord, Checkpoint, ChosenRecord, PromiseRecord, VoteRecord
from paxos_impl.messages import (
    NO_BALLOT,
    Accept,
    Accepted,
    Ballot,
    Heartbeat,
    HeartbeatReply,
    Nack,
    PastVote,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    Truncated,
    Value,
    Vote,
    value_bytes,
)

NEVER_NS = -(1 << 62)


class Acceptor(Agent):
    role = "acceptor"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.promised: Ballot = NO_BALLOT
        self.votes: dict[int, tuple[Ballot, Value]] = {}
        self.decided: dict[int, Value] = {}
        """Values known chosen; a collapsed replica lends its learner's."""
        self.floor = 0
        """Values of slots <= floor are chosen and cut."""
        self.stable = 0
        self.leader_heard_ns = NEVER_NS
        self.vote_listeners = () if self.config.collapsed else self.config.learners
        self.handlers = {
            Prepare: self.on_prepare,
            Accept: self.on_accept,
            PreVote: self.on_pre_vote,
            Heartbeat: self.on_heartbeat,
        }

    # -- phase 1b -----------------------------------------------------------------------------------------------------

    def on_prepare(self, source: int, message: Prepare) -> None:
        if not self.may_promise(message.ballot):
            self.send(source, Nack(message.ballot, self.promised))
            return
        if self.precedes(self.promised, message.ballot):
            self.make_promise(message.ballot)
        for promise in self.promise_pages(message):
            self.send(source, promise)

    def may_promise(self, ballot: Ballot) -> bool:
        """P1a. A repeated Prepare of the promised ballot is answered again: its first answer may be lost."""
        return not self.precedes(ballot, self.promised)

    def make_promise(self, ballot: Ballot) -> None:
        """Only the promise rises; votes stay what they are (PTP section 2.3: prevVote is not touched by nextBal)."""
        self.promised = ballot
        self.log_promise(ballot)
        self.trace("promised", ballot)

    def log_promise(self, ballot: Ballot) -> None:
        """The promise is durable before it is said: the gate holds the answer behind this record (PTP section 2.3, nextBal)."""
        self.context.log.append(PromiseRecord(ballot))

    def promise_content(self, slot: int) -> list[PastVote]:
        """All votes and chosen values in slots >= ``slot``, in order of slot."""
        content = []
        for at in sorted({*self.votes, *self.decided}):
            if at < slot:
                continue
            if at in self.decided:
                content.append(PastVote(at, NO_BALLOT, self.decided[at], True))
            else:
                ballot, value = self.votes[at]
                content.append(PastVote(at, ballot, value, False))
        return content

    def promise_pages(self, message: Prepare) -> Iterator[Promise]:
        """All of the promise's content, none left out, in pages that say which slots they tell of."""
        votes: list[PastVote] = []
        size, start = 0, message.slot
        for vote in self.promise_content(message.slot):
            votes.append(vote)
            size += 32 + value_bytes(vote.value)
            if size >= self.config.page_bytes:
                yield Promise(message.ballot, start, False, self.floor, tuple(votes))
                votes, size, start = [], 0, vote.slot + 1
        yield Promise(message.ballot, start, True, self.floor, tuple(votes))

    # -- phase 2b -----------------------------------------------------------------------------------------------------

    def on_accept(self, source: int, message: Accept) -> None:
        ballot, slot = message.ballot, message.slot
        if not self.may_accept(ballot, slot):
            self.send(source, Nack(ballot, self.promised))
            return
        self.leader_heard_ns = self.context.now_ns
        if slot <= self.floor:
            self.send(source, Truncated(ballot, self.floor))
            return
        self.raise_promise(ballot)
        if not self.has_voted(ballot, slot, message.value):
            self.cast_vote(ballot, slot, message.value)
        self.send(source, Accepted(ballot, slot))
        for learner in self.vote_listeners:
            self.send(learner, Vote(ballot, slot, message.value))

    def may_accept(self, ballot: Ballot, slot: int) -> bool:
        """Accept unless a higher ballot was promised."""
        return not self.precedes(ballot, self.promised)

    def raise_promise(self, ballot: Ballot) -> None:
        """Accepting is promising: without it an older Accept that comes late would overwrite this vote."""
        if self.precedes(self.promised, ballot):
            self.promised = ballot

    def has_voted(self, ballot: Ballot, slot: int, value: Value) -> bool:
        """A repeated Accept is answered again; its vote is in the log already (and the gate still holds)."""
        vote = self.votes.get(slot)
        return vote is not None and vote[0] == ballot and vote[1] == value

    def cast_vote(self, ballot: Ballot, slot: int, value: Value) -> None:
        """The vote is kept in place of any earlier one in its slot, and logged (PTP section 2.3, prevVote)."""
        self.keep_chosen(slot, value)
        self.votes[slot] = (ballot, value)
        self.log_vote(ballot, slot, value)
        self.trace("accepted", ballot, slot, value)

    def keep_chosen(self, slot: int, value: Value) -> None:
        """A late Accept of a ballot between may ask for another value than the chosen one: the log keeps the chosen one
        beside the vote, or recovery would take the vote for it."""
        chosen = self.decided.get(slot)
        if chosen is not None and chosen is not value and chosen != value:
            self.context.log.append(ChosenRecord(slot, chosen))

    def log_vote(self, ballot: Ballot, slot: int, value: Value) -> None:
        """The record raises the promise too when it is read back."""
        self.context.log.append(VoteRecord(ballot, slot, value, self.chosen_in_log()))

    def chosen_in_log(self) -> int:
        """Every slot up to this is chosen, and this log holds its chosen value: so recovery needs nobody else."""
        return self.household.chosen_in_log()

    # -- election and heartbeats --------------------------------------------------------------------------------------

    def on_pre_vote(self, source: int, message: PreVote) -> None:
        granted = self.may_pre_vote(message.ballot)
        self.send(source, PreVoteReply(message.ballot, granted, self.promised))

    def may_pre_vote(self, ballot: Ballot) -> bool:
        """Only if a Prepare would succeed, and no leader was heard for an election timeout."""
        quiet_ns = self.context.now_ns - self.leader_heard_ns
        return self.precedes(self.promised, ballot) and quiet_ns >= self.config.election_timeout_ns

    def is_deposed(self, ballot: Ballot) -> bool:
        """A leader of a lower ballot than the promised one leads no more: it is told so, and protected no longer."""
        return self.precedes(ballot, self.promised)

    def on_heartbeat(self, source: int, message: Heartbeat) -> None:
        if self.is_deposed(message.ballot):
            self.send(source, Nack(message.ballot, self.promised))
            return
        self.leader_heard_ns = self.context.now_ns
        applied, durable = self.household.progress()
        self.send(source, HeartbeatReply(message.ballot, message.beat, applied, durable))
        if message.stable > self.stable:
            self.stable = message.stable
            self.on_stable()

    def on_stable(self) -> None:
        """A majority of the learners has durable snapshots up to ``stable``: values up to it need not be kept here.

        Only for an acceptor that lives alone. In a collapsed replica the log holds its state too: there the learner's own
        snapshots cut it (``Replica.checkpoint``).
        """
        if (
            not self.config.collapsed
            and self.config.snapshot_every
            and self.stable - self.floor >= self.config.snapshot_every
            and not self.context.log.checkpointing
        ):
            self.cut(self.stable)
            self.context.log.start_checkpoint(self.checkpoint(0, b"", 0, ()))

    def on_clock_set_back(self, by_ns: int) -> None:
        """A leader heard "in the future" would be protected until then, though it is dead."""
        self.leader_heard_ns -= by_ns

    # -- bounded log --------------------------------------------------------------------------------------------------

    def cut(self, floor: int) -> None:
        """Forget votes in slots <= floor; they are chosen and kept in snapshots."""
        if floor <= self.floor:
            return
        self.floor = floor
        for slot in [slot for slot in self.votes if slot <= floor]:
            del self.votes[slot]
        self.trace("cut", None, floor)

    def checkpoint(self, slot: int, state: bytes, round_: int, chosen: tuple[tuple[int, Value], ...]) -> Checkpoint:
        """Promise and live votes go into the checkpoint, or cutting the log would forget them."""
        votes = tuple((at, ballot, value) for at, (ballot, value) in sorted(self.votes.items()) if at > slot)
        return Checkpoint(slot, state, self.promised, round_, self.floor, votes, chosen, self.chosen_in_log(), 0)

    # -- recovery -----------------------------------------------------------------------------------------------------

    def recover_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Promise, cut and votes above the cut as they stood when the log behind it began."""
        self.promised = checkpoint.promised
        self.floor = max(checkpoint.floor, checkpoint.slot)
        for slot, ballot, value in checkpoint.votes:
            if slot > self.floor:
                self.votes[slot] = (ballot, value)

    def recover_promise(self, record: PromiseRecord) -> None:
        """Promises never sink."""
        self.promised = max(self.promised, record.ballot)

    def recover_vote(self, record: VoteRecord) -> None:
        """The vote cast last in a slot counts, and is a promise too."""
        if record.slot > self.floor:
            self.votes[record.slot] = (record.ballot, record.value)
        if record.ballot > self.promised:
            self.promised = record.ballot

    def recover(self, checkpoint: Checkpoint, records: list[AnyRecord]) -> None:
        """Take up the promise and the votes of all earlier incarnations, in the order they were logged."""
        self.recover_checkpoint(checkpoint)
        for record in records:
            if isinstance(record, VoteRecord):
                self.recover_vote(record)
            elif isinstance(record, PromiseRecord):
                self.recover_promise(record)
        self.trace(
            "recovered", self.promised, self.floor, None, [(slot, vote[0]) for slot, vote in sorted(self.votes.items())]
        )
