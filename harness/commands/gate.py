"""`torture gate`: is this code worse than the baseline? And what the gate itself is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from harness.commands.gate_output import finish
from harness.commands.options import (
    emit,
    jobs_option,
    json_option,
    mutant_option,
    only_with,
    plant_of,
    store_option,
)
from harness.commands.watch import Counter
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.gate import Measurement
    from nemesis.plan import Plan

HERE = Path(__file__).parent.parent / "baseline"
PLANS = HERE / "plans.jsonl"
BASELINE = HERE / "metrics.json"
PATH = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--plans", type=PATH, help="Plans to run, one a line.  [default: those of the project]")
@click.option("--baseline", type=PATH, help="What to compare with.  [default: that of the project]")
@click.option("--write-baseline", is_flag=True, help="Measure this code and make it the baseline.")
@click.option("--draw-plans", is_flag=True, help="Draw the plans anew, from the strategies as they are now; no run.")
@click.option("--calibrate", is_flag=True, help="Measure the gate's own false alarms and power in virtual time.")
@click.option(
    "--comparisons", type=click.IntRange(1), default=1000, show_default=True, help="With --calibrate: how many."
)
@click.option("--salts", type=click.IntRange(1, 100), help="With --write-baseline: runs of each plan.  [default: 3]")
@jobs_option(2)
@mutant_option
@store_option
@json_option
def command(
    plans: Path | None,
    baseline: Path | None,
    write_baseline: bool,
    draw_plans: bool,
    calibrate: bool,
    comparisons: int,
    salts: int | None,
    jobs: int,
    mutant: str | None,
    store: Path,
    as_json: bool,
) -> int:
    """Run the stored plans in virtual time and compare with the baseline, plan by plan.

    A broken rule ends with 1 and is never tried again; a metric that got worse beyond its floor ends with 4; 3 means that
    the gate cannot tell. Reports are written to STORE/gate.
    """
    from harness import gate
    from harness.store import ensure_writable

    if sum((write_baseline, draw_plans, calibrate)) > 1:
        raise click.UsageError("--write-baseline, --draw-plans and --calibrate exclude each other")
    if salts is not None and not write_baseline:
        raise click.UsageError("--salts goes with --write-baseline; the gate takes those of the baseline")
    only_with("--calibrate", calibrate, "comparisons")
    if mutant is not None and (draw_plans or calibrate):
        raise click.UsageError("--mutant goes with the gate and with --write-baseline: nothing else runs it")
    plans_path, baseline_path = plans or PLANS, baseline or BASELINE
    if draw_plans:
        return _draw(plans_path, as_json)
    progress = None if as_json else Counter("schedules").show
    if calibrate:
        return _calibrate(plans_path, comparisons, jobs, as_json)
    if write_baseline:
        chosen = gate.planted(gate.read_plans(plans_path), plant_of(mutant))
        measured = gate.measure_all(chosen, range(salts or gate.SALTS), jobs=jobs, progress=progress)
        return _write(chosen, measured, plans_path, baseline_path, salts or gate.SALTS, store, as_json)
    ensure_writable(store / "gate")
    result = gate.gate(plans_path, baseline_path, jobs=jobs, store=store, mutant=plant_of(mutant), progress=progress)
    return finish(result, store / "gate", as_json)


def _draw(path: Path, as_json: bool) -> int:
    from harness import gate

    drawn = gate.draw_plans()
    gate.write_plans(drawn, path)
    if as_json:
        emit({"verdict": "PASS", "exit_code": 0, "run_directory": None, "plans": len(drawn), "path": str(path)})
    else:
        click.echo(f"{len(drawn)} plans written to {path}; `make baseline` measures them")
    return 0


def _write(
    plans: list[Plan], measured: Measurement, plans_path: Path, path: Path, salts: int, store: Path, as_json: bool
) -> int:
    from harness import gate

    broken = gate.broken_runs(plans, measured, store)
    exit_code = 130 if measured.interrupted else 1 if broken else 0
    if exit_code == 0:
        try:
            gate.write_baseline(path, gate.hash_of_plans(plans_path), salts, measured.figures)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; name another place with --baseline") from error
    if as_json:
        emit(
            {
                "verdict": {0: "PASS", 1: "FAIL"}.get(exit_code, "INCONCLUSIVE"),
                "exit_code": exit_code,
                "run_directory": None,
                "plans": len(plans),
                "salts": salts,
                "broken": msgspec.to_builtins(broken),
                "baseline": str(path) if exit_code == 0 else None,
            }
        )
    elif exit_code == 0:
        click.echo(f"{path}: {len(plans)} plans, {salts} runs each")
    else:
        for one in broken:
            click.secho(f"✘ {one.what}: {one.rule}: {one.sentence} {one.run_directory}", fg="magenta")
        click.echo("no baseline written: it must come from a whole measurement in which no rule is broken")
    return exit_code


def _calibrate(plans_path: Path, comparisons: int, jobs: int, as_json: bool) -> int:
    from harness.calibrate import calibrate_virtual, table
    from harness.gate import read_plans

    progress = None if as_json else Counter("schedules").show
    found = calibrate_virtual(read_plans(plans_path), comparisons=comparisons, jobs=jobs, progress=progress)
    exit_code = 130 if found.interrupted else 0
    if as_json:
        verdict = "INCONCLUSIVE" if found.interrupted else "PASS"
        emit({"verdict": verdict, "exit_code": exit_code, "run_directory": None} | msgspec.to_builtins(found))
    else:
        click.echo(table(found))
    return exit_code
