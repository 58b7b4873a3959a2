"""Planted bugs of the learner, of the log of chosen values and of the counting of votes."""

from __future__ import annotations

import zlib

from paxos_impl.kv import KeyValueStore
from paxos_impl.learner import Learner
from paxos_impl.log import AnyRecord, Checkpoint, VoteRecord
from paxos_impl.messages import Ballot, Command, Learn, Value
from paxos_impl.mutants.registry import mutant
from paxos_impl.replica import Replica
from paxos_impl.sessions import Outcome
from paxos_impl.tally import Tally


@mutant(
    "L01",
    "votes of different ballots are added up",
    rule="chosen = a quorum in one ballot",
    paper="Paxos Made Simple, 2.3",
    breaks="A",
    oracle="decision",
)
class MixedBallots(Tally):
    def counted_under(self, ballot: Ballot, value: Value) -> Ballot:
        return (0, 0)


@mutant(
    "L01",
    "votes of different ballots are added up",
    rule="chosen = a quorum in one ballot",
    breaks="A",
)
class ConfirmsAnyBallot(Learner):
    def is_chosen_vote(self, vote: tuple[Ballot, Value], ballot: Ballot) -> bool:
        return True


@mutant(
    "L02",
    "votes for the same value are added up over ballots",
    rule="chosen = a quorum in one ballot",
    paper="Paxos Made Simple, 2.3",
    breaks="A",
    oracle="decision",
    difficulty="hard",
    deployments=("classic",),
)
class AddsUpByValue(Tally):
    def counted_under(self, ballot: Ballot, value: Value) -> Ballot:
        return (zlib.crc32(repr(value).encode()), -2)


@mutant(
    "L03",
    "learners count votes, not voters",
    rule="a quorum counts each acceptor once",
    paper="Paxos Made Simple, 2.3",
    breaks="A",
    oracle="decision",
    deployments=("classic",),
)
class CountsVotes(Tally):
    def add(self, source: int, ballot: Ballot, slot: int, value: Value) -> Value | None:
        _, voters = self.slots.get(slot, {}).get(ballot, (value, ()))
        return super().add(len(voters), ballot, slot, value)


@mutant(
    "L04",
    "a chosen slot is applied before lower ones are known",
    rule="slot s is applied when every lower slot is",
    paper="Paxos Made Simple, 3",
    breaks="IL",
    oracle="decision",
    difficulty="easy",
)
class AppliesOutOfOrder(Learner):
    def apply_ready(self) -> None:
        for slot in sorted(slot for slot in self.decided if slot > self.applied):
            self.apply(slot)


@mutant(
    "L05",
    "the own vote counts as the chosen value once any leader's commit index covers its slot",
    rule="a commit index confirms only votes of that leader's ballot",
    paper="Paxos Made Simple, 2.3",
    breaks="A",
    oracle="decision",
    deployments=("collapsed",),
)
class ConfirmsOlderVotes(Learner):
    def is_chosen_vote(self, vote: tuple[Ballot, Value], ballot: Ballot) -> bool:
        return vote[0] <= ballot


@mutant(
    "L07",
    "catch-up serves votes as if they were chosen",
    rule="catch-up serves chosen values only",
    paper="Paxos Made Simple, 2.3",
    breaks="A",
    oracle="decision",
    deployments=("collapsed",),
)
class ServesVotes(Learner):
    def values_to_serve(self, slot: int) -> tuple[Value, ...]:
        values = list(super().values_to_serve(slot))
        while (vote := self.votes.get(slot + len(values))) is not None:
            values.append(vote[1])
        return tuple(values)


@mutant(
    "L10",
    "the state depends on the order in which a dictionary was filled",
    rule="applying is deterministic",
    paper="Paxos Made Simple, 3",
    breaks="R",
    oracle="decision",
    difficulty="easy",
)
class DependsOnHashOrder(KeyValueStore):
    def append(self, key: str, value: object) -> int:
        self.data["\0first"] = next(iter(self.data), None)
        return super().append(key, value)


@mutant(
    "L33",
    "a late answer to a catch-up cuts off what is known behind it",
    rule="chosen is for ever",
    paper="Paxos Made Simple, 2.3",
    breaks="DA",
    oracle="decision, liveness",
)
class LateLearnTruncates(Learner):
    def on_learn(self, source: int, message: Learn) -> None:
        for slot in [slot for slot in self.decided if slot >= message.slot + len(message.values)]:
            del self.decided[slot]
        super().on_learn(source, message)


@mutant(
    "L20",
    "a chosen value that differs from the own vote is not logged",
    rule="the log holds the chosen value of every slot it vouches for",
    paper="The Part-Time Parliament, 2.2",
    breaks="AD",
    oracle="decision",
    deployments=("collapsed",),
)
class ChosenNotLogged(Learner):
    def log_chosen(self, slot: int, value: Value) -> None:
        pass


@mutant(
    "L21",
    "recovery prefers the own vote to the chosen value",
    rule="recovery takes the chosen record of a slot, else the vote cast last",
    paper="The Part-Time Parliament, 2.2",
    breaks="A",
    oracle="decision",
    deployments=("collapsed",),
)
class RecoversVotesFirst(Learner):
    def recover_chosen(self, checkpoint: Checkpoint, records: list[AnyRecord]) -> tuple[int, dict[int, Value]]:
        commit, values = super().recover_chosen(checkpoint, records)
        votes = {record.slot: record.value for record in records if isinstance(record, VoteRecord)}
        return commit, values | votes


@mutant(
    "L22",
    "recovery takes every own vote for a chosen value",
    rule="only slots up to the logged commit index are known chosen",
    paper="Paxos Made Simple, 2.3",
    breaks="A",
    oracle="decision",
    deployments=("collapsed",),
)
class RecoversEveryVote(Learner):
    def recover_chosen(self, checkpoint: Checkpoint, records: list[AnyRecord]) -> tuple[int, dict[int, Value]]:
        commit, values = super().recover_chosen(checkpoint, records)
        return max(commit, *values) if values else commit, values


@mutant(
    "L23",
    "after a snapshot was installed the log vouches for slots it does not hold",
    rule="every slot up to the logged commit index has its chosen value in the log",
    paper="Paxos Made Live, 5.5",
    breaks="DA",
    oracle="decision, liveness",
    deployments=("collapsed",),
    difficulty="deep",
)
class VouchesForSnapshot(Learner):
    def chosen_in_log(self) -> int:
        return self.learned


@mutant(
    "L24",
    "a learner that misses values asks for them only once",
    rule="ask one peer after the other until nothing is missing",
    paper="Paxos Made Live, 4.2",
    breaks="P",
    oracle="liveness",
)
class AsksOnce(Learner):
    def on_catch_up_due(self) -> None:
        super().on_catch_up_due()
        self.set_timer("catch_up", 1 << 62)


@mutant(
    "L25",
    "a learner that misses values asks the same peer for ever",
    rule="ask one peer after the other until nothing is missing",
    paper="Paxos Made Live, 4.2",
    breaks="P",
    oracle="liveness",
    deployments=("classic",),
)
class AsksOnePeer(Learner):
    def catch_up_peer(self) -> int:
        return max(self.commit_source, 0)


@mutant(
    "L26",
    "the commit index of heartbeats is not looked at: the last value may stay unknown",
    rule="a learner can tell that it misses the last value",
    paper="Paxos Made Live, 4.2",
    breaks="P",
    oracle="liveness",
    difficulty="easy",
)
class IgnoresCommitIndex(Learner):
    def note_commit(self, source: int, ballot: Ballot, commit: int) -> None:
        if commit <= self.learned + 1:
            super().note_commit(source, ballot, commit)


@mutant(
    "L27",
    "a read hands out the list itself, which later appends change",
    rule="what a client was told does not change",
    breaks="LR",
    oracle="decision, witness",
    paper="Ongaro's thesis, 6.3",
    seen_in="simulated",
)
class ReadsShareTheList(KeyValueStore):
    def read(self, key: str) -> object:
        return self.data.get(key)


@mutant(
    "L28",
    "compare-and-set takes place on any key that was written",
    rule="compare-and-set compares the whole value",
    breaks="L",
    oracle="witness, linearizability",
    difficulty="easy",
    paper="the specification of the store",
)
class ComparesExistence(KeyValueStore):
    def matches(self, found: object, expected: object) -> bool:
        return (found is None) == (expected is None)


@mutant(
    "E01",
    "the leader, perhaps deposed, answers reads from its own state",
    rule="reads go through the log",
    paper="Ongaro's thesis, 6.4",
    breaks="L",
    source="etcd #741",
    oracle="witness, linearizability",
    deployments=("collapsed",),
)
class ReadsLocally(Replica):
    def outcome_of(self, command: Command) -> Outcome | None:
        if command.f == "read":
            return Outcome("applied", "ok", self.learner.machine.store.read(command.key))
        return super().outcome_of(command)


@mutant(
    "E02",
    "a new leader that hears a quorum answers reads before the slots it inherited are applied",
    rule="reads go through the log",
    paper="Ongaro's thesis, 6.4",
    breaks="L",
    source="etcd #7331; tikv PR 6340; redisraft PR 22",
    oracle="witness, linearizability",
    deployments=("collapsed",),
)
class ReadsWithoutBarrier(Replica):
    def outcome_of(self, command: Command) -> Outcome | None:
        since_ns = self.context.now_ns - self.config.heartbeat_ns
        heard = [node for node, heard_ns in self.proposer.heard_ns.items() if heard_ns >= since_ns]
        if command.f == "read" and self.is_quorum(heard):
            return Outcome("applied", "ok", self.learner.machine.store.read(command.key))
        return super().outcome_of(command)


@mutant(
    "C10",
    "a compare-and-set that would fail now is answered without a slot",
    rule="every answer comes from the log",
    paper="Ongaro's thesis, 6.4",
    breaks="L",
    source="scylladb #6299; CASSANDRA-12126",
    oracle="witness, linearizability",
    deployments=("collapsed",),
)
class FailedCasTakesNoSlot(Replica):
    def outcome_of(self, command: Command) -> Outcome | None:
        store = self.learner.machine.store
        if command.f == "cas" and not store.matches(store.read(command.key), command.expected):
            return Outcome("applied", "ok", [False, store.read(command.key)])
        return super().outcome_of(command)


@mutant(
    "L29",
    "catch-up serves the values one slot too high",
    rule="catch-up serves the slots asked for",
    paper="Paxos Made Live, 4.2",
    breaks="A",
    oracle="decision",
    difficulty="easy",
)
class ServesOneSlotOff(Learner):
    def values_to_serve(self, slot: int) -> tuple[Value, ...]:
        return super().values_to_serve(slot + 1)


@mutant(
    "L30",
    "a learner that misses values asks itself",
    rule="ask one peer after the other until nothing is missing",
    paper="Paxos Made Live, 4.2",
    breaks="P",
    oracle="liveness",
    difficulty="easy",
    deployments=("collapsed",),
)
class AsksItself(Learner):
    def catch_up_peer(self) -> int:
        return self.node


@mutant(
    "L31",
    "a local read does not wait for what its client saw before",
    rule="local reads never sink",
    paper="The Part-Time Parliament, 3.3.4",
    breaks="L",
    oracle="local-reads",
)
class ReadsOlderThanSeen(Learner):
    def may_read_locally(self, at_least: int) -> bool:
        return True


@mutant(
    "L32",
    "compare-and-set takes a deleted key for one never written",
    rule="a tombstone is a value",
    paper="the specification of the store",
    breaks="L",
    oracle="witness, linearizability",
    difficulty="easy",
)
class TombstoneIsAbsent(KeyValueStore):
    def matches(self, found: object, expected: object) -> bool:
        return super().matches(None if isinstance(found, dict) else found, expected)


@mutant(
    "L34",
    "votes of one round are added up, whichever node leads",
    rule="chosen = a quorum in one ballot",
    paper="The Part-Time Parliament, 2.1, B1",
    breaks="A",
    oracle="decision",
    difficulty="hard",
    deployments=("classic",),
)
class AddsUpByRound(Tally):
    def counted_under(self, ballot: Ballot, value: Value) -> Ballot:
        return (ballot[0], 0)


@mutant(
    "L35",
    "catch-up ends at a no-op, which is empty and so looks like none",
    rule="catch-up serves every chosen value from the slot asked for",
    paper="Paxos Made Live, 4.2",
    breaks="P",
    oracle="liveness",
    difficulty="hard",
)
class ServesUpToANoOp(Learner):
    def values_to_serve(self, slot: int) -> tuple[Value, ...]:
        values = super().values_to_serve(slot)
        return values[: values.index(())] if () in values else values


@mutant(
    "LQ1",
    "a second value for a decided slot silently replaces the first",
    rule="chosen is for ever",
    breaks="",
    source="the seed package",
    equivalent="no second value ever comes as long as agreement holds; with another bug it hides the crash",
    paper="Paxos Made Simple, 2.3",
)
class SecondValueReplaces(Learner):
    def on_second_value(self, slot: int, known: Value, value: Value) -> None:
        self.decided[slot] = value
