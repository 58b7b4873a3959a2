"""Where phase 1 begins, and slots that a leader leaves open."""

from __future__ import annotations

import pytest

from tests.harness.checkers.conftest import Trace, X, Y, Z

NO_OP = ()
ALL = (0, 1, 2)
PROPOSER, ANOTHER = 6, 7
"""Proposers that live alone; the learners are 3, 4 and 5."""


@pytest.fixture
def trace() -> Trace:
    """Three replicas that have just started."""
    trace = Trace(learners=ALL)
    for agent in ALL:
        trace(agent, "started", None, 0, None, {"role": "replica", "commit": 0})
    return trace


@pytest.fixture
def apart() -> Trace:
    return Trace(learners=(3, 4, 5))


def decide(trace: Trace, slot: int, *learners: int) -> None:
    for learner in learners:
        trace(learner, "chosen", (1, 0), slot, X)
        trace(learner, "applied", None, slot, X, [slot, []])


def vote(trace: Trace, slot: int) -> None:
    trace.propose((1, 0), slot, X)
    trace.vote((1, 0), slot, X, *ALL)


# -- phase 1 ------------------------------------------------------------------------------------------------------------


def test_phase_1_begins_behind_a_slot_that_its_node_does_not_know(trace: Trace) -> None:
    trace.lead((1, 0), *ALL)
    vote(trace, 1)
    decide(trace, 1, 0, 1)
    trace.prepare((2, 1), 2)
    assert trace.rules == []
    trace.prepare((2, 2), 2)
    assert trace.rules == ["phase-1/uncovered"]


def test_phase_1_may_begin_behind_what_is_chosen_but_not_applied_and_behind_a_snapshot(trace: Trace) -> None:
    trace.lead((1, 0), *ALL)
    for slot in (1, 2):
        vote(trace, slot)
    decide(trace, 1, 1)
    trace(1, "chosen", (1, 0), 2, X)
    trace.prepare((2, 1), 3)
    trace(2, "installed", None, 2)
    trace.prepare((2, 2), 3)
    assert trace.rules == []


def test_a_slot_learned_behind_a_gap_is_not_known(trace: Trace) -> None:
    trace.lead((1, 0), *ALL)
    for slot in (1, 2):
        vote(trace, slot)
    trace(1, "chosen", (1, 0), 2, X)
    trace.prepare((2, 1), 3)
    assert trace.rules == ["phase-1/uncovered"]


def test_a_restart_knows_what_it_recovers_and_no_more(trace: Trace) -> None:
    trace.lead((1, 0), *ALL)
    for slot in (1, 2):
        vote(trace, slot)
        decide(trace, slot, 1)
    trace.restart(1, (1, 0), [[1, (1, 0)], [2, (1, 0)]])
    trace(1, "started", None, 0, None, {"role": "replica", "commit": 1})
    trace.prepare((2, 1), 2)
    assert trace.rules == []
    trace.prepare((3, 1), 3)
    assert trace.rules == ["phase-1/uncovered"]


def test_a_proposer_alone_may_leave_out_what_most_learners_have_in_snapshots(apart: Trace) -> None:
    apart(3, "told_snapshot", (1, PROPOSER), 7)
    apart.prepare((1, PROPOSER), 1)
    apart(4, "told_snapshot", (1, PROPOSER), 5)
    apart.prepare((2, PROPOSER), 6)
    assert apart.rules == []
    apart.prepare((3, PROPOSER), 7)
    assert apart.rules == ["phase-1/uncovered"]


def test_where_nobody_is_heard_of_snapshots_a_proposer_alone_is_not_judged(apart: Trace) -> None:
    apart.prepare((1, PROPOSER), 9)
    assert apart.rules == []


# -- gaps ---------------------------------------------------------------------------------------------------------------


def test_a_leader_begins_a_slot_and_leaves_the_one_before_open(trace: Trace) -> None:
    trace.lead((1, 0), *ALL)
    trace.propose((1, 0), 1, X)
    trace.propose((1, 0), 3, Y)
    assert trace.rules == ["proposal/gap"]
    assert "before slot 2" in trace.oracles.violations[0].sentence


def test_a_leader_begins_behind_an_inherited_slot_that_it_has_not_closed(trace: Trace) -> None:
    trace.prepare((1, 0), 1)
    for agent in ALL:
        trace(agent, "promised", (1, 0))
    trace(0, "leader", (1, 0), 3)
    trace.propose((1, 0), 2, X)
    trace.propose((1, 0), 3, Y)
    assert trace.rules == ["proposal/gap"]


def test_all_inherited_slots_are_closed_in_any_order(trace: Trace) -> None:
    trace.prepare((1, 0), 1)
    for agent in ALL:
        trace(agent, "promised", (1, 0))
    trace(0, "leader", (1, 0), 3)
    for slot, value in ((2, X), (1, Y), (3, Z), (4, NO_OP)):
        trace.propose((1, 0), slot, value)
    assert trace.rules == []


def test_a_chosen_slot_leaves_no_gap(apart: Trace) -> None:
    apart.lead((1, PROPOSER), *ALL)
    apart.propose((1, PROPOSER), 1, X)
    apart.vote((1, PROPOSER), 1, X, 0, 1)
    apart.prepare((2, ANOTHER), 1)
    for agent in ALL:
        apart(agent, "promised", (2, ANOTHER))
    apart(ANOTHER, "leader", (2, ANOTHER), 2)
    apart.propose((2, ANOTHER), 2, Y)
    assert apart.rules == []


def test_a_vote_short_of_a_quorum_leaves_one(apart: Trace) -> None:
    apart.lead((1, PROPOSER), *ALL)
    apart.propose((1, PROPOSER), 1, X)
    apart.vote((1, PROPOSER), 1, X, 0)
    apart.prepare((2, ANOTHER), 1)
    for agent in ALL:
        apart(agent, "promised", (2, ANOTHER))
    apart(ANOTHER, "leader", (2, ANOTHER), 2)
    apart.propose((2, ANOTHER), 2, Y)
    assert apart.rules == ["proposal/gap"]
