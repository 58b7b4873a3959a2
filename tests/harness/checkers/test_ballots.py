"""Ballots: what a node may do with them, before and after a restart."""

from __future__ import annotations

from tests.harness.checkers.conftest import Trace, X, Y


def test_a_ballot_used_by_another_node(trace: Trace) -> None:
    trace(1, "prepare", (1, 0), 1)
    assert trace.rules == ["ballot/not-owner"]


def test_a_ballot_reused_after_a_restart(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.incarnation[0] = 1
    trace(0, "prepare", (1, 0), 1)
    assert trace.rules == ["ballot/reused"]


def test_a_ballot_whose_prepare_never_left_may_be_used_again(trace: Trace) -> None:
    trace(0, "prepare", (1, 0), 1)
    trace(0, "promised", (1, 0))
    trace.restart(0, (-1, -1), [])
    trace.lead((1, 0), 0, 1)
    assert trace.rules == []


def test_a_proposal_without_phase_1(trace: Trace) -> None:
    trace(0, "prepare", (1, 0), 1)
    trace.propose((1, 0), 1, X)
    assert trace.rules == ["ballot/not-led"]


def test_a_proposal_below_the_slots_of_phase_1(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, slot=5)
    trace.propose((1, 0), 5, X)
    trace.propose((1, 0), 4, Y)
    assert trace.rules == ["ballot/below-phase-1"]


def test_a_round_that_others_know_is_forgotten(trace: Trace) -> None:
    trace.lead((3, 0), 1, 2)
    trace.incarnation[0] = 1
    trace(0, "recovered_round", (2, 0))
    assert trace.rules == ["ballot/forgotten"]


def test_a_round_that_nobody_knows_may_be_forgotten(trace: Trace) -> None:
    trace.lead((3, 0), 1, 2)
    trace(0, "prepare", (4, 0), 1)
    trace(0, "promised", (4, 0))
    trace.incarnation[0] = 1
    trace(0, "recovered_round", (3, 0))
    assert trace.rules == []
