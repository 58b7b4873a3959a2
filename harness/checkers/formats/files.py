"""``torture check FILE``: read a history of any format and judge it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from harness.checkers.formats import edn, jepsen_log, native
from harness.checkers.formats.events import Event, Fails, FormatError, Nothing, collect, of_one_client
from harness.checkers.formats.meaning import guess_model, init_of, make_model, other_readings, strange_transaction
from harness.checkers.linearizability.check import Engine, Result, check, find_mistake
from harness.checkers.linearizability.history import History, show
from harness.checkers.linearizability.outcome import to_check_result
from harness.checkers.linearizability.search import DEFAULT_CONFIGURATIONS, DEFAULT_STEPS
from harness.checkers.linearizability.shrink import condensed
from harness.results import CheckResult

Format = Literal["auto", "native", "edn", "jepsen-log"]
FORMATS = ("native", "edn", "jepsen-log")

GZIP = b"\x1f\x8b"
"""A compressed file begins with it."""

LOOK_AT = 200
"""Events that are looked at to tell whether values bear keys; more, if nothing is asked in them (see ``begin``)."""
_ASKING = frozenset({"read", "dequeue", "acquire", "release"})
"""Functions that are asked with no value."""
_TELLING = _ASKING | {"cas", "txn"}
"""Functions whose invocations tell whether values bear keys."""
_NO_VALUE = (None, (None, None))


def values_bear_keys(events: Sequence[Event]) -> bool:
    """Whether these values can only be ``[key value]``: all that is asked are pairs, reads with a pair that holds nothing, or
    else compare-and-sets with ``[key [expected new]]`` or ``[key expected new]``."""
    asked = [event for event in events if event.type == "invoke"]
    if not all(map(_may_bear_key, asked)):
        return False
    plain = [event.value for event in asked if event.f in _ASKING]
    if plain:
        return all(value in _NO_VALUE for _, value in plain)
    sets = [event.value for event in asked if event.f == "cas"]
    return bool(sets) and all(
        not isinstance(key, tuple) and (len(rest) == 2 or (isinstance(rest[0], tuple) and len(rest[0]) == 2))
        for key, *rest in sets
    )


def _may_bear_key(event: Event) -> bool:
    value = event.value
    if not isinstance(value, tuple) or event.key is not None:
        return False
    return (len(value) == 2 or (len(value) == 3 and event.f == "cas")) and value[0] is not None


def begin(events: Iterator[Event]) -> list[Event]:
    """The events that tell whether values bear keys: the first ones, and if these could be ``[key value]`` but nothing is
    asked in them, all up to the first that asks (a test of sets may read only at its end)."""
    first = list(itertools.islice(events, LOOK_AT))
    asked = [event for event in first if event.type == "invoke"]
    if all(_may_bear_key(event) and event.f not in _TELLING for event in asked):
        for event in events:
            first.append(event)
            if event.type == "invoke" and (event.f in _TELLING or not _may_bear_key(event)):
                break
    return first


LOOK_INTO = 1 << 16
_JSON = re.compile(rb'(?:\xef\xbb\xbf)?[\s,\[{]*"(?:[^"\\]|\\.)*"\s*:\s*(?=["\d\[{-]|true|false|null)', re.DOTALL)
"""How a text of JSON begins: with the name of a field, in quotation marks and with a colon behind it."""


def sniff(path: Path) -> Format:
    """The format of a file, by its first line that tells. Raises FormatError if none of the first thousand does."""
    other: tuple[int, bytes] | None = None
    with path.open("rb") as file:
        if _JSON.match(file.read(LOOK_INTO)):
            return "native"
        file.seek(0)
        for number, line in enumerate(itertools.islice(file, 1000), 1):
            text = line[:2000].strip().removeprefix(b"\xef\xbb\xbf")
            if not text or text.startswith(b";"):
                continue
            if other is None:
                if text.startswith((b"{", b"[", b"(", b"#")) and not jepsen_log.LINE.search(
                    text.decode(errors="replace")
                ):
                    return "edn"
                other = (number, text)
            if b"jepsen" in text or jepsen_log.LINE.search(text.decode(errors="replace")):
                return "jepsen-log"
    if other is None:
        raise FormatError(path, 1, f"the file is empty; expected a history ({', '.join(FORMATS)})")
    packed = "; unpack it first: zcat FILE | torture check -" if other[1].startswith(GZIP) else ""
    raise FormatError(path, other[0], f"expected a history ({', '.join(FORMATS)}), found {other[1][:60]!r}{packed}")


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
            events = of_one_client(native.events(file, path, notes, field), path, notes)
        elif kind == "edn":
            events = of_one_client(edn.events(file, path, notes, field), path, notes)
        else:
            events, default = jepsen_log.events(file, path, notes), "differed"
        first = begin(events)
        if not first and (notes or kind == "jepsen-log"):
            raise FormatError(path, 1, f"no operation of a client in it (read as {kind})")
        times = kind == "native" and bool(first) and first[0].time is not None
        if key_field is None and first and values_bear_keys(first):
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
            completed_value=kind != "native",
        )
    if field and first and all(op.key is None for op in (*history.ops, *history.failed)):
        # Taken for one key, the operations of many would hardly ever be legal.
        raise FormatError(path, 1, f"no operation has a field {field!r} that could hold its key (read as {kind})")
    history.notes = notes + history.notes
    return history


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
    if not history.ops and not history.failed:
        chosen = make_model("register" if model == "auto" else model)
        sentence = "no operation of a client in it: nothing was judged"
        return to_check_result(Result(None, sentence, "none"), history, chosen)
    name = guess_model(history) if model == "auto" else model
    chosen = make_model(name, init_of(name, init, history))
    if chosen.functions:
        strange = {op.f for op in history.ops} - chosen.functions
        if strange:
            raise ValueError(
                f"the model {chosen.name} does not know {', '.join(sorted(strange))}; "
                f"it knows {', '.join(sorted(chosen.functions))}"
            )
    if name == "multi-register" and (odd := strange_transaction(history.ops)) is not None:
        raise ValueError(
            f"operation {odd.index}: the model multi-register expects the value [[f key value], …] "
            f"with r, w or append as f, found {show(odd)}"
        )
    result = check(history, chosen, engine=engine, steps=steps, configurations=configurations)
    details: dict[str, Any] = {}
    if result.legal is False:
        result = condensed(history, chosen, result)
        result.mistake = find_mistake(history, chosen, result)
        readings = other_readings(history, chosen, result, init_given=init is not None)
        if readings:
            details["legal_if"] = readings
    if model == "auto":
        result.stats["model_guessed"] = True
    return to_check_result(result, history, chosen, details)
