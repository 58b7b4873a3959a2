"""Votes: what may be proposed and voted, what may be learned from it, and which votes may be lost."""

from __future__ import annotations

from typing import Any

import pytest

from harness.record import Command
from tests.harness.checkers.conftest import Trace, X, Y, Z


def test_two_values_in_one_ballot(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, Y, 1)
    assert trace.rules == ["vote/two-values"]


def test_equal_values_need_not_be_one_object(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, (Command(1, 1, 1, "write", "k", "x"),), 0, 1)
    assert trace.rules == []


def test_a_proposal_that_ignores_the_vote_it_was_told(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 1)
    trace.lead((2, 2), 1, 2)
    trace.propose((2, 2), 1, Y)
    assert trace.rules == ["vote/unsafe-value"]


def test_a_leader_may_not_have_heard_of_the_only_vote(trace: Trace) -> None:
    """Three promised, one of them with a vote, but two suffice: the other two left the value free."""
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 1)
    trace.lead((2, 2), 0, 1, 2)
    trace.propose((2, 2), 1, Y)
    assert trace.rules == []


def test_the_highest_vote_decides(trace: Trace) -> None:
    def proposing(value: Any) -> list[str]:
        trace = Trace()
        trace.lead((1, 0), 0, 1)
        trace.propose((1, 0), 1, X)
        trace.vote((1, 0), 1, X, 0)
        trace.lead((2, 1), 1, 2)
        trace.propose((2, 1), 1, Y)
        trace.vote((2, 1), 1, Y, 1)
        trace.lead((3, 2), 0, 1)
        trace.propose((3, 2), 1, value)
        return trace.rules

    assert proposing(Y) == []
    assert proposing(X) == ["vote/unsafe-value"]


def test_a_vote_cast_above_the_ballot_afterwards_does_not_count(trace: Trace) -> None:
    """A slow leader proposes after its promisers went on to a higher ballot and another value."""
    trace.lead((1, 0), 0, 1)
    trace.lead((2, 2), 1, 2)
    trace.propose((2, 2), 1, Y)
    trace.vote((2, 2), 1, Y, 1)
    trace.propose((1, 0), 1, X)
    assert trace.rules == []


def test_a_chosen_value_contradicted_at_a_higher_ballot(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace.lead((2, 2), 1, 2)
    trace.propose((2, 2), 1, Y)
    assert "vote/contradicts-quorum" in trace.rules


def test_an_unsynced_vote_lost_in_a_power_cut_binds_nobody(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace.restart(1, (1, 0), [])
    trace.lead((2, 2), 1, 2)
    trace.propose((2, 2), 1, Y)
    trace.vote((2, 2), 1, Y, 1, 2)
    trace(2, "chosen", (2, 2), 1, Y)
    assert trace.rules == []


def test_a_vote_recovered_though_its_trace_was_lost(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.restart(1, (1, 0), [[1, [1, 0]]])
    trace(0, "chosen", None, 1, X)
    assert trace.rules == []


def test_votes_that_chose_a_value_are_forgotten(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "chosen", (1, 0), 1, X)
    trace.restart(1, (1, 0), [])
    assert trace.rules == ["vote/forgotten"]


def test_votes_below_the_cut_are_not_missed(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "chosen", (1, 0), 1, X)
    trace(1, "cut", None, 1)
    trace.restart(1, (1, 0), [], floor=1)
    trace.restart(0, (1, 0), [], floor=1)
    assert trace.rules == []


def test_a_spare_vote_may_be_lost(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1, 2)
    trace(0, "chosen", (1, 0), 1, X)
    trace.restart(2, (1, 0), [])
    assert trace.rules == []


@pytest.mark.parametrize("ballot", [(1, 0), None])
def test_chosen_without_a_quorum_of_votes(trace: Trace, ballot: Any) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace(0, "chosen", ballot, 1, X)
    assert trace.rules == ["decision/no-quorum"]


def test_votes_of_different_ballots_make_no_quorum(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.lead((2, 2), 0, 2)
    trace.propose((2, 2), 1, X)
    trace.vote((2, 2), 1, X, 2)
    trace(1, "chosen", (2, 2), 1, X)
    assert trace.rules == ["decision/no-quorum"]


def test_a_leader_that_tells_whose_promises_it_counted_is_held_to_them(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.lead((2, 1), 0, 1, 2, counted=[0, 1])
    trace.propose((2, 1), 1, Y)
    assert trace.rules == ["vote/unsafe-value"], "1 and 2 know of no vote, but it was 0 that it asked"


def test_a_leader_may_choose_freely_if_those_it_counted_know_of_no_vote(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.lead((2, 1), 0, 1, 2, counted=[1, 2])
    trace.propose((2, 1), 1, Y)
    assert trace.rules == []


def test_of_the_votes_it_was_told_a_leader_takes_the_highest(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.lead((2, 1), 1, 2, counted=[1, 2])
    trace.propose((2, 1), 1, Y)
    trace.vote((2, 1), 1, Y, 1)
    trace.lead((3, 0), 0, 1, 2, counted=[0, 1])
    trace.propose((3, 0), 1, Y)
    assert trace.rules == []
    trace.lead((4, 2), 0, 1, 2, counted=[0, 1])
    trace.propose((4, 2), 1, X)
    assert trace.rules == ["vote/unsafe-value"]


def test_a_leader_may_heed_the_first_page_of_one_that_it_did_not_count() -> None:
    def proposing(value: Any) -> list[str]:
        trace = Trace(voters=5)
        trace.lead((1, 0), 0, 1, 2, counted=[0, 1, 2])
        trace.propose((1, 0), 1, X)
        trace.vote((1, 0), 1, X, 0)
        trace.lead((2, 3), 2, 3, 4, counted=[2, 3, 4])
        trace.propose((2, 3), 1, Y)
        trace.vote((2, 3), 1, Y, 3)
        trace.lead((3, 1), 0, 1, 2, 3, counted=[0, 1, 2])
        trace.propose((3, 1), 1, value)
        return trace.rules

    assert proposing(X) == []
    assert proposing(Y) == []
    assert proposing(Z) == ["vote/unsafe-value"]
