"""How times, shares and foreign values are written."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record import Command
from reports.wording import ascii_shown, count, joined, share, shown, span, value_text


@pytest.mark.parametrize(
    ("ns", "words"),
    [
        (0, "0 s"),
        (7, "7 ns"),
        (1_500, "1.50 µs"),
        (999_999, "1.00 ms"),
        (50_000_000, "50 ms"),
        (131_400_000, "131 ms"),
        (999_900_000, "1.00 s"),
        (1_240_000_000, "1.24 s"),
        (3_600_000_000_000, "3,600 s"),
        (None, "never"),
        (float("inf"), "never"),
        (float("nan"), "never"),
    ],
)
def test_a_length_of_time_has_three_digits_and_a_unit(ns: float | None, words: str) -> None:
    assert span(ns) == words


@pytest.mark.parametrize(
    ("part", "words"),
    [(None, "—"), (0.0, "0 %"), (1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50.0 %"), (0.0004, "0.0 %")],
)
def test_a_share_is_never_rounded_up_to_all(part: float | None, words: str) -> None:
    assert share(part) == words


def test_counts_and_lists_read_as_english() -> None:
    assert count(1, "fault") == "1 fault"
    assert count(12_345, "operation") == "12,345 operations"
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"


@given(st.text(max_size=200))
def test_any_text_becomes_one_line_without_hidden_characters(text: str) -> None:
    line = shown(text)
    assert not [letter for letter in line if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]
    assert line.encode("utf-8")
    assert ascii_shown(text).isascii()


def test_long_and_empty_values_say_so() -> None:
    assert shown("x" * 1_000).endswith("… (1,000 characters)")
    assert len(shown("x" * 1_000_000)) < 120
    assert shown("") == "(empty)"
    assert shown(None) == "nothing"
    assert shown({"tombstone": "d7"}) == "deleted by d7"
    assert shown(["a", "b"]) == '["a", "b"]'


def test_a_slots_value_shows_its_first_commands() -> None:
    commands = tuple(Command(0, seq, 0, "write", "k", f"v{seq}") for seq in range(5))
    assert value_text(commands) == "write k = v0 (client 0, operation 0); write k = v1 (client 0, operation 1) + 3 more"
    assert value_text(()) == "no-op"
    assert value_text((Command(0, 0, 0, "cas", "k", "new", "old"),)) == "cas k: old → new (client 0, operation 0)"
    assert value_text((Command(7, 1, 0, "open", ""),)) == "open (client 7, operation 1)"
    assert value_text((Command(1001 << 32 | 7, 1, 0, "open", ""),)) == "open (client 7b, operation 1)"
