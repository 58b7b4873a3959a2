"""What became of requests, and what their clients are told."""

from __future__ import annotations

import pytest

from harness.record import Command
from tests.harness.checkers.conftest import Trace, X

KEY = (X[0].client, X[0].seq)


@pytest.fixture
def trace() -> Trace:
    trace = Trace(learners=(0, 1, 2))
    trace.lead((1, 0), 0, 1, 2)
    return trace


def ask(trace: Trace, agent: int = 0) -> None:
    trace(agent, "request", None, 0, None, KEY)


def answer(trace: Trace, status: str, agent: int = 0) -> None:
    trace(agent, "told_answer", None, 0, status, KEY)


def choose(trace: Trace, slot: int = 1, ballot: tuple[int, int] = (1, 0)) -> None:
    trace.propose(ballot, slot, X)
    trace.vote(ballot, slot, X, 0, 1, 2)


def test_done_is_said_only_when_it_is(trace: Trace) -> None:
    ask(trace)
    choose(trace)
    for learner in (1, 0):
        trace(learner, "chosen", (1, 0), 1, X)
        trace(learner, "applied", None, 1, X, [7, []])
    answer(trace, "ok")
    assert trace.rules == []


def test_done_is_said_of_what_is_only_chosen(trace: Trace) -> None:
    ask(trace)
    choose(trace)
    trace(0, "chosen", (1, 0), 1, X)
    answer(trace, "ok")
    assert trace.rules == ["answer/not-executed"]


def test_a_request_is_refused_though_it_was_proposed(trace: Trace) -> None:
    ask(trace)
    trace.propose((1, 0), 1, X)
    trace(0, "step_down", (1, 0))
    answer(trace, "not_leader")
    assert trace.rules == ["answer/refused"]


def test_a_request_is_proposed_though_it_was_refused(trace: Trace) -> None:
    ask(trace)
    answer(trace, "busy")
    trace.propose((1, 0), 1, X)
    assert trace.rules == ["answer/refused"]


def test_a_retry_may_be_refused_and_the_first_request_proposed(trace: Trace) -> None:
    ask(trace)
    trace.propose((1, 0), 1, X)
    trace(0, "step_down", (1, 0))
    ask(trace)
    answer(trace, "not_leader")
    assert trace.rules == []
    answer(trace, "not_leader")
    assert trace.rules == ["answer/refused"]


def test_what_a_leader_inherited_it_may_refuse(trace: Trace) -> None:
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.prepare((2, 1), 1)
    for agent in (0, 1, 2):
        trace(agent, "promised", (2, 1))
    trace(1, "leader", (2, 1), 2)
    trace.propose((2, 1), 1, X)
    ask(trace, 1)
    answer(trace, "busy", 1)
    assert trace.rules == []


def test_a_new_life_owes_nothing_for_the_one_before(trace: Trace) -> None:
    ask(trace)
    trace.propose((1, 0), 1, X)
    trace.restart(0, (1, 0), [])
    ask(trace)
    answer(trace, "not_leader")
    assert trace.rules == []


def test_who_finds_the_session_gone_has_executed_nothing(trace: Trace) -> None:
    ask(trace)
    trace.propose((1, 0), 1, X)
    answer(trace, "expired")
    assert trace.rules == []


def test_another_command_of_the_client_is_another_matter(trace: Trace) -> None:
    ask(trace)
    trace.propose((1, 0), 1, (Command(X[0].client, X[0].seq + 1, 1, "write", "k", "x"),))
    answer(trace, "busy")
    assert trace.rules == []


def test_a_command_in_flight_is_proposed_once_more(trace: Trace) -> None:
    ask(trace)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    ask(trace)
    trace.propose((1, 0), 2, X)
    assert trace.rules == ["proposal/twice"]


def test_what_is_chosen_may_be_proposed_again_by_who_is_asked_again(trace: Trace) -> None:
    ask(trace)
    choose(trace)
    ask(trace)
    trace.propose((1, 0), 2, X)
    assert trace.rules == []


def test_another_leadership_may_propose_it_again(trace: Trace) -> None:
    ask(trace)
    trace.propose((1, 0), 1, X)
    trace.lead((2, 0), 0, 1, 2)
    ask(trace)
    trace.propose((2, 0), 1, X)
    assert trace.rules == []


def test_a_late_copy_of_a_client_that_went_on(trace: Trace) -> None:
    trace.propose((1, 0), 1, X)
    trace.propose((1, 0), 2, (Command(X[0].client, X[0].seq + 1, 1, "write", "k", "x"),))
    trace.propose((1, 0), 3, X)
    assert trace.rules == []


def test_an_own_copy_of_what_was_inherited_may_have_a_second_one(trace: Trace) -> None:
    trace(1, "request", None, 0, None, KEY)
    trace.prepare((2, 1), 1)
    for agent in (0, 1, 2):
        trace(agent, "promised", (2, 1))
    trace(1, "leader", (2, 1), 2)
    for slot in (1, 2, 3):
        trace.propose((2, 1), slot, X)
    assert trace.rules == []
