"""`torture check`: judge again what was recorded."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import emit, json_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path), default=Path("store/latest"))
@json_option
def command(run: Path, as_json: bool) -> int:
    """Judge a run from its directory alone, years later if need be. The report is written again too."""
    from harness.commands.run import print_verdict, summary
    from harness.judgement import judge_run, render
    from harness.store import find_run

    directory = find_run(run)
    results = judge_run(directory)
    warnings = render(directory)
    if as_json:
        emit(summary(results, directory) | {"warnings": warnings})
    else:
        print_verdict(results, directory, warnings)
    return results.exit_code
