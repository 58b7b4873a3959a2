"""What leaders say of themselves."""

from __future__ import annotations

import pytest

from tests.harness.checkers.conftest import Trace, X, Y, Z

PROPOSER = 6
TIMEOUT = 10
"""In the time of these traces, which is the number of the event."""


@pytest.fixture
def trace() -> Trace:
    """Acceptors 0 to 2, learners 3 to 5, and a proposer that leads."""
    trace = Trace(learners=(3, 4, 5), election_timeout_ns=TIMEOUT)
    trace.lead((1, PROPOSER), 0, 1, 2)
    return trace


def beat(trace: Trace, commit: int = 0, stable: int = 0, heard: list[int] | None = None) -> None:
    trace(PROPOSER, "told_heartbeat", (1, PROPOSER), commit, None, [stable, heard])


def test_a_commit_index_above_what_a_quorum_voted_for(trace: Trace) -> None:
    for slot, value, voters in ((1, X, (0, 1)), (2, Y, (0,)), (3, Z, (0, 2))):
        trace.propose((1, PROPOSER), slot, value)
        trace.vote((1, PROPOSER), slot, value, *voters)
    beat(trace, commit=1)
    assert trace.rules == []
    beat(trace, commit=3)
    assert trace.rules == ["commit/not-chosen"]
    assert "slot 2 is not" in trace.oracles.violations[0].sentence


def test_a_commit_index_that_a_snapshot_told_of(trace: Trace) -> None:
    trace.propose((1, PROPOSER), 1, X)
    trace.vote((1, PROPOSER), 1, X, 0, 1)
    trace(3, "chosen", (1, PROPOSER), 1, X)
    trace(0, "cut", None, 0)
    beat(trace, commit=1)
    assert trace.rules == []


def test_what_is_called_stable_though_one_learner_alone_has_it(trace: Trace) -> None:
    trace(3, "told_snapshot", (1, PROPOSER), 9)
    trace(4, "told_snapshot", (1, PROPOSER), 5)
    beat(trace, stable=5)
    assert trace.rules == []
    beat(trace, stable=6)
    assert trace.rules == ["stable/not-durable"]


def test_acceptors_that_live_alone_cut_what_is_stable_and_no_more(trace: Trace) -> None:
    trace(3, "told_snapshot", (1, PROPOSER), 9)
    trace(4, "told_snapshot", (1, PROPOSER), 5)
    trace(3, "cut", None, 9)
    trace(0, "cut", None, 5)
    assert trace.rules == []
    trace(1, "cut", None, 9)
    assert trace.rules == ["cut/not-stable"]


def test_where_nobody_is_heard_of_snapshots_no_cut_is_judged(trace: Trace) -> None:
    trace(1, "cut", None, 9)
    assert trace.rules == []


def test_a_leader_that_hears_no_quorum_and_goes_on(trace: Trace) -> None:
    beat(trace, heard=[0])
    trace.time += 2 * TIMEOUT
    beat(trace, heard=[0, 1])
    assert trace.rules == []
    beat(trace, heard=[0, 3, 4, 5])
    assert trace.rules == ["leader/deaf"]


def test_a_leader_that_may_have_meant_it_long_before_is_not_called_deaf(trace: Trace) -> None:
    trace.time += 5 * TIMEOUT
    beat(trace, heard=None)
    assert trace.rules == []


def test_a_new_leader_has_not_had_the_time_to_hear(trace: Trace) -> None:
    trace.time += 5 * TIMEOUT
    trace.lead((2, PROPOSER), 0, 1, 2)
    trace(PROPOSER, "told_heartbeat", (2, PROPOSER), 0, None, [0, []])
    assert trace.rules == []


def test_a_leader_that_votes_too_hears_itself() -> None:
    trace = Trace(learners=(0, 1, 2), election_timeout_ns=TIMEOUT)
    trace.lead((1, 0), 0, 1, 2)
    trace.time += 5 * TIMEOUT
    trace(0, "told_heartbeat", (1, 0), 0, None, [0, [2]])
    assert trace.rules == []
    trace(0, "told_heartbeat", (1, 0), 0, None, [0, []])
    assert trace.rules == ["leader/deaf"]


# -- what others have cut ---------------------------------------------------------------------------------------------------


def test_a_leader_that_goes_on_below_what_another_has_cut(trace: Trace) -> None:
    trace(PROPOSER, "heard_cut", (1, PROPOSER), 7)
    trace(PROPOSER, "told_accept", (1, PROPOSER), 9, None, (0, 6))
    assert trace.rules == ["leader/overtaken"]


def test_what_is_cut_and_known_chosen_is_no_matter(trace: Trace) -> None:
    trace(PROPOSER, "heard_cut", (1, PROPOSER), 7)
    trace(PROPOSER, "told_accept", (1, PROPOSER), 9, None, (0, 7))
    assert trace.rules == []


def test_what_it_sends_at_that_very_moment_it_meant_before(trace: Trace) -> None:
    trace(PROPOSER, "heard_cut", (1, PROPOSER), 7)
    trace.time -= 1
    trace(PROPOSER, "told_accept", (1, PROPOSER), 9, None, (0, 6))
    assert trace.rules == []


def test_another_leadership_has_run_phase_1_above_the_cut(trace: Trace) -> None:
    trace(PROPOSER, "heard_cut", (1, PROPOSER), 7)
    trace.lead((2, PROPOSER), 0, 1, 2)
    trace(PROPOSER, "told_accept", (2, PROPOSER), 9, None, (0, 6))
    assert trace.rules == []
