"""``python -m benchmarks [NAME …] [--quick] [--write-docs]``: measure, print tables, keep the numbers.

A benchmark is a module of this package with ``report(quick, say) -> Report``; the first line of its docstring says what it
measures. One that prints tables of its own instead (``main``, with ``--quick``) is run in a process of its own.
"""

from __future__ import annotations

import ast
import datetime
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from benchmarks.children import ROOT
from benchmarks.measure import Machine, Report, machine
from benchmarks.peers import PeerFailed
from benchmarks.show import page, print_report

FIRST = ("real", "failover", "command_line", "simulator")
"""The order of these; others follow by name."""
RESULTS = Path(__file__).parent / "results" / "latest.json"
DOCS = ROOT / "docs" / "benchmarks.md"


class Result(msgspec.Struct):
    """One benchmark as it was run last."""

    when: str
    """UTC"""
    quick: bool
    machine: Machine
    report: Report


def benchmarks() -> dict[str, str]:
    """Name and first line of every benchmark; nothing is imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py"), key=_place):
        module = ast.parse(path.read_text())
        functions = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
        if functions & {"report", "main"}:
            found[path.stem] = (ast.get_docstring(module) or "").partition("\n")[0]
    return found


def _place(path: Path) -> tuple[int, str]:
    return FIRST.index(path.stem) if path.stem in FIRST else len(FIRST), path.stem


def run(name: str, quick: bool, console: Console) -> Report:
    module: Any = importlib.import_module(f"benchmarks.{name}")
    if hasattr(module, "report"):
        report: Report = module.report(quick, lambda text: console.print(f"  {text}", style="dim", highlight=False))
        return report
    arguments = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
    done = subprocess.run(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise PeerFailed(f"{name} ended with code {done.returncode}")
    return Report((), text=done.stdout)


def load_results() -> dict[str, Result]:
    """What was measured before, by name; empty if nothing was, or in another format."""
    try:
        return msgspec.json.decode(RESULTS.read_bytes(), type=dict[str, Result])
    except (FileNotFoundError, msgspec.ValidationError):
        return {}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Short runs, to see that everything works; no numbers to quote.")
@click.option(
    "--write-docs",
    is_flag=True,
    help="Write the newest result of each benchmark into docs/benchmarks.md; sections without one stay.",
)
@click.option("--list", "list_only", is_flag=True, help="List the benchmarks and end.")
def main(names: tuple[str, ...], quick: bool, write_docs: bool, list_only: bool) -> None:
    """Run the benchmarks NAME (default: all), print their tables and keep the numbers in benchmarks/results/latest.json."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    here = benchmarks()
    if list_only:
        for name in here:
            console.print(f"{name:14} {here[name]}", highlight=False)
        return
    unknown = [name for name in names if name not in here]
    if unknown:
        raise click.UsageError(f"no benchmark {', '.join(map(repr, unknown))}; there are: {', '.join(here)}")
    results = load_results()
    failed = False
    where = machine(Path(tempfile.gettempdir()))
    for name in names or here:
        console.rule(f"{name}: {here[name]}", align="left")
        try:
            report = run(name, quick, console)
        except PeerFailed as error:
            console.print(f"{name} failed: {error}", style="red", highlight=False)
            failed = True
            continue
        print_report(report, console)
        when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
        results[name] = Result(when, quick, where, report)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
    if write_docs:
        before = DOCS.read_text() if DOCS.exists() else ""
        DOCS.write_text(page([(name, about, results.get(name)) for name, about in here.items()], before))
        console.print(f"written: {DOCS.relative_to(ROOT)}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
