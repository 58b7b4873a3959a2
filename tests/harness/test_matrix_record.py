"""The recorded kill matrix: it is read as it was written, and rows that were not measured anew stay."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.errors import UserError
from harness.matrix import Trial, summarise
from harness.matrix_record import read_recorded, write_recorded
from tests.harness.trials import trial


def test_a_recorded_matrix_is_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "matrix.json"
    result = summarise([trial("A02"), trial("AQ1", killed=False)])
    assert result.rows[1].schedules_median is None
    write_recorded(result, path)
    assert sorted(read_recorded(path).rows, key=lambda one: one.mutant) == sorted(
        result.rows, key=lambda one: one.mutant
    )
    with pytest.raises(UserError, match="cannot be read"):
        read_recorded(tmp_path / "none.json")
    path.write_text("{}")
    with pytest.raises(UserError, match="no recorded matrix"):
        read_recorded(path)


def test_what_is_measured_of_some_bugs_leaves_the_other_rows(tmp_path: Path) -> None:
    path = tmp_path / "matrix.json"
    a02 = Trial("A02", "", "portfolio", 0, 9, True, 5, 50, "vote/two-values", code="old")
    a05 = msgspec.structs.replace(a02, mutant="A05")
    new = msgspec.structs.replace(a02, schedules=3, code="new")
    write_recorded(summarise([a02, a05]), path)
    write_recorded(summarise([new]), path, read_recorded(path))
    after = read_recorded(path)
    assert {row.mutant: row.schedules_median for row in after.rows} == {"A02": 3, "A05": 5}
    assert after.codes == ("new", "old")
    write_recorded(summarise([msgspec.structs.replace(new, mutant="A05")]), path, after)
    assert read_recorded(path).codes == ("new",)
