"""`torture replay`: run a plan again."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from harness.commands.options import Choice, emit, json_option, mutant_option, note_changes, plant_of


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="PLAN|RUN")
@click.option(
    "--world",
    type=Choice(["simulated", "lockstep", "free"]),
    default="simulated",
    show_default=True,
    help="lockstep: real processes and logs, stepped by the simulator; free: real time.",
)
@click.option("--tries", type=click.IntRange(1), default=1, show_default=True, help="How often it is run.")
@mutant_option
@json_option
def command(path: Path, world: str, tries: int, mutant: str | None, as_json: bool) -> int:
    """Run the plan, or the plan of a run directory, again, and say how many tries reproduced what was recorded."""
    from harness.campaign import must_be_steady
    from harness.replay import replay_plan
    from harness.store import load_plan_or_run

    plan, run = load_plan_or_run(path)
    if mutant is not None:
        plan, run = msgspec.structs.replace(plan, mutant=plant_of(mutant)), None
    note_changes(plan)
    result = replay_plan(plan, name=str(path), run=run, world=world, tries=tries)
    if not result.deterministic:
        must_be_steady(plan)
    first = result.tries[0]
    verdict = "FAIL" if any(one.rule for one in result.tries) else "PASS"
    if as_json:
        emit(
            {
                "verdict": verdict,
                "exit_code": result.exit_code,
                "run_directory": None if run is None else str(run),
                "world": world,
                "tries": len(result.tries),
                "reproduced": result.reproduced,
                "recorded_rule": result.recorded_rule,
                "recorded_digest": result.recorded_digest,
                "digest": first.digest,
                "deterministic": result.deterministic,
                "results": msgspec.to_builtins(result.tries),
            }
        )
        return result.exit_code
    for number, one in enumerate(result.tries, 1):
        what = f"{one.rule}: {one.sentence}" if one.rule else "no rule broken"
        click.echo(f"try {number}: {what}" + (f"  [{one.digest}]" if one.digest else ""))
    if not result.deterministic:
        click.echo("the digests differ: the simulator is not deterministic (please report it with the plan)")
    if result.recorded_rule is not None:
        click.echo(
            f"{result.reproduced} of {len(result.tries)} tries as recorded ({result.recorded_rule or 'no violation'})"
        )
        if result.recorded_digest and first.digest and first.digest != result.recorded_digest:
            click.echo(f"the digest was {result.recorded_digest} when it was recorded: the code has changed since")
    return result.exit_code
