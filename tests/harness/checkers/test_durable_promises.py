"""Promises and ballots are durable before they are told, or counted."""

from __future__ import annotations

import pytest

from tests.harness.checkers.conftest import Trace, X

ALL = (0, 1, 2)


@pytest.fixture
def trace() -> Trace:
    """Three replicas that have just started; nothing is written yet."""
    trace = Trace(learners=ALL)
    for agent in ALL:
        trace(agent, "recovered", None, 0, None, [])
        trace(agent, "recovered_round", (0, agent))
        trace(agent, "started", None, 0, None, {"role": "replica", "commit": 0})
    return trace


def sync(trace: Trace, agent: int) -> None:
    trace(agent, "sync_begun")
    trace(agent, "sync_ended")


def tell(trace: Trace, agent: int, ballot: tuple[int, int]) -> list[str]:
    trace(agent, "told_promise", ballot, 1, None, [True, []])
    return trace.rules


# -- promises ---------------------------------------------------------------------------------------------------------


def test_a_promise_told_behind_its_sync(trace: Trace) -> None:
    trace(1, "promised", (1, 0))
    sync(trace, 1)
    assert tell(trace, 1, (1, 0)) == []


def test_a_promise_told_before_any_sync(trace: Trace) -> None:
    trace(1, "promised", (1, 0))
    assert tell(trace, 1, (1, 0)) == ["promise/not-durable"]


def test_a_sync_that_had_begun_before_the_promise_does_not_cover_it(trace: Trace) -> None:
    trace(1, "sync_begun")
    trace(1, "promised", (1, 0))
    trace(1, "sync_ended")
    assert tell(trace, 1, (1, 0)) == ["promise/not-durable"]


def test_the_sync_of_another_agent(trace: Trace) -> None:
    trace(1, "promised", (1, 0))
    sync(trace, 2)
    assert tell(trace, 1, (1, 0)) == ["promise/not-durable"]


def test_a_promise_told_late_when_a_higher_one_is_written(trace: Trace) -> None:
    trace(1, "promised", (1, 0))
    sync(trace, 1)
    trace(1, "promised", (2, 2))
    assert tell(trace, 1, (1, 0)) == []


def test_a_vote_is_a_promise_too(trace: Trace) -> None:
    trace.lead((1, 0), 0, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 1)
    sync(trace, 1)
    assert tell(trace, 1, (1, 0)) == []


def test_what_was_killed_unsynced_and_read_back_needs_a_sync(trace: Trace) -> None:
    trace(1, "promised", (1, 0))
    trace.restart(1, (1, 0), [])
    assert tell(trace, 1, (1, 0)) == ["promise/not-durable"]


def test_what_was_killed_unsynced_is_durable_behind_the_first_sync(trace: Trace) -> None:
    trace(1, "promised", (1, 0))
    trace.restart(1, (1, 0), [])
    sync(trace, 1)
    assert tell(trace, 1, (1, 0)) == []


def test_what_was_durable_before_a_kill_stays_so(trace: Trace) -> None:
    trace(1, "promised", (1, 0))
    sync(trace, 1)
    trace.restart(1, (1, 0), [])
    assert tell(trace, 1, (1, 0)) == []


def test_what_is_there_after_a_power_cut_is_durable(trace: Trace) -> None:
    trace(1, "promised", (1, 0))
    trace(1, "power_lost")
    trace.restart(1, (1, 0), [])
    assert tell(trace, 1, (1, 0)) == []


def test_a_sync_under_way_at_a_kill_does_not_end(trace: Trace) -> None:
    trace(1, "promised", (1, 0))
    trace(1, "sync_begun")
    trace.restart(1, (1, 0), [])
    trace(1, "sync_ended")
    assert tell(trace, 1, (1, 0)) == ["promise/not-durable"]


# -- the own promise --------------------------------------------------------------------------------------------------


def lead(trace: Trace, *counted: int) -> list[str]:
    trace(0, "heard_promise", (1, 0), 1, None, (1, None))
    trace(0, "leader", (1, 0), 1, None, list(counted))
    return trace.rules


def promise(trace: Trace) -> None:
    trace.prepare((1, 0), 1)
    trace(0, "promised", (1, 0))
    trace(1, "promised", (1, 0))


def test_an_own_promise_counts_when_it_is_durable(trace: Trace) -> None:
    promise(trace)
    sync(trace, 0)
    assert lead(trace, 0, 1) == []


def test_an_own_promise_whose_sync_had_begun_before_it(trace: Trace) -> None:
    trace(0, "sync_begun")
    promise(trace)
    trace(0, "sync_ended")
    assert lead(trace, 0, 1) == ["promise/not-durable"]


def test_an_own_promise_that_is_not_counted(trace: Trace) -> None:
    promise(trace)
    trace(2, "promised", (1, 0))
    trace(0, "heard_promise", (1, 0), 1, None, (2, None))
    assert lead(trace, 1, 2) == []


# -- ballots ----------------------------------------------------------------------------------------------------------


def prepare(trace: Trace, round_: int = 1) -> None:
    trace.prepare((round_, 0), 1)


def told(trace: Trace, round_: int = 1) -> list[str]:
    trace(0, "told_prepare", (round_, 0), 1)
    return trace.rules


def test_a_prepare_behind_the_sync_of_its_round(trace: Trace) -> None:
    prepare(trace)
    sync(trace, 0)
    assert told(trace) == []
    assert told(trace) == []


def test_a_prepare_before_any_sync(trace: Trace) -> None:
    prepare(trace)
    assert told(trace) == ["ballot/not-durable"]


def test_a_prepare_while_its_sync_is_under_way(trace: Trace) -> None:
    prepare(trace)
    trace(0, "sync_begun")
    assert told(trace) == ["ballot/not-durable"]


def test_a_prepare_behind_a_sync_that_had_begun_before_it(trace: Trace) -> None:
    trace(0, "sync_begun")
    prepare(trace)
    trace(0, "sync_ended")
    assert told(trace) == ["ballot/not-durable"]


def test_a_late_prepare_when_a_higher_round_is_durable(trace: Trace) -> None:
    prepare(trace, 1)
    prepare(trace, 2)
    sync(trace, 0)
    assert told(trace, 1) == []


def test_a_higher_round_is_not_covered_by_a_lower_one(trace: Trace) -> None:
    prepare(trace, 1)
    sync(trace, 0)
    prepare(trace, 2)
    assert told(trace, 2) == ["ballot/not-durable"]


def test_a_restart_writes_anew(trace: Trace) -> None:
    prepare(trace, 1)
    trace(0, "sync_begun")
    trace.incarnation[0] = 1
    trace(0, "recovered_round", (1, 0))
    prepare(trace, 2)
    trace(0, "sync_ended")
    assert told(trace, 2) == ["ballot/not-durable"]
