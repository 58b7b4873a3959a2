"""What readers get of the gate: terminal, Markdown, JUnit, picture. Foreign text marks nothing up."""

from __future__ import annotations

import io
from random import Random
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from harness.figures import Figures
from reports.compare_plot import compare_png
from reports.gate import Broken, GateResult, compare_virtual, compare_wall
from reports.gate_text import junit_xml, lines, markdown
from tests.reports.test_gate import plan_figures, runs, with_more

EVIL = "<b>|`x`\x1b[31m\n# h"


@pytest.fixture(scope="module")
def worse() -> GateResult:
    base = plan_figures(Random(1))
    head: list[Figures] = [with_more("recovery_ns", 1.4)(one) for one in plan_figures(Random(2))]
    wall = compare_wall(runs(Random(4), 0.03), runs(Random(5), 0.03, 1.5))
    return GateResult("v1 (abc)", EVIL, 600, (), (compare_virtual(base, head), wall))


@pytest.fixture(scope="module")
def broken() -> GateResult:
    return GateResult("v1", "v2", 3, (Broken("plan 1, salt 0", "agreement/two-values", EVIL, "store/x"),), ())


def test_the_terminal_tells_every_metric_and_how_it_was_decided(worse: GateResult) -> None:
    text = "\n".join(lines(worse))
    assert "600 schedules judged by all oracles, 0 broke a rule" in text
    assert "✕ recovery time" in text and "worse: +4" in text
    assert "wall clock, advisory" in text and "✕ time per operation" in text


def test_the_terminal_tells_how_to_run_a_broken_plan_again(broken: GateResult) -> None:
    text = "\n".join(lines(broken))
    assert "torture replay store/x" in text
    assert "\x1b" not in text


def test_junit_fails_for_hard_losses_and_only_tells_advisory_ones(worse: GateResult) -> None:
    root = ET.fromstring(junit_xml(worse))
    assert root.get("failures") == "1"
    failed = [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]
    assert failed == ["recovery time"]
    advice = next(case for case in root.iter("testcase") if case.get("name") == "time per operation")
    assert "worse" in str(advice.findtext("system-out"))


def test_junit_fails_for_a_broken_rule(broken: GateResult) -> None:
    failure = ET.fromstring(junit_xml(broken)).find(".//failure")
    assert failure is not None and failure.get("type") == "agreement/two-values"


def test_junit_has_an_error_for_what_could_not_be_compared() -> None:
    root = ET.fromstring(junit_xml(GateResult("a", "b", 1, (), (), ("the plans are others",))))
    assert root.get("errors") == "1"


def test_markdown_is_a_table_that_foreign_text_cannot_break(worse: GateResult, broken: GateResult) -> None:
    text = markdown(worse)
    assert text.startswith("## ✕ ")
    assert "| ✕ | recovery time |" in text
    assert "<b>" not in text + markdown(broken)


def test_the_picture_stands_alone_and_has_the_same_bytes_each_time(worse: GateResult, broken: GateResult) -> None:
    picture = compare_png(worse)
    assert picture == compare_png(worse)
    assert Image.open(io.BytesIO(picture)).size[0] >= 1000
    assert Image.open(io.BytesIO(compare_png(broken))).size[0] >= 1000
