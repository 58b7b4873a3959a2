"""Election: pre-vote, timeouts, backoff, check-quorum, yielding."""

from __future__ import annotations

from typing import Any

import pytest

from nemesis.plan import Cluster
from paxos_impl.messages import Heartbeat, HeartbeatReply, Nack, Prepare, PreVote, PreVoteReply

MILLISECOND = 1_000_000
ELECTION_NS = 100 * MILLISECOND


def test_a_restarted_node_wins_its_first_poll(hand_cluster: Any) -> None:
    """Its own log tells no round, the grants tell one: they count all the same, phase 1 goes above what they told."""
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.power_cut(0, 1, 2)
    cluster.start()
    cluster.elect(1)
    assert cluster.agent(1).proposer.ballot > (1, 0)


def test_a_node_that_returns_does_not_depose_a_healthy_leader(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.cut = {(0, 2), (1, 2), (2, 0), (2, 1)}
    cluster.pass_time(20 * ELECTION_NS)
    cluster.cut = set()
    cluster.pass_time(20 * ELECTION_NS)
    assert cluster.agent(0).proposer.state == "leading"
    assert [row[:3] for row in cluster.trace if row[1] == "leader"] == [(0, "leader", (1, 0))]


def test_a_leader_that_can_send_but_not_hear_steps_down(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.cut = {(1, 0), (2, 0)}
    cluster.pass_time(10 * ELECTION_NS)
    assert cluster.agent(0).proposer.state != "leading"
    assert [cluster.agent(other).proposer.state for other in (1, 2)].count("leading") == 1


def test_a_leader_that_can_hear_but_not_send_is_replaced_and_follows(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.cut = {(0, 1), (0, 2)}
    cluster.pass_time(10 * ELECTION_NS)
    assert cluster.agent(0).proposer.state != "leading"
    leader = next(node for node in (1, 2) if cluster.agent(node).proposer.state == "leading")
    assert cluster.agent(0).proposer.leader == leader


@pytest.mark.parametrize("shape", [Cluster(), Cluster(deployment="classic")], ids=lambda shape: shape.deployment)
def test_a_leader_that_died_before_the_clocks_were_set_back_is_replaced(hand_cluster: Any, shape: Cluster) -> None:
    """Acceptors heard it at times that are in the future now; timers were set for times that are far away now."""
    cluster = hand_cluster(shape)
    cluster.start()
    cluster.elect(0)
    cluster.now_ns += 100 * ELECTION_NS
    cluster.pass_time(2 * ELECTION_NS)
    leader = _leaders(cluster)[0]
    cluster.kill(leader)
    cluster.now_ns -= 100 * ELECTION_NS
    for agent, node in enumerate(cluster.nodes):
        if node is not None:
            cluster.wake(agent)
    cluster.pass_time(10 * ELECTION_NS)
    assert len(_leaders(cluster)) == 1


def test_a_leader_that_went_deaf_before_its_clock_was_set_back_steps_down(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.cut = {(1, 0), (2, 0)}
    cluster.now_ns -= ELECTION_NS
    cluster.wake(0)
    cluster.pass_time(2 * ELECTION_NS, agents=(0,))
    assert cluster.agent(0).proposer.state != "leading"


def _leaders(cluster: Any) -> list[int]:
    up = [agent for agent, node in enumerate(cluster.nodes) if node is not None]
    proposers = [(agent, getattr(cluster.agent(agent), "proposer", cluster.agent(agent))) for agent in up]
    return [agent for agent, proposer in proposers if getattr(proposer, "state", "") == "leading"]


def test_a_node_that_only_one_other_hears_does_not_disturb_the_leader(hand_cluster: Any) -> None:
    """A bridge: 1 hears both, 0 and 2 do not hear each other. The leader 0 has its quorum, 2 must wait."""
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.cut = {(0, 2), (2, 0)}
    cluster.pass_time(30 * ELECTION_NS)
    assert cluster.agent(0).proposer.state == "leading"
    assert cluster.agent(0).proposer.ballot == (1, 0)


def test_polls_ask_nobody_to_promise(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.now_ns = 3 * ELECTION_NS
    cluster.fire(0, "election")
    assert len(cluster.under_way(kind=PreVote)) == 2 and not cluster.under_way(kind=Prepare)
    cluster.deliver(kind=PreVote)
    assert [cluster.agent(node).acceptor.promised for node in range(3)] == [(-1, -1)] * 3


def test_an_acceptor_that_hears_a_leader_grants_no_pre_vote(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    asked = PreVote((9, 2))
    cluster.inject((2, 1, 1, asked))
    assert cluster.lose(kind=PreVoteReply)[0].message == PreVoteReply((9, 2), False, (1, 0))
    cluster.now_ns += ELECTION_NS
    cluster.inject((2, 1, 1, asked))
    assert cluster.lose(kind=PreVoteReply)[0].message == PreVoteReply((9, 2), True, (1, 0))


def test_grants_of_an_earlier_poll_do_not_count(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.now_ns = 3 * ELECTION_NS
    cluster.fire(0, "election")
    proposer = cluster.agent(0).proposer
    cluster.lose()
    proposer.pre_votes.clear()
    proposer.on_pre_vote_reply(1, PreVoteReply((0, 0), True, (-1, -1)))
    proposer.on_pre_vote_reply(2, PreVoteReply((0, 0), True, (-1, -1)))
    assert proposer.state == "polling"
    proposer.on_pre_vote_reply(1, PreVoteReply(proposer.polled, True, (-1, -1)))
    proposer.on_pre_vote_reply(1, PreVoteReply(proposer.polled, True, (-1, -1)))
    assert proposer.state == "polling"
    proposer.on_pre_vote_reply(2, PreVoteReply(proposer.polled, True, (-1, -1)))
    assert proposer.state == "preparing"


def test_the_next_ballot_lies_above_every_round_seen(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    proposer = cluster.agent(1).proposer
    proposer.on_heartbeat(2, Heartbeat((7, 2), 1, 0, 0))
    assert proposer.next_ballot() == (8, 1)
    proposer.on_nack(0, Nack((1, 1), (9, 0)))
    assert proposer.next_ballot() == (10, 1)


def test_a_leader_yields_to_a_higher_ballot_only_if_it_is_refused_itself(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    proposer = cluster.agent(0).proposer
    proposer.on_nack(1, Nack((0, 0), (5, 1)))
    assert proposer.state == "leading"
    proposer.on_nack(1, Nack((1, 0), (5, 1)))
    assert proposer.state == "following" and proposer.ballot == (1, 0)


def test_a_leader_ignores_signs_of_lower_leaders(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.cut = {(0, 1), (0, 2), (1, 0), (2, 0)}
    cluster.elect(1)
    cluster.agent(1).proposer.on_heartbeat(0, Heartbeat((1, 0), 9, 0, 0))
    assert cluster.agent(1).proposer.state == "leading"


@pytest.mark.parametrize("failures", [0, 1, 2, 3, 6])
def test_backoff_grows_with_lost_tries_and_is_bounded(hand_cluster: Any, failures: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    proposer = cluster.agent(0).proposer
    proposer.failures = failures
    proposer.context.draw = lambda: 0.999
    assert proposer.backoff_factor() == {0: 1, 1: 2, 2: 4, 3: 4, 6: 4}[failures]
    assert proposer.election_wait_ns() < 16 * ELECTION_NS


def test_polls_in_vain_do_not_make_a_node_wait_longer(hand_cluster: Any) -> None:
    """However long it was cut off, after the heal it leads within two waits of at most two election timeouts."""
    cluster = hand_cluster()
    cluster.start(0, 1)
    cluster.cut = {(0, 1), (1, 0)}
    cluster.pass_time(50 * ELECTION_NS)
    cluster.cut = set()
    cluster.pass_time(4 * ELECTION_NS)
    assert [cluster.agent(node).proposer.state for node in (0, 1)].count("leading") == 1


def test_timeouts_are_drawn_anew_between_one_and_two(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    proposer = cluster.agent(0).proposer
    draws = iter([0.0, 0.25, 0.999])
    proposer.context.draw = lambda: next(draws)
    assert [round(proposer.election_wait_ns() / ELECTION_NS, 2) for _ in range(3)] == [1.0, 1.25, 2.0]


def test_only_acceptors_answers_keep_a_leader(hand_cluster: Any) -> None:
    cluster = hand_cluster(Cluster("classic", proposers=2, acceptors=3, learners=2))
    cluster.start()
    cluster.elect(0)
    proposer = cluster.agent(0)
    proposer.heard_ns.clear()
    for learner in (5, 6):
        proposer.on_heartbeat_reply(learner, HeartbeatReply(proposer.ballot, 1, 0, 0))
    assert not proposer.hears_quorum()
    for acceptor in (2, 3):
        proposer.on_heartbeat_reply(acceptor, HeartbeatReply(proposer.ballot, 1, 0, 0))
    assert proposer.hears_quorum()
