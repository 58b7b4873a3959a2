"""Rehearsed restarts: they find the moment for a power cut, and leave the run as it was."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness import memory as memory_directories
from harness.shrink import shrink
from harness.worlds.lockstep.world import run_in_lockstep
from harness.worlds.simulated.world import SimulatedWorld, simulate
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Limits, Plan, Plant, Workload
from nemesis.strategies import generate
from paxos_impl.mutants.registry import find, hash_of

POWER = Fault("power", "it", trigger="first would_forget", duration_ns=50 * MILLISECOND)
BASE = Plan(
    seed=7,
    duration_ns=800 * MILLISECOND,
    settle_ns=1200 * MILLISECOND,
    workload=Workload(clients=3, rate=100.0, keys=2),
    limits=Limits(snapshot_every=10, keep_slots=2),
    faults=(POWER,),
)


def with_bug(plan: Plan, mutant: str) -> Plan:
    return msgspec.structs.replace(plan, mutant=Plant(mutant, hash_of(find(mutant))))


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_they_leave_no_trace_in_a_run_of_the_unmodified_code(seed: int) -> None:
    plan = generate("portfolio", seed)
    bare = msgspec.structs.replace(
        plan, faults=tuple(one for one in plan.faults if "would_forget" not in str(one.trigger))
    )
    assert len(bare.faults) == len(plan.faults) - 1
    world, without = SimulatedWorld(plan, record=True), SimulatedWorld(bare, record=True)
    one, other = world.run(), without.run()
    assert one.recording is not None and other.recording is not None
    assert one.recording.events == other.recording.events
    assert one.recording.history == other.recording.history
    assert one.steps == other.steps
    assert world.rehearsals.made > 0
    assert without.rehearsals.made == 0
    assert world.loop.now_ns == without.loop.now_ns


def test_a_checkpoint_that_forgets_is_found_without_a_crash_in_the_plan() -> None:
    """A replica whose snapshot is told before it is durable: nothing is lost until the power fails just then."""
    plan = with_bug(BASE, "N09")
    found = simulate(plan, stop_at_first=True)
    assert [one.rule for one in found.violations] == ["snapshot/forgotten"]
    begun = next(row for row in found.faults if row.fault == 0)
    assert begun.edge == "begin" and begun.evidence["trigger"] == "first would_forget"
    assert simulate(msgspec.structs.replace(plan, faults=())).violations == []


def test_lockstep_looks_at_the_same_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_directories, "MEMORY", tmp_path)
    plan = with_bug(BASE, "N09")
    here, there = simulate(plan, stop_at_first=True), run_in_lockstep(plan, stop_at_first=True)
    assert there.violations == here.violations != []
    assert there.digest == here.digest


def test_an_agent_that_cannot_start_again_would_forget() -> None:
    plan = with_bug(msgspec.structs.replace(BASE, final_power_cut=False), "S24")
    assert any(row.fault == 0 and row.edge == "begin" for row in simulate(plan).faults)


def test_nothing_is_looked_at_when_it_is_too_late_or_when_the_disk_is_known_to_be_damaged() -> None:
    world = SimulatedWorld(BASE)
    world.run()
    made, healed_ns = world.rehearsals.made, world.healed_ns
    assert made > 0 and world.loop.now_ns > healed_ns
    longer = SimulatedWorld(msgspec.structs.replace(BASE, settle_ns=3 * BASE.settle_ns))
    longer.run()
    assert longer.rehearsals.made == made
    rotten = Fault("corrupt", "all", at_ns=1, duration_ns=1)
    damaged = SimulatedWorld(msgspec.structs.replace(BASE, faults=(rotten, POWER)))
    damaged.run()
    assert damaged.rehearsals.made == 0


def test_a_shrunk_plan_names_a_moment_that_free_processes_have_too() -> None:
    result = shrink(with_bug(BASE, "N09"))
    assert result.rule == "snapshot/forgotten"
    assert len(result.plan.faults) == 1
    assert "would_forget" not in str(result.plan.faults[0].trigger)
