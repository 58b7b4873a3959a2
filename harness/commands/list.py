"""`torture list`: what there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import Name, emit, json_option, store_option

if TYPE_CHECKING:
    from nemesis.faults import ParameterSpec

WHAT = ("runs", "strategies", "mutants", "faults", "targets", "checks", "situations")
LEGENDS = {
    "mutants": "breaks: A agreement, V validity, I integrity or order, D durability, L linearizability, X exactly-once,\n"
    "P progress, R replicas diverge. equivalent: harmless on its own. Plant one with --mutant ID; docs/mutants.md tells more.",
}


@click.command()
@click.argument("what", type=Name("list", lambda: list(WHAT)), metavar=f"[{'|'.join(WHAT)}]", default="runs")
@store_option
@json_option
def command(what: str, store: Path, as_json: bool) -> int:
    """List the runs of the store, or the strategies, planted bugs, faults, their targets, checks, and the situations that a
    campaign counts."""
    rows = {
        "runs": lambda: _runs(store),
        "strategies": _strategies,
        "mutants": _mutants,
        "faults": _faults,
        "targets": _targets,
        "checks": _checks,
        "situations": _situations,
    }[what]()
    if as_json:
        emit({"verdict": None, "exit_code": 0, "run_directory": None, what: rows})
        return 0
    if not rows:
        click.echo(f"no {what}" + (f" in {store}: `torture run` makes one" if what == "runs" else ""))
        return 0
    columns = list(rows[0])
    rows = [{column: "-" if value is None else value for column, value in row.items()} for row in rows]
    widths = [max(len(column), *(len(str(row[column])) for row in rows)) for column in columns]
    for row in [dict(zip(columns, columns, strict=True)), *rows]:
        last = len(columns) - 1
        cells = [
            str(row[column]) if place == last else str(row[column]).ljust(width)
            for place, (column, width) in enumerate(zip(columns, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())
    if what == "faults":
        click.echo("\n" + "\n".join(_parameters()), err=True)
    if what in LEGENDS:
        click.echo(f"\n{LEGENDS[what]}", err=True)
    return 0


def _runs(store: Path) -> list[dict[str, Any]]:
    from harness.results import read_results

    rows = []
    for plan in sorted(store.glob("*/*/plan.json"), key=lambda path: path.parent.name, reverse=True):
        run = plan.parent
        if run.is_symlink() or run.parent.is_symlink():
            continue
        try:
            results = read_results(run)
            verdict, sentence = str(results.verdict), results.sentence
        except Exception:
            verdict, sentence = None, f"not judged yet: `torture check {run}` judges it"
        rows.append({"run": str(run), "verdict": verdict, "sentence": sentence})
    return rows


def _strategies() -> list[dict[str, Any]]:
    from nemesis.strategies import STRATEGIES

    return [{"strategy": one.name, "weight": one.weight, "about": one.about} for one in STRATEGIES.values()]


def _mutants() -> list[dict[str, Any]]:
    from paxos_impl.mutants.registry import all_mutants

    return [
        {
            "id": one.id,
            "family": one.family,
            "breaks": one.breaks,
            "equivalent": bool(one.equivalent),
            "about": one.about,
        }
        for one in all_mutants().values()
    ]


def _faults() -> list[dict[str, Any]]:
    from nemesis.faults import KINDS

    return [
        {"kind": one.name, "device": one.device, "parameters": ", ".join(one.params) or "-", "about": one.about}
        for one in KINDS.values()
    ]


def _targets() -> list[dict[str, Any]]:
    from nemesis.faults import TARGETS

    return [{"target": name, "about": about} for name, about in TARGETS.items()]


def _parameters() -> Iterator[str]:
    """A line for each parameter: of which kinds, what it means, what it is by itself and may be."""
    from nemesis.faults import KINDS

    users: dict[tuple[str, ParameterSpec], list[str]] = {}
    for kind in KINDS.values():
        for name, spec in kind.params.items():
            users.setdefault((name, spec), []).append(kind.name)
    for (name, spec), kinds in users.items():
        default = spec.default if spec.default != "" else "none"
        allowed = ", ".join(spec.choices)
        if spec.lowest is not None and spec.highest is not None:
            allowed = f"{spec.lowest:.15g} to {spec.highest:.15g}"
        yield f"{name} ({', '.join(kinds)}): {spec.about}  [default: {default}{'; ' * bool(allowed)}{allowed}]"


def _checks() -> list[dict[str, Any]]:
    from harness.checkers import evidence
    from harness.checkers.registry import CHECKERS

    checks = [(name, about) for name, about, *_ in CHECKERS]
    return [{"check": name, "about": about} for name, about in [*checks, (evidence.NAME, evidence.ABOUT)]]


def _situations() -> list[dict[str, Any]]:
    from harness.checkers.situations import SITUATIONS

    return [{"situation": name, "about": about} for name, about in SITUATIONS.items()]
