"""Availability: how clients fared, as numbers. Never fails a run; the liveness check gives the verdict.

The run is cut into equal windows, about a hundred of them but none shorter than 20 ms; a window is *available* if an
operation succeeded in it, and counts only if an operation was wanted in it. An *outage* is a run of unavailable windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.checkers.case import Call, Case
from harness.results import CheckResult, Verdict

NAME = "availability"
ABOUT = "Share of time windows with a success, and the longest outage (numbers, not a verdict)."

WINDOWS = 100
SHORTEST_WINDOW_NS = 20_000_000


def windows(calls: Sequence[Call], begin_ns: int, end_ns: int) -> dict[str, Any]:
    """Availability over ``[begin_ns, end_ns)``: share (None if nothing was wanted), outages, width of a window in ns."""
    width = max((end_ns - begin_ns) // WINDOWS, SHORTEST_WINDOW_NS)
    count = max(1, -(-(end_ns - begin_ns) // width))
    wanted, served = [0] * count, [0] * count
    for call in calls:
        at = (call.intended_ns - begin_ns) // width
        if 0 <= at < count:
            wanted[at] += 1
        if call.type == "ok" and call.ret_ns is not None:
            at = (call.ret_ns - begin_ns) // width
            if 0 <= at < count:
                served[at] += 1
    counted = [(1 if served[i] else 0) for i in range(count) if wanted[i] or served[i]]
    outages: list[dict[str, int]] = []
    began: int | None = None
    for i in range(count + 1):
        if i < count and wanted[i] and not served[i]:
            began = i if began is None else began
        elif began is not None and (i == count or served[i]):
            outages.append({"begin_ns": began * width, "length_ns": (i - began) * width})
            began = None
    return {
        "share": sum(counted) / len(counted) if counted else None,
        "window_ns": width,
        "windows": count,
        "outages": outages,
        "longest_outage_ns": max((outage["length_ns"] for outage in outages), default=0),
    }


def check(case: Case) -> CheckResult:
    end = max((call.ret_ns or call.call_ns for call in case.calls), default=case.started_ns)
    stats = windows(case.calls, case.started_ns, end)
    share = stats["share"]
    if share is None:
        summary = "no operation was wanted"
    else:
        summary = (
            f"an operation succeeded in {share:.1%} of the windows of {stats['window_ns'] / 1e6:.0f} ms in which one was to "
            f"begin, longest outage {stats['longest_outage_ns'] / 1e6:.0f} ms"
        )
    return CheckResult(NAME, Verdict.PASS, summary, (), stats, ABOUT)
