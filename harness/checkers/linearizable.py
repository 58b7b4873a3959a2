"""Linearizability of the client history alone: a black box, with no help from the logs.

It proves that a user could have seen what is wrong, where the other checkers look inside. Registers with unambiguous
values are judged by zones, whatever the length of the history; see ``linearizability/``. Operations that clients reported
as failed count as not done; if the verdict hangs on that, the explanation says so.

Rules
-----
* linearizability/no-state-left and those below: one order of the operations, within real time, explains all answers. If there
  is none it is told which operations force that, edge by edge (docs/checking.md), by the first of these that fits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.checkers.case import Call, Case
from harness.checkers.linearizability.check import check as judge
from harness.checkers.linearizability.check import find_mistake
from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op, freeze
from harness.checkers.linearizability.models import KeyValue
from harness.checkers.linearizability.outcome import ABOUT, NAME, to_check_result
from harness.checkers.linearizability.shrink import condensed
from harness.checkers.model import KNOWN
from harness.results import CheckResult, Verdict

STEPS = 2_000_000


def check(case: Case) -> CheckResult:
    history = to_history(case.calls)
    model = KeyValue()
    result = judge(history, model, steps=STEPS)
    if result.legal is not False:
        return to_check_result(result, history, model)
    result = condensed(history, model, result)
    result.mistake = find_mistake(history, model, result)
    window = _window(result.ops)
    told = to_check_result(result, history, model, around(case, *window) if window else None)
    if case.problems["history"]:
        text = f"the record is incomplete ({case.problems['history'][0]}); what it shows: {result.sentence}"
        return CheckResult(NAME, Verdict.INCONCLUSIVE, text, (), told.stats, ABOUT)
    return told


def to_history(calls: Iterable[Call]) -> History:
    """The project's own history in the form of the engines."""
    ops: list[Op] = []
    failed: list[Op] = []
    for call in calls:
        if call.f not in KNOWN:
            continue
        op = Op(call.index, call.process, call.f, call.key, freeze(call.value), UNKNOWN, call.call_ns, NEVER)
        if call.type == "ok" and call.ret_ns is not None:
            op.ret = call.ret_ns
            op.result = _answer(call)
        (failed if call.type == "fail" else ops).append(op)
    return History(ops, failed, times_are_ns=True)


def _answer(call: Call) -> Any:
    if call.f == "read":
        return freeze(call.result)
    if call.f == "cas":
        return (True, None) if call.applied is not False else (False, freeze(call.seen))
    if call.f == "append":
        return call.seen if isinstance(call.seen, int) else None
    return None


def _window(ops: tuple[Op, ...]) -> tuple[int, int] | None:
    """From the first call to the last return of these operations."""
    if not ops:
        return None
    return min(op.call for op in ops), max((op.ret for op in ops if not op.pending), default=max(op.call for op in ops))


def around(case: Case, begin_ns: int, end_ns: int) -> dict[str, Any]:
    """What went on in a window: faults that were on, leaders that were elected, slots that were chosen."""
    on: dict[int, dict[str, Any]] = {}
    for event in case.faults:
        if event.time_ns > end_ns:
            break
        if event.edge == "begin":
            on[event.fault] = {"fault": event.fault, "kind": event.kind, "targets": list(event.targets)}
        elif event.edge == "end" and event.time_ns < begin_ns:
            on.pop(event.fault, None)
    leaders: list[dict[str, Any]] = [
        {"time_ns": row.time_ns, "agent": name, "ballot": row.ballot}
        for (name, _), rows in case.trace.items()
        for row in rows
        if row.kind == "leader" and row.time_ns <= end_ns
    ]
    leaders.sort(key=lambda leader: leader["time_ns"])
    before = [leader for leader in leaders if leader["time_ns"] < begin_ns][-1:]
    slots = [slot for slot, chosen in case.log.items() if begin_ns <= chosen.time_ns <= end_ns]
    return {
        "window_ns": [begin_ns, end_ns],
        "faults": list(on.values()),
        "leaders": (before + [leader for leader in leaders if leader["time_ns"] >= begin_ns])[:10],
        "slots": [min(slots), max(slots)] if slots else [],
    }
