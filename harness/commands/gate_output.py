"""What `torture gate` and `torture compare` show and write of what they found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from harness.commands.options import emit
from harness.errors import UserError

if TYPE_CHECKING:
    from reports.gate import GateResult

MARKS = {"PASS": ("✔ PASS", "cyan"), "FAIL": ("✘ FAIL", "magenta"), "INCONCLUSIVE": ("? INCONCLUSIVE", "yellow")}


def finish(result: GateResult, directory: Path, as_json: bool) -> int:
    """Write the reports into ``directory``, print the decision, return the exit code."""
    from reports.gate_text import lines

    try:
        warnings = write(result, directory)
    except UserError as error:
        if result.exit_code == 0:
            raise
        warnings = [str(error)]  # what was found is worse, and must be told
    if as_json:
        emit(
            {
                "verdict": result.verdict,
                "exit_code": result.exit_code,
                "run_directory": None,
                "sentence": result.sentence,
                "reports": str(directory),
                "warnings": warnings,
            }
            | msgspec.to_builtins(result)
        )
        return result.exit_code
    mark, colour = MARKS[result.verdict]
    click.secho(f"{mark}  {result.sentence}", fg=colour, bold=True)
    for line in (*lines(result), *(f"  warning: {warning}" for warning in warnings)):
        click.echo(line)
    click.echo(f"reports    {directory}")
    return result.exit_code


def write(result: GateResult, directory: Path) -> list[str]:
    """gate.json, summary.md, junit.xml and compare.png; what cannot be made becomes a warning. Raises UserError if nothing
    can be written there."""
    from reports.compare_plot import compare_png
    from reports.gate_text import junit_xml, markdown

    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "gate.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    except OSError as error:
        raise UserError(f"cannot write to {directory}: {error.strerror}; choose another place") from error
    warnings = []
    makers: dict[str, Callable[[GateResult], bytes]] = {
        "summary.md": lambda result: markdown(result).encode(),
        "junit.xml": lambda result: junit_xml(result).encode(),
        "compare.png": compare_png,
    }
    for name, make in makers.items():
        try:
            (directory / name).write_bytes(make(result))
        except Exception as error:
            warnings.append(f"{name} could not be written ({type(error).__name__}: {error})")
    return warnings
