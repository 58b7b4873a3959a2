"""Promises: how acceptors may give them, and what leaders may make of them."""

from __future__ import annotations

from tests.harness.checkers.conftest import Trace, X, Y


def test_a_lowered_promise(trace: Trace) -> None:
    trace(0, "promised", (2, 1))
    trace(0, "promised", (2, 1))
    trace(0, "promised", (1, 2))
    assert trace.rules == ["promise/lowered"]


def test_a_vote_below_the_promise(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace(1, "promised", (2, 2))
    trace.vote((1, 0), 1, X, 1)
    assert trace.rules == ["promise/broken"]


def test_a_vote_raises_the_promise(trace: Trace) -> None:
    """The bug of the seed: ballot 2 is accepted by one who never promised it, then an old ballot 1 arrives."""
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.lead((2, 1), 0, 1)
    trace.propose((2, 1), 1, Y)
    trace.vote((2, 1), 1, Y, 1, 2)
    trace.vote((1, 0), 1, X, 2)
    assert trace.rules == ["promise/broken"]


def test_leading_without_a_quorum_of_promises(trace: Trace) -> None:
    trace.lead((1, 0), 0)
    assert trace.rules == ["promise/no-quorum"]


def test_promises_that_were_durable_before_a_restart_count(trace: Trace) -> None:
    trace(0, "prepare", (1, 0), 1)
    trace(0, "promised", (1, 0))
    trace(1, "promised", (1, 0))
    trace.restart(1, (1, 0), [])
    trace(0, "leader", (1, 0), 1)
    assert trace.rules == []


def test_a_promise_that_a_leader_counted_is_forgotten_though_others_are_left(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2, counted=[0, 2])
    trace.restart(1, None, [])
    assert trace.rules == []  # it may never have been told
    trace.restart(2, (1, 0), [])
    assert trace.rules == []


def test_others_that_vote_do_not_make_up_for_a_counted_promise(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2, counted=[0, 2])
    trace.restart(2, None, [])
    assert trace.rules == ["promise/forgotten"]
    assert "counted its promise of ballot 1.0" in trace.oracles.violations[0].sentence


def test_a_promise_that_made_a_leader_is_forgotten(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.restart(1, (-1, -1), [])
    assert trace.rules == ["promise/forgotten"]


def test_a_promise_that_nobody_counted_may_be_lost(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.restart(2, (-1, -1), [])
    trace(1, "promised", (2, 2))
    trace.restart(1, (1, 0), [])
    assert trace.rules == []


def test_a_promise_that_was_counted_and_never_given(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, counted=[0, 2])
    assert trace.rules == ["promise/no-quorum"]


def test_one_promise_counted_twice(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2, counted=[0, 0])
    assert trace.rules == ["promise/no-quorum"]


# What was told lasts.
