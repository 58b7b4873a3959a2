"""Situations that come up, and near misses."""

from __future__ import annotations

import pytest

from harness.checkers.situations import SITUATIONS
from tests.harness.checkers.conftest import Trace, X, Y

ALL = (0, 1, 2)
LOW, HIGH = (1, 0), (2, 1)


@pytest.fixture
def trace() -> Trace:
    """Three replicas; the first leads, and one value of it is under way in slot 1."""
    trace = Trace(learners=ALL)
    for agent in ALL:
        start(trace, agent)
    lead(trace, LOW)
    trace.propose(LOW, 1, X)
    return trace


def start(trace: Trace, agent: int, commit: int = 0) -> None:
    trace(agent, "started", None, 0, None, {"role": "replica", "commit": commit})


def lead(trace: Trace, ballot: tuple[int, int], own: int = 1) -> None:
    trace.prepare(ballot, 1)
    for agent in ALL:
        trace(agent, "promised", ballot)
    trace(ballot[1], "leader", ballot, own, None, list(ALL))


def choose(trace: Trace, slot: int, value: object, agent: int = 0) -> None:
    trace(agent, "chosen", None, slot, value)
    trace(agent, "applied", None, slot, value, [7, []])


def reached(trace: Trace) -> set[str]:
    found = trace.oracles.situations.all_reached()
    assert list(found) == [name for name in SITUATIONS if name in found]
    return set(found)


def test_a_calm_run_reaches_nothing(trace: Trace) -> None:
    trace.vote(LOW, 1, X, *ALL)
    for agent in ALL:
        choose(trace, 1, X, agent)
    assert reached(trace) == set()


def test_phase_1_is_tried_again(trace: Trace) -> None:
    trace.prepare((2, 1), 1)
    assert reached(trace) == set()
    trace.prepare((3, 1), 1)
    assert reached(trace) == {"phase 1 lost"}


def test_a_candidate_gives_up_and_tries_again_or_restarts(trace: Trace) -> None:
    trace.prepare((2, 1), 1)
    trace(1, "step_down", (2, 1))
    start(trace, 1)
    assert reached(trace) == set()
    trace.prepare((3, 1), 1)
    assert reached(trace) == set()
    trace(1, "step_down", (3, 1))
    trace.prepare((4, 1), 1)
    assert reached(trace) == {"phase 1 lost"}


def test_two_nodes_run_phase_1_of_one_round(trace: Trace) -> None:
    trace.prepare((2, 1), 1)
    trace.prepare((2, 2), 1)
    assert reached(trace) == {"same round"}


def test_a_candidate_restarts(trace: Trace) -> None:
    trace.prepare((2, 1), 1)
    start(trace, 2)
    assert reached(trace) == set()
    start(trace, 1)
    assert reached(trace) == {"candidate restarts"}


def test_a_leader_restarts_and_leads_again(trace: Trace) -> None:
    start(trace, 0)
    lead(trace, (2, 0))
    assert reached(trace) == {"leader restarts", "leader follows itself"}


def test_a_leader_that_stepped_down_restarts(trace: Trace) -> None:
    trace(0, "step_down", LOW)
    start(trace, 0)
    assert reached(trace) == set()


def test_a_leader_proposes_below_another_one(trace: Trace) -> None:
    lead(trace, HIGH)
    trace.propose(HIGH, 1, X)
    assert reached(trace) == set()
    trace.propose(LOW, 2, Y)
    assert reached(trace) == {"late leader"}


def tell(trace: Trace, agent: int, voted: tuple[int, int], ballot: tuple[int, int], *, chosen: bool = False) -> None:
    trace(agent, "told_promise", ballot, 1, None, [True, [(1, voted, chosen)]])


@pytest.fixture
def divided(trace: Trace) -> Trace:
    """Slot 1 has a vote for each of two values."""
    trace.vote(LOW, 1, X, 0)
    lead(trace, HIGH)
    trace.propose(HIGH, 1, Y)
    trace.vote(HIGH, 1, Y, 1)
    return trace


def test_one_phase_1_is_told_of_two_values(divided: Trace) -> None:
    tell(divided, 0, LOW, (3, 2))
    assert reached(divided) == set()
    tell(divided, 1, HIGH, (3, 2))
    assert reached(divided) == {"two ballots told", "two values told"}


def test_two_phases_1_are_told_of_one_each(divided: Trace) -> None:
    tell(divided, 0, LOW, (3, 2))
    tell(divided, 1, HIGH, (4, 2))
    tell(divided, 0, LOW, (3, 2))
    assert reached(divided) == set()


def test_a_value_that_is_told_as_chosen_is_no_vote(divided: Trace) -> None:
    tell(divided, 0, LOW, (3, 2))
    tell(divided, 1, HIGH, (3, 2), chosen=True)
    assert reached(divided) == set()


def test_an_answer_to_a_prepare_that_came_twice_is_no_other_vote(divided: Trace) -> None:
    tell(divided, 0, LOW, HIGH)
    tell(divided, 1, HIGH, HIGH)
    assert reached(divided) == set()


def test_one_value_in_two_ballots(trace: Trace) -> None:
    trace.vote(LOW, 1, X, 0)
    lead(trace, HIGH)
    trace.propose(HIGH, 1, X)
    trace.vote(HIGH, 1, X, 1)
    tell(trace, 0, LOW, (3, 2))
    tell(trace, 1, HIGH, (3, 2))
    assert reached(trace) == {"two ballots told"}


def test_what_is_below_the_own_slots_is_inherited(trace: Trace) -> None:
    lead(trace, HIGH, own=3)
    trace.propose(HIGH, 1, X)
    assert reached(trace) == {"value inherited"}
    trace.propose(HIGH, 2, ())
    assert reached(trace) == {"value inherited", "gap filled"}


def test_a_vote_in_vain(divided: Trace) -> None:
    divided.vote(HIGH, 1, Y, 2)
    assert reached(divided) == set()
    choose(divided, 1, Y)
    assert reached(divided) == {"vote in vain"}


def test_a_value_chosen_in_two_ballots(trace: Trace) -> None:
    trace.vote(LOW, 1, X, 0, 1)
    choose(trace, 1, X)
    lead(trace, HIGH)
    trace.propose(HIGH, 1, X)
    trace.vote(HIGH, 1, X, 1)
    assert reached(trace) == set()
    trace.vote(HIGH, 1, X, 2)
    assert reached(trace) == {"chosen twice"}


@pytest.mark.parametrize("begun", [False, True])
def test_a_vote_that_waits_for_its_sync_when_the_power_fails(trace: Trace, begun: bool) -> None:
    trace.vote(LOW, 1, X, 1)
    if begun:
        trace(1, "sync_begun")
    trace(1, "power_lost")
    assert reached(trace) == {"vote cut off"}


def test_a_durable_vote_when_the_power_fails(trace: Trace) -> None:
    trace.vote(LOW, 1, X, 1)
    trace(1, "sync_begun")
    trace(1, "sync_ended")
    trace(1, "power_lost")
    assert reached(trace) == set()


def test_a_cut_is_undone(trace: Trace) -> None:
    trace(1, "cut", None, 5)
    trace.restart(1, LOW, [], floor=5)
    assert reached(trace) == set()
    trace(1, "cut", None, 9)
    trace.restart(1, LOW, [], floor=5)
    assert reached(trace) == {"cut undone"}


def test_a_stale_vote_comes_back(divided: Trace) -> None:
    divided.vote(HIGH, 1, Y, 2)
    choose(divided, 1, Y)
    divided.restart(1, HIGH, [[1, HIGH]])
    assert "stale vote back" not in reached(divided)
    divided.restart(0, HIGH, [[1, LOW]])
    assert "stale vote back" in reached(divided)


def test_snapshots(trace: Trace) -> None:
    trace(1, "restored", None, 4, None, 11)
    assert reached(trace) == {"snapshot restored"}
    trace(2, "installed", None, 4, None, 11)
    assert reached(trace) == {"snapshot restored", "snapshot installed"}


def test_a_snapshot_over_an_open_vote(trace: Trace) -> None:
    trace.vote(LOW, 1, X, 2)
    trace(2, "installed", None, 1, None, 11)
    assert reached(trace) == {"snapshot installed", "installed over a vote"}


def test_a_snapshot_over_what_was_known_chosen(trace: Trace) -> None:
    trace.vote(LOW, 1, X, *ALL)
    choose(trace, 1, X, 2)
    trace(2, "installed", None, 1, None, 11)
    assert reached(trace) == {"snapshot installed"}


def test_a_leader_hears_of_a_cut(trace: Trace) -> None:
    trace.vote(LOW, 1, X, *ALL)
    choose(trace, 1, X)
    trace(0, "heard_cut", LOW, 1)
    trace(1, "heard_cut", LOW, 2)
    assert reached(trace) == set()
    trace(0, "heard_cut", LOW, 2)
    assert reached(trace) == {"leader behind a cut"}


def test_word_of_a_cut_for_an_earlier_ballot_comes_late(trace: Trace) -> None:
    trace(0, "heard_cut", HIGH, 2)
    assert reached(trace) == set()


def test_a_leader_that_applies_nothing_hears_of_a_cut() -> None:
    trace, ballot = Trace(learners=(5, 6)), (1, 4)
    trace(4, "started", None, 0, None, {"role": "proposer", "commit": 0})
    trace.prepare(ballot, 1)
    for agent in ALL:
        trace(agent, "promised", ballot)
        trace(4, "heard_promise", ballot, 1, None, (agent, None))
    trace(4, "leader", ballot, 50, None, list(ALL))
    trace(4, "heard_cut", ballot, 49)
    assert reached(trace) == set()
    trace(4, "heard_cut", ballot, 50)
    assert reached(trace) == {"leader behind a cut"}


def test_catch_up(trace: Trace) -> None:
    trace(1, "told_catch_up", None, 1, None, (0, 1))
    assert reached(trace) == {"catch-up"}


@pytest.mark.parametrize(("how", "name"), [("duplicate", "command twice"), ("expired", "session gone")])
def test_a_command_that_is_not_executed(trace: Trace, how: str, name: str) -> None:
    trace.vote(LOW, 1, X, *ALL)
    trace(0, "chosen", None, 1, X)
    trace(0, "applied", None, 1, X, [7, [[0, how]]])
    assert reached(trace) == {name}
