"""Evidence: did each planned fault take effect, and did clients work through it?

A pass is worth something only if the faults landed. So: a planned fault that did not begin, that this machine does not
support, that failed, or that touched nobody: INCONCLUSIVE; so is a run in which no operation succeeded inside any fault's
window. A plan without faults owes nothing. A link fault landed if its end counts at least one message that it touched; a
process, disk or clock fault if it began on somebody who was there. A fault whose targets were all down or stopped by other
faults, as long as it lasted, had nothing left to touch, and so had a link fault if others took every message before it: it
did not land, and costs no verdict. Nor does one that waits for an agent that would forget (``triggers.FORESEEN``): without a
bug it never begins.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from msgspec.structs import replace

from harness.checkers.case import Case
from harness.record import NOT_LANDED, FaultEvent, joint_evidence, landed
from harness.results import CheckResult, FaultResult, Verdict
from nemesis.describe import describe
from nemesis.faults import KINDS, Fault
from nemesis.triggers import FORESEEN, parse_trigger

NAME = "evidence"
ABOUT = "Every planned fault took effect, and operations succeeded while faults were on."

LEAST_WINDOW_NS = 50_000_000
"""A fault undone at once (a kill with an immediate restart) has at least this window."""
KEEPS_AWAY = frozenset({"kill", "power", "corrupt", "pause"})


def fault_results(case: Case) -> tuple[FaultResult, ...]:
    """One result for each fault of the plan, in the plan's order."""
    events: dict[int, list[FaultEvent]] = {}
    for event in case.faults:
        events.setdefault(event.fault, []).append(event)
    ok = sorted(call.ret_ns for call in case.calls if call.type == "ok" and call.ret_ns is not None)
    unknown = sorted(call.call_ns for call in case.calls if call.type == "info")
    results = [
        _result(case, index, fault, events.get(index, []), ok, unknown) for index, fault in enumerate(case.plan.faults)
    ]
    return tuple(_overshadowed(result, results) if not result.landed else result for result in results)


def _overshadowed(result: FaultResult, results: list[FaultResult]) -> FaultResult:
    """With ``overshadowed_by`` in its evidence if others kept all its targets away, or took all its messages."""
    if result.begin_ns is None or any(key in result.evidence for key in NOT_LANDED):
        return result
    takers = result.evidence.get("taken_by")
    if takers and result.evidence.get("messages") == 0:
        return replace(result, evidence=result.evidence | {"overshadowed_by": takers})
    if not result.targets:
        return result
    by: set[int] = set()
    for target in result.targets:
        others = [one.index for one in results if one.landed and target in one.targets and _covers(one, result)]
        if not others:
            return result
        by.update(others)
    return replace(result, evidence=result.evidence | {"overshadowed_by": sorted(by)})


def _covers(other: FaultResult, result: FaultResult) -> bool:
    if other.kind not in KEEPS_AWAY or other.begin_ns is None or result.begin_ns is None:
        return False
    end_ns = result.end_ns if KINDS[result.kind].device == "link" else result.begin_ns
    return other.begin_ns <= result.begin_ns and (
        other.end_ns is None or (end_ns is not None and end_ns <= other.end_ns)
    )


def _result(
    case: Case, index: int, fault: Fault, events: list[FaultEvent], ok: list[int], unknown: list[int]
) -> FaultResult:
    begin = next((event for event in events if event.edge == "begin"), None)
    end = next((event for event in reversed(events) if event.edge == "end"), None)
    evidence = joint_evidence(events)
    targets = begin.targets if begin is not None else ()
    begin_ns = None if begin is None else begin.time_ns
    end_ns = None if end is None else end.time_ns
    if not events:
        evidence["not_begun"] = "the record holds no event of this fault"
    window = (0, 0) if begin_ns is None else (begin_ns, max(end_ns or case.ended_ns, begin_ns + LEAST_WINDOW_NS))
    return FaultResult(
        index=index,
        kind=fault.kind,
        targets=targets,
        describe=describe(fault, index, targets),
        begin_ns=begin_ns,
        end_ns=end_ns,
        evidence=evidence,
        landed=begin is not None and landed(fault.kind, targets, evidence),
        operations_ok_inside=_inside(ok, window),
        operations_unknown_inside=_inside(unknown, window),
        first_ok_after_begin_ns=_first_after(ok, begin_ns),
        first_ok_after_heal_ns=_first_after(ok, end_ns),
    )


def _inside(times: list[int], window: tuple[int, int]) -> int:
    return bisect_right(times, window[1]) - bisect_left(times, window[0]) if window[1] else 0


def _first_after(times: list[int], at: int | None) -> int | None:
    if at is None:
        return None
    position = bisect_left(times, at)
    return times[position] - at if position < len(times) else None


def _why_not(fault: FaultResult) -> str:
    known = next((f"{key}: {fault.evidence[key]}" for key in NOT_LANDED if key in fault.evidence), "")
    if not known and KINDS[fault.kind].device == "link":
        return str(fault.evidence.get("untouched", "the record does not tell what it did"))
    return known or "touched nothing"


def _foresees(fault: Fault) -> bool:
    return fault.trigger is not None and parse_trigger(fault.trigger).kind in FORESEEN


def check(case: Case, faults: tuple[FaultResult, ...]) -> CheckResult:
    stats = {
        "planned": len(faults),
        "landed": sum(fault.landed for fault in faults),
        "ok_inside": sum(fault.operations_ok_inside for fault in faults),
    }
    waits = [fault for fault in faults if fault.begin_ns is None and _foresees(case.plan.faults[fault.index])]
    faults = tuple(fault for fault in faults if fault not in waits)
    if not faults:
        text = (
            "the plan has no faults but what waits for an agent that would forget"
            if waits
            else "the plan has no faults"
        )
        return CheckResult(NAME, Verdict.PASS, text, (), stats, ABOUT)
    missing = [fault for fault in faults if not fault.landed and "overshadowed_by" not in fault.evidence]
    if missing:
        first = missing[0]
        why = _why_not(first)
        text = f"{len(missing)} of {len(faults)} planned faults did not land; fault {first.index} ({first.kind}): {why}"
        return CheckResult(NAME, Verdict.INCONCLUSIVE, text, (), stats, ABOUT)
    if not stats["ok_inside"]:
        return CheckResult(NAME, Verdict.INCONCLUSIVE, "no operation succeeded while a fault was on", (), stats, ABOUT)
    shadowed = len(faults) - stats["landed"]
    text = f"all {len(faults)} faults landed" if len(faults) > 1 else "the one fault landed"
    if shadowed:
        text = f"{stats['landed']} of {len(faults)} faults landed, {shadowed} had nothing left to touch"
    summary = f"{text}, {stats['ok_inside']} successes inside their windows, counted for each"
    return CheckResult(NAME, Verdict.PASS, summary, (), stats, ABOUT)
