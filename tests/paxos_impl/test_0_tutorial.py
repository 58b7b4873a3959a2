"""Start here: three replicas run by hand, from an election over one command to a failover.

A node does no input and output. You hand it messages and times; it hands you messages, deadlines and syncs it wants. That
is all a host (the simulator, a real process, this file) ever does, and every loop around it is yours.
"""

from __future__ import annotations

from typing import Any

from harness.worlds.simulated.disk import SimulatedDisk
from paxos_impl.agent import Config
from paxos_impl.messages import OK, Accept, Accepted, Command, Heartbeat, Prepare, PreVote, Promise, Reply, Request
from paxos_impl.node import Node

MILLISECOND = 1_000_000
CLIENT = 1000 << 32 | 1
"""Logical client 1 behind address 1000: replies go to address 1000."""


class Host:
    """The least a host must do for one node."""

    def __init__(self, node: int, disk: SimulatedDisk, incarnation: int = 1) -> None:
        config = Config(node, "replica", ("r0", "r1", "r2"), (0, 1, 2), (0, 1, 2), (0, 1, 2), collapsed=True)
        self.disk = disk
        self.node = Node(config, incarnation, disk, draw=lambda: node / 3, trace=lambda *event: None)
        self.node.start(0)
        self.sync(0)

    def sync(self, now_ns: int) -> None:
        """One sync makes durable what was appended, and lets go the messages that waited for it."""
        self.node.begin_sync()
        self.disk.end_sync()
        self.node.end_sync(now_ns)

    def timer(self, now_ns: int) -> None:
        self.node.wake(now_ns)
        self.node.finish()

    def receive(self, source: int, message: Any, now_ns: int) -> None:
        self.node.receive(source, 1, message, now_ns)
        self.node.finish()

    def sent(self, kind: type) -> list[tuple[int, Any]]:
        """(target, message) of one kind that may leave now; other messages are lost here."""
        return [(target, message) for target, message in self.node.take_outbox() if type(message) is kind]


def test_an_election_a_command_and_a_failover() -> None:
    disks = [SimulatedDisk() for _ in range(3)]
    r0, r1, r2 = (Host(node, disk) for node, disk in enumerate(disks))

    # -- election: nobody leads, so the first timeout asks whether a candidacy would succeed (pre-vote) …
    now = 100 * MILLISECOND
    assert r0.node.deadline_ns() == now
    r0.timer(now)
    (target, pre_vote), _ = r0.sent(PreVote)
    assert (target, pre_vote) == (1, PreVote((1, 0)))
    r1.receive(0, pre_vote, now)
    (_, grant), *_ = r1.node.take_outbox()

    # … with a quorum of grants (its own and r1's) r0 prepares ballot (1, 0). Its round must be durable before it says so.
    r0.receive(1, grant, now)
    assert r0.sent(Prepare) == []
    r0.sync(now)
    (_, prepare), _ = r0.sent(Prepare)
    assert prepare == Prepare((1, 0), slot=1)

    # r1 promises; the promise waits for its sync too, and so does r0's promise to itself.
    r1.receive(0, prepare, now)
    assert r1.sent(Promise) == []
    r1.sync(now)
    ((_, promise),) = r1.sent(Promise)
    assert promise == Promise((1, 0), start=1, last=True, floor=0, votes=())
    r0.sync(now)
    r0.receive(1, promise, now)
    assert r0.node.agent.proposer.state == "leading"
    assert [target for target, _ in r0.sent(Heartbeat)] == [1, 2]

    # -- a command: the leader proposes it in slot 1. Its Accepts need not wait for its disk, its own vote does.
    command = Command(CLIENT, seq=0, session=0, f="open", key="")
    r0.receive(1000, Request(command), now)
    (_, accept), _ = r0.sent(Accept)
    assert accept == Accept((1, 0), 1, (command,), commit=0)
    r1.receive(0, accept, now)
    r1.sync(now)
    ((_, accepted),) = r1.sent(Accepted)
    r0.receive(1, accepted, now)
    assert r0.sent(Reply) == []  # one vote is no quorum: its own is not durable yet
    r0.sync(now)
    ((address, reply),) = r0.sent(Reply)
    session = 1 << 16
    assert (address, reply) == (1000, Reply(CLIENT, 0, OK, session, leader=0))

    # -- failover: the power of r0 goes. r2 hears nobody for an election timeout and asks r1.
    disks[0].power_cut("lost", lambda: 0.0)
    now += 500 * MILLISECOND
    r2.timer(now)
    pre_vote = r2.sent(PreVote)[0][1]
    r1.receive(2, pre_vote, now)
    (_, answer), *_ = r1.node.take_outbox()
    assert answer.granted and answer.promised == (1, 0)
    r2.receive(1, answer, now)
    r2.sync(now)
    prepare = r2.sent(Prepare)[0][1]
    assert prepare.ballot == (2, 2)
    r1.receive(2, prepare, now)
    r1.sync(now)
    ((_, promise),) = r1.sent(Promise)

    # r1's promise tells its vote, so r2 must propose the same command in slot 1: it may have been chosen, and was.
    assert [(vote.slot, vote.ballot, vote.value) for vote in promise.votes] == [(1, (1, 0), (command,))]
    r2.sync(now)
    r2.receive(1, promise, now)
    accept = r2.sent(Accept)[0][1]
    assert accept == Accept((2, 2), 1, (command,), commit=0)
    r1.receive(2, accept, now)
    r1.sync(now)
    ((_, accepted),) = r1.sent(Accepted)
    r2.sync(now)
    r2.receive(1, accepted, now)
    assert r2.node.agent.applied_slot() == 1

    # -- r0 comes back with its log: it keeps its promise and its vote, and learns the rest from the new leader.
    back = Host(0, disks[0], incarnation=2)
    assert back.node.agent.acceptor.promised == (1, 0)
    assert back.node.agent.acceptor.votes == {1: ((1, 0), (command,))}
    assert back.node.agent.applied_slot() == 0
    r2.node.take_outbox()
    r2.timer(now + 20 * MILLISECOND)
    heartbeat = r2.sent(Heartbeat)[0][1]
    assert heartbeat.commit == 1
    back.receive(2, heartbeat, now)
    assert back.node.agent.applied_slot() == 0  # its vote is of another ballot: it proves nothing
    assert back.node.agent.learner.known_commit == 1  # but it knows now what it misses, and will ask
