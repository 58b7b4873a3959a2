"""A run on real processes: start, torture, heal, settle, cut the power, read back, stop. It records; others judge.

Rules
* Whatever happens (Ctrl-C, an exception, a heal that failed) everything is healed and every process is stopped, and what was
  recorded is kept.
* The plan in the run directory is in real time, as everything recorded is.
* An interrupt and a fault of the harness are rows of the record too (fault -1, kinds ``interrupted`` and ``error``), so
  that who judges it later knows.
"""

from __future__ import annotations

import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from harness.checkers.liveness import SETTLED_TIMEOUTS
from harness.cluster_setup import make_parts
from harness.errors import HarnessFault, UserError
from harness.memory import memory_directory
from harness.record import FaultEvent, RowWriter
from harness.store import environment, link_latest, new_run_directory, write_environment, write_plan
from harness.worlds.real.cluster import RealWorld
from nemesis.conductor import Conductor
from nemesis.plan import SECOND, Plan, scaled, validate
from nemesis.port import Evidence

STEP_S = 0.05
PROGRESS_NS = 100_000_000
CLIENT_PROCESSES_MAX = 2
CLIENTS_PER_PROCESS = 64
SETTLE_TIMEOUTS = 2 * SETTLED_TIMEOUTS
"""Election timeouts after the heal that real processes have at least: twice what the leadership may take to settle."""


class Status(msgspec.Struct, frozen=True):
    """What a run is doing now, for whoever watches."""

    phase: str
    """start, torture, heal, settle, power cut, stop"""
    elapsed_ns: int
    """Since the load began."""
    duration_ns: int
    """Of load and faults, by the plan."""
    operations: dict[str, int]
    """By type: invoke, ok, fail, info; and shed, in_flight."""
    active: tuple[str, ...]
    """Kinds of the faults that are on."""
    up: tuple[str, ...]
    down: tuple[str, ...]
    leader: str | None
    interrupted: bool
    """The user asked to stop."""


Progress = Callable[[Status], None]


class RunOutcome(msgspec.Struct, frozen=True):
    """What a run left behind."""

    directory: Path
    interrupted: bool
    errors: tuple[str, ...]
    """What went wrong in the harness itself."""


def run_real(plan: Plan, store: Path, *, progress: Progress | None = None) -> RunOutcome:
    """Carry out ``plan`` on real processes and record it. Raises PlanError or MutantError if the plan cannot be run, UserError
    if the run cannot be recorded at all; whatever happens later is in the outcome."""
    validate(plan)
    make_parts(plan)
    plan = with_time_to_settle(plan)
    directory = new_run_directory(store, plan.name, plan.seed)
    try:
        write_plan(directory, plan)
        write_environment(directory, environment())
        link_latest(store, directory)
        faults = RowWriter(directory / "faults" / "nemesis.rows")
    except OSError as error:
        raise UserError(f"cannot record in {directory}: {error.strerror}; choose another place with --store") from error
    with _data_directory(plan, directory) as data, _Interrupts() as interrupts:
        run = _Run(plan, directory, data, faults, interrupts, progress)
        run.carry_out()
        if plan.disk.kind == "memory":
            run.keep(data)
    faults.close()
    return RunOutcome(directory, interrupts.asked > 0, tuple(run.errors))


def with_time_to_settle(plan: Plan) -> Plan:
    """The plan in real time, with what real processes need after the heal, at least; a run that has settled sooner goes on. A
    plan that was shrunk leaves itself none: in virtual time what broke is over by then."""
    plan = scaled(plan, plan.timing.scale)
    least_ns = SETTLE_TIMEOUTS * plan.timing.election_timeout_ns
    return msgspec.structs.replace(plan, settle_ns=max(plan.settle_ns, least_ns))


def client_processes(plan: Plan) -> int:
    """How many processes share the plan's logical clients."""
    return min(CLIENT_PROCESSES_MAX, -(-plan.workload.clients // CLIENTS_PER_PROCESS))


class _Interrupted(Exception):
    """The user asked to stop; leave the present phase."""


class _Interrupts:
    """While on, Ctrl-C and SIGTERM only ask; the third one interrupts whatever is going on."""

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        if self.asked >= 3:
            raise KeyboardInterrupt


class _Run:
    """One run, phase after phase."""

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        data: Path,
        faults: RowWriter,
        interrupts: _Interrupts,
        progress: Progress | None,
    ) -> None:
        self.plan = plan
        self.directory = directory
        self.faults = faults
        self.interrupts = interrupts
        self.progress = progress
        self.errors: list[str] = []
        self.phase = "start"
        self.totals: dict[str, int] = {}
        self.broken: frozenset[int] = frozenset()
        """Agents that are left broken while the others must make progress."""
        self._progress_ns = 0
        self._interrupts_obeyed = 0
        self.world = RealWorld(plan, directory, data, client_processes(plan), self._note)
        self.names = tuple(view.name for view in self.world.agents())
        self.conductor = Conductor(plan, self.world, self._record)

    def carry_out(self) -> None:
        """All phases. What goes wrong is in ``errors`` and in the record; nothing is left behind."""
        try:
            self._attempt(self._start)
            if not self.errors:
                self._attempt(self._torture)
                self._attempt(self._heal)
                if not self.errors:
                    self._attempt(self._after_heal)
                if self.broken:
                    self._attempt(self._heal_rest)
                self._attempt(self._stop)
        finally:
            self.world.close()
        for error in self.conductor.errors:
            self._fail(error)

    def keep(self, data: Path) -> None:
        """Copy logs that lived in memory into the run directory."""
        try:
            shutil.copytree(data, self.directory / "data", dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            self._fail(f"the agents' logs could not be kept: {error}")

    def _attempt(self, phase: Callable[[], None]) -> None:
        try:
            phase()
        except _Interrupted:
            self._interrupts_obeyed = self.interrupts.asked
            self._note("interrupted", (), {"phase": self.phase})
            if self.phase not in ("torture", "stop"):
                self._note("cut_short", (), {"error": f"interrupted in phase {self.phase!r}"})
        except HarnessFault as error:
            self._fail(f"{self.phase}: {error}")
        except (Exception, KeyboardInterrupt) as error:
            self._fail(f"{self.phase}: {type(error).__name__}: {error}")
            traceback.print_exc()

    def _fail(self, text: str) -> None:
        self.errors.append(text)
        self._note("error", (), {"error": text})

    # -- phases -------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.world.watch(self.conductor.watched_kinds)
        self.world.start()

    def _torture(self) -> None:
        world, conductor = self.world, self.conductor
        self.phase = "torture"
        world.started_ns = time.monotonic_ns()
        world.order_clients("start")
        while (now_ns := world.now_ns()) < self.plan.duration_ns:
            self._step(min(self.plan.duration_ns, conductor.next_time_ns() or self.plan.duration_ns) - now_ns)
            self._observe()
            conductor.advance(world.now_ns())

    def _observe(self) -> None:
        """Let the conductor act on what agents wait at, then let them go on."""
        world, conductor = self.world, self.conductor
        while world.events:
            event = world.events.popleft()
            view = world.agents()[event.agent]
            conductor.observe(event.agent, view.role, event.kind, event.slot, world.now_ns())
            world.watch(conductor.watched_kinds)
            world.go_on(event)

    def _heal(self) -> None:
        """All, or what a majority needs: the rest stays as its faults left it until the clients have made progress."""
        self.phase = "heal"
        if self.plan.heal == "majority" and self._whole:
            self.broken = self.conductor.minority()
        self.conductor.heal_all(self.broken)
        evidence = self.world.heal_everything(self.broken, self.conductor.active())
        if self.broken:
            evidence["left_broken"] = [self.names[agent] for agent in sorted(self.broken)]
        if self._whole:
            self._record("end", -1, "heal", self.names, evidence)

    def _heal_rest(self) -> None:
        self.phase = "heal"
        self.broken = frozenset()
        self.conductor.heal_all()
        self._note("healed_rest", self.names, self.world.heal_everything())

    def _after_heal(self) -> None:
        """Progress of every client under load, then convergence, then the power cut and all that must come back. After an
        interrupt convergence alone, so that what was acknowledged is seen to be there."""
        self.phase = "settle"
        world = self.world
        if self._whole:
            world.order_clients("mark")
            progressed = self._until(self._all_clients_progressed, self.plan.settle_ns)
            self._note("settled", (), {"every_client_progressed": progressed})
        world.order_clients("stop")
        self._until(self._nothing_in_flight, self.plan.timing.operation_timeout_ns + SECOND)
        if self.broken:
            self._heal_rest()
            self.phase = "settle"
        self._until(self._converged, self.plan.settle_ns)
        if self._whole and self.plan.final_power_cut:
            self._cut_power_of_all()

    @property
    def _whole(self) -> bool:
        """Nothing has kept this run from doing all that was planned."""
        return not self.errors and not self.interrupts.asked

    def _cut_power_of_all(self) -> None:
        self.phase = "power cut"
        world = self.world
        everyone = list(range(len(self.names)))
        reached = max(world.applied().values(), default=0)
        self._record("begin", -1, "power", self.names, world.power_cut(everyone, "lost", self.plan.seed))
        evidence = world.restart(everyone)
        back = self._until(lambda: min(world.applied().values(), default=0) >= reached, self.plan.settle_ns)
        world.order_clients("read_back")
        read = self._until(self._nothing_in_flight, self.plan.settle_ns)
        evidence |= {"reached_slot": reached, "all_back": back, "read_back": read}
        self._record("end", -1, "power", self.names, evidence)

    def _stop(self) -> None:
        self.phase = "stop"
        self.world.order_clients("finish")
        self._note("network", (), self.world.network())
        self.world.stop_agents()

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _until(self, done: Callable[[], bool], bound_ns: int) -> bool:
        """Whether it came true within the bound."""
        until_ns = time.monotonic_ns() + bound_ns
        while not done():
            left_ns = until_ns - time.monotonic_ns()
            if left_ns <= 0:
                return False
            self._step(left_ns)
        return True

    def _step(self, longest_ns: int) -> None:
        """Listen for a moment; show progress; leave the phase if the user asked to."""
        self.world.listen(max(0.0, min(longest_ns / 1e9, STEP_S)))
        if self.interrupts.asked > self._interrupts_obeyed:
            raise _Interrupted
        now_ns = time.monotonic_ns()
        if self.progress is not None and now_ns >= self._progress_ns:
            self._progress_ns = now_ns + PROGRESS_NS
            self.progress(self._status())

    def _status(self) -> Status:
        views = self.world.agents()
        leader = self.world.leader()
        self.totals = self.world.client_totals() or self.totals
        return Status(
            self.phase,
            self.world.now_ns(),
            self.plan.duration_ns,
            self.totals,
            tuple(self.plan.faults[index].kind for index in self.conductor.active()),
            tuple(view.name for view in views if view.up),
            tuple(view.name for view in views if not view.up),
            None if leader is None else self.names[leader],
            self.interrupts.asked > 0,
        )

    def _all_clients_progressed(self) -> bool:
        totals = self.world.client_totals()
        if totals is None:
            return False
        spent = self.plan.workload.operations and totals["in_flight"] == 0
        return totals["progressed"] >= totals["clients"] or bool(spent)

    def _nothing_in_flight(self) -> bool:
        totals = self.world.client_totals()
        return totals is not None and totals["in_flight"] == 0

    def _converged(self) -> bool:
        return len(set(self.world.applied().values())) == 1

    # -- record -------------------------------------------------------------------------------------------------------

    def _record(self, edge: Any, fault: int, kind: str, targets: tuple[str, ...], evidence: Evidence) -> None:
        self.faults.write([FaultEvent(time.monotonic_ns(), edge, fault, kind, targets, evidence)])

    def _note(self, kind: str, names: tuple[str, ...], evidence: Evidence) -> None:
        """Something that no fault of the plan did; a full disk must not keep a run from stopping."""
        try:
            self._record("note", -1, kind, names, evidence)
        except OSError as error:
            self.errors.append(f"the record of faults cannot be written: {error}; free space where the runs are stored")


@contextmanager
def _data_directory(plan: Plan, directory: Path) -> Iterator[Path]:
    """Where the agents keep their logs: in the run directory, or in memory for as long as the run lasts."""
    if plan.disk.kind == "disk":
        yield directory / "data"
        return
    with memory_directory() as data:
        yield data
