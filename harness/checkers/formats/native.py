"""The native format: JSON lines, one event a line, with the fields of ``NativeEvent``. ``schema()`` is its JSON schema.

Also read, as other tools write it: an array of such objects, or a map that holds one (``{"history": […]}``), and objects over
several lines. There the names may keep the colon of a keyword, a transaction needs no ``f``, and
the client may be called ``client``. What is neither of a client nor a call (a mark between phases) is left out.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from harness.checkers.formats.events import (
    ALIASES,
    NO_CLIENTS,
    Event,
    FormatError,
    checked_type,
    frozen,
    is_transaction,
)
from harness.checkers.linearizability.history import UNKNOWN


class NativeEvent(msgspec.Struct, omit_defaults=True):
    """One event of a history: an invocation, or its completion."""

    type: Literal["invoke", "ok", "fail", "info"]
    """fail: surely did not happen; info: may have happened, now or later, or never."""
    process: int | str
    """The client; one operation in flight. ``nemesis`` is left out."""
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


class _Row(NativeEvent, kw_only=True):
    """What is taken of an event: only what is needed must be well formed."""

    type: str  # type: ignore[assignment]
    process: int | str | None = None  # type: ignore[assignment]
    client: int | str | None = None
    f: str = ""
    index: Any = None
    intended_ns: Any = None
    error: Any = None
    node: Any = None


def schema() -> dict[str, Any]:
    """JSON schema of one line."""
    return msgspec.json.schema(NativeEvent)


def events(file: BinaryIO, path: Path | str, notes: list[str], key_field: str | None = None) -> Iterator[Event]:
    """The operations. A torn last one is told in ``notes``; anything else that is bad raises FormatError."""
    named: bool | None = None
    for row, key, line in _rows(file, path, notes, key_field):
        process = row.client if row.process is None else row.process
        if process is None and not row.f and row.type == "info":
            continue
        if named is None:
            named = process is not None
        elif named is not (process is not None):
            raise FormatError(path, line, f"only some events name their process; expected an object such as {EXAMPLE}")
        if isinstance(process, str):
            if process in NO_CLIENTS:
                continue
            if process.isdigit():
                process = int(process)
        value = frozen(row.value)
        f = row.f.removeprefix(":") or ("txn" if is_transaction(value) else "")
        if not f:
            raise FormatError(path, line, f"the event has no f; expected an object such as {EXAMPLE}")
        yield Event(
            checked_type(row.type.removeprefix(":"), path, line),
            process,
            ALIASES.get(f, f),
            value,
            line,
            row.time_ns,
            frozen(key),
            row.applied,
            UNKNOWN if row.seen is msgspec.UNSET else frozen(row.seen),
        )


def _rows(file: BinaryIO, path: Path | str, notes: list[str], key_field: str | None) -> Iterator[tuple[_Row, Any, int]]:
    """Every event with its key and the number of its line: one a line, if the first line is such an event."""
    decoder = msgspec.json.Decoder(_Row)
    loose = msgspec.json.Decoder(dict[str, Any]) if key_field and key_field != "key" else None
    begun = False
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(BOM_UTF8)
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if not begun and not _whole_event(line):
                yield from _rows_of_text(line + file.read(), number, path, notes, key_field)
                return
            if not line.endswith(b"\n"):
                notes.append(f"line {number}: torn and left out")
                return
            raise FormatError(path, number, f"{error}; expected an object such as {EXAMPLE}") from None
        begun = True
        yield row, row.key if loose is None else loose.decode(line).get(str(key_field)), number


def _whole_event(line: bytes) -> bool:
    """Whether a line is an object with the fields of an event, if bad ones."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(found, dict) and ("type" in found or "process" in found)


_BETWEEN = re.compile(r"[\s,\[\]]*")


def _rows_of_text(
    data: bytes, line: int, path: Path | str, notes: list[str], key_field: str | None
) -> Iterator[tuple[_Row, Any, int]]:
    """Every event in a text of JSON that begins in a line: in arrays, in maps that hold one, over several lines."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise FormatError(path, line + data.count(b"\n", 0, error.start), "expected UTF-8 text") from None
    decoder = json.JSONDecoder()
    at = counted = 0
    while True:
        between = _BETWEEN.match(text, at)
        at = at if between is None else between.end()
        if at == len(text):
            return
        line += text.count("\n", counted, at)
        counted = at
        try:
            found, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
                notes.append(f"line {line}: the last operation is torn and left out")
                return
            bad = line + text.count("\n", counted, error.pos)
            raise FormatError(path, bad, f"{error.msg}; expected an object such as {EXAMPLE}") from None
        for event in _nested(found):
            try:
                row = msgspec.convert(event, _Row)
            except msgspec.ValidationError as error:
                raise FormatError(path, line, f"{error}; expected an object such as {EXAMPLE}") from None
            yield row, event.get(key_field or "key"), line


def _nested(found: Any) -> list[Any]:
    """The events in a map that holds an array of them; else the one that it is."""
    if isinstance(found, dict) and "type" not in found:
        for name, value in found.items():
            if isinstance(value, list) and (
                all(isinstance(event, dict) and "type" in event for event in value) if value else name == "history"
            ):
                return value
    return [found]


EXAMPLE = '{"type": "invoke", "process": 0, "f": "read", "key": "x", "value": null, "time_ns": 12}'
