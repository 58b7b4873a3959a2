"""Plans that once broke the unmodified code: each must pass now. The name of a file says what went wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.checkers.liveness import SETTLED_TIMEOUTS
from harness.worlds.simulated.world import SimulatedWorld, simulate
from nemesis.faults import Fault
from nemesis.plan import load_plan
from paxos_impl.election import LEADING, MAX_BACKOFF
from paxos_impl.messages import Command, Truncated
from paxos_impl.parts import CORRECT
from paxos_impl.proposer import Proposer

PLANS = sorted(Path(__file__).parent.glob("*.json"))


@pytest.mark.parametrize("path", PLANS, ids=[path.stem for path in PLANS])
def test_a_plan_that_once_failed(path: Path) -> None:
    assert simulate(load_plan(path)).violations == []


class _GivesUp(Proposer):
    """As it was: P50 gives up sooner, and for another reason."""

    def on_truncated(self, source: int, message: Truncated) -> None:
        if self.state == LEADING and message.ballot == self.ballot and message.floor > self.commit:
            self.on_floor(source, message.floor)
            self.step_down(f"node {source} has cut its log up to slot {message.floor}")

    def pass_over(self, floor: int) -> None:
        pass


def test_leaders_that_give_up_for_what_learners_know_still_do_so_for_ever_in_its_plan() -> None:
    plan = load_plan(Path(__file__).parent / "leaders-give-up-for-what-learners-know.json")
    world = SimulatedWorld(plan, parts=replace(CORRECT, proposer=_GivesUp))
    assert [violation.rule for violation in world.run().violations] == ["liveness/unsettled"]


class _SleepsLong(Proposer):
    """As it was: after three lost tries up to sixteen election timeouts."""

    def backoff_factor(self) -> int:
        return 1 if self.failures == 0 else min(8, 1 + int(self.context.draw() * (1 << min(self.failures, 3))))


def test_a_backoff_of_eight_still_outlasts_the_time_to_settle_in_its_plan() -> None:
    plan = load_plan(Path(__file__).parent / "backoff-outlasts-the-time-to-settle.json")
    world = SimulatedWorld(plan, parts=replace(CORRECT, proposer=_SleepsLong))
    assert {violation.rule for violation in world.run().violations} == {"election/idle", "liveness/unsettled"}
    assert 2 * MAX_BACKOFF < SETTLED_TIMEOUTS


class _TakesCopies(Proposer):
    """As it was: only the command that came last was known to be in progress."""

    def is_in_progress(self, command: Command) -> bool:
        return self.in_progress.get(command.client) == command.seq


def test_late_copies_of_commands_still_fill_the_queue_in_its_plan() -> None:
    plan = load_plan(Path(__file__).parent / "late-copies-of-commands-fill-the-queue.json")
    world = SimulatedWorld(plan, parts=replace(CORRECT, proposer=_TakesCopies))
    assert "liveness/no-progress" in [violation.rule for violation in world.run().violations]


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
