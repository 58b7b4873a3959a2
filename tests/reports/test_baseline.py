"""A run beside its baseline: the figures of both, and whether they ran the same plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reports.baseline import compare_runs
from reports.model import load
from reports.render import render_run

MakeRun = Callable[..., Path]


def test_a_run_beside_itself_is_equal_in_everything(make_run: MakeRun) -> None:
    model = load(make_run("pass", operations=200))
    found = compare_runs(model, model)
    assert found.same_plan
    assert {row.change for row in found.figures} == {"equal"}
    assert found.chart is not None and all(row.before_x == row.after_x for row in found.chart.rows)


def test_another_plan_is_said_and_ratios_are_those_of_the_figures(make_run: MakeRun) -> None:
    run, base = make_run("pass", operations=400), make_run("agreement", operations=200, seed=8)
    found = compare_runs(load(run), load(base))
    assert not found.same_plan
    figures = {row.name: row for row in found.figures}
    assert (figures["operations"].before, figures["operations"].after, figures["operations"].change) == (
        "200",
        "400",
        "× 2.00",
    )
    assert not [warning for warning in render_run(run, base).warnings if "could not" in warning]
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "They ran different plans" in html and base.name in html and "seed 8" in html
    render_run(run)
    assert "Compared with a baseline" not in (run / "report.html").read_text(encoding="utf-8")


def test_an_empty_baseline_compares_with_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = compare_runs(load(make_run("pass", operations=40)), load(tmp_path / "empty"))
    assert {row.name: row.before for row in found.figures}["latency p50"] == "—"
    nothing = compare_runs(load(tmp_path / "empty"), load(tmp_path / "empty"))
    assert nothing.chart is None
