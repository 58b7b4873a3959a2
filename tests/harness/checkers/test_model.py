"""The checkers' own model of the store, and how it shows values in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checkers.model import LIST_BOUND, KeyValueModel, Outcome, difference, shown


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


def test_values_and_answers_do_not_change_with_the_store() -> None:
    model, written = KeyValueModel(), ["a"]
    model.step("write", "k", written, None)
    answer = model.step("read", "k", None, None).value
    model.step("append", "k", "b", None)
    assert (written, answer) == (["a"], ["a"])
    assert model.step("read", "k", None, None).value == ["a", "b"]


def test_lists_are_bounded_as_those_of_the_store() -> None:
    model = KeyValueModel()
    for number in range(LIST_BOUND + 2):
        length = model.step("append", "k", number, None).seen
    assert length == LIST_BOUND
    assert model.step("read", "k", None, None).value[0] == 2


def test_a_compare_and_set_that_took_place_found_what_it_expected() -> None:
    outcome = Outcome(applied=True, seen="old")
    assert difference("cas", None, True, "old", outcome) is None
    assert difference("cas", None, True, None, outcome) is None, "a record need not tell it"
    assert difference("cas", None, True, "new", outcome) is not None
