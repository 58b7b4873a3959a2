"""What travels with the page: a bounded, honest sample, fault lanes, slots by learners, leaders."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.record import FaultEvent, RowWriter
from harness.results import FaultResult
from reports import timeline
from reports.agreement import leaders, slots
from reports.lanes import LANES_AT_MOST, fault_lanes, shaded
from reports.model import load
from reports.timeline import sample, timeline_data

MakeRun = Callable[..., Path]


def test_a_small_run_is_shown_whole(make_run: MakeRun) -> None:
    model = load(make_run("pass", operations=300))
    chosen = sample(model)
    assert len(chosen.rows) == chosen.total == 300 and chosen.complete


def test_everything_unusual_is_kept_and_the_rest_thinned(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "ORDINARY_AT_MOST", 50)
    model = load(make_run("pass", operations=2_000))
    chosen = sample(model)
    table = model.operations
    unusual = table.index[(table["outcome"] != "ok") | (table["latency_ns"] > chosen.slow_ns)]
    assert chosen.complete and set(unusual) <= set(chosen.rows.tolist())
    assert len(chosen.rows) == len(unusual) + 50
    assert np.all(np.diff(chosen.rows) > 0)


def test_when_even_the_unusual_is_too_much_the_page_says_so(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "POINTS_AT_MOST", 10)
    chosen = sample(load(make_run("pass", operations=600)))
    assert not chosen.complete and len(chosen.rows) == 10


def test_columns_unpack_to_the_table(make_run: MakeRun) -> None:
    model = load(make_run("pass", operations=300))
    data = timeline_data(model, sample(model))
    points = data["points"]
    times = np.frombuffer(base64.b64decode(points["time"]), dtype="<u4")
    assert points["unit_us"] == 1
    assert times.tolist() == (model.operations["intended_ns"] // 1000).tolist()
    keys = np.frombuffer(base64.b64decode(points["key"]), dtype="<u2")
    assert [points["keys"][key] for key in keys] == model.operations["key"].tolist()
    clients = np.frombuffer(base64.b64decode(points["client"]), dtype="<u2")
    assert [points["clients"][client] for client in clients[:10]] == [*"12345678", "1", "2"]
    windows = len(data["available"])
    assert (
        {len(row) for row in data["quantiles"].values()}
        == {windows}
        == {len(row) for row in data["throughput"].values()}
    )
    assert "NaN" not in json.dumps(data)


def test_the_final_power_cut_is_drawn_but_is_no_fault_of_the_plan(make_run: MakeRun) -> None:
    run = make_run("pass", operations=200)
    writer = RowWriter(run / "faults" / "final.rows")
    started = load(run).started_ns
    for edge, time in (("begin", 3_500_000_000), ("end", 3_700_000_000)):
        writer.write([FaultEvent(started + time, edge, -1, "power", ("a0", "a1", "a2"), {})])  # type: ignore[arg-type]
    writer.close()
    model = load(run)
    assert [fault.kind for fault in model.final_faults] == ["final power"] and len(model.faults) == 5
    data = timeline_data(model, sample(model))
    assert data["lanes"][-1] == {
        "kind": "final power",
        "device": "process",
        "bars": [{"fault": -1, "begin": 3_500_000, "end": 3_700_000, "landed": True, "targets": "a0, a1 and a2"}],
    }


def test_overlapping_faults_shade_once() -> None:
    lanes = fault_lanes([_fault(0, "drop", 0, 10), _fault(1, "delay", 5, 20), _fault(2, "drop", 30, 40)], 100)
    assert shaded(lanes) == {"link": [(0, 20), (30, 40)]}


def _fault(index: int, kind: str, begin: int | None, end: int | None) -> FaultResult:
    return FaultResult(index, kind, ("r0",), kind, begin, end, {}, True, 0, 0, None, None)


def test_overlapping_faults_of_a_kind_get_rows_of_their_own() -> None:
    lanes = fault_lanes(
        [
            _fault(0, "drop", 0, 10),
            _fault(1, "kill", 5, 8),
            _fault(2, "drop", 5, None),
            _fault(3, "drop", 10, 12),
            _fault(4, "kill", None, None),
        ],
        duration_ns=100,
    )
    assert [(lane.kind, [bar.fault for bar in lane.bars]) for lane in lanes] == [
        ("kill", [1]),
        ("drop", [0, 3]),
        ("drop", [2]),
    ]
    assert lanes[2].bars[0].end_ns == 100


def test_lanes_are_bounded() -> None:
    many = [_fault(index, "drop", 0, 100) for index in range(500)] + [_fault(500, "kill", 0, 1)]
    lanes = fault_lanes(many, 100)
    assert len(lanes) == LANES_AT_MOST
    assert sum(len(lane.bars) for lane in lanes) == 501


def test_slots_by_learners_show_gaps_and_mismatches(make_run: MakeRun) -> None:
    found = slots(load(make_run("agreement", operations=600)))
    assert found is not None
    assert found.mismatch_total == 1 and found.mismatches[0].slot == 17
    assert [who for who, _ in found.mismatches[0].values] == ["l0", "l1"]
    by_name = {name: (cells, known, gaps) for name, cells, known, gaps in found.learners}
    assert by_name["l0"][2] == 0 and by_name["l1"][2] > 0
    for cells, known, gaps in by_name.values():
        assert known + gaps == found.last - found.first + 1
        assert any(cell.state == "mismatch" for cell in cells)
    assert any(cell.state == "gap" for cell in by_name["l1"][0])


def test_without_decided_slots_there_is_no_table(tmp_path: Path) -> None:
    assert slots(load(tmp_path)) is None


def test_two_leaders_at_once_are_a_duel(make_run: MakeRun) -> None:
    found = leaders(load(make_run("agreement", operations=400)))
    assert found.duels == 1 and found.lanes == ("p0", "p1")
    assert [item.duel for item in found.leaderships] == [True, True]


def test_a_killed_leader_no_longer_leads(make_run: MakeRun) -> None:
    model = load(make_run("pass", operations=400))
    found = leaders(model)
    assert found.duels == 0
    assert found.leaderships[0].end_ns == model.faults[0].begin_ns
