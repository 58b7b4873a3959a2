"""A value is chosen when a quorum of votes is durable, not when it is written."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.checkers.online import OnlineOracles
from harness.worlds.simulated.world import simulate
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, SECOND, Cluster, Plan
from paxos_impl.gate import Gate
from paxos_impl.messages import Accepted, AnyMessage
from paxos_impl.parts import CORRECT

BALLOT = (1, 0)
VALUE = ("a value",)


class Story:
    """Three acceptors; what they do one after the other, a microsecond apart."""

    def __init__(self) -> None:
        self.oracles = OnlineOracles(frozenset({0, 1, 2}), 2, {0: "r0", 1: "r1", 2: "r2"})
        self.time_ns = 0
        for agent in (0, 1, 2):
            self.synced(agent)

    def tell(
        self, agent: int, kind: str, *, inc: int = 1, ballot: Any = None, slot: int = 0, extra: Any = None
    ) -> None:
        self.time_ns += 1000
        value = VALUE if kind in ("accepted", "chosen") else None
        self.oracles.observe(agent, inc, self.time_ns, kind, ballot, slot, value, extra)

    def vote(self, agent: int, inc: int = 1) -> None:
        self.tell(agent, "accepted", inc=inc, ballot=BALLOT, slot=1)

    def synced(self, agent: int, inc: int = 1) -> None:
        self.tell(agent, "sync_begun", inc=inc)
        self.tell(agent, "sync_ended", inc=inc)

    def back(self, agent: int, *, with_vote: bool) -> None:
        extra = [[1, list(BALLOT)]] if with_vote else []
        self.tell(agent, "recovered", inc=2, ballot=BALLOT, extra=extra)

    def found(self) -> list[str]:
        """Whether the rule is broken when r0 says that slot 1 is chosen."""
        self.tell(0, "chosen", ballot=BALLOT, slot=1)
        return [one.rule for one in self.oracles.violations if one.rule == "decision/not-durable"]


def test_a_quorum_of_durable_votes_chooses() -> None:
    story = Story()
    for agent in (0, 1):
        story.vote(agent)
        story.synced(agent)
    assert story.found() == []


@pytest.mark.parametrize("early", [0, 1])
def test_a_vote_that_is_only_written_does_not_count(early: int) -> None:
    story = Story()
    for agent in (0, 1):
        story.vote(agent)
        if agent != early:
            story.synced(agent)
    assert story.found() == ["decision/not-durable"]


def test_a_sync_covers_only_what_was_written_before_it_began() -> None:
    story = Story()
    story.vote(0)
    story.synced(0)
    story.tell(1, "sync_begun")
    story.vote(1)
    story.tell(1, "sync_ended")
    assert story.found() == ["decision/not-durable"]


def test_a_sync_that_has_not_ended_makes_nothing_durable() -> None:
    story = Story()
    story.vote(0)
    story.synced(0)
    story.vote(1)
    story.tell(1, "sync_begun")
    assert story.found() == ["decision/not-durable"]


def test_what_a_killed_process_wrote_is_durable_after_the_next_sync() -> None:
    for synced_again in (False, True):
        story = Story()
        story.vote(0)
        story.synced(0)
        story.vote(1)
        story.back(1, with_vote=True)
        if synced_again:
            story.synced(1, inc=2)
        assert story.found() == ([] if synced_again else ["decision/not-durable"])


def test_what_is_there_after_a_power_cut_is_durable() -> None:
    for kept in (True, False):
        story = Story()
        story.vote(0)
        story.synced(0)
        story.vote(1)
        story.tell(1, "power_lost")
        story.back(1, with_vote=kept)
        assert story.found() == ([] if kept else ["decision/not-durable"])


def test_nothing_is_judged_where_no_sync_is_seen() -> None:
    story = Story()
    story.oracles = OnlineOracles(frozenset({0, 1, 2}), 2)
    story.vote(0)
    story.vote(1)
    assert story.found() == []


def test_who_is_told_counts_nothing() -> None:
    story = Story()
    story.tell(1, "chosen", ballot=None, slot=1)
    story.tell(2, "chosen", ballot=(-1, -1), slot=1)
    assert not [one for one in story.oracles.violations if one.rule == "decision/not-durable"]


def test_a_leader_that_counts_its_own_vote_before_its_sync_is_seen_without_a_power_cut() -> None:
    class OwnVoteAtOnce(Gate):
        def may_leave(self, message: AnyMessage, offset: int) -> bool:
            return type(message) is Accepted or super().may_leave(message, offset)

    slow = Fault("slow_sync", "all", at_ns=0, duration_ns=-1, params={"delay_ns": 20 * MILLISECOND})
    plan = Plan(seed=1, duration_ns=SECOND, cluster=Cluster(nodes=3), faults=(slow,), final_power_cut=False)
    parts = dataclasses.replace(CORRECT, gate=OwnVoteAtOnce)
    assert "decision/not-durable" in {one.rule for one in simulate(plan, parts=parts).violations}
    assert simulate(plan).violations == []


# -- told -------------------------------------------------------------------------------------------------------------


def told(story: Story, inc: int = 1) -> list[str]:
    story.tell(1, "told_vote", inc=inc, ballot=BALLOT, slot=1)
    return [one.rule for one in story.oracles.violations]


def test_a_vote_is_told_behind_its_sync() -> None:
    story = Story()
    story.vote(1)
    story.synced(1)
    assert told(story) == []


def test_a_vote_is_told_before_its_sync() -> None:
    story = Story()
    story.vote(1)
    assert told(story) == ["vote/not-durable"]


def test_a_vote_is_told_behind_a_sync_that_had_begun_before_it() -> None:
    story = Story()
    story.tell(1, "sync_begun")
    story.vote(1)
    story.tell(1, "sync_ended")
    assert told(story) == ["vote/not-durable"]


def test_a_vote_is_told_that_was_not_cast() -> None:
    story = Story()
    story.vote(0)
    story.synced(0)
    story.synced(1)
    assert told(story) == ["vote/not-durable"]


@pytest.mark.parametrize("is_synced", [True, False])
def test_a_vote_read_back_after_a_kill_is_told_behind_a_sync(is_synced: bool) -> None:
    story = Story()
    story.vote(1)
    story.back(1, with_vote=True)
    if is_synced:
        story.synced(1, inc=2)
    assert told(story, inc=2) == ([] if is_synced else ["vote/not-durable"])


def test_a_vote_that_was_durable_before_a_kill_may_be_told_at_once() -> None:
    story = Story()
    story.vote(1)
    story.synced(1)
    story.back(1, with_vote=True)
    assert told(story, inc=2) == []


def test_a_vote_that_outlived_a_power_cut_may_be_told_at_once() -> None:
    story = Story()
    story.vote(1)
    story.tell(1, "power_lost")
    story.back(1, with_vote=True)
    assert told(story, inc=2) == []
