"""The gate on stored plans: what it stores, what it finds, what it does not cry about."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from harness.calibrate import with_election_timeout
from harness.errors import HarnessFault, UserError
from harness.gate import (
    BASELINE,
    FAMILIES,
    PLANS,
    SALTS,
    Measurement,
    broken_runs,
    draw_plans,
    gate,
    hash_of_plans,
    measure_all,
    read_baseline,
    read_plans,
    salted,
    write_baseline,
    write_plans,
)
from harness.measure import Measured
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, SECOND, Plan, PlanError, Plant, Workload, load_plan
from paxos_impl.mutants.registry import find, hash_of
from reports.gate import P99, RECOVERY, compare_virtual

MS = MILLISECOND
PLAN_COUNT = 8


def kills(seed: int) -> Plan:
    """Half a second with one dead leader."""
    return Plan(
        seed=seed,
        duration_ns=900 * MS,
        settle_ns=1 * SECOND,
        final_power_cut=False,
        workload=Workload(clients=4, rate=100.0),
        faults=(Fault("kill", "leader", at_ns=300 * MS, duration_ns=450 * MS),),
    )


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [kills(seed) for seed in range(PLAN_COUNT)]


@pytest.fixture(scope="module")
def measured(plans: list[Plan]) -> Measurement:
    return measure_all(plans, range(2))


@pytest.fixture
def stored(plans: list[Plan], measured: Measurement, tmp_path: Path) -> tuple[Path, Path]:
    """A file of plans, and their baseline."""
    write_plans(plans, tmp_path / "plans.jsonl")
    write_baseline(tmp_path / "metrics.json", hash_of_plans(tmp_path / "plans.jsonl"), 2, measured.figures)
    return tmp_path / "plans.jsonl", tmp_path / "metrics.json"


# What is stored.


def test_the_stored_plans_can_be_run_and_are_enough() -> None:
    plans = read_plans(PLANS)
    assert len(plans) == sum(count for _, count in FAMILIES) >= 200
    assert len({plan.seed for plan in plans}) >= 140
    assert sum(len(plan.faults) for plan in plans) > 2 * len(plans)
    assert PLANS.stat().st_size < 250_000


def test_the_baseline_is_of_the_stored_plans() -> None:
    baseline = read_baseline(BASELINE)
    assert baseline.plans_hash == hash_of_plans(PLANS), "renew it: make baseline"
    assert (len(baseline.figures), baseline.salts) == (len(read_plans(PLANS)), SALTS)
    assert BASELINE.stat().st_size < 40_000


def test_plans_are_stored_without_loss_and_without_defaults(tmp_path: Path) -> None:
    drawn = draw_plans()[::20]
    write_plans(drawn, tmp_path / "plans.jsonl")
    assert read_plans(tmp_path / "plans.jsonl") == drawn
    assert b"timing" not in (tmp_path / "plans.jsonl").read_bytes()


def test_a_salt_changes_the_random_streams_and_no_fault() -> None:
    plan = kills(3)
    other = salted(plan, 2)
    assert replace(other, seed=plan.seed) == plan
    assert other.seed != plan.seed
    assert salted(plan, 0) == plan


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no plan"),
        ('{"faults": []}\n{"faults": [{"kind": "kil", "at_ns": 1}]}\n', "line 2"),
    ],
)
def test_a_bad_file_of_plans_says_where(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "plans.jsonl"
    path.write_text(text)
    with pytest.raises((UserError, PlanError), match=words):
        read_plans(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "make baseline"),
        ("{}", "is no baseline"),
        ('{"schema_version":9,"plans_hash":"","salts":1,"figures":[]}', "of version 9"),
    ],
)
def test_a_bad_baseline_says_how_to_write_one(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "metrics.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_baseline(path)


# What it finds.


def test_code_that_behaves_the_same_gives_the_very_same_figures(stored: tuple[Path, Path]) -> None:
    result = gate(*stored)
    assert (result.exit_code, result.schedules) == (0, 2 * PLAN_COUNT)
    assert result.comparisons[0].notes == (f"{PLAN_COUNT} of {PLAN_COUNT} plans ran exactly as in the base",)


def test_workers_measure_the_same(plans: list[Plan], measured: Measurement) -> None:
    assert measure_all(plans[:4], range(2), jobs=2).runs == measured.runs[:4]


def test_an_election_timeout_made_twice_as_long_is_found(plans: list[Plan], measured: Measurement) -> None:
    slow = measure_all([with_election_timeout(plan, 2.0) for plan in plans], range(2, 4))
    found = compare_virtual(measured.figures, slow.figures)
    assert {RECOVERY, P99} & set(found.having("worse"))


def test_other_salts_of_the_same_code_raise_no_alarm(plans: list[Plan], measured: Measurement) -> None:
    again = measure_all(plans, range(2, 4))
    found = compare_virtual(measured.figures, again.figures)
    assert found.having("worse") == []
    assert found.notes == (f"0 of {PLAN_COUNT} plans ran exactly as in the base",)


def test_a_broken_rule_ends_with_1_and_is_kept_to_be_replayed(stored: tuple[Path, Path], tmp_path: Path) -> None:
    result = gate(*stored, store=tmp_path / "store", mutant=Plant("P01", hash_of(find("P01"))))
    assert result.exit_code == 1
    kept = Path(result.broken[0].run_directory)
    assert load_plan(kept / "plan.json").mutant is not None
    assert (kept / "results.json").is_file()
    assert [one.rule for one in result.broken if one.run_directory] == list(
        dict.fromkeys(one.rule for one in result.broken)
    )[: len([one for one in result.broken if one.run_directory])]


def test_a_baseline_of_other_plans_cannot_tell(stored: tuple[Path, Path], plans: list[Plan]) -> None:
    write_plans([replace(plan, seed=plan.seed + 100) for plan in plans], stored[0])
    result = gate(*stored)
    assert result.exit_code == 3
    assert "renew it with `make baseline`" in result.sentence


def test_a_hang_is_kept_as_a_plan_alone(plans: list[Plan], tmp_path: Path) -> None:
    from harness.figures import NOTHING

    hung = Measurement(((Measured(NOTHING, "harness/hang", "it did not end"),),))
    (broken,) = broken_runs(plans, hung, tmp_path)
    assert {path.name for path in Path(broken.run_directory).iterdir()} == {"plan.json"}


def test_a_worker_that_dies_is_a_fault_of_the_harness(plans: list[Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setattr("harness.gate.measure", lambda plan: os._exit(9))
    with pytest.raises(HarnessFault, match="a worker died"):
        measure_all(plans[:2], range(1), jobs=2)
