"""The gate of the kill matrix: how many schedules it allows, and what fails it."""

from __future__ import annotations

import pytest

from harness import matrix
from harness.matrix import Task, Trial
from harness.matrix_gate import gate
from harness.matrix_record import Recorded
from tests.harness.trials import row, trial


def test_the_gate_allows_a_multiple_of_what_few_trials_let_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, int] = {}

    def run(task: Task) -> Trial:
        seen[task.mutant] = task.budget
        if not task.mutant:
            return Trial("", "", "portfolio", 1000, task.budget, False, task.budget, 1)
        return trial(task.mutant, task.base, killed=task.mutant not in ("AQ1", "L04"))

    monkeypatch.setattr(matrix, "run_trial", run)
    recorded = Recorded(1, (row("A02", 2.5), row("L04", 1.0), row("P12", 400.0)))
    result = gate(recorded, ids=["A02", "AQ1", "P12"], harmless_schedules=4, clean_schedules=9)
    assert seen == {"": 9, "A02": 147, "AQ1": 4}  # 13 × (2.5 + 20) / 2
    assert result.exit_code == 0 and result.deep == ("P12",)
    assert gate(recorded, ids=["L04"]).exit_code == 1
    unknown = gate(recorded, ids=["A05"])
    assert unknown.exit_code == 3 and "no recorded kill" in unknown.unknown[0]


def test_the_gate_fails_when_the_unmodified_code_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(task: Task) -> Trial:
        return Trial("", "", "portfolio", 1000, 9, True, 1, 1, "vote/two-values", "", 1000)

    monkeypatch.setattr(matrix, "run_trial", run)
    result = gate(Recorded(1, ()), ids=[])
    assert result.exit_code == 1 and "unmodified code: vote/two-values" in result.failures[0]
