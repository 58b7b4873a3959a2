"""Healing only a majority: what is broken stays so, and the others owe progress without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.worlds.simulated.world import SimulatedWorld
from nemesis.faults import Fault, Parameter
from nemesis.plan import MILLISECOND, SECOND, Cluster, Plan, Workload, load_plan
from paxos_impl.learner import Learner
from paxos_impl.messages import Learn
from paxos_impl.mutants.registry import find, plant
from paxos_impl.parts import CORRECT, Parts

DEAF_LEADER = Fault(
    "partition", "leader", at_ns=900 * MILLISECOND, duration_ns=-1, params={"shape": "one_way", "direction": "deaf"}
)
KILLED = Fault("kill", "minority", at_ns=900 * MILLISECOND, duration_ns=-1)


class LearnsFromNobody(Learner):
    def on_learn(self, source: int, message: Learn) -> None:
        pass


def world(
    *faults: Fault, heal: str = "majority", deployment: str = "collapsed", parts: Parts = CORRECT
) -> SimulatedWorld:
    made = Plan(
        seed=3,
        duration_ns=SECOND,
        heal=heal,  # type: ignore[arg-type]
        cluster=Cluster(deployment=deployment),  # type: ignore[arg-type]
        workload=Workload(clients=4),
        faults=faults,
    )
    return SimulatedWorld(made, parts=parts)


def cut(target: str, peer: str, way: str = "both") -> Fault:
    """Their link is of no use any more, all others are."""
    params: dict[str, Parameter] = {"probability": 1.0, "peer": peer, "way": way}
    return Fault("drop", target, at_ns=900 * MILLISECOND, duration_ns=-1, params=params)


@pytest.mark.parametrize("way", ["both", "in", "out"])
@pytest.mark.parametrize(
    ("deployment", "target", "peer"),
    [
        ("collapsed", "leader", "r0"),
        ("collapsed", "leader", "r1"),
        ("collapsed", "leader", "r2"),
        ("classic", "leader", "a0"),
        ("classic", "leader", "l0"),
        ("classic", "agent:p0", "p1"),
        ("classic", "agent:a0,a1,a2", "p0"),
        ("classic", "agent:a0,a1,a2", "p1"),
    ],
)
def test_the_others_go_on_when_one_link_stays_cut(deployment: str, target: str, peer: str, way: str) -> None:
    fault = cut(target, peer, way)
    run = world(fault, deployment=deployment).run()
    assert run.violations == []
    (begun,) = [row for row in run.faults if row.fault == 0 and row.edge == "begin"]
    (end,) = [row for row in run.faults if row.fault == 0 and row.edge == "end"]
    if begun.targets == (peer,):
        assert begun.evidence["links"] == 0 and end.time_ns == SECOND
    else:
        assert end.time_ns > run.healed_ns + SECOND
    assert world(fault, deployment=deployment, heal="all").run().violations == []


def test_a_leader_whose_learners_all_do_not_hear_it_is_healed() -> None:
    run = world(cut("agent:l0,l1", "p0"), deployment="classic").run()
    assert [row.time_ns for row in run.faults if row.fault == 0 and row.edge == "end"] == [SECOND]


@pytest.mark.parametrize("deployment", ["collapsed", "classic"])
@pytest.mark.parametrize("fault", [DEAF_LEADER, KILLED], ids=["deaf leader", "minority killed"])
def test_the_others_go_on(fault: Fault, deployment: str) -> None:
    run = world(fault, deployment=deployment).run()
    assert run.violations == []
    ends = [row for row in run.faults if row.fault == 0 and row.edge == "end"]
    assert [row.time_ns > run.healed_ns + SECOND for row in ends] == [True]


def test_healing_all_ends_every_fault_at_once() -> None:
    run = world(DEAF_LEADER, heal="all").run()
    assert [row.time_ns for row in run.faults if row.fault == 0 and row.edge == "end"] == [run.healed_ns]


def test_a_majority_is_never_left_broken() -> None:
    everyone = Fault("pause", "all", at_ns=900 * MILLISECOND, duration_ns=-1)
    run = world(everyone).run()
    assert run.violations == []
    assert [row.time_ns for row in run.faults if row.fault == 0 and row.edge == "end"] == [SECOND]


def test_a_heal_is_complete_when_what_was_held_back_has_come() -> None:
    late = Fault("delay", "all", at_ns=900 * MILLISECOND, duration_ns=-1, params={"delay_ns": 300 * MILLISECOND})
    run = world(late, heal="all").run()
    assert SECOND + 200 * MILLISECOND < run.healed_ns <= SECOND + 310 * MILLISECOND


def test_a_deaf_leader_that_goes_on_leading_is_seen() -> None:
    mutant = plant(find("E20"))
    rules = {one.rule for one in world(DEAF_LEADER, parts=mutant).run().violations}
    assert "liveness/no-progress" in rules
    assert world(DEAF_LEADER, heal="all", parts=mutant).run().violations == []


def test_more_time_does_not_help_who_makes_no_headway() -> None:
    slow = load_plan(Path(__file__).parents[3] / "regressions/long-catch-up-in-small-pages.json")
    stuck = SimulatedWorld(slow, parts=Parts(learner=LearnsFromNobody)).run()
    assert "liveness/not-converged" in {one.rule for one in stuck.violations}
