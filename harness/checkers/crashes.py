"""Crashes: an agent ends only when it is told to, or when a fault of the plan broke its disk.

* An agent that saw that safety is broken, or whose code raised, has failed: a violation.
* Damage that an agent finds in its log is a violation too, unless the plan corrupted that log: kills and power cuts must not.
* A disk that failed although nobody planned it, and a kill by somebody else (the system's out-of-memory killer), say
  nothing of the tested system: INCONCLUSIVE. (A simulated disk fails only as planned: there it is a violation.)

Rules
-----
* crash/protocol-violation: no agent finds safety broken; one that does stops.
* crash/log-corrupted: no agent finds damage in its log, unless the plan did it: kills and power cuts must not.
* crash/storage: no disk fails, unless the plan made it.
* crash/TypeError and the like: the code of agents, and of clients' sessions, raises nothing.
* crash/page-too-long, crash/no-such-node, crash/unsendable: in virtual time, every message fits into a page, goes to a node
  that there is, and can travel.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.case import Case, conclude
from harness.record import AgentEvent
from harness.results import CheckResult, Verdict, Violation

NAME = "crashes"
ABOUT = "No agent ends by itself, unless a fault of the plan broke its disk."

_DISK_FAULTS = frozenset({"disk_full", "sync_error", "corrupt"})


def check(case: Case) -> CheckResult:
    violations: list[Violation] = []
    outside: list[str] = []
    excused = 0
    for (name, incarnation), rows in case.decided.items():
        for row in rows:
            if row.kind != "stopped" or not isinstance(row.extra, dict) or "error" not in row.extra:
                continue
            kind = row.extra["type"]
            if kind == "LogCorrupted" and not _broken_by_plan(case, name, row.time_ns, frozenset({"corrupt"})):
                violations.append(_violation(name, incarnation, row, "crash/log-corrupted"))
            elif kind == "ProtocolViolation":
                violations.append(_violation(name, incarnation, row, "crash/protocol-violation"))
            elif kind not in ("LogCorrupted", "StorageFault"):
                violations.append(_violation(name, incarnation, row, f"crash/{kind}"))
            elif _broken_by_plan(case, name, row.time_ns, _DISK_FAULTS):
                excused += 1
            elif case.deterministic:
                violations.append(_violation(name, incarnation, row, "crash/storage"))
            else:
                outside.append(f"the disk of {name} failed though no fault was planned: {row.extra['error']}")
    outside.extend(
        f"{event.targets[0]} was {event.evidence['meaning']}, not by the harness"
        for event in case.faults
        if event.kind == "exit" and event.evidence.get("code", 0) < 0
    )
    stats: dict[str, Any] = {"by_planned_disk_faults": excused}
    if outside and not violations:
        return CheckResult(NAME, Verdict.INCONCLUSIVE, outside[0], (), stats | {"others": outside[1:20]}, ABOUT)
    summary = "no agent ended by itself" + (f", but {excused} by planned disk faults" if excused else "")
    return conclude(NAME, ABOUT, case, (), violations, summary, stats)


def _broken_by_plan(case: Case, name: str, time_ns: int, kinds: frozenset[str]) -> bool:
    """Whether one of these faults began on that agent before."""
    return any(
        event.edge == "begin" and event.kind in kinds and name in event.targets and event.time_ns <= time_ns
        for event in case.faults
    )


def _violation(name: str, incarnation: int, row: AgentEvent, rule: str) -> Violation:
    return Violation(
        rule=rule,
        sentence=f"{name} (incarnation {incarnation}) ended by itself: {row.extra['type']}: {row.extra['error']}",
        time_ns=row.time_ns,
        agents=(name,),
    )
