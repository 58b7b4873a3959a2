"""The kill-matrix page: made from the recorded rows alone, with what the registry knows of each bug."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from harness.kill_matrix_page import kill_matrix, write_page
from harness.matrix import MatrixRow
from harness.matrix_record import read_recorded
from harness.override_calls import MethodCalls

DOCS = Path(__file__).parent.parent.parent / "docs"
ROW = MatrixRow("A02", "portfolio", 4, 4, 2.0, 2.0, 3.0, 900.0, 1200.0, {"vote/forgotten": 4}, 1, 2)


def test_bugs_are_told_by_the_portfolio_and_ordered_by_difficulty() -> None:
    hard = replace(ROW, mutant="A01", killed=1, schedules_mean=50.0, schedules_median=None)
    never = replace(ROW, mutant="A03", killed=0, schedules_mean=99.0, schedules_median=None, rules={})
    single = replace(ROW, strategy="aimed", killed=2)
    found = kill_matrix([never, hard, single, ROW, replace(ROW, mutant="")])
    assert [(row.id, row.found, row.killed) for row in found.bugs] == [
        ("A02", "always", 4),
        ("A01", "sometimes", 1),
        ("A03", "never", 0),
    ]
    assert [(row.name, row.bugs, row.killed) for row in found.strategies] == [("aimed", 1, 1), ("portfolio", 3, 2)]
    assert found.bugs[0].bar < found.bugs[1].bar == 1.0


def test_a_bug_that_the_registry_does_not_know_is_still_told() -> None:
    found = kill_matrix([replace(ROW, mutant="mine.py:X1")])
    (row,) = found.bugs
    assert (row.id, row.about, row.family) == ("X1", "", "own")
    assert not found.waiting and kill_matrix([ROW]).waiting


def test_a_survivor_is_told_by_what_was_called_of_it(tmp_path: Path) -> None:
    survivor = replace(ROW, killed=0, rules={}, calls=(MethodCalls("log_vote", 0, 0, 8),))
    html = write_page([survivor], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "survived 8 schedules; log_vote was never called: no schedule reaches it" in html


def test_the_page_says_what_the_document_says(tmp_path: Path) -> None:
    recorded = read_recorded(DOCS / "kill-matrix.json")
    html = write_page(recorded.rows, tmp_path / "kill-matrix.html").read_text(encoding="utf-8")
    matrix = kill_matrix(recorded.rows)
    assert html.count("<tr data-verdict=") == len(matrix.bugs)
    document = (DOCS / "kill-matrix.md").read_text(encoding="utf-8")
    assert document.count("\n| ") > len(matrix.bugs)
    assert all(f"| {row.id} |" in document and f"<b>{row.id}</b>" in html for row in (*matrix.bugs, *matrix.harmless))
    assert "Content-Security-Policy" in html and "http" not in html.replace("http-equiv", "")
