"""``python -m harness.cli_reference``: write docs/commands.md, the reference of the command line, of the commands."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import COMMANDS, torture

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
WIDTH = 110
EXIT_CODES = """\
## Exit codes

| code | run, check, simulate, replay | shrink | matrix | gate, compare |
|---|---|---|---|---|
| 0 | pass (replay: same verdict and digest as recorded) | a smaller or minimal plan still fails | all as recorded | not worse |
| 1 | a violation (outranks an interrupt) | | a planted bug survives its budget, or the unmodified code fails | a violation |
| 2 | wrong usage, bad file, missing directory, full disk | same | same | same |
| 3 | inconclusive (replay: not reproduced) | the plan does not fail | cannot tell | cannot tell |
| 4 | | | | worse than the base in a hard metric |
| 70 | the harness broke, or two replays differ | same | same | same |
| 130 | interrupted (Ctrl-C, SIGTERM) | same | same | same |
| 141 | whoever read the output went away (`\\| head`) | same | same | same |

With `--json` a command prints one JSON object on standard output and nothing else; every object has `verdict`, `exit_code` and
`run_directory`. Messages about mistakes go to standard error.
"""


def reference() -> str:
    """The whole page."""
    parts = [
        "# Commands\n\nWritten by `python -m harness.cli_reference` from the commands themselves; do not edit.\n",
        _block(torture, "torture"),
    ]
    context = click.Context(torture, info_name="torture")
    for name in COMMANDS:
        command = torture.get_command(context, name)
        assert command is not None
        parts.append(f"## torture {name}\n\n{_block(command, f'torture {name}')}")
    parts.append(EXIT_CODES)
    return "\n".join(parts)


def _block(command: click.Command, path: str) -> str:
    context = click.Context(command, info_name=path, terminal_width=WIDTH, help_option_names=["-h", "--help"])
    return f"```\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(reference())
    print(f"written: {PAGE}")
