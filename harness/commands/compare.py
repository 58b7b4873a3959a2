"""`torture compare`: one version of the code against another, or what was recorded against what was recorded."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from harness.commands.gate_output import finish
from harness.commands.options import Duration, emit, jobs_option, json_option, only_with


@click.command()
@click.argument("base", required=False)
@click.argument("head", required=False)
@click.option("--pairs", type=click.IntRange(5, 200), default=32, show_default=True, help="Pairs of real runs.")
@click.option("--duration", type=Duration(), default="1s", show_default=True, help="Of each real run.")
@click.option("--virtual/--no-virtual", default=True, show_default=True, help="Compare in virtual time (hard).")
@click.option("--wall/--no-wall", default=True, show_default=True, help="Compare real runs by the clock.")
@click.option("--hard-wall", is_flag=True, help="Let the wall clock decide too; it is advisory otherwise.")
@click.option(
    "--plans",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Plans to compare in virtual time.  [default: those of the gate]",
)
@click.option("--salts", type=click.IntRange(1, 100), default=3, show_default=True, help="Runs of each plan.")
@jobs_option(2, note=" (virtual time)")
@click.option(
    "--calibrate",
    "runs",
    type=click.IntRange(8),
    help="Instead: make so many real runs of the working tree, and tell false alarms and power of the wall clock.",
)
@click.option(
    "--runs-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --calibrate: keep the runs here; those that it holds already count.",
)
@click.option(
    "--comparisons", type=click.IntRange(1), default=1000, show_default=True, help="With --calibrate: how many."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("store/compare"),
    show_default=True,
    help="Where the reports go.",
)
@json_option
def command(
    base: str | None,
    head: str | None,
    pairs: int,
    duration: int,
    virtual: bool,
    wall: bool,
    hard_wall: bool,
    plans: Path | None,
    salts: int,
    jobs: int,
    runs: int | None,
    runs_file: Path | None,
    comparisons: int,
    out: Path,
    as_json: bool,
) -> int:
    """Compare HEAD with BASE: safety, metrics in virtual time, and real runs by the clock.

    Both are git revisions (`.` is the working tree as it stands): each runs in a worktree of its own, real runs in the order
    base, head, head, base. Or both are what was recorded: two baselines of `torture gate`, or two run directories, or two
    directories of runs; those are compared by the clock alone, and one run on a side never decides. Exit codes as of
    `torture gate`.
    """
    from harness.compare import compare_recorded, compare_revisions, recorded

    def say(text: str) -> None:
        if not as_json:
            click.echo(f"  {text}", err=True)

    if runs is not None:
        if base is not None:
            raise click.UsageError("--calibrate compares the working tree with itself; leave BASE and HEAD out")
        return _calibrate(runs, runs_file, duration, pairs, comparisons, as_json)
    only_with("--calibrate", False, "runs_file", "comparisons")
    if base is None or head is None:
        raise click.UsageError("name BASE and HEAD: two revisions, baselines, or directories of runs")
    if not virtual and not wall:
        raise click.UsageError("--no-virtual and --no-wall leave nothing to compare")
    sides = recorded(Path(base)), recorded(Path(head))
    if sides[0] is not None and sides[1] is not None:
        result = compare_recorded(base, sides[0], head, sides[1], hard_wall=hard_wall)
    else:
        from harness.gate import PLANS

        result = compare_revisions(
            base,
            head,
            Path.cwd(),
            pairs=pairs,
            duration_ns=duration,
            plans=plans or PLANS,
            salts=salts,
            virtual=virtual,
            wall=wall,
            hard_wall=hard_wall,
            jobs=jobs,
            say=say,
        )
    return finish(result, out, as_json)


def _calibrate(runs: int, runs_file: Path | None, duration_ns: int, pairs: int, comparisons: int, as_json: bool) -> int:
    from harness.calibrate import calibrate_wall, table
    from harness.compare import repeated_runs

    def say(text: str) -> None:
        if not as_json:
            click.echo(f"  {text}", err=True)

    figures = repeated_runs(Path.cwd(), runs, duration_ns, say, runs_file)
    found = calibrate_wall(figures, pairs=pairs, comparisons=comparisons)
    if as_json:
        told = {"verdict": "PASS", "exit_code": 0, "run_directory": None, "runs": msgspec.to_builtins(figures)}
        emit(told | msgspec.to_builtins(found))
    else:
        click.echo(table(found))
    return 0
