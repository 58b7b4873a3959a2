"""What the nemesis can do to a simulated cluster, when and whom: the simulated world's side of the port.

Processes are killed, stopped and slowed here; links, disks and clocks do what their own files say.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any, Unpack

from harness.record import FaultEvent
from harness.worlds.simulated.cluster import Options, SimulatedCluster
from harness.worlds.simulated.process import Died, SimulatedProcess
from nemesis.conductor import Conductor
from nemesis.faults import Parameter, fault_params
from nemesis.plan import Plan
from nemesis.port import AgentView, Evidence, LinkRule, NotSupported
from paxos_impl.messages import (
    NO_BALLOT,
)
from paxos_impl.node import Node

RESTART_NS = 5_000_000
"""From the order to start an agent again until it runs."""


class FaultyCluster(SimulatedCluster):
    """A cluster and its nemesis. Implements ``nemesis.port.World``; ``options``: those of the cluster."""

    def __init__(self, plan: Plan, **options: Unpack[Options]) -> None:
        self.faults: list[FaultEvent] = []
        super().__init__(plan, **options)
        self.conductor = Conductor(plan, self, self._record_fault)
        self._watched = self.conductor.watched_kinds

    # -- the nemesis ----------------------------------------------------------------------------------------------------

    def _schedule_nemesis(self) -> None:
        at_ns = self.conductor.next_time_ns()
        if at_ns is not None:
            self.loop.at(max(at_ns, self.loop.now_ns), self._advance_nemesis)

    def _advance_nemesis(self, _a: Any, _b: Any, _c: Any) -> None:
        at_ns = self.conductor.next_time_ns()
        if at_ns is not None and at_ns <= self.loop.now_ns:
            self.conductor.advance(self.loop.now_ns)
            self._schedule_nemesis()

    def _trigger(self, process: SimulatedProcess, kind: str, slot: int) -> None:
        """Let a trigger strike now; if it killed the agent, its step ends here."""
        incarnation = process.incarnation
        process.in_a_step = True
        try:
            self.conductor.observe(process.id, process.spec.role, kind, slot, self.loop.now_ns)
        finally:
            process.in_a_step = False
        self._watched = self.conductor.watched_kinds
        self._schedule_nemesis()
        if not process.up or process.incarnation != incarnation:
            raise Died

    def _record_fault(self, edge: Any, fault: int, kind: str, targets: tuple[str, ...], evidence: Evidence) -> None:
        row = FaultEvent(self.loop.now_ns, edge, fault, kind, targets, evidence)
        self.faults.append(row)
        self._block.append(("fault", edge, fault, kind, targets))
        if self.recording is not None:
            self.recording.faults.append(row)

    # -- the port -------------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        return self.loop.now_ns

    def agents(self) -> list[AgentView]:
        return [AgentView(process.id, process.name, process.spec.role, process.up) for process in self.processes]

    def leader(self) -> int | None:
        leader = self.last_leader
        return leader if leader is not None and self.processes[leader].up else None

    def kill(self, agents: list[int]) -> Evidence:
        for agent in agents:
            self.processes[agent].die()
        return {"killed": len(agents)}

    def restart(self, agents: list[int]) -> Evidence:
        for agent in agents:
            self.loop.at(self.loop.now_ns + RESTART_NS, self._restart, self.processes[agent])
        return {"restarting": len(agents)}

    def pause(self, agents: list[int]) -> Evidence:
        for agent in agents:
            self.processes[agent].paused = True
        return {"stopped": len(agents)}

    def resume(self, agents: list[int]) -> Evidence:
        missed = 0
        for agent in agents:
            process = self.processes[agent]
            if not process.paused:
                continue
            process.paused = False
            process.hold(self.loop.now_ns)
            missed += len(process.waiting)
            if process.clock_is_true:
                self._step(process, self._look_again, process.node)
            else:
                self._clock_moved(process)
            incarnation = process.incarnation
            while process.waiting and not process.paused and process.up and process.incarnation == incarnation:
                process.waiting.popleft()()
        return {"missed_events": missed}

    def slow(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter]) -> Evidence:
        share = float(params["running"]) if kind == "stutter" else 1.0 / (1.0 + float(params["hogs"]))
        cost_ns = int(1_000_000 * (1.0 - share) / share)
        for agent in agents:
            self.processes[agent].step_costs_ns[fault] = cost_ns
        return {"step_cost_ns": cost_ns}

    def unslow(self, fault: int, kind: str, agents: list[int]) -> Evidence:
        for agent in agents:
            self.processes[agent].step_costs_ns.pop(fault, None)
        return {}

    def power_cut(self, agents: list[int], unsynced: str, seed: int) -> Evidence:
        counts: Evidence = {}
        for agent in agents:
            process = self.processes[agent]
            process.die()
            self._on_power_lost(agent, process.incarnation, self.loop.now_ns, NO_BALLOT, 0, None, None)
            lost = process.disk.power_cut(unsynced, Random(f"{seed}/power/{agent}").random)
            for name, count in lost.items():
                counts[name] = counts.get(name, 0) + count
        return {"cut": len(agents)} | counts

    def add_links(self, rules: list[LinkRule]) -> Evidence:
        return self.network.links.add(rules)

    def remove_links(self, fault: int) -> Evidence:
        return self.network.links.remove(fault)

    def disk_fault(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter], seed: int) -> Evidence:
        evidence: Evidence = {"agents": len(agents)}
        for agent in agents:
            process = self.processes[agent]
            if kind == "slow_sync":
                process.sync_extras_ns[fault] = int(params["delay_ns"])
                continue
            self._disk_faults.setdefault(agent, set()).add(fault)
            if kind == "disk_full":
                process.disk.full = True
            elif kind == "sync_error":
                process.disk.fail_next_sync = True
            elif kind == "corrupt":
                process.disk_was_damaged = True
                evidence[process.name] = process.disk.corrupt(Random(f"{seed}/corrupt/{agent}").random)
            else:
                raise NotSupported(f"the simulated disk cannot {kind}")
        return evidence

    def heal_disk(self, fault: int, kind: str, agents: list[int]) -> Evidence:
        for agent in agents:
            process = self.processes[agent]
            if kind == "slow_sync":
                process.sync_extras_ns.pop(fault, None)
                continue
            holds = self._disk_faults.get(agent, set())
            holds.discard(fault)
            if not holds:
                process.disk.full = process.disk.fail_next_sync = False
        return {"stopped_by_disk": [self.processes[a].name for a in agents if self.processes[a].crashed]}

    def clock_fault(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter]) -> Evidence:
        for agent in agents:
            process = self.processes[agent]
            if kind == "clock_jump":
                process.clock.set(self.loop.now_ns, jump_ns=int(params["offset_ns"]))
            else:
                process.drifts[fault] = float(params["rate"])
                process.clock.set(self.loop.now_ns, rate=math.prod(process.drifts.values()))
            process.clock_is_true = False
            self._clock_moved(process)
        return {"agents": len(agents)}

    def heal_clock(self, fault: int, kind: str, agents: list[int]) -> Evidence:
        for agent in agents:
            process = self.processes[agent]
            if kind == "clock_jump":
                jump_ns = int(fault_params(self.plan.faults[fault])["offset_ns"])
                process.clock.set(self.loop.now_ns, jump_ns=-jump_ns)
            else:
                process.drifts.pop(fault, None)
                process.clock.set(self.loop.now_ns, rate=math.prod(process.drifts.values()))
            self._clock_moved(process)
        return {}

    def _restart(self, process: SimulatedProcess, _b: Any = None, _c: Any = None) -> None:
        if not process.up:
            self._start(process)

    def _look_again(self, node: Node, now_ns: int) -> None:
        """No event: but what the agent wanted while it was stopped, or at another time, is to be carried out now."""

    def _clock_moved(self, process: SimulatedProcess) -> None:
        """The agent looks at its clock again: deadlines are readings of it, and come at another time now."""
        process.hold(self.loop.now_ns)
        node = process.node
        if not process.up or process.paused or node is None:
            return
        process.wake_ns = None
        if process.blocked:
            process.overslept = True
        else:
            self._step(process, self._fire_timers, node)
