"""What a history means: which model it is of, with which first value, and how else it could be meant."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.checkers.formats import edn
from harness.checkers.formats.events import is_transaction
from harness.checkers.linearizability.check import Result, check
from harness.checkers.linearizability.history import UNKNOWN, History, Op, freeze, show_value
from harness.checkers.linearizability.models import MODELS, Counter, Model

COUNTS = Counter.functions - {"read", "add"}
"""What only counters do."""
ANY = "any"
"""As ``init``: the first value is not known."""


def guess_model(history: History) -> str:
    """The model whose functions the history uses, where that and the answers tell it. Raises ValueError if not."""
    every = [*history.ops, *history.failed]
    used = {op.f for op in every}
    if used <= {"read", "write", "txn"} and ("txn" in used or strange_transaction(every) is None):
        return "multi-register"
    if used <= {"read", "write"}:
        if _begins_as_empty_text(every):
            return "text"
        return "versioned-register" if _has_versions(every) else "register"
    if used <= {"read", "write", "cas"}:
        return "versioned-register" if _has_versions(every) else "cas-register"
    answers = [op.result for op in every if op.f == "read" and op.result not in (None, UNKNOWN, ())]
    if used & COUNTS and used <= Counter.functions:
        return "counter"
    if used <= {"read", "add"}:
        return "counter" if answers and all(isinstance(answer, (int, float)) for answer in answers) else "set"
    if used <= {"read", "write", "append"} and answers and all(isinstance(answer, str) for answer in answers):
        return "text"
    for name in ("append-list", "mutex", "kv"):
        if used <= MODELS[name].functions:
            return name
    fitting = [name for name, model in MODELS.items() if used <= model.functions]
    if fitting:
        raise ValueError(f"say which: --model {' or '.join(fitting)}; they all know {', '.join(sorted(used))}")
    raise ValueError(
        f"no model knows all of {', '.join(sorted(used))}; "
        + "; ".join(f"{name}: {', '.join(sorted(model.functions))}" for name, model in MODELS.items())
    )


def strange_transaction(every: list[Op]) -> Op | None:
    """An operation whose answer, or else question, is not ``[[f key value], …]``."""
    for op in every:
        steps = op.value if op.result in (None, UNKNOWN) else op.result
        if not is_transaction(steps) and not (op.pending and steps is None):
            return op
    return None


def _has_versions(every: list[Op]) -> bool:
    """Whether reads are asked with ``[nil nil]``, and all else with ``[nil value]`` (told with a version at the end)."""
    reads = [op.value for op in every if op.f == "read"]
    return (
        bool(reads)
        and all(value == (None, None) for value in reads)
        and all(isinstance(op.value, tuple) and len(op.value) == 2 for op in every)
    )


def _begins_as_empty_text(every: list[Op]) -> bool:
    """Whether all values are texts, and an empty one was read that nobody wrote."""
    values = {op.value for op in every if op.f == "write"} | {
        op.result for op in every if op.f == "read" and op.result not in (None, UNKNOWN)
    }
    return (
        all(isinstance(value, str) for value in values)
        and any(op.f == "read" and op.result == "" for op in every)
        and not any(op.f == "write" and op.value == "" for op in every)
    )


def make_model(name: str, init: Any = None) -> Model:
    """A model by name with a first value. Raises ValueError naming the models there are."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; there are {', '.join(MODELS)}")
    model = MODELS[name]
    if init != ANY:
        return model(init)
    if not model.takes_any_first:
        takers = ", ".join(name for name, model in MODELS.items() if model.takes_any_first)
        raise ValueError(f"the model {name} must begin with a value that is known; any other takes {takers}")
    return model(UNKNOWN)


def parse_init(text: str | None) -> Any:
    """``--init``: JSON, or EDN, or failing both the text itself; ``any``: not known."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        return edn.read_value(text)


def init_of(name: str, init: Any, history: History) -> Any:
    """The first value for a model. Of several registers: one value for all of them, or a map of some; its keys may be written
    as JSON can write them (``x`` also means ``:x``)."""
    if name != "multi-register" or init is None or init == ANY:
        return init
    steps = [step for op in history.ops if isinstance(op.value, tuple) for step in op.value]
    keys = {step[1] for step in steps if isinstance(step, tuple) and len(step) > 1}  # what is no step is told of later
    if not isinstance(init, dict):
        return dict.fromkeys(keys, init)
    written = {str(key).removeprefix(":"): key for key in keys}
    return {key if key in keys else written.get(str(key), key): value for key, value in init.items()}


def other_readings(
    history: History, model: Model, result: Result, *, init_given: bool, steps: int = 200_000
) -> list[str]:
    """How else an illegal history could be meant so that it is legal: advice, no verdict."""
    part = history.only(result.key) if model.keyed else history
    if isinstance(model, Counter) and any(_answers_number(op) for op in part.ops):
        before = History([_answering_before(op) for op in part.ops])
        if check(before, model, steps=steps).legal:
            return ["inc and dec answer what the counter held before"]
    if any(op.f == "read" and op.result is None for op in part.ops):
        loose = History([_loose(op) for op in part.ops])
        if check(loose, model, steps=steps).legal:
            return ["reading nothing means that the value is not known (--nothing unknown)"]
    if init_given or not model.takes_any_first or not check(part, type(model)(UNKNOWN), steps=steps).legal:
        return []
    for value in _first_values(part)[:20]:
        if check(part, type(model)(value), steps=steps).legal:
            return [f"it began with {show_value(value)} (--init)"]
    return ["it began with something else than nothing (--init any)"]


def _answers_number(op: Op) -> bool:
    return op.f in COUNTS and isinstance(op.result, (int, float))


def _answering_before(op: Op) -> Op:
    """The same, where the answer is the number before it was changed."""
    if not _answers_number(op):
        return op
    made = op.result + Counter.signs[op.f] * (1 if op.value is None else op.value)
    return Op(op.index, op.process, op.f, op.key, op.value, made, op.call, op.ret)


def _loose(op: Op) -> Op:
    if op.f != "read" or op.result is not None:
        return op
    return Op(op.index, op.process, op.f, op.key, op.value, UNKNOWN, op.call, op.ret)


def _first_values(history: History) -> list[Any]:
    """Values that were seen, the earliest first."""
    seen: dict[Any, None] = {}
    for op in sorted((op for op in history.ops if not op.pending), key=lambda op: op.ret):
        if op.f == "read":
            seen[freeze(op.result)] = None
        elif op.f == "cas" and isinstance(op.value, tuple) and op.value:
            seen[op.value[0]] = None
        elif op.f == "release":
            seen[True] = None
    return [value for value in seen if value is not UNKNOWN]
