"""`torture run`: the main job on real processes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import (
    Choice,
    Duration,
    Name,
    Rate,
    asked_for,
    deployment_option,
    emit,
    json_option,
    mutant_option,
    plant_of,
    store_option,
    strategy_names,
)
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.results import Results
    from harness.run import Status
    from nemesis.plan import Deployment, Plan

PLAIN_EVERY_S = 5.0


class FaultKinds(click.ParamType[tuple[str, ...]]):
    """Kinds of fault, with commas between them; ``none`` is no kind."""

    name = "kinds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        from nemesis.faults import KINDS

        if isinstance(value, tuple):
            return value
        if value == "none":
            return ()
        kind = Name("kind of fault", lambda: [*KINDS, "none"])
        kinds = tuple(kind.convert(one.strip(), param, ctx) for one in value.split(","))
        if "none" in kinds:
            self.fail("'none' is no fault at all; it stands alone", param, ctx)
        return kinds


class DirectoryName(click.ParamType[str]):
    """Becomes the name of one directory of the store."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from nemesis.checks import is_name

        if not is_name(value):
            self.fail(f"{value!r} cannot name a directory; use letters, digits, '.', '_' and '-'", param, ctx)
        return str(value)


@click.command()
@click.option(
    "--plan", "plan_file", type=click.Path(path_type=Path, dir_okay=False), help="Run this plan instead of making one."
)
@click.option(
    "--strategy",
    type=Name("strategy", strategy_names),
    default="torture",
    show_default=True,
    help="What makes the plan.",
)
@click.option("--seed", type=int, default=None, help="Seed of the plan. Default: the clock.")
@deployment_option
@click.option(
    "--nodes", type=click.IntRange(1, 15), help="Replicas, or acceptors in the classic deployment.  [default: 3]"
)
@click.option("--duration", type=Duration(), default="60s", show_default=True, help="Load and faults last this long.")
@click.option(
    "--faults",
    "kinds",
    type=FaultKinds(),
    metavar="KIND,…",
    help="Only these kinds of fault (none: no fault). Default: all.",
)
@click.option("--rate", type=Rate(), help="Operations a second intended; 0: as fast as they are answered.")
@click.option("--clients", type=click.IntRange(1, 10_000), help="Logical clients.")
@click.option("--keys", type=click.IntRange(1, 100_000), help="Keys of each kind.")
@click.option("--mix", metavar="F=SHARE,…", help="For example read=0.5,write=0.5.")
@click.option("--value-bytes", type=click.IntRange(1, 32_768), help="Size of the values written.")
@click.option("--disk", type=Choice(["disk", "memory"]), help="Where the logs live.  [default: disk]")
@click.option("--name", type=DirectoryName(), help="Name of the test in the store.  [default: torture]")
@mutant_option
@store_option
@json_option
def command(plan_file: Path | None, store: Path, as_json: bool, **options: Any) -> int:
    """Torture a cluster of real processes, judge what was recorded and write the report.

    Clients issue requests while processes are killed, stopped and slowed, links cut and disturbed, and the power fails.
    Everything is healed at the end, also after Ctrl-C.
    """
    from harness.judgement import index_store, judge_run, render
    from harness.run import run_real, with_time_to_settle
    from nemesis.plan import scaled

    plan = _plan(plan_file, options)
    asked_ns, given_ns = scaled(plan, plan.timing.scale).settle_ns, with_time_to_settle(plan).settle_ns
    if given_ns > asked_ns:
        click.echo(
            f"note: {asked_ns / 1e9:g} s to settle is too short for real processes; they have {given_ns / 1e9:g} s",
            err=True,
        )
    watch = None if as_json else _Watch(plan)
    try:
        outcome = run_real(plan, store, progress=None if watch is None else watch.show)
    finally:
        if watch is not None:
            watch.close()
    if watch is not None:
        click.echo("judging …", err=True)
    warnings: list[str] = []
    try:
        results = judge_run(outcome.directory, warnings, outcome.errors)
        if results.verdict == "PASS":
            shutil.rmtree(outcome.directory / "data", ignore_errors=True)
        warnings += [*render(outcome.directory), *index_store(store)]
    except KeyboardInterrupt:
        click.echo(f"\nthe record is whole; judge it with: torture check {outcome.directory}", err=True)
        raise
    if as_json:
        emit(summary(results, outcome.directory) | {"warnings": warnings})
    else:
        print_verdict(results, outcome.directory, warnings)
    return results.exit_code


def _plan(plan_file: Path | None, options: dict[str, Any]) -> Plan:
    from msgspec.structs import replace

    from nemesis.plan import Cluster, Plan, load_plan, validate
    from nemesis.strategies import generate
    from nemesis.strategies.frame import Frame

    if plan_file is not None:
        if not plan_file.is_file():
            raise UserError(f"no such plan file: {plan_file}")
        plan = load_plan(plan_file)
        ignored = asked_for(*(name for name in options if name != "mutant"))
        if ignored:
            raise UserError(f"{', '.join(ignored)}: what a plan says counts; change it there, or leave out --plan")
        mutant = plant_of(options["mutant"])
        return plan if mutant is None else replace(plan, mutant=mutant)
    seed = options["seed"] if options["seed"] is not None else int(time.time()) % 1_000_000
    base = Plan(name=options["name"] or "torture", mutant=plant_of(options["mutant"]))
    workload = base.workload
    for option in ("rate", "clients", "keys", "value_bytes"):
        if options[option] is not None:
            workload = replace(workload, **{option: options[option]})
    if options["mix"]:
        workload = replace(workload, mix=_mix(options["mix"]))
    disk = base.disk if options["disk"] is None else replace(base.disk, kind=options["disk"])
    deployment: Deployment = options["deployment"] or "collapsed"
    nodes = options["nodes"] or 3
    base = replace(
        base, workload=workload, disk=disk, cluster=Cluster(deployment=deployment, nodes=nodes, acceptors=nodes)
    )
    frame = Frame(base=base, deployment=deployment, nodes=nodes, duration_ns=options["duration"], workload=workload)
    plan = generate(options["strategy"], seed, frame)
    if options["kinds"] is not None:
        wanted = set(options["kinds"])
        plan = replace(plan, faults=tuple(fault for fault in plan.faults if fault.kind in wanted))
        if wanted and not plan.faults:
            raise UserError(
                f"strategy {options['strategy']} with seed {seed} plans no {' or '.join(sorted(wanted))} in this time; "
                "choose another seed or a longer --duration"
            )
    validate(plan)
    return plan


def _mix(text: str) -> dict[str, float]:
    mix = {}
    for part in text.split(","):
        f, _, share = part.partition("=")
        try:
            mix[f.strip()] = float(share)
        except ValueError:
            raise UserError(f"--mix {text!r}: {part!r} is not F=SHARE, for example read=0.5,write=0.5") from None
    return mix


class _Watch:
    """Live counts: one line that changes on a terminal, else a line now and then."""

    def __init__(self, plan: Plan) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._next_s = 0.0
        self._told = False
        faults = "1 fault" if len(plan.faults) == 1 else f"{len(plan.faults)} faults"
        who = f"{plan.cluster.deployment}, {faults}, {plan.duration_ns / 1e9:g} s, seed {plan.seed}"
        self._console.print(f"torture: {who}" + (f", planted bug {plan.mutant.id}" if plan.mutant else ""))
        self._live = (
            Live(console=self._console, refresh_per_second=8, transient=True) if self._console.is_terminal else None
        )
        if self._live is not None:
            self._live.start()

    def show(self, status: Status) -> None:
        if status.interrupted and not self._told:
            self._told = True
            self._console.print("interrupted: all is healed and stopped, then what was recorded is judged")
        counts = status.operations
        of = f"/{status.duration_ns / 1e9:g} s" if status.elapsed_ns <= status.duration_ns else " s"
        line = (
            f"{status.phase:9} {status.elapsed_ns / 1e9:5.1f}{of}  "
            f"ok {counts.get('ok', 0)}  fail {counts.get('fail', 0)}  unknown {counts.get('info', 0)}  "
            f"leader {status.leader or '-'}  up {len(status.up)}/{len(status.up) + len(status.down)}  "
            f"faults: {', '.join(status.active) or '-'}"
        )
        if self._live is not None:
            self._live.update(line)
        elif time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + PLAIN_EVERY_S
            click.echo(line, err=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()


def summary(results: Results, directory: Path) -> dict[str, Any]:
    """What `--json` says of a judged run."""
    return {
        "verdict": results.verdict,
        "exit_code": results.exit_code,
        "run_directory": str(directory),
        "sentence": results.sentence,
        "seed": results.seed,
        "world": results.world,
        "deployment": results.deployment,
        "mutant": results.mutant,
        "interrupted": results.interrupted,
        "checks": {check.name: check.verdict for check in results.checks},
        "violations": [
            {"check": check.name, "rule": violation.rule, "sentence": violation.sentence}
            for check in results.checks
            for violation in check.violations[:5]
        ],
        "counts": results.counts,
        "metrics": results.metrics,
        "reproduce": results.reproduce,
        "report": str(directory / "report.html"),
    }


MARKS = {"PASS": ("✔", "cyan"), "FAIL": ("✘", "magenta"), "INCONCLUSIVE": ("?", "yellow"), "ERROR": ("!", "yellow")}


def print_verdict(results: Results, directory: Path, warnings: list[str]) -> None:
    """The verdict for a person: what, why, where to read more, how to run it again."""
    mark, colour = MARKS[results.verdict]
    click.secho(f"{mark} {results.verdict}  {results.sentence}", fg=colour, bold=True)
    for check in results.checks:
        mark, colour = MARKS[check.verdict]
        click.secho(f"  {mark} {check.name:24}", fg=colour, nl=False)
        click.echo(f" {check.summary}")
        for violation in check.violations[:3]:
            click.echo(f"      {violation.rule}: {violation.sentence}")
        if len(check.violations) > 3:
            click.echo(f"      … and {len(check.violations) - 3} more")
    for warning in warnings:
        click.echo(f"  warning: {warning}")
    click.echo(f"run        {directory}")
    if (directory / "report.html").exists():
        click.echo(f"report     {directory / 'report.html'}")
    click.echo(f"reproduce  {results.reproduce}")
