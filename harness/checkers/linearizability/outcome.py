"""A linearizability result as one of the checkers' results, with everything a report needs to explain it."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.checkers.linearizability.check import Result
from harness.checkers.linearizability.explain import assumed
from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op
from harness.checkers.linearizability.models import Model
from harness.results import CheckResult, Verdict, Violation

NAME = "linearizability"
ABOUT = "There is one order of the operations, within real time, that explains every answer."


def to_check_result(
    result: Result, history: History, model: Model, details: dict[str, Any] | None = None
) -> CheckResult:
    stats = {"engine": result.engine, "model": model.name, **result.stats}
    if history.notes:
        stats["notes"] = history.notes
    if result.legal:
        return CheckResult(NAME, Verdict.PASS, result.sentence, (), stats, ABOUT)
    if result.legal is None:
        return CheckResult(NAME, Verdict.INCONCLUSIVE, result.sentence, (), stats, ABOUT)
    more: dict[str, Any] = dict(details or {})
    if result.states:
        more["possible_states"] = list(result.states)
    if result.in_flight:
        more["in_flight"] = [op_dict(op) for op in result.in_flight[:20]]
    pending = assumed(result.ops, history.times_are_ns)
    if pending:
        more["assumed"] = list(pending)
    if result.mistake:
        more["probable_client_mistake"] = result.mistake
    violation = Violation(
        rule=f"linearizability/{result.rule}",
        sentence=result.sentence,
        time_ns=_time(result, history),
        key=None if result.key is None else str(result.key),
        values=tuple(dict.fromkeys(repr(op.result) for op in result.ops if op.f == "read")),
        operations=tuple(op_dict(op) for op in result.ops),
        because=result.because + ((result.mistake,) if result.mistake else ()),
        details=more,
    )
    return CheckResult(NAME, Verdict.FAIL, result.sentence, (violation,), stats, ABOUT)


def _time(result: Result, history: History) -> int:
    """When the last of the operations that force the violation returned."""
    return max((op.ret for op in result.ops if not op.pending), default=0) if history.times_are_ns else 0


def op_dict(op: Op) -> dict[str, Any]:
    """An operation for results.json."""
    return {
        "index": op.index,
        "process": op.process,
        "f": op.f,
        "key": op.key,
        "value": plain(op.value),
        "result": "unknown" if op.result is UNKNOWN else plain(op.result),
        "call": op.call,
        "ret": None if op.ret >= NEVER else op.ret,
    }


def plain(value: Any) -> Any:
    """A frozen value as JSON can hold it."""
    if isinstance(value, (tuple, frozenset)):
        return [plain(item) for item in (sorted(value, key=repr) if isinstance(value, frozenset) else value)]
    if value is UNKNOWN:
        return "unknown"
    try:
        return msgspec.to_builtins(value)
    except TypeError:
        return repr(value)
