"""Protocol invariants judged from a recorded trace: the oracles of ``online.py``, fed in the order of time.

They name the step that broke safety, often long before a client could notice. Where a trace was cut at its bound, or is
missing, everything up to there is judged: a violation found is a violation, but finding none is then INCONCLUSIVE.

Some rules can be judged only while a simulated run goes on (``online.py`` tells which): what broke them is noted in the record.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from harness.checkers.case import MOST_VIOLATIONS, SEEN, Case
from harness.checkers.online import OnlineOracles
from harness.results import CheckResult, Verdict, Violation

NAME = "invariants"
ABOUT = "Ballots, promises, votes and decisions obey the rules of Paxos at every traced step."


def check(case: Case) -> CheckResult:
    oracles = OnlineOracles(case.roster.voters, case.roster.quorum, dict(enumerate(case.roster.names)))
    until = _judged_until(case)
    ids = {name: agent for agent, name in enumerate(case.roster.names)}
    rows = [
        (row.time_ns, rank, ids[name], incarnation, row)
        for rank, part in enumerate((case.trace, case.decided))
        for (name, incarnation), events in part.items()
        if name in ids
        for row in events
        if until is None or row.time_ns < until
    ]
    rows.sort(key=lambda item: item[:2])  # stable: one file keeps its order; traced steps before what they decided
    cut_ns, situations = None if case.final_cut is None else case.final_cut[0], None
    for time_ns, _, agent, incarnation, row in rows:
        if situations is None and cut_ns is not None and time_ns >= cut_ns:
            situations = list(oracles.situations.all_reached())
        oracles.observe(agent, incarnation, time_ns, row.kind, row.ballot, row.slot, row.value, row.extra)
    if situations is None:
        situations = list(oracles.situations.all_reached())
    stats = {"events": len(rows), "judged_until_ns": until, "situations": situations}
    found, seen = tuple(oracles.violations[:MOST_VIOLATIONS]), tuple(_seen(case))
    if seen or (found and not _only_because_of_gaps(case)):
        found = tuple(sorted(found + seen, key=lambda one: one.time_ns))
        return CheckResult(NAME, Verdict.FAIL, found[0].sentence, found, stats, ABOUT)
    problems = case.problems["trace"]
    if problems:
        text = f"the trace is incomplete ({problems[0]})"
        return CheckResult(NAME, Verdict.INCONCLUSIVE, text, (), stats | {"suspicions": [v.rule for v in found]}, ABOUT)
    return CheckResult(
        NAME, Verdict.PASS, f"{len(rows)} events obey all rules that a record can show", (), stats, ABOUT
    )


def _seen(case: Case) -> Iterator[Violation]:
    """What the simulator saw and its record does not show."""
    for row in case.faults:
        if (row.fault, row.kind) == (-1, SEEN):
            yield msgspec.convert(row.evidence, Violation)


def _judged_until(case: Case) -> int | None:
    """Time of the first cut of a trace: from there on, what is not traced may still have happened."""
    cuts = [rows[-1].time_ns for rows in case.trace.values() if rows and rows[-1].kind == "bounded"]
    return min(cuts, default=None)


def _only_because_of_gaps(case: Case) -> bool:
    """A trace that is missing or damaged (not merely bounded) makes promises and votes disappear."""
    return any("cut at its bound" not in problem for problem in case.problems["trace"])
