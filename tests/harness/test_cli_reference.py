"""The reference of the command line is as the commands are."""

from __future__ import annotations

from harness.cli import COMMANDS
from harness.cli_reference import PAGE, reference


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == reference(), "run: python -m harness.cli_reference"


def test_it_tells_every_command_and_every_exit_code() -> None:
    text = reference()
    assert all(f"## torture {command}\n" in text for command in COMMANDS)
    assert all(f"| {code} |" in text for code in (0, 1, 2, 3, 4, 70, 130))
