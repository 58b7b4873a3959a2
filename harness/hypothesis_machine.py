"""A Hypothesis state machine that drives a simulated cluster: Hypothesis decides what happens, and shrinks it.

Rules advance the time, kill, restart, stop and wake agents, cut, disturb and heal links, cut the power, and read every key
back. After every rule the online oracles are asked. At the end everything is healed and the run is finished as any other:
progress, convergence, a power cut of all nodes, every acknowledged write still there.

In a test file of your own::

    from harness.hypothesis_machine import machine_of

    TestMyCluster = machine_of(Plan(cluster=Cluster("classic"))).TestCase

A failing example prints the rules one by one. Does not cover: triggers between two effects of a step, disk and clock
faults; plans drawn by ``nemesis.hypothesis_plans`` have them.
"""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from harness.results import Violation
from harness.worlds.simulated.process import SimulatedProcess
from harness.worlds.simulated.world import SimulatedRun, SimulatedWorld
from nemesis.faults import KINDS
from nemesis.plan import MILLISECOND, Plan, Workload
from nemesis.port import LinkRule
from paxos_impl.parts import Parts

SMALL = Plan(settle_ns=1500 * MILLISECOND, workload=Workload(clients=3, rate=100.0, keys=2))
"""A cluster of three replicas under a light load of writes, reads and compare-and-sets."""


class SteppedWorld(SimulatedWorld):
    """A simulated world whose faulty part is moved from outside; ``finish`` does the rest."""

    def begin(self) -> None:
        """Start agents and clients."""
        for process in self.processes:
            self._start(process)
        self.loop.at(self.loop.now_ns, super()._start_clients)

    def advance(self, length_ns: int) -> None:
        self.loop.run_until(self.loop.now_ns + length_ns)

    def read_back(self) -> None:
        """Let the clients read every key, once, as soon as they are idle."""
        self.clients.read_back(self.loop.now_ns)
        self._after_clients()

    def finish(self) -> SimulatedRun:
        """Heal, let the cluster settle, cut its power, judge."""
        for process in self.processes:
            if process.paused:
                self.resume([process.id])
        self.plan = msgspec.structs.replace(self.plan, duration_ns=self.loop.now_ns)
        return self.run()

    def violations(self) -> list[Violation]:
        """What was seen so far."""
        return self.crashes + self.oracles.violations

    def _start(self, process: SimulatedProcess) -> None:
        if not process.up:
            super()._start(process)

    def _start_clients(self, _a: object, _b: object, _c: object) -> None:
        """They were started when the run began."""


class ClusterMachine(RuleBasedStateMachine):
    """Rules over one cluster. Subclasses set ``plan`` and, for planted bugs, ``parts``; ``machine_of`` makes one."""

    plan: Plan = SMALL
    parts: Parts | None = None

    def __init__(self) -> None:
        super().__init__()
        self.world = SteppedWorld(self.plan, parts=self.parts)
        self.agents = len(self.world.processes)
        self.faults = 0
        self.cut: set[int] = set()
        """Link faults in force."""

    def _agent(self, number: int) -> SimulatedProcess:
        return self.world.processes[number % self.agents]

    @initialize(warm_ms=st.sampled_from([0, 50, 400]))
    def begin(self, warm_ms: int) -> None:
        self.world.begin()
        self.world.advance(warm_ms * MILLISECOND)

    @rule(length_ms=st.sampled_from([1, 2, 5, 10, 30, 100, 250]))
    def advance(self, length_ms: int) -> None:
        self.world.advance(length_ms * MILLISECOND)

    @rule(agent=st.integers(0, 6), back=st.booleans())
    def kill(self, agent: int, back: bool) -> None:
        """``back``: it restarts at once."""
        self.world.kill([self._agent(agent).id])
        if back:
            self.restart({agent})

    @rule(agents=st.sets(st.integers(0, 6), min_size=1))
    def restart(self, agents: set[int]) -> None:
        self.world.restart([process.id for process in map(self._agent, sorted(agents)) if not process.up])
        self.world.advance(10 * MILLISECOND)

    @rule(agent=st.integers(0, 6))
    def pause(self, agent: int) -> None:
        if self._agent(agent).up:
            self.world.pause([self._agent(agent).id])

    @rule(agent=st.integers(0, 6))
    def resume(self, agent: int) -> None:
        self.world.resume([self._agent(agent).id])

    @rule(
        agents=st.sets(st.integers(0, 6), min_size=1),
        unsynced=st.sampled_from(["lost", "torn", "garbled", "kept"]),
        seed=st.integers(0, 3),
        back=st.booleans(),
    )
    def power_cut(self, agents: set[int], unsynced: str, seed: int, back: bool) -> None:
        self.world.power_cut(sorted({self._agent(agent).id for agent in agents}), unsynced, seed)
        if back:
            self.restart(agents)

    @rule(sender=st.integers(0, 6), receiver=st.integers(0, 6))
    def cut_link(self, sender: int, receiver: int) -> None:
        """One way only; the other way is another rule."""
        self._disturb("partition", sender, receiver)

    @rule(kind=st.sampled_from(["delay", "drop", "duplicate"]), sender=st.integers(0, 6), receiver=st.integers(0, 6))
    def disturb_link(self, kind: str, sender: int, receiver: int) -> None:
        self._disturb(kind, sender, receiver)

    @rule()
    def heal_links(self) -> None:
        for fault in sorted(self.cut):
            self.world.remove_links(fault)
        self.cut.clear()

    @rule()
    def request(self) -> None:
        """Beside the load: read every key."""
        self.world.read_back()

    @invariant()
    def nothing_is_violated(self) -> None:
        found = self.world.violations()
        assert not found, f"{found[0].rule}: {found[0].sentence}"

    def teardown(self) -> None:
        """Every run ends as a plan's does. A run that has failed already is left as it is."""
        if self.world.violations() or not self.world.processes[0].incarnation:
            return
        self.heal_links()
        found = self.world.finish().violations
        assert not found, f"{found[0].rule}: {found[0].sentence}"

    def _disturb(self, kind: str, sender: int, receiver: int) -> None:
        one, other = self._agent(sender).id, self._agent(receiver).id
        if one == other:
            return
        params = {name: spec.default for name, spec in KINDS[kind].params.items()}
        self.world.add_links([LinkRule(self.faults, kind, one, other, params, f"machine {self.faults}")])
        self.cut.add(self.faults)
        self.faults += 1


def machine_of(plan: Plan, parts: Parts | None = None) -> type[ClusterMachine]:
    """A machine for that cluster, load and timing; the plan's own faults are not carried out. ``parts``: a planted bug."""
    plain = msgspec.structs.replace(plan, faults=())
    return type("ClusterMachineOfPlan", (ClusterMachine,), {"plan": plain, "parts": parts})
