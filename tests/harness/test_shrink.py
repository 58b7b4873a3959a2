"""Shrinking: smaller, the same rule, clean code passes, and a test that fails is left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.errors import UserError
from harness.shrink import Attempt, Shrinker, ShrinkResult, _Observed, _telling, shrink
from harness.shrunk import regression_test, write_shrunk
from harness.time_limit import Hang
from harness.worlds.simulated.world import SimulatedRun, simulate
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Cluster, Plan, Plant, Workload, load_plan
from paxos_impl.mutants.registry import find, hash_of
from paxos_impl.parts import CORRECT

MS = MILLISECOND


def plan_of(*faults: Fault, mutant: str = "", **fields: object) -> Plan:
    plan = Plan(
        seed=3,
        duration_ns=900 * MS,
        settle_ns=600 * MS,
        faults=faults,
        mutant=Plant(mutant, hash_of(find(mutant))) if mutant else None,
    )
    return msgspec.structs.replace(plan, **fields)


NOISE = tuple(
    Fault(kind, "one", at_ns=(100 + 80 * place) * MS, duration_ns=30 * MS)
    for place, kind in enumerate(("pause", "slow_sync", "delay", "drop", "duplicate"))
)
FORGETS = (
    *NOISE,
    Fault("kill", "all", at_ns=600 * MS, duration_ns=20 * MS),
    Fault("pause", "one", at_ns=700 * MS, duration_ns=30 * MS),
)
"""An acceptor that does not log its votes (A02) forgets them when it is killed."""


def clean(plan: Plan) -> bool:
    return not simulate(plan, parts=CORRECT).violations


def test_a_bug_that_needs_one_kill_is_left_with_one_fault_at_most() -> None:
    plan = plan_of(*FORGETS, mutant="A02", final_power_cut=False)
    broken = simulate(plan, stop_at_first=True).violations[0]
    result = shrink(plan)
    assert result.rule == broken.rule
    assert result.faults_before == 7
    assert result.faults_after <= 1
    assert result.minimal
    assert len(result.sentences) == result.faults_after
    assert simulate(result.plan, stop_at_first=True).violations[0].rule == broken.rule
    assert clean(result.plan)


def test_the_run_gets_smaller_too() -> None:
    workload = Workload(clients=8, keys=5)
    plan = plan_of(*FORGETS, mutant="A02", cluster=Cluster(nodes=5), workload=workload)
    small = shrink(plan).plan
    assert small.cluster.nodes == 3
    assert small.workload.clients < 8
    assert small.workload.keys == 1
    assert small.workload.operations <= 20
    assert small.duration_ns < plan.duration_ns


def test_every_accepted_step_breaks_the_rule_and_passes_on_the_unmodified_code() -> None:
    steps: list[Plan] = []
    plan = plan_of(*FORGETS, mutant="A02")
    result = shrink(plan, progress=lambda smaller, replays: steps.append(smaller))
    assert len(steps) > 3
    assert steps[-1] == result.plan
    for step in steps:
        assert simulate(step, stop_at_first=True).violations[0].rule == result.rule
        assert clean(step)


def test_what_also_breaks_the_unmodified_code_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unmodified code that fails whenever a fault is missing: nothing may be left out."""
    plan = plan_of(*FORGETS[5:], mutant="A02", final_power_cut=False)
    attempt = Shrinker._attempt

    def unlucky(self: Shrinker, candidate: Plan, *, clean: bool = False) -> Attempt:
        found = attempt(self, candidate, clean=clean)
        return msgspec.structs.replace(found, rule="liveness/down") if clean and len(candidate.faults) < 2 else found

    monkeypatch.setattr(Shrinker, "_attempt", unlucky)
    assert shrink(plan).faults_after == 2


@pytest.mark.parametrize("ends", [Hang(), ValueError("boom"), SystemExit(5)])
def test_a_candidate_that_does_not_run_to_its_end_is_not_accepted(
    monkeypatch: pytest.MonkeyPatch, ends: BaseException
) -> None:
    plan = plan_of(*FORGETS[5:], mutant="A02", final_power_cut=False)
    run = _Observed.run

    def unlucky(self: _Observed) -> SimulatedRun:
        if len(self.plan.faults) < 2:
            raise ends
        return run(self)

    monkeypatch.setattr(_Observed, "run", unlucky)
    assert shrink(plan).faults_after == 2
    with pytest.raises(UserError, match=r"^harness/(hang|raised): .* cannot be shrunk: `torture replay` repeats it"):
        shrink(plan_of(mutant="A02"))


MUTE = """
from paxos_impl.acceptor import Acceptor
from paxos_impl.mutants.registry import mutant

@mutant("MUTE", "after a restart nothing is accepted", rule="-", breaks="P")
class Mute(Acceptor):
    restarted = False

    def recover_promise(self, record):
        super().recover_promise(record)
        self.restarted = True

    def on_accept(self, source, message):
        if not self.restarted:
            super().on_accept(source, message)
"""


def test_a_lack_of_progress_is_shrunk_without_touching_its_bound(tmp_path: Path) -> None:
    (tmp_path / "mute.py").write_text(MUTE)
    plan = plan_of(*FORGETS, mutant=f"{tmp_path}/mute.py:MUTE", final_power_cut=False)
    result = shrink(plan)
    assert result.rule in {"liveness/no-progress", "liveness/not-converged"}  # as some or none of the answers got out
    assert result.faults_after == 1
    assert "kill" in result.sentences[0]
    assert result.plan.settle_ns == plan.settle_ns
    assert clean(result.plan)


def test_a_plan_that_does_not_fail_is_told() -> None:
    plan = plan_of(*NOISE)
    result = shrink(plan)
    assert (result.rule, result.exit_code, result.replays) == (None, 3, 1)
    assert result.plan == plan


def test_the_budget_of_replays_is_kept() -> None:
    result = shrink(plan_of(*FORGETS, mutant="A02"), budget=5)
    assert result.replays == 5
    assert not result.minimal
    assert result.exit_code == 0
    assert simulate(result.plan, stop_at_first=True).violations[0].rule == result.rule


def test_shrinking_is_deterministic() -> None:
    one, other = (shrink(plan_of(*FORGETS, mutant="A02"), budget=40) for _ in range(2))
    assert one.plan == other.plan
    assert one.replays == other.replays


def test_a_trigger_names_a_telling_event_before_the_fault_and_counts_it() -> None:
    before = [(1, "leader", "r0"), *((2 + number, "applied", "r1") for number in range(30)), (40, "prepare", "r1")]
    assert _telling(before) == ["first agent r1 prepare"]
    assert _telling([*before, (41, "leader", "r0")]) == ["first agent r1 prepare", "2nd agent r0 leader"]


def test_the_test_that_is_left_fails_as_long_as_the_bug_is_there(tmp_path: Path) -> None:
    result = shrink(plan_of(*FORGETS, mutant="A02"), budget=20)
    plan_path, test_path = write_shrunk(result, tmp_path)
    assert load_plan(plan_path) == result.plan
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test_path)]
    broken = subprocess.run(command, capture_output=True, text=True, check=False)
    assert broken.returncode == 1, broken.stdout
    assert result.sentence[:40] in broken.stdout
    write_shrunk(msgspec.structs.replace(result, plan=msgspec.structs.replace(result.plan, mutant=None)), tmp_path)
    fixed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert fixed.returncode == 0, fixed.stdout


def test_the_test_that_is_left_is_python_whatever_a_sentence_says() -> None:
    result = ShrinkResult(Plan(), "rule", 'a """quoted""" \\ sentence', 1, 1, 1, 0.0, True, ('kill """r0"""',))
    compile(regression_test(result, "shrunk.json"), "test_shrunk.py", "exec")
