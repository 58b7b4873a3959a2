"""Comparing two versions: what is run for it, and in which order. ``reports.gate`` decides.

Rules
* Two revisions: each runs in its own worktree by its own command line (``harness.revisions``). Virtual time: the stored plans
  of this code, with the same salts. Wall clock: pairs of real runs in the order base, head, head, base, so that whatever
  drifts hits both alike; a closed loop without faults.
* What was recorded before: two baselines (plan by plan), or runs, each side a run directory or a directory of such. Their
  order tells nothing of the load of the machine, so their wall clock is worth less; a single run on a side never decides.
* A real run that breaks a rule is a violation, and nothing is tried again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import HarnessFault, UserError
from harness.figures import WallFigures
from harness.gate import PLANS, SALTS, Baseline, read_baseline, read_plans
from harness.results import Results, read_results
from harness.revisions import WORKING_TREE, Revision, ask, checked_out
from nemesis.plan import SECOND, Disk, Plan, Workload, encode_plan
from nemesis.strategies.torture import TIMING
from reports.gate import Broken, Comparison, GateResult, compare_virtual, compare_wall

PAIRS = 32
"""Of one code on two cores the rate differs by an eighth from run to run: so many pairs see a fifth (docs/gate.md)."""
RUN_NS = SECOND
RUN_ENDS_S = 120.0
VIRTUAL_ENDS_S = 1800.0
Say = Callable[[str], None]


def wall_plan(duration_ns: int = RUN_NS) -> Plan:
    """The load that is timed: writes in a closed loop, no faults, logs in memory (a disk's own noise is not ours)."""
    return Plan(
        name="compare",
        duration_ns=duration_ns,
        settle_ns=SECOND,
        final_power_cut=False,
        timing=TIMING,
        workload=Workload(clients=16, rate=0.0, keys=64, mix={"write": 1.0}, value_bytes=100),
        disk=Disk(kind="memory"),
    )


def compare_revisions(
    base: str,
    head: str,
    repository: Path,
    *,
    pairs: int = PAIRS,
    duration_ns: int = RUN_NS,
    plans: Path = PLANS,
    salts: int = SALTS,
    virtual: bool = True,
    wall: bool = True,
    hard_wall: bool = False,
    jobs: int = 1,
    say: Say = lambda text: None,
) -> GateResult:
    """Run both and compare. Raises UserError if one of them is no revision that can be run."""
    comparisons: list[Comparison] = []
    broken: list[Broken] = []
    unknown: list[str] = []
    schedules = 0
    interrupted = False
    with checked_out(base, repository) as before, checked_out(head, repository) as after:
        names = f"{before.name} ({before.commit})", f"{after.name} ({after.commit})"
        try:
            if virtual:
                schedules = _virtual(before, after, plans, salts, jobs, comparisons, broken, unknown, say)
            if wall and not broken:
                _wall(before, after, pairs, duration_ns, hard_wall, comparisons, broken, unknown, say)
        except KeyboardInterrupt:
            interrupted = True
    return GateResult(*names, schedules, tuple(broken), tuple(comparisons), tuple(unknown), interrupted)


def _virtual(
    base: Revision,
    head: Revision,
    plans: Path,
    salts: int,
    jobs: int,
    comparisons: list[Comparison],
    broken: list[Broken],
    unknown: list[str],
    say: Say,
) -> int:
    """Both revisions measure the same plans; returns how many schedules head ran."""
    measured: list[Baseline] = []
    with tempfile.TemporaryDirectory(prefix="torture-compare-") as scratch:
        for place, revision in enumerate((base, head)):
            say(f"{revision.name}: virtual time")
            target = Path(scratch) / f"{place}.json"
            answer = ask(
                revision,
                ["gate", "--write-baseline", "--plans", str(plans.resolve()), "--baseline", str(target),
                 "--salts", str(salts), "--jobs", str(jobs)],
                VIRTUAL_ENDS_S,
            )  # fmt: skip
            if answer.exit_code == 0:
                measured.append(read_baseline(target))
            elif answer.exit_code == 1 and revision is head:
                broken.extend(msgspec.convert(answer.told["broken"], tuple[Broken, ...]))
            else:
                unknown.append(f"{revision.name} could not measure the plans: {_why(answer.told, answer.errors)}")
    if len(measured) == 2:
        comparisons.append(compare_virtual(measured[0].figures, measured[1].figures))
    return len(read_plans(plans)) * salts


def _wall(
    base: Revision,
    head: Revision,
    pairs: int,
    duration_ns: int,
    hard: bool,
    comparisons: list[Comparison],
    broken: list[Broken],
    unknown: list[str],
    say: Say,
) -> None:
    figures: dict[Revision, list[WallFigures]] = {base: [], head: []}
    sides = [(base, head) if number % 2 == 0 else (head, base) for number in range(pairs)]
    with tempfile.TemporaryDirectory(prefix="torture-compare-") as scratch:
        plan = Path(scratch) / "plan.json"
        plan.write_bytes(encode_plan(wall_plan(duration_ns)))
        for number, order in enumerate(sides, 1):
            say(f"pair {number} of {pairs}: {order[0].name}, {order[1].name}")
            for revision in order:
                found = real_run(revision, plan, Path(scratch))
                if isinstance(found, WallFigures):
                    figures[revision].append(found)
                    continue
                if revision is head and isinstance(found, Broken):
                    broken.append(found)
                else:
                    unknown.append(f"a real run of {revision.name} failed: {_said(found)}")
                return
    comparisons.append(compare_wall(figures[base], figures[head], hard=hard))


def real_run(revision: Revision, plan: Path, store: Path) -> WallFigures | Broken | str:
    """One run: its figures, the rule that it broke, or why there are none."""
    answer = ask(revision, ["run", "--plan", str(plan), "--store", str(store / "store")], RUN_ENDS_S)
    if answer.exit_code == 0:
        return figures_of(answer.told["metrics"])
    if answer.exit_code == 130:
        raise KeyboardInterrupt
    if answer.exit_code == 1 and answer.told.get("violations"):
        first = answer.told["violations"][0]
        return Broken(f"a real run of {revision.name}", first["rule"], first["sentence"])
    return _why(answer.told, answer.errors)


def _why(told: dict[str, Any], errors: str) -> str:
    lines = errors.strip().splitlines()
    return str(told.get("sentence") or (lines[-1] if lines else "it said nothing"))


def _said(found: Broken | str) -> str:
    return found if isinstance(found, str) else f"{found.rule}: {found.sentence}"


def figures_of(metrics: dict[str, Any]) -> WallFigures:
    """Of a run's results. Raises KeyError if no operation succeeded."""
    latency = metrics["latency_ns"]["ok"]
    return WallFigures(metrics["throughput_per_s"], latency["p50"], latency["p99"])


# -- what was recorded before -----------------------------------------------------------------------------------------


def recorded(path: Path) -> Baseline | list[Results] | None:
    """What ``path`` holds: a baseline, or runs (one, or those up to two levels below, by time). None: neither.

    Raises UserError if it is another file."""
    if path.name == "results.json":
        path = path.parent
    if path.is_file():
        return read_baseline(path)
    if not path.is_dir() or str(path) == WORKING_TREE:
        return None
    if (path / "results.json").is_file():
        return [read_results(path)]
    found = [one for depth in ("*", "*/*") for one in path.glob(f"{depth}/results.json") if not one.parent.is_symlink()]
    runs = [read_results(one.parent) for one in found]
    return sorted(runs, key=lambda run: run.started_ns) or None


def compare_recorded(
    base_name: str, base: Baseline | list[Results], head_name: str, head: Baseline | list[Results], *, hard_wall: bool
) -> GateResult:
    """Two baselines, or two sets of runs. Raises UserError if the sides are of two kinds, or of other plans."""
    if isinstance(base, Baseline) and isinstance(head, Baseline):
        if base.plans_hash != head.plans_hash or len(base.figures) != len(head.figures):
            raise UserError(f"{base_name} and {head_name} were measured with different plans: nothing pairs them")
        schedules = len(head.figures) * head.salts
        return GateResult(base_name, head_name, schedules, (), (compare_virtual(base.figures, head.figures),))
    if isinstance(base, Baseline) or isinstance(head, Baseline):
        raise UserError("one is a baseline, the other are runs: compare like with like")
    broken = tuple(
        Broken(f"run {run.seed} of {head_name}", violation.rule, violation.sentence)
        for run in head
        for check in run.checks
        for violation in check.violations[:1]
    )
    sides = [_wall_figures(name, runs) for name, runs in ((base_name, base), (head_name, head))]
    both = min(len(side) for side in sides)
    compared = compare_wall(sides[0][:both], sides[1][:both], hard=hard_wall)
    notes = ["the runs were made before, not in turns: what the machine did meanwhile is part of the difference"]
    if both < max(len(side) for side in sides):
        notes.append(f"{len(sides[0])} runs against {len(sides[1])}: only the first {both} of each are paired")
    compared = msgspec.structs.replace(compared, notes=tuple(notes))
    return GateResult(base_name, head_name, 0, broken, (compared,))


def _wall_figures(name: str, runs: Sequence[Results]) -> list[WallFigures]:
    try:
        return [figures_of(run.metrics) for run in runs]
    except KeyError:
        raise UserError(f"{name}: in a run no operation succeeded: there is nothing to compare") from None


# -- runs to calibrate with -------------------------------------------------------------------------------------------


def repeated_runs(
    repository: Path, count: int, duration_ns: int, say: Say, kept: Path | None = None
) -> list[WallFigures]:
    """``count`` real runs of the working tree, one after the other. Raises HarnessFault if one fails.

    ``kept``: a file of finished runs, one a line; those that it holds count, new ones are appended.
    """
    found = [] if kept is None else read_runs(kept)
    with (
        checked_out(WORKING_TREE, repository) as revision,
        tempfile.TemporaryDirectory(prefix="torture-runs-") as scratch,
    ):
        plan = Path(scratch) / "plan.json"
        plan.write_bytes(encode_plan(wall_plan(duration_ns)))
        while len(found) < count:
            one = real_run(revision, plan, Path(scratch))
            if not isinstance(one, WallFigures):
                raise HarnessFault(f"run {len(found) + 1} of {count} failed: {_said(one)}")
            found.append(one)
            if kept is not None:
                with kept.open("ab") as file:
                    file.write(msgspec.json.encode(one) + b"\n")
            say(f"run {len(found)} of {count}: {one.throughput_per_s:,.0f} op/s, p99 {one.p99_ns / 1e6:.2f} ms")
    return found[:count]


def read_runs(kept: Path) -> list[WallFigures]:
    """The runs of such a file, none if there is no file. Raises UserError if it is something else."""
    if not kept.exists():
        return []
    try:
        return [msgspec.json.decode(line, type=WallFigures) for line in kept.read_bytes().splitlines()]
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{kept} is no file of runs ({error}); name another one, or remove it") from error
