"""`torture check`: judge what was recorded, by this harness or by another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import Choice, Name, emit, json_option
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.results import CheckResult

_UNASKED = (None, "auto", "strict")
"""What the options on histories hold as long as nobody asks for something."""


def _models() -> list[str]:
    from harness.checkers.linearizability.models import MODELS

    return ["auto", *MODELS]


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("store/latest"), metavar="[RUN|FILE|-]")
@click.option(
    "--format",
    type=Choice(["auto", "native", "edn", "jepsen-log"]),
    default="auto",
    show_default=True,
    help="Of a history; auto: by its name and content.",
)
@click.option(
    "--model", type=Name("model", _models), default="auto", show_default=True, help="What the operations should mean."
)
@click.option(
    "--init", metavar="VALUE", help="First value of every key, as JSON or EDN; any: not known.  [default: nothing]"
)
@click.option("--key-field", metavar="FIELD", help="Field that holds the key; value: each value is [key value].")
@click.option(
    "--fails",
    type=Choice(["did-not-happen", "differed"]),
    help="What a failed compare-and-set means.  [default: by the format]",
)
@click.option(
    "--nothing",
    type=Choice(["strict", "unknown"]),
    default="strict",
    show_default=True,
    help="Reading nothing: the key holds nothing, or the value is not known.",
)
@click.option("--steps", type=click.IntRange(1), help="Budget of the search; spent, the verdict is INCONCLUSIVE.")
@click.option(
    "--export",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a run's history as FILE.edn or FILE.jsonl.",
)
@json_option
def command(path: Path, as_json: bool, export: Path | None, **options: Any) -> int:
    """Judge a run (default: store/latest) from its directory alone, years later if need be, or another tool's history.

    Histories: Jepsen's history.edn, the text of Jepsen's logs, or JSON lines (docs/native-history.schema.json); - is the
    standard input.
    """
    stream = str(path) == "-" or path.is_fifo()
    if stream or (path.is_file() and path.name != "plan.json"):
        if export is not None:
            raise UserError(f"--export writes the history of a run; {path} is a history already")
        return (_check_stream if stream else _check_file)(path, as_json, options)
    if path.suffix in (".edn", ".log", ".txt", ".json", ".jsonl") and not path.exists():
        raise UserError(f"no such file: {path}")
    from harness.commands.run import print_verdict, summary
    from harness.judgement import judge_run, render
    from harness.store import find_run

    directory = find_run(path)
    unused = [f"--{name.replace('_', '-')}" for name, value in options.items() if value not in _UNASKED]
    if unused:
        raise UserError(
            f"{', '.join(unused)}: only for the history of another tool; what a run means stands in its plan"
        )
    if export is not None:
        _export(directory, export)
    warnings: list[str] = []
    results = judge_run(directory, warnings)
    warnings += render(directory)
    if as_json:
        emit(summary(results, directory) | {"warnings": warnings})
    else:
        print_verdict(results, directory, warnings)
    return results.exit_code


def _check_stream(path: Path, as_json: bool, options: dict[str, Any]) -> int:
    """What comes through a pipe: a history is looked at twice, so it is kept in a file meanwhile."""
    import shutil
    import sys
    import tempfile

    with tempfile.TemporaryDirectory(prefix="torture-") as directory:
        kept = Path(directory) / "stdin"
        with kept.open("wb") as target:
            if str(path) == "-":
                if sys.stdin is None:
                    raise UserError("the standard input is closed; name a file, or pipe a history into it")
                shutil.copyfileobj(sys.stdin.buffer, target)
            else:
                with path.open("rb") as source:
                    shutil.copyfileobj(source, target)
        return _check_file(kept, as_json, options, "standard input" if str(path) == "-" else str(path))


def _check_file(path: Path, as_json: bool, options: dict[str, Any], name: str = "") -> int:
    """``name``: what the user knows the file by, if it is not its path."""
    import msgspec

    from harness.checkers.formats.files import check_file
    from harness.checkers.formats.meaning import parse_init
    from harness.results import EXIT_CODES

    steps = options.pop("steps")
    init = parse_init(options.pop("init"))
    try:
        result = check_file(path, init=init, **options, **({} if steps is None else {"steps": steps}))
    except ValueError as error:
        raise UserError(str(error).replace(str(path), name or str(path))) from error
    except OSError as error:
        raise UserError(f"cannot read {name or path}: {error.strerror}") from error
    code = EXIT_CODES[result.verdict]
    if as_json:
        emit({"verdict": result.verdict, "exit_code": code, "run_directory": None} | msgspec.to_builtins(result))
    else:
        _print(result)
    return code


def _print(result: CheckResult) -> None:
    from harness.commands.run import MARKS

    mark, colour = MARKS[result.verdict]
    click.secho(f"{mark} {result.verdict}  {result.summary}", fg=colour, bold=True)
    for violation in result.violations:
        for operation in violation.operations:
            click.echo(f"  {_operation(operation)}")
        mistake = violation.details.get("probable_client_mistake")
        for reason in violation.because:
            if reason != mistake:
                click.echo(f"  because {reason}")
        for name, value in violation.details.items():
            if name == "possible_states":
                continue  # the reasons go through them
            for one in value if isinstance(value, list) else [value]:
                told = _operation(one) if isinstance(one, dict) and "process" in one else one
                click.echo(f"  {name.replace('_', ' ')}: {told}")
    for note in result.stats.get("notes", ()):
        click.echo(f"  note: {note}")
    guessed = " (by what it does; --model names another)" if result.stats.get("model_guessed") else ""
    click.echo(f"  model {result.stats.get('model')}{guessed}, engine {result.stats.get('engine')}")


def _operation(operation: dict[str, Any]) -> str:
    """One line: where it stands in the history, who asked for what and when, and the answer."""
    from harness.checkers.linearizability.history import freeze, show_value
    from harness.record import client_name

    key = "" if operation["key"] is None else f" {operation['key']}"
    value, result, ret = operation["value"], operation["result"], operation["ret"]
    asked = "" if value is None else f" {show_value(freeze(value))}"
    if ret is None:
        answer = f"no answer, called at {operation['call']}"
    else:
        answer = f"from {operation['call']} to {ret}"
        if result == "unknown" and operation["f"] != "append":
            answer = f"reported as failed, {answer}"
        if operation["f"] in ("read", "txn", "dequeue"):
            answer = f"-> {show_value(freeze(result))}, {answer}"
        elif operation["f"] == "cas" and result != "unknown" and not result[0]:
            answer = f"failed, found {show_value(freeze(result[1]))}, {answer}"
    client = client_name(operation["process"])
    return f"[{operation['index']}] client {client}: {operation['f']}{key}{asked}  {answer}"


def _export(directory: Path, target: Path) -> None:
    from harness.checkers.formats.export import write_edn, write_native
    from harness.checkers.model import LOCAL_READ
    from harness.record import RecordedRun

    # Local reads may be old by design: a checker of linearizability has no use for them.
    history = [operation for operation in RecordedRun(directory).history() if operation.f != LOCAL_READ]
    writers = {".edn": write_edn, ".jsonl": write_native}
    writer = writers.get(target.suffix)
    if writer is None:
        raise UserError(f"--export {target}: the name must end in .edn (for Jepsen's tools) or .jsonl (native)")
    try:
        writer(target, history)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}") from error
