"""Triggers: what can be said, and when it comes true."""

from __future__ import annotations

import pytest

from harness.record import EVENT_KINDS
from nemesis.triggers import WATCHABLE, Trigger, TriggerError, Triggers, parse_trigger


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("leader", Trigger("leader")),
        ("first leader", Trigger("leader")),
        ("2nd acceptor promised", Trigger("promised", 2, role="acceptor")),
        ("any accepted slot 3", Trigger("accepted", slot=3)),
        ("agent r1 applied slot 5", Trigger("applied", agent="r1", slot=5)),
        ("13th agent a0 appended", Trigger("appended", 13, agent="a0")),
    ],
)
def test_triggers_read_as_english(text: str, meaning: Trigger) -> None:
    assert parse_trigger(text) == meaning


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no event"),
        ("slot 3", "names no event"),
        ("2nd acceptor promissed", "did you mean 'promised'"),
        ("often leader", "cannot read 'often'"),
        ("0th leader", "counting starts at 1st"),
        ("agent promised", "agent NAME"),
        ("applied slot five", "'five'"),
        ("first any agent r1 leader", "cannot read 'any agent r1'"),
    ],
)
def test_what_cannot_be_read_says_which_word_and_what_is_allowed(text: str, complaint: str) -> None:
    with pytest.raises(TriggerError, match=complaint):
        parse_trigger(text)


def test_every_kind_of_the_trace_can_be_waited_for() -> None:
    # No agent does these: the network writes down what it carried and what was told with it, the disk what it did.
    of_the_world = {"message", "told_promise", "told_vote", "told_snapshot", "sync_begun", "sync_ended", "power_lost"}
    assert set(EVENT_KINDS) - of_the_world <= set(WATCHABLE)


def test_each_trigger_fires_once_when_its_count_is_full() -> None:
    triggers = Triggers({4: "2nd acceptor promised", 7: "agent r1 promised"}, {0: "r0", 1: "r1"})
    seen = [triggers.observe(agent, "replica", "promised", 0) for agent in (0, 0, 0, 1, 1)]
    assert seen == [[], [4], [], [7], []]


def test_a_slot_and_a_role_narrow_what_counts() -> None:
    triggers = Triggers({0: "2nd learner applied slot 5"}, {})
    assert triggers.observe(0, "learner", "applied", 4) == []
    assert triggers.observe(0, "acceptor", "applied", 5) == []
    assert triggers.observe(0, "learner", "applied", 5) == []
    assert triggers.observe(1, "replica", "applied", 5) == [0]


def test_a_kind_is_watched_until_its_last_trigger_has_come() -> None:
    triggers = Triggers({0: "leader", 1: "2nd leader", 2: "appended"}, {})
    assert triggers.watched_kinds == {"leader", "appended"}
    triggers.observe(0, "replica", "leader", 0)
    assert triggers.waiting() == [1, 2]
    triggers.observe(0, "replica", "leader", 0)
    assert triggers.watched_kinds == {"appended"}
    assert triggers.waiting() == [2]
