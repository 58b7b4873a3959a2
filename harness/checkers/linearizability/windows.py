"""Parts of a history that can be judged by themselves: what a completed write replaced does not matter after it.

What ended before the write was called is forgotten. What overlaps the write may have happened before it, in a state that is
forgotten too: queries are left out, and any other answer than a write's. A legal history stays legal, so one that is illegal
from a write on is illegal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.checkers.linearizability.history import NEVER, UNKNOWN, Op
from harness.checkers.linearizability.sequential import Model


def pending(op: Op) -> Op:
    """The same, but it may have happened at any time after its call, or never."""
    return op if op.pending else Op(op.index, op.process, op.f, op.key, op.value, UNKNOWN, op.call, NEVER)


def from_write(write: Op, ops: Iterable[Op], model: Model) -> list[Op]:
    """What is left of the operations once all is forgotten that a completed write replaced."""
    kept: list[Op] = []
    for op in ops:
        if op.call > write.ret or op is write:
            kept.append(op)
        elif op.ret >= write.call and not model.is_query(op):
            kept.append(op if op.f in model.overwrites else pending(op))
    return kept


def ending_at(time: int, ops: list[Op], model: Model) -> Iterator[list[Op]]:
    """Ever longer parts of the operations (in the order of their calls) that end at a time."""
    begun = [op if op.ret <= time else pending(op) for op in ops if op.call <= time]
    writes = [op for op in begun if op.f in model.overwrites and not op.pending]
    back = 1
    while back <= len(writes):
        yield from_write(writes[-back], begun, model)
        back *= 4
