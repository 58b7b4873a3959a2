"""What an agent would have forgotten, held against what it has told and what is chosen."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checkers.recall import Step
from tests.harness.checkers.conftest import Trace, X, Y


def step(kind: str, ballot: Any = None, slot: int = 0, value: Any = None, extra: Any = None) -> Step:
    return kind, ballot, slot, value, extra


STARTED = step("started", extra={"role": "replica", "commit": 0})


def test_all_that_was_told_comes_back(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "told_vote", (1, 0), 3)
    trace(0, "told_snapshot", None, 2)
    steps = [step("started", extra={"commit": 2}), step("recovered", (1, 0), 2, None, [(3, (1, 0))])]
    assert not trace.oracles.recall.would_forget(0, steps)
    assert trace.rules == []


@pytest.mark.parametrize(
    "steps",
    [
        [STARTED],
        [step("recovered", (0, 2), 2, None, [(3, (1, 0))])],
        [step("recovered", (1, 0), 2, None, [])],
        [step("recovered", (1, 0), 2, None, [(3, (0, 2))])],
        [step("recovered_round", (0, 0))],
        [step("chosen", None, 3, Y)],
        [step("applied", None, 3, Y)],
    ],
    ids=["snapshot", "promise", "vote", "older vote", "round", "chosen", "applied"],
)
def test_something_is_missing(trace: Trace, steps: list[Step]) -> None:
    for acceptor in (0, 1, 2):
        trace.vote((1, 0), 3, X, acceptor)
    trace(0, "told_vote", (1, 0), 3)
    trace(0, "told_snapshot", None, 2)
    trace(1, "chosen", (1, 0), 3, X)
    before = trace.rules
    assert trace.oracles.recall.would_forget(0, steps)
    assert trace.rules == before


def test_others_may_know_less(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "told_vote", (1, 0), 3)
    trace(0, "told_snapshot", None, 2)
    assert not trace.oracles.recall.would_forget(1, [STARTED, step("recovered", None, 0, None, [])])


def test_a_vote_below_what_is_known_chosen_need_not_come_back(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "told_vote", (1, 0), 3)
    assert not trace.oracles.recall.would_forget(0, [step("recovered", (1, 0), 3, None, [])])


def test_a_state_differs(trace: Trace) -> None:
    trace(1, "snapshot", None, 4, None, 77)
    assert trace.oracles.recall.would_forget(0, [step("restored", None, 4, None, 78)])
    assert not trace.oracles.recall.would_forget(0, [step("restored", None, 4, None, 77)])
