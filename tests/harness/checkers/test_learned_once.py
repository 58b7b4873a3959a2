"""A slot is learned once a life."""

from __future__ import annotations

from tests.harness.checkers.conftest import Trace, X


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
