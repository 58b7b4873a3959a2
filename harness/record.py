"""The record of a run: what was asked, what was decided, what was traced, which faults took hold.

Rules
-----
* Recording never judges. A run writes its record as it goes; checkers and reports work from the run directory alone.
* One writer a file, one format for all: *blocks* of ``length u32 | crc32 u32 | msgpack array of rows``, little endian,
  handed to the kernel in one ``write``. A writer killed in the middle leaves at most one torn block, at the end, which
  the reader reports and leaves out.
* ``CLOCK_MONOTONIC`` (or the simulator's virtual clock) is common to all writers, so files are merged by time afterwards.
  That puts causes before effects: every CPU reads the same clock, in steps of a nanosecond or little more, and no message
  takes less than some microseconds. So nobody need stamp an order; the check of the record verifies it.

Run directory::

    plan.json  env.json  results.json  report.html  *.png
    history/<writer>.rows      Operation    clients: every invocation and completion
    faults/<writer>.rows       FaultEvent   the nemesis: begin and end of every fault, with evidence
    decided/<agent>.<inc>.rows AgentEvent   kinds in DECIDED_KINDS: complete, never bounded
    trace/<agent>.<inc>.rows   AgentEvent   all other kinds: bounded, says when it is cut
    logs/<agent>.<inc>.log     what a process printed
    data/<agent>/              the write-ahead logs (kept on failure)
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from nemesis.faults import KINDS
from nemesis.links import EFFECTS

CLIENT_SERIAL_BITS = 32
FIRST_CLIENT_ADDRESS = 1000
OperationType = Literal["invoke", "ok", "fail", "info"]
Ballot = tuple[int, int]
"""(round, node), ordered as tuples are."""


class Operation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event of the client history: an invocation, or its completion.

    ``fail``: it surely did not happen. ``info``: it may have happened, now or later, or never.
    ``process``: the logical client (one operation in flight; a client whose operation ended in ``info`` goes on under a
    new process number). ``(process, seq)`` names the operation in the decided logs.

    Values, by function ``f``:

    ==========  =====================  ==========================================================================
    f           value at invoke        value at ok
    ==========  =====================  ==========================================================================
    read        None                   the string written last; {"tombstone": id} after a delete; None = never
                                       written; a list of strings for keys that are appended to
    local-read  None                   as read, but from one learner and perhaps old; ``seen``: the slot up to
                                       which that learner had applied
    write       the string             the same
    cas         [expected, new]        the same; ``applied`` tells whether it took place, ``seen`` the value found
    delete      the tombstone's id     the same
    append      the string             the same; ``seen``: the length of the list after the append
    ==========  =====================  ==========================================================================
    """

    type: OperationType
    time_ns: int
    """Just before the first send (invoke), or when the answer was read (completion)."""
    process: int
    seq: int
    f: str
    key: str
    value: Any = None
    intended_ns: int = 0
    """When the open-loop schedule wanted it sent: latency counts from here. 0 in completions."""
    node: int = -1
    """Agent id that answered; -1 if none."""
    applied: bool | None = None
    seen: Any = None
    error: str | None = None


def client_name(process: object) -> str:
    """A process number of the history as readers see it: ``3`` is the third client of the first client process, ``3b`` of the
    second.

    Our own numbers are ``address << 32 | serial``, addresses counted from 1000; the serial goes on after an ``info``. What
    other tools wrote stands for itself.
    """
    if not isinstance(process, int):
        return str(process)
    place = (process >> CLIENT_SERIAL_BITS) - FIRST_CLIENT_ADDRESS
    if not 0 <= place < 26:
        return str(process)
    return f"{process & ((1 << CLIENT_SERIAL_BITS) - 1)}{chr(ord('a') + place) if place else ''}"


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A client command as the decided logs hold it, with the names that it has in the system under test. ``(client, seq)`` is
    ``(process, seq)`` of the history."""

    client: int
    seq: int
    session: int
    f: str
    key: str
    value: Any = None
    expected: Any = None


class AgentEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One traced step of an agent. Which fields are set depends on ``kind``; see ``EVENT_KINDS``."""

    time_ns: int
    kind: str
    ballot: Ballot | None = None
    slot: int = 0
    value: tuple[Command, ...] | None = None
    """The commands of a slot's value; ``()`` is a no-op; ``None``: the kind has no value."""
    extra: Any = None


DECIDED_KINDS = frozenset({"chosen", "applied", "installed", "started", "stopped"})
EVENT_KINDS: dict[str, str] = {
    "started": "incarnation begins; extra = {role, commit (slots recovered as applied), promised}",
    "stopped": "it ended by itself; in good order: extra = {commit, state_digest}; else extra = {type, error}",
    "chosen": "a learner learned that ballot (None: by catch-up) chose value in slot",
    "applied": "a learner applied slot; extra = [outcome digest, [[index in value, reason], ...] of commands skipped]",
    "installed": "a learner replaced its state by a snapshot that covers slots <= slot; extra = state digest",
    "snapshot": "a learner took a snapshot that covers slots <= slot; extra = state digest",
    "restored": "a learner recovered the state of its checkpoint, which covers slots <= slot; extra = state digest",
    "promised": "an acceptor raised its promise to ballot",
    "accepted": "an acceptor voted for value in slot at ballot",
    "recovered": "an acceptor recovered promise ballot from its log; extra = list of [slot, ballot]",
    "recovered_round": "a proposer recovered that it has tried no round above that of ballot",
    "told_promise": "simulated: a page of a promise of ballot, of slots >= slot, left its acceptor; "
    "extra = [is it the last, [[slot, ballot, known chosen], ...]]",
    "told_vote": "simulated: word of a vote in slot at ballot left its acceptor",
    "told_snapshot": "simulated: word that a durable snapshot covers slots <= slot left its learner",
    "sync_begun": "simulated: a sync of all that was written began",
    "sync_ended": "simulated: that sync ended well",
    "power_lost": "simulated: the agent's power was cut",
    "prepare": "a proposer began phase 1 at ballot for slots >= slot",
    "leader": "a proposer ended phase 1 at ballot; slot = first free slot; extra = acceptors whose promises it counted",
    "propose": "a leader proposed value in slot at ballot (first send)",
    "step_down": "a leader or candidate gave up ballot; extra = reason",
    "cut": "the log was cut: values of slots <= slot are gone",
    "stale": "a message of an earlier incarnation was rejected; extra = sender",
    "bounded": "the trace is cut from here on; extra = limit in rows",
    "message": "the network saw a message; time_ns = when it arrived or was lost; "
    "extra = {name, source, target, sent_ns, fate: delivered or lost}",
}


class FaultEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A fault begins or ends. ``fault`` is its index in the plan (-1: the final power cut or the final heal)."""

    time_ns: int
    edge: Literal["begin", "end", "note"]
    fault: int
    kind: str
    targets: tuple[str, ...]
    evidence: dict[str, Any]
    """What shows that it took effect (counts, states seen), or ``{"error": …}`` / ``{"unsupported": …}``."""


def joint_evidence(events: Iterable[FaultEvent]) -> dict[str, Any]:
    """What the events of one fault saw, begin and end together. Where they differ the later one is told as ``…_at_end``."""
    joint: dict[str, Any] = {}
    for event in events:
        joint = _joined(joint, event.evidence)
    return joint


def _joined(first: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    joint = dict(first)
    for name, value in later.items():
        known = joint.get(name, value)
        if isinstance(known, dict) and isinstance(value, dict):
            joint[name] = _joined(known, value)
        else:
            joint[name if known == value else f"{name}_at_end"] = value
    return joint


NOT_LANDED = ("unsupported", "error", "nobody", "not_begun")
"""What evidence says of a fault that did not come about."""


def landed(kind: str, targets: Sequence[str], evidence: dict[str, Any]) -> bool:
    """Whether the joint evidence of a fault shows that it did something: a link fault touched at least one message; any other
    began on somebody who was there."""
    if any(key in evidence for key in NOT_LANDED):
        return False
    if kind in KINDS and KINDS[kind].device == "link":
        return any(evidence.get(count) for count in EFFECTS)
    away = evidence.get("already_down")
    if kind != "power" and isinstance(away, list) and set(targets) <= set(away):
        return False
    return bool(targets)


Row = TypeVar("Row", bound=msgspec.Struct)
_HEAD = struct.Struct("<II")
_encode = msgspec.msgpack.Encoder().encode


class RowWriter:
    """Appends rows of one kind to one file. ``write`` hands a whole block to the kernel: it survives SIGKILL."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, rows: Sequence[msgspec.Struct]) -> None:
        """Append rows as one block; raises OSError (full disk) with nothing but a torn last block left behind."""
        if not rows:
            return
        payload = _encode(rows)
        block = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        written = os.write(self._fd, block)
        while written < len(block):
            written += os.write(self._fd, block[written:])

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class TornTail(msgspec.Struct, frozen=True):
    """What a reader left out at the end of a file, and why."""

    path: str
    offset: int
    lost_bytes: int
    damaged: bool = False
    """False: the last block ends early, as when its writer was killed; nothing that was acted upon is lost. True: a whole
    block is there and does not match its checksum, so the file was changed afterwards."""


def read_rows(path: Path, row: type[Row]) -> tuple[list[Row], TornTail | None]:
    """All rows of a file, and what was torn off its end (None if nothing)."""
    data = path.read_bytes()
    decoder = msgspec.msgpack.Decoder(list[row])  # type: ignore[valid-type]
    rows: list[Row] = []
    offset = 0
    view = memoryview(data)
    while offset < len(data):
        if offset + _HEAD.size > len(data):
            return rows, TornTail(str(path), offset, len(data) - offset)
        length, crc = _HEAD.unpack_from(data, offset)
        payload = view[offset + _HEAD.size : offset + _HEAD.size + length]
        if len(payload) < length:
            return rows, TornTail(str(path), offset, len(data) - offset)
        if zlib.crc32(payload) != crc:
            return rows, TornTail(str(path), offset, len(data) - offset, damaged=True)
        rows.extend(decoder.decode(payload))
        offset += _HEAD.size + length
    return rows, None


class RecordedRun:
    """The record of one run, read from its directory. Every part is read when first asked for."""

    in_memory = False
    """It was never written, so nothing of it can be missing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.torn: list[TornTail] = []

    def _read(self, path: Path, row: type[Row]) -> list[Row]:
        rows, torn = read_rows(path, row)
        if torn is not None:
            self.torn.append(torn)
        return rows

    def _files(self, folder: str) -> Iterator[Path]:
        return iter(sorted((self.directory / folder).glob("*.rows")))

    def history(self) -> list[Operation]:
        """All client events, ordered by time (writer order among equal times)."""
        return _by_time(op for path in self._files("history") for op in self._read(path, Operation))

    def faults(self) -> list[FaultEvent]:
        return _by_time(event for path in self._files("faults") for event in self._read(path, FaultEvent))

    def agent_events(self, folder: Literal["decided", "trace"]) -> dict[tuple[str, int], list[AgentEvent]]:
        """Events by (agent name, incarnation), each in the order they were recorded."""
        found: dict[tuple[str, int], list[AgentEvent]] = {}
        for path in self._files(folder):
            agent, _, incarnation = path.stem.rpartition(".")
            found[agent, int(incarnation)] = self._read(path, AgentEvent)
        return found


Timed = TypeVar("Timed", Operation, FaultEvent, AgentEvent)


def _by_time(rows: Iterable[Timed]) -> list[Timed]:
    return sorted(rows, key=attrgetter("time_ns"))
