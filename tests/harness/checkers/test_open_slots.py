"""Slots in flight at a leader."""

from __future__ import annotations

from tests.harness.checkers.conftest import Trace, X, Y, Z


def test_a_leader_with_more_slots_in_flight_than_its_window() -> None:
    trace = Trace(window=2)
    trace(0, "prepare", (1, 0), 1)
    for agent in range(3):
        trace(agent, "promised", (1, 0))
    trace(0, "leader", (1, 0), 3)
    for inherited in (1, 2):
        trace.propose((1, 0), inherited, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "chosen", (1, 0), 1, X)
    trace.propose((1, 0), 3, Y)
    assert trace.rules == []
    trace.propose((1, 0), 4, Z)
    assert trace.rules == ["proposal/window"]


def test_what_a_leader_proposes_though_its_learner_holds_it_chosen_is_not_in_flight() -> None:
    trace = Trace(window=1)
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(2, "chosen", None, 1, X)
    trace.lead((2, 2), 0, 1, 2)
    trace.propose((2, 2), 1, X)
    trace.propose((2, 2), 2, Y)
    assert trace.rules == []


def test_what_a_snapshot_covers_that_a_leader_was_given_is_not_in_flight() -> None:
    trace = Trace(window=1)
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace(0, "installed", None, 1)
    trace.propose((1, 0), 2, Y)
    assert trace.rules == []
    trace.propose((1, 0), 3, Z)
    assert trace.rules == ["proposal/window"]
