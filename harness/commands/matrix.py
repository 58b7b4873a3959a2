"""`torture matrix`: which planted bugs are found, and how fast; and the gate that keeps it so."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from harness.commands.options import Name, asked_for, emit, jobs_option, json_option, loading, only_with, strategy_names
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.matrix import MatrixResult, MatrixRow, Round, Trial
    from harness.matrix_confirmation import Confirmation
    from harness.matrix_gate import GateResult
    from harness.power import PowerResult

RECORDED = Path("docs/kill-matrix.json")
DOCUMENT = Path("docs/kill-matrix.md")
CONFIRMED = Path("docs/kill-matrix-confirmed.md")
POWER = Path("docs/power.md")
PLAIN_EVERY_S = 10.0
FEW = 100
"""Trials that are told one by one."""
SLIPS = {
    *(
        "AttributeError",
        "ImportError",
        "IndexError",
        "KeyError",
        "ModuleNotFoundError",
        "NameError",
        "NotImplementedError",
    ),
    *("RecursionError", "TypeError", "UnboundLocalError", "ZeroDivisionError"),
}
"""What Python raises where whoever wrote the code made a slip: it may be the planted bug's own."""


@click.command()
@click.option("--ids", metavar="ID,…", help="Only these: ids, A+B for a pair, FILE.py:ID.  [default: all]")
@click.option(
    "--mutants",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Measure the planted bugs of this file, instead of those of the project.",
)
@click.option(
    "--strategy",
    "strategies",
    type=Name("strategy", strategy_names),
    multiple=True,
    help="May be given more than once.  [default: portfolio]",
)
@click.option("--budget", type=click.IntRange(1), default=5000, show_default=True, help="Most schedules of a trial.")
@click.option(
    "--trials",
    type=click.IntRange(1),
    help="Trials each: one tells what dies, more are for figures.  [default: 1 with --mutants; otherwise, and with --power, "
    "20 of the portfolio, 5 of any other]",
)
@jobs_option(2)
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("store/matrix.jsonl"),
    show_default=True,
    help="What was reached of each trial; an interrupted matrix goes on from here.",
)
@click.option(
    "--gate",
    "as_gate",
    is_flag=True,
    help="Kill every recorded bug again, within 13 times the schedules its record lets expect.",
)
@click.option("--deep", is_flag=True, help="With --gate: also those that take more than 20 schedules.")
@click.option("--power", is_flag=True, help="Compare the portfolio with a Jepsen-style nemesis.")
@click.option("--confirm", is_flag=True, help="Shrink what killed, and run it in lockstep and on free processes.")
@click.option(
    "--tries",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="With --confirm: most runs on free processes.",
)
@click.option(
    "--write",
    is_flag=True,
    help=f"Write {RECORDED} and {DOCUMENT}; or {CONFIRMED}, {POWER}. "
    "With --ids or --strategy the other rows of the matrix stay.",
)
@json_option
def command(
    ids: str | None,
    mutants: Path | None,
    strategies: tuple[str, ...],
    budget: int,
    trials: int | None,
    jobs: int,
    state: Path,
    as_gate: bool,
    deep: bool,
    power: bool,
    confirm: bool,
    tries: int,
    write: bool,
    as_json: bool,
) -> int:
    """Plant one bug after the other and count how many schedules each survives.

    A kill counts only if the same plan passes on the unmodified code. With --mutants FILE.py it measures your own bugs. All
    trials run a few schedules first, the survivors ten times as many, and so on to the budget: what dies soon is told soon.
    After an interrupt the same command goes on after the last round that a trial finished, and so does one with a larger
    --budget; what you changed in your file meanwhile is measured anew. Of what survives it tells how often your code was
    called.
    """
    from harness import matrix
    from harness.campaign import local_executor
    from harness.kill_matrix_page import write_page
    from harness.matrix_document import document
    from harness.matrix_gate import gate
    from harness.matrix_record import read_recorded, write_recorded
    from harness.power import PORTFOLIO, RIVALS
    from paxos_impl.mutants.registry import held

    if sum((as_gate, power, confirm)) > 1:
        raise click.UsageError("--gate, --power and --confirm exclude each other")
    fixed = asked_for("mutants", "strategies", "budget", "trials", "state", "write") if as_gate else []
    if fixed:
        raise click.UsageError(f"{', '.join(fixed)}: not with --gate, whose schedules follow from the record")
    if mutants is not None and write:
        raise click.UsageError("--write is for the figures of the project's own bugs, not for those of --mutants")
    only_with("--gate", as_gate, "deep")
    only_with("--confirm", confirm, "tries")
    watch = None if as_json else _Watch(mutants)
    names = _names(ids, mutants)
    click.get_current_context().with_resource(held(names or ()))
    progress = None if watch is None else watch.show
    if as_gate:
        deepest = None if deep else 20.0
        return _told_gate(
            gate(read_recorded(RECORDED), ids=names, deepest=deepest, jobs=jobs, progress=progress), as_json
        )
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        state.open("ab").close()
    except OSError as error:
        raise UserError(f"cannot write {state}: {error.strerror}; name another place with --state") from error
    wanted = strategies or ((PORTFOLIO, *RIVALS) if power else (PORTFOLIO,))
    result = matrix.run_matrix(
        names,
        wanted,
        budget,
        jobs=jobs,
        bases=trials if trials is not None or mutants is None or power else 1,
        state=state,
        progress=progress,
        on_round=None if watch is None else watch.begin,
        make_executor=local_executor,
    )
    others = [one for one in matrix.versions(result.trials) if one != matrix.short_code()]
    if others:
        click.echo(
            f"warning: some trials in {state} were run with other code; for figures of this code move it away", err=True
        )
    if result.interrupted and (power or confirm or write):
        power = confirm = write = False
        click.echo("interrupted: from a part of the trials nothing is compared, confirmed or written down", err=True)
    if power:
        return _compare(result, write, as_json)
    if confirm:
        return _confirm(result, tries, state.with_name("confirmed.jsonl"), write, as_json)
    page = None
    if result.rows:
        page = write_page(result.rows, state.with_name(f"kill-matrix{f'-{mutants.stem}' if mutants else ''}.html"))
    if write:
        part = RECORDED.exists() and bool(ids or strategies)
        write_recorded(result, RECORDED, read_recorded(RECORDED) if part else None)
        DOCUMENT.write_text(document(read_recorded(RECORDED)))
    if as_json:
        emit(_summary(result) | {"state": str(state)})
    else:
        _print(result, mutants)
        click.echo(f"state {state}: {_state(result)}")
        if page is not None:
            click.echo(f"page {page}")
    return result.exit_code


def _names(ids: str | None, mutants: Path | None) -> list[str] | None:
    wanted = None if ids is None else [[part.strip() for part in one.split("+")] for one in ids.split(",")]
    if mutants is not None:
        from paxos_impl.mutants.registry import load_file

        with loading(str(mutants)):
            found = list(load_file(mutants))
        wanted = [[id_] for id_ in found] if wanted is None else wanted
        wanted = [[_in_file(part, mutants, found) for part in parts] for parts in wanted]
    return None if wanted is None else ["+".join(parts) for parts in wanted]


def _in_file(name: str, mutants: Path, known: list[str]) -> str:
    """An id of that file, or FILE.py:ID, as the latter."""
    path, _, id_ = name.rpartition(":")
    id_ = id_ if Path(path).resolve() == mutants.resolve() else name
    return f"{mutants}:{Name('planted bug', lambda: known).convert(id_, None, None)}"


def _verdict(exit_code: int) -> str:
    return {0: "PASS", 1: "FAIL"}.get(exit_code, "INCONCLUSIVE")


class _Watch:
    """Tells how it goes: the rounds, and the end of each trial if they are few; of many one line in ten seconds."""

    def __init__(self, own: Path | None) -> None:
        self._own = own
        self._start_s = time.monotonic()
        self._next_s = 0.0
        self._done = 0

    def begin(self, round_: Round) -> None:
        if round_.of == 1:
            return
        trials = "1 trial" if round_.trials == 1 else f"{round_.trials} trials"
        told = f"round {round_.number} of {round_.of}, up to {round_.up_to:,} schedules: {trials}"
        if round_.before:
            most_s = round_.most * (time.monotonic() - self._start_s) / round_.before
            told += f", at the pace so far {_time(most_s)} at most"
        click.echo(told, err=True)

    def show(self, trial: Trial, done: int, total: int) -> None:
        goes_on = done == self._done
        self._done = done
        if time.monotonic() < self._next_s and (goes_on or FEW < total != done):
            return
        self._next_s = time.monotonic() + PLAIN_EVERY_S
        if trial.unsteady:
            what = "does not behave the same twice"
        elif trial.killed:
            what = f"killed after {_schedules(trial.schedules)} by {trial.rule}"
        else:
            what = f"survived {_schedules(trial.schedules)}{' so far' if goes_on else ''}"
        name = _short(trial.mutant, self._own) or "unmodified"
        click.echo(f"  {done}/{total} trials ended; {name}, {trial.strategy}: {what}", err=True)


def _schedules(number: int) -> str:
    return "1 schedule" if number == 1 else f"{number:,} schedules"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _short(name: str, own: Path | None) -> str:
    """Without the name of the only file it can be of."""
    return name.replace(f"{own}:", "")


def _summary(result: MatrixResult) -> dict[str, Any]:
    return {
        "verdict": _verdict(result.exit_code),
        "exit_code": result.exit_code,
        "run_directory": None,
        "trials": len(result.trials),
        "rows": msgspec.to_builtins(result.rows),
        "survivors": result.survivors,
        "unfinished": result.unfinished,
        "unsteady": result.unsteady,
        "killed_equivalents": result.killed_equivalents,
        "clean_violations": result.clean_violations,
        "interrupted": result.interrupted,
        "planned": result.planned,
        "known": result.known,
    }


def _print(result: MatrixResult, own: Path | None) -> None:
    width = max((len(_short(row.mutant, own)) for row in result.rows), default=6)
    first: dict[tuple[str, str], Trial] = {}
    for trial in result.trials:
        if trial.killed:
            first.setdefault((trial.mutant, trial.strategy), trial)
    click.echo(f"{'id':{width}}  strategy       killed  schedules  p95     events  clients      seed  fired first")
    shown = None
    for row in sorted(result.rows, key=lambda row: (row.strategy, not row.killed, row.schedules_mean)):
        kill = first.get((row.mutant, row.strategy))
        shown = kill or shown
        click.echo(
            f"{_short(row.mutant, own):{width}}  {row.strategy:13}  {row.killed:2}/{row.trials:<3}  "
            f"{_number(row.schedules_median):>9}  {_number(row.schedules_p95):>4}  {_number(row.events_median):>9}  "
            f"{row.seen_by_clients:7}  {kill.seed if kill else '-':>8}  {_fate(row)}"
        )
    for label in result.survivors:
        click.secho(f"survived: {_short(label, own)}", fg="magenta")
    for label in result.unfinished:
        click.secho(f"not ended: {_short(label, own)}", fg="yellow")
    for label in result.unsteady:
        click.secho(f"does not behave the same twice: {_short(label, own)}", fg="yellow")
    if result.unsteady:
        click.echo(
            "  a planted bug may not use random, a clock, or state kept in its class or module; such a kill is none"
        )
    for label in result.killed_equivalents:
        click.secho(f"equivalent, but killed: {_short(label, own)}", fg="magenta")
    for strategy, seed, rule in result.clean_violations:
        click.secho(f"the unmodified code breaks {rule}: strategy {strategy}, seed {seed}", fg="magenta")
    slips = _slips(result.trials)
    for trial in slips:
        click.secho(f"a slip in its own code? {_short(trial.mutant, own)}: {trial.sentence}", fg="yellow")
    if slips:
        click.echo("  if so, the kill tells nothing of the rule that the bug is to break; mend it and measure again")
    mark = {0: "✔ PASS", 1: "✘ FAIL"}.get(result.exit_code, "? INCONCLUSIVE")
    click.secho(f"{mark}  {_came_to(result)}", bold=True)
    if shown is not None:
        click.echo(f"see a kill: {_again(shown)}")


def _slips(trials: Sequence[Trial]) -> list[Trial]:
    """Of each bug the first kill that may be by a slip in its own code."""
    first: dict[str, Trial] = {}
    for trial in trials:
        if trial.rule == "harness/raised" or trial.rule.removeprefix("crash/") in SLIPS:
            first.setdefault(trial.mutant, trial)
    return list(first.values())


def _again(kill: Trial) -> str:
    """The command that runs the killing schedule and keeps it."""
    from harness.matrix import common_deployments
    from paxos_impl.mutants.registry import find

    deployments = common_deployments(find(kill.mutant))
    options = [f"--strategy {kill.strategy}"] if kill.strategy != "portfolio" else []
    options += [f"--deployment {deployments[0]}"] if len(deployments) == 1 else []
    return " ".join(
        ["torture simulate --runs 1 --seed", str(kill.seed), *options, "--mutant", shlex.quote(kill.mutant)]
    )


def _fate(row: MatrixRow) -> str:
    """What killed it first, or what it survived."""
    if row.killed:
        return max(row.rules, key=lambda rule: row.rules[rule])
    return f"survived {row.most_schedules:,}{' so far' if row.unfinished else ''}"


def _came_to(result: MatrixResult) -> str:
    """One sentence."""
    from harness.matrix import is_equivalent
    from paxos_impl.mutants.registry import find

    killed: dict[str, bool] = {}
    for row in result.rows:
        if not is_equivalent(find(row.mutant)):
            killed[row.mutant] = killed.get(row.mutant, False) or row.killed > 0
    for trial in result.trials:
        if trial.unsteady:
            killed.setdefault(trial.mutant, False)
    counts = (
        (len(result.survivors), "outlived the budget"),
        (len(result.unfinished), "survived so far"),
        (len(result.unsteady), "told nothing that can be repeated"),
        (result.planned - len(result.trials) - len(result.unfinished), "told nothing yet"),
        (len(result.killed_equivalents), "killed an equivalent mutant"),
    )
    dead = sum(killed.values())
    told = [f"{dead} killed so far" if result.interrupted else f"{dead} of {len(killed)} bugs killed"]
    told += [f"{number} {'trial' if number == 1 else 'trials'} {what}" for number, what in counts if number]
    if result.clean_violations:
        told.append("the unmodified code breaks a rule")
    return ("interrupted: " if result.interrupted else "") + ", ".join(told)


def _state(result: MatrixResult) -> str:
    """What stands in the state file, and what to do next."""
    told = f"{len(result.trials)} of {result.planned} trials ended"
    if result.known:
        told += f", {result.known} of them before"
    if result.interrupted:
        return f"{told}; resume: the same command"
    return told + ("; a larger --budget goes on with the survivors" if result.survivors else "")


def _confirm(result: MatrixResult, tries: int, state: Path | None, write: bool, as_json: bool) -> int:
    """0: every kill was confirmed in lockstep. 1: some were not. 3: there was no kill to confirm. 130: interrupted."""
    from harness.matrix_confirmation import confirm_all, first_kills, table
    from harness.results import EXIT_INTERRUPTED

    def show(done: Confirmation, number: int, total: int) -> None:
        freely = f"free after {done.free_tries}" if done.free_rule else f"not free in {done.free_tries} tries"
        said = f"{done.mutant}: {done.faults_before} → {done.faults} faults, lockstep {done.lockstep}, {freely}"
        click.echo(f"  {number}/{total} {said}", err=True)

    found = confirm_all(result.trials, tries=tries, state=state, progress=None if as_json else show)
    interrupted = len(found) < len(first_kills(result.trials))
    code = 3 if not found else 0 if all(one.lockstep for one in found) else 1
    code = EXIT_INTERRUPTED if interrupted and code != 1 else code
    if as_json:
        rows = msgspec.to_builtins(found)
        emit({"verdict": _verdict(code), "exit_code": code, "run_directory": None, "confirmations": rows})
    else:
        click.echo(table(found))
    if write and not interrupted:
        CONFIRMED.write_text("# Kills confirmed on real processes\n\n" + table(found))
    return code


def _power_document(results: Sequence[PowerResult]) -> str:
    from harness.power import RIVALS, table

    return (
        "# Power: the portfolio against a Jepsen-style nemesis\n\n"
        "Written by `torture matrix --power --write`; `make power` measures all bugs. Same code, bugs and oracles. The\n"
        "Jepsen-style nemesis has one fault at a time (kill, pause or partition; random targets), every five election\n"
        "timeouts or slower, and neither power cuts nor anything left broken at the end. It is measured twice: on the\n"
        "clusters, limits and loads that the portfolio draws too, so that only the faults differ; and as such tests are\n"
        "commonly run, on one cluster of usual size, limits and load.\n\n"
        "Many bugs die within a schedule or two of either: the oracles see them at the first change of leaders, whatever\n"
        "caused it. The ratio is large where only a power cut, a trigger, a small limit or a rare order of messages shows a\n"
        "bug; there the budget bounds it from below.\n\n"
        + "\n".join(f"## {RIVALS[result.rival]}\n\n{table(result)}" for result in results)
    )


def _number(value: float | None) -> str:
    """None: that trial outlived its budget."""
    return "-" if value is None else f"{value:.0f}"


def _told_gate(result: GateResult, as_json: bool) -> int:
    if as_json:
        emit(
            {"verdict": _verdict(result.exit_code), "exit_code": result.exit_code, "run_directory": None}
            | msgspec.to_builtins(result)
        )
    else:
        _print_gate(result)
    return result.exit_code


def _print_gate(result: GateResult) -> None:
    for failure in result.failures:
        click.secho(f"✘ {failure}", fg="magenta")
    for unknown in result.unknown:
        click.secho(f"? {unknown}", fg="yellow")
    mark = {0: "✔ PASS", 1: "✘ FAIL"}.get(result.exit_code, "? INCONCLUSIVE")
    click.secho(f"{mark}  {result.checked} trials, {len(result.deep)} deep ones left to the nightly run", bold=True)


def _compare(result: MatrixResult, write: bool, as_json: bool) -> int:
    """The portfolio with its rivals."""
    from harness.power import compare_all, exit_code

    compared = compare_all(result.trials)
    code = exit_code(compared)
    if as_json:
        rows = msgspec.to_builtins(compared)
        emit({"verdict": _verdict(code), "exit_code": code, "run_directory": None, "comparisons": rows})
    else:
        _print_power(compared)
    if write:
        POWER.write_text(_power_document(compared))
    return code


def _print_power(results: Sequence[PowerResult]) -> None:
    from harness.power import RIVALS, table

    for result in results:
        click.secho(RIVALS[result.rival], bold=True)
        click.echo(table(result))
