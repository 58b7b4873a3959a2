"""Campaigns: many simulated schedules over many cores, failures kept and clustered.

Rules
* A task is a plan, or a strategy and a seed that make one. Plans, mutants and results travel as data, so the executor may
  be local processes or a Dask cluster: anything with the interface of ``concurrent.futures``.
* One row is kept for each run; whole run directories only for failures.
* A worker that dies or hangs is a finding with its plan, never lost: its batch is run again one plan at a time.
* What ran elsewhere must be this code: a batch carries the hash of ours, and a worker with another one refuses it. Planted
  bugs travel by id and hash, those of a file of one's own also by their text.
* One run in a hundred is run twice, in different workers. If their digests differ the harness is broken: exit code 70,
  naming the first event that differs. (With a planted bug of the user's own that bug draws on its own: exit code 2.)
"""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import itertools
import multiprocessing
import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from harness.checkers.situations import SITUATIONS
from harness.errors import HarnessFault, UserError
from harness.interrupt import held_back, let_through, stop_workers
from harness.results import EXIT_CODES, EXIT_INTERRUPTED, Verdict
from harness.simulated_run import write_simulated_run
from harness.store import environment, link_latest, new_run_directory, write_environment, write_plan
from harness.time_limit import Hang, time_limit
from nemesis.faults import target_class
from nemesis.plan import Plan
from nemesis.strategies import generate
from nemesis.strategies.frame import Frame

BATCH = 2
"""Schedules a worker runs before it reports: with more, workers stand idle at the end while the last one finishes its batch."""
RERUN_ONE_IN = 100
DIGEST_BYTES = 16
HANG_S = 60.0
"""A schedule that takes longer than this in real time hangs."""
WORKER_BYTES = 4 << 30
"""Address space of a worker. A schedule needs a few hundred MB; one that grows without bound must end, not the machine."""


class Task(msgspec.Struct, frozen=True):
    """One schedule: ``plan``, or what makes it."""

    strategy: str
    seed: int
    frame: Frame = Frame()
    plan: Plan | None = None

    def make_plan(self) -> Plan:
        return self.plan if self.plan is not None else generate(self.strategy, self.seed, self.frame)


class RunRow(msgspec.Struct, frozen=True, omit_defaults=True):
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
    cells: dict[str, int] = {}
    """``kind target`` -> how many faults of the plan; added up in campaign.json, not kept with each run."""
    situations: tuple[str, ...] = ()
    """Those that came up, of ``harness.checkers.situations``; counted in campaign.json, not kept with each run."""


class FailureCluster(msgspec.Struct):
    """Failures that broke the same rule."""

    rule: str
    count: int
    first: RunRow
    directory: str
    """Where the first of them is kept."""


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
    cells: dict[str, int] = {}
    """``kind target`` -> how many faults were planned."""
    situations: dict[str, int] = {}
    """Situation -> in how many of the runs it came up."""
    digest: str = ""
    """Of the digests of all runs, in whatever order they ended: the same schedules on the same code give it again."""
    unwritten: tuple[str, ...] = ()
    """What the disk did not take. The verdict stands all the same: it was found in memory."""

    @property
    def verdict(self) -> Verdict:
        """PASS only if all was run that was asked for, and that was not nothing."""
        if self.failures:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.interrupted or not self.runs else Verdict.PASS

    @property
    def exit_code(self) -> int:
        if self.interrupted and not self.failures:
            return EXIT_INTERRUPTED
        return EXIT_CODES[self.verdict]


def run_task(task: Task, hang_s: float = HANG_S) -> RunRow:
    """Run one schedule; whatever happens becomes a row. It hangs after ``hang_s`` seconds of real time."""
    from harness.worlds.simulated.world import simulate

    plan = task.make_plan()
    try:
        with time_limit(hang_s):
            run = simulate(plan)
    except Hang:
        return _row(task, plan, "harness/hang", f"the schedule did not end within {hang_s:g} s of real time")
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
        dict(Counter(f"{fault.kind} {target_class(fault)}" for fault in plan.faults)),
        run.situations,
    )


def run_batch(tasks: list[Task], hang_s: float = HANG_S, code: str = "") -> list[RunRow]:
    """What a worker does. ``code``: the hash that our own code must have (empty: any). Raises HarnessFault if it has another
    one."""
    if code and code != code_hash():
        raise HarnessFault(
            f"a worker in {Path(__file__).parent.parent} runs other code than this machine (hash {code_hash()[:12]}, not "
            f"{code[:12]}); install the same version there"
        )
    return [run_task(task, hang_s) for task in tasks]


def run_alone(
    task: Task,
    hang_s: float = HANG_S,
    code: str = "",
    *,
    make: Callable[[], Executor] | None = None,
) -> RunRow:
    """Run one schedule in an executor of its own (by default a process); that it dies or cannot be run becomes a row too."""
    executor = local_executor(1) if make is None else make()
    try:
        return executor.submit(run_batch, [task], hang_s, code).result()[0]
    except HarnessFault:
        raise
    except BrokenExecutor:
        return _lost(task, "the process that ran this schedule died")
    except (Exception, SystemExit) as error:
        return _lost(task, f"{type(error).__name__}: {error}")
    finally:
        executor.shutdown()


@functools.cache
def code_hash() -> str:
    """SHA-256 of the code that decides what a schedule does: ``paxos_impl``, ``nemesis`` and ``harness``."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for package in ("paxos_impl", "nemesis", "harness"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def notes_of(plan: Plan) -> list[Any]:
    """Everything that goes into a run's digest, in order."""
    from harness.worlds.simulated.world import SimulatedWorld

    world = SimulatedWorld(plan, keep_notes=True)
    world.run()
    assert world.notes is not None
    return world.notes


def must_be_steady(plan: Plan) -> None:
    """Two runs of this plan differed. Raises UserError if that is the doing of a planted bug of the user's own."""
    if plan.mutant is not None and ":" in plan.mutant.id:
        raise UserError(
            f"{plan.mutant.id} does not behave the same twice (strategy {plan.strategy}, seed {plan.seed}): draw by "
            "self.context.draw() (a client by self._draw()), read no clock, and keep no state in the class or the module"
        )


def first_difference(one: list[Any], other: list[Any]) -> str:
    """Where two runs part, in words."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return f"event {place}: {left!r} in one run, {right!r} in the other"
    return f"one run has {len(one)} events, the other {len(other)}; the first {min(len(one), len(other))} are equal"


class LocalExecutor(ProcessPoolExecutor):
    """Processes of this machine, forked when the first task is submitted: no interrupt is lost over that."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        with held_back():
            return super().submit(function, *args, **options)


def local_executor(jobs: int) -> Executor:
    """Fork: workers share the imported code, and the caller has no threads yet."""
    return LocalExecutor(
        jobs, mp_context=multiprocessing.get_context("fork"), initializer=_begin_worker, initargs=(os.getpid(),)
    )


Progress = Callable[["CampaignState"], None]


class CampaignState:
    """Live counts, for progress."""

    def __init__(self) -> None:
        self.started_s = time.monotonic()
        self.runs = self.events = self.commands = self.failures = self.reruns = 0
        self.by_rule: Counter[str] = Counter()
        self.by_strategy: Counter[str] = Counter()
        self.cells: Counter[str] = Counter()
        self.situations: Counter[str] = Counter(dict.fromkeys(SITUATIONS, 0))
        self.first: dict[str, tuple[Task, RunRow]] = {}
        """Rule -> the first run that broke it."""
        self._digests = 0

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self.started_s

    @property
    def digest(self) -> str:
        """A sum, so that the order in which the runs end does not matter."""
        return (self._digests % (1 << 8 * DIGEST_BYTES)).to_bytes(DIGEST_BYTES).hex()

    def add(self, task: Task, row: RunRow) -> None:
        self.runs += 1
        self.events += row.events
        self.commands += row.commands
        self.by_strategy[row.strategy] += 1
        self.cells.update(row.cells)
        self.situations.update(row.situations)
        one = f"{row.strategy}/{row.seed}/{row.digest}".encode()
        self._digests += int.from_bytes(hashlib.blake2b(one, digest_size=DIGEST_BYTES).digest())
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
    hang_s: float = HANG_S,
    make_executor: Callable[[], Executor] | None = None,
    progress: Progress | None = None,
) -> CampaignResult:
    """Run tasks until they end, ``seconds`` have passed or the user interrupts. ``jobs``: workers of the executor.

    Raises HarnessFault if a schedule that is run twice gives two digests, UserError if nothing can be written from the begin.
    """
    directory = new_run_directory(store, name, seed)
    try:
        write_environment(directory, environment())
        rows = _Rows(directory / "rows.jsonl")
    except OSError as error:
        raise UserError(f"cannot write to {directory}: {error.strerror}; choose another place with --store") from error
    make = make_executor or (lambda: local_executor(jobs))
    campaign = _Campaign(tasks, rows, make, jobs, seconds, hang_s, progress)
    try:
        campaign.run()
    finally:
        rows.close()
    state = campaign.state
    unwritten = list(rows.refused)
    clusters = _keep_failures(directory, state, unwritten)
    result = CampaignResult(
        state.runs,
        state.events,
        state.commands,
        state.failures,
        state.reruns,
        state.wall_s,
        campaign.interrupted,
        clusters,
        dict(state.by_strategy),
        str(directory),
        dict(state.cells),
        dict(state.situations),
        state.digest,
        tuple(unwritten),
    )
    try:
        (directory / "campaign.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2))
    except OSError as error:
        result.unwritten += (f"campaign.json: {error.strerror}",)
    link_latest(store / name, directory)
    return result


class _Rows:
    """The file of all rows. What the disk refuses is noted once and lost; the campaign goes on, for what it finds counts."""

    def __init__(self, path: Path) -> None:
        self.refused: list[str] = []
        self._file = path.open("wb", buffering=0)

    def write(self, row: RunRow) -> None:
        line = msgspec.json.encode(msgspec.structs.replace(row, cells={}, situations=())) + b"\n"
        try:
            if not self.refused and self._file.write(line) < len(line):
                self.refused.append("rows.jsonl: No space left on device")
        except OSError as error:
            self.refused.append(f"rows.jsonl: {error.strerror}")

    def close(self) -> None:
        self._file.close()


class _Campaign:
    """The loop: keeps the workers busy, collects rows, runs some twice, survives workers that die."""

    def __init__(
        self,
        tasks: Iterator[Task],
        rows: _Rows,
        make: Callable[[], Executor],
        jobs: int,
        seconds: float | None,
        hang_s: float,
        progress: Progress | None,
    ) -> None:
        self.state = CampaignState()
        self.interrupted = False
        self._tasks = tasks
        self._rows = rows
        self._make = make
        self._jobs = jobs
        self._seconds = seconds
        self._how = (hang_s, code_hash())
        self._progress = progress
        self._exhausted = False
        self._pending: dict[Future[list[RunRow]], list[Task]] = {}
        self._reruns: dict[Future[list[RunRow]], tuple[Task, str]] = {}

    def run(self) -> None:
        executor = self._make()
        try:
            while True:
                try:
                    self._submit(executor)
                    if not self._pending and not self._reruns:
                        return
                    self._collect(executor, 1.0)
                except BrokenExecutor:
                    executor.shutdown(wait=False)
                    self._after_death()
                    executor = self._make()
                if self._progress is not None:
                    self._progress(self.state)
        except KeyboardInterrupt:
            self.interrupted = True
            stop_workers(executor)
            self._collect_finished()
        finally:
            for future in [*self._pending, *self._reruns]:
                future.cancel()
            executor.shutdown(wait=not self.interrupted)

    def _submit(self, executor: Executor) -> None:
        over = self._seconds is not None and self.state.wall_s >= self._seconds
        while not self._exhausted and not over and len(self._pending) < 2 * self._jobs:
            batch = list(itertools.islice(self._tasks, BATCH))
            self._exhausted = len(batch) < BATCH
            if batch:
                self._pending[executor.submit(run_batch, batch, *self._how)] = batch

    def _collect(self, executor: Executor, timeout_s: float) -> None:
        """Take in what is finished. Raises BrokenExecutor, with nothing lost, if a worker died."""
        done, _ = concurrent.futures.wait(
            [*self._pending, *self._reruns], timeout_s, concurrent.futures.FIRST_COMPLETED
        )
        for future in done:
            error = future.exception()
            if isinstance(error, (BrokenExecutor, HarnessFault)):
                raise error
            if future in self._reruns:
                self._compare(*self._reruns.pop(future), future)
                continue
            batch = self._pending.pop(future)
            rows = self._one_by_one(batch) if error is not None else future.result()
            for task, row in zip(batch, rows, strict=True):
                self._add(task, row)
                if self.state.runs % RERUN_ONE_IN == 1 and not row.rule.startswith("harness/"):
                    self._reruns[executor.submit(run_batch, [task], *self._how)] = (task, row.digest)

    def _collect_finished(self) -> None:
        """After an interrupt: what is ready is kept, nothing is waited for."""
        for future, batch in list(self._pending.items()):
            if future.done() and not future.cancelled() and future.exception() is None:
                for task, row in zip(batch, future.result(), strict=True):
                    self._add(task, row)

    def _after_death(self) -> None:
        """A worker died, and with it the executor: nobody knows over which plan, so each that was under way is run alone."""
        pending, self._pending = self._pending, {}
        self._reruns = {}
        for future, batch in pending.items():
            whole = future.done() and not future.cancelled() and future.exception() is None
            rows = future.result() if whole else self._one_by_one(batch)
            for task, row in zip(batch, rows, strict=True):
                self._add(task, row)

    def _one_by_one(self, batch: list[Task]) -> list[RunRow]:
        """Each schedule with an executor of its own, to find the one over which a worker died or raised."""
        return [run_alone(task, *self._how, make=self._make) for task in batch]

    def _add(self, task: Task, row: RunRow) -> None:
        self.state.add(task, row)
        self._rows.write(row)

    def _compare(self, task: Task, digest: str, future: Future[list[RunRow]]) -> None:
        rows = self._one_by_one([task]) if future.exception() is not None else future.result()
        again = rows[0].digest
        self.state.reruns += 1
        if again != digest:
            plan = task.make_plan()
            must_be_steady(plan)
            where = first_difference(notes_of(plan), notes_of(plan))
            raise HarnessFault(
                f"strategy {task.strategy} seed {task.seed} gave digest {digest} and then {again}: the simulator is not "
                f"deterministic; {where}"
            )


def seeds(strategy: str, first: int, count: int | None, frame: Frame | None = None) -> Iterator[Task]:
    """Tasks of one strategy with consecutive seeds; ``count`` None: without end."""
    seed = first
    while count is None or seed < first + count:
        yield Task(strategy, seed, frame or Frame())
        seed += 1


def _keep_failures(directory: Path, state: CampaignState, unwritten: list[str]) -> list[FailureCluster]:
    """The first failure of each rule as a run directory; what the disk refuses is added to ``unwritten``."""
    clusters = []
    for rule, count in state.by_rule.most_common():
        task, row = state.first[rule]
        kept = directory / f"failure-{rule.replace('/', '-')}-{row.seed}"
        try:
            _keep(kept, task.make_plan(), row)
        except OSError as error:
            unwritten.append(f"{kept.name}: {error.strerror}")
        clusters.append(FailureCluster(rule, count, row, str(kept)))
    return clusters


def _keep(directory: Path, plan: Plan, row: RunRow) -> None:
    directory.mkdir()
    write_plan(directory, plan)
    if row.rule.startswith("harness/"):
        facts = {"world": "simulated", "rule": row.rule, "sentence": row.sentence}
        write_environment(directory, environment() | facts)
    else:
        write_simulated_run(plan, directory)


def _row(task: Task, plan: Plan, rule: str, sentence: str) -> RunRow:
    return RunRow(task.strategy, task.seed, rule, sentence, 0, 0, 0, "", plan.cluster.deployment, len(plan.faults))


def _lost(task: Task, why: str) -> RunRow:
    return _row(task, task.make_plan(), "harness/worker", why)


def _begin_worker(parent: int) -> None:
    """A worker dies with its campaign, however that ends, and leaves Ctrl-C to it; SIGTERM ends it, as an executor expects."""
    from paxos_impl.process.host import die_with_parent

    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    let_through()
    _, hardest = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (WORKER_BYTES, hardest))
