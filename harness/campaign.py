"""Campaigns: many simulated schedules over many cores, failures kept and clustered.

Rules
* A task is a plan, or a strategy and a seed that make one. Plans, mutants and results travel as data, so the executor may
  be local processes or a Dask cluster: anything with the interface of ``concurrent.futures``.
* One row is kept for each run; whole run directories only for failures.
* A worker that dies or hangs is a finding with its plan, never lost: its batch is run again one plan at a time.
* One run in a hundred is run twice, in different workers. If their digests differ the harness is broken: exit code 70,
  naming the first event that differs.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from harness.errors import HarnessFault
from harness.store import environment, new_run_directory, write_environment, write_plan, write_rows
from nemesis.plan import Plan, Plant
from nemesis.strategies import generate
from nemesis.strategies.frame import Frame

BATCH = 8
"""Schedules a worker runs before it reports."""
RERUN_ONE_IN = 100
HANG_S = 60.0
"""A schedule that takes longer than this in real time hangs."""


class Task(msgspec.Struct, frozen=True):
    """One schedule: ``plan``, or what makes it."""

    strategy: str
    seed: int
    deployment: str | None = None
    nodes: int | None = None
    mutant: Plant | None = None
    plan: Plan | None = None

    def make_plan(self) -> Plan:
        if self.plan is not None:
            return self.plan
        base = Plan(mutant=self.mutant)
        deployment: Any = self.deployment
        return generate(self.strategy, self.seed, Frame(base=base, deployment=deployment, nodes=self.nodes))


class RunRow(msgspec.Struct, frozen=True):
    """What is kept of each run."""

    strategy: str
    seed: int
    rule: str
    """Rule of the first violation; empty if none."""
    sentence: str
    violated_ns: int
    events: int
    commands: int
    digest: str
    deployment: str
    faults: int


class FailureCluster(msgspec.Struct):
    """Failures that broke the same rule."""

    rule: str
    count: int
    first: RunRow
    directory: str


class CampaignResult(msgspec.Struct):
    """A finished (or interrupted) campaign."""

    runs: int
    events: int
    commands: int
    failures: int
    reruns: int
    wall_s: float
    interrupted: bool
    clusters: list[FailureCluster]
    strategies: dict[str, int]
    directory: str

    @property
    def exit_code(self) -> int:
        if self.failures:
            return 1
        return 130 if self.interrupted else 0


class Hang(Exception):
    """A schedule did not end in time."""


def run_task(task: Task) -> RunRow:
    """Run one schedule; whatever happens becomes a row."""
    from harness.worlds.simulated.world import simulate

    plan = task.make_plan()
    previous = signal.signal(signal.SIGALRM, _on_alarm) if _can_alarm() else None
    try:
        if previous is not None:
            signal.setitimer(signal.ITIMER_REAL, HANG_S)
        run = simulate(plan)
    except Hang:
        return _row(task, plan, "harness/hang", f"the schedule did not end within {HANG_S:g} s of real time")
    finally:
        if previous is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
    first = run.violations[0] if run.violations else None
    return RunRow(
        plan.strategy or task.strategy,
        plan.seed,
        first.rule if first else "",
        first.sentence if first else "",
        first.time_ns if first else 0,
        run.steps,
        run.commands,
        run.digest,
        plan.cluster.deployment,
        len(plan.faults),
    )


def run_batch(tasks: list[Task]) -> list[RunRow]:
    return [run_task(task) for task in tasks]


def notes_of(plan: Plan) -> list[Any]:
    """Everything that goes into a run's digest, in order."""
    from harness.worlds.simulated.world import SimulatedWorld

    world = SimulatedWorld(plan, keep_notes=True)
    world.run()
    assert world.notes is not None
    return world.notes


def first_difference(one: list[Any], other: list[Any]) -> str:
    """Where two runs part, in words."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return f"event {place}: {left!r} in one run, {right!r} in the other"
    return f"one run has {len(one)} events, the other {len(other)}; the first {min(len(one), len(other))} are equal"


def local_executor(jobs: int) -> Executor:
    """Processes of this machine. Fork: workers share the imported code, and the caller has no threads yet."""
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork"), initializer=_ignore_interrupts)


def cluster_executor(address: str) -> Executor:
    """Workers of a Dask cluster; they need this package installed in the same version."""
    try:
        from distributed import Client
    except ImportError as error:
        from harness.errors import UserError

        raise UserError("--cluster needs Dask: pip install 'paxos-torture[cluster]'") from error
    executor: Executor = Client(address).get_executor()
    return executor


Progress = Callable[["CampaignState"], None]


class CampaignState:
    """Live counts, for progress."""

    def __init__(self) -> None:
        self.started_s = time.monotonic()
        self.runs = self.events = self.commands = self.failures = self.reruns = 0
        self.by_rule: Counter[str] = Counter()
        self.by_strategy: Counter[str] = Counter()
        self.first: dict[str, tuple[Task, RunRow]] = {}
        """Rule -> the first run that broke it."""

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self.started_s

    def add(self, task: Task, row: RunRow) -> None:
        self.runs += 1
        self.events += row.events
        self.commands += row.commands
        self.by_strategy[row.strategy] += 1
        if row.rule:
            self.failures += 1
            self.by_rule[row.rule] += 1
            self.first.setdefault(row.rule, (task, row))


def run_campaign(
    tasks: Iterator[Task],
    *,
    store: Path,
    name: str = "campaign",
    seed: int = 0,
    jobs: int = 2,
    seconds: float | None = None,
    make_executor: Callable[[], Executor] | None = None,
    progress: Progress | None = None,
) -> CampaignResult:
    """Run tasks until they end, ``seconds`` have passed or the user interrupts.

    Raises HarnessFault if a schedule that is run twice gives two digests.
    """
    directory = new_run_directory(store, name, seed)
    write_environment(directory, environment())
    make = make_executor or (lambda: local_executor(jobs))
    state = CampaignState()
    interrupted = False
    rows = (directory / "rows.jsonl").open("wb")
    executor = make()
    pending: dict[Future[list[RunRow]], list[Task]] = {}
    reruns: dict[Future[list[RunRow]], tuple[Task, str]] = {}
    try:
        exhausted = False
        while True:
            while not exhausted and len(pending) < 2 * jobs and not _over(state, seconds):
                batch = [task for _, task in zip(range(BATCH), tasks, strict=False)]
                exhausted = len(batch) < BATCH
                if batch:
                    pending[executor.submit(run_batch, batch)] = batch
            if not pending and not reruns:
                break
            done, _ = concurrent.futures.wait([*pending, *reruns], timeout=1.0, return_when="FIRST_COMPLETED")
            broken = False
            for future in done:
                if future in reruns:
                    task, digest = reruns.pop(future)
                    _compare(task, digest, future)
                    state.reruns += 1
                    continue
                batch = pending.pop(future)
                try:
                    finished = future.result()
                except BrokenProcessPool:
                    broken = True
                    finished = _one_by_one(batch)
                except Exception as error:
                    finished = [_lost(task, f"{type(error).__name__}: {error}") for task in batch]
                for task, row in zip(batch, finished, strict=True):
                    state.add(task, row)
                    rows.write(msgspec.json.encode(row) + b"\n")
                    if state.runs % RERUN_ONE_IN == 1 and not row.rule.startswith("harness/") and not broken:
                        reruns[executor.submit(run_batch, [task])] = (task, row.digest)
            if broken:
                executor.shutdown(wait=False, cancel_futures=True)
                executor = make()
                for batch in pending.values():
                    for task, row in zip(batch, _one_by_one(batch), strict=True):
                        state.add(task, row)
                        rows.write(msgspec.json.encode(row) + b"\n")
                pending.clear()
                reruns.clear()
            if progress is not None:
                progress(state)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        rows.close()
        executor.shutdown(wait=not interrupted, cancel_futures=True)
    clusters = _keep_failures(directory, state)
    result = CampaignResult(
        state.runs,
        state.events,
        state.commands,
        state.failures,
        state.reruns,
        state.wall_s,
        interrupted,
        clusters,
        dict(state.by_strategy),
        str(directory),
    )
    (directory / "campaign.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2))
    return result


def write_simulated_run(plan: Plan, directory: Path, *, world: str = "simulated") -> None:
    """Run a plan once more with everything recorded, and judge it from the run directory."""
    from harness.results import write_results
    from harness.verdict import assemble
    from harness.worlds.simulated.world import simulate

    run = simulate(plan, record=True)
    assert run.recording is not None
    write_plan(directory, plan)
    rule = run.violations[0].rule if run.violations else ""
    facts = environment() | {"digest": run.digest, "rule": rule, "world": world}
    write_environment(directory, facts)
    write_rows(directory, run.recording.history, run.recording.faults, run.recording.events)
    results = assemble(
        directory,
        plan,
        world=world,
        interrupted=False,
        reproduce=f"torture replay {directory / 'plan.json'}",
        environment=facts,
    )
    write_results(directory, results)


def seeds(strategy: str, first: int, count: int | None, **fields: Any) -> Iterator[Task]:
    """Tasks of one strategy with consecutive seeds; ``count`` None: without end."""
    seed = first
    while count is None or seed < first + count:
        yield Task(strategy, seed, **fields)
        seed += 1


def _keep_failures(directory: Path, state: CampaignState) -> list[FailureCluster]:
    clusters = []
    for rule, count in state.by_rule.most_common():
        task, row = state.first[rule]
        kept = directory / f"failure-{rule.replace('/', '-')}-{row.seed}"
        kept.mkdir()
        plan = task.make_plan()
        write_plan(kept, plan)
        if not rule.startswith("harness/"):
            write_simulated_run(plan, kept)
        clusters.append(FailureCluster(rule, count, row, str(kept)))
    return clusters


def _row(task: Task, plan: Plan, rule: str, sentence: str) -> RunRow:
    return RunRow(task.strategy, task.seed, rule, sentence, 0, 0, 0, "", plan.cluster.deployment, len(plan.faults))


def _lost(task: Task, why: str) -> RunRow:
    return _row(task, task.make_plan(), "harness/worker", why)


def _one_by_one(batch: list[Task]) -> list[RunRow]:
    """A worker died over this batch: find out which plan did it, each in a process of its own."""
    rows = []
    for task in batch:
        with local_executor(1) as alone:
            try:
                rows.extend(alone.submit(run_batch, [task]).result())
            except BrokenProcessPool:
                rows.append(_lost(task, "the process that ran this schedule died"))
    return rows


def _compare(task: Task, digest: str, future: Future[list[RunRow]]) -> None:
    again = future.result()[0].digest
    if again != digest:
        plan = task.make_plan()
        where = first_difference(notes_of(plan), notes_of(plan))
        raise HarnessFault(
            f"strategy {task.strategy} seed {task.seed} gave digest {digest} and then {again}: the simulator is not "
            f"deterministic; {where}"
        )


def _over(state: CampaignState, seconds: float | None) -> bool:
    return seconds is not None and state.wall_s >= seconds


def _can_alarm() -> bool:
    return threading.current_thread() is threading.main_thread()


def _on_alarm(signum: int, frame: FrameType | None) -> None:
    raise Hang


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
