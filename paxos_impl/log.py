"""The write-ahead log: what an agent must not forget.

Rules
-----
* **Append before you speak**: whatever a message relies on stands in the log before the message; the gate (``gate.py``)
  holds it back until the log is durable that far.
* **Record** = magic, length, checksum, its own offset, and the offset that was known durable when it was appended.
  Offsets count over all segments and never restart, so a stale record in the wrong place is not taken for a good one.
* **Torn tail or corruption**: a bad record *below* the largest known-durable offset is corruption, and the agent stops. At
  or above it, it is a tail that was never synced: it is cut, whatever follows, and the cut is synced before anything leaves
  or is written over it.
* **A failed sync is never retried**: its bytes count as lost, and the agent stops.
* **Bounded**: a checkpoint (everything the agent must know) replaces the segments before it. Its content is synced before
  it gets its name, the name is synced before the old segments go.

Files: ``checkpoint-N`` and the segments ``log-N``, ``log-N+1``, …; ``checkpoint-N`` replaces every segment below ``N``.

Source: Paxos Made Live, section 5.1 (disk corruption) and 5.5 (snapshots); The Part-Time Parliament, section 2.2 (ledger).
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Iterator

import msgspec

from paxos_impl.files import Files
from paxos_impl.messages import NO_BALLOT, Ballot, Value

MAGIC = b"PxL\x01"
_HEAD = struct.Struct("<4sIIQQ")
_START, _BODY = struct.Struct("<4sII"), struct.Struct("<QQ")
"""The two parts of a head: the checksum covers the second one and the payload."""
HEAD_BYTES = _HEAD.size


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of all records."""


class RoundRecord(Record, frozen=True, tag=1):
    """The round of the next Prepare: lastTried, the one thing a proposer must not forget."""

    round: int


class PromiseRecord(Record, frozen=True, tag=2):
    """nextBal."""

    ballot: Ballot


class VoteRecord(Record, frozen=True, tag=3):
    """prevVote in ``slot``. Every slot <= ``commit`` is chosen, and the value this log holds for it is the chosen one."""

    ballot: Ballot
    slot: int
    value: Value
    commit: int


class ChosenRecord(Record, frozen=True, tag=4):
    """The chosen value of a slot in which this agent voted for something else, or not at all."""

    slot: int
    value: Value


class Checkpoint(Record, frozen=True, tag=5):
    """All an agent must know, in place of the segments before it."""

    slot: int
    """``state`` covers slots <= slot; 0 and empty for agents without a state machine."""
    state: bytes
    promised: Ballot
    round: int
    floor: int
    """Values of slots <= floor are not kept here."""
    votes: tuple[tuple[int, Ballot, Value], ...]
    chosen: tuple[tuple[int, Value], ...]
    """As ChosenRecord, for slots > slot."""
    commit: int
    offset: int
    """Log offset at which the first segment after this checkpoint begins."""


EMPTY_CHECKPOINT = Checkpoint(0, b"", NO_BALLOT, 0, 0, (), (), 0, 0)

AnyRecord = RoundRecord | PromiseRecord | VoteRecord | ChosenRecord | Checkpoint
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyRecord).decode


class StorageFault(Exception):
    """The disk failed this agent; it must stop. The text says which file and what to do."""


class LogCorrupted(StorageFault):
    """A record that was known durable is damaged: acknowledged data would be lost by going on."""


class Log:
    """Segments and checkpoints of one agent over the file port.

    ``end``: offset behind the last record appended. ``durable``: everything before it survives a power cut.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.end = 0
        self.durable = 0
        self.checkpoint = EMPTY_CHECKPOINT
        self.checkpoint_steps: list[str] = []
        self._segment = 0
        self.pending: list[bytes] = []
        """Records that the operating system does not have yet."""
        self._unsynced: dict[str, None] = {}
        self._directory_unsynced = False
        self._cut_unsynced = False
        """Recovery cut a tail, or an earlier life that was killed since. A power cut may undo that: what was cut would follow
        what is written over it."""
        self._covered: int | None = None
        self._started_step: str | None = None
        self._next_checkpoint = EMPTY_CHECKPOINT

    # -- appending --------------------------------------------------------------------------------------------------

    def append(self, record: AnyRecord) -> None:
        """Add a record; it reaches the operating system with the next ``flush``."""
        data = self.frame(record, self.end, self.durable if self.durable > 0 else 0)
        self.pending.append(data)
        self.end += len(data)

    def frame(self, record: AnyRecord, offset: int, durable: int) -> bytes:
        """A record as it stands in the file; ``durable`` tells recovery what must not be missing."""
        payload = _encode(record)
        body = _BODY.pack(offset, durable) + payload
        return _START.pack(MAGIC, len(payload), zlib.crc32(body)) + body

    def flush(self) -> bool:
        """Hand appended records to the operating system; False if there were none, or if they have to wait for the sync of a
        cut. Raises StorageFault."""
        if not self.pending or not self.cut_is_durable():
            return False
        name = segment_name(self._segment)
        try:
            self.files.append(name, b"".join(self.pending) if len(self.pending) > 1 else self.pending[0])
        except OSError as error:
            self.on_failed_append(name, error)
        self.pending.clear()
        self._unsynced[name] = None
        return True

    def cut_is_durable(self) -> bool:
        """Nothing is written over a tail that recovery cut before the cut is synced: a power cut could undo it, and what was
        cut would follow what is written now."""
        return not self._cut_unsynced

    def on_failed_append(self, name: str, error: OSError) -> None:
        """A record that could not be written was never said: stop."""
        raise StorageFault(
            f"cannot append to {name}: {error}; free space or repair the disk, then restart the agent"
        ) from error

    # -- syncing ----------------------------------------------------------------------------------------------------

    @property
    def wants_sync(self) -> bool:
        return self._covered is None and bool(self._unsynced or self._directory_unsynced or self.checkpoint_steps)

    @property
    def syncing(self) -> bool:
        return self._covered is not None

    def begin_sync(self) -> None:
        """Begin to make everything appended so far durable (group commit: one flush covers all that waits)."""
        self._covered = self.end_of_sync()
        try:
            for name in self._unsynced:
                self.files.sync(name)
            if self._directory_unsynced:
                self.files.sync_directory()
            self._begin_checkpoint_step()
        except OSError as error:
            self.on_failed_sync(error)
        self._unsynced.clear()
        self._directory_unsynced = False

    def end_of_sync(self) -> int:
        """Durable is what was handed over before the sync began, not what came in meanwhile."""
        return self.end - sum(map(len, self.pending))

    def end_sync(self) -> int | None:
        """The flush is finished. Returns the slot of a checkpoint that has just become durable, else None."""
        assert self._covered is not None
        if self._covered > self.durable:
            self.durable = self._covered
        self._covered = None
        self._cut_unsynced = False
        return self._end_checkpoint_step()

    def on_failed_sync(self, error: OSError) -> None:
        """What the sync covered is lost: the kernel may have dropped the pages, a second sync would lie."""
        self._covered = None
        raise StorageFault(
            f"sync failed: {error}; what it covered counts as lost; replace the disk, then restart the agent"
        ) from error

    # -- checkpoints ------------------------------------------------------------------------------------------------

    @property
    def checkpointing(self) -> bool:
        """No checkpoint may begin now: one is on its way, or records wait for the sync of a cut."""
        return bool(self.checkpoint_steps) or not self.cut_is_durable()

    def checkpoint_order(self) -> list[str]:
        """Content before name, name before the old goes."""
        return ["sync_content", "rename", "sync_name", "cut"]

    def start_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Begin a new segment and write the checkpoint that replaces the ones before it.

        A checkpoint that cannot be written is given up (Paxos Made Live, section 5.5: a failed snapshot is tolerated): the
        old segments stay, and the next snapshot tries again.
        """
        assert not self.checkpointing
        self.flush()
        name = segment_name(self._segment + 1)
        scratch = checkpoint_name(self._segment + 1) + ".tmp"
        try:
            self.files.create(name)
        except OSError:
            return
        self._segment += 1
        self._unsynced[name] = None
        self._directory_unsynced = True
        self._next_checkpoint = msgspec.structs.replace(checkpoint, offset=self.end)
        try:
            self.files.create(scratch)
            self.files.append(scratch, self.frame(self._next_checkpoint, 0, 0))
        except OSError:
            if scratch in self.files.names():
                self.files.remove(scratch)
            return
        self.checkpoint_steps = self.checkpoint_order()
        self._run_checkpoint_steps()

    def _begin_checkpoint_step(self) -> None:
        self._started_step = self.checkpoint_steps[0] if self.checkpoint_steps else None
        if self._started_step == "sync_content":
            self.files.sync(checkpoint_name(self._segment) + ".tmp")
        elif self._started_step == "sync_name":
            self.files.sync_directory()

    def _end_checkpoint_step(self) -> int | None:
        if self._started_step is None:
            return None
        self._started_step = None
        del self.checkpoint_steps[0]
        return self._run_checkpoint_steps()

    def _run_checkpoint_steps(self) -> int | None:
        """Do the steps that need no sync; the others wait for the next flush."""
        while self.checkpoint_steps and not self.checkpoint_steps[0].startswith("sync"):
            step = self.checkpoint_steps.pop(0)
            if step == "rename":
                self.files.rename(checkpoint_name(self._segment) + ".tmp", checkpoint_name(self._segment))
                self.checkpoint = self._next_checkpoint
            else:
                self.remove_before(self._segment)
        return None if self.checkpoint_steps else self._next_checkpoint.slot

    def remove_before(self, segment: int) -> None:
        """What a durable checkpoint replaces: every segment and checkpoint of a lower number, and no other."""
        for name in self.files.names():
            kind, _, number = name.partition("-")
            if number.isdigit() and int(number) < segment and kind in ("log", "checkpoint"):
                self.files.remove(name)
                self._unsynced.pop(name, None)

    # -- recovery ---------------------------------------------------------------------------------------------------

    def recover(self) -> tuple[Checkpoint, list[AnyRecord]]:
        """The newest checkpoint, and the records after it. Cuts a tail that was never synced; raises LogCorrupted.

        Nothing read here counts as durable before the next sync: it may have stood in the page cache only.
        """
        names = self.files.names()
        for name in names:
            if name.endswith(".tmp"):
                self.files.remove(name)
        checkpoints = [name for name in names if name.startswith("checkpoint-") and not name.endswith(".tmp")]
        first = 0
        if checkpoints:
            self.checkpoint = self.read_checkpoint(checkpoints[-1])
            first = int(checkpoints[-1].partition("-")[2])
            self.remove_before(first)
        segments = sorted(name for name in self.files.names() if name.startswith("log-"))
        records = self._recover_segments(segments, first)
        self._segment = int(segments[-1].partition("-")[2]) if segments else first
        if not segments:
            self.files.create(segment_name(first))
        for name in self.files.names():
            self._unsynced[name] = None
        self._directory_unsynced = True
        self._cut_unsynced = bool(segments)
        return self.checkpoint, records

    def read_checkpoint(self, name: str) -> Checkpoint:
        """It was synced before it got its name, so damage is never a torn tail."""
        data = self.files.read(name)
        found = self.read_record(data, 0, 0)
        if found is None or not isinstance(found[0], Checkpoint):
            raise LogCorrupted(
                f"{name} is damaged; restore this agent's disk from another replica before restarting it"
            )
        return found[0]

    def _recover_segments(self, segments: list[str], first: int) -> list[AnyRecord]:
        records: list[AnyRecord] = []
        base = self.checkpoint.offset
        known = base
        for number, name in enumerate(segments, first):
            if name != segment_name(number):
                raise LogCorrupted(
                    f"{segment_name(number)} is missing although {name} exists; restore this agent's disk"
                )
            data = self.files.read(name)
            position = 0
            while position < len(data):
                found = self.read_record(data, position, base + position)
                if found is None:
                    bad = base + position
                    known = max(known, self._known_durable(segments[number - first :], base, position))
                    self.on_bad_record(name, position, bad, known)
                    self.cut_tail(segments[number - first :], position)
                    del segments[number - first + 1 :]
                    self.end = bad
                    self.durable = self.durable_after_recovery(known, bad)
                    return records
                record, durable, size = found
                if durable > known:
                    known = durable
                records.append(record)
                position += size
            base += position
        self.end = base
        self.durable = self.durable_after_recovery(known, base)
        if known > base:
            self.on_bad_record(segments[-1] if segments else segment_name(first), 0, base, known)
        return records

    def durable_after_recovery(self, known: int, end: int) -> int:
        """What was read back may have stood in the page cache only: durable is what was known so before, until a sync.

        It is never all, for also a name (of a checkpoint just renamed) may be lost: nothing leaves before that sync.
        """
        return min(known, end - 1)

    def read_record(self, data: bytes, position: int, offset: int) -> tuple[AnyRecord, int, int] | None:
        """(record, known-durable offset, bytes) at ``position``, or None if what stands there is not a good record."""
        if position + HEAD_BYTES > len(data):
            return None
        magic, length, crc, written, durable = _HEAD.unpack_from(data, position)
        payload = data[position + HEAD_BYTES : position + HEAD_BYTES + length]
        if magic != MAGIC or written != offset or len(payload) < length:
            return None
        if not self.is_intact(payload, crc, written, durable):
            return None
        try:
            return _decode(payload), durable, HEAD_BYTES + length
        except msgspec.DecodeError:
            return None

    def is_intact(self, payload: bytes, crc: int, offset: int, durable: int) -> bool:
        """The checksum covers payload and offsets (Paxos Made Live, section 5.1)."""
        return zlib.crc32(payload, zlib.crc32(_BODY.pack(offset, durable))) == crc

    def on_bad_record(self, name: str, position: int, bad: int, known: int) -> None:
        """Below what was known durable it is corruption; at or above, a tail that was never synced."""
        if bad < known:
            raise LogCorrupted(
                f"{name} is damaged at byte {position}, below offset {known} that was known durable; "
                "restore this agent's disk from another replica before restarting it"
            )

    def _known_durable(self, names: list[str], base: int, position: int) -> int:
        """The largest known-durable offset in good records behind a bad one (found again by their magic)."""
        known = 0
        for name in names:
            data = self.files.read(name)
            for record_start in _occurrences(data, position):
                if record_start + HEAD_BYTES <= len(data):
                    written = _HEAD.unpack_from(data, record_start)[3]
                    found = self.read_record(data, record_start, written)
                    if found is not None and written >= base:
                        known = max(known, found[1])
            position = 0
        return known

    def cut_tail(self, names: list[str], position: int) -> None:
        """Nothing behind a torn record is kept, also no later segment: it was never synced."""
        self._cut_unsynced = True
        self.files.truncate(names[0], position)
        for name in names[1:]:
            self.files.remove(name)


@functools.cache
def segment_name(number: int) -> str:
    return f"log-{number:08d}"


def checkpoint_name(number: int) -> str:
    return f"checkpoint-{number:08d}"


def _occurrences(data: bytes, position: int) -> Iterator[int]:
    at = data.find(MAGIC, position)
    while at >= 0:
        yield at
        at = data.find(MAGIC, at + 1)
