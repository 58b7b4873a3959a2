"""The command line, ``torture``. One module for each command, imported when it is used: ``--help`` answers at once.

Exit codes: 0 pass, 1 a violation, 2 wrong usage or a bad file, 3 inconclusive or not reproduced, 4 worse than the
baseline, 70 the harness broke, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

import click

EXIT_USAGE, EXIT_BROKE, EXIT_INTERRUPTED = 2, 70, 130
EXIT_READER_GONE = 141
"""As if ended by SIGPIPE: whoever read the output (``| head``) had enough of it."""
REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG}
"""What a disk answers that nobody but the user can help: full, write-protected, not his."""

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("harness.commands.run", "Torture a cluster of real processes, judge it and write the report."),
    "simulate": ("harness.commands.simulate", "Run a campaign of simulated schedules over all cores."),
    "replay": ("harness.commands.replay", "Run a plan, or the plan of a run, again: simulated, lockstep or free."),
    "shrink": ("harness.commands.shrink", "Find the smallest plan that still breaks the same rule."),
    "check": ("harness.commands.check", "Judge a recorded run again, or a history of another tool."),
    "report": ("harness.commands.report", "Write the report of a run again."),
    "list": ("harness.commands.list", "List runs, strategies, planted bugs, faults, targets, checks or situations."),
    "matrix": ("harness.commands.matrix", "Measure which planted bugs are found, and how fast."),
    "gate": ("harness.commands.gate", "Compare this code with the baseline, in virtual time; fail if it is worse."),
    "compare": ("harness.commands.compare", "Compare two revisions, or what was recorded of them."),
    "doctor": ("harness.commands.doctor", "Tell what this machine can do."),
}


class ReaderGone(Exception):
    """Nobody reads standard output any more."""


class LazyGroup(click.Group):
    """Imports a command when it is called; suggests names for unknown ones."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error  # click would end with 1, which says that a violation was found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if not close:
                raise
            raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 pass, 1 violation, 2 usage, 3 inconclusive, 4 regression, 70 harness broke, 130 interrupted.",
)
@click.version_option(package_name="paxos-torture", prog_name="torture")
def torture() -> None:
    """Find bugs in consensus: one fault plan drives a simulator and real processes alike.

    Start with `torture run` (real processes, a good minute) or `torture simulate --for 30s`.
    """


def main(args: list[str] | None = None) -> None:
    """Run the command line; never shows a traceback for a mistake of the user. With ``--json`` an error is an object too."""
    words = sys.argv[1:] if args is None else args
    try:
        with _terminated_as_interrupted():
            colour = False if os.environ.get("NO_COLOR") else None  # None: if a terminal reads it
            code: Any = torture.main(words, prog_name="torture", standalone_mode=False, color=colour)
            if sys.stdout is not None:
                sys.stdout.flush()
    except (ReaderGone, BrokenPipeError):
        _say_no_more()
        sys.exit(EXIT_READER_GONE)
    except (Exception, KeyboardInterrupt) as error:
        code = _code_of(error)
        try:
            _explain(error, code)
            if "--json" in words:
                from harness.commands.options import emit

                verdict = "ERROR" if code == EXIT_BROKE else None
                emit({"verdict": verdict, "exit_code": code, "run_directory": None, "error": _text_of(error)})
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError:  # nobody can be told; the code stands, which must not become the 1 of a violation
            _say_no_more()
    sys.exit(code if isinstance(code, int) else 0)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """While on, SIGTERM (a build server that cancels) does what Ctrl-C does: what there is is kept and told."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _say_no_more() -> None:
    """What is still in the buffers would fail once more at the exit, and change the exit code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):  # a stream without a descriptor has nothing to fail with
                os.dup2(nowhere, stream.fileno())


def _code_of(error: BaseException) -> int:
    from harness.errors import UserError

    if isinstance(error, click.exceptions.Abort | KeyboardInterrupt):
        return EXIT_INTERRUPTED
    if isinstance(error, click.ClickException | UserError) or is_users_mistake(error) or _refusal(error):
        return EXIT_USAGE
    return EXIT_BROKE


def _explain(error: BaseException, code: int) -> None:
    """Say on standard error what went wrong."""
    from harness.errors import HarnessFault

    if isinstance(error, click.ClickException):
        error.show()
    elif code == EXIT_INTERRUPTED:
        click.echo("interrupted", err=True)
    elif code == EXIT_USAGE:
        click.echo(f"torture: {_text_of(error)}", err=True)
    elif isinstance(error, HarnessFault):
        click.echo(f"torture: the harness broke: {error}", err=True)
    else:
        import traceback

        traceback.print_exception(error)
        click.echo(
            "torture: the harness broke (see above); please report it with the command line and the plan", err=True
        )


def _text_of(error: BaseException) -> str:
    if isinstance(error, click.exceptions.Abort | KeyboardInterrupt):
        return "interrupted"
    text = error.format_message() if isinstance(error, click.ClickException) else _refusal(error) or str(error)
    return text or type(error).__name__


def _refusal(error: BaseException) -> str:
    """What the disk refused, and what to do about it; empty if the error is another one."""
    if not isinstance(error, OSError) or error.errno not in REFUSALS:
        return ""
    where = f"{error.filename}: " if error.filename else "output could not be written: "
    return f"{where}{error.strerror}; make room, or choose another place"


def is_users_mistake(error: BaseException) -> bool:
    """The packages below know nothing of the command line; these are their words for a mistake of the user."""
    names = {"PlanError", "TriggerError", "UnknownStrategy", "MutantError", "HistoryError"}
    return any(base.__name__ in names for base in type(error).__mro__)
