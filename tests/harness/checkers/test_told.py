"""What an acceptor has told it must not lose, and what a promise must tell."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.checkers.conftest import Trace, X


def test_a_told_vote_is_missing_after_a_restart(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "told_vote", (1, 0), 3)
    trace.restart(0, (1, 0), [])
    assert trace.rules == ["vote/forgotten"]


def test_a_told_vote_came_back_older(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace.vote((2, 1), 3, X, 0)
    trace(0, "told_vote", (2, 1), 3)
    trace.restart(0, (2, 1), [[3, [1, 0]]])
    assert trace.rules == ["vote/forgotten"]
    assert "restarts with a vote at ballot 1.0 in slot 3" in trace.oracles.violations[0].sentence


def test_told_votes_may_be_cut_replaced_or_kept(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace.vote((1, 0), 4, X, 0)
    trace.vote((1, 0), 5, X, 0)
    for slot in (3, 4, 5):
        trace(0, "told_vote", (1, 0), slot)
    trace(0, "cut", None, 3)
    trace.vote((2, 1), 4, X, 0)
    trace.restart(0, (2, 1), [[4, [2, 1]], [5, [1, 0]]], floor=3)
    assert trace.rules == []


def test_a_vote_that_nobody_was_told_may_be_lost(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(1, "told_vote", (1, 0), 3)
    trace.restart(0, None, [])
    assert trace.rules == []


def test_a_told_promise_is_missing_after_a_restart(trace: Trace) -> None:
    trace(0, "promised", (2, 1))
    trace(0, "told_promise", (2, 1))
    trace.restart(0, (1, 2), [])
    assert trace.rules == ["promise/forgotten"]


def test_a_told_promise_may_have_risen(trace: Trace) -> None:
    trace(0, "promised", (2, 1))
    trace(0, "told_promise", (2, 1))
    trace(0, "promised", (3, 2))
    trace.restart(0, (3, 2), [])
    trace.restart(0, (2, 1), [])
    assert trace.rules == []


def test_a_told_vote_is_a_told_promise(trace: Trace) -> None:
    trace.vote((2, 1), 3, X, 0)
    trace(0, "told_vote", (2, 1), 3)
    trace.restart(0, (1, 1), [[3, [2, 1]]])
    assert trace.rules == ["promise/forgotten"]


def test_a_snapshot_told_durable_is_gone(trace: Trace) -> None:
    trace(0, "told_snapshot", (1, 0), 20)
    trace.incarnation[0] = 1
    trace(0, "started", None, 0, None, {"commit": 10})
    assert trace.rules == ["snapshot/forgotten"]


def test_a_newer_snapshot_than_was_told_is_fine(trace: Trace) -> None:
    trace(0, "told_snapshot", (1, 0), 20)
    trace.incarnation[0] = 1
    trace(0, "started", None, 0, None, {"commit": 30})
    assert trace.rules == []


@pytest.mark.parametrize(
    ("pages", "rules"),
    [
        ([(1, True, [(3, (1, 0), False), (4, (1, 0), False)])], []),
        ([(1, False, [(3, (1, 0), False)]), (4, True, [(4, (1, 0), False)])], []),
        ([(1, True, [(3, (-1, -1), True), (4, (1, 0), False)])], []),
        ([(4, True, [(4, (1, 0), False)])], []),
        ([(1, True, [(3, (1, 0), False)])], ["promise/incomplete"]),
        ([(1, False, [(3, (1, 0), False)]), (5, True, [])], ["promise/incomplete"]),
        ([(1, True, [(3, (2, 1), False), (4, (1, 0), False)])], ["promise/incomplete"]),
    ],
    ids=["whole", "in pages", "chosen instead", "from slot 4 on", "one missing", "lost between pages", "other ballot"],
)
def test_a_promise_tells_every_vote(trace: Trace, pages: list[Any], rules: list[str]) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace.vote((1, 0), 4, X, 0)
    trace(0, "promised", (2, 1))
    for start, last, votes in pages:
        trace(0, "told_promise", (2, 1), start, None, [last, votes])
    assert trace.rules == rules


def test_a_vote_cast_after_the_promise_need_not_be_in_it(trace: Trace) -> None:
    trace(0, "promised", (2, 1))
    trace.vote((2, 1), 3, X, 0)
    trace(0, "told_promise", (2, 1), 1, None, [True, []])
    assert trace.rules == []


def test_votes_below_the_cut_need_not_be_told(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "cut", None, 3)
    trace(0, "promised", (2, 1))
    trace(0, "told_promise", (2, 1), 1, None, [True, []])
    assert trace.rules == []


def test_votes_below_a_cut_that_a_restart_has_undone_must_be_told_again(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "cut", None, 3)
    trace.restart(0, (1, 0), [[3, [1, 0]]], floor=0)
    trace(0, "promised", (2, 1))
    trace(0, "told_promise", (2, 1), 1, None, [True, []])
    assert trace.rules == ["promise/incomplete"]


def test_a_cut_that_a_restart_has_undone_may_be_made_again(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "cut", None, 3)
    trace.restart(0, (1, 0), [[3, [1, 0]]], floor=0)
    trace.vote((2, 1), 3, X, 0)
    trace(0, "cut", None, 3)
    trace(0, "promised", (3, 2))
    trace(0, "told_promise", (3, 2), 1, None, [True, []])
    assert trace.rules == []


def test_a_vote_that_went_with_a_cut_that_a_restart_has_undone_may_be_cast_again(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace.vote((2, 1), 3, X, 0)
    trace(0, "cut", None, 3)
    trace.restart(0, (2, 1), [[3, [1, 0]]], floor=0)
    trace.vote((2, 1), 3, X, 0)
    trace(0, "promised", (3, 2))
    trace(0, "told_promise", (3, 2), 1, None, [True, [(3, (2, 1), False)]])
    assert trace.rules == []


def test_a_vote_between_the_cut_of_the_learner_and_that_of_the_acceptor_is_cut_too(trace: Trace) -> None:
    trace(0, "installed", None, 3)
    trace.vote((1, 0), 3, X, 0)
    trace(0, "cut", None, 3)
    trace(0, "promised", (2, 1))
    trace(0, "told_promise", (2, 1), 3, None, [True, []])
    assert trace.rules == []
