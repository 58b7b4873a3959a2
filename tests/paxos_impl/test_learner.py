"""Learner: what it may take as chosen, in what order it applies, how it catches up, what it gives and takes as a snapshot."""

from __future__ import annotations

from typing import Any

from nemesis.plan import Cluster
from paxos_impl.messages import NO_OP, Accept, Command, Heartbeat, HeartbeatReply, Learn


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
