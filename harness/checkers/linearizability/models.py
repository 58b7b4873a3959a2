"""Sequential models: what each object answers when operations come one after the other.

A model is a small class with ``init`` (the first state, hashable) and ``step(state, op)``, which returns the state after
``op``, or ``Illegal(why)`` if the object cannot answer ``op.result`` in that state. ``op.result`` is ``UNKNOWN`` where no
answer was recorded: then any answer is right. For instance a counter::

    class Counter(Model):
        init = 0
        def step(self, state, op):
            if op.f == "add":
                return state + op.value
            if op.result is UNKNOWN or op.result == state:
                return state
            return Illegal(f"cannot read {op.result} from a counter of {state}")

``keyed``: each key is an object of its own and is checked alone. ``queries``: functions that never change the state (the
search applies them at once where they fit). ``overwrites``: functions that are legal in every state and whose effect does
not depend on it, such as a write. ``hopeless(state, op)``: True if no further operations can ever lead from
``state`` to one in which ``op`` is legal; only to save work, False is always right.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

from harness.checkers.linearizability.history import UNKNOWN, Op, freeze
from harness.checkers.model import LIST_BOUND

State = Hashable


class Illegal:
    """Why a state cannot answer as recorded."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why


class Model:
    """Base of all models."""

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    keyed: ClassVar[bool] = False
    queries: ClassVar[frozenset[str]] = frozenset({"read"})
    overwrites: ClassVar[frozenset[str]] = frozenset()
    functions: ClassVar[frozenset[str]] = frozenset()
    """What it knows; empty: anything."""
    init: State = None

    def step(self, state: Any, op: Op) -> Any:
        raise NotImplementedError

    def is_query(self, op: Op) -> bool:
        """Whether this operation, with the answer it got, never changes the state."""
        return op.f in self.queries

    def hopeless(self, state: Any, op: Op) -> bool:
        return False


class CasRegister(Model):
    """A register of one value: read, write, compare-and-set; delete writes the tombstone it carries."""

    name = "cas-register"
    about = "a register: read, write, cas [expected new]; delete writes a tombstone"
    keyed = True
    overwrites = frozenset({"write", "delete"})
    functions = frozenset({"read", "write", "cas", "delete"})

    def __init__(self, init: Any = None) -> None:
        self.init = freeze(init)

    def is_query(self, op: Op) -> bool:
        return op.f == "read" or (op.f == "cas" and op.result is not UNKNOWN and not op.result[0])

    def step(self, state: Any, op: Op) -> Any:
        if op.f == "read":
            if op.result is UNKNOWN or op.result == state or (op.result == () and state is None):
                return state
            return op.result if state is UNKNOWN else Illegal(f"cannot read {op.result!r} from a register of {state!r}")
        if op.f == "write":
            return op.value
        if op.f == "delete":
            return tombstone(op.value)
        if op.f == "cas":
            return self._compare_and_set(state, op)
        return Illegal(f"a register has no function {op.f!r}")

    def _compare_and_set(self, state: Any, op: Op) -> Any:
        expected, new = op.value
        if op.result is UNKNOWN:
            return new if state == expected or state is UNKNOWN else state
        applied, found = op.result
        if applied:
            if state == expected or state is UNKNOWN:
                return new
            return Illegal(f"cannot set from {expected!r} to {new!r}: the register holds {state!r}")
        if state is UNKNOWN:
            return state if found is UNKNOWN else found
        if state == expected:
            return Illegal(f"setting from {expected!r} cannot fail: the register holds it")
        if found is not UNKNOWN and found != state:
            return Illegal(f"cannot fail on finding {found!r}: the register holds {state!r}")
        return state


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
            items = (state if is_list(state) else ()) + (op.value,)
            items = items[-LIST_BOUND:]
            if op.result is UNKNOWN or op.result is None or op.result == len(items):
                return items
            return Illegal(f"appending cannot make a list of {op.result}: it has {len(items)} values then")
        return super().step(state, op)


class AppendList(Model):
    """A list by key that only grows; a read returns all of it."""

    name = "append-list"
    about = "a list: append, read (all of it)"
    keyed = True
    functions = frozenset({"read", "append"})

    def __init__(self, init: Any = ()) -> None:
        self.init = freeze(init) if init is not None else ()

    def step(self, state: Any, op: Op) -> Any:
        if op.f == "append":
            items = (*state, op.value)
            if op.result in (None, UNKNOWN) or op.result == len(items):
                return items
            return Illegal(f"appending cannot make a list of {op.result}: it has {len(items)} values then")
        if op.f != "read":
            return Illegal(f"a list has no function {op.f!r}")
        if op.result is UNKNOWN or (op.result or ()) == state:
            return state
        return Illegal(f"cannot read {op.result!r} from the list {state!r}")

    def hopeless(self, state: Any, op: Op) -> bool:
        if op.f != "read" or op.result is UNKNOWN:
            return False
        return bool((op.result or ())[: len(state)] != state)


class SetModel(Model):
    """A set that only grows; a read returns all of it, in any order."""

    name = "set"
    about = "a set: add, read (all of it)"
    functions = frozenset({"read", "add"})
    keyed = True

    def __init__(self, init: Any = ()) -> None:
        self.init = frozenset(freeze(init) if init is not None else ())

    def step(self, state: Any, op: Op) -> Any:
        if op.f == "add":
            return state | {op.value}
        if op.f != "read":
            return Illegal(f"a set has no function {op.f!r}")
        if op.result is UNKNOWN or frozenset(op.result or ()) == state:
            return state
        return Illegal(f"cannot read {sorted(op.result or (), key=repr)} from the set {sorted(state, key=repr)}")

    def hopeless(self, state: Any, op: Op) -> bool:
        return op.f == "read" and op.result is not UNKNOWN and not state <= frozenset(op.result or ())


class Mutex(Model):
    """A lock: acquired only while free, released only while held. It does not ask who holds it."""

    name = "mutex"
    about = "a lock: acquire, release"
    queries = frozenset()
    functions = frozenset({"acquire", "release"})
    keyed = True
    init = False

    def __init__(self, init: Any = False) -> None:
        self.init = bool(init)

    def step(self, state: Any, op: Op) -> Any:
        if op.f == "acquire":
            return Illegal("cannot acquire a lock that is held") if state else True
        if op.f == "release":
            return False if state else Illegal("cannot release a lock that is free")
        return Illegal(f"a lock has no function {op.f!r}")


class MultiRegister(Model):
    """Registers that transactions read and write together: the value of an operation is ``[[f, key, value], …]``.

    ``f`` of the operation is ``read``, ``write`` or ``txn``; the reads inside give what was read in the answer.
    """

    name = "multi-register"
    about = "transactions of reads and writes over several registers: txn [[read x 1] [write y 2]]"
    queries = frozenset({"read"})
    functions = frozenset({"read", "write", "txn"})

    def __init__(self, init: Any = None) -> None:
        """``init``: a map of first values; registers not in it begin with None."""
        items = init.items() if isinstance(init, dict) else ()
        self.init = frozenset((freeze(k), freeze(v)) for k, v in items if v is not None)

    def step(self, state: Any, op: Op) -> Any:
        steps = op.value if op.result in (None, UNKNOWN) else op.result
        registers = dict(state)
        changed = False
        for f, key, value in steps:
            f = str(f).removeprefix(":")
            if f in ("write", "w"):
                registers[key] = value
                changed = True
            elif f not in ("read", "r"):
                return Illegal(f"a transaction has no step {f!r}")
            elif op.result is not UNKNOWN and not (value is UNKNOWN or registers.get(key) == value):
                return Illegal(f"cannot read {value!r} from register {key}: it holds {registers.get(key)!r}")
        return frozenset(item for item in registers.items() if item[1] is not None) if changed else state


def is_list(state: Any) -> bool:
    """Whether a frozen value is a list of values, not a tombstone or another map."""
    return isinstance(state, tuple) and not (state and isinstance(state[0], tuple))


def tombstone(identity: Any) -> Any:
    """What a delete leaves, frozen."""
    return freeze({"tombstone": identity})


MODELS: dict[str, type[Model]] = {
    model.name: model for model in (Register, CasRegister, KeyValue, MultiRegister, Mutex, AppendList, SetModel)
}
