"""Objects that hold many values, and locks: lists, sets, queues, counters, mutexes."""

from __future__ import annotations

import bisect
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from harness.checkers.linearizability.history import NEVER, UNKNOWN, Op, freeze
from harness.checkers.linearizability.sequential import Illegal, Model


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

    def dead_ends(self, ops: Sequence[Op]) -> Callable[[Any], bool] | None:
        """Of a list that only grows, all states are beginnings of one another, and so of the longest that was read."""
        longest = max((op.result or () for op in ops if _tells(op)), key=len, default=())

        def dead(state: Any) -> bool:
            shorter = min(len(state), len(longest))
            return bool(state[:shorter] != longest[:shorter])

        return dead


class SetModel(Model):
    """A set that only grows; a read returns all of it, in any order, each value once."""

    name = "set"
    about = "a set: add, read (all of it)"
    functions = frozenset({"read", "add"})
    keyed = True

    init: frozenset[Any]

    def __init__(self, init: Any = ()) -> None:
        self.init = frozenset(freeze(init) if init is not None else ())

    def step(self, state: Any, op: Op) -> Any:
        if op.f == "add":
            return state | {op.value}
        if op.f != "read":
            return Illegal(f"a set has no function {op.f!r}")
        if op.result is UNKNOWN:
            return state
        read = op.result or ()
        if len(frozenset(read)) < len(read):
            return Illegal(f"cannot read {list(read)}: a value stands in it twice")
        if frozenset(read) == state:
            return state
        return Illegal(f"cannot read {sorted(read, key=repr)} from the set {sorted(state, key=repr)}")

    def dead_ends(self, ops: Sequence[Op]) -> Callable[[Any], bool] | None:
        """Of a set that only grows, all states contain one another, also what was read."""
        reads = sorted({frozenset(op.result or ()) for op in ops if _tells(op)}, key=len)
        sizes = [len(read) for read in reads]

        def dead(state: Any) -> bool:
            at = bisect.bisect_left(sizes, len(state))
            if at < len(reads) and not state <= reads[at]:
                return True
            return at > 0 and not reads[at - 1] <= state

        return dead


class Counter(Model):
    """A number that is added to (also negative numbers) and taken from; a read returns it.

    ``inc`` and ``dec`` without a value count one up or down; they may answer the number that they made.
    """

    name = "counter"
    about = "a number: add, inc, dec (by a number or one), inc-and-get, dec-and-get, read"
    functions = frozenset({"read", "add", "inc", "dec", "inc-and-get", "dec-and-get"})
    keyed = True
    signs: ClassVar = {"add": 1, "inc": 1, "inc-and-get": 1, "dec": -1, "dec-and-get": -1}

    def __init__(self, init: Any = 0) -> None:
        self.init = init or 0

    def step(self, state: Any, op: Op) -> Any:
        sign = self.signs.get(op.f)
        if sign is not None:
            made = state + sign * (1 if op.value is None else op.value)
            if op.result in (None, UNKNOWN) or op.result == made:
                return made
            return Illegal(f"cannot answer {op.result!r}: it makes a counter of {state} one of {made}")
        if op.f != "read":
            return Illegal(f"a counter has no function {op.f!r}")
        if op.result is UNKNOWN or op.result == state:
            return state
        return Illegal(f"cannot read {op.result!r} from a counter of {state}")


class FifoQueue(Model):
    """A queue: values leave in the order in which they came. Dequeuing nothing means that it was empty."""

    name = "fifo-queue"
    about = "a queue: enqueue, dequeue; first in, first out"
    queries = frozenset()
    functions = frozenset({"enqueue", "dequeue"})
    keyed = True

    def __init__(self, init: Any = ()) -> None:
        self.init = freeze(init) if init is not None else ()

    def step(self, state: Any, op: Op) -> Any:
        if op.f == "enqueue":
            return (*state, op.value)
        if op.f != "dequeue":
            return Illegal(f"a queue has no function {op.f!r}")
        if op.result is UNKNOWN:
            return state[1:]
        if not state:
            return state if op.result is None else Illegal(f"cannot dequeue {op.result!r}: the queue is empty")
        if op.result == state[0]:
            return state[1:]
        return Illegal(f"cannot dequeue {op.result!r}: {state[0]!r} is first in the queue")

    def dead_ends(self, ops: Sequence[Op]) -> Callable[[Any], bool] | None:
        """Nothing can stand in front of what was handed out before the other was even asked for."""
        came = Counts(op.value for op in ops if op.f == "enqueue")
        left = [op for op in ops if op.f == "dequeue" and op.result is not UNKNOWN]
        left_by = {op.result: op for op in left if came[op.result] == 1}
        if len(left_by) < len({id(op) for op in left if op.result is not None}):
            return None  # values that cannot be told apart
        stays = NEVER if not any(op.f == "dequeue" and op.pending for op in ops) else -NEVER

        def dead(state: Any) -> bool:
            latest = -NEVER
            for value in state:
                op = left_by.get(value)
                if op is not None and op.ret < latest:
                    return True
                latest = max(latest, stays if op is None else op.call)
            return False

        return dead


class UnorderedQueue(Model):
    """A queue that may hand out its values in any order, each once.

    Dequeuing nothing says nothing (it may have looked in the wrong place), so a dequeue without an answer, which may have
    taken any value, can be left out: nothing needs the value to be gone.
    """

    name = "unordered-queue"
    about = "a queue: enqueue, dequeue; in any order, each value once"
    queries = frozenset()
    functions = frozenset({"enqueue", "dequeue"})
    keyed = True

    def __init__(self, init: Any = ()) -> None:
        counts: dict[Any, int] = {}
        for value in freeze(init) if init is not None else ():
            counts[value] = counts.get(value, 0) + 1
        self.init = frozenset(counts.items())

    def is_query(self, op: Op) -> bool:
        return op.f == "dequeue" and op.result in (None, UNKNOWN)

    def step(self, state: Any, op: Op) -> Any:
        if op.f not in self.functions:
            return Illegal(f"a queue has no function {op.f!r}")
        if self.is_query(op):
            return state
        counts = dict(state)
        if op.f == "enqueue":
            counts[op.value] = counts.get(op.value, 0) + 1
        elif counts.get(op.result):
            counts[op.result] -= 1
        else:
            return Illegal(f"cannot dequeue {op.result!r}: the queue holds {_few(value for value, _ in state)}")
        return frozenset(item for item in counts.items() if item[1])


def _tells(op: Op) -> bool:
    return op.f == "read" and op.result is not UNKNOWN


def _few(values: Iterable[Any]) -> str:
    shown = sorted(map(repr, values))
    return (", ".join(shown[:5]) + (", …" if len(shown) > 5 else "")) or "nothing"


class Mutex(Model):
    """A lock: acquired only while free, released only while held. It does not ask who holds it."""

    name = "mutex"
    about = "a lock: acquire, release"
    queries = frozenset()
    functions = frozenset({"acquire", "release"})
    keyed = True
    takes_any_first = True

    def __init__(self, init: Any = False) -> None:
        self.init = UNKNOWN if init is UNKNOWN else bool(init)

    def describe(self, state: Any) -> str:
        return {True: "held", False: "free"}.get(state, "held or free")

    def step(self, state: Any, op: Op) -> Any:
        if op.f == "acquire":
            return Illegal("cannot acquire a lock that is held") if state is True else True
        if op.f == "release":
            return Illegal("cannot release a lock that is free") if state is False else False
        return Illegal(f"a lock has no function {op.f!r}")
