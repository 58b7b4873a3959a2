"""The page of the benchmarks."""

from __future__ import annotations

from pathlib import Path

import benchmarks
from benchmarks.__main__ import Result
from benchmarks.measure import Machine, Report, Table
from benchmarks.show import page, sections

PAGE = Path(benchmarks.__file__).parents[1] / "docs" / "benchmarks.md"
RESULT = Result(
    "2026-01-01 00:00",
    False,
    Machine(2, "a processor", 8.0, "6.1", "3.11.7", 0.1, 0.1, 0.2),
    Report((Table("Speed", ("what", "how fast"), (("this", "fast"),)),)),
)


def test_what_was_not_measured_here_stays_as_it_was() -> None:
    first = page([("one", "About one.", RESULT), ("two", "About two.", RESULT)])
    later = page(
        [("one", "About one.", None), ("two", "About two, again.", RESULT), ("three", "Never run.", None)], first
    )
    assert later == first.replace("About two.", "About two, again.")


def test_what_looks_like_a_heading_inside_a_quote_is_none() -> None:
    text = "# All\n\n## one\n\n```\n## no heading\n```\n\n## two\n\nAbout two.\n"
    assert sections(text) == {"one": "## one\n\n```\n## no heading\n```\n", "two": "## two\n\nAbout two.\n"}


def test_the_committed_page_is_one_of_sections() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = sections(text)
    assert "simulator" in named
    assert page([(name, "", None) for name in named], text) == text
