"""Learner: what it may take as chosen, in what order it applies, how it catches up, what it gives and takes as a snapshot."""

from __future__ import annotations

from typing import Any

import pytest

from nemesis.plan import Cluster
from paxos_impl.agent import ProtocolViolation
from paxos_impl.messages import NO_OP, Accept, CatchUp, Command, Heartbeat, HeartbeatReply, Learn


def write(client: int, seq: int, session: int = 1) -> tuple[Command, ...]:
    return (Command(client, seq, session, "write", "k", f"v{seq}"),)


def test_a_vote_after_the_decision_is_not_taken_for_the_decision(hand_cluster: Any, client: int) -> None:
    """The slot is chosen with the value voted for first; a late Accept of a ballot in between overwrites that vote, as it
    may. Recovery must come to the chosen value, not to the vote cast last."""
    cluster = hand_cluster()
    cluster.start()
    cluster.inject((0, 1, 2, Accept((2, 0), 1, NO_OP, 0)))
    cluster.inject((1, 1, 2, Learn(1, (NO_OP,), 1)))
    cluster.inject((1, 1, 2, Accept((4, 1), 1, write(client, 1), 0)))
    assert cluster.agent(2).acceptor.votes[1] == ((4, 1), write(client, 1))
    cluster.kill(2)
    cluster.start(2)
    assert cluster.agent(2).learner.decided == {1: NO_OP}
    assert cluster.agent(2).acceptor.votes[1] == ((4, 1), write(client, 1))


def test_the_chosen_value_of_a_slot_behind_a_gap_outlives_a_later_vote_too(hand_cluster: Any, client: int) -> None:
    """As above, but slot 2 was learned while slot 1 was missing, so no commit index had covered it before the late vote."""
    cluster = hand_cluster()
    cluster.start()
    cluster.inject((0, 1, 2, Accept((2, 0), 2, NO_OP, 0)))
    cluster.inject((1, 1, 2, Learn(2, (NO_OP,), 2)))
    cluster.inject((1, 1, 2, Accept((4, 1), 2, write(client, 1), 0)))
    cluster.inject((1, 1, 2, Learn(1, (NO_OP,), 2)))
    cluster.inject((1, 1, 2, Accept((4, 1), 3, NO_OP, 2)))
    cluster.kill(2)
    cluster.start(2)
    assert cluster.agent(2).learner.decided == {1: NO_OP, 2: NO_OP}


def test_a_snapshot_is_not_called_durable_before_its_name_is(hand_cluster: Any, client: int) -> None:
    """Killed after the rename of its checkpoint, a learner comes back with it, but a power cut may still undo the rename:
    acceptors would cut their logs on its word."""
    cluster = hand_cluster(Cluster("classic", proposers=2, acceptors=3, learners=2), snapshot_every=2)
    cluster.start()
    cluster.elect(0)
    learner, disk = cluster.agent(5), cluster.disks[5]
    cluster.inject((6, 1, 5, Learn(1, (NO_OP, NO_OP), 2)), sync=False)
    node = cluster.node(5)
    assert learner.applied == 2 and node.log.checkpointing
    while not any(name.startswith("checkpoint") and "tmp" not in name for name in disk.names()):
        node.begin_sync()
        disk.end_sync()
        node.end_sync(cluster.now_ns)
    cluster.kill(5)
    cluster.start(5, sync=False)
    assert cluster.agent(5).durable_slot == 2
    cluster.inject((0, 1, 5, Heartbeat((1, 0), 7, 2, 0)), sync=False)
    assert not cluster.under_way(kind=HeartbeatReply, source=5)
    cluster.sync(5)
    assert cluster.under_way(kind=HeartbeatReply, source=5)


# -- what may be taken as chosen --------------------------------------------------------------------------------------


def test_a_commit_index_confirms_only_votes_of_the_ballot_whose_leader_says_so(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    x, y = write(client, 1), write(client, 2)
    cluster.inject((0, 1, 2, Accept((1, 0), 1, x, 0)))
    cluster.inject((1, 1, 2, Heartbeat((2, 1), 1, 1, 0)))
    assert cluster.agent(2).learner.decided == {}
    cluster.inject((1, 1, 2, Accept((2, 1), 1, y, 0)))
    assert cluster.agent(2).learner.decided == {}
    cluster.inject((1, 1, 2, Heartbeat((2, 1), 2, 1, 0)))
    assert cluster.agent(2).learner.decided == {1: y}


def test_a_commit_index_in_an_accept_confirms_too(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.inject((0, 1, 2, Accept((1, 0), 1, NO_OP, 0)))
    cluster.inject((0, 1, 2, Accept((1, 0), 2, NO_OP, 1)))
    assert cluster.agent(2).learner.decided == {1: NO_OP}


def test_slots_are_applied_in_order_and_all_that_waited_at_once(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    for slot in (3, 2):
        cluster.inject((1, 1, 2, Learn(slot, (NO_OP,), 3)))
        assert cluster.agent(2).applied_slot() == 0
    cluster.inject((1, 1, 2, Learn(1, (NO_OP,), 3)))
    assert [row[3] for row in cluster.trace if row[1] == "applied"] == [1, 2, 3]


def test_a_second_value_is_a_crash(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.inject((1, 1, 2, Learn(1, (write(client, 1),), 1)))
    cluster.inject((1, 1, 2, Learn(1, (write(client, 1),), 1)))
    with pytest.raises(
        ProtocolViolation, match=r"slot 1: write k \(client .*, operation 1\) is chosen, and now a no-op too"
    ):
        cluster.inject((1, 1, 2, Learn(1, (NO_OP,), 1)))


def test_only_chosen_values_are_served_never_votes(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.inject((0, 1, 2, Accept((1, 0), 1, NO_OP, 0)))
    cluster.inject((0, 1, 2, Accept((1, 0), 2, write(client, 1), 1)))
    cluster.wire.clear()
    cluster.inject((1, 1, 2, CatchUp(1)))
    assert [packet.message for packet in cluster.lose()] == [Learn(1, (NO_OP,), 1)]
    cluster.inject((1, 1, 2, CatchUp(2)))
    assert cluster.lose() == []


# -- the classic deployment -------------------------------------------------------------------------------------------


def test_learners_that_lost_everything_above_their_snapshots_get_it_back(hand_cluster: Any, client: int) -> None:
    """Power cut of both classic learners: they keep snapshots only. What lies above comes from the leader, which keeps all
    values that are not in durable snapshots of a majority; or from a new leader, which proposes them again."""
    for leader_dies in (False, True):
        cluster = hand_cluster(Cluster("classic", proposers=2, acceptors=3, learners=2), snapshot_every=4, keep_slots=0)
        cluster.start()
        cluster.elect(0)
        session = cluster.open(0, client)
        for seq in range(1, 11):
            cluster.request(0, write(client, seq, session)[0])
            cluster.quiet()
        before = [cluster.agent(learner).state_digest() for learner in (5, 6)]
        cluster.power_cut(5, 6)
        if leader_dies:
            cluster.power_cut(0)
        cluster.start(5, 6)
        assert [cluster.agent(learner).applied_slot() for learner in (5, 6)] == [8, 8]
        cluster.pass_time(500_000_000)
        assert [cluster.agent(learner).applied_slot() for learner in (5, 6)] == [11, 11]
        assert [cluster.agent(learner).state_digest() for learner in (5, 6)] == before
        assert not cluster.violations


def test_a_learner_behind_the_leaders_memory_gets_the_others_snapshot(hand_cluster: Any, client: int) -> None:
    shape = Cluster("classic", proposers=2, acceptors=3, learners=3)
    cluster = hand_cluster(shape, snapshot_every=4, keep_slots=0)
    cluster.start(0, 1, 2, 3, 4, 5, 6)
    cluster.elect(0)
    session = cluster.open(0, client)
    for seq in range(1, 11):
        cluster.request(0, write(client, seq, session)[0])
        cluster.quiet()
        cluster.pass_time(20_000_000)
    assert min(cluster.agent(0).decided) > 4
    cluster.start(7)
    cluster.pass_time(500_000_000)
    assert cluster.agent(7).applied_slot() == 11
    assert cluster.agent(7).state_digest() == cluster.agent(5).state_digest()
