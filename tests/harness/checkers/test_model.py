"""The checkers' own model of the store, and how it shows values in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checkers.model import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("v7", "'v7'"),
        ("v7" + "." * 500, "'v7.....................…'"),
        (["v7" + "." * 500, None], "['v7.....................…', None]"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, … 88 more …, 94, 95, 96, 97, 98, 99]"),
        ({"tombstone": "v3"}, "{'tombstone': 'v3'}"),
    ],
)
def test_a_value_in_a_sentence_is_short_and_tells_which_it_is(value: Any, text: str) -> None:
    assert shown(value) == text
