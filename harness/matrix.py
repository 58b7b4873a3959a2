"""The kill matrix: how many schedules each planted bug survives, by strategy, and which oracle kills it.

Rules
* A *trial* runs schedules of one strategy, with consecutive seeds, on the code with one mutant, until one violates a rule
  or the budget is spent.
* A *kill* counts only if the same plan passes on the unmodified code. If it does not, that is a finding about the
  unmodified code: it is reported with its seed, and the trial goes on.
* Nor is it one if the plan, run again, does not break the same rule in the same number of events: the bug does not behave the
  same twice, no figure of it can be repeated, and its trial ends without one.
* Equivalent mutants must survive. A schedule that hangs is a kill by ``harness/hang``.
* *Client view*: the killing plan is run to its end, and the history alone is judged, with no help from traces or logs.
* The search deepens: first every trial runs a few schedules, then those that survived run on, up to ten times as many, and so
  to the whole budget. Most bugs die soon, and none waits for a hard one. A trial run so is the trial run in one piece.
* What is reached of a trial is appended to a state file after each round, so that an interrupted matrix goes on where it
  stopped. It counts only for the same source of its mutant, in whatever file that stands; and a survivor goes on only with
  the code that it survived: with other code it begins anew.
* Of what survives it is told how often its own code was called: what no schedule reaches was not tried.
"""

from __future__ import annotations

import concurrent.futures
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec.structs import replace

from harness.campaign import code_hash, local_executor
from harness.errors import HarnessFault, UserError
from harness.interrupt import stop_workers
from harness.override_calls import MethodCalls, counting, sentence, total
from harness.results import EXIT_INTERRUPTED, Violation
from harness.state_file import append
from harness.time_limit import Hang, time_limit
from nemesis.plan import Plan
from nemesis.strategies import generate
from nemesis.strategies.frame import Frame
from paxos_impl.mutants.registry import DEPLOYMENTS, Mutant, MutantError, all_mutants, find, hash_of, plant
from paxos_impl.mutants.waiting import PAIRS
from paxos_impl.parts import CORRECT, Parts

PORTFOLIO_BASES = 20
SINGLE_BASES = 5
BUDGET = 5000
"""Schedules a trial runs at most; every planted bug must die within."""
FIRST_ROUND = 20
"""Schedules of each trial before any runs more."""
DEEPER = 10
"""Times as many after the next round."""
HANG_S = 60.0
SEEDS_APART = 1_000_000
"""Between the first seeds of two trials."""


class Trial(msgspec.Struct, frozen=True):
    """One search. ``base``: number of the trial; its seeds are ``base * SEEDS_APART`` and up."""

    mutant: str
    source_hash: str
    strategy: str
    base: int
    budget: int
    """Schedules asked for; of a survivor: that it ran."""
    killed: bool
    schedules: int
    """Run, the killing one included."""
    events: int
    rule: str = ""
    sentence: str = ""
    seed: int = -1
    drawn: str = ""
    """Strategy that made the killing plan (the portfolio draws one)."""
    client_rule: str = ""
    """What the history alone shows of the killing run; empty: nothing."""
    clean_violations: tuple[tuple[int, str], ...] = ()
    """(seed, rule) of plans that the unmodified code did not pass."""
    code: str = ""
    """Of the code that ran it: protocol, strategies, oracles (``campaign.code_hash``, shortened); empty: not told."""
    calls: tuple[MethodCalls, ...] = ()
    """Of the methods that the mutant overrides; empty: not told."""
    unsteady: str = ""
    """How what killed it ended, and how when it was run again, if otherwise; empty: the same."""

    @property
    def over(self) -> bool:
        """Whether a larger budget tells nothing more."""
        return self.killed or bool(self.unsteady)

    @property
    def label(self) -> str:
        return f"{self.mutant}/{self.strategy} base {self.base}"


class Task(msgspec.Struct, frozen=True):
    """A trial to run. ``mutant`` empty: the unmodified code."""

    mutant: str
    strategy: str
    base: int
    budget: int
    skip: int = 0
    """Seeds left out, because they were run before."""


class MatrixRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the trials of one mutant and strategy came to."""

    mutant: str
    strategy: str
    trials: int
    killed: int
    schedules_mean: float
    """Schedules run by kills (all trials): the estimate of the mean that survivors, too, count in."""
    schedules_median: float | None
    """None, here and below: that trial outlived its budget, or what it has run of it so far."""
    schedules_p95: float | None
    events_median: float | None
    events_p95: float | None
    rules: dict[str, int]
    """Rule that fired first -> trials."""
    seen_by_clients: int
    """Kills of which the history alone tells."""
    most_schedules: int
    calls: tuple[MethodCalls, ...] = ()
    """In the trials that it survived."""
    unfinished: int = 0
    """Trials that have neither killed it nor reached their budget: it survives so far."""
    codes: tuple[str, ...] = ()
    """Versions of the code that the trials were run with."""


class MatrixResult(msgspec.Struct, frozen=True):
    trials: tuple[Trial, ...]
    """Ended: by a kill or with their budget."""
    rows: tuple[MatrixRow, ...]
    survivors: tuple[str, ...]
    """Of real bugs that outlived a trial of the portfolio, or of the only strategies asked for: ``mutant/strategy base``, and
    how often their own code was called."""
    killed_equivalents: tuple[str, ...]
    clean_violations: tuple[tuple[str, int, str], ...]
    """(strategy, seed, rule) of the unmodified code."""
    interrupted: bool = False
    planned: int = 0
    """Trials asked for."""
    known: int = 0
    """Trials that had ended before, by the state file."""
    unfinished: tuple[str, ...] = ()
    """Trials that an interrupt left between two rounds: ``mutant/strategy base``, and what they survived so far."""
    unsteady: tuple[str, ...] = ()
    """Trials that count nowhere, since their bug does not behave the same twice: ``mutant/strategy base``, and what it did."""

    @property
    def exit_code(self) -> int:
        """0: as it should be. 1: a survivor, or a kill of an equivalent mutant or of the unmodified code. 3: cannot tell, also
        of a bug that does not behave the same twice. 130: interrupted."""
        if self.survivors or self.killed_equivalents or self.clean_violations:
            return 1
        if self.interrupted:
            return EXIT_INTERRUPTED
        return 0 if self.trials and not self.unsteady else 3


class Round(msgspec.Struct, frozen=True):
    """One round of a search that deepens."""

    number: int
    of: int
    up_to: int
    """Schedules of a trial, those of earlier rounds included."""
    trials: int
    """That run in it."""
    most: int
    """Schedules that all of them together run in it if none is killed."""
    before: int
    """Schedules that were run in earlier rounds, by this process and its workers."""


Progress = Callable[[Trial, int, int], None]
"""(trial that was killed or survived the round, trials ended, trials in all)"""
OnRound = Callable[[Round], None]
"""Called at the begin of a round."""


# -- one trial --------------------------------------------------------------------------------------------------------


def plan_of(strategy: str, seed: int, deployments: tuple[str, ...]) -> Plan:
    """The plan a trial runs for that seed; a mutant that lives in one deployment only fixes it."""
    deployment: Any = deployments[0] if len(deployments) == 1 else None
    return generate(strategy, seed, Frame(deployment=deployment))


def run_trial(task: Task) -> Trial:
    """Search until a kill or the end of the budget."""
    mutants = find(task.mutant) if task.mutant else []
    parts = plant(mutants)
    deployments = common_deployments(mutants)
    source_hash = hash_of(mutants) if mutants else ""
    code = short_code()
    events = 0
    unclean: list[tuple[int, str]] = []
    first = task.base * SEEDS_APART + task.skip
    with counting(mutants) as counter:
        for seed in range(first, first + task.budget):
            plan = plan_of(task.strategy, seed, deployments)
            found, steps = first_violation(plan, parts)
            counter.end_schedule()
            events += steps
            if found is None:
                continue
            if mutants:
                same, _ = first_violation(plan, CORRECT)
                if same is not None:
                    unclean.append((seed, same.rule))
                    continue
            calls = counter.result()
            unsteady = _second_run(plan, parts, found, steps) if mutants else ""
            if unsteady:
                return Trial(
                    task.mutant, source_hash, task.strategy, task.base, task.budget, False, seed - first + 1, events,
                    clean_violations=tuple(unclean), code=code, calls=calls, unsteady=unsteady,
                )  # fmt: skip
            # What the schedule does not come to the end of, it does not in the clients' view either.
            client_rule = client_view(plan, parts) if mutants and not found.rule.startswith("harness/") else ""
            return Trial(
                task.mutant, source_hash, task.strategy, task.base, task.budget, True, seed - first + 1, events, found.rule,
                found.sentence, seed, plan.strategy, client_rule, tuple(unclean), code, calls,
            )  # fmt: skip
        return Trial(
            task.mutant, source_hash, task.strategy, task.base, task.budget, False, task.budget, events,
            clean_violations=tuple(unclean), code=code, calls=counter.result(),
        )  # fmt: skip


def _second_run(plan: Plan, parts: Parts, found: Violation, steps: int) -> str:
    """How the plan ended and how it ends now, if that is not the same; of a hang it is not asked, which ends with the clock."""
    if found.rule == "harness/hang":
        return ""
    again, steps_again = first_violation(plan, parts)
    if again is not None and (again.rule, steps_again) == (found.rule, steps):
        return ""
    now = "nothing" if again is None else again.rule
    return (
        f"seed {plan.seed} broke {found.rule} in {steps:,} events, and when it was run again {now} in {steps_again:,}"
    )


def short_code() -> str:
    """Tells versions of the code apart."""
    return code_hash()[:12]


def common_deployments(mutants: Sequence[Mutant]) -> tuple[str, ...]:
    """Deployments in which all of them live."""
    common = tuple(name for name in DEPLOYMENTS if all(name in one.deployments for one in mutants))
    if not common:
        raise MutantError(f"{'+'.join(one.id for one in mutants)}: no deployment has a place for all of them")
    return common


def first_violation(plan: Plan, parts: Parts, *, as_recorded: bool = False) -> tuple[Violation | None, int]:
    """What goes wrong first when the plan is run, and the events until then; ``as_recorded``: that a record would show."""
    from harness.worlds.simulated.world import SimulatedWorld

    world = None
    try:
        with time_limit(HANG_S):
            world = SimulatedWorld(plan, parts=parts, stop_at_first=True, as_recorded=as_recorded)
            run = world.run()
    except Hang:
        found = Violation("harness/hang", f"the schedule did not end within {HANG_S:g} s of real time")
    except (Exception, SystemExit) as error:
        if parts is CORRECT or isinstance(error, HarnessFault):
            raise
        found = Violation("harness/raised", f"the schedule cannot be run: {type(error).__name__}: {error}")
    else:
        return (run.violations[0] if run.violations else None), run.steps
    return found, 0 if world is None else world.steps


def client_view(plan: Plan, parts: Parts) -> str:
    """The rule that the clients' history alone shows to be broken when the plan is run to its end; empty: none, or the bug
    lets the run not come to its end."""
    from harness.checkers.case import pair
    from harness.checkers.linearizability.check import check
    from harness.checkers.linearizability.models import KeyValue
    from harness.checkers.linearizable import to_history
    from harness.worlds.simulated.world import SimulatedWorld

    try:
        with time_limit(HANG_S):
            world = SimulatedWorld(plan, parts=parts)
            run = world.run()
            calls, _ = pair(world.history)
            judged = check(to_history(calls.values()), KeyValue(), steps=200_000)
    except HarnessFault:
        raise
    except (Exception, SystemExit, Hang):
        return ""
    if judged.legal is False:
        return f"linearizability/{judged.rule or 'illegal'}"
    return next((one.rule for one in run.violations if one.rule == "liveness/no-progress"), "")


# -- many trials ------------------------------------------------------------------------------------------------------


def tasks_for(
    ids: Iterable[str] | None, strategies: Sequence[str], budget: int, bases: int | None, equivalent_budget: int
) -> list[Task]:
    """All trials of a matrix, the first base of every mutant before the second. ``ids`` None: all mutants and pairs. No budget
    is larger than ``budget``."""
    known = all_mutants()
    names = list(ids) if ids is not None else [*known, *(pair.ids for pair in PAIRS)]
    counts = {name: bases or (PORTFOLIO_BASES if name == "portfolio" else SINGLE_BASES) for name in strategies}
    tasks = []
    for base in range(max(counts.values(), default=0)):
        for strategy in strategies:
            for name in names:
                harmless = is_equivalent(find(name))
                if base < (min(counts[strategy], 2) if harmless else counts[strategy]):
                    most = min(equivalent_budget, budget) if harmless else budget
                    tasks.append(Task(name, strategy, base, most))
    return tasks


def is_equivalent(mutants: Sequence[Mutant]) -> bool:
    """A single equivalent mutant must survive; a pair is meant to bite."""
    return len(mutants) == 1 and bool(mutants[0].equivalent)


def run_matrix(
    ids: Iterable[str] | None = None,
    strategies: Sequence[str] = ("portfolio",),
    budget: int = BUDGET,
    *,
    jobs: int = 1,
    bases: int | None = None,
    equivalent_budget: int = 200,
    state: Path | None = None,
    progress: Progress | None = None,
    on_round: OnRound | None = None,
    make_executor: Callable[[int], Executor] | None = None,
) -> MatrixResult:
    """Run all trials that ``state`` does not hold yet, and summarise.

    ``ids``: as in the registry, ``A+B`` for pairs, ``FILE.py:ID`` for one's own. ``bases``: trials for each mutant and
    strategy (default: 20 for the portfolio, 5 for any other). Raises UserError if an id is unknown.
    """
    try:
        tasks = tasks_for(ids, strategies, budget, bases, equivalent_budget)
    except MutantError as error:
        raise UserError(str(error)) from error
    levels = round_levels(max((task.budget for task in tasks), default=0))
    return run_tasks(
        tasks, levels, jobs=jobs, state=state, progress=progress, on_round=on_round, make_executor=make_executor
    )


def round_levels(budget: int) -> list[int]:
    """How many schedules of each trial are run after the first round, the second, and so on; the last is the budget, and at
    least three times the one before."""
    levels = []
    level = FIRST_ROUND
    while 3 * level <= budget:
        levels.append(level)
        level *= DEEPER
    return [*levels, budget]


def run_tasks(
    tasks: Sequence[Task],
    levels: Sequence[int] = (),
    *,
    jobs: int = 1,
    state: Path | None = None,
    progress: Progress | None = None,
    on_round: OnRound | None = None,
    make_executor: Callable[[int], Executor] | None = None,
) -> MatrixResult:
    """Run tasks, each from its first seed, in rounds that end after so many schedules (``levels``; empty: in one piece).

    An interrupt ends it; what was reached before the round that was under way stands in ``state``.
    """
    search = _Search(tasks, state, progress)
    known = len(search.ended)
    interrupted = False
    levels = levels or [max((task.budget for task in tasks), default=0)]
    try:
        for number, up_to in enumerate(levels, 1):
            parts = search.parts(up_to)
            if not parts:
                continue
            if on_round is not None:
                most = sum(part.budget for part in parts)
                on_round(Round(number, len(levels), up_to, len(parts), most, search.schedules))
            if jobs <= 1 and make_executor is None:
                for part in parts:
                    search.add(part, run_trial(part))
            else:
                make = make_executor or local_executor
                for part in _in_processes(list(parts), jobs, make, search.add):
                    search.add(part, run_trial_apart(part, make))
    except KeyboardInterrupt:
        interrupted = True
    result = summarise(search.in_order(search.ended), interrupted, search.in_order(search.reached))
    return replace(result, planned=len(search.tasks), known=known)


class _Search:
    """What is known of each task: the trial, or what was reached of it so far."""

    def __init__(self, tasks: Sequence[Task], state: Path | None, progress: Progress | None) -> None:
        self.tasks = tuple(dict.fromkeys(tasks))
        self.ended: dict[Task, Trial] = {}
        self.reached: dict[Task, Trial] = {}
        """Survived, and go on."""
        self.schedules = 0
        """Run by us."""
        self._state = state
        self._progress = progress
        self._whole: dict[Task, Task] = {}
        """Part under way -> the task that it is a part of."""
        recorded = {_key(trial): trial for trial in read_trials(state)} if state is not None else {}
        hashes = {task.mutant: hash_of(find(task.mutant)) if task.mutant else "" for task in self.tasks}
        for task in self.tasks:
            found = recorded.get((bare(task.mutant), hashes[task.mutant], task.strategy, task.base))
            if found is None:
                continue
            found = replace(found, mutant=task.mutant)
            if found.over or found.budget >= task.budget:
                self.ended[task] = found
            elif found.code == short_code():
                self.reached[task] = found

    def parts(self, up_to: int) -> Sequence[Task]:
        """What is to be run so that each task ends or reaches so many schedules."""
        self._whole = {}
        for task in self.tasks:
            begin = self.reached[task].schedules if task in self.reached else 0
            end = min(up_to, task.budget)
            if task not in self.ended and begin < end:
                self._whole[replace(task, skip=begin, budget=end - begin)] = task
        return tuple(self._whole)

    def add(self, part: Task, trial: Trial) -> None:
        """Take in the result of a part."""
        task = self._whole[part]
        self.schedules += trial.schedules
        before = [self.reached[task]] if task in self.reached else []
        trial = joined([*before, trial], task.budget if trial.over else part.skip + part.budget)
        if self._state is not None:
            append(self._state, trial)
        if trial.over or trial.budget == task.budget:
            self.ended[task] = trial
            self.reached.pop(task, None)
        else:
            self.reached[task] = trial
        if self._progress is not None:
            self._progress(trial, len(self.ended), len(self.tasks))

    def in_order(self, trials: dict[Task, Trial]) -> list[Trial]:
        """As the tasks were given, in whatever order they ended."""
        return [trials[task] for task in self.tasks if task in trials]


def joined(parts: Sequence[Trial], budget: int) -> Trial:
    """The trial whose parts these are, one after the other; all but the last were survived."""
    return replace(
        parts[-1],
        budget=budget,
        schedules=sum(part.schedules for part in parts),
        events=sum(part.events for part in parts),
        clean_violations=tuple(unclean for part in parts for unclean in part.clean_violations),
        calls=total(part.calls for part in parts),
    )


def _in_processes(
    tasks: Sequence[Task], jobs: int, make: Callable[[int], Executor], add: Callable[[Task, Trial], None]
) -> list[Task]:
    """Run the tasks; returns those that were under way when a worker died. One of them killed it, nobody knows which. What one
    raises is raised when the others have ended."""
    lost = []
    raised: Exception | None = None
    with make(jobs) as executor:
        futures: dict[Future[Trial], Task] = {}
        try:
            for task in tasks:
                futures[executor.submit(run_trial, task)] = task
            for future in concurrent.futures.as_completed(list(futures)):
                task = futures.pop(future)
                try:
                    trial = future.result()
                except BrokenExecutor:
                    lost.append(task)
                except Exception as error:
                    raised = raised or error
                else:
                    add(task, trial)
        except KeyboardInterrupt:
            stop_workers(executor)
            for future, task in futures.items():
                if future.done() and not future.cancelled() and future.exception() is None:
                    add(task, future.result())
            raise
    if raised is not None:
        raise raised
    return lost


def run_trial_apart(task: Task, make: Callable[[int], Executor]) -> Trial:
    """As ``run_trial``, each schedule in a process of its own; the death of one is a kill."""
    parts: list[Trial] = []
    for skip in range(task.skip, task.skip + task.budget):
        with make(1) as executor:
            try:
                trial = executor.submit(run_trial, replace(task, skip=skip, budget=1)).result()
            except BrokenExecutor:
                seed = task.base * SEEDS_APART + skip
                hash_ = hash_of(find(task.mutant)) if task.mutant else ""
                trial = Trial(
                    task.mutant, hash_, task.strategy, task.base, 1, True, 1, 0, "harness/worker",
                    "the process that ran this schedule died", seed, code=short_code(),
                )  # fmt: skip
            except KeyboardInterrupt:
                stop_workers(executor)
                raise
        parts.append(trial)
        if trial.over:
            break
    return joined(parts, task.budget)


def bare(mutant: str) -> str:
    """Its ids without the files they stand in: those may move."""
    return "+".join(part.rpartition(":")[2] for part in mutant.split("+"))


def _key(trial: Trial) -> tuple[str, str, str, int]:
    return bare(trial.mutant), trial.source_hash, trial.strategy, trial.base


def read_trials(state: Path) -> list[Trial]:
    """The trials of a state file; the last one of a key counts. A line torn at the end is left out."""
    if not state.exists():
        return []
    trials: dict[tuple[str, str, str, int], Trial] = {}
    lines = state.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            trial = msgspec.json.decode(line, type=Trial)
        except msgspec.DecodeError as error:
            if number == len(lines):
                break
            raise UserError(f"{state}, line {number} is no trial ({error}); remove the line, or the file") from error
        trials[_key(trial)] = trial
    return list(trials.values())


# -- what it comes to -------------------------------------------------------------------------------------------------


def summarise(trials: Sequence[Trial], interrupted: bool = False, unfinished: Sequence[Trial] = ()) -> MatrixResult:
    """``unfinished``: survivors that have not reached their budget; they are no survivors of it."""
    grouped: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    steady = [trial for trial in trials if not trial.unsteady]
    for trial in (*steady, *unfinished):
        if trial.mutant:
            grouped[trial.mutant, trial.strategy].append(trial)
    judged = {trial.strategy for trial in (*trials, *unfinished)}
    judged = {"portfolio"} if "portfolio" in judged else judged
    survivors, killed_equivalents = [], []
    harmless = {name: is_equivalent(find(name)) for name, _ in grouped}
    for trial in steady:
        if trial.mutant and harmless[trial.mutant]:
            if trial.killed:
                killed_equivalents.append(f"{trial.label}: {trial.rule} at seed {trial.seed}")
        elif trial.mutant and not trial.killed and trial.strategy in judged:
            survivors.append(trial.label + (f": {sentence(trial.calls)}" if trial.calls else ""))
    so_far = [
        f"{one.label}: survived so far {sentence(one.calls) or f'{one.schedules} schedules'}" for one in unfinished
    ]
    clean = [(one.strategy, seed, rule) for one in (*trials, *unfinished) for seed, rule in one.clean_violations]
    clean += [(trial.strategy, trial.seed, trial.rule) for trial in trials if not trial.mutant and trial.killed]
    short = Counter((trial.mutant, trial.strategy) for trial in unfinished)
    rows = tuple(_row(name, strategy, many, short[name, strategy]) for (name, strategy), many in grouped.items())
    return MatrixResult(
        tuple(trials), rows, tuple(survivors), tuple(killed_equivalents), tuple(dict.fromkeys(clean)), interrupted,
        unfinished=tuple(so_far), unsteady=tuple(f"{one.label}: {one.unsteady}" for one in trials if one.unsteady),
    )  # fmt: skip


def _row(name: str, strategy: str, trials: list[Trial], unfinished: int) -> MatrixRow:
    kills = [trial for trial in trials if trial.killed]
    schedules = [float(trial.schedules) if trial.killed else math.inf for trial in trials]
    events = [float(trial.events) if trial.killed else math.inf for trial in trials]
    return MatrixRow(
        name,
        strategy,
        len(trials),
        len(kills),
        sum(trial.schedules for trial in trials) / max(1, len(kills)),
        _finite(median(schedules)),
        _finite(_p95(schedules)),
        _finite(median(events)),
        _finite(_p95(events)),
        dict(Counter(trial.rule for trial in kills).most_common()),
        sum(bool(trial.client_rule) for trial in kills),
        max(trial.schedules for trial in trials),
        total(trial.calls for trial in trials if not trial.killed),
        unfinished,
        versions(trials),
    )


def versions(trials: Iterable[Trial]) -> tuple[str, ...]:
    """Of the code that ran the trials, each once."""
    return tuple(sorted({trial.code for trial in trials if trial.mutant}))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _p95(values: list[float]) -> float:
    """The smallest value that 95 % do not exceed."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]
