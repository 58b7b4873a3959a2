"""Replica: one log for all roles, cut by its own snapshots only."""

from __future__ import annotations

from typing import Any

from paxos_impl.messages import Command

HEARTBEAT_NS = 20_000_000


def test_a_checkpoint_always_holds_state_and_round(hand_cluster: Any, client: int) -> None:
    """Others' snapshots must not cut this replica's log: once all had cut, nobody would have the state any more."""
    cluster = hand_cluster(snapshot_every=4, keep_slots=8)
    cluster.start()
    cluster.elect(0)
    session = cluster.open(0, client)
    for seq in range(1, 13):
        cluster.cut = {(0, 2)} if 2 <= seq < 9 else set()
        cluster.request(0, Command(client, seq, session, "write", "k", f"v{seq}"))
        cluster.quiet()
        cluster.pass_time(HEARTBEAT_NS)
        for agent in range(3):
            checkpoint = cluster.node(agent).log.checkpoint
            if checkpoint.offset:
                assert checkpoint.slot > 0 and checkpoint.state and checkpoint.round == 1, (agent, seq)


def test_the_state_survives_a_power_cut_of_all_after_every_command(hand_cluster: Any, client: int) -> None:
    for commands in range(1, 13):
        cluster = hand_cluster(snapshot_every=3, keep_slots=6)
        cluster.start()
        cluster.elect(0)
        session = cluster.open(0, client)
        for seq in range(1, commands + 1):
            cluster.request(0, Command(client, seq, session, "write", "k", f"v{seq}"))
            cluster.quiet()
            cluster.pass_time(HEARTBEAT_NS)
        cluster.power_cut(0, 1, 2)
        cluster.start()
        cluster.elect(1)
        cluster.quiet()
        assert cluster.agent(1).learner.machine.store.data["k"] == f"v{commands}"
        assert not cluster.violations
