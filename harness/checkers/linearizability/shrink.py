"""Make an illegal history small without making it illegal: only steps that cannot create a violation.

Dropping just anything would fabricate violations: a read without its write is illegal though nothing was wrong. Allowed
1. cut after the completion at which no state was left; what was in flight then becomes pending;
2. leave out a query;
3. leave out a write whose value nobody read, expected or found (registers only: whatever came before would be seen in its
   place, and nobody looked);
4. make a completed operation pending: it may then have happened at any time after its call, or never.

Each keeps a legal history legal, so a history that stays illegal was illegal for a reason that is still in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.checkers.linearizability.check import Result, check
from harness.checkers.linearizability.explain import MOST_OPERATIONS
from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op
from harness.checkers.linearizability.models import CasRegister, Model

Judge = Callable[[list[Op]], bool]
"""Whether the operations are (still) illegal."""


def shrink(history: History, model: Model, result: Result, *, checks: int = 400, steps: int = 200_000) -> list[Op]:
    """The operations of a smaller history, of one object, that is illegal too. At most ``checks`` checks are made.

    ``result`` is what ``check`` found on ``history``; it must be illegal. A check that spends its budget of ``steps``
    counts as "not illegal".
    """
    if result.legal is not False:
        raise ValueError("only an illegal history can be shrunk: check it first")
    left = checks

    def still_illegal(ops: list[Op]) -> bool:
        nonlocal left
        if left <= 0:
            return False
        left -= 1
        return check(History(ops), model, steps=steps).legal is False

    ops = [op for op in history.ops if op.key == result.key] if model.keyed else list(history.ops)
    ops = _cut(ops, model, steps, result)
    if not still_illegal(ops):
        return ops
    before = -1
    while before != len(ops) and left > 0:
        before = len(ops)
        for removable in (_queries(model), _blind_writes(model)):
            ops = _remove(ops, removable, still_illegal)
    return _demote(ops, still_illegal)


def condensed(history: History, model: Model, result: Result) -> Result:
    """The same verdict, told by as few operations as can be had quickly.

    What the other engines find is minimal already. Of what the search finds, the history is shrunk; the result is then
    about the smaller one, if it has at most six operations, and otherwise as it was.
    """
    if result.engine != "search":
        return result
    originals = {op.index: op for op in history.ops}
    # With their answers: the violation does not need all of them, but a reader should see what was recorded.
    small = [originals[op.index] for op in shrink(history, model, result, checks=150, steps=20_000)]
    again = check(History(small, [], history.times_are_ns), model)
    if again.legal is not False or len(small) > MOST_OPERATIONS:
        return result
    again.ops = tuple(sorted(small, key=lambda op: op.call))
    again.stats = result.stats | {"shrunk_from": len(history.ops)}
    again.in_flight = result.in_flight
    return again


def _cut(ops: list[Op], model: Model, steps: int, result: Result) -> list[Op]:
    """Without all that was called after the violation was complete."""
    last = max((op.ret for op in result.ops if not op.pending), default=NEVER)
    shorter = [_pending(op) if op.ret > last else op for op in ops if op.call <= last]
    return shorter if check(History(shorter), model, steps=steps).legal is False else ops


def _pending(op: Op) -> Op:
    return op if op.pending else Op(op.index, op.process, op.f, op.key, op.value, UNKNOWN, op.call, NEVER)


def _queries(model: Model) -> Callable[[list[Op]], set[int]]:
    return lambda ops: {op.index for op in ops if model.is_query(op)}


def _blind_writes(model: Model) -> Callable[[list[Op]], set[int]]:
    """Indexes of the writes that nobody can have looked at."""

    def find(ops: list[Op]) -> set[int]:
        if not isinstance(model, CasRegister) or any(op.f == "append" for op in ops):
            return set()
        if any(op.f == "cas" and op.result not in ((True, None), UNKNOWN) and op.result[1] is UNKNOWN for op in ops):
            return set()
        looked: set[Any] = set()
        for op in ops:
            if op.f == "read":
                looked.add(op.result)
            elif op.f == "cas":
                looked.add(op.value[0])
                if op.result is not UNKNOWN and not op.result[0]:
                    looked.add(op.result[1])
        return {op.index for op in ops if op.f == "write" and op.value not in looked}

    return find


def _remove(ops: list[Op], removable: Callable[[list[Op]], set[int]], still_illegal: Judge) -> list[Op]:
    """Delta debugging: leave out ever smaller parts of what may be left out."""
    size = len(removable(ops))
    while size >= 1:
        candidates = sorted(removable(ops))
        position = 0
        while position < len(candidates):
            out = set(candidates[position : position + size])
            smaller = [op for op in ops if op.index not in out]
            if still_illegal(smaller):
                ops = smaller
            position += size
        size //= 2
    return ops


def _demote(ops: list[Op], still_illegal: Judge) -> list[Op]:
    """Completed writes that need not have completed; a pending one that is not needed says less to look at."""
    for number, op in enumerate(ops):
        if op.pending or op.f == "read":
            continue
        relaxed = [*ops[:number], _pending(op), *ops[number + 1 :]]
        if still_illegal(relaxed):
            ops = relaxed
    return ops


def to_operations(ops: Sequence[Op]) -> list[Any]:
    """The operations as history events (``record.Operation``), for export; times as in the history they came from."""
    from harness.checkers.linearizability.outcome import plain
    from harness.record import Operation

    events: list[Any] = []
    for number, op in enumerate(ops):
        key = "" if op.key is None else str(op.key)
        value = plain(op.value)
        events.append((op.call, 0, Operation("invoke", op.call, number, op.index, op.f, key, value)))
        if op.pending:
            continue
        applied = seen = None
        if op.f == "read":
            value = plain(op.result)
        elif op.f == "cas":
            applied, seen = op.result[0], None if op.result[1] is UNKNOWN else plain(op.result[1])
        elif op.f == "append":
            seen = op.result
        events.append(
            (op.ret, 1, Operation("ok", op.ret, number, op.index, op.f, key, value, applied=applied, seen=seen))
        )
    events.sort(key=lambda event: event[:2])
    return [event[2] for event in events]
