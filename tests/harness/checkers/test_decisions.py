"""Learners agree, apply in order, and come to the same outcomes and states."""

from __future__ import annotations

from tests.harness.checkers.conftest import Trace, X, Y


def test_learners_disagree(trace: Trace) -> None:
    for ballot, value in (((1, 0), X), ((2, 1), Y)):
        trace.lead(ballot, 0, 1)
        trace.propose(ballot, 1, value)
        trace.vote(ballot, 1, value, 0, 1)
        trace(ballot[1], "chosen", ballot, 1, value)
    assert "decision/two-values" in trace.rules


def test_applying_what_is_not_chosen_or_out_of_order(trace: Trace) -> None:
    for slot in (1, 2):
        trace.lead((slot, 0), 0, 1, slot=slot)
        trace.propose((slot, 0), slot, X)
        trace.vote((slot, 0), slot, X, 0, 1)
        trace(0, "chosen", (slot, 0), slot, X)
    trace(0, "started", extra={"commit": 0})
    trace(0, "applied", None, 1, Y)
    trace(0, "applied", None, 1, X)
    assert trace.rules == ["decision/not-chosen", "decision/order"]


def test_outcomes_and_states_of_one_slot_differ(trace: Trace) -> None:
    trace(0, "applied", None, 1, None, [1, []])
    trace(1, "applied", None, 1, None, [2, []])
    trace(0, "snapshot", None, 1, None, "a")
    trace(1, "installed", None, 1, None, "b")
    assert trace.rules == ["decision/outcomes", "decision/states"]


def test_a_state_restored_from_a_snapshot_is_the_one_it_was_taken_of(trace: Trace) -> None:
    trace(0, "snapshot", None, 10, None, 77)
    trace.incarnation[0] = 1
    trace(0, "restored", None, 10, None, 77)
    assert trace.rules == []
    trace(1, "restored", None, 10, None, 78)
    assert trace.rules == ["decision/states"]


def test_a_learner_learns_a_slot_once_a_life(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "chosen", (1, 0), 1, X)
    trace(1, "chosen", (1, 0), 1, X)
    trace.incarnation[0] = 1
    trace(0, "chosen", None, 1, X)
    assert trace.rules == []
    trace(0, "chosen", None, 1, X)
    assert trace.rules == ["decision/forgotten"]


def test_what_was_applied_is_learned_as_well(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "started", None, 0, None, {"commit": 0})
    trace(0, "chosen", (1, 0), 1, X)
    trace(0, "applied", None, 1, X)
    assert trace.rules == []
    trace(0, "chosen", (1, 0), 1, X)
    assert trace.rules == ["decision/forgotten"]
