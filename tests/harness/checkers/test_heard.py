"""Promises that a leader counts: heard whole."""

from __future__ import annotations

import pytest

from tests.harness.checkers.conftest import Trace

ALL = (0, 1, 2)


@pytest.fixture
def trace() -> Trace:
    """Three replicas; the first runs phase 1 from slot 3 on, and all have promised."""
    trace = Trace(learners=ALL)
    trace(0, "started", None, 0, None, {"role": "replica", "commit": 2})
    trace.prepare((1, 0), 3)
    for agent in ALL:
        trace(agent, "promised", (1, 0))
    return trace


def hear(
    trace: Trace, source: int, start: int = 3, behind: int | None = None, ballot: tuple[int, int] = (1, 0)
) -> None:
    trace(0, "heard_promise", ballot, start, None, (source, behind))


def sync(trace: Trace, agent: int = 0) -> None:
    trace(agent, "sync_begun")
    trace(agent, "sync_ended")


def lead(trace: Trace, *counted: int) -> list[str]:
    trace(0, "leader", (1, 0), 3, None, list(counted))
    return trace.rules


def test_two_promises_heard_whole(trace: Trace) -> None:
    hear(trace, 1)
    hear(trace, 2, 3, 5)
    hear(trace, 2, 5)
    assert lead(trace, 1, 2) == []


def test_pages_may_come_in_any_order_and_overlap(trace: Trace) -> None:
    hear(trace, 1, 6)
    hear(trace, 1, 4, 9)
    hear(trace, 1, 3, 5)
    hear(trace, 2)
    assert lead(trace, 1, 2) == []


def test_a_promise_that_was_given_and_not_heard(trace: Trace) -> None:
    hear(trace, 1)
    assert lead(trace, 1, 2) == ["promise/not-heard"]


def test_a_promise_of_an_earlier_try(trace: Trace) -> None:
    hear(trace, 1)
    hear(trace, 2, ballot=(0, 0))
    assert lead(trace, 1, 2) == ["promise/not-heard"]


@pytest.mark.parametrize("pages", [[(3, 5), (6, None)], [(4, None)], [(3, 5)]])
def test_pages_that_leave_out_a_slot(trace: Trace, pages: list[tuple[int, int | None]]) -> None:
    hear(trace, 1)
    for start, behind in pages:
        hear(trace, 2, start, behind)
    assert lead(trace, 1, 2) == ["promise/not-heard"]


def test_an_own_promise_is_not_heard(trace: Trace) -> None:
    hear(trace, 1)
    sync(trace)
    assert lead(trace, 0, 1) == []
