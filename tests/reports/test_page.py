"""report.html as text: what it says, that it is closed to the outside, and that foreign values stay values."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reports import page
from reports.model import load
from reports.page import asset, json_for_page, report_html
from reports.render import render_run

MakeRun = Callable[..., Path]
WORDS = {
    "pass": "Passed",
    "agreement": "Violation found",
    "linearizability": "Violation found",
    "inconclusive": "Inconclusive",
    "interrupted": "Inconclusive",
    "error": "The harness broke",
    "hostile": "Violation found",
}
SECTIONS = ["reproduce", "counterexample", "timeline", "faults", "agreement", "coverage", "files"]


class Outline(HTMLParser):
    """Elements, ids, and text outside script and style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self._open = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id" and value]
        self._open = tag if tag in self.raw else ""

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.raw[self._open].append(data) if self._open else self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def _page(run: Path) -> str:
    return report_html(load(run), [], [])


@pytest.mark.parametrize("story", WORDS)
def test_the_verdict_comes_first_in_words(make_run: MakeRun, story: str) -> None:
    outline = Outline(_page(make_run(story, operations=200)))
    assert outline.text.index(WORDS[story]) < 400
    expected = [name for name in SECTIONS if name != "counterexample" or WORDS[story] == "Violation found"]
    assert [name for name in outline.ids if name in SECTIONS] == expected
    assert ("interrupted: the run did not end by itself" in outline.text) == (story == "interrupted")
    assert "Version 0.1.0, commit 1a2b3c4." in outline.text


def test_an_agreement_violation_names_slot_learners_values_and_rules(make_run: MakeRun) -> None:
    text = Outline(_page(make_run("agreement", operations=200))).text
    for words in (
        "agreement/two-values",
        "slot 17",
        "l0 and l1",
        "This breaks agreement",
        "1 slot with more than one value",
    ):
        assert words in text


def test_a_linearizability_violation_shows_operations_and_reasons(make_run: MakeRun) -> None:
    text = Outline(_page(make_run("linearizability", operations=200))).text
    assert "client 901" in text and str(1000 << 32 | 901) not in text
    for words in ("1. write k9 = new", "3. read k9 → old", "it was written only once", "Why it cannot be"):
        assert words in text


def test_faults_that_missed_or_never_recovered_are_marked(make_run: MakeRun) -> None:
    text = Outline(_page(make_run("inconclusive", operations=400))).text
    assert "✕ no" in text and "this machine cannot stop processes" in text
    assert "✕ never" in text
    assert "4 of 5 planned faults landed" in text


def test_what_was_not_covered_is_named(make_run: MakeRun) -> None:
    text = Outline(_page(make_run("pass", operations=200))).text
    assert "kill never hit p1, a0, a1, a2, l0 or l1" in text
    assert "did not use: " in text and "disk_full" in text
    assert "came up, as far as the record shows: late leader, catch-up." in text


def test_the_policy_lets_in_only_the_pages_own_script_and_style(make_run: MakeRun) -> None:
    html = _page(make_run("agreement", operations=100))
    outline = Outline(html)
    policy = next(value for tag, name, value in outline.attributes if tag == "meta" and value.startswith("default-src"))
    script = outline.raw["script"][-1]
    style = "".join(outline.raw["style"])
    for text in (script, style):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
    assert not [item for item in outline.attributes if item[1] == "style" or item[1].startswith("on")]
    sources = [value for _, name, value in outline.attributes if name in ("src", "href", "srcset", "action")]
    assert not [value for value in sources if re.match(r"(?!data:)\w+:|//", value)]


def test_the_library_comes_with_its_licence() -> None:
    assert "Permission is hereby granted, free of charge" in asset("uPlot.LICENSE")
    assert asset("uPlot.iife.min.js").startswith("/*! https://github.com/leeoniya/uPlot (v1.6.32) */")


def test_foreign_values_stay_values(make_run: MakeRun) -> None:
    html = _page(make_run("hostile", operations=200))
    plain = Outline(_page(make_run("linearizability", operations=200)))
    outline = Outline(html)
    assert outline.tags.count("script") == plain.tags.count("script") == 2
    assert "img" not in outline.tags, "no element came out of a value"
    assert "<img src=x" in outline.text and "\\x00\\x07" in outline.text and "{{ 7*7 }}" in outline.text
    assert "(100,000 characters)" in outline.text and len(html) < 500_000
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]", html)


def test_data_cannot_end_its_element() -> None:
    assert "<" not in json_for_page({"</script><!--": "\u2028&"}) and "\u2028" not in json_for_page("\u2028")


def test_a_part_that_cannot_be_made_is_a_warning_and_the_rest_stands(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("no slots today")

    monkeypatch.setattr(page, "slots", broken)
    text = Outline(report_html(load(make_run("pass", operations=100)), [], ["latency.png could not be drawn"])).text
    assert "no slots today" in text and "latency.png could not be drawn" in text
    assert "The verdict does not depend on them" in text and "Passed" in text


def test_a_directory_with_nothing_in_it_still_makes_a_page(tmp_path: Path) -> None:
    rendered = render_run(tmp_path)
    assert any("results.json is missing" in warning for warning in rendered.warnings)
    text = Outline((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "Not judged" in text and "There are no operations on record" in text


def test_everything_is_written_and_a_second_time_is_the_same(make_run: MakeRun) -> None:
    run = make_run("agreement", operations=200)
    names = [
        "timeline.png",
        "latency.png",
        "availability.png",
        "spacetime.png",
        "junit.xml",
        "summary.md",
        "annotations.txt",
        "report.html",
    ]
    rendered = render_run(run)
    assert [path.name for path in rendered] == names and rendered.warnings == []
    first = {path.name: path.read_bytes() for path in render_run(run)}
    assert first == {path.name: path.read_bytes() for path in render_run(run)}
    assert not list(run.glob("*.tmp"))
    html = first["report.html"].decode()
    for name in names:
        assert f'href="{name}"' in html


def test_what_cannot_be_written_is_a_warning(make_run: MakeRun) -> None:
    run = make_run("pass", operations=60)
    (run / "summary.md").mkdir()
    rendered = render_run(run)
    assert [warning for warning in rendered.warnings if warning.startswith("summary.md could not be written")]
    assert (run / "report.html").is_file()
