"""The native format: JSON lines, one event a line, with the fields of ``NativeEvent``. ``schema()`` is its JSON schema."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from harness.checkers.formats.events import ALIASES, Event, FormatError, frozen
from harness.checkers.linearizability.history import UNKNOWN


class NativeEvent(msgspec.Struct, omit_defaults=True):
    """One event of a history: an invocation, or its completion."""

    type: Literal["invoke", "ok", "fail", "info"]
    """fail: surely did not happen; info: may have happened, now or later, or never."""
    process: int | str
    """The client; one operation in flight. A text that is not of digits is the nemesis, which is left out."""
    f: str
    """read, write, cas, delete, append, …: what the model knows."""
    key: Any = None
    value: Any = None
    """Invoked: the value to write, [expected, new] of a cas. Completed: the value read, else the same."""
    index: int | None = None
    time_ns: int | None = None
    """Just before the first send, or when the answer was read. Without it, the order of lines counts."""
    intended_ns: int | None = None
    """When the schedule wanted it sent."""
    error: str | None = None
    node: int | str | None = None
    """Who answered."""
    applied: bool | None = None
    """Of a completed cas: whether it took place. A failed one is ``ok`` with ``applied: false`` and ``seen``."""
    seen: Any = msgspec.UNSET
    """What a failed cas found; the length of the list after an append."""


def schema() -> dict[str, Any]:
    """JSON schema of one line."""
    return msgspec.json.schema(NativeEvent)


def events(file: BinaryIO, path: Path | str, notes: list[str], key_field: str | None = None) -> Iterator[Event]:
    """The operations of clients. A torn last line is told in ``notes``; any other bad line raises FormatError."""
    decoder = msgspec.json.Decoder(NativeEvent)
    loose = msgspec.json.Decoder(dict[str, Any]) if key_field and key_field != "key" else None
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(BOM_UTF8)
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if not line.endswith(b"\n"):
                notes.append(f"line {number}: torn and left out")
                return
            raise FormatError(path, number, f"{error}; expected an object such as {EXAMPLE}") from None
        if isinstance(row.process, str):
            if not row.process.isdigit():
                continue
            row.process = int(row.process)
        key = row.key if loose is None else loose.decode(line).get(str(key_field))
        yield Event(
            row.type,
            row.process,
            ALIASES.get(row.f, row.f),
            _value(row),
            number,
            row.time_ns,
            frozen(key),
            row.applied,
            UNKNOWN if row.seen is msgspec.UNSET else frozen(row.seen),
        )


def _value(row: NativeEvent) -> Any:
    return frozen(row.value)


EXAMPLE = '{"type": "invoke", "process": 0, "f": "read", "key": "x", "value": null, "time_ns": 12}'
