"""What the shrink benchmark shrinks: plans that fail."""

from __future__ import annotations

from benchmarks.shrink import first_failing
from harness.worlds.simulated.world import SimulatedWorld
from paxos_impl.mutants.registry import find


def test_the_first_failing_plan_of_a_bug_has_it_planted() -> None:
    (bug,) = find("P01")
    plan = first_failing(bug)
    assert plan is not None and plan.mutant is not None and plan.mutant.id == "P01"
    assert SimulatedWorld(plan, stop_at_first=True).run().violations
