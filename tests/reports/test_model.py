"""A run directory becomes tables; whatever is missing or torn becomes a warning, never an exception."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.record import Operation, RowWriter
from harness.results import Verdict
from reports.model import load

MakeRun = Callable[..., Path]
MS = 1_000_000


def test_a_run_is_read_at_times_of_the_run(make_run: MakeRun) -> None:
    model = load(make_run("pass", operations=300))
    assert model.verdict is Verdict.PASS
    assert model.warnings == ()
    assert len(model.operations) == 300
    assert model.operations["intended_ns"].iloc[0] == 0
    assert model.operations["end_ns"].max() <= model.duration_ns
    assert [fault.kind for fault in model.faults] == ["kill", "partition", "delay", "pause", "drop"]
    assert model.agents == ("p0", "p1", "a0", "a1", "a2", "l0", "l1")


def _history(directory: Path, rows: list[Operation]) -> Path:
    writer = RowWriter(directory / "history" / "clients.rows")
    writer.write(rows)
    writer.close()
    return directory


def test_latency_counts_from_the_intended_time_and_outcomes_are_those_of_the_completions(tmp_path: Path) -> None:
    run = _history(
        tmp_path,
        [
            Operation("invoke", 120 * MS, 0, 0, "write", "k", "a", intended_ns=100 * MS),
            Operation("ok", 150 * MS, 0, 0, "write", "k", "a"),
            Operation("invoke", 130 * MS, 1, 0, "read", "k", intended_ns=130 * MS),
            Operation("ok", 140 * MS, 1, 0, "read", "k", "a"),
            Operation("invoke", 160 * MS, 2, 0, "read", "k", intended_ns=160 * MS),
            Operation("fail", 170 * MS, 2, 0, "read", "k", error="not leader"),
            Operation("invoke", 180 * MS, 3, 0, "read", "k", intended_ns=180 * MS),
        ],
    )
    table = load(run).operations
    assert table["latency_ns"].tolist() == [50 * MS, 10 * MS, 10 * MS, 0]
    assert table["outcome"].tolist() == ["ok", "ok", "fail", "info"]
    assert table["answered"].tolist() == [True, True, True, False]
    assert table["value"].tolist()[:2] == ["a", "a"], "a read shows what it returned"


def test_repeated_and_orphaned_events_are_said(tmp_path: Path) -> None:
    run = _history(
        tmp_path,
        [
            Operation("invoke", 1 * MS, 0, 0, "read", "k"),
            Operation("invoke", 2 * MS, 0, 0, "read", "k"),
            Operation("ok", 3 * MS, 9, 0, "read", "k"),
        ],
    )
    warnings = " ".join(load(run).warnings)
    assert "repeat" in warnings and "no invocation" in warnings


def test_without_results_there_is_no_verdict_but_the_faults_come_from_the_record(make_run: MakeRun) -> None:
    run = make_run("inconclusive", operations=400)
    judged = load(run)
    (run / "results.json").unlink()
    model = load(run)
    assert model.verdict is None
    assert any("results.json" in warning for warning in model.warnings)
    assert [fault.landed for fault in model.faults] == [fault.landed for fault in judged.faults]
    kill, judged_kill = model.faults[0], judged.faults[0]
    assert kill.end_ns is not None and kill.begin_ns is not None
    assert judged_kill.end_ns is not None and judged_kill.begin_ns is not None
    assert kill.end_ns - kill.begin_ns == judged_kill.end_ns - judged_kill.begin_ns
    assert kill.first_ok_after_heal_ns == judged_kill.first_ok_after_heal_ns


@pytest.mark.parametrize(
    "missing", ["history", "faults", "decided", "trace", "logs", "plan.json", "env.json", "results.json"]
)
def test_any_part_may_be_missing(make_run: MakeRun, missing: str) -> None:
    run = make_run("agreement", operations=200)
    path = run / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    model = load(run)
    assert model.directory == run
    if missing in ("history", "plan.json", "env.json", "results.json"):
        assert any(missing in warning for warning in model.warnings)


def test_torn_and_foreign_files_are_left_out_and_said(make_run: MakeRun) -> None:
    run = make_run("pass", operations=600)
    whole = len(load(run).operations)
    torn = run / "history" / "clients-1.rows"
    torn.write_bytes(torn.read_bytes()[:-5])
    (run / "trace" / "nonsense.rows").write_bytes(b"\xff" * 40)
    (run / "trace" / "a0.7.rows").write_bytes(b"\x00" * 3)
    (run / "plan.json").write_text("[1, 2")
    (run / "env.json").write_text("[]")
    model = load(run)
    said = "\n".join(model.warnings)
    assert 0 < len(model.operations) <= whole
    for name in ("clients-1.rows is torn", "nonsense.rows is not named", "a0.7.rows is torn", "plan.json", "env.json"):
        assert name in said


def test_an_empty_directory_is_a_run_with_nothing_on_record(tmp_path: Path) -> None:
    model = load(tmp_path)
    assert model.operations.empty and model.learned.empty and model.faults == ()
    assert model.duration_ns > 0


def test_no_directory_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="no run directory"):
        load(tmp_path / "absent")


def test_equal_values_share_an_id_and_different_ones_do_not(make_run: MakeRun) -> None:
    model = load(make_run("agreement", operations=200))
    per_slot = model.learned.groupby("slot")["value_id"].nunique()
    assert per_slot[per_slot > 1].index.tolist() == [17]
    assert np.all(model.learned["value_id"] < len(model.values))
