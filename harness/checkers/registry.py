"""All checkers of a recorded run, in the order they judge. A new one is a file and a line here.

Each module has NAME, ABOUT and ``check(case) -> CheckResult``. The record's own check stands first, because it reads
everything and notes what is missing before the others rest on it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from harness.checkers import (
    agreement,
    applied_order,
    availability,
    completeness,
    crashes,
    durability,
    exactly_once,
    invariants,
    linearizable,
    liveness,
    local_reads,
    sessions,
    validity,
    witness,
)
from harness.checkers.case import Case
from harness.record import RecordedRun
from harness.results import CheckResult, Verdict
from nemesis.plan import Plan

Check = Callable[[Case], CheckResult]

CHECKERS: list[tuple[str, str, Check]] = [
    (module.NAME, module.ABOUT, module.check)
    for module in (
        completeness,
        crashes,
        agreement,
        validity,
        exactly_once,
        sessions,
        applied_order,
        durability,
        witness,
        local_reads,
        linearizable,
        invariants,
        liveness,
        availability,
    )
]
"""(name, the property it verifies, check)"""


def judge(run: RecordedRun, plan: Plan) -> tuple[CheckResult, ...]:
    """What every checker says of a recorded run, from the record alone. Never raises for what is in the record."""
    return judge_case(Case(run, plan))


def judge_case(case: Case) -> tuple[CheckResult, ...]:
    return tuple(guarded(name, about, check, case) for name, about, check in CHECKERS)


def guarded(name: str, about: str, check: Check, case: Case) -> CheckResult:
    """A checker's own exception is ERROR with the traceback in its stats, never a pass."""
    try:
        return check(case)
    except Exception as error:
        return CheckResult(
            name,
            Verdict.ERROR,
            f"the checker broke: {type(error).__name__}: {error}",
            (),
            {"traceback": traceback.format_exc()},
            about,
        )
