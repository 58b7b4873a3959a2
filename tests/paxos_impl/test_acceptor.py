"""Acceptor: what it promises, what it accepts, what it tells of the past, what it remembers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemesis.plan import Cluster
from paxos_impl.messages import (
    NO_BALLOT,
    NO_OP,
    Accept,
    Accepted,
    Command,
    Heartbeat,
    Learn,
    Nack,
    PastVote,
    Prepare,
    Promise,
    Truncated,
    Vote,
)

X, Y = (Command(1, 1, 1, "write", "k", "x"),), (Command(2, 1, 1, "write", "k", "y"),)


@pytest.fixture
def cluster(hand_cluster: Any) -> Any:
    made = hand_cluster()
    made.start()
    return made


def answer(cluster: Any, message: Any, source: int = 0) -> Any:
    """What acceptor 2 says to the message (its last answer)."""
    cluster.wire.clear()
    cluster.inject((source, 1, 2, message))
    return cluster.under_way(source=2)[-1].message


def test_a_promise_is_given_to_ballots_not_below_the_promised_one(cluster: Any) -> None:
    assert type(answer(cluster, Prepare((3, 0), 1))) is Promise
    assert type(answer(cluster, Prepare((3, 0), 1))) is Promise
    assert answer(cluster, Prepare((2, 1), 1), 1) == Nack((2, 1), (3, 0))
    assert type(answer(cluster, Prepare((3, 1), 1), 1)) is Promise


def test_accepting_raises_the_promise(cluster: Any) -> None:
    assert answer(cluster, Accept((3, 0), 1, X, 0)) == Accepted((3, 0), 1)
    assert answer(cluster, Accept((2, 1), 1, Y, 0), 1) == Nack((2, 1), (3, 0))
    assert answer(cluster, Prepare((2, 1), 1), 1) == Nack((2, 1), (3, 0))
    assert cluster.agent(2).acceptor.votes == {1: ((3, 0), X)}


def test_an_accept_below_the_promise_is_refused(cluster: Any) -> None:
    answer(cluster, Prepare((3, 0), 1))
    assert answer(cluster, Accept((2, 1), 1, Y, 0), 1) == Nack((2, 1), (3, 0))
    assert cluster.agent(2).acceptor.votes == {}


def test_a_promise_tells_the_last_vote_of_every_slot_asked_for(cluster: Any) -> None:
    answer(cluster, Accept((1, 0), 1, X, 0))
    answer(cluster, Accept((1, 0), 3, X, 0))
    answer(cluster, Accept((2, 1), 3, Y, 0), 1)
    promise = answer(cluster, Prepare((5, 0), 2))
    assert promise == Promise((5, 0), 2, True, 0, (PastVote(3, (2, 1), Y, False),))


def test_a_chosen_value_is_told_as_chosen_also_without_a_vote(cluster: Any) -> None:
    cluster.inject((1, 1, 2, Learn(1, (X,), 1)))
    assert answer(cluster, Prepare((5, 0), 1)).votes == (PastVote(1, NO_BALLOT, X, True),)


def test_a_higher_prepare_does_not_reset_votes(cluster: Any) -> None:
    answer(cluster, Accept((1, 0), 1, X, 0))
    answer(cluster, Prepare((5, 0), 1))
    assert answer(cluster, Prepare((6, 1), 1), 1).votes == (PastVote(1, (1, 0), X, False),)


def test_a_no_op_is_a_vote_like_any_other(cluster: Any) -> None:
    answer(cluster, Accept((1, 0), 1, NO_OP, 0))
    assert answer(cluster, Prepare((5, 0), 1)).votes == (PastVote(1, (1, 0), NO_OP, False),)


@pytest.mark.parametrize("death", ["killed", "lost", "torn", "garbled", "scattered", "kept"])
def test_promises_and_votes_outlive_the_process(cluster: Any, death: str) -> None:
    answer(cluster, Accept((1, 0), 1, X, 0))
    answer(cluster, Accept((3, 1), 2, Y, 0), 1)
    answer(cluster, Prepare((7, 0), 1))
    if death == "killed":
        cluster.kill(2)
    else:
        cluster.power_cut(2, mode=death)
    cluster.start(2)
    acceptor = cluster.agent(2).acceptor
    assert acceptor.promised == (7, 0)
    assert acceptor.votes == {1: ((1, 0), X), 2: ((3, 1), Y)}


def test_votes_alone_bring_the_promise_back(cluster: Any) -> None:
    answer(cluster, Accept((4, 1), 1, X, 0), 1)
    cluster.power_cut(2)
    cluster.start(2)
    assert cluster.agent(2).acceptor.promised == (4, 1)


def test_votes_and_promise_outlive_the_cut_of_the_log(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster(snapshot_every=2, keep_slots=0)
    cluster.start()
    cluster.inject((0, 1, 2, Accept((1, 0), 9, X, 0)))
    cluster.inject((1, 1, 2, Prepare((6, 1), 1)))
    cluster.inject((0, 1, 2, Learn(1, (NO_OP, NO_OP), 2)))
    assert cluster.node(2).log.checkpoint.slot == 2
    cluster.power_cut(2)
    cluster.start(2)
    acceptor = cluster.agent(2).acceptor
    assert (acceptor.promised, acceptor.votes, acceptor.floor) == ((6, 1), {9: ((1, 0), X)}, 2)


def test_a_cut_slot_is_never_voted_for_again(hand_cluster: Any) -> None:
    cluster = hand_cluster(snapshot_every=2, keep_slots=0)
    cluster.start()
    cluster.inject((0, 1, 2, Learn(1, (NO_OP, NO_OP), 2)))
    assert answer(cluster, Accept((8, 0), 2, X, 0)) == Truncated((8, 0), 2)
    assert answer(cluster, Prepare((8, 0), 1)) == Promise((8, 0), 1, True, 2, ())


class TestClassic:
    """An acceptor that lives alone."""

    @pytest.fixture
    def cluster(self, hand_cluster: Any) -> Any:
        made = hand_cluster(Cluster("classic", proposers=2, acceptors=3, learners=2), snapshot_every=4)
        made.start()
        return made

    def test_votes_go_to_the_proposer_and_to_every_learner(self, cluster: Any) -> None:
        cluster.inject((0, 1, 2, Accept((1, 0), 1, X, 0)))
        told = [(packet.target, packet.message) for packet in cluster.under_way(source=2)]
        assert told == [(0, Accepted((1, 0), 1)), (5, Vote((1, 0), 1, X)), (6, Vote((1, 0), 1, X))]

    def test_the_log_is_cut_at_stable_slots_and_keeps_the_rest(self, cluster: Any) -> None:
        for slot in range(1, 7):
            cluster.inject((0, 1, 2, Accept((1, 0), slot, X, 0)))
        cluster.inject((0, 1, 2, Heartbeat((1, 0), 1, 6, 3)))
        assert cluster.agent(2).floor == 0
        cluster.inject((0, 1, 2, Heartbeat((1, 0), 2, 6, 4)))
        assert cluster.agent(2).floor == 4
        cluster.power_cut(2)
        cluster.start(2)
        acceptor = cluster.agent(2)
        assert (acceptor.floor, acceptor.promised) == (4, (1, 0))
        assert acceptor.votes == {5: ((1, 0), X), 6: ((1, 0), X)}
        assert "log-00000000" not in cluster.disks[2].names()


ballots = st.tuples(st.integers(0, 4), st.integers(0, 1))
events = st.one_of(
    st.tuples(st.just("prepare"), ballots, st.integers(1, 3)),
    st.tuples(st.just("accept"), ballots, st.integers(1, 3)),
    st.sampled_from([("killed",), ("lost",), ("torn",), ("garbled",), ("scattered",), ("kept",)]),
    st.just(("sync",)),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(events, max_size=25))
def test_over_all_lives_promises_never_sink_and_votes_are_kept(hand_cluster: Any, steps: list[Any]) -> None:
    """What was *said* binds: a model of the promises and votes that left the acceptor is compared after every step."""
    cluster = hand_cluster()
    cluster.start(2)
    promised: Any = NO_BALLOT
    said: dict[int, Any] = {}
    for step in steps:
        if step[0] in ("prepare", "accept"):
            kind, ballot, slot = step
            value = (Command(ballot[0], ballot[1], slot, "write", "k"),)
            message = Prepare(ballot, slot) if kind == "prepare" else Accept(ballot, slot, value, 0)
            cluster.inject((ballot[1], 1, 2, message), sync=False)
        elif step[0] == "sync":
            cluster.sync(2)
        else:
            cluster.kill(2) if step[0] == "killed" else cluster.power_cut(2, mode=step[0])
            cluster.start(2)
        for packet in cluster.lose(source=2):
            told = packet.message
            if isinstance(told, Promise):
                assert told.ballot >= promised
                promised = told.ballot
                votes = {vote.slot: vote.ballot for vote in told.votes}
                for slot, ballot in said.items():
                    assert slot < told.start or votes[slot] >= ballot
            elif isinstance(told, Accepted):
                assert told.ballot >= promised
                promised = told.ballot
                assert told.ballot >= said.get(told.slot, NO_BALLOT)
                said[told.slot] = told.ballot
    assert not cluster.violations
