"""JUnit, Markdown, annotations, schema: what machines read, all from results.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from harness.results import Verdict, read_results, write_results
from reports.junit import junit_xml
from reports.model import load
from reports.schema import TARGET, results_schema
from reports.summary import BYTES_AT_MOST, code, github_annotations, markdown, text

MakeRun = Callable[..., Path]
COUNTS = {"pass": (0, 0), "agreement": (1, 0), "linearizability": (1, 0), "inconclusive": (0, 1), "interrupted": (0, 1),
          "error": (0, 1), "hostile": (1, 0)}  # fmt: skip


@pytest.mark.parametrize("story", COUNTS)
def test_junit_tells_a_violation_from_missing_evidence(make_run: MakeRun, story: str) -> None:
    root = ET.fromstring(junit_xml(load(make_run(story, operations=80))))
    suite = root[0]
    failures, errors = COUNTS[story]
    assert (suite.get("failures"), suite.get("errors")) == (str(failures), str(errors))
    assert len(suite.findall("testcase/failure")) == failures
    assert len(suite.findall("testcase/error")) == errors
    assert int(suite.get("tests", "0")) == len(suite.findall("testcase"))


def test_junit_of_a_run_that_was_not_judged_is_an_error(tmp_path: Path) -> None:
    root = ET.fromstring(junit_xml(load(tmp_path)))
    assert root.get("errors") == "1"


def test_a_verdict_that_no_check_carries_has_a_case_of_its_own(make_run: MakeRun) -> None:
    run = make_run("pass", operations=80)
    results = read_results(run)
    write_results(run, msgspec.structs.replace(results, verdict=Verdict.INCONCLUSIVE, interrupted=True))
    suite = ET.fromstring(junit_xml(load(run)))[0]
    assert suite.get("errors") == "1"
    assert [case.get("name") for case in suite.findall("testcase")] == ["agreement", "linearizable", "run"]


def test_the_summary_says_verdict_sentence_and_how_to_reproduce(make_run: MakeRun) -> None:
    words = markdown(load(make_run("agreement", operations=200)))
    assert words.startswith("## ✕ Violation found: torture, seed 7")
    assert "torture run --plan" in words
    assert "slot 17" in words
    assert "6 of 6 landed" in words


def test_foreign_text_cannot_mark_up_the_summary(make_run: MakeRun) -> None:
    words = markdown(load(make_run("hostile", operations=80)))
    outside = [part for place, part in enumerate(words.replace("``", "`").split("`")) if place % 2 == 0]
    for part in outside:
        assert "<script" not in part.replace("\\<", "") and "**bold**" not in part and "@everyone" not in part


def test_the_summary_is_bounded(make_run: MakeRun) -> None:
    run = make_run("agreement", operations=80)
    results = read_results(run)
    check = results.checks[0]
    loud = msgspec.structs.replace(check.violations[0], because=("why " * 80,) * 12, values=("v" * 500,) * 8)
    checks = tuple(
        msgspec.structs.replace(check, name=f"check {number}", violations=(loud,) * 40) for number in range(60)
    )
    write_results(run, msgspec.structs.replace(results, checks=checks))
    words = markdown(load(run))
    assert len(words.encode()) <= BYTES_AT_MOST
    assert words.rstrip().endswith("*Shortened: the rest is in report.html.*")


def test_code_spans_hold_backticks_and_pipes() -> None:
    assert code("a`b", 20) == "``a`b``"
    assert code("`a", 20) == "`` `a ``"
    assert code("a|b", 20) == "`a\\|b`"
    assert text("[x](y) @me", 40) == "\\[x\\]\\(y\\) @<!-- -->me"


@pytest.mark.parametrize(
    ("story", "levels"),
    [("pass", []), ("agreement", ["error"]), ("inconclusive", ["warning"]), ("error", ["error"])],
)
def test_annotations_follow_the_verdict(make_run: MakeRun, story: str, levels: list[str]) -> None:
    lines = github_annotations(load(make_run(story, operations=80))).splitlines()
    assert [line.split(" ")[0] for line in lines] == [f"::{level}" for level in levels]


def test_annotations_are_one_command_a_line_whatever_the_text(make_run: MakeRun) -> None:
    lines = github_annotations(load(make_run("hostile", operations=80))).splitlines()
    assert len(lines) == 1 and lines[0].count("::") == 2 and "{%25 raw %25}" in lines[0]


def test_the_committed_schema_is_not_stale(make_run: MakeRun) -> None:
    assert TARGET.read_text(encoding="utf-8") == results_schema(), (
        "run `python -m reports.schema` and commit its output"
    )
    required = json.loads(results_schema())["$defs"]["Results"]["required"]
    assert set(required) == set(json.loads((make_run("pass", operations=40) / "results.json").read_bytes()))
