"""From a run directory to results.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import verdict
from harness.record import FaultEvent, Operation, RowWriter
from harness.results import Verdict, read_results, write_results
from nemesis.faults import Fault
from nemesis.plan import Plan


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Clients alone: one write that succeeded, one read of it; no agent left any log."""
    writer = RowWriter(tmp_path / "history" / "c.rows")
    ms = 1_000_000
    writer.write(
        [
            Operation("invoke", 10 * ms, 1, 1, "write", "k", "a", intended_ns=9 * ms),
            Operation("ok", 12 * ms, 1, 1, "write", "k", "a"),
            Operation("invoke", 20 * ms, 1, 2, "read", "k", intended_ns=20 * ms),
            Operation("info", 30 * ms, 1, 2, "read", "k", error="timeout"),
        ]
    )
    writer.close()
    return tmp_path


def assemble(directory: Path, plan: Plan, **changes: Any) -> Any:
    given = {"world": "simulated", "interrupted": False, "reproduce": "torture replay x", "environment": {"cpus": 2}}
    return verdict.assemble(directory, plan, **(given | changes))


def test_results_can_be_written_and_read_back(directory: Path) -> None:
    results = assemble(directory, Plan(seed=7))
    write_results(directory, results)
    assert msgspec.to_builtins(read_results(directory)) == msgspec.to_builtins(results)
    assert results.seed == 7
    assert results.environment == {"cpus": 2}


def test_counts_and_metrics(directory: Path) -> None:
    results = assemble(directory, Plan())
    assert results.counts["by_type"] == {"ok": 1, "info": 1}
    assert results.counts["errors"] == {"timeout": 1}
    assert results.metrics["latency_ns"]["ok"] == dict.fromkeys(("p50", "p90", "p99", "p99.9", "max"), 3_000_000)
    assert results.duration_ns == 20_000_000


def test_a_run_without_logs_is_no_pass(directory: Path) -> None:
    results = assemble(directory, Plan())
    assert results.verdict is Verdict.FAIL or results.verdict is Verdict.INCONCLUSIVE
    assert results.verdict is Verdict.INCONCLUSIVE
    assert results.exit_code == 3
    assert "cannot be told" in results.sentence


def test_an_interrupted_run_is_told_as_such(directory: Path) -> None:
    results = assemble(directory, Plan(), interrupted=True)
    assert results.exit_code == 130
    assert "Interrupted" in results.sentence


def test_a_fault_that_did_not_land_is_in_the_results(directory: Path) -> None:
    writer = RowWriter(directory / "faults" / "n.rows")
    writer.write([FaultEvent(1, "begin", 0, "kill", ("r0",), {"unsupported": "no"})])
    writer.close()
    results = assemble(directory, Plan(faults=(Fault("kill", at_ns=0),)))
    assert [fault.landed for fault in results.faults] == [False]
    assert results.checks[-1].name == "evidence"
    assert results.checks[-1].verdict is Verdict.INCONCLUSIVE


def test_quantiles_are_of_the_nearest_rank() -> None:
    assert verdict.quantiles(list(range(1, 101))) == {"p50": 50, "p90": 90, "p99": 99, "p99.9": 100, "max": 100}
    assert verdict.quantiles([5]) == dict.fromkeys(("p50", "p90", "p99", "p99.9", "max"), 5)
    assert verdict.quantiles([]) == {}
