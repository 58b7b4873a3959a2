"""One register at a time of transactions over several: what must hold of each alone, quick to judge.

Each step of a transaction becomes an operation of its own, with the interval of the transaction. In a legal order of the
transactions these steps have one too, register by register; so if one register has none, the transactions have none.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.checkers.linearizability.history import UNKNOWN, History, Op
from harness.checkers.linearizability.registers import STEPS_THAT_READ, STEPS_THAT_WRITE, MultiRegister


def projections(history: History, model: MultiRegister) -> tuple[History, History]:
    """The registers that are only appended to, and those that are only written; those of which neither holds are left out,
    and those that begin with a value."""
    ops, failed = list(_steps(history.ops)), list(_steps(history.failed))
    written = {op.key for op in ops if op.f == "write"}
    appended = {op.key for op in ops if op.f == "append"}
    begun = {key for key, _ in model.init}
    odd = {op.key for op in ops if op.f == "read" and op.result is not None and not isinstance(op.result, tuple)}
    lists, plain = appended - written - begun - odd, written - appended - begun

    def only(keys: set[object]) -> History:
        return History(
            [op for op in ops if op.key in keys], [op for op in failed if op.key in keys], history.times_are_ns
        )

    return only(lists), only(plain)


def _unread(history: History) -> set[int]:
    """Which appends (by ``id``) no read shows. In a legal order they stand behind all reads, and can be left out."""
    shown = {(op.key, value) for op in history.ops if op.f == "read" for value in op.result or ()}
    return {id(op) for op in history.ops if op.f == "append" and (op.key, op.value) not in shown}


def without_unread(history: History) -> History:
    gone = _unread(history)
    return History([op for op in history.ops if id(op) not in gone], history.failed, history.times_are_ns)


def lost_append(history: History) -> tuple[Op, Op] | None:
    """An append that no read shows, and a read that was called after it had returned."""
    gone = _unread(history)
    first: dict[object, Op] = {}
    for op in history.ops:
        if id(op) in gone and not op.pending and (op.key not in first or op.ret < first[op.key].ret):
            first[op.key] = op
    for op in history.ops:
        append = first.get(op.key)
        if op.f == "read" and append is not None and append.ret < op.call:
            return append, op
    return None


def _steps(transactions: Iterable[Op]) -> Iterable[Op]:
    for op in transactions:
        answered = op.result not in (None, UNKNOWN)
        for f, key, *told in (op.result if answered else op.value) or ():
            kind = str(f).removeprefix(":")
            if kind in STEPS_THAT_READ:
                if answered and told and told[0] is not UNKNOWN:
                    yield Op(op.index, op.process, "read", key, None, told[0], op.call, op.ret)
            else:
                kind = "write" if kind in STEPS_THAT_WRITE else kind
                result = UNKNOWN if op.pending else None
                yield Op(op.index, op.process, kind, key, told[0] if told else None, result, op.call, op.ret)
