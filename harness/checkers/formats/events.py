"""From events (one invocation or completion each) to operations, the same for every format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op, freeze, show_value

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
    error: bool = False
    """Of a failure: whether an error was told; then it did not run, in any format."""


ALIASES = {
    "compare-and-set": "cas",
    "compareandset": "cas",
    "compare_and_set": "cas",
    "put": "write",
    "set": "write",
    "get": "read",
    "increment": "inc",
    "incr": "inc",
    "decrement": "dec",
    "decr": "dec",
    "sub": "dec",
    "subtract": "dec",
    "increment-and-get": "inc-and-get",
    "incr-and-get": "inc-and-get",
    "add-and-get": "inc-and-get",
    "decrement-and-get": "dec-and-get",
    "decr-and-get": "dec-and-get",
    "lock": "acquire",
    "unlock": "release",
    "enq": "enqueue",
    "deq": "dequeue",
}
NO_CLIENTS = frozenset({":nemesis", "nemesis"})
"""Processes whose events are left out."""
READS = frozenset({":read", ":r", "read", "r"})
"""How the steps of a transaction that read are called."""
STEPS = READS | {":w", ":write", ":append", "w", "write", "append"}
"""How the steps of a transaction are called."""
TYPES = ("invoke", "ok", "fail", "info")


def of_one_client(events: Iterable[Event], path: Path | str, notes: list[str]) -> Iterator[Event]:
    """Leave out events without a process, unless none has one: then all are of one client.

    Raises FormatError if two operations are in flight then, which nobody could tell apart.
    """
    nameless: list[Event] = []
    events = iter(events)
    for event in events:
        if event.process is not None:
            yield event
            break
        nameless.append(event)
    else:
        if nameless:
            notes.append("no operation names its process; all are read as of one client")
        in_flight = False
        for event in nameless:
            if in_flight and event.type == "invoke":
                what = "an operation begins while another is in flight, and none names its process"
                raise FormatError(path, event.line, what)
            in_flight = event.type == "invoke"
            event.process = 0
            yield event
        return
    yield from (event for event in events if event.process is not None)


def collect(
    events: Iterable[Event],
    path: Path | str,
    *,
    fails: Fails,
    nothing: Nothing = "strict",
    times: bool = False,
    key_in_value: bool = False,
    completed_value: bool = False,
) -> History:
    """Pair invocations with completions, by process.

    ``times``: order by the events' times (ns) instead of their place. ``key_in_value``: values are ``[key value]``.
    ``completed_value``: where a completion names another value than the invocation did, it is the one that counts (as in
    Jepsen's histories). An operation that never completes, or whose process invokes another one before, stays pending;
    one that ended in info may still complete. Raises FormatError for a completion without an invocation, and for times
    that are missing or run backwards.
    """
    open_ops: dict[Any, Op] = {}
    crashed: dict[Any, Op] = {}
    history = History([], [], times)
    ops = history.ops
    for rank, event in enumerate(events):
        process, type_ = event.process, event.type
        at = rank
        if times:
            if event.time is None:
                raise FormatError(
                    path, event.line, "no time_ns, but earlier lines have it: give it in all lines or in none"
                )
            at = event.time
        if type_ == "invoke":
            if process in open_ops:
                _note(history, f"line {event.line}: client {process} invokes while an operation is in flight")
            key, value = event.key, event.value
            if key_in_value:
                key, value = _split(event, path)
            if event.f == "read" and not isinstance(value, tuple):
                value = None
            op = open_ops[process] = Op(rank, process, event.f, key, value, UNKNOWN, at, NEVER)
            ops.append(op)
            continue
        found = open_ops.pop(process, None)
        if found is None:
            found = _late(event, crashed.pop(process, None), path, history)
            if found is None:
                continue
        if found.f != event.f:
            raise FormatError(path, event.line, f"client {process} completes {event.f}, but it had invoked {found.f}")
        if type_ == "info":
            crashed[process] = found
            continue
        if at < found.call:
            raise FormatError(
                path, event.line, f"client {process} completes {event.f} at {at}, before it began at {found.call}"
            )
        if type_ == "ok":
            found.ret = at
            if key_in_value and (event.value is not None or event.f == "read"):
                if event.f == "read" and isinstance(event.value, tuple) and len(event.value) != 2:
                    _note(history, f"line {event.line}: the answer names no key; so it is all that was read")
                else:
                    event.value = _split(event, path)[1]
            _answer(found, event, nothing, completed_value, history)
        elif fails == "differed" and not event.error and event.f != "read":
            if isinstance(event.value, str) and event.value[:1] == ":" and event.value != found.value:
                _note(history, f"line {event.line}: {event.f} failed with {event.value}; it counts as unknown")
                continue
            found.ret = at
            if event.f == "cas":
                found.result = (False, event.seen)
            else:
                history.failed.append(found)
        else:
            found.ret = at
            history.failed.append(found)
    if history.failed:
        gone = {id(op) for op in history.failed}
        history.ops = [op for op in ops if id(op) not in gone]
    if times:
        history.ops.sort(key=lambda op: op.call)
    return history


def _late(event: Event, crashed: Op | None, path: Path | str, history: History) -> Op | None:
    """What a completion belongs to whose client has nothing in flight: to the operation that ended in info before."""
    if crashed is not None and crashed.f == event.f:
        if event.type != "info":
            _note(history, f"line {event.line}: {event.f} of client {event.process} ends after it had ended in info")
        return crashed
    if event.type == "info":
        if isinstance(event.process, int):
            _note(history, f"line {event.line}: {event.f} of {event.process} ends without having begun; left out")
        return None
    raise FormatError(
        path, event.line, f"{event.type} {event.f} of client {event.process}, which has no operation in flight"
    )


def _answer(op: Op, event: Event, nothing: Nothing, completed_value: bool, history: History) -> None:
    f, value = op.f, event.value
    if f == "read":
        op.result = UNKNOWN if value is None and nothing == "unknown" else value
        if op.value is not None and nothing == "unknown":
            op.result = _loose(value)
        return
    if f == "cas":
        op.result = (False, event.seen) if event.applied is False else (True, None)
    elif f == "txn":
        op.result = _loose(value) if nothing == "unknown" else value
        return
    elif f == "append":
        op.result = event.seen if isinstance(event.seen, int) else None
    elif f == "dequeue" or f in ("inc-and-get", "dec-and-get"):
        op.result = value
        return
    elif f in ("inc", "dec"):
        op.result = None if value == op.value else value
        return
    else:
        op.result = None
    if value is None or value == op.value:
        return
    if op.value is None:
        op.value = value
    elif completed_value and (f != "cas" or (isinstance(value, tuple) and len(value) == 2)):
        told_late = isinstance(value, tuple) and op.value == (None, value[-1])  # [version value]
        if not told_late:
            _note(history, f"line {event.line}: {f} {op.value} completes as {value}; so it is taken")
        op.value = value


def is_transaction(value: Any) -> bool:
    """Whether this is ``[[f key value], …]``; a read may leave its value out."""
    return isinstance(value, tuple) and all(
        isinstance(step, tuple)
        and (len(step) == 3 or (len(step) == 2 and step[0] in READS))
        and isinstance(step[0], str)
        and step[0] in STEPS
        for step in value
    )


def _loose(steps: Any) -> Any:
    """The steps of a transaction, where a read of nothing tells nothing."""
    if not isinstance(steps, tuple):
        return UNKNOWN if steps is None else steps
    return tuple(
        (step[0], step[1], UNKNOWN) if len(step) == 3 and step[2] is None and step[0] in READS else step
        for step in steps
    )


def _split(event: Event, path: Path | str) -> tuple[Any, Any]:
    """``[key value]`` apart; of a compare-and-set, also ``[key expected new]``."""
    value = event.value
    if isinstance(value, tuple) and len(value) == 2:
        return value
    if isinstance(value, tuple) and len(value) == 3 and event.f == "cas":
        return value[0], value[1:]
    raise FormatError(path, event.line, f"expected [key value] as the value, found {show_value(value)}")


def _note(history: History, text: str) -> None:
    if len(history.notes) < MOST_NOTES:
        history.notes.append(text)
    elif len(history.notes) == MOST_NOTES:
        history.notes.append("and so on")


def checked_type(type_: str, path: Path | str, line: int) -> str:
    if type_ not in TYPES:
        raise FormatError(path, line, f"unknown type {type_!r}; expected one of {', '.join(TYPES)}")
    return type_


def frozen(value: Any) -> Any:
    return value if value is None or type(value) in (int, str) else freeze(value)
