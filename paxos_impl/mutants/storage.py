"""Planted bugs of the log, the gate and recovery."""

from __future__ import annotations

from paxos_impl.gate import Gate
from paxos_impl.log import AnyRecord, Checkpoint, Log
from paxos_impl.messages import Accepted, AnyMessage, Heartbeat, Prepare, Promise, Reply, Vote
from paxos_impl.mutants.registry import mutant


@mutant(
    "A03",
    "messages leave before the sync they rely on",
    rule="durability rule",
    paper="Paxos Made Live, 4.1",
    breaks="AD",
    source="PySyncObj #84; efficient/epaxos #28",
    oracle="vote, promise, durability",
    seen_in="worlds with power cuts",
)
class AnswerBeforeSync(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return True


@mutant(
    "A13",
    "an answer given before is given again at once, synced or not",
    rule="durability rule, for duplicates too",
    paper="Paxos Made Live, 4.1",
    breaks="AD",
    source="cocagne/paxos (reproduced)",
    oracle="vote, promise",
    seen_in="worlds with power cuts",
    difficulty="hard",
)
class DuplicateBeforeSync(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        waits = isinstance(message, (Promise, Accepted)) and any(message == held for _, _, held in self.held)
        return waits or super().may_leave(message, offset)


@mutant(
    "S20",
    "votes leave before they are durable; promises wait",
    rule="durability rule",
    paper="Paxos Made Live, 4.1",
    breaks="AD",
    oracle="vote, durability",
    seen_in="worlds with power cuts",
)
class AcceptedBeforeSync(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return isinstance(message, Accepted) or super().may_leave(message, offset)


@mutant(
    "S21",
    "promises leave before they are durable; votes wait",
    rule="durability rule",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    oracle="promise",
    seen_in="worlds with power cuts",
)
class PromiseBeforeSync(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return isinstance(message, Promise) or super().may_leave(message, offset)


@mutant(
    "S22",
    "a Prepare leaves before its round is durable",
    rule="lastTried is durable before its Prepare leaves",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    oracle="ballot",
    seen_in="worlds with power cuts",
    difficulty="deep",
    deployments=("classic",),
)
class PrepareBeforeSync(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return isinstance(message, Prepare) or super().may_leave(message, offset)


@mutant(
    "A15",
    "an error at writing is swallowed",
    rule="a record that could not be written was never said",
    paper="Paxos Made Live, 5.1",
    breaks="AD",
    source="cockroach #37102; rostam #94",
    oracle="vote, crash",
    seen_in="worlds with full disks",
    difficulty="hard",
)
class SwallowsWriteError(Log):
    def on_failed_append(self, name: str, error: OSError) -> None:
        pass


@mutant(
    "S02",
    "a damaged record in the middle is taken for a torn tail: what follows is cut",
    rule="damage below what was known durable is corruption",
    paper="Paxos Made Live, 5.1; protocol-aware recovery (FAST 2018)",
    breaks="DA",
    oracle="vote, promise",
    seen_in="worlds with disk damage",
    difficulty="hard",
)
class CutsAtDamage(Log):
    def on_bad_record(self, name: str, position: int, bad: int, known: int) -> None:
        pass


@mutant(
    "S03",
    "checksums are stored and never compared",
    rule="a record is good only if its checksum fits",
    paper="Paxos Made Live, 5.1",
    breaks="AR",
    oracle="vote, decision",
    seen_in="worlds with disk damage",
    difficulty="hard",
)
class ChecksumNotCompared(Log):
    def is_intact(self, payload: bytes, crc: int, offset: int, durable: int) -> bool:
        return True


@mutant(
    "S06",
    "a failed sync counts as done",
    rule="a failed sync is never retried or trusted",
    paper="Can Applications Recover from fsync Failures? (ATC 2020)",
    breaks="D",
    source="cockroach #37102",
    oracle="vote, crash",
    seen_in="worlds with sync errors",
    difficulty="hard",
)
class TrustsFailedSync(Log):
    def on_failed_sync(self, error: OSError) -> None:
        pass


@mutant(
    "S10",
    "one sync counts for what was appended while it ran",
    rule="durable is what was handed over before the sync began",
    paper="Paxos Made Live, 4.1",
    breaks="D",
    source="ra PR 637 (last_written)",
    oracle="vote, durability",
    seen_in="worlds with power cuts",
)
class SyncCoversTooMuch(Log):
    def end_sync(self) -> int | None:
        self._covered = self.end
        return super().end_sync()


@mutant(
    "S23",
    "what recovery reads counts as durable though it may stand in the page cache only",
    rule="durable is what was known so, until the next sync",
    paper="All File Systems Are Not Created Equal (OSDI 2014)",
    breaks="D",
    oracle="vote",
    seen_in="worlds with power cuts",
    difficulty="deep",
)
class ReadIsDurable(Log):
    def durable_after_recovery(self, known: int, end: int) -> int:
        return end


@mutant(
    "S24",
    "directories are never synced: a new segment has no name after a power cut",
    rule="names are durable only when the directory is synced",
    paper="All File Systems Are Not Created Equal (OSDI 2014)",
    breaks="AD",
    oracle="vote, promise",
    seen_in="worlds with power cuts",
    difficulty="easy",
)
class DirectoryNotSynced(Log):
    def begin_sync(self) -> None:
        self._directory_unsynced = False
        super().begin_sync()


@mutant(
    "S25",
    "a torn tail is left in place and written behind",
    rule="a tail that was never synced is cut",
    paper="Paxos Made Live, 5.1",
    breaks="D",
    oracle="crash, vote",
    seen_in="worlds with power cuts",
    difficulty="hard",
)
class KeepsTornTail(Log):
    def cut_tail(self, names: list[str], position: int) -> None:
        pass


@mutant(
    "S26",
    "a record says nothing of what was durable before it: damage cannot be told from a torn tail",
    rule="damage below what was known durable is corruption",
    paper="protocol-aware recovery (FAST 2018)",
    breaks="D",
    oracle="vote, promise",
    seen_in="worlds with disk damage",
    difficulty="hard",
)
class RecordsForgetDurable(Log):
    def frame(self, record: AnyRecord, offset: int, durable: int) -> bytes:
        return super().frame(record, offset, 0)


@mutant(
    "S28",
    "recovery drops the last record",
    rule="the log is read to its end",
    paper="Paxos Made Live, 5.5",
    breaks="AD",
    oracle="vote, promise",
    difficulty="easy",
)
class DropsTheLastRecord(Log):
    def recover(self) -> tuple[Checkpoint, list[AnyRecord]]:
        checkpoint, records = super().recover()
        return checkpoint, records[:-1]


@mutant(
    "S29",
    "one sync lets go all that waits, also what came while it ran",
    rule="durability rule",
    paper="Paxos Made Live, 4.1",
    breaks="D",
    oracle="vote, durability",
    seen_in="worlds with power cuts",
)
class ReleasesTooMuch(Gate):
    def release_durable(self) -> None:
        while self.held:
            _, target, message = self.held.popleft()
            self._release(target, message)


@mutant(
    "S30",
    "votes told to learners do not wait for the log",
    rule="durability rule",
    paper="Paxos Made Live, 4.1",
    breaks="D",
    oracle="vote, durability",
    seen_in="worlds with power cuts",
    deployments=("classic",),
)
class VotesToLearnersBeforeSync(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return isinstance(message, Vote) or super().may_leave(message, offset)


@mutant(
    "S31",
    "while a checkpoint is written nothing waits for the log",
    rule="durability rule",
    paper="Paxos Made Live, 4.1",
    breaks="AD",
    oracle="vote, promise",
    seen_in="worlds with power cuts",
)
class CheckpointOpensTheGate(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return self.log.checkpointing or super().may_leave(message, offset)


@mutant(
    "S39",
    "records are written over a cut tail before the cut is synced",
    rule="a cut tail is synced before anything is written over it",
    paper="Paxos Made Live, 5.1",
    breaks="AD",
    source="this project's own Paxos (docs/track-record.md)",
    oracle="vote, agreement",
    seen_in="worlds with power cuts that undo a truncation",
    difficulty="deep",
)
class WritesOverACut(Log):
    def cut_is_durable(self) -> bool:
        return True


@mutant(
    "S40",
    "messages to oneself do not wait: a leader counts its own vote before it is durable",
    rule="durability rule, for messages to oneself too",
    paper="Paxos Made Live, 4.1",
    breaks="AD",
    oracle="decision",
    seen_in="worlds that see syncs",
)
class OwnMessagesAtOnce(Gate):
    def send(self, target: int, message: AnyMessage) -> None:
        if target == self.node:
            self.loopback.append(message)
        else:
            super().send(target, message)


@mutant(
    "S41",
    "a sync that has begun counts as done",
    rule="durable is what a finished sync covers",
    paper="The Part-Time Parliament, 2.3",
    breaks="AD",
    oracle="decision, vote",
    seen_in="worlds that see syncs",
)
class BegunIsDone(Gate):
    def durable_offset(self) -> int:
        return max(self.log.durable, self.log._covered or 0)


@mutant(
    "SQ1",
    "answers to clients do not wait for the own log",
    rule="durability rule",
    breaks="",
    equivalent="an answer relies on a quorum of votes that were durable when they were told",
    paper="Paxos Made Simple, 2.3",
)
class ReplyBeforeSync(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return isinstance(message, Reply) or super().may_leave(message, offset)


@mutant(
    "SQ2",
    "heartbeats do not wait for the own log",
    rule="durability rule",
    breaks="",
    equivalent="ballot and commit index rest on quorums that were durable when they answered",
    paper="Paxos Made Simple, 2.3",
)
class HeartbeatBeforeSync(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return isinstance(message, Heartbeat) or super().may_leave(message, offset)
