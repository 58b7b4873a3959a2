"""Who holds a value chosen because of votes has heard them, or has cast its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.checkers.conftest import Trace, X, Y

ALL = (0, 1, 2)
B, A = (1, 0), (0, 1)


@pytest.fixture
def trace() -> Trace:
    """Three replicas; the first leads, and all have voted for its value in slot 1. Nothing is durable yet."""
    trace = Trace(learners=ALL)
    for agent in ALL:
        trace(agent, "started", None, 0, None, {"role": "replica", "commit": 0})
    trace.prepare(B, 1)
    for agent in ALL:
        trace(agent, "promised", B)
        sync(trace, agent)
    for agent in (1, 2):
        trace(0, "heard_promise", B, 1, None, (agent, None))
    trace(0, "leader", B, 1, None, [1, 2])
    trace.propose(B, 1, X)
    trace.vote(B, 1, X, *ALL)
    return trace


@pytest.fixture
def durable(trace: Trace) -> Trace:
    for agent in ALL:
        sync(trace, agent)
    return trace


def sync(trace: Trace, agent: int) -> None:
    trace(agent, "sync_begun")
    trace(agent, "sync_ended")


def hear(trace: Trace, source: int, ballot: tuple[int, int] = B, slot: int = 1, by: int = 0) -> None:
    trace(by, "heard_vote", ballot, slot, None, source)


def choose(trace: Trace, agent: int = 0, ballot: tuple[int, int] | None = B, value: Any = X) -> list[str]:
    trace(agent, "chosen", ballot, 1, value)
    return trace.rules


def test_two_votes_heard(durable: Trace) -> None:
    hear(durable, 1)
    hear(durable, 2)
    assert choose(durable) == []


def test_one_heard_and_the_own_one(durable: Trace) -> None:
    hear(durable, 2)
    assert choose(durable) == []


def test_votes_that_were_cast_and_not_heard(durable: Trace) -> None:
    hear(durable, 1, by=2)
    assert choose(durable) == ["decision/not-heard"]


def test_the_same_vote_heard_twice(trace: Trace) -> None:
    for agent in (1, 2):
        sync(trace, agent)
    hear(trace, 1)
    hear(trace, 1)
    assert choose(trace) == ["decision/not-heard"]


def test_an_own_vote_counts_when_it_is_durable(trace: Trace) -> None:
    for agent in (1, 2):
        sync(trace, agent)
    hear(trace, 1)
    assert choose(trace) == ["decision/not-heard"]


@pytest.mark.parametrize(("ballot", "slot"), [(A, 1), ((0, 0), 1), (B, 2)])
def test_a_vote_of_another_ballot_or_slot(trace: Trace, ballot: tuple[int, int], slot: int) -> None:
    for agent in (1, 2):
        sync(trace, agent)
    hear(trace, 1)
    hear(trace, 2, ballot, slot)
    assert choose(trace) == ["decision/not-heard"]


def test_votes_heard_by_another(durable: Trace) -> None:
    hear(durable, 1, by=2)
    hear(durable, 2, by=1)
    assert choose(durable) == ["decision/not-heard"]


def test_votes_heard_before_a_restart(durable: Trace) -> None:
    hear(durable, 1)
    hear(durable, 2)
    durable.restart(0, B, [[1, B]])
    durable(0, "started", None, 0, None, {"role": "replica", "commit": 0})
    assert choose(durable) == ["decision/not-heard"]


def test_who_follows_has_voted(durable: Trace) -> None:
    assert choose(durable, 1) == []


def test_who_follows_has_not_voted_in_that_ballot(durable: Trace) -> None:
    hear(durable, 1)
    choose(durable)
    durable.vote((0, 2), 2, Y, 1)
    before = len(durable.rules)
    durable(1, "chosen", B, 2, Y)
    assert "decision/not-voted" in durable.rules[before:]


def test_who_follows_has_voted_for_another_value(durable: Trace) -> None:
    hear(durable, 1)
    choose(durable)
    assert "decision/not-voted" in choose(durable, 2, value=Y)


def test_who_is_told_by_another_learner_counts_nothing(durable: Trace) -> None:
    hear(durable, 1)
    choose(durable)
    assert choose(durable, 2, ballot=None) == []


def test_a_learner_that_lives_alone_hears_a_quorum() -> None:
    trace = Trace(voters=3, learners=(3, 4))
    for agent in range(5):
        trace(agent, "started", None, 0, None, {"role": "any", "commit": 0})
    trace.prepare(B, 1)
    for agent in ALL:
        trace(agent, "promised", B)
    trace.propose(B, 1, X)
    trace.vote(B, 1, X, *ALL)
    for agent in ALL:
        sync(trace, agent)
    before = len(trace.rules)
    hear(trace, 0, by=3)
    hear(trace, 2, by=3)
    choose(trace, 3)
    assert trace.rules[before:] == []
    hear(trace, 1, by=4)
    choose(trace, 4)
    assert trace.rules[before:] == ["decision/not-heard"]
