"""What a leader asks for and is not answered it asks for again."""

from __future__ import annotations

import pytest

from tests.harness.checkers.conftest import Trace, X, Y

ALL = (0, 1, 2)
B = (1, 0)
RETRANSMIT_NS = 10
"""An event takes 1 ns: three intervals are thirty events."""


@pytest.fixture
def trace() -> Trace:
    """The first of three replicas leads and has proposed in slot 1; nobody has answered."""
    return leading(ALL)


def leading(learners: tuple[int, ...], blocked_ns: int = 0) -> Trace:
    trace = Trace(learners=learners, retransmit_ns=RETRANSMIT_NS, blocked_ns=blocked_ns)
    for agent in {*ALL, *learners}:
        trace(agent, "started", None, 0, None, {"role": "any", "commit": 0})
    for agent in ALL:
        trace(agent, "sync_begun")
        trace(agent, "sync_ended")
    lead(trace, B)
    trace.propose(B, 1, X)
    return trace


def lead(trace: Trace, ballot: tuple[int, int]) -> None:
    trace.prepare(ballot, 1)
    for agent in ALL:
        trace(agent, "promised", ballot)
        trace(agent, "sync_begun")
        trace(agent, "sync_ended")
    for agent in (1, 2):
        trace(ballot[1], "heard_promise", ballot, 1, None, (agent, None))
    trace(ballot[1], "leader", ballot, 1, None, [1, 2])


def beat(trace: Trace, times: int, commit: int = 0, heard: bool = True) -> None:
    for _ in range(times):
        trace(0, "told_heartbeat", B, commit, None, [0, [1, 2] if heard else None])


def ask(trace: Trace, *acceptors: int, slot: int = 1) -> None:
    for acceptor in acceptors or (1, 2):
        trace(0, "told_accept", B, slot, None, (acceptor, 0))


def test_it_never_asks_again(trace: Trace) -> None:
    beat(trace, 100)
    assert set(trace.rules) == {"proposal/not-repeated"}


def test_it_asks_again_and_again(trace: Trace) -> None:
    for _ in range(10):
        beat(trace, 2 * RETRANSMIT_NS)
        ask(trace)
    assert trace.rules == []


def test_it_asks_one_acceptor_alone(trace: Trace) -> None:
    for _ in range(20):
        beat(trace, RETRANSMIT_NS)
        ask(trace, 1)
    assert set(trace.rules) == {"proposal/not-repeated"}
    assert "has not asked agent 2 again" in trace.oracles.violations[0].sentence


def test_the_one_it_does_not_ask_has_answered(trace: Trace) -> None:
    trace(0, "heard_vote", B, 1, None, 2)
    for _ in range(20):
        beat(trace, RETRANSMIT_NS)
        ask(trace, 1)
    assert trace.rules == []


def test_it_asks_one_after_the_other(trace: Trace) -> None:
    for _ in range(10):
        for acceptor in (1, 2):
            beat(trace, 2 * RETRANSMIT_NS)
            ask(trace, acceptor)
    assert trace.rules == []


def test_it_leaves_one_out_for_a_while(trace: Trace) -> None:
    beat(trace, 4 * RETRANSMIT_NS)
    for _ in range(3):
        for _ in range(4):
            beat(trace, RETRANSMIT_NS)
            ask(trace, 1)
        ask(trace, 2)
    assert trace.rules == []


def test_it_may_wait_for_a_sync_in_between() -> None:
    trace = leading(ALL, blocked_ns=4 * RETRANSMIT_NS)
    for _ in range(10):
        beat(trace, 6 * RETRANSMIT_NS)
        ask(trace)
    assert trace.rules == []
    beat(trace, 8 * RETRANSMIT_NS)
    assert set(trace.rules) == {"proposal/not-repeated"}


def test_accepts_are_told_only_when_one_is_missed(trace: Trace) -> None:
    assert "told_accept" not in trace.oracles.wanted
    beat(trace, 3 * RETRANSMIT_NS + 2)
    assert "told_accept" in trace.oracles.wanted


def test_it_repeats_another_slot_only(trace: Trace) -> None:
    trace.propose(B, 2, Y)
    for _ in range(10):
        beat(trace, 2 * RETRANSMIT_NS)
        ask(trace, slot=2)
    assert set(trace.rules) == {"proposal/not-repeated"}


def test_it_has_only_just_begun(trace: Trace) -> None:
    beat(trace, 6 * RETRANSMIT_NS)
    assert trace.rules == []


def test_a_slot_is_chosen_as_far_as_it_has_heard(trace: Trace) -> None:
    for agent in (1, 2):
        trace(0, "heard_vote", B, 1, None, agent)
    beat(trace, 100)
    assert trace.rules == []


def test_the_commit_index_covers_it(trace: Trace) -> None:
    trace.vote(B, 1, X, *ALL)
    beat(trace, 100, commit=1)
    assert trace.rules == []


def test_one_answer_is_not_enough(trace: Trace) -> None:
    trace(0, "heard_vote", B, 1, None, 1)
    beat(trace, 100)
    assert set(trace.rules) == {"proposal/not-repeated"}


def test_all_others_have_answered_and_its_own_vote_is_late() -> None:
    trace = Trace(voters=2, learners=(0, 1), retransmit_ns=RETRANSMIT_NS)
    for agent in (0, 1):
        trace(agent, "started", None, 0, None, {"role": "any", "commit": 0})
    trace.prepare(B, 1)
    for agent in (0, 1):
        trace(agent, "promised", B)
        trace(agent, "sync_begun")
        trace(agent, "sync_ended")
    trace(0, "heard_promise", B, 1, None, (1, None))
    trace(0, "leader", B, 1, None, [0, 1])
    trace.propose(B, 1, X)
    trace(0, "heard_vote", B, 1, None, 1)
    beat(trace, 100)
    assert trace.rules == []


def test_what_may_have_been_held_up_counts_for_nothing(trace: Trace) -> None:
    beat(trace, 100, heard=False)
    beat(trace, 3 * RETRANSMIT_NS)
    assert trace.rules == []
    beat(trace, 2)
    assert set(trace.rules) == {"proposal/not-repeated"}


@pytest.mark.parametrize("event", ["step_down", "started"])
def test_it_leads_no_more(trace: Trace, event: str) -> None:
    beat(trace, 5 * RETRANSMIT_NS)
    trace(0, event, B)
    beat(trace, 100)
    assert trace.rules == []


def test_it_leads_anew_and_has_proposed_nothing(trace: Trace) -> None:
    beat(trace, 5 * RETRANSMIT_NS)
    lead(trace, (2, 0))
    beat(trace, 100)
    assert trace.rules == []


def test_a_leader_that_lives_alone_never_asks_again() -> None:
    trace = Trace(learners=(5, 6), retransmit_ns=RETRANSMIT_NS)
    ballot = (1, 4)
    trace(4, "told_pre_vote", ballot)
    for agent in ALL:
        trace(agent, "told_grant", ballot)
    trace(4, "prepare", ballot, 1)
    for agent in ALL:
        trace(agent, "promised", ballot)
        trace(4, "heard_promise", ballot, 1, None, (agent, None))
    trace(4, "leader", ballot, 1, None, [0, 1])
    trace.propose(ballot, 1, X)
    before = len(trace.rules)
    for _ in range(100):
        trace(4, "told_heartbeat", ballot, 0, None, [0, [0, 1, 2]])
    assert set(trace.rules[before:]) == {"proposal/not-repeated"}
