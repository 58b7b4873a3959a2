"""Plans that once broke the unmodified code: each must pass now. The name of a file says what went wrong."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.worlds.simulated.world import simulate
from nemesis.faults import Fault
from nemesis.plan import load_plan

PLANS = sorted(Path(__file__).parent.glob("*.json"))


@pytest.mark.parametrize("path", PLANS, ids=[path.stem for path in PLANS])
def test_a_plan_that_once_failed(path: Path) -> None:
    assert simulate(load_plan(path)).violations == []


def test_a_leader_stays_as_long_as_what_it_lacks_keeps_coming() -> None:
    """The near miss of ``leader-waits-for-what-is-gone``: the node that has cut its log is slow, page after page, not gone."""
    plan = load_plan(Path(__file__).parent / "leader-waits-for-what-is-gone.json")
    slow = Fault(
        kind="throttle",
        target="agent:r0",
        trigger="agent r1 leader",
        duration_ns=-1,
        params={"per_second": 40, "queue_ns": 2_000_000_000},
    )
    plan = msgspec.structs.replace(
        plan,
        duration_ns=1_500_000_000,
        faults=tuple(slow if fault.kind == "kill" else fault for fault in plan.faults),
        limits=msgspec.structs.replace(plan.limits, page_bytes=16),
    )
    run = simulate(plan, record=True)
    assert run.violations == [] and run.recording is not None
    rows = [row for (name, _), rows in run.recording.events.items() if name == "r1" for row in rows]
    led_ns = next(row.time_ns for row in rows if row.kind == "leader")
    installed_ns = next(row.time_ns for row in rows if row.kind == "installed" and row.time_ns > led_ns)
    assert installed_ns - led_ns > 2 * plan.timing.election_timeout_ns
    assert not [row for row in rows if row.kind == "step_down" and led_ns < row.time_ns < installed_ns]
