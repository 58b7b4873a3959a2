"""Who is asked for a chosen value that it holds."""

from __future__ import annotations

import pytest

from tests.harness.checkers.conftest import Trace, X

ASKER = 2
PATIENCE = 10


@pytest.fixture
def trace() -> Trace:
    """Three replicas; the first has applied slots 1 and 2 and holds slot 4 chosen."""
    trace = Trace(learners=(0, 1, 2), election_timeout_ns=2 * PATIENCE)
    trace(0, "started", None, 0, None, {"role": "replica", "commit": 0})
    trace.lead((1, 0), 0, 1, 2)
    for slot in (1, 2, 3, 4):
        trace.propose((1, 0), slot, X if slot == 1 else ())
        trace.vote((1, 0), slot, X if slot == 1 else (), 0, 1)
    for slot in (1, 2):
        trace(0, "chosen", (1, 0), slot, X if slot == 1 else ())
        trace(0, "applied", None, slot, X if slot == 1 else (), [slot, []])
    trace(0, "chosen", (1, 0), 4, ())
    return trace


def ask(trace: Trace, slot: int, is_free: bool = True, later: int = 0) -> None:
    trace.time += later
    trace(0, "heard_catch_up", None, slot, None, (ASKER, is_free))


@pytest.mark.parametrize("slot", [1, 2, 4])
def test_a_value_that_is_held_is_not_sent(trace: Trace, slot: int) -> None:
    ask(trace, slot)
    ask(trace, slot, later=PATIENCE - 2)
    assert trace.rules == []
    ask(trace, slot, later=PATIENCE)
    assert trace.rules == ["catch-up/unanswered"]


def test_each_question_is_answered_anew(trace: Trace) -> None:
    for _ in range(3):
        ask(trace, 2, later=2 * PATIENCE)
        trace(0, "told_learn", None, 2)
    assert trace.rules == []


def test_an_answer_to_another_question_is_none(trace: Trace) -> None:
    ask(trace, 2)
    trace(0, "told_learn", None, 1)
    ask(trace, 2, later=2 * PATIENCE)
    assert trace.rules == ["catch-up/unanswered"]


@pytest.mark.parametrize(("covers", "to", "answered"), [(2, ASKER, True), (1, ASKER, False), (2, 1, False)])
def test_a_page_of_a_snapshot_that_covers_the_slot_is_an_answer(
    trace: Trace, covers: int, to: int, answered: bool
) -> None:
    ask(trace, 2)
    trace(0, "told_page", None, covers, None, to)
    ask(trace, 2, later=2 * PATIENCE)
    assert trace.rules == ([] if answered else ["catch-up/unanswered"])


def test_what_it_does_not_hold_or_has_cut_it_need_not_send(trace: Trace) -> None:
    trace(0, "cut", None, 1)
    for _ in range(2):
        ask(trace, 1, later=2 * PATIENCE)
        ask(trace, 3)
        ask(trace, 5)
    assert trace.rules == []


def test_who_was_held_up_or_has_restarted_had_no_time(trace: Trace) -> None:
    ask(trace, 2)
    ask(trace, 2, is_free=False, later=2 * PATIENCE)
    ask(trace, 2)
    trace.restart(0, (1, 0), [[slot, (1, 0)] for slot in (1, 2, 3, 4)])
    trace(0, "started", None, 0, None, {"role": "replica", "commit": 2})
    ask(trace, 2, later=2 * PATIENCE)
    ask(trace, 2, later=2 * PATIENCE)
    assert trace.rules == []


# -- whom is asked ----------------------------------------------------------------------------------------------------


def ask_in_turn(trace: Trace, *peers: int, slot: int = 3, tellers: int = 1) -> list[str]:
    for peer in peers:
        trace(0, "told_catch_up", None, slot, None, (peer, tellers))
    return trace.rules


def test_one_peer_is_asked_over_and_over() -> None:
    trace = Trace(learners=(0, 1, 2))
    assert ask_in_turn(trace, *([1] * 5)) == []
    assert ask_in_turn(trace, 1) == ["catch-up/one-peer"]
    assert ask_in_turn(trace, *([1] * 20)) == ["catch-up/one-peer"]


def test_one_peer_after_the_other_is_asked() -> None:
    assert ask_in_turn(Trace(learners=(0, 1, 2)), *([1, 2] * 20)) == []


def test_there_is_only_one_other_learner() -> None:
    assert ask_in_turn(Trace(learners=(0, 1)), *([1] * 20)) == []


def test_a_proposer_that_lives_alone_is_not_asked_for_ever_either() -> None:
    assert ask_in_turn(Trace(learners=(0, 1)), *([4] * 6)) == ["catch-up/one-peer"]


def test_it_gets_on() -> None:
    trace = Trace(learners=(0, 1, 2))
    for slot in range(1, 20):
        ask_in_turn(trace, 1, 1, slot=slot)
    assert trace.rules == []


def test_turns_begin_anew_when_another_one_tells_what_is_chosen() -> None:
    trace = Trace(learners=(0, 1, 2))
    for tellers in range(20):
        assert ask_in_turn(trace, 1, tellers=tellers) == []
    assert ask_in_turn(trace, *([1] * 5), tellers=19) == ["catch-up/one-peer"]


@pytest.mark.parametrize("kind", ["leader", "step_down"])
def test_turns_begin_anew_when_it_begins_or_ends_to_lead(kind: str) -> None:
    trace = Trace(learners=(0, 1, 2))
    for _ in range(5):
        ask_in_turn(trace, 1, 1, 1)
        trace(0, kind, (1, 0), 1, None, None)
    assert "catch-up/one-peer" not in trace.rules


def test_it_restarts_in_between() -> None:
    trace = Trace(learners=(0, 1, 2))
    for _ in range(5):
        ask_in_turn(trace, 1, 1, 1)
        trace(0, "started", None, 0, None, {"role": "replica", "commit": 2})
    assert trace.rules == []
