"""Registers: of one value, of a text, and several at once.

Where the first value is not known (``init`` is UNKNOWN), the state tells what is known of it: nothing yet (``UNKNOWN``),
or which values it cannot have been (``Not``), until an answer or a write settles it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from harness.checkers.linearizability.history import UNKNOWN, Op, freeze, show_value
from harness.checkers.linearizability.sequential import Illegal, Model
from harness.checkers.model import LIST_BOUND


class Not(msgspec.Struct, frozen=True):
    """A first value of which only this is known: it is none of these."""

    values: frozenset[Any]


def may_be(state: Any, value: Any) -> bool:
    """Whether a first value that is not known may have been this one."""
    return state is UNKNOWN or (isinstance(state, Not) and value not in state.values)


class CasRegister(Model):
    """A register of one value: read, write, compare-and-set; delete writes the tombstone it carries, or nothing."""

    name = "cas-register"
    about = "a register: read, write, cas [expected new]; delete writes a tombstone"
    keyed = True
    overwrites = frozenset({"write", "delete"})
    functions = frozenset({"read", "write", "cas", "delete"})
    takes_any_first = True

    def __init__(self, init: Any = None) -> None:
        self.init = freeze(init)

    def is_query(self, op: Op) -> bool:
        return op.f == "read" or (op.f == "cas" and op.result is not UNKNOWN and not op.result[0])

    def step(self, state: Any, op: Op) -> Any:
        if op.f == "read":
            if op.result is UNKNOWN or op.result == state or (op.result == () and state is None):
                return state
            if may_be(state, op.result):
                return op.result
            return Illegal(f"cannot read {op.result!r} from a register of {state!r}")
        if op.f == "write":
            return op.value
        if op.f == "delete":
            return tombstone(op.value)
        if op.f == "cas":
            return self._compare_and_set(state, op)
        return Illegal(f"a register has no function {op.f!r}")

    def _compare_and_set(self, state: Any, op: Op) -> Any:
        expected, new = op.value
        fits = state == expected or may_be(state, expected)
        if op.result is UNKNOWN:
            return new if fits else state
        applied, found = op.result
        if applied:
            if fits:
                return new
            return Illegal(f"cannot set from {expected!r} to {new!r}: the register holds {state!r}")
        if state == expected or found == expected:
            return Illegal(f"setting from {expected!r} cannot fail: the register holds it")
        if found is UNKNOWN:
            if state is UNKNOWN or isinstance(state, Not):
                return Not((state.values if isinstance(state, Not) else frozenset()) | {expected})
            return state
        if found == state or may_be(state, found):
            return found
        return Illegal(f"cannot fail on finding {found!r}: the register holds {state!r}")


class Register(CasRegister):
    """A register without compare-and-set."""

    name = "register"
    about = "a register: read, write"
    functions = frozenset({"read", "write"})


class KeyValue(CasRegister):
    """The project's own store, by key: a register that also takes appends."""

    name = "kv"
    about = "key-value store: read, write, cas, delete; append on keys of their own"
    functions = frozenset({"read", "write", "cas", "delete", "append"})

    def step(self, state: Any, op: Op) -> Any:
        if op.f == "append":
            if state is UNKNOWN or isinstance(state, Not):
                return UNKNOWN  # a list that cannot be told: nothing is held against it
            items = (state if is_list(state) else ()) + (op.value,)
            items = items[-LIST_BOUND:]
            if op.result is UNKNOWN or op.result is None or op.result == len(items):
                return items
            return Illegal(f"appending cannot make a list of {op.result}: it has {len(items)} values then")
        return super().step(state, op)


class VersionedRegister(Model):
    """A register that counts its changes: what is read, written or set is ``(version, value)``; None: not told.

    A write or compare-and-set tells the version that it made: its value is ``(version, value)`` or ``(version, (expected,
    new))``.
    """

    name = "versioned-register"
    about = "a register with a version: read [version value], write [version value], cas [version [expected new]]"
    keyed = True
    functions = frozenset({"read", "write", "cas"})
    init = (0, None)

    def __init__(self, init: Any = None) -> None:
        if init is not None:
            self.init = (0, freeze(init))

    def step(self, state: Any, op: Op) -> Any:
        version, value = state
        if op.f == "read":
            if op.result is UNKNOWN or op.result is None:
                return state
            seen, found = op.result
            if seen in (None, version) and found in (None, value):
                return state
            return Illegal(f"cannot read {op.result!r} from a register of {state!r}")
        told, new = op.value
        if told not in (None, version + 1):
            return Illegal(f"cannot make version {told}: the register is at version {version}")
        if op.f == "write":
            return version + 1, new
        if op.f != "cas":
            return Illegal(f"a register has no function {op.f!r}")
        expected, new = new
        if value == expected:
            return version + 1, new
        return state if op.result is UNKNOWN else Illegal(f"cannot set from {expected!r}: the register holds {value!r}")

    def hopeless(self, state: Any, op: Op) -> bool:
        if op.f == "read":
            told = op.result[0] if isinstance(op.result, tuple) else None
            return told is not None and bool(state[0] > told)
        return op.value[0] is not None and bool(state[0] >= op.value[0])


class Text(Model):
    """A text by key: a write replaces it, an append puts more behind it, a read returns all of it."""

    name = "text"
    about = "a text: read (all of it), write, append (more text behind it); begins empty"
    keyed = True
    overwrites = frozenset({"write"})
    functions = frozenset({"read", "write", "append"})

    def __init__(self, init: Any = None) -> None:
        self.init = "" if init is None else str(init)

    def step(self, state: Any, op: Op) -> Any:
        if op.f == "read":
            if op.result is UNKNOWN or (op.result or "") == state:
                return state
            return Illegal(f"cannot read {op.result!r} from the text {state!r}")
        if op.f == "write":
            return str(op.value)
        if op.f == "append":
            return state + str(op.value)
        return Illegal(f"a text has no function {op.f!r}")


class MultiRegister(Model):
    """Registers that transactions read, write and append to together: the value of an operation is ``[[f, key, value], …]``.

    ``f`` of the operation is ``read``, ``write`` or ``txn``; the reads inside give what was read in the answer.
    """

    name = "multi-register"
    about = "transactions over several registers: txn [[r x 1] [w y 2] [append z 3]]"
    functions = frozenset({"read", "write", "txn"})
    takes_any_first = True
    init: frozenset[tuple[Any, Any]]

    def __init__(self, init: Any = None) -> None:
        """``init``: a map of first values; registers not in it begin with None."""
        self.any_first = init is UNKNOWN
        items = init.items() if isinstance(init, dict) else ()
        self.init = frozenset((freeze(k), freeze(v)) for k, v in items if v is not None)

    def describe(self, state: Any) -> str:
        shown = (f"{key} = {show_value(value)}" for key, value in sorted(state, key=repr))
        return ", ".join(shown) or "nothing in any register"

    def is_query(self, op: Op) -> bool:
        if self.any_first:
            return False  # a read may tell the first value
        steps = op.value if op.result in (None, UNKNOWN) else op.result
        return all(str(step[0]).removeprefix(":") in STEPS_THAT_READ for step in steps or ())

    def dead_ends(self, ops: Sequence[Op]) -> Callable[[Any], bool] | None:
        """A register that only grows (is read and appended to) begins with the longest list that was read, or that with it."""
        longest: dict[Any, tuple[Any, ...]] = {}
        other: set[Any] = set()
        for op in ops:
            for f, key, *told in (op.value if op.result in (None, UNKNOWN) else op.result) or ():
                kind = str(f).removeprefix(":")
                if kind not in STEPS_THAT_READ:
                    if kind != "append":
                        other.add(key)
                elif op.result not in (None, UNKNOWN) and told and isinstance(told[0], tuple):
                    longest[key] = max(longest.get(key, ()), told[0], key=len)
        if self.any_first:
            return None
        grows = {key: values for key, values in longest.items() if values and key not in other}
        if not grows:
            return None

        fine: set[Any] = set()  # what was looked at before

        def dead(state: Any) -> bool:
            fresh = state - fine
            for key, held in fresh:
                seen = grows.get(key)
                if seen is not None and isinstance(held, tuple):
                    shorter = min(len(held), len(seen))
                    if held[:shorter] != seen[:shorter]:
                        return True
            fine.update(fresh)
            return False

        return dead

    def step(self, state: Any, op: Op) -> Any:
        answered = op.result not in (None, UNKNOWN)
        before = dict(state)
        registers = before.copy()
        changed: set[Any] = set()
        for f, key, *told in op.result if answered else op.value:
            kind = str(f).removeprefix(":")
            value = told[0] if told else UNKNOWN
            if kind in STEPS_THAT_READ:
                if not answered or value is UNKNOWN:
                    continue
                if self.any_first and key not in registers:
                    registers[key] = value
                    changed.add(key)
                elif registers.get(key) != value and not (value == () and registers.get(key) is None):
                    return Illegal(f"cannot read {value!r} from register {key}: it holds {registers.get(key)!r}")
            elif kind in STEPS_THAT_WRITE:
                registers[key] = value
                changed.add(key)
            elif kind == "append":
                if self.any_first and key not in registers:
                    return Illegal(f"cannot tell what appending to register {key} makes: its first value is not known")
                held = registers.get(key) or ()
                if not isinstance(held, tuple):
                    return Illegal(f"cannot append to register {key}: it holds {held!r}, which is no list")
                registers[key] = (*held, value)
                changed.add(key)
            else:
                return Illegal(f"a transaction has no step {f!r}")
        if not changed:
            return state
        # What stays must not be hashed again: the lists may be long, and many.
        gone = {(key, before[key]) for key in changed if key in before}
        new = {(key, registers[key]) for key in changed if registers[key] is not None or self.any_first}
        return (state - gone) | new


STEPS_THAT_READ = frozenset({"read", "r"})
STEPS_THAT_WRITE = frozenset({"write", "w"})


def is_list(state: Any) -> bool:
    """Whether a frozen value is a list of values, not a tombstone or another map."""
    return isinstance(state, tuple) and not (state and isinstance(state[0], tuple))


def tombstone(identity: Any) -> Any:
    """What a delete leaves, frozen; one without an identity leaves nothing."""
    if identity is None:
        return None
    return freeze({"tombstone": identity})
