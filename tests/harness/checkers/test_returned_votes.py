"""What a recovery did not find does not come back."""

from __future__ import annotations

from tests.harness.checkers.conftest import Trace, X, Y


def test_a_vote_that_a_recovery_did_not_find_does_not_come_back(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.vote((1, 0), 1, X, 2)
    trace(2, "sync_begun")
    trace.vote((1, 0), 2, Y, 2)
    trace.restart(2, (1, 0), [(1, (1, 0))])
    assert trace.rules == []
    trace.restart(2, (1, 0), [(1, (1, 0)), (2, (1, 0))])
    assert trace.rules == ["vote/returned"]


def test_nor_does_such_a_promise(trace: Trace) -> None:
    trace(2, "promised", (1, 0))
    trace(2, "sync_begun")
    trace(2, "promised", (2, 1))
    trace.restart(2, (1, 0), [])
    trace.restart(2, (2, 1), [])
    assert trace.rules == ["vote/returned"]


def test_an_older_vote_may_come_back_or_one_that_was_cut_or_cast_again(trace: Trace) -> None:
    for ballot in ((1, 0), (2, 1)):
        trace.lead(ballot, 0, 1, 2)
        trace.vote(ballot, 5, X, 2)
    trace(2, "sync_begun")
    trace.vote((2, 1), 6, Y, 2)
    trace.restart(2, (2, 1), [(5, (2, 1))], floor=4)
    trace.vote((2, 1), 6, Y, 2)
    trace.restart(2, (2, 1), [(3, (1, 0)), (5, (1, 0)), (6, (2, 1))])
    assert trace.rules == []
