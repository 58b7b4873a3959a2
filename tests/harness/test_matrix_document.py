"""The kill matrix to read: what it says of its rows, and that the one of the project is made from its record."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from harness.matrix import Task, run_trial, short_code, summarise
from harness.matrix_document import document
from harness.matrix_record import Recorded, read_recorded, write_recorded
from tests.harness.trials import row, trial


def test_the_document_tells_how_many_die_within_how_many_schedules() -> None:
    text = document(Recorded(1, (row("A02", 1.0), row("A05", 7.0), row("P28", 300.0))))
    assert "1 within 1, 1 within 5, 2 within 20, 2 within 100" in text
    assert "Never killed" not in text


def test_the_document_tells_what_outlived_some_trials() -> None:
    some = summarise([trial("P48"), trial("P48", 1, killed=False), trial("A02")]).rows
    assert "1 of them killed in every trial" in document(Recorded(1, some))
    assert "Killed in some trials only: P48 (1 of 2)." in document(Recorded(1, some))


def test_the_document_tells_what_was_never_killed() -> None:
    survivor = summarise([trial("P35", killed=False)]).rows
    assert f"Never killed: P35 ({survivor[0].most_schedules:,} schedules)." in document(Recorded(1, survivor))


def test_trials_tell_which_code_ran_them(tmp_path: Path) -> None:
    path = tmp_path / "matrix.json"
    done = run_trial(Task("P28", "portfolio", 0, 30))
    assert done.code == short_code() and len(done.code) == 12
    write_recorded(summarise([done, replace(done, base=1)]), path)
    assert read_recorded(path).codes == (done.code,)
    assert f"were run with the code of hash `{done.code}`" in document(read_recorded(path))
    write_recorded(summarise([done, trial("A02")]), path)
    other = next(code for code in read_recorded(path).codes if code != done.code)
    text = document(read_recorded(path))
    assert f"except for A02 (`{other}`)" in text or f"except for P28 (`{done.code}`)" in text
    assert "The trials were run" not in document(Recorded(1, ()))


def test_the_document_of_the_project_is_not_stale() -> None:
    docs = Path(__file__).parents[2] / "docs"
    assert (docs / "kill-matrix.md").read_text() == document(read_recorded(docs / "kill-matrix.json"))
