"""Availability in windows of time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.availability import WINDOWS_AT_MOST, availability, window_width_ns

MS = 1_000_000


@given(st.integers(50 * MS, 10**16))
def test_windows_are_round_and_scale_with_the_run(duration: int) -> None:
    width = window_width_ns(duration)
    assert str(width).rstrip("0") in ("1", "2", "5")
    assert 48 <= -(-duration // width) <= WINDOWS_AT_MOST


def test_a_very_short_run_has_windows_of_a_millisecond() -> None:
    assert window_width_ns(1) == MS


def test_an_outage_is_a_window_in_which_something_waited_and_nothing_succeeded() -> None:
    found = availability([(1 * MS, 2 * MS, True), (12 * MS, 35 * MS, True), (41 * MS, 42 * MS, True)], 50 * MS, 10 * MS)
    assert found.tried == (True, True, True, True, True)
    assert found.succeeded == (True, False, False, True, True)
    assert found.outages == ((10 * MS, 30 * MS),)
    assert found.longest_outage_ns == 20 * MS
    assert found.share == pytest.approx(3 / 5)


def test_outages_apart_are_two_and_the_last_ends_with_the_run() -> None:
    found = availability([(1 * MS, 25 * MS, True), (31 * MS, 48 * MS, False)], 48 * MS, 10 * MS)
    assert found.outages == ((0, 20 * MS), (30 * MS, 40 * MS))
    never = availability([(1 * MS, 48 * MS, False), (45 * MS, 48 * MS, False)], 48 * MS, 10 * MS)
    assert never.outages == ((0, 48 * MS),)
    assert never.share == 0.0


def test_a_quiet_window_is_no_outage_and_nothing_counts_after_the_load() -> None:
    found = availability(
        [(1 * MS, 2 * MS, True), (31 * MS, 33 * MS, True), (32 * MS, 95 * MS, False)], 100 * MS, 10 * MS
    )
    assert found.outages == ()
    assert found.share == 1.0


def test_nothing_counts_after_the_final_heal() -> None:
    found = availability([(1 * MS, 2 * MS, True), (55 * MS, 95 * MS, False)], 100 * MS, 10 * MS, until_ns=30 * MS)
    assert found.outages == ()
    assert found.share == 1.0


def test_no_operation_means_no_share() -> None:
    found = availability([], 10 * MS, MS)
    assert found.share is None
    assert found.outages == ()
