"""The record itself: is it whole, so that the other checkers may judge by it?

A torn last block is fine (its writer was killed before anybody acted upon it). Damage in the middle, a missing log, a
history that does not pair, a slot nobody holds, a trace cut at its bound: INCONCLUSIVE, since this says nothing of the
system under test. In a simulated run nothing is lost on the way to the record: there it is a violation.
"""

from __future__ import annotations

from harness.checkers.case import MOST_VIOLATIONS, Case, rule_of_problem
from harness.results import CheckResult, Verdict, Violation

NAME = "record"
ABOUT = "The record is whole: files undamaged, histories pair up, every learner's log is there from its start."


def check(case: Case) -> CheckResult:
    counts = {
        "operations": len(case.calls),
        "slots": len(case.log),
        "incarnations": len(case.decided),
        "traced_incarnations": len(case.trace),
        "fault_events": len(case.faults),
        "torn_tails": len(case.run.torn),
        "holes": len(case.holes),
    }
    problems = [problem for part in case.problems.values() for problem in part]
    if problems and case.deterministic:
        violations = tuple(
            Violation(rule_of_problem(part, problem), problem)
            for part, found in case.problems.items()
            for problem in found
        )
        return CheckResult(NAME, Verdict.FAIL, problems[0], violations[:MOST_VIOLATIONS], counts, ABOUT)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return CheckResult(
            NAME, Verdict.INCONCLUSIVE, f"{problems[0]}{more}", (), counts | {"problems": problems[:20]}, ABOUT
        )
    if not case.calls:
        return CheckResult(NAME, Verdict.INCONCLUSIVE, "the history holds no operation", (), counts, ABOUT)
    summary = f"{counts['operations']} operations, {counts['slots']} slots, {counts['incarnations']} incarnations"
    return CheckResult(NAME, Verdict.PASS, summary, (), counts, ABOUT)
