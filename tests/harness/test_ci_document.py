"""docs/ci.md: the commands that it tells a build server to run are commands that there are."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from harness.cli import COMMANDS, torture
from harness.results import EXIT_CODES, EXIT_INTERRUPTED, EXIT_USAGE

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
USED = re.findall(r"torture ([a-z]+)((?: --[a-z-]+)*)", TEXT)


def test_enough_is_told_to_be_worth_checking() -> None:
    assert {name for name, _ in USED} >= {"run", "simulate", "report", "shrink", "matrix"}


@pytest.mark.parametrize(("name", "options"), sorted(set(USED)))
def test_commands_and_options_exist(name: str, options: str) -> None:
    assert name in COMMANDS
    command = torture.get_command(click.Context(torture), name)
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(options.split()) <= known


def test_the_table_of_exit_codes_is_whole() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (\w+)", TEXT, re.MULTILINE))
    assert {int(code) for code in rows} == {*EXIT_CODES.values(), EXIT_USAGE, EXIT_INTERRUPTED}
    assert all(rows[str(code)] == str(verdict) for verdict, code in EXIT_CODES.items())


def test_files_that_it_links_to_are_there() -> None:
    links = re.findall(
        r"\]\(([^)#:]+)\)", TEXT + (ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    )
    assert "sample/report.html" in links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
