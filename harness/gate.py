"""The regression gate's work: its plans, its baseline, and the simulated runs between them. ``reports.gate`` decides.

Rules
* Plans are stored (``baseline/plans.jsonl``), one a line: drawn once, they stay the same when strategies change. What a line
  leaves out (above all the timing) is the default of the code that runs it: a changed default is a changed behaviour.
* A plan is run with several *salts*: its random streams drawn anew, its faults as they are. Any change of order shifts all
  that is drawn afterwards, so re-salted runs of one code are what "no change" looks like.
* The baseline (``baseline/metrics.json``) holds the figures of each plan over the first ``SALTS`` salts, and the hash of the
  plans. The gate runs the same salts again: code that behaves the same gives the very same figures.
* Every run is judged by all oracles. A violation is final: nothing is tried again.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import msgspec

from harness.campaign import local_executor
from harness.errors import HarnessFault, UserError
from harness.figures import Figures, pooled
from harness.interrupt import stop_workers
from harness.measure import Measured, measure
from harness.simulated_run import write_simulated_run
from harness.store import new_run_directory, write_plan
from nemesis.plan import Plan, Plant, decode_plan
from nemesis.strategies import generate
from reports.gate import Broken, Comparison, GateResult, compare_virtual

SCHEMA_VERSION = 1
HERE = Path(__file__).parent / "baseline"
PLANS = HERE / "plans.jsonl"
BASELINE = HERE / "metrics.json"
SALTS = 3
SALTS_APART = 1_000_000
"""Between the seeds of two salts of one plan; seeds of plans are smaller."""
FAMILIES = (("takeover", 140), ("jepsen", 60), ("portfolio", 40))
"""Strategy -> how many of the stored plans it drew. Mostly faults with time to recover from; some of every kind."""
FIRST_SEED = 500_000
"""Seeds that no campaign of CI uses."""
KEPT_AT_MOST = 5
"""Run directories of runs that broke a rule."""

Progress = Callable[[int, int], None]
"""(runs finished, runs in all)"""


class Baseline(msgspec.Struct, frozen=True):
    """What the gate compares with."""

    schema_version: int
    plans_hash: str
    salts: int
    figures: tuple[Figures, ...]
    """Of each plan, in the order of the plans' file."""


class Measurement(msgspec.Struct, frozen=True):
    """Every plan run with every salt."""

    runs: tuple[tuple[Measured, ...], ...]
    """By plan, then by salt. Shorter if interrupted."""
    interrupted: bool = False

    @property
    def figures(self) -> list[Figures]:
        return [pooled([one.figures for one in many]) for many in self.runs]


# -- plans ------------------------------------------------------------------------------------------------------------


def draw_plans() -> list[Plan]:
    """The plans to store. The same each time for the same strategies."""
    return [generate(strategy, FIRST_SEED + number) for strategy, count in FAMILIES for number in range(count)]


def write_plans(plans: Sequence[Plan], path: Path) -> None:
    """One line each; what is as the default says is left out."""
    default = msgspec.to_builtins(Plan())
    lines = [msgspec.json.encode(_beyond(default, msgspec.to_builtins(plan))) for plan in plans]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(lines) + b"\n")


def _beyond(default: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What differs from the default, parts of records too (a mix has no defaults of its own)."""
    kept = {}
    for name, value in given.items():
        if name not in default or value != default[name]:
            nested = isinstance(value, dict) and isinstance(default.get(name), dict) and name != "mix"
            kept[name] = _beyond(default[name], value) if nested else value
    return kept


def read_plans(path: Path) -> list[Plan]:
    """Raises UserError if there is no such file, PlanError if a line is no plan."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); `torture gate --draw-plans` makes it") from error
    if not lines:
        raise UserError(f"{path} holds no plan; `torture gate --draw-plans` makes it")
    return [decode_plan(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]


def hash_of_plans(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def salted(plan: Plan, salt: int) -> Plan:
    """The same plan with other random streams."""
    return msgspec.structs.replace(plan, seed=plan.seed + salt * SALTS_APART)


# -- baseline ---------------------------------------------------------------------------------------------------------


def write_baseline(path: Path, plans_hash: str, salts: int, figures: Sequence[Figures]) -> None:
    head = msgspec.json.encode({"schema_version": SCHEMA_VERSION, "plans_hash": plans_hash, "salts": salts})
    rows = b",\n".join(msgspec.json.encode(one) for one in figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head[:-1] + b',"figures":[\n' + rows + b"\n]}\n")


def read_baseline(path: Path) -> Baseline:
    """Raises UserError if there is none."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Baseline)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); `make baseline` writes it") from error
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is no baseline ({error}); write it again with `make baseline`") from error
    if found.schema_version != SCHEMA_VERSION:
        raise UserError(f"{path} is a baseline of version {found.schema_version}; write it again with `make baseline`")
    return found


# -- runs -------------------------------------------------------------------------------------------------------------


def run_plan(plan: Plan, salts: tuple[int, ...]) -> tuple[Measured, ...]:
    """What a worker does."""
    return tuple(measure(salted(plan, salt)) for salt in salts)


def measure_all(
    plans: Sequence[Plan], salts: Sequence[int], *, jobs: int = 1, progress: Progress | None = None
) -> Measurement:
    """Run every plan with every salt. Raises HarnessFault if a worker dies."""
    done: dict[int, tuple[Measured, ...]] = {}
    interrupted = False

    def finish(place: int, many: tuple[Measured, ...]) -> None:
        done[place] = many
        if progress is not None:
            progress(len(done) * len(salts), len(plans) * len(salts))

    try:
        if jobs <= 1:
            for place, plan in enumerate(plans):
                finish(place, run_plan(plan, tuple(salts)))
        else:
            with local_executor(jobs) as executor:
                futures = {executor.submit(run_plan, plan, tuple(salts)): place for place, plan in enumerate(plans)}
                try:
                    for future in concurrent.futures.as_completed(futures):
                        finish(futures[future], future.result())
                except KeyboardInterrupt:
                    stop_workers(executor)
                    raise
    except KeyboardInterrupt:
        interrupted = True
    except BrokenExecutor as error:
        missing = sorted(set(range(len(plans))) - set(done))
        raise HarnessFault(
            f"a worker died; of the plans of lines {missing[0] + 1} and on {len(missing)} were not finished"
        ) from error
    return Measurement(tuple(done[place] for place in sorted(done)), interrupted)


def broken_runs(plans: Sequence[Plan], measured: Measurement, store: Path | None) -> tuple[Broken, ...]:
    """The runs that broke a rule; the first of each rule, and few in all, are kept in ``store`` as run directories."""
    found: list[Broken] = []
    kept: set[str] = set()
    for number, (plan, many) in enumerate(zip(plans, measured.runs, strict=False), 1):
        for salt, one in enumerate(many):
            if not one.rule:
                continue
            directory = ""
            if store is not None and one.rule not in kept and len(kept) < KEPT_AT_MOST:
                kept.add(one.rule)
                directory = str(_keep(salted(plan, salt), one, store))
            found.append(Broken(f"plan {number}, salt {salt}", one.rule, one.sentence, directory))
    return tuple(found)


def _keep(plan: Plan, one: Measured, store: Path) -> Path:
    directory = new_run_directory(store, "gate", plan.seed)
    if one.rule.startswith("harness/"):
        write_plan(directory, plan)
    else:
        write_simulated_run(plan, directory)
    return directory


def planted(plans: Sequence[Plan], mutant: Plant | None) -> list[Plan]:
    """The plans with a bug planted, to see what the gate makes of it."""
    return list(plans) if mutant is None else [msgspec.structs.replace(plan, mutant=mutant) for plan in plans]


def gate(
    plans_path: Path,
    baseline_path: Path,
    *,
    jobs: int = 1,
    store: Path | None = None,
    mutant: Plant | None = None,
    progress: Progress | None = None,
) -> GateResult:
    """Run the stored plans with this code and compare with the baseline. Safety first: a violation outranks all."""
    plans = planted(read_plans(plans_path), mutant)
    baseline = read_baseline(baseline_path)
    measured = measure_all(plans, range(baseline.salts), jobs=jobs, progress=progress)
    schedules = sum(len(many) for many in measured.runs)
    names = "the baseline", "this code"
    broken = broken_runs(plans, measured, store)
    unknown: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    if measured.interrupted:
        return GateResult(*names, schedules, broken, (), (), True)
    if baseline.plans_hash != hash_of_plans(plans_path) or len(baseline.figures) != len(plans):
        unknown = (
            f"{baseline_path} was measured with other plans than those in {plans_path}; renew it with `make baseline`",
        )
    else:
        comparisons = (compare_virtual(baseline.figures, measured.figures),)
    return GateResult(*names, schedules, broken, comparisons, unknown)
