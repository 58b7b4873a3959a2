"""A cluster moved by hand: the test says which message arrives when, which sync ends, who dies.

Nothing happens by itself. Messages stand in ``wire`` until they are delivered; a log is durable when its sync was ended;
time passes when the test says so. Every traced step also goes to the online oracles: ``cluster.violations``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from harness.checkers.online import OnlineOracles
from harness.cluster_setup import agents_playing, make_config
from harness.worlds.simulated.disk import SimulatedDisk
from nemesis.plan import Cluster, Plan
from paxos_impl.agent import Config
from paxos_impl.messages import FIRST_CLIENT_ADDRESS, AnyMessage, Command, Reply, Request
from paxos_impl.node import Node
from paxos_impl.parts import CORRECT, Parts

MILLISECOND = 1_000_000
ELECTION_NS = 100 * MILLISECOND


class Packet(NamedTuple):
    """A message under way."""

    source: int
    incarnation: int
    target: int
    message: AnyMessage


class HandCluster:
    """Agents 0, 1, … with a disk each. The lower its number, the shorter an agent's election timeouts."""

    def __init__(self, shape: Cluster | None = None, *, parts: Parts = CORRECT, **settings: Any) -> None:
        plan = Plan(cluster=shape or Cluster())
        count = len(make_config(plan, 0).names)
        self.configs: list[Config] = [msgspec.structs.replace(make_config(plan, i), **settings) for i in range(count)]
        self.parts = parts
        self.now_ns = 0
        self.disks = [SimulatedDisk() for _ in range(count)]
        self.nodes: list[Node | None] = [None] * count
        self.incarnations = [0] * count
        self.wire: list[Packet] = []
        self.cut: set[tuple[int, int]] = set()
        """Directed links on which messages get lost."""
        self.replies: list[Reply] = []
        self.trace: list[tuple[int, str, Any, int, Any, Any]] = []
        """(agent, kind, ballot, slot, value, extra) of every traced step."""
        voters = frozenset(agents_playing(plan, "acceptor"))
        self.oracles = OnlineOracles(voters, len(voters) // 2 + 1)
        self.violations = self.oracles.violations

    # -- processes ------------------------------------------------------------------------------------------------------

    def start(self, *agents: int, sync: bool = True) -> None:
        """Bring agents up (all, if none is named); their first syncs end at once, unless ``sync`` is false."""
        for agent in agents or range(len(self.nodes)):
            self.incarnations[agent] += 1
            incarnation = self.incarnations[agent]

            def trace(
                kind: str, ballot: Any = None, slot: int = 0, value: Any = None, extra: Any = None, /,
                agent: int = agent, incarnation: int = incarnation,
            ) -> None:  # fmt: skip
                self.trace.append((agent, kind, ballot, slot, value, extra))
                self.oracles.observe(agent, incarnation, self.now_ns, kind, ballot, slot, value, extra)

            share = agent / len(self.nodes)
            node = Node(
                self.configs[agent], incarnation, self.disks[agent], lambda share=share: share, trace, self.parts
            )
            self.nodes[agent] = node
            node.start(self.now_ns)
            if sync:
                self.sync(agent)

    def kill(self, *agents: int) -> None:
        """SIGKILL: memory is gone, the page cache stays."""
        for agent in agents:
            self.nodes[agent] = None
            self.disks[agent].process_died()

    def power_cut(self, *agents: int, mode: str = "lost") -> None:
        for agent in agents:
            self.kill(agent)
            self.disks[agent].power_cut(mode, lambda: 0.5)

    def node(self, agent: int) -> Node:
        node = self.nodes[agent]
        assert node is not None, f"agent {agent} is down"
        return node

    def agent(self, agent: int) -> Any:
        """The protocol object of an agent that is up."""
        return self.node(agent).agent

    # -- disk -----------------------------------------------------------------------------------------------------------

    def sync(self, agent: int) -> None:
        """End as many syncs as the agent wants."""
        node = self.node(agent)
        node.finish()
        while node.wants_sync:
            node.begin_sync()
            self.disks[agent].end_sync()
            node.end_sync(self.now_ns)
        self._collect(agent)

    # -- messages -------------------------------------------------------------------------------------------------------

    def inject(self, packet: Packet | tuple[int, int, int, AnyMessage], *, sync: bool = True) -> None:
        """Hand a message to its target, as the network would; then let its log become durable."""
        packet = Packet(*packet)
        if packet.target >= FIRST_CLIENT_ADDRESS:
            assert isinstance(packet.message, Reply)
            self.replies.append(packet.message)
            return
        node = self.nodes[packet.target]
        if node is None or (packet.source, packet.target) in self.cut:
            return
        node.receive(packet.source, packet.incarnation, packet.message, self.now_ns)
        node.finish()
        self._collect(packet.target)
        if sync:
            self.sync(packet.target)

    def deliver(self, *, sync: bool = True, **fields: Any) -> int:
        """Deliver what is under way now and fits (``kind=Accept``, ``source=0``, ``target=1``); returns how many."""
        chosen = self.under_way(**fields)
        for packet in chosen:
            self.wire.remove(packet)
            self.inject(packet, sync=sync)
        return len(chosen)

    def lose(self, **fields: Any) -> list[Packet]:
        """Take messages off the wire; returns them, so that they can be injected late."""
        chosen = self.under_way(**fields)
        for packet in chosen:
            self.wire.remove(packet)
        return chosen

    def under_way(self, kind: type | None = None, source: int | None = None, target: int | None = None) -> list[Packet]:
        return [
            packet
            for packet in self.wire
            if (kind is None or type(packet.message) is kind)
            and (source is None or packet.source == source)
            and (target is None or packet.target == target)
        ]

    def quiet(self) -> None:
        """Deliver everything, and what it leads to, until nothing is under way. No time passes."""
        for _ in range(10_000):
            if not self.deliver():
                return
        raise AssertionError("the agents never stop talking")

    # -- time -----------------------------------------------------------------------------------------------------------

    def pass_time(self, length_ns: int, *, agents: tuple[int, ...] | None = None) -> None:
        """Let time pass: timers fire in order, everything said is delivered at once."""
        end_ns = self.now_ns + length_ns
        while True:
            due = [
                (deadline_ns, agent)
                for agent, node in enumerate(self.nodes)
                if node is not None and (agents is None or agent in agents)
                if (deadline_ns := node.deadline_ns()) is not None and deadline_ns <= end_ns
            ]
            if not due:
                break
            self.now_ns = max(self.now_ns, min(due)[0])
            self.wake(min(due)[1])
            self.quiet()
        self.now_ns = end_ns

    def wake(self, agent: int) -> None:
        node = self.node(agent)
        node.wake(self.now_ns)
        node.finish()
        self.sync(agent)

    def fire(self, agent: int, timer: str) -> None:
        """Let one timer of an agent run out now, whenever it was due."""
        node = self.node(agent)
        node.timers[timer] = self.now_ns
        self.wake(agent)

    def elect(self, agent: int) -> None:
        """Make an agent the leader, by a timeout of its own and undisturbed messages."""
        self.now_ns += 2 * ELECTION_NS
        self.fire(agent, "election")
        self.quiet()
        leading = self.agent(agent)
        assert getattr(leading, "proposer", leading).state == "leading"

    # -- clients --------------------------------------------------------------------------------------------------------

    def request(self, agent: int, command: Command, *, sync: bool = True) -> None:
        self.inject(Packet(command.client >> 32, 0, agent, Request(command)), sync=sync)

    def open(self, agent: int, client: int) -> int:
        """Open a session at the leader; returns its id."""
        self.request(agent, Command(client, 0, 0, "open", ""))
        self.quiet()
        return int(next(reply.result for reply in reversed(self.replies) if reply.client == client))

    # -- inside ---------------------------------------------------------------------------------------------------------

    def _collect(self, agent: int) -> None:
        node = self.node(agent)
        for target, message in node.take_outbox():
            self.wire.append(Packet(agent, self.incarnations[agent], target, message))


@pytest.fixture
def hand_cluster() -> Callable[..., HandCluster]:
    """The class, to be called with a shape and settings: ``hand_cluster(window=1)``."""
    return HandCluster


@pytest.fixture
def client() -> int:
    """A client id."""
    return FIRST_CLIENT_ADDRESS << 32 | 1
