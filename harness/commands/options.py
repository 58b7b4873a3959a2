"""Options and output that several commands share."""

from __future__ import annotations

import contextlib
import difflib
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from harness.errors import UserError

if TYPE_CHECKING:
    from nemesis.plan import Plan

LOAD_S = 10.0
JOBS_MAX = 1024
Function = TypeVar("Function", bound=Callable[..., Any])

_kept: int | None = None
"""A descriptor of standard output, while nothing but a JSON object may go there."""

_UNITS = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000, "": 1_000_000_000}


class Duration(click.ParamType[int]):
    """A length of time: 500ms, 60s, 2m, 1h; a bare number is seconds; more than none, a week at most. Nanoseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no length of time; write 500ms, 60s, 2m or 1h", param, ctx)
        length_ns = int(float(match[1]) * _UNITS[match[2]])
        if length_ns <= 0:
            self.fail(f"{value!r} is no time at all; write 500ms, 60s, 2m or 1h", param, ctx)
        from nemesis.checks import LONGEST_NS

        if length_ns > LONGEST_NS:
            self.fail(f"{value!r} is more than a week; write 500ms, 60s, 2m or 1h", param, ctx)
        return length_ns


class Rate(click.FloatRange):
    """A number of times a second: finite, and not negative."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        rate = super().convert(value, param, ctx)
        if not math.isfinite(rate):
            self.fail(f"{value!r} is no number that can be counted; 0 means as fast as they are answered", param, ctx)
        return rate


class Choice(click.Choice[str]):
    """One of the few words that the help shows, with a suggestion for a near miss."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        close = difflib.get_close_matches(str(value), self.choices, n=1)
        if close and value not in self.choices:
            there_are = ", ".join(map(repr, self.choices))
            self.fail(f"{value!r} is not one of {there_are}; did you mean {close[0]!r}?", param, ctx)
        return super().convert(value, param, ctx)


class Name(click.ParamType[str]):
    """One of a few names, with a suggestion for a near miss."""

    name = "name"

    def __init__(self, what: str, names: Callable[[], list[str]]) -> None:
        self.what = what
        self.names = names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        names = self.names()
        if value not in names:
            close = difflib.get_close_matches(str(value), names, n=1)
            close = close or [name for name in names if value and name.startswith(str(value))]
            hint = f"; did you mean {close[0]!r}?" if close else "."
            self.fail(f"unknown {self.what} {value!r}{hint} There are: {', '.join(names)}", param, ctx)
        return str(value)


def strategy_names() -> list[str]:
    from nemesis.strategies import STRATEGIES

    return list(STRATEGIES)


def json_option(function: Function) -> Function:
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        callback=_nothing_else,
        help="One JSON object on standard output, nothing else.",
    )(function)


def _nothing_else(context: click.Context, parameter: click.Parameter, asked: bool) -> bool:
    if asked and sys.stdout is not None and sys.stdout is sys.__stdout__:  # else there is no descriptor behind it
        context.with_resource(_standard_output_kept())
    return asked


@contextlib.contextmanager
def _standard_output_kept() -> Iterator[None]:
    """While on, what anybody prints (tested code, also in another process) goes to standard error; ``emit`` alone writes to
    standard output."""
    global _kept
    out = sys.stdout.fileno()
    sys.stdout.flush()
    _kept = os.dup(out)
    try:
        if sys.stderr is None:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), out)
        else:
            os.dup2(sys.stderr.fileno(), out)
        yield
    finally:
        kept, _kept = _kept, None
        with contextlib.suppress(OSError):  # standard error may be full, or nobody reads it: the object was told
            sys.stdout.flush()
        os.dup2(kept, out)
        os.close(kept)


def store_option(function: Function) -> Function:
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("store"),
        show_default=True,
        help="Where run directories are kept.",
    )(function)


def mutant_option(function: Function) -> Function:
    return click.option(
        "--mutant",
        metavar="ID",
        help="Plant this bug first: an id of `torture list mutants`, A+B for a pair, or FILE.py:ID.",
    )(function)


def deployment_option(function: Function) -> Function:
    return click.option(
        "--deployment",
        type=Choice(["collapsed", "classic"]),
        help="collapsed: every process plays all roles; classic: each role a process.",
    )(function)


def jobs_option(default: int | None, default_text: str = "", note: str = "") -> Callable[[Function], Function]:
    return click.option(
        "--jobs",
        type=click.IntRange(1, JOBS_MAX),
        default=default,
        show_default=default is not None,
        help=f"Worker processes{note}." + (f"  [default: {default_text}]" if default_text else ""),
    )


def asked_for(*names: str) -> list[str]:
    """Those of these parameters of the running command that stood on the command line, as they are written there."""
    context = click.get_current_context()
    given = [
        parameter
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    return [parameter.opts[0] for parameter in given]


def only_with(option: str, given: bool, *names: str) -> None:
    """Options that mean something together with another one only are refused without it, not ignored."""
    lonely = [] if given else asked_for(*names)
    if lonely:
        raise click.UsageError(f"{', '.join(lonely)}: only with {option}")


def plant_of(mutant: str | None) -> Any:
    """The planted bug as a plan carries it: id, hash of its source, the texts of files. None if none is asked for."""
    if mutant is None:
        return None
    from nemesis.plan import Plant
    from paxos_impl.mutants.registry import files_of, find, hash_of, held

    with loading(mutant), held([mutant]):
        return Plant(mutant, hash_of(find(mutant)), files_of(mutant))


def note_changes(plan: Plan) -> None:
    """Say so if a file of planted bugs is not any more what it was when the plan was made."""
    if plan.mutant is None:
        return
    for path, text in plan.mutant.texts.items():
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if Path(path).read_text() != text:
                what = f"note: {path} is not what it was: the bug is run as the plan has it"
                click.echo(f"{what}; --mutant {plan.mutant.id} plants it anew", err=True)


@contextlib.contextmanager
def loading(what: str) -> Iterator[None]:
    """A file of planted bugs is code: that it loops for ever must become a message."""
    from harness.time_limit import Hang, time_limit

    try:
        with time_limit(LOAD_S):
            yield
    except Hang as hang:
        raise UserError(
            f"{what} could not be loaded within {LOAD_S:g} s; what stands outside its classes must end"
        ) from hang


def emit(data: Any) -> None:
    """One JSON object on standard output."""
    line = msgspec.json.encode(data) + b"\n"
    if _kept is None:
        click.echo(line.decode(), nl=False)
    while _kept is not None and line:
        line = line[os.write(_kept, line) :]
