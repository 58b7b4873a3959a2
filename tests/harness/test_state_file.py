"""The file of finished work: what was torn is cut off before more is added."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.state_file import append


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", b""), (b"1\n", b"1\n"), (b'1\n{"torn', b"1\n"), (b'{"torn', b"")],
    ids=["empty", "whole", "torn", "nothing whole"],
)
def test_a_row_that_is_added_is_not_lost_with_a_torn_one(tmp_path: Path, before: bytes, after: bytes) -> None:
    state = tmp_path / "state.jsonl"
    state.write_bytes(before)
    append(state, 2)
    append(state, 3)
    assert state.read_bytes() == after + b"2\n3\n"


def test_the_first_row_makes_the_file(tmp_path: Path) -> None:
    append(tmp_path / "state.jsonl", {"a": 1})
    assert (tmp_path / "state.jsonl").read_bytes() == b'{"a":1}\n'
