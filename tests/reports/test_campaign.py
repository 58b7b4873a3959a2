"""The page of a campaign: counts by strategy, failures with their first plan, and the cells that were never tried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reports.campaign import grid, read_campaign, situations, strategies, write_campaign_page
from reports.index import entries, write_index

MakeCampaign = Callable[..., Path]


def test_failures_link_to_their_first_run_wherever_the_store_was_moved(
    make_campaign: MakeCampaign, tmp_path: Path
) -> None:
    html = write_campaign_page(make_campaign(tmp_path / "store" / "campaign" / "20260101T000000-1")).read_text()
    assert "Violation found" in html and "1 of 3 schedules breaks a rule." in html
    assert 'href="failure-vote-lost-2/report.html"' in html and "/somewhere/else" not in html
    assert "torture shrink failure-vote-lost-2" in html
    assert "<script>document.title" not in html and "\u202e" not in html


def test_strategies_are_counted_and_damage_is_said(make_campaign: MakeCampaign, tmp_path: Path) -> None:
    directory = make_campaign(tmp_path / "campaign")
    with (directory / "rows.jsonl").open("a") as rows:
        rows.write('{"strategy": "ai')
    warnings: list[str] = []
    aimed, calm = strategies(directory, warnings)
    assert (aimed.name, aimed.runs, aimed.failures, aimed.first_failure) == ("aimed", 2, 1, 2)
    assert (calm.runs, calm.failures, calm.first_failure) == (1, 0, None)
    assert warnings == ["rows.jsonl: 1 damaged rows are left out"]


def test_cells_that_were_never_tried_are_named() -> None:
    found = grid({"kill leader": 3, "kill one": 1, "drop leader": 2, "partition cluster": 1})
    assert found is not None
    assert found.targets == ("one", "leader", "cluster")
    assert dict(found.rows)["drop"] == (0, 2, 0)
    assert found.empty == ("partition never at one or leader", "drop never at one")
    assert "power" in found.unused and "kill" not in found.unused
    assert grid({}) is None


def test_situations_are_told_with_the_rarest_first(make_campaign: MakeCampaign, tmp_path: Path) -> None:
    directory = make_campaign(tmp_path / "campaign")
    told = situations(read_campaign(directory))
    assert [(name, runs) for name, _, runs in told] == [("late leader", 0), ("same round", 1), ("catch-up", 3)]
    assert all(about for _, about, _ in told)
    html = write_campaign_page(directory).read_text()
    assert "a leader proposes though a higher ballot is led already" in html


def test_a_campaign_without_failures_passes_and_one_without_counts_says_so(
    make_campaign: MakeCampaign, tmp_path: Path
) -> None:
    html = write_campaign_page(make_campaign(tmp_path / "campaign", failures=False, cells={})).read_text()
    assert "Passed" in html and "3 schedules, no violation." in html
    assert "recorded before they were counted" in html


def test_the_index_lists_campaigns_with_their_verdict(make_campaign: MakeCampaign, tmp_path: Path) -> None:
    directory = make_campaign(tmp_path / "store" / "campaign" / "20260101T000000-17")
    write_campaign_page(directory)
    (entry,) = entries(tmp_path / "store")
    assert (entry.verdict, entry.link) == ("FAIL", "campaign/20260101T000000-17/report.html")
    assert entry.brief is not None and entry.brief.seed == 17
    assert "1 of 3 schedules breaks a rule: vote/lost" in write_index(tmp_path / "store").read_text()
    (directory / "campaign.json").write_text("{")
    assert [entry.verdict for entry in entries(tmp_path / "store")] == ["NONE"]


def test_a_damaged_campaign_is_the_callers_to_tell(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_campaign_page(tmp_path)
