"""Who stands for election, who lets it, and who waits too long."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.checkers.conftest import Trace

ALL = (0, 1, 2)
TIMEOUT = 10
"""In the time of these traces, which is the number of the event."""


@pytest.fixture
def trace() -> Trace:
    trace = Trace(learners=ALL, election_timeout_ns=TIMEOUT)
    for agent in ALL:
        trace(agent, "started", None, 0, None, {"role": "replica", "commit": 0})
    return trace


def poll(trace: Trace, ballot: tuple[int, int], heard_ns: int | None = None) -> None:
    trace(ballot[1], "told_pre_vote", ballot, 0, None, heard_ns)


def grant(trace: Trace, voter: int, ballot: tuple[int, int], led_by: Any = None) -> None:
    trace(voter, "told_grant", ballot, 0, None, led_by)


def test_phase_1_after_a_pre_vote_that_a_quorum_granted(trace: Trace) -> None:
    poll(trace, (1, 0))
    grant(trace, 1, (1, 0))
    trace(0, "prepare", (1, 0), 1)
    assert trace.rules == []


def test_the_ballot_may_have_risen_since_the_pre_vote(trace: Trace) -> None:
    poll(trace, (1, 0))
    grant(trace, 1, (1, 0))
    trace(0, "prepare", (7, 0), 1)
    assert trace.rules == []


def test_phase_1_without_a_pre_vote(trace: Trace) -> None:
    trace(0, "prepare", (1, 0), 1)
    assert trace.rules == ["election/no-pre-vote"]


def test_phase_1_on_grants_of_an_earlier_try_or_of_one_voter_twice() -> None:
    trace = Trace(voters=5, learners=(0, 1, 2, 3, 4), election_timeout_ns=TIMEOUT)
    poll(trace, (1, 0))
    grant(trace, 1, (1, 0))
    grant(trace, 1, (1, 0))
    trace(0, "prepare", (1, 0), 1)
    assert trace.rules == ["election/no-pre-vote"]
    poll(trace, (2, 0))
    grant(trace, 2, (2, 0))
    grant(trace, 3, (1, 0))
    trace(0, "prepare", (2, 0), 1)
    assert trace.rules == ["election/no-pre-vote"] * 2
    grant(trace, 3, (2, 0))
    trace(0, "prepare", (2, 0), 1)
    assert len(trace.rules) == 2


def test_one_voter_alone_grants_within_itself() -> None:
    trace = Trace(voters=1, learners=(0,), election_timeout_ns=TIMEOUT)
    trace(0, "prepare", (1, 0), 1)
    assert trace.rules == []


def test_a_pre_vote_is_granted_although_the_leader_lives(trace: Trace) -> None:
    trace.time = 100
    grant(trace, 1, (2, 0), ((1, 2), 101 - TIMEOUT))
    grant(trace, 1, (2, 0), ((1, 2), 102 - TIMEOUT // 2))
    assert trace.rules == []
    grant(trace, 1, (2, 0), ((1, 2), 103 - TIMEOUT + 1))
    assert trace.rules == ["election/granted-too-soon"]


def test_a_deposed_leader_protects_nobody(trace: Trace) -> None:
    trace(1, "promised", (2, 0))
    trace.time = 100
    grant(trace, 1, (3, 0), ((1, 2), 101 - TIMEOUT + 1))
    assert trace.rules == []


def test_who_hears_nobody_tries_again_in_time(trace: Trace) -> None:
    trace.time = 10 * TIMEOUT
    poll(trace, (1, 0), heard_ns=-1)
    assert trace.rules == []
    trace.time += 10 * TIMEOUT
    poll(trace, (2, 0), heard_ns=-1)
    assert trace.rules == ["election/idle"]


@pytest.mark.parametrize("kind", ["prepare", "step_down", "leader"])
def test_who_tried_or_led_meanwhile_was_not_idle(trace: Trace, kind: str) -> None:
    poll(trace, (1, 1))
    grant(trace, 0, (1, 1))
    poll(trace, (1, 0))
    grant(trace, 1, (1, 0))
    trace.time += 8 * TIMEOUT
    trace(0, "prepare", (1, 0), 1)
    trace(1, "promised", (1, 0))
    trace(0, "promised", (1, 0))
    trace.time += 8 * TIMEOUT
    trace(0, kind, (1, 0), 1)
    trace.time += 8 * TIMEOUT
    poll(trace, (2, 0), heard_ns=-1)
    assert trace.rules == []


def test_who_heard_a_leader_or_was_stopped_was_not_idle(trace: Trace) -> None:
    trace.time = 30 * TIMEOUT
    poll(trace, (1, 0), heard_ns=25 * TIMEOUT)
    trace.time = 60 * TIMEOUT
    poll(trace, (2, 0), heard_ns=None)
    assert trace.rules == []
