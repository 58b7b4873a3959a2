"""Availability: how clients fared, as numbers. Never fails a run; the liveness check gives the verdict."""

from __future__ import annotations

from harness.availability import Availability, availability, window_width_ns
from harness.checkers.case import Case
from harness.results import CheckResult, Verdict

NAME = "availability"
ABOUT = "Share of time windows with a success, and the longest outage (numbers, not a verdict)."


def availability_of(case: Case) -> Availability:
    """Of the whole run, up to the final heal. What never ended waited until the end."""
    began, ended, healed = case.started_ns, case.ended_ns, case.healed_ns
    return availability(
        (
            (call.intended_ns - began, (ended if call.ret_ns is None else call.ret_ns) - began, call.type == "ok")
            for call in case.calls
        ),
        ended - began,
        window_width_ns(ended - began),
        None if healed is None else healed - began,
    )


def check(case: Case) -> CheckResult:
    found = availability_of(case)
    if found.share is None:
        summary = "no operation was wanted"
    else:
        summary = (
            f"an operation succeeded in {found.share:.1%} of the windows of {found.width_ns / 1e6:.0f} ms in which one waited, "
            f"longest outage {found.longest_outage_ns / 1e6:.0f} ms"
        )
    stats = {
        "share": found.share,
        "window_ns": found.width_ns,
        "windows": len(found.tried),
        "outages": [{"begin_ns": begin, "length_ns": end - begin} for begin, end in found.outages],
        "longest_outage_ns": found.longest_outage_ns,
    }
    return CheckResult(NAME, Verdict.PASS, summary, (), stats, ABOUT)
