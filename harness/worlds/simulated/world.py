"""The simulated world: a whole cluster, its clients and its nemesis in one process and virtual time.

Same agents, plans, clients, faults and oracles as on real processes; nothing here knows what a ballot is. Runs are
bit-identical: a digest over every delivery and every traced step proves it.

A run: load and faults for ``duration_ns``; everything is healed, and what was held back arrives; load goes on for
``settle_ns`` (liveness); load stops and what is in flight ends; the power of all nodes is cut (if the plan says so) and they
come back; the learners converge.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any, Unpack

import msgspec

from harness.checkers import endgame
from harness.record import FaultEvent
from harness.results import Violation
from harness.worlds.simulated.cluster import Options, Recording, Stopped
from harness.worlds.simulated.faults import RESTART_NS, FaultyCluster
from nemesis.plan import Plan

COLLECT_AFTER = 500_000
"""Objects made before the garbage collector looks for cycles."""
FINAL = -1
"""Fault index of what the run itself does at its end."""


class SimulatedRun(msgspec.Struct):
    """What a simulated run came to, before the offline checkers."""

    plan: Plan
    violations: list[Violation]
    digest: str
    steps: int
    """Agent steps and delivery decisions."""
    commands: int
    """Operations answered ok."""
    duration_ns: int
    healed_ns: int
    recording: Recording | None
    faults: list[FaultEvent]
    notes: list[Any] | None
    """What went into the digest, if it was kept."""
    situations: tuple[str, ...]
    """Those of ``harness.checkers.situations`` that came up before the final power cut; none without oracles."""


class SimulatedWorld(FaultyCluster):
    """One cluster and its nemesis from the first start to the last check."""

    def __init__(self, plan: Plan, **options: Unpack[Options]) -> None:
        self.endings: list[Violation] = []
        """What was found when the run was over."""
        self.situations: tuple[str, ...] | None = None
        """Those that came up before the final power cut."""
        self.healed_ns = 0
        super().__init__(plan, **options)

    def run(self) -> SimulatedRun:
        """Everything from the first start to the last check. Deterministic in the plan."""
        with contextlib.suppress(Stopped), _rare_collections():
            self._run()
        with contextlib.suppress(Stopped):
            self._close_digest()
        if self.recording is not None:
            self.recording.clients = self.clients.places
        return SimulatedRun(
            self.plan,
            # By time, as a run that stops at its first violation would meet them.
            sorted(self.oracles.violations + self.crashes, key=lambda one: one.time_ns) + self.endings,
            self._digest.hexdigest(),
            self.steps + self.network.decisions,
            self.commands,
            self.loop.now_ns,
            self.healed_ns,
            self.recording,
            self.faults,
            self.notes,
            self.oracles.situations.all_reached() if self.situations is None else self.situations,
        )

    def _run(self) -> None:
        plan, loop = self.plan, self.loop
        for process in self.processes:
            self._start(process)
        loop.at(RESTART_NS, self._start_clients)
        self._schedule_nemesis()
        loop.run_until(plan.duration_ns)
        self._heal()
        loop.run_until(self.network.quiet_at_ns())
        self.healed_ns = loop.now_ns
        self._record_fault("end", FINAL, "heal", self._names(), {})
        self.clients.slow_down(plan.workload.settle_rate)
        loop.run_until(loop.now_ns + plan.settle_ns)
        self.clients.stop()
        self._await_answers(loop.now_ns + plan.timing.operation_timeout_ns + plan.timing.client_retry_ns)
        self.clients.give_up(loop.now_ns)
        self._await_stragglers()
        self._bring_up(self.conductor.heal_all)
        furthest = max(self._reached().values(), default=0)
        if plan.final_power_cut:
            self._final_power_cut()
        self._await_convergence(furthest, loop.now_ns + plan.settle_ns)
        self._await_stragglers()
        self._check_convergence()
        self._stop()
        if self._judges:
            self._check_end()

    def _heal(self) -> None:
        """All, or what a majority of the voters (and half of the others) needs: the rest stays as its faults left it."""
        broken = self.conductor.minority() if self.plan.heal == "majority" else frozenset[int]()
        self._bring_up(lambda: self.conductor.heal_all(broken), broken)

    def _bring_up(self, heal: Callable[[], None], broken: frozenset[int] = frozenset()) -> None:
        heal()
        self._watched = self.conductor.watched_kinds
        for process in self.processes:
            if not process.up and process.id not in broken:
                self.loop.at(self.loop.now_ns + RESTART_NS, self._restart, process)

    def _final_power_cut(self) -> None:
        self.situations = self.oracles.situations.all_reached()
        self.ledger.position = self.oracles.positions()
        self.ledger.mark_cut()
        evidence = self.power_cut([process.id for process in self.processes], "lost", self.plan.seed)
        self._record_fault("begin", FINAL, "power", self._names(), evidence)
        for process in self.processes:
            self.loop.at(self.loop.now_ns + RESTART_NS, self._restart, process)
        self.loop.run_until(self.loop.now_ns + RESTART_NS)
        self._record_fault("end", FINAL, "power", self._names(), {})

    def _names(self) -> tuple[str, ...]:
        return tuple(process.name for process in self.processes)

    def _await_answers(self, bound_ns: int) -> None:
        """Nothing new is asked any more: what is in flight ends, and the last value reaches every learner."""
        while self.loop.now_ns < bound_ns and (self.clients.in_flight or len(set(self._reached().values())) > 1):
            self.loop.run_until(min(self.loop.now_ns + self.plan.timing.client_retry_ns, bound_ns))

    def _await_convergence(self, furthest: int, bound_ns: int) -> None:
        """There is no load any more: when for an election timeout all are up and all learners stand at one slot, which is not
        below ``furthest``, nothing is left to wait for."""
        timeout_ns = self.plan.timing.election_timeout_ns
        stood: set[int] = set()
        while self.loop.now_ns < bound_ns:
            self.loop.run_until(min(self.loop.now_ns + timeout_ns, bound_ns))
            reached = set(self._reached().values())
            stands = all(process.up for process in self.processes) and len(reached) == 1 and min(reached) >= furthest
            if stands and stood == reached:
                return
            stood = reached if stands else set()

    def _reached(self) -> dict[str, int]:
        """Learner that is up -> slot it has applied."""
        return {
            process.name: process.node.agent.applied_slot()
            for process in self.processes
            if process.up and process.node is not None and process.spec.role in ("replica", "learner")
        }

    def _await_stragglers(self) -> None:
        """A learner fetches a page a round trip, and the smallest page holds one slot: what it still lacks it may yet fetch.
        It asks for the next one when what it has learned is synced, behind a sync that may be under way."""
        broken = {self.processes[agent].name for agent in self.conductor.broken()}
        reached = [slot for name, slot in self._reached().items() if name not in broken]
        lacking = max(reached, default=0) - min(reached, default=0)
        network, disk = self.plan.network, self.plan.disk
        round_trip_ns = 2 * (network.latency_ns + network.jitter_ns) + 2 * (disk.sync_ns + disk.jitter_ns)
        if lacking:
            self.loop.run_until(self.loop.now_ns + lacking * round_trip_ns)

    def _check_convergence(self) -> None:
        """Liveness: after the heal learners reach the same slot, and clients are served."""
        reached = self._reached()
        lost = [process.name for process in self.processes if not process.up and not process.crashed.startswith("disk")]
        if len(set(reached.values())) > 1:
            slowest = min(reached, key=lambda name: reached[name])
            self.crashes.append(
                Violation(
                    "liveness/not-converged",
                    f"{self.plan.settle_ns / 1e9:g} s after everything was healed {slowest} has applied slot "
                    f"{reached[slowest]}, others {max(reached.values())}",
                    self.loop.now_ns,
                    agents=tuple(reached),
                )
            )
        if lost and not self.crashes:
            self.crashes.append(
                Violation("liveness/down", f"{', '.join(lost)} did not come back after the heal", self.loop.now_ns)
            )

    def _check_end(self) -> None:
        """What only the whole run shows."""
        self.ledger.position = self.oracles.positions()
        case = endgame.case_of(self.plan, self.ledger, self.history, self.faults, self.clients.places)
        self.endings = endgame.judge(case)

    def _stop(self) -> None:
        for process in self.processes:
            if process.up and process.node is not None:
                process.node.stop(process.clock.read_ns(self.loop.now_ns))


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """A run makes many small objects that live to its end: with the default Python looks through them all too often."""
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def simulate(plan: Plan, **options: Unpack[Options]) -> SimulatedRun:
    """Run a plan in the simulated world."""
    return SimulatedWorld(plan, **options).run()
