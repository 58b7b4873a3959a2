"""A page ends with the value that fills it."""

from __future__ import annotations

from harness.worlds.simulated.pages import excess
from paxos_impl.messages import Command, Learn, PastVote, Promise, SnapshotPage

ONE = (Command(1, 1, 1, "write", "k", "v" * 100),)


def test_a_page_may_hold_one_value_more_than_fits() -> None:
    assert excess(Learn(1, (ONE,) * 2, 9), 150) == 0
    assert excess(Learn(1, (ONE,) * 3, 9), 150) > 0


def test_of_a_promise_too() -> None:
    votes = tuple(PastVote(slot, (1, 0), ONE, False) for slot in range(1, 4))
    assert excess(Promise((2, 1), 1, True, 0, votes[:1]), 50) == 0
    assert excess(Promise((2, 1), 1, True, 0, votes), 50) > 0


def test_a_piece_of_a_snapshot_is_never_longer() -> None:
    assert excess(SnapshotPage(10, 0, 2, bytes(64)), 64) == 0
    assert excess(SnapshotPage(10, 0, 2, bytes(65)), 64) == 1
