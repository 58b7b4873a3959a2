"""`torture doctor`: what this machine can do."""

from __future__ import annotations

import click
import msgspec

from harness.commands.options import emit, json_option


@click.command()
@json_option
def command(as_json: bool) -> int:
    """Probe what the harness needs of this machine, and say what would be missing without it."""
    from harness.doctor import examine

    findings = examine()
    usable = all(finding.ok or not finding.required for finding in findings)
    if as_json:
        emit(
            {
                "verdict": "PASS" if usable else "FAIL",
                "exit_code": 0 if usable else 1,
                "run_directory": None,
                "findings": msgspec.to_builtins(findings),
            }
        )
    else:
        for finding in findings:
            mark, colour = ("✔", "cyan") if finding.ok else ("✘" if finding.required else "–", "magenta")
            click.secho(f"{mark} {finding.name:28}", fg=colour, nl=False)
            click.echo(f" {finding.what}")
    return 0 if usable else 1
