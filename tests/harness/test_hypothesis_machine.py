"""The state machine finds nothing in the clean code, finds planted bugs, and ends its runs as every run ends."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from harness.hypothesis_machine import SMALL, ClusterMachine, SteppedWorld, machine_of
from nemesis.plan import MILLISECOND, Cluster, Limits
from paxos_impl.mutants.registry import find, plant

CLASSIC = msgspec.structs.replace(SMALL, cluster=Cluster("classic", proposers=2, acceptors=3, learners=2))
BUSY = msgspec.structs.replace(SMALL, limits=Limits(snapshot_every=5, keep_slots=1, page_bytes=256))
CHEAP = settings(
    max_examples=8,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
THOROUGH = settings(CHEAP, max_examples=300, stateful_step_count=50)
SEARCH = settings(CHEAP, max_examples=200, stateful_step_count=40, phases=[Phase.generate])


class TestCollapsed(machine_of(SMALL).TestCase):  # type: ignore[misc]
    settings = CHEAP


class TestClassic(machine_of(CLASSIC).TestCase):  # type: ignore[misc]
    settings = CHEAP


class TestSnapshots(machine_of(BUSY).TestCase):  # type: ignore[misc]
    settings = CHEAP


@pytest.mark.slow
@pytest.mark.parametrize("plan", [SMALL, CLASSIC, BUSY], ids=["collapsed", "classic", "snapshots"])
def test_a_thorough_search_finds_nothing(plan: object) -> None:
    run_state_machine_as_test(machine_of(plan), settings=THOROUGH)  # type: ignore[arg-type]


@pytest.mark.parametrize("bug", ["P01", pytest.param("A02", marks=pytest.mark.slow)])
def test_planted_bugs_are_found(bug: str) -> None:
    with pytest.raises(AssertionError, match="/"):
        run_state_machine_as_test(machine_of(SMALL, plant(find(bug))), settings=SEARCH)


def test_an_undisturbed_run_ends_as_a_calm_plan() -> None:
    world = SteppedWorld(SMALL)
    world.begin()
    world.advance(500 * MILLISECOND)
    world.read_back()
    world.advance(100 * MILLISECOND)
    run = world.finish()
    assert run.violations == []
    assert run.commands > 80
    assert [process.incarnation for process in world.processes] == [2, 2, 2]


def test_what_was_broken_is_healed_at_the_end() -> None:
    machine = ClusterMachine()
    machine.begin(warm_ms=400)
    machine.kill(0, back=False)
    machine.pause(1)
    for sender in range(3):
        machine.cut_link(sender, sender + 1)
    machine.advance(250)
    machine.teardown()
    assert all(process.up and not process.paused for process in machine.world.processes)
