"""From events (one invocation or completion each) to operations, the same for every format."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op, freeze

Fails = Literal["did-not-happen", "differed"]
"""What a failed compare-and-set means: it surely did not run, or it ran and found another value."""
Nothing = Literal["strict", "unknown"]
"""What reading nothing means: there was nothing, or the client could not tell."""

MOST_NOTES = 20


class FormatError(ValueError):
    """A file that cannot be read: where, what was found, what was expected."""

    def __init__(self, path: Path | str, line: int, what: str) -> None:
        super().__init__(f"{path}, line {line}: {what}")
        self.path, self.line = str(path), line


class Event(msgspec.Struct, gc=False):
    """One line of a history. ``value`` is frozen already."""

    type: str
    process: Any
    f: str
    value: Any
    line: int
    time: int | None = None
    key: Any = None
    applied: bool | None = None
    """Of a completed compare-and-set; None: not told."""
    seen: Any = UNKNOWN
    """What a failed compare-and-set found, or the length that an append answered."""


ALIASES = {
    "compare-and-set": "cas",
    "compareandset": "cas",
    "compare_and_set": "cas",
    "put": "write",
    "set": "write",
    "get": "read",
    "lock": "acquire",
    "unlock": "release",
}
TYPES = ("invoke", "ok", "fail", "info")


def collect(
    events: Iterable[Event],
    path: Path | str,
    *,
    fails: Fails,
    nothing: Nothing = "strict",
    times: bool = False,
    key_in_value: bool = False,
) -> History:
    """Pair invocations with completions, by process.

    ``times``: order by the events' times (ns) instead of their place. ``key_in_value``: values are ``[key value]``.
    An operation that never completes, or whose process invokes another one before, stays pending. Raises FormatError
    for a completion without an invocation.
    """
    open_ops: dict[Any, Op] = {}
    history = History([], [], times)
    seen_process: set[Any] = set()
    for rank, event in enumerate(events):
        process = event.process
        at = rank if not times or event.time is None else event.time
        if event.type == "invoke":
            if process in open_ops:
                _note(history, f"line {event.line}: client {process} invokes while an operation is in flight")
            seen_process.add(process)
            key, value = _split(event, path) if key_in_value else (event.key, event.value)
            op = Op(rank, process, event.f, key, value if event.f != "read" else None, UNKNOWN, at, NEVER)
            if event.f in ("txn", "read") and isinstance(value, tuple):
                op.value = value
            open_ops[process] = op
            history.ops.append(op)
            continue
        found = open_ops.pop(process, None)
        if found is None:
            if event.type == "info":
                _note(history, f"line {event.line}: {event.f} of {process} ends without having begun; left out")
                continue
            raise FormatError(
                path, event.line, f"{event.type} {event.f} of client {process}, which has no operation in flight"
            )
        if found.f != event.f:
            raise FormatError(path, event.line, f"client {process} completes {event.f}, but it had invoked {found.f}")
        if event.type == "ok":
            if key_in_value:
                _, event.value = _split(event, path)
            found.ret = at
            _answer(found, event, nothing)
        elif event.type == "fail":
            if fails == "differed" and event.f != "read" and isinstance(event.value, str) and event.value[:1] == ":":
                _note(history, f"line {event.line}: {event.f} failed with {event.value}; it counts as unknown")
            elif fails == "differed" and event.f == "cas":
                found.ret = at
                found.result = (False, event.seen)
            else:
                found.ret = at
                history.failed.append(found)
    if history.failed:
        gone = {id(op) for op in history.failed}
        history.ops = [op for op in history.ops if id(op) not in gone]
    if times:
        history.ops.sort(key=lambda op: op.call)
    return history


def _answer(op: Op, event: Event, nothing: Nothing) -> None:
    f, value = op.f, event.value
    if f == "read":
        op.result = UNKNOWN if value is None and nothing == "unknown" else value
        if isinstance(op.value, tuple):
            op.result = value
    elif f == "cas":
        op.result = (False, event.seen) if event.applied is False else (True, None)
    elif f == "txn":
        op.result = value
    elif f == "append":
        op.result = event.seen if isinstance(event.seen, int) else None
    else:
        op.result = None
        if op.value is None and value is not None:
            op.value = value


def _split(event: Event, path: Path | str) -> tuple[Any, Any]:
    """``[key value]`` apart."""
    if not isinstance(event.value, tuple) or len(event.value) != 2:
        raise FormatError(path, event.line, f"expected [key value] as the value, found {event.value!r}")
    return event.value[0], event.value[1]


def _note(history: History, text: str) -> None:
    if len(history.notes) < MOST_NOTES:
        history.notes.append(text)


def checked_type(type_: str, path: Path | str, line: int) -> str:
    if type_ not in TYPES:
        raise FormatError(path, line, f"unknown type {type_!r}; expected one of {', '.join(TYPES)}")
    return type_


def frozen(value: Any) -> Any:
    return value if value is None or isinstance(value, (int, str)) else freeze(value)
