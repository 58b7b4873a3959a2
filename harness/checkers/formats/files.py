"""``torture check FILE``: read a history of any format and judge it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.checkers.formats import edn, jepsen_log, native
from harness.checkers.formats.events import Event, Fails, FormatError, Nothing, collect
from harness.checkers.linearizability.check import Engine, check, find_mistake
from harness.checkers.linearizability.history import UNKNOWN, History, freeze
from harness.checkers.linearizability.models import MODELS, Model
from harness.checkers.linearizability.outcome import to_check_result
from harness.checkers.linearizability.search import DEFAULT_CONFIGURATIONS, DEFAULT_STEPS
from harness.checkers.linearizability.shrink import condensed
from harness.results import CheckResult

Format = Literal["auto", "native", "edn", "jepsen-log"]
FORMATS = ("native", "edn", "jepsen-log")
ANY = "any"
"""As ``init``: the first value is not known."""


LOOK_AT = 200
"""Events that are looked at to tell whether values bear keys."""


def values_bear_keys(events: Sequence[Event]) -> bool:
    """Whether these values can only be ``[key value]``: all are pairs, and reads are *asked* with one that holds nothing."""
    pairs = all(isinstance(event.value, tuple) and len(event.value) == 2 and event.key is None for event in events)
    asked = [event for event in events if event.type == "invoke" and event.f == "read"]
    return pairs and bool(asked) and all(event.value[1] is None for event in asked)


def sniff(path: Path) -> Format:
    """The format of a file, by its first line that is not empty. Raises FormatError if it looks like none."""
    with path.open("rb") as file:
        for number, line in enumerate(itertools.islice(file, 1000), 1):
            text = line[:2000].strip()
            if not text or text.startswith(b";"):
                continue
            if text.startswith(b"{") and text[1:].lstrip().startswith(b'"'):
                return "native"
            if b":invoke" in text and not text.startswith((b"{", b"[", b"(", b"#")):
                return "jepsen-log"
            if text.startswith((b"{", b"[", b"(", b"#")):
                return "edn"
            if b"jepsen" in text or b"INFO" in text:
                return "jepsen-log"
            raise FormatError(path, number, f"expected a history ({', '.join(FORMATS)}), found {text[:60]!r}")
    raise FormatError(path, 1, f"the file is empty; expected a history ({', '.join(FORMATS)})")


def read_history(
    path: Path,
    *,
    format: Format = "auto",
    key_field: str | None = None,
    fails: Fails | None = None,
    nothing: Nothing = "strict",
) -> History:
    """The operations in a file.

    ``key_field``: the field that holds the key; ``value``: each value is ``[key value]``; None: ``key`` if there is one.
    ``fails``: what a failed compare-and-set means; by default what the format means by it. Raises FormatError, OSError.
    """
    kind = sniff(path) if format == "auto" else format
    notes: list[str] = []
    key_in_value = key_field == "value"
    field = None if key_in_value else key_field
    default: Fails = "did-not-happen"
    with path.open("rb") as file:
        if kind == "native":
            events = native.events(file, path, notes, field)
        elif kind == "edn":
            events = edn.events(file, path, notes, field)
        else:
            events, default = jepsen_log.events(file, path, notes), "differed"
        first = list(itertools.islice(events, LOOK_AT))
        if not first:
            raise FormatError(path, 1, f"no operation of a client in it (read as {kind})")
        times = kind == "native" and first[0].time is not None
        if key_field is None and values_bear_keys(first):
            key_in_value = True
            notes.append(
                "every value is [key value], as in Jepsen's independent tests; read so (--key-field names another)"
            )
        history = collect(
            itertools.chain(first, events),
            path,
            fails=fails or default,
            nothing=nothing,
            times=times,
            key_in_value=key_in_value,
        )
    history.notes = notes + history.notes
    return history


def guess_model(history: History) -> str:
    """The model whose functions the history uses."""
    used = {op.f for op in history.ops} | {op.f for op in history.failed}
    for name in ("register", "cas-register", "append-list", "set", "mutex", "multi-register", "kv"):
        if used <= MODELS[name].functions:
            return name
    raise ValueError(
        f"no model knows all of {', '.join(sorted(used))}; "
        + "; ".join(f"{name}: {', '.join(sorted(model.functions))}" for name, model in MODELS.items())
    )


def make_model(name: str, init: Any = None) -> Model:
    """A model by name with a first value. Raises ValueError naming the models there are."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; there are {', '.join(MODELS)}")
    model = MODELS[name]
    if init == ANY:
        unknown: Model = model(None)  # type: ignore[call-arg]
        unknown.init = UNKNOWN
        return unknown
    return model(init)  # type: ignore[call-arg]


def parse_init(text: str | None) -> Any:
    """``--init``: JSON or, failing that, the text itself; ``any``: not known."""
    if text is None:
        return None
    if text in ("nil", "null"):
        return None
    try:
        return freeze(msgspec.json.decode(text.encode()))
    except msgspec.DecodeError:
        return text


def check_file(
    path: Path,
    *,
    format: Format = "auto",
    model: str = "auto",
    init: Any = None,
    key_field: str | None = None,
    fails: Fails | None = None,
    nothing: Nothing = "strict",
    engine: Engine = "auto",
    steps: int = DEFAULT_STEPS,
    configurations: int = DEFAULT_CONFIGURATIONS,
) -> CheckResult:
    """Is the history in a file linearizable? PASS, FAIL with the operations that force it, or INCONCLUSIVE.

    ``init``: the first value of every key; ``ANY``: not known. Raises FormatError or OSError for a file that cannot be
    read, ValueError for a model that is unknown or does not know the history's functions.
    """
    history = read_history(path, format=format, key_field=key_field, fails=fails, nothing=nothing)
    chosen = make_model(guess_model(history) if model == "auto" else model, init)
    if chosen.functions:
        strange = {op.f for op in history.ops} - chosen.functions
        if strange:
            raise ValueError(
                f"the model {chosen.name} does not know {', '.join(sorted(strange))}; "
                f"it knows {', '.join(sorted(chosen.functions))}"
            )
    result = check(history, chosen, engine=engine, steps=steps, configurations=configurations)
    if result.legal is False:
        result = condensed(history, chosen, result)
        result.mistake = find_mistake(history, chosen, result)
    return to_check_result(result, history, chosen)
