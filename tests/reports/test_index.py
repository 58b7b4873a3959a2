"""index.html over a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reports import index
from reports.index import entries, write_index

MakeRun = Callable[..., Path]


def test_every_run_is_listed_newest_first_and_links_are_passed_over(make_run: MakeRun) -> None:
    runs = [make_run(story, operations=40) for story in ("pass", "agreement", "hostile")]
    store = runs[0].parent.parent
    (store / "latest").symlink_to(runs[0])
    (store / "torture" / "20270101T000000Z-broken").mkdir()
    (runs[1] / "report.html").write_text("")
    found = entries(store)
    assert [entry.verdict for entry in found] == ["NONE", "PASS", "FAIL", "FAIL"]
    assert found[3].link == f"torture/{runs[1].name}/report.html"
    html = write_index(store).read_text(encoding="utf-8")
    assert html.count("<tr data-verdict=") == 4
    assert "not judged" in html and "planted bug A01" in html
    assert "<script>document.title" not in html
    assert write_index(store).read_text(encoding="utf-8") == html


def test_the_index_is_bounded_and_says_so(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [make_run("pass", operations=40, seed=seed) for seed in range(3)]
    store = runs[0].parent.parent
    monkeypatch.setattr(index, "RUNS_AT_MOST", 2)
    html = write_index(store).read_text(encoding="utf-8")
    assert html.count("<tr data-verdict=") == 2 and "3 runs" in html and "the newest 2 are listed" in html


def test_an_empty_store_and_no_store(tmp_path: Path) -> None:
    assert "No runs here yet" in write_index(tmp_path).read_text(encoding="utf-8")
    with pytest.raises(NotADirectoryError, match="no directory of runs"):
        write_index(tmp_path / "absent")
