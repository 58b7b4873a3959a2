"""The simulated process of one agent: it lives, stops, is slow, dies, and comes back as another incarnation.

Injects: death between any two effects of a step (a trigger strikes in the middle), death between steps, stops during which
messages and timers wait and then come all at once, slowness (each step takes time), a restart that takes time. If the plan
says that syncs block, what comes during one waits for its end and is then handled as one batch.
Does not inject: partial execution of Python code inside one effect, loss of the page cache without a power cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

from harness.cluster_setup import AgentSpec
from harness.worlds.simulated.clock import SimulatedClock
from harness.worlds.simulated.disk import SimulatedDisk
from harness.worlds.simulated.network import Sender
from paxos_impl.agent import Config, Trace
from paxos_impl.messages import NO_BALLOT, AnyMessage, Ballot
from paxos_impl.node import Node
from paxos_impl.parts import Parts

LONG_AGO_NS = -(1 << 62)


class Died(BaseException):
    """Raised through the agent's code when a trigger kills it in the middle of a step."""


MakeTrace = Callable[["SimulatedProcess", int], Trace]
"""(process, incarnation) -> where that incarnation tells what it did"""


class SimulatedProcess:
    """One agent over all its incarnations: disk and clock stay, the node is new each time."""

    def __init__(self, spec: AgentSpec, config: Config, parts: Parts, seed: int, make_trace: MakeTrace) -> None:
        self.spec = spec
        self.id = spec.id
        self.name = spec.name
        self.config = config
        self.parts = parts
        self.seed = seed
        self.make_trace = make_trace
        self.disk = SimulatedDisk()
        self.clock = SimulatedClock()
        self.incarnation = 0
        self.sender: Sender = (spec.id, 0)
        self.node: Node | None = None
        self.up = False
        self.crashed = ""
        """Why the agent stopped by itself; empty if it did not."""
        self.paused = False
        self.waiting: deque[Callable[[], None]] = deque()
        """What came while it was stopped."""
        self.in_a_step = False
        """A trigger struck in the middle of its step: what befalls it comes when the step has ended."""
        self.blocked = False
        """It waits for its sync."""
        self.heard_ns: dict[int, int] = {}
        """Address -> when a message from there was handled last."""
        self.led_by: tuple[Ballot, int] = (NO_BALLOT, LONG_AGO_NS)
        """The ballot whose leader it heard last, and when; not of a leader that has restarted since."""
        self.led_ns = LONG_AGO_NS
        """When it heard anything of a leader, whichever."""
        self.teller = -1
        """Who told it last what is chosen."""
        self.tellers = 0
        """How often that was another one than before."""
        self.said: AnyMessage | None = None
        """Its last heartbeat."""
        self.held_until_ns = 0
        """What it said until then may have been meant long before: it was stopped, its disk was slow, or its clock
        was set."""
        self.inbox: list[tuple[Sender, AnyMessage]] = []
        """Messages that came while it was blocked."""
        self.overslept = False
        """A timer became due while it was blocked."""
        self.wake_ns: int | None = None
        self.step_costs_ns: dict[int, int] = {}
        """Fault -> how long each step takes while that fault is on; the longest counts."""
        self.free_ns = 0
        self.sync_extras_ns: dict[int, int] = {}
        """Fault -> what it adds to each sync."""
        self.drifts: dict[int, float] = {}
        """Fault -> rate of the clock; they multiply."""
        self.clock_is_true = True
        """No clock fault has touched it: it shows the run's time."""
        self.disk_was_damaged = False
        self.disk_draw = Random(f"{seed}/disk/{spec.id}").random

    def begin_incarnation(self) -> Node:
        """A fresh node over the old disk; the caller starts it."""
        self.incarnation += 1
        self.up = True
        self.crashed = ""
        self.paused = False
        self.blocked = self.overslept = False
        self.led_by = (NO_BALLOT, LONG_AGO_NS)
        self.wake_ns = None
        self.free_ns = 0
        incarnation = self.incarnation
        self.sender = (self.id, incarnation)
        trace = self.make_trace(self, incarnation)
        draw = Random(f"{self.seed}/agent/{self.id}/{incarnation}").random
        self.node = Node(self.config, incarnation, self.disk, draw, trace, self.parts)
        return self.node

    def die(self) -> None:
        """SIGKILL: memory and waiting events are gone, files stay as the operating system has them."""
        self.up = False
        self.node = None
        self.paused = False
        self.blocked = self.overslept = False
        self.waiting.clear()
        self.inbox.clear()
        self.wake_ns = None
        self.disk.process_died()

    def defer(self, event: Callable[[], None]) -> None:
        self.waiting.append(event)

    def hold(self, until_ns: int) -> None:
        """Something keeps it, or what it says, back until then."""
        self.held_until_ns = max(self.held_until_ns, until_ns)
