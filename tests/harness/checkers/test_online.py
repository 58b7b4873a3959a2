"""The protocol oracles: traces they must reject, and near misses they must accept. Three acceptors 0, 1, 2."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from harness.checkers import online
from harness.checkers.online import OnlineOracles
from harness.record import Command

X = (Command(1, 1, 1, "write", "k", "x"),)
Y = (Command(2, 1, 1, "write", "k", "y"),)
Z = (Command(3, 1, 1, "write", "k", "z"),)


class Trace:
    """Feeds events in the order they are called; time is the number of the event."""

    def __init__(self, voters: int = 3, window: int = 0) -> None:
        self.oracles = OnlineOracles(frozenset(range(voters)), voters // 2 + 1, window=window)
        self.time = 0
        self.incarnation: dict[int, int] = {}

    def __call__(
        self, agent: int, kind: str, ballot: Any = None, slot: int = 0, value: Any = None, extra: Any = None
    ) -> None:
        self.time += 1
        self.oracles.observe(agent, self.incarnation.get(agent, 0), self.time, kind, ballot, slot, value, extra)

    def lead(self, ballot: tuple[int, int], *promisers: int, slot: int = 1, counted: list[int] | None = None) -> None:
        self(ballot[1], "prepare", ballot, slot)
        for agent in promisers:
            self(agent, "promised", ballot)
        self(ballot[1], "leader", ballot, slot, None, counted)

    def vote(self, ballot: tuple[int, int], slot: int, value: Any, *voters: int) -> None:
        for agent in voters:
            self(agent, "accepted", ballot, slot, value)

    def propose(self, ballot: tuple[int, int], slot: int, value: Any) -> None:
        self(ballot[1], "propose", ballot, slot, value)

    def restart(self, agent: int, promise: Any, votes: list[Any], floor: int = 0) -> None:
        self.incarnation[agent] = self.incarnation.get(agent, 0) + 1
        self(agent, "recovered", promise, floor, None, votes)

    @property
    def rules(self) -> list[str]:
        return [violation.rule for violation in self.oracles.violations]


@pytest.fixture
def trace() -> Trace:
    return Trace()


def test_an_ordinary_leadership_and_its_successor(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "chosen", (1, 0), 1, X)
    trace(0, "applied", None, 1, X, [5, []])
    trace.lead((2, 1), 1, 2)
    trace.propose((2, 1), 1, X)
    trace.vote((2, 1), 1, X, 1, 2)
    trace(1, "chosen", (2, 1), 1, X)
    trace(1, "applied", None, 1, X, [5, []])
    trace.propose((2, 1), 2, Y)
    trace(2, "chosen", None, 1, X)
    assert trace.rules == []


def test_a_ballot_used_by_another_node(trace: Trace) -> None:
    trace(1, "prepare", (1, 0), 1)
    assert trace.rules == ["ballot/not-owner"]


def test_a_ballot_reused_after_a_restart(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.incarnation[0] = 1
    trace(0, "prepare", (1, 0), 1)
    assert trace.rules == ["ballot/reused"]


def test_a_ballot_whose_prepare_never_left_may_be_used_again(trace: Trace) -> None:
    trace(0, "prepare", (1, 0), 1)
    trace(0, "promised", (1, 0))
    trace.restart(0, (-1, -1), [])
    trace.lead((1, 0), 0, 1)
    assert trace.rules == []


def test_a_proposal_without_phase_1(trace: Trace) -> None:
    trace(0, "prepare", (1, 0), 1)
    trace.propose((1, 0), 1, X)
    assert trace.rules == ["ballot/not-led"]


def test_a_proposal_below_the_slots_of_phase_1(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, slot=5)
    trace.propose((1, 0), 5, X)
    trace.propose((1, 0), 4, Y)
    assert trace.rules == ["ballot/below-phase-1"]


def test_a_lowered_promise(trace: Trace) -> None:
    trace(0, "promised", (2, 1))
    trace(0, "promised", (2, 1))
    trace(0, "promised", (1, 2))
    assert trace.rules == ["promise/lowered"]


def test_a_vote_below_the_promise(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace(1, "promised", (2, 2))
    trace.vote((1, 0), 1, X, 1)
    assert trace.rules == ["promise/broken"]


def test_a_vote_raises_the_promise(trace: Trace) -> None:
    """The bug of the seed: ballot 2 is accepted by one who never promised it, then an old ballot 1 arrives."""
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.lead((2, 1), 0, 1)
    trace.propose((2, 1), 1, Y)
    trace.vote((2, 1), 1, Y, 1, 2)
    trace.vote((1, 0), 1, X, 2)
    assert trace.rules == ["promise/broken"]


def test_leading_without_a_quorum_of_promises(trace: Trace) -> None:
    trace.lead((1, 0), 0)
    assert trace.rules == ["promise/no-quorum"]


def test_promises_that_were_durable_before_a_restart_count(trace: Trace) -> None:
    trace(0, "prepare", (1, 0), 1)
    trace(0, "promised", (1, 0))
    trace(1, "promised", (1, 0))
    trace.restart(1, (1, 0), [])
    trace(0, "leader", (1, 0), 1)
    assert trace.rules == []


def test_a_promise_that_made_a_leader_is_forgotten(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.restart(1, (-1, -1), [])
    assert trace.rules == ["promise/forgotten"]


def test_a_promise_that_nobody_counted_may_be_lost(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.restart(2, (-1, -1), [])
    trace(1, "promised", (2, 2))
    trace.restart(1, (1, 0), [])
    assert trace.rules == []


def test_two_values_in_one_ballot(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, Y, 1)
    assert trace.rules == ["vote/two-values"]


def test_equal_values_need_not_be_one_object(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, (Command(1, 1, 1, "write", "k", "x"),), 0, 1)
    assert trace.rules == []


def test_a_proposal_that_ignores_the_vote_it_was_told(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 1)
    trace.lead((2, 2), 1, 2)
    trace.propose((2, 2), 1, Y)
    assert trace.rules == ["vote/unsafe-value"]


def test_a_leader_may_not_have_heard_of_the_only_vote(trace: Trace) -> None:
    """Three promised, one of them with a vote, but two suffice: the other two left the value free."""
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 1)
    trace.lead((2, 2), 0, 1, 2)
    trace.propose((2, 2), 1, Y)
    assert trace.rules == []


def test_the_highest_vote_decides(trace: Trace) -> None:
    def proposing(value: Any) -> list[str]:
        trace = Trace()
        trace.lead((1, 0), 0, 1)
        trace.propose((1, 0), 1, X)
        trace.vote((1, 0), 1, X, 0)
        trace.lead((2, 1), 1, 2)
        trace.propose((2, 1), 1, Y)
        trace.vote((2, 1), 1, Y, 1)
        trace.lead((3, 2), 0, 1)
        trace.propose((3, 2), 1, value)
        return trace.rules

    assert proposing(Y) == []
    assert proposing(X) == ["vote/unsafe-value"]


def test_a_vote_cast_above_the_ballot_afterwards_does_not_count(trace: Trace) -> None:
    """A slow leader proposes after its promisers went on to a higher ballot and another value."""
    trace.lead((1, 0), 0, 1)
    trace.lead((2, 2), 1, 2)
    trace.propose((2, 2), 1, Y)
    trace.vote((2, 2), 1, Y, 1)
    trace.propose((1, 0), 1, X)
    assert trace.rules == []


def test_a_chosen_value_contradicted_at_a_higher_ballot(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace.lead((2, 2), 1, 2)
    trace.propose((2, 2), 1, Y)
    assert "vote/contradicts-quorum" in trace.rules


def test_an_unsynced_vote_lost_in_a_power_cut_binds_nobody(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace.restart(1, (1, 0), [])
    trace.lead((2, 2), 1, 2)
    trace.propose((2, 2), 1, Y)
    trace.vote((2, 2), 1, Y, 1, 2)
    trace(2, "chosen", (2, 2), 1, Y)
    assert trace.rules == []


def test_a_vote_recovered_though_its_trace_was_lost(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.restart(1, (1, 0), [[1, [1, 0]]])
    trace(0, "chosen", None, 1, X)
    assert trace.rules == []


def test_votes_that_chose_a_value_are_forgotten(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "chosen", (1, 0), 1, X)
    trace.restart(1, (1, 0), [])
    assert trace.rules == ["vote/forgotten"]


def test_votes_below_the_cut_are_not_missed(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "chosen", (1, 0), 1, X)
    trace(1, "cut", None, 1)
    trace.restart(1, (1, 0), [], floor=1)
    trace.restart(0, (1, 0), [], floor=1)
    assert trace.rules == []


def test_a_spare_vote_may_be_lost(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1, 2)
    trace(0, "chosen", (1, 0), 1, X)
    trace.restart(2, (1, 0), [])
    assert trace.rules == []


@pytest.mark.parametrize("ballot", [(1, 0), None])
def test_chosen_without_a_quorum_of_votes(trace: Trace, ballot: Any) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace(0, "chosen", ballot, 1, X)
    assert trace.rules == ["decision/no-quorum"]


def test_votes_of_different_ballots_make_no_quorum(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.lead((2, 2), 0, 2)
    trace.propose((2, 2), 1, X)
    trace.vote((2, 2), 1, X, 2)
    trace(1, "chosen", (2, 2), 1, X)
    assert trace.rules == ["decision/no-quorum"]


def test_learners_disagree(trace: Trace) -> None:
    for ballot, value in (((1, 0), X), ((2, 1), Y)):
        trace.lead(ballot, 0, 1)
        trace.propose(ballot, 1, value)
        trace.vote(ballot, 1, value, 0, 1)
        trace(ballot[1], "chosen", ballot, 1, value)
    assert "decision/two-values" in trace.rules


def test_applying_what_is_not_chosen_or_out_of_order(trace: Trace) -> None:
    for slot in (1, 2):
        trace.lead((slot, 0), 0, 1, slot=slot)
        trace.propose((slot, 0), slot, X)
        trace.vote((slot, 0), slot, X, 0, 1)
        trace(0, "chosen", (slot, 0), slot, X)
    trace(0, "started", extra={"commit": 0})
    trace(0, "applied", None, 1, Y)
    trace(0, "applied", None, 1, X)
    assert trace.rules == ["decision/not-chosen", "decision/order"]


def test_outcomes_and_states_of_one_slot_differ(trace: Trace) -> None:
    trace(0, "applied", None, 1, None, [1, []])
    trace(1, "applied", None, 1, None, [2, []])
    trace(0, "snapshot", None, 1, None, "a")
    trace(1, "installed", None, 1, None, "b")
    assert trace.rules == ["decision/outcomes", "decision/states"]


def test_a_violation_names_agents_and_values() -> None:
    oracles = OnlineOracles(frozenset({0, 1, 2}), 2, {0: "r0", 1: "r1", 2: "r2"})
    oracles.observe(0, 0, 1, "promised", (2, 1))
    oracles.observe(0, 0, 9, "accepted", (1, 2), 7, X)
    violation = oracles.violations[0]
    assert violation.agents == ("r0",)
    assert violation.slot == 7
    assert violation.time_ns == 9
    assert "write k 'x'" in violation.values[0]
    assert "ballot 2.1" in violation.sentence


def test_kinds_that_no_oracle_wants_are_ignored(trace: Trace) -> None:
    trace(0, "stale", None, 0, None, 2)
    assert trace.rules == []


def test_the_table_of_rules_names_the_files_that_judge_them() -> None:
    a_rule = r"(?:ballot|decision|promise|proposal|snapshot|vote)/[a-z0-9-]+"
    entries = re.findall(r"^\* ``(\w+\.py)``(.*(?:\n  .*)*)", online.__doc__ or "", re.MULTILINE)
    table = {name: set(re.findall(a_rule, entry)) for name, entry in entries}
    judged: dict[str, set[str]] = {}
    explained: dict[str, set[str]] = {}
    for path in Path(online.__file__).parent.glob("*.py"):
        docstring, _, source = path.read_text().partition("from __future__")
        if "self.sink.add(" in source:
            judged[path.name] = set(re.findall(f'"({a_rule})"', source))
            explained[path.name] = set(re.findall(a_rule, docstring))
    assert table == judged == explained


def test_a_leader_that_tells_whose_promises_it_counted_is_held_to_them(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.lead((2, 1), 0, 1, 2, counted=[0, 1])
    trace.propose((2, 1), 1, Y)
    assert trace.rules == ["vote/unsafe-value"], "1 and 2 know of no vote, but it was 0 that it asked"


def test_a_leader_may_choose_freely_if_those_it_counted_know_of_no_vote(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.lead((2, 1), 0, 1, 2, counted=[1, 2])
    trace.propose((2, 1), 1, Y)
    assert trace.rules == []


def test_of_the_votes_it_was_told_a_leader_takes_the_highest(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0)
    trace.lead((2, 1), 1, 2, counted=[1, 2])
    trace.propose((2, 1), 1, Y)
    trace.vote((2, 1), 1, Y, 1)
    trace.lead((3, 0), 0, 1, 2, counted=[0, 1])
    trace.propose((3, 0), 1, Y)
    assert trace.rules == []
    trace.lead((4, 2), 0, 1, 2, counted=[0, 1])
    trace.propose((4, 2), 1, X)
    assert trace.rules == ["vote/unsafe-value"]


def test_a_promise_that_was_counted_and_never_given(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, counted=[0, 2])
    assert trace.rules == ["promise/no-quorum"]


def test_one_promise_counted_twice(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2, counted=[0, 0])
    assert trace.rules == ["promise/no-quorum"]


# What was told lasts.


def test_a_told_vote_is_missing_after_a_restart(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "told_vote", (1, 0), 3)
    trace.restart(0, (1, 0), [])
    assert trace.rules == ["vote/forgotten"]


def test_a_told_vote_came_back_older(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace.vote((2, 1), 3, X, 0)
    trace(0, "told_vote", (2, 1), 3)
    trace.restart(0, (2, 1), [[3, [1, 0]]])
    assert trace.rules == ["vote/forgotten"]
    assert "restarts with a vote at ballot 1.0 in slot 3" in trace.oracles.violations[0].sentence


def test_told_votes_may_be_cut_replaced_or_kept(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace.vote((1, 0), 4, X, 0)
    trace.vote((1, 0), 5, X, 0)
    for slot in (3, 4, 5):
        trace(0, "told_vote", (1, 0), slot)
    trace(0, "cut", None, 3)
    trace.vote((2, 1), 4, X, 0)
    trace.restart(0, (2, 1), [[4, [2, 1]], [5, [1, 0]]], floor=3)
    assert trace.rules == []


def test_a_vote_that_nobody_was_told_may_be_lost(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(1, "told_vote", (1, 0), 3)
    trace.restart(0, None, [])
    assert trace.rules == []


def test_a_told_promise_is_missing_after_a_restart(trace: Trace) -> None:
    trace(0, "promised", (2, 1))
    trace(0, "told_promise", (2, 1))
    trace.restart(0, (1, 2), [])
    assert trace.rules == ["promise/forgotten"]


def test_a_told_promise_may_have_risen(trace: Trace) -> None:
    trace(0, "promised", (2, 1))
    trace(0, "told_promise", (2, 1))
    trace(0, "promised", (3, 2))
    trace.restart(0, (3, 2), [])
    trace.restart(0, (2, 1), [])
    assert trace.rules == []


def test_a_told_vote_is_a_told_promise(trace: Trace) -> None:
    trace.vote((2, 1), 3, X, 0)
    trace(0, "told_vote", (2, 1), 3)
    trace.restart(0, (1, 1), [[3, [2, 1]]])
    assert trace.rules == ["promise/forgotten"]


def test_a_round_that_others_know_is_forgotten(trace: Trace) -> None:
    trace.lead((3, 0), 1, 2)
    trace.incarnation[0] = 1
    trace(0, "recovered_round", (2, 0))
    assert trace.rules == ["ballot/forgotten"]


def test_a_round_that_nobody_knows_may_be_forgotten(trace: Trace) -> None:
    trace.lead((3, 0), 1, 2)
    trace(0, "prepare", (4, 0), 1)
    trace(0, "promised", (4, 0))
    trace.incarnation[0] = 1
    trace(0, "recovered_round", (3, 0))
    assert trace.rules == []


def test_a_snapshot_told_durable_is_gone(trace: Trace) -> None:
    trace(0, "told_snapshot", (1, 0), 20)
    trace.incarnation[0] = 1
    trace(0, "started", None, 0, None, {"commit": 10})
    assert trace.rules == ["snapshot/forgotten"]


def test_a_newer_snapshot_than_was_told_is_fine(trace: Trace) -> None:
    trace(0, "told_snapshot", (1, 0), 20)
    trace.incarnation[0] = 1
    trace(0, "started", None, 0, None, {"commit": 30})
    assert trace.rules == []


def test_a_state_restored_from_a_snapshot_is_the_one_it_was_taken_of(trace: Trace) -> None:
    trace(0, "snapshot", None, 10, None, 77)
    trace.incarnation[0] = 1
    trace(0, "restored", None, 10, None, 77)
    assert trace.rules == []
    trace(1, "restored", None, 10, None, 78)
    assert trace.rules == ["decision/states"]


# What a promise tells.


@pytest.mark.parametrize(
    ("pages", "rules"),
    [
        ([(1, True, [(3, (1, 0), False), (4, (1, 0), False)])], []),
        ([(1, False, [(3, (1, 0), False)]), (4, True, [(4, (1, 0), False)])], []),
        ([(1, True, [(3, (-1, -1), True), (4, (1, 0), False)])], []),
        ([(4, True, [(4, (1, 0), False)])], []),
        ([(1, True, [(3, (1, 0), False)])], ["promise/incomplete"]),
        ([(1, False, [(3, (1, 0), False)]), (5, True, [])], ["promise/incomplete"]),
        ([(1, True, [(3, (2, 1), False), (4, (1, 0), False)])], ["promise/incomplete"]),
    ],
    ids=["whole", "in pages", "chosen instead", "from slot 4 on", "one missing", "lost between pages", "other ballot"],
)
def test_a_promise_tells_every_vote(trace: Trace, pages: list[Any], rules: list[str]) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace.vote((1, 0), 4, X, 0)
    trace(0, "promised", (2, 1))
    for start, last, votes in pages:
        trace(0, "told_promise", (2, 1), start, None, [last, votes])
    assert trace.rules == rules


def test_a_vote_cast_after_the_promise_need_not_be_in_it(trace: Trace) -> None:
    trace(0, "promised", (2, 1))
    trace.vote((2, 1), 3, X, 0)
    trace(0, "told_promise", (2, 1), 1, None, [True, []])
    assert trace.rules == []


def test_votes_below_the_cut_need_not_be_told(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "cut", None, 3)
    trace(0, "promised", (2, 1))
    trace(0, "told_promise", (2, 1), 1, None, [True, []])
    assert trace.rules == []


def test_votes_below_a_cut_that_a_restart_has_undone_must_be_told_again(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "cut", None, 3)
    trace.restart(0, (1, 0), [[3, [1, 0]]], floor=0)
    trace(0, "promised", (2, 1))
    trace(0, "told_promise", (2, 1), 1, None, [True, []])
    assert trace.rules == ["promise/incomplete"]


def test_a_cut_that_a_restart_has_undone_may_be_made_again(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace(0, "cut", None, 3)
    trace.restart(0, (1, 0), [[3, [1, 0]]], floor=0)
    trace.vote((2, 1), 3, X, 0)
    trace(0, "cut", None, 3)
    trace(0, "promised", (3, 2))
    trace(0, "told_promise", (3, 2), 1, None, [True, []])
    assert trace.rules == []


def test_a_leader_may_heed_the_first_page_of_one_that_it_did_not_count() -> None:
    def proposing(value: Any) -> list[str]:
        trace = Trace(voters=5)
        trace.lead((1, 0), 0, 1, 2, counted=[0, 1, 2])
        trace.propose((1, 0), 1, X)
        trace.vote((1, 0), 1, X, 0)
        trace.lead((2, 3), 2, 3, 4, counted=[2, 3, 4])
        trace.propose((2, 3), 1, Y)
        trace.vote((2, 3), 1, Y, 3)
        trace.lead((3, 1), 0, 1, 2, 3, counted=[0, 1, 2])
        trace.propose((3, 1), 1, value)
        return trace.rules

    assert proposing(X) == []
    assert proposing(Y) == []
    assert proposing(Z) == ["vote/unsafe-value"]


def test_a_leader_with_more_slots_in_flight_than_its_window() -> None:
    trace = Trace(window=2)
    trace(0, "prepare", (1, 0), 1)
    for agent in range(3):
        trace(agent, "promised", (1, 0))
    trace(0, "leader", (1, 0), 3)
    for inherited in (1, 2):
        trace.propose((1, 0), inherited, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "chosen", (1, 0), 1, X)
    trace.propose((1, 0), 3, Y)
    assert trace.rules == []
    trace.propose((1, 0), 4, Z)
    assert trace.rules == ["proposal/window"]


def test_what_a_leader_proposes_though_its_learner_holds_it_chosen_is_not_in_flight() -> None:
    trace = Trace(window=1)
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(2, "chosen", None, 1, X)
    trace.lead((2, 2), 0, 1, 2)
    trace.propose((2, 2), 1, X)
    trace.propose((2, 2), 2, Y)
    assert trace.rules == []


def test_what_a_snapshot_covers_that_a_leader_was_given_is_not_in_flight() -> None:
    trace = Trace(window=1)
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace(0, "installed", None, 1)
    trace.propose((1, 0), 2, Y)
    assert trace.rules == []
    trace.propose((1, 0), 3, Z)
    assert trace.rules == ["proposal/window"]


def test_a_vote_that_went_with_a_cut_that_a_restart_has_undone_may_be_cast_again(trace: Trace) -> None:
    trace.vote((1, 0), 3, X, 0)
    trace.vote((2, 1), 3, X, 0)
    trace(0, "cut", None, 3)
    trace.restart(0, (2, 1), [[3, [1, 0]]], floor=0)
    trace.vote((2, 1), 3, X, 0)
    trace(0, "promised", (3, 2))
    trace(0, "told_promise", (3, 2), 1, None, [True, [(3, (2, 1), False)]])
    assert trace.rules == []


def test_a_vote_between_the_cut_of_the_learner_and_that_of_the_acceptor_is_cut_too(trace: Trace) -> None:
    trace(0, "installed", None, 3)
    trace.vote((1, 0), 3, X, 0)
    trace(0, "cut", None, 3)
    trace(0, "promised", (2, 1))
    trace(0, "told_promise", (2, 1), 3, None, [True, []])
    assert trace.rules == []


def test_a_vote_that_a_recovery_did_not_find_does_not_come_back(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.vote((1, 0), 1, X, 2)
    trace(2, "sync_begun")
    trace.vote((1, 0), 2, Y, 2)
    trace.restart(2, (1, 0), [(1, (1, 0))])
    assert trace.rules == []
    trace.restart(2, (1, 0), [(1, (1, 0)), (2, (1, 0))])
    assert trace.rules == ["vote/returned"]


def test_nor_does_such_a_promise(trace: Trace) -> None:
    trace(2, "promised", (1, 0))
    trace(2, "sync_begun")
    trace(2, "promised", (2, 1))
    trace.restart(2, (1, 0), [])
    trace.restart(2, (2, 1), [])
    assert trace.rules == ["vote/returned"]


def test_an_older_vote_may_come_back_or_one_that_was_cut_or_cast_again(trace: Trace) -> None:
    for ballot in ((1, 0), (2, 1)):
        trace.lead(ballot, 0, 1, 2)
        trace.vote(ballot, 5, X, 2)
    trace(2, "sync_begun")
    trace.vote((2, 1), 6, Y, 2)
    trace.restart(2, (2, 1), [(5, (2, 1))], floor=4)
    trace.vote((2, 1), 6, Y, 2)
    trace.restart(2, (2, 1), [(3, (1, 0)), (5, (1, 0)), (6, (2, 1))])
    assert trace.rules == []


def test_a_learner_learns_a_slot_once_a_life(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "chosen", (1, 0), 1, X)
    trace(1, "chosen", (1, 0), 1, X)
    trace.incarnation[0] = 1
    trace(0, "chosen", None, 1, X)
    assert trace.rules == []
    trace(0, "chosen", None, 1, X)
    assert trace.rules == ["decision/forgotten"]
