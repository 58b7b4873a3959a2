"""Plans made by hand that show a planted bug which drawn schedules hardly ever meet. The name of a file begins with its id."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.worlds.simulated.world import SimulatedWorld, simulate
from nemesis.plan import Plan, load_plan
from paxos_impl.mutants.registry import find, plant

PLANS = sorted((Path(__file__).parent / "planted").glob("*.json"))
CUT_DURING_PHASE_1 = "P35-durable-slots-are-told-during-phase-1"


def broken(plan: Plan, mutant: str) -> set[str]:
    return {violation.rule for violation in SimulatedWorld(plan, parts=plant(find(mutant))).run().violations}


@pytest.mark.parametrize("path", PLANS, ids=[path.stem for path in PLANS])
def test_a_planted_bug_dies_in_its_plan_and_the_unmodified_code_does_not(path: Path) -> None:
    plan = load_plan(path)
    assert simulate(plan).violations == []
    assert broken(plan, path.stem.partition("-")[0])


def test_truncated_alone_tells_a_leader_of_a_cut_only_if_it_heard_of_the_snapshots_during_phase_1() -> None:
    """How P35 hurts. Answers of a learner, held back since an earlier leadership, come between Prepare and the promises: too
    late for the first slot to ask for, too early for ``on_heartbeat_reply``, which passes over only while it leads. The new
    leader's heartbeat then makes the acceptors cut the very slots that it proposes in. No snapshot follows that would tell of
    the cut once more, since the window is full of those slots."""
    plan = load_plan(Path(__file__).parent / "planted" / f"{CUT_DURING_PHASE_1}.json")
    assert broken(plan, "P35") == {"leader/overtaken", "liveness/no-progress"}
    held_back, kill, slow_promises = plan.faults
    for masked in (
        msgspec.structs.replace(plan, faults=(kill, slow_promises)),  # the answers come while the first leader leads
        msgspec.structs.replace(plan, faults=(held_back, kill)),  # they come when the second one leads already
        msgspec.structs.replace(plan, limits=msgspec.structs.replace(plan.limits, window=16)),  # slots behind go on
    ):
        assert broken(masked, "P35") <= {"leader/overtaken"}
