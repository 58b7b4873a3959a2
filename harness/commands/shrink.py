"""`torture shrink`: the smallest plan that still breaks the same rule."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from harness.commands.options import emit, json_option, mutant_option, note_changes, plant_of
from harness.errors import UserError

if TYPE_CHECKING:
    from nemesis.plan import Plan


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="PLAN|RUN")
@click.option("--budget", type=click.IntRange(1), default=400, show_default=True, help="Most replays.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Where plan and test go.  [default: beside it]"
)
@mutant_option
@json_option
def command(path: Path, budget: int, out: Path | None, mutant: str | None, as_json: bool) -> int:
    """Leave out faults, nodes, clients and operations, shorten and simplify, as long as the same rule breaks.

    Stores the plan, a pytest test that fails as long as the bug is there, and the run of the shrunk plan with its report.
    """
    from harness.judgement import render
    from harness.shrink import shrink
    from harness.shrunk import write_shrunk, write_shrunk_run
    from harness.store import load_plan_or_run

    plan, run = load_plan_or_run(path)
    if mutant is not None:
        plan = msgspec.structs.replace(plan, mutant=plant_of(mutant))
    note_changes(plan)
    _must_be_runnable(plan, run if mutant is None else None)
    directory = out or run or path.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot create {directory}: {error.strerror}; name another place with --out") from error

    def show(smaller: object, replays: int) -> None:
        faults = len(getattr(smaller, "faults", ()))
        click.echo(f"  {replays:4} replays: {faults} faults", err=True)

    result = shrink(plan, budget=budget, progress=None if as_json else show)
    if result.rule is None:
        if as_json:
            emit({"verdict": "PASS", "exit_code": result.exit_code, "run_directory": None if run is None else str(run)})
        else:
            click.echo("the plan breaks no rule: there is nothing to shrink")
        return result.exit_code
    plan_path, test_path = write_shrunk(result, directory)
    shrunk_run = write_shrunk_run(result, directory)
    warnings = render(shrunk_run)
    if run is not None and directory == run and (run / "results.json").is_file():
        warnings += render(run)
    if as_json:
        emit(
            {
                "verdict": "FAIL",
                "exit_code": result.exit_code,
                "run_directory": None if run is None else str(run),
                "rule": result.rule,
                "sentence": result.sentence,
                "faults_before": result.faults_before,
                "faults_after": result.faults_after,
                "replays": result.replays,
                "wall_s": result.wall_s,
                "minimal": result.minimal,
                "faults": list(result.sentences),
                "plan": str(plan_path),
                "test": str(test_path),
                "report": str(shrunk_run / "report.html"),
                "warnings": warnings,
            }
        )
        return result.exit_code
    click.secho(f"{result.rule}: {result.sentence}", bold=True)
    click.echo(
        f"from {result.faults_before} to {result.faults_after} faults in {result.replays} replays, {result.wall_s:.1f} s"
    )
    for sentence in result.sentences:
        click.echo(f"  {sentence}")
    if not result.sentences:
        click.echo("  no fault is needed: the load alone shows it")
    if not result.minimal:
        click.echo("the budget of replays ended: more may be left out with a larger --budget")
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"plan    {plan_path}\ntest    {test_path}\nreport  {shrunk_run / 'report.html'}")
    return result.exit_code


def _must_be_runnable(plan: Plan, run: Path | None) -> None:
    """Candidates are run in this process, which must not end with one of them: what is recorded not to have ended is refused,
    and a planted bug of the user's own, which may do anything, is tried in another process first. Raises UserError."""
    from harness.replay import in_worker
    from harness.shrink import must_be_runnable
    from harness.store import read_environment

    if run is not None:
        facts = read_environment(run)
        must_be_runnable(str(facts.get("rule", "")), str(facts.get("sentence", "")))
    if plan.mutant is not None and ":" in plan.mutant.id:
        tried = in_worker(plan)
        must_be_runnable(tried.rule, tried.sentence)
