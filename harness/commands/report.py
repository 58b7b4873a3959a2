"""`torture report`: write the report of a run again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import emit, json_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path), default=Path("store/latest"))
@json_option
def command(run: Path, as_json: bool) -> int:
    """Draw the pictures and pages of a run directory (default: store/latest) from what stands in it. Nothing is judged anew."""
    from harness.judgement import judge_run, render
    from harness.results import read_results
    from harness.store import find_run

    directory = find_run(run)
    results = read_results(directory) if (directory / "results.json").is_file() else judge_run(directory)
    warnings = render(directory)
    if as_json:
        emit(
            {
                "verdict": results.verdict,
                "exit_code": 0,
                "run_directory": str(directory),
                "report": str(directory / "report.html"),
                "warnings": warnings,
            }
        )
        return 0
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(directory / "report.html")
    return 0
