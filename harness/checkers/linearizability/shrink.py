"""Make an illegal history small without making it illegal: only steps that cannot create a violation.

Dropping just anything would fabricate violations: a read without its write is illegal though nothing was wrong. Allowed
1. cut after the completion at which no state was left; what was in flight then becomes pending;
2. forget what ended before a completed write was called: the write replaced all of it (see ``windows``);
3. leave out a query, or a compare-and-set that changes nothing;
4. leave out a write or a compare-and-set whose new value nobody read, expected or found (registers only: whatever came
   before would be seen in its place, and nobody looked); or at once all compare-and-sets that lead to no such value;
5. leave out a pending compare-and-set that expects a value which was never there (registers only);
6. make a completed operation pending: it may then have happened at any time after its call, or never.

Each keeps a legal history legal, so a history that stays illegal was illegal for a reason that is still in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.checkers.linearizability.check import Engine, Result, check
from harness.checkers.linearizability.explain import MOST_OPERATIONS
from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op, show
from harness.checkers.linearizability.models import CasRegister, Model
from harness.checkers.linearizability.windows import from_write, pending

MOST_LISTED = 20
"""Operations that force a violation are named in one line, if they are more than can be told one by one."""
Judge = Callable[[list[Op]], bool]
"""Whether the operations are (still) illegal."""
Removable = Callable[[list[Op]], set[int]]
"""The indexes of those operations that a rule lets go."""


def shrink(history: History, model: Model, result: Result, *, checks: int = 400, steps: int = 200_000) -> list[Op]:
    """The operations of a smaller history, of one object, that is illegal too. At most ``checks`` checks are made.

    ``result`` is what ``check`` found on ``history``; it must be illegal. A check that spends its budget of ``steps``
    counts as "not illegal".
    """
    if result.legal is not False:
        raise ValueError("only an illegal history can be shrunk: check it first")
    return _demote(*_reduced(history, model, result, checks, steps)[:2])


def _reduced(
    history: History, model: Model, result: Result, checks: int, steps: int
) -> tuple[list[Op], Judge, Op | None]:
    """What rules 1 to 5 leave, with the answers it got; the judge of what may still go; the write that replaced the rest."""
    left = checks

    def still_illegal(ops: list[Op]) -> bool:
        nonlocal left
        if left <= 0:
            return False
        left -= 1
        return check(History(ops), model, steps=steps).legal is False

    ops = [op for op in history.ops if op.key == result.key] if model.keyed else list(history.ops)
    shorter = _cut(ops, result)
    after, replacing = _forget(shorter, model, still_illegal)
    if replacing is not None:
        ops = after
    elif still_illegal(shorter):
        ops = shorter
    elif not still_illegal(ops):
        return ops, lambda _: False, None
    before = -1
    while before != len(ops) and left > 0:
        before = len(ops)
        unseen = _unseen_sets(ops, model)
        smaller = [op for op in ops if op.index not in unseen]
        if unseen and still_illegal(smaller):
            ops = smaller
        for removable in (_queries(model), _never_applied(model), _blind_changes(model)):
            ops = _remove(ops, removable, still_illegal, keep=replacing)
    return ops, still_illegal, replacing


def condensed(history: History, model: Model, result: Result) -> Result:
    """The same verdict, told by as few operations as can be had quickly.

    What the other engines find is minimal already. Of what the search finds, the history is shrunk; the result is then
    about the smaller one, if it has at most six operations; otherwise they are only named.
    """
    if result.engine != "search":
        return result
    originals = {op.index: op for op in history.ops}
    ops, _, replacing = _reduced(history, model, result, 150, 20_000)
    replaced: tuple[str, ...] = ()
    if replacing is not None:
        replaced = (f"what ended before {show(replacing)} was called does not matter: all of it was replaced",)
    if len(ops) > MOST_OPERATIONS:
        if len(ops) <= MOST_LISTED:
            listed = "; ".join(show(op) for op in sorted(ops, key=lambda op: op.call))
            result.because += (f"these {len(ops)} operations force it together: {listed}", *replaced)
        return result
    # With their answers: the violation does not need all of them, but a reader should see what was recorded. Only what may
    # have happened before all was replaced is judged without: its answer is about a state that was left out.
    small = [op if replacing is not None and op.call <= replacing.ret else originals[op.index] for op in ops]
    # The zones would speak of values that nobody wrote, where those who did are left out.
    engine: Engine = "auto" if replacing is None else "search"
    again = check(History(small, [], history.times_are_ns), model, engine=engine)
    if again.legal is not False:
        return result
    again.ops = tuple(sorted((originals[op.index] for op in small), key=lambda op: op.call))
    again.because += replaced
    again.stats = result.stats | {"shrunk_from": len(history.ops)}
    again.in_flight = result.in_flight
    return again


def _cut(ops: list[Op], result: Result) -> list[Op]:
    """Without all that was called after the violation was complete."""
    last = max((op.ret for op in result.ops if not op.pending), default=NEVER)
    return [pending(op) if op.ret > last else op for op in ops if op.call <= last]


def _forget(ops: list[Op], model: Model, still_illegal: Judge) -> tuple[list[Op], Op | None]:
    """Without what a write replaced, and that write: the last one that will do, as far as is found by few checks."""
    writes = [op for op in sorted(ops, key=lambda op: op.call) if op.f in model.overwrites and not op.pending]

    def will_do(position: int) -> bool:
        return still_illegal(from_write(writes[position], ops, model))

    found, too_late, stride = -1, len(writes), 1
    while found < 0 < too_late:
        position = max(too_late - stride, 0)
        if will_do(position):
            found = position
        else:
            too_late, stride = position, stride * 2
    if found < 0:
        return ops, None
    while too_late - found > 1:
        position = (found + too_late) // 2
        if will_do(position):
            found = position
        else:
            too_late = position
    return from_write(writes[found], ops, model), writes[found]


def _queries(model: Model) -> Removable:
    """Indexes of the operations that change nothing."""

    def same(op: Op) -> bool:
        return op.f == "cas" and isinstance(model, CasRegister) and bool(op.value[0] == op.value[1])

    return lambda ops: {op.index for op in ops if model.is_query(op) or same(op)}


def _never_applied(model: Model) -> Removable:
    """Indexes of the pending compare-and-sets that expect a value which was never there."""

    def find(ops: list[Op]) -> set[int]:
        if not isinstance(model, CasRegister) or model.init is UNKNOWN or any(op.f not in _PLAIN for op in ops):
            return set()
        there = {model.init, *(op.value for op in ops if op.f == "write")}
        sets = [op for op in ops if op.f == "cas"]
        before = -1
        while before != len(there):
            before = len(there)
            there.update(op.value[1] for op in sets if op.value[0] in there)
        return {op.index for op in sets if op.pending and op.value[0] not in there}

    return find


_PLAIN = frozenset({"read", "write", "cas"})


def _blind_changes(model: Model) -> Removable:
    """Indexes of the writes and compare-and-sets whose new values nobody can have looked at."""

    def find(ops: list[Op]) -> set[int]:
        looked = _looked_at(ops, model)
        if looked is None:
            return set()
        looked |= {op.value[0] for op in ops if op.f == "cas"}
        return {op.index for op in ops if op.f in ("write", "cas") and _new_value(op) not in looked}

    return find


def _unseen_sets(ops: list[Op], model: Model) -> set[int]:
    """Indexes of the compare-and-sets that lead to no value that was looked at. Only all of them may go: each alone may be
    what another one expects."""
    looked = _looked_at(ops, model)
    if looked is None:
        return set()
    sets = [op for op in ops if op.f == "cas"]
    before = -1
    while before != len(looked):
        before = len(looked)
        looked.update(op.value[0] for op in sets if op.value[1] in looked)
    return {op.index for op in sets if op.value[1] not in looked}


def _looked_at(ops: list[Op], model: Model) -> set[Any] | None:
    """The values that were read, or found where another was expected; None: it cannot be told."""
    if not isinstance(model, CasRegister) or any(op.f == "append" for op in ops):
        return None
    looked: set[Any] = set()
    for op in ops:
        if op.f == "read":
            looked.add(None if op.result == () else op.result)
        elif op.f == "cas" and (op.result is UNKNOWN or not op.result[0]):
            found = op.result if op.result is UNKNOWN else op.result[1]
            if found is not UNKNOWN:
                looked.add(found)
            elif not op.pending:
                return None
    return looked


def _new_value(op: Op) -> Any:
    return op.value[1] if op.f == "cas" else op.value


def _remove(ops: list[Op], removable: Removable, still_illegal: Judge, *, keep: Op | None) -> list[Op]:
    """Delta debugging: leave out ever smaller parts of what may be left out, but for ``keep``."""
    kept = set() if keep is None else {keep.index}
    size = len(removable(ops) - kept)
    while size >= 1:
        candidates = sorted(removable(ops) - kept)
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
        relaxed = [*ops[:number], pending(op), *ops[number + 1 :]]
        if still_illegal(relaxed):
            ops = relaxed
    return ops
