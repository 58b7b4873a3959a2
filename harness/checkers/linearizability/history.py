"""Operations as the linearizability engines see them: an interval, what was asked, what was answered.

* ``a`` really precedes ``b`` iff ``a.ret < b.call``; equal times count as concurrent. Times are any integers that rise:
  nanoseconds or positions of events.
* An operation that ended in ``info``, or never, is *pending*: ``ret`` is ``NEVER`` and its answer ``UNKNOWN``. It may
  have taken effect at any time after its call, or never.
* An operation that *failed* surely did not happen; the engines leave it out. ``History.failed`` keeps it for explanations.

Answers (``result``): of a read the value; of a compare-and-set ``(True, None)``, or ``(False, value found)`` where the
value may be ``UNKNOWN``; of an append the length of the list, or ``UNKNOWN``; of anything else ``None``.
Values are frozen (lists become tuples, maps become tuples of sorted pairs) so that they can be compared and hashed.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

import msgspec

from harness.record import client_name

NEVER: Final = 1 << 62
"""``ret`` of a pending operation."""


class Unknown(Enum):
    """An answer that nobody recorded."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "unknown"


MOST_SHOWN = 200
"""Characters of a value that are shown to readers."""

UNKNOWN: Final = Unknown.UNKNOWN


class Op(msgspec.Struct, gc=False):
    """One operation. ``index`` is where its invocation stands in the history it came from."""

    index: int
    process: Any
    f: str
    key: Any
    value: Any
    """What was asked: the value to write, ``(expected, new)`` of a compare-and-set, ``None`` of a read."""
    result: Any
    call: int
    ret: int = NEVER

    @property
    def pending(self) -> bool:
        return self.ret >= NEVER


class History(msgspec.Struct):
    """All operations that may have happened, and those that surely did not."""

    ops: list[Op]
    failed: list[Op] = []
    times_are_ns: bool = False
    """Whether ``call`` and ``ret`` are nanoseconds (else positions of events)."""
    notes: list[str] = []
    """What the reader left out or had to assume."""

    def only(self, key: Any) -> History:
        """The part that concerns one key."""
        return History(
            [op for op in self.ops if op.key == key],
            [op for op in self.failed if op.key == key],
            self.times_are_ns,
        )


class Truth(Enum):
    """A frozen ``true`` or ``false``: Python's would equal 1 and 0."""

    FALSE = False
    TRUE = True

    def __bool__(self) -> bool:
        return bool(self.value)

    def __repr__(self) -> str:
        return self.name.lower()

    __str__ = __repr__


def freeze(value: Any) -> Any:
    """A hashable stand-in that is equal exactly for equal values."""
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    if isinstance(value, dict):
        return tuple(sorted(((freeze(k), freeze(v)) for k, v in value.items()), key=repr))
    if isinstance(value, (set, frozenset)):
        return frozenset(freeze(item) for item in value)
    return Truth(value) if isinstance(value, bool) else value


def by_key(ops: Iterable[Op]) -> dict[Any, list[Op]]:
    """Operations by key, in the order given."""
    found: dict[Any, list[Op]] = {}
    for op in ops:
        found.setdefault(op.key, []).append(op)
    return found


def show(op: Op) -> str:
    """``read x -> 3 by client 2``; without its times."""
    key = "" if op.key is None else f" {op.key}"
    asked = "" if op.value is None else f" {show_value(op.value)}"
    if op.f == "cas" and isinstance(op.value, tuple) and len(op.value) == 2:
        asked = f" {show_value(op.value[0])} to {show_value(op.value[1])}"
    if op.pending:
        answer = " (no answer)"
    elif op.f == "cas" and isinstance(op.result, tuple):
        answer = "" if op.result[0] else f" (failed, found {show_value(op.result[1])})"
    else:
        answer = "" if op.result in (None, UNKNOWN) and op.f != "read" else f" -> {show_value(op.result)}"
    return f"{op.f}{key}{asked}{answer} by client {client_name(op.process)}"


def show_value(value: Any) -> str:
    """A value for readers; a text in quotation marks, where its end could not be seen without them."""
    if value is None:
        return "nothing"
    if value is UNKNOWN:
        return "unknown"
    text = _text(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}… ({len(text)} characters)"


def _text(value: Any) -> str:
    """Lists as ``[1 2]``, sets as ``{1 2}``, as histories write them."""
    if isinstance(value, tuple):
        return f"[{' '.join(map(_text, value))}]"
    if isinstance(value, frozenset):
        return f"{{{' '.join(sorted(map(_text, value)))}}}"
    if isinstance(value, str) and (not value or any(character.isspace() for character in value)):
        return f'"{value}"'
    return "nil" if value is None else str(value)
