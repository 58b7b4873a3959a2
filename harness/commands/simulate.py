"""`torture simulate`: a campaign of simulated schedules."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from harness.commands.options import (
    Duration,
    Name,
    Rate,
    deployment_option,
    emit,
    jobs_option,
    json_option,
    mutant_option,
    plant_of,
    store_option,
    strategy_names,
)

if TYPE_CHECKING:
    from harness.campaign import CampaignResult, CampaignState
    from nemesis.plan import Deployment, Workload

PLAIN_EVERY_S = 5.0
SITUATIONS_AT_MOST = 5
"""Named of those that never came up; the page has all."""
REPORTS_AT_MOST = 10
"""Kinds of failure whose first run gets a report at once; `torture report` writes the others."""


@click.command()
@click.option("--runs", type=click.IntRange(1), help="So many schedules.  [default: 1000, without --for]")
@click.option("--for", "length", type=Duration(), help="As many schedules as this time allows.")
@click.option(
    "--strategy",
    type=Name("strategy", strategy_names),
    default="portfolio",
    show_default=True,
    help="What makes the plans; `torture list strategies` tells them.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the first schedule; the next ones count up."
)
@jobs_option(None, "one a core")
@click.option("--hang", type=Duration(), help="A schedule that takes longer is a finding.  [default: 60s]")
@click.option("--nodes", type=click.IntRange(1, 15), help="Replicas, or acceptors.  [default: drawn, mostly 3 or 5]")
@click.option(
    "--duration", type=Duration(), help="Load and faults of each schedule.  [default: drawn, mostly 0.8s to 2.4s]"
)
@click.option("--settle", type=Duration(), help="What each schedule may take to recover.  [default: drawn, 1.2s or 2s]")
@click.option("--clients", type=click.IntRange(1, 10_000), help="Logical clients.  [default: drawn, 1 to 8]")
@click.option("--rate", type=Rate(), help="Operations a second intended.  [default: drawn, mostly 15 to 400]")
@click.option("--keys", type=click.IntRange(1, 100_000), help="Keys of each kind.  [default: drawn, 1 to 5]")
@click.option(
    "--lockstep",
    type=click.IntRange(0),
    default=0,
    help="Then run so many of the plans on real processes, in lockstep.",
)
@click.option("--cluster", metavar="ADDRESS", help="Address of a Dask scheduler; its workers run the schedules.")
@deployment_option
@mutant_option
@store_option
@json_option
def command(
    runs: int | None,
    length: int | None,
    strategy: str,
    seed: int,
    jobs: int | None,
    hang: int | None,
    nodes: int | None,
    duration: int | None,
    settle: int | None,
    clients: int | None,
    rate: float | None,
    keys: int | None,
    lockstep: int,
    cluster: str | None,
    deployment: str | None,
    mutant: str | None,
    store: Path,
    as_json: bool,
) -> int:
    """Run a campaign: each schedule is a plan of its own, in virtual time, judged at every step.

    Failures are clustered by the rule they break, and the first of each kind is kept as a run directory with its report.
    """
    from harness.campaign import HANG_S, run_campaign, seeds
    from harness.confirm import confirm_in_lockstep
    from harness.dask_cluster import DaskExecutor, cluster_threads
    from harness.judgement import index_store, render_campaign
    from nemesis.plan import Plan
    from nemesis.strategies.frame import Frame

    count = runs if runs is not None else (None if length is not None else 1000)
    frame = Frame(
        Plan(mutant=plant_of(mutant)),
        deployment=cast("Deployment | None", deployment),
        nodes=nodes,
        duration_ns=duration,
        settle_ns=settle,
        workload=_workload({"clients": clients, "rate": rate, "keys": keys}),
    )
    tasks = seeds(strategy, seed, count, frame)
    watch = None if as_json else _Watch(count, None if length is None else length / 1e9)
    workers = jobs or (os.cpu_count() or 1 if cluster is None else cluster_threads(cluster))
    try:
        result = run_campaign(
            tasks,
            store=store,
            seed=seed,
            jobs=workers if count is None else min(workers, count),
            seconds=None if length is None else length / 1e9,
            hang_s=HANG_S if hang is None else hang / 1e9,
            make_executor=None if cluster is None else lambda: DaskExecutor(cluster),
            progress=None if watch is None else watch.show,
        )
    finally:
        if watch is not None:
            watch.close()
    kept = [Path(one.directory) for one in result.clusters[:REPORTS_AT_MOST]]
    warnings = [f"not written: {one}; make room, or choose another place with --store" for one in result.unwritten]
    warnings += [*render_campaign(Path(result.directory), kept), *index_store(store)]
    confirmed = []
    if lockstep and not result.interrupted:
        confirmed = confirm_in_lockstep(seeds(strategy, seed, lockstep, frame))
    if as_json:
        emit(_summary(result) | {"confirmed_in_lockstep": len(confirmed), "warnings": warnings})
    else:
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
        _print(result)
        if confirmed:
            click.echo(f"lockstep   {len(confirmed)} of the plans ran on real processes too: equal digests")
    return result.exit_code


def _workload(asked: dict[str, Any]) -> Workload | None:
    """If nothing is asked for, each schedule draws its own."""
    from nemesis.plan import Workload
    from nemesis.strategies.frame import settle_share

    given = {name: value for name, value in asked.items() if value is not None}
    share = settle_share(given.get("rate", Workload().rate))
    return Workload(settle_rate=share, **given) if given else None


class _Watch:
    def __init__(self, runs: int | None, seconds: float | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True)
        self._seconds = seconds
        self._next_s = 0.0
        self._progress: Progress | None = None
        if self._console.is_terminal:
            self._progress = Progress(
                BarColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._progress.add_task("starting", total=runs or seconds)
            self._progress.start()

    def show(self, state: CampaignState) -> None:
        wall_s = max(state.wall_s, 1e-9)
        failures = "1 failure" if state.failures == 1 else f"{state.failures} failures"
        text = (
            f"{_schedules(state.runs)} ({state.runs / wall_s:.0f}/s)  {state.events / 1e6:.1f} M events "
            f"({state.events / wall_s / 1e3:.0f} k/s)  {failures}"
        )
        if self._progress is not None:
            done = state.wall_s if self._seconds is not None else state.runs
            self._progress.update(self._task, description=text, completed=done)
        elif time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + PLAIN_EVERY_S
            click.echo(text, err=True)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()


def _summary(result: CampaignResult) -> dict[str, Any]:
    return {
        "verdict": result.verdict,
        "exit_code": result.exit_code,
        "run_directory": result.directory,
        "runs": result.runs,
        "events": result.events,
        "commands": result.commands,
        "failures": result.failures,
        "reruns_equal": result.reruns,
        "digest": result.digest,
        "wall_s": result.wall_s,
        "interrupted": result.interrupted,
        "strategies": result.strategies,
        "situations": result.situations,
        "clusters": [
            {"rule": one.rule, "count": one.count, "sentence": one.first.sentence, "run_directory": one.directory}
            for one in result.clusters
        ],
    }


def _situations(result: CampaignResult) -> str:
    """How many of them came up, and which did not."""
    never = [name for name, runs in result.situations.items() if not runs]
    count = len(result.situations)
    if not never:
        return f"all {count} situations of the protocol came up"
    named = ", ".join(never[:SITUATIONS_AT_MOST]) + (", …" if len(never) > SITUATIONS_AT_MOST else "")
    return f"{count - len(never)} of {count} situations of the protocol came up, not: {named}"


def _schedules(number: int) -> str:
    return "1 schedule" if number == 1 else f"{number} schedules"


def _print(result: CampaignResult) -> None:
    from harness.results import Verdict

    wall_s = max(result.wall_s, 1e-9)
    rate = f"{result.runs / wall_s:.0f} schedules/s, {result.events / wall_s / 1e3:.0f} k events/s"
    cut = "interrupted: " if result.interrupted else ""
    if result.verdict is Verdict.FAIL:
        verb = "breaks" if result.failures == 1 else "break"
        text = f"✘ FAIL  {cut}{result.failures} of {_schedules(result.runs)} {verb} a rule"
        click.secho(text, fg="magenta", bold=True)
    elif result.verdict is Verdict.PASS:
        click.secho(f"✔ PASS  {_schedules(result.runs)}, no violation", fg="cyan", bold=True)
    else:
        click.secho(f"? INCONCLUSIVE  {cut}{_schedules(result.runs)}, no violation", fg="yellow", bold=True)
    click.echo(f"  {result.events:,} events, {result.commands:,} commands in {result.wall_s:.1f} s ({rate})")
    twice = "one schedule was" if result.reruns == 1 else f"{result.reruns} schedules were"
    click.echo(f"  {twice} run twice: equal digests; digest of all: {result.digest}")
    if result.situations and result.runs:
        click.echo(f"  {_situations(result)}")
    for one in itertools.islice(result.clusters, 10):
        click.echo(f"  {one.count:5} × {one.rule}")
        click.echo(f"          first: seed {one.first.seed}, {one.first.strategy}: {one.first.sentence}")
        verb = "replay" if one.rule.startswith("harness/") else "shrink"
        click.echo(f"          torture {verb} {one.directory}")
    click.echo(f"run        {result.directory}")
    click.echo(f"report     {Path(result.directory, 'report.html')}")
