"""The pictures: they can be drawn for every story, stand alone, and are the same bytes each time."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from reports.model import load
from reports.palette import OUTCOME_COLOURS
from reports.pictures import PICTURES, draw_all
from reports.plots import _label_decades, _lane_names, _plain_number

MakeRun = Callable[..., Path]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _chunks(png: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    at = len(SIGNATURE)
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        found.setdefault(png[at + 4 : at + 8].decode(), png[at + 8 : at + 8 + length])
        at += 12 + length
    return found


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_run_gives_the_same_bytes_and_no_metadata(make_run: MakeRun, name: str) -> None:
    run = make_run("agreement", operations=300)
    first, again = (PICTURES[name](load(run)) for _ in range(2))
    assert first is not None and first == again
    assert first.startswith(SIGNATURE)
    chunks = _chunks(first)
    assert chunks.keys() <= {"IHDR", "PLTE", "pHYs", "IDAT", "IEND"}, "no date, no version of the library"
    assert int.from_bytes(chunks["IHDR"][:4], "big") >= 1000


def test_rare_colours_survive_the_palette(make_run: MakeRun) -> None:
    picture = PICTURES["timeline.png"](load(make_run("pass", operations=2_000)))
    assert picture is not None
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    for outcome, colour in OUTCOME_COLOURS.items():
        legend = [0.85 * int(colour[at : at + 2], 16) + 0.15 * 255 for at in (1, 3, 5)]
        assert (np.abs(pixels - legend).max(axis=2) <= 6).sum() > 20, outcome


@pytest.mark.parametrize("story", ["agreement", "hostile", "interrupted", "error"])
def test_every_story_can_be_drawn(make_run: MakeRun, story: str) -> None:
    written, warnings = draw_all(load(make_run(story, operations=120)))
    assert warnings == []
    assert {path.name for path in written} >= PICTURES.keys() - {"spacetime.png"}


def test_a_run_with_nothing_on_record_can_be_drawn(tmp_path: Path) -> None:
    written, warnings = draw_all(load(tmp_path))
    assert warnings == [] and len(written) == 3


def test_a_counterexample_is_drawn_and_goes_when_there_is_none(make_run: MakeRun) -> None:
    run = make_run("agreement", operations=120)
    written, _ = draw_all(load(run))
    assert run / "spacetime.png" in written
    (run / "results.json").unlink()
    written, _ = draw_all(load(run))
    assert run / "spacetime.png" not in written and not (run / "spacetime.png").exists()


def test_a_picture_that_cannot_be_drawn_is_a_warning(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> bytes:
        raise RuntimeError("no ink")

    monkeypatch.setitem(PICTURES, "latency.png", broken)
    written, warnings = draw_all(load(make_run("pass", operations=60)))
    assert [path.name for path in written] == ["timeline.png", "availability.png"]
    assert len(warnings) == 1 and "latency.png" in warnings[0] and "no ink" in warnings[0]


def test_no_window_system_and_no_global_figure_are_used() -> None:
    code = "import sys, reports.render; print('matplotlib.pyplot' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_a_second_lane_of_a_kind_bears_no_name() -> None:
    assert _lane_names(["kill", "partition", "partition", "drop"]) == ["kill", "partition", "", "drop"]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (22, 550, ["50", "100", "200", "500"]),
        (30, 70, ["30", "40", "50", "60", "70"]),
        (0.5, 4_000, ["1", "10", "100", "1,000"]),
    ],
)
def test_an_axis_of_logarithms_is_labelled_in_plain_numbers_however_short(
    low: float, high: float, labels: list[str]
) -> None:
    figure = Figure()
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    panel.set_yscale("log")
    panel.set_ylim(low, high)
    _label_decades(panel.yaxis, _plain_number)
    figure.canvas.draw()
    drawn = [(one.get_position()[1], one.get_text()) for one in panel.get_yticklabels(which="both")]
    assert [text for at, text in sorted(drawn) if text and low <= at <= high] == labels
