"""A report is replaced as a whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.whole_files import write_whole


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_whole(path, "new \u2713\n")
    assert path.read_text(encoding="utf-8") == "new \u2713\n"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_replaced_stays_and_nothing_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.mkdir()
    with pytest.raises(OSError, match="report"):
        write_whole(path, "new")
    assert list(tmp_path.iterdir()) == [path]
