"""From a recorded run to its results: checks, evidence of faults, counts, metrics, one verdict and one sentence.

Works on the run directory alone. The verdict is the worst of the checks (FAIL, ERROR, INCONCLUSIVE, PASS); a run that
was interrupted is at best INCONCLUSIVE, since what was planned was not done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.availability import Availability
from harness.checkers import evidence
from harness.checkers.availability import availability_of
from harness.checkers.case import Call, Case
from harness.checkers.registry import guarded, judge_case
from harness.record import RecordedRun
from harness.results import (
    EXIT_CODES,
    EXIT_INTERRUPTED,
    SCHEMA_VERSION,
    CheckResult,
    FaultResult,
    Results,
    Verdict,
    worst,
)
from nemesis.plan import Plan

QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)

FILES = {
    "plan.json": "the plan: replays this run",
    "env.json": "machine, versions, command line",
    "results.json": "this verdict, with everything reports show",
    "history": "every operation of every client, as it was invoked and as it ended",
    "faults": "begin and end of every fault, with evidence",
    "decided": "what every learner chose and applied, by incarnation",
    "trace": "protocol steps of every agent, by incarnation",
    "logs": "what the processes printed",
    "data": "the write-ahead logs of the agents",
    "report.html": "the report",
    "history.edn": "the history for Jepsen's tools",
}


def assemble(
    directory: Path,
    plan: Plan,
    *,
    world: str,
    interrupted: bool,
    reproduce: str,
    environment: Mapping[str, Any],
) -> Results:
    """Judge the run in ``directory``. ``world``: simulated, lockstep or free; ``reproduce``: the command to run it again."""
    case = Case(RecordedRun(directory), plan)
    checks = list(judge_case(case))
    faults: tuple[FaultResult, ...] = ()

    def weigh(case: Case) -> CheckResult:
        nonlocal faults
        faults = evidence.fault_results(case)
        return evidence.check(case, faults)

    checks.append(guarded(evidence.NAME, evidence.ABOUT, weigh, case))
    verdict = worst([check.verdict for check in checks])
    if interrupted and verdict is Verdict.PASS:
        verdict = Verdict.INCONCLUSIVE
    started = case.started_ns
    exit_code = EXIT_CODES[verdict]
    if interrupted and verdict is not Verdict.FAIL:
        exit_code = EXIT_INTERRUPTED
    return Results(
        schema_version=SCHEMA_VERSION,
        name=plan.name,
        verdict=verdict,
        exit_code=exit_code,
        sentence=sentence(verdict, checks, faults, case.calls, interrupted=interrupted),
        interrupted=interrupted,
        seed=plan.seed,
        world=world,
        deployment=plan.cluster.deployment,
        mutant=None if plan.mutant is None else plan.mutant.id,
        started_ns=started,
        duration_ns=case.ended_ns - started,
        healed_ns=_since(started, case.healed_ns),
        reproduce=reproduce,
        checks=tuple(_check_since(started, check) for check in checks),
        faults=tuple(
            msgspec.structs.replace(
                fault, begin_ns=_since(started, fault.begin_ns), end_ns=_since(started, fault.end_ns)
            )
            for fault in faults
        ),
        counts=counts(case),
        metrics=metrics(case.calls, faults, started, case.healed_ns or case.ended_ns, availability_of(case)),
        environment=dict(environment),
        files={name: about for name, about in FILES.items() if (directory / name).exists()},
    )


def _since(started_ns: int, time_ns: int | None) -> int | None:
    """Results tell times since the run began."""
    return None if time_ns is None else time_ns - started_ns


def _check_since(started_ns: int, check: CheckResult) -> CheckResult:
    return msgspec.structs.replace(
        check,
        violations=tuple(
            msgspec.structs.replace(one, time_ns=max(0, one.time_ns - started_ns)) if one.time_ns else one
            for one in check.violations
        ),
    )


def sentence(
    verdict: Verdict,
    checks: Sequence[CheckResult],
    faults: Sequence[FaultResult],
    calls: Sequence[Call],
    *,
    interrupted: bool,
) -> str:
    """The verdict in one sentence, the weightiest reason first."""
    worst_checks = [check for check in checks if check.verdict is verdict]
    if verdict is Verdict.PASS:
        ok = sum(call.type == "ok" for call in calls)
        return f"All {len(checks)} checks hold: {ok:,} operations succeeded through {_counted(len(faults), 'fault')}."
    if not worst_checks:
        return "The run was interrupted; what was recorded shows no violation."
    first = worst_checks[0]
    others = "" if len(worst_checks) == 1 else f" ({', '.join(check.name for check in worst_checks[1:])} too)"
    begin = {
        Verdict.FAIL: f"{first.name} violated",
        Verdict.ERROR: f"the harness broke in the check of {first.name}",
        Verdict.INCONCLUSIVE: f"{first.name} cannot be told",
    }[verdict]
    text = f"{begin}{others}: {first.summary}".rstrip(".") + "."
    return ("Interrupted; " if interrupted else "") + text


def _counted(number: int, what: str) -> str:
    return {0: f"no {what}", 1: f"one {what}"}.get(number, f"{number} {what}s")


def counts(case: Case) -> dict[str, Any]:
    calls = case.calls
    incarnations: dict[str, int] = {}
    for name, _ in case.decided:
        incarnations[name] = incarnations.get(name, 0) + 1
    return {
        "operations": len(calls),
        "by_type": dict(Counter(call.type for call in calls)),
        "by_f": dict(Counter(call.f for call in calls)),
        "errors": dict(Counter(call.error for call in calls if call.error).most_common(10)),
        "clients": len({call.process for call in calls}),
        "slots": len(case.log),
        "commands": sum(len(chosen.value) for chosen in case.log.values()),
        "no_ops": sum(not chosen.value for chosen in case.log.values()),
        "executed": len(case.executions),
        "incarnations": dict(sorted(incarnations.items())),
        "leaders": sum(row.kind == "leader" for rows in case.trace.values() for row in rows),
        "torn_files": len(case.run.torn),
    }


def metrics(
    calls: Sequence[Call], faults: Sequence[FaultResult], begin_ns: int, end_ns: int, available: Availability
) -> dict[str, Any]:
    """Numbers over the time of load and faults, ``[begin_ns, end_ns)``. Latency counts from when it was intended."""
    latency: dict[str, list[int]] = {}
    done = 0
    for call in calls:
        if call.ret_ns is not None:
            latency.setdefault(call.type, []).append(call.ret_ns - call.intended_ns)
            done += call.type == "ok" and call.ret_ns < end_ns
    recovered = [fault.first_ok_after_heal_ns for fault in faults if fault.landed]
    known = sorted(time for time in recovered if time is not None)
    return {
        "latency_ns": {kind: quantiles(values) for kind, values in latency.items()},
        "throughput_per_s": done * 1e9 / (end_ns - begin_ns) if end_ns > begin_ns else 0.0,
        "availability": available.share,
        "availability_window_ns": available.width_ns,
        "longest_outage_ns": available.longest_outage_ns,
        "outages": [{"begin_ns": begin, "length_ns": end - begin} for begin, end in available.outages],
        "recovery_ns": quantiles(known),
        "never_recovered": len(recovered) - len(known),
    }


def quantiles(values: list[int]) -> dict[str, int]:
    """{"p50": …, "p90": …, "p99": …, "p99.9": …, "max": …}, nearest rank; empty if there are no values."""
    if not values:
        return {}
    ordered = sorted(values)
    named = {}
    for share in QUANTILES:
        rank = min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))
        named["max" if share == 1.0 else f"p{share * 100:g}"] = ordered[rank]
    return named
