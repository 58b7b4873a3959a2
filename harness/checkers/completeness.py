"""The record itself: is it whole, so that the other checkers may judge by it?

A torn last block is fine (its writer was killed before anybody acted upon it), but not of a client in a run that came to
its end, for clients outlive their run. That, damage in the middle, a missing log, a history that does not pair, a slot
nobody holds, a trace cut at its bound: INCONCLUSIVE, since this says nothing of the system under test. In a simulated run
nothing is lost on the way to the record: there it is a violation.

All writers read one clock, so their files are merged by time. That a cause never stands behind its effect is not taken on
trust: no vote is earlier than the proposal it is for, and no command is chosen before its client asked.

Rules
-----
* client/seq-reused: a client gives each operation a number of its own.
* record/decided, record/history and the like: in virtual time, where nothing is lost, every part of the record is there and
  agrees with itself; if not, the code of agents or clients is to blame.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.checkers.case import MOST_VIOLATIONS, Case, rule_of_problem
from harness.record import Ballot
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
    backwards = [] if case.deterministic else list(effects_before_causes(case))
    if backwards:
        case.problems["trace"].append(f"the clocks of the processes disagree: {backwards[0]}")
        counts["effects_before_causes"] = len(backwards)
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


def effects_before_causes(case: Case) -> Iterator[str]:
    """Pairs of events in different processes of which one caused the other, and is recorded as the later one."""
    proposed: dict[tuple[Ballot | None, int], tuple[int, str]] = {}
    for (name, _), rows in case.trace.items():
        for row in rows:
            if row.kind == "propose":
                key = row.ballot, row.slot
                proposed[key] = min(proposed.get(key, (row.time_ns, name)), (row.time_ns, name))
    for (name, _), rows in case.trace.items():
        for row in rows:
            time_ns, leader = proposed.get((row.ballot, row.slot), (0, "")) if row.kind == "accepted" else (0, "")
            if row.time_ns < time_ns:
                yield f"{name} voted in slot {row.slot} {time_ns - row.time_ns} ns before {leader} proposed there"
    for slot, chosen in case.log.items():
        for command in chosen.value:
            call = case.call_of.get((command.client, command.seq))
            if call is not None and chosen.time_ns < call.call_ns:
                early_ns = call.call_ns - chosen.time_ns
                yield f"{chosen.learner[0]} learned {call.name} in slot {slot} {early_ns} ns before it was asked for"
