"""`torture report`: write the report of a run or a campaign again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import emit, json_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path), default=Path("store/latest"))
@click.option(
    "--baseline", type=click.Path(path_type=Path), metavar="RUN", help="Another run to compare with, side by side."
)
@json_option
def command(run: Path, baseline: Path | None, as_json: bool) -> int:
    """Draw the pages of a run or a campaign (default: store/latest) from what stands there. Nothing is judged anew.

    The file of a kill matrix, such as docs/kill-matrix.json, becomes a page beside it.
    """
    from harness.judgement import judge_run, render, render_campaign
    from harness.results import read_results
    from harness.store import find_run

    if run.is_file() and run.suffix == ".json":
        from harness.kill_matrix_page import write_page
        from harness.matrix_record import read_recorded

        return _told(as_json, None, run.parent, write_page(read_recorded(run).rows, run.with_suffix(".html")), [])
    if (run / "campaign.json").is_file():
        return _told(as_json, None, run, run / "report.html", render_campaign(run, sorted(run.glob("failure-*"))))
    directory = find_run(run)
    results = read_results(directory) if (directory / "results.json").is_file() else judge_run(directory)
    warnings = render(directory, None if baseline is None else find_run(baseline))
    return _told(as_json, results.verdict, directory, directory / "report.html", warnings)


def _told(as_json: bool, verdict: str | None, directory: Path, page: Path, warnings: list[str]) -> int:
    if as_json:
        emit(
            {
                "verdict": verdict,
                "exit_code": 0,
                "run_directory": str(directory),
                "report": str(page),
                "warnings": warnings,
            }
        )
        return 0
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(page)
    return 0
