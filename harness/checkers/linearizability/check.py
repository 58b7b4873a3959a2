"""One call for all: is this history linearizable?

``check(history, model)`` picks the engine by what the history allows. Registers (also with compare-and-set, deletes with
identity, append-only lists, texts) whose values are unambiguous go to the *zones*, all keys in one pass; sets that only grow
to the *levels*. Of transactions, each register is judged alone first, by the zones. What is left goes key by key, the
smallest first, to the *search*, which ends at the first key that has no legal order or when its budget is spent. One more
engine, the *witness*, needs a decided log and has a call of its own (``witness.check_witness``).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from harness.checkers.linearizability import explain
from harness.checkers.linearizability.encode import Direct, Encoded, encode
from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op, by_key, show
from harness.checkers.linearizability.levels import check_set
from harness.checkers.linearizability.models import (
    AppendList,
    CasRegister,
    KeyValue,
    Model,
    MultiRegister,
    Register,
    SetModel,
    Text,
)
from harness.checkers.linearizability.projection import lost_append, projections, without_unread
from harness.checkers.linearizability.search import DEFAULT_CONFIGURATIONS, DEFAULT_STEPS, SearchResult, search
from harness.checkers.linearizability.zones import Zones, check_columns

Engine = Literal["auto", "zones", "search"]


class Result(msgspec.Struct):
    """``legal``: True, False, or None (the budget was spent, or the asked engine cannot judge: see ``sentence``)."""

    legal: bool | None
    sentence: str
    engine: str
    rule: str = ""
    key: Any = None
    ops: tuple[Op, ...] = ()
    """At most six operations that force the violation."""
    because: tuple[str, ...] = ()
    in_flight: tuple[Op, ...] = ()
    states: tuple[str, ...] = ()
    """What the object may have held just before."""
    certificate: list[Op] | None = None
    """A legal order of all that took effect, if asked for (each key by itself)."""
    mistake: str = ""
    """Set if the history is legal once failures count as unknown: which operation was probably a timeout."""
    stats: dict[str, Any] = {}


def check(
    history: History,
    model: Model,
    *,
    engine: Engine = "auto",
    steps: int = DEFAULT_STEPS,
    configurations: int = DEFAULT_CONFIGURATIONS,
    certify: bool = False,
) -> Result:
    """Judge a history. ``steps`` and ``configurations`` bound the search, over all keys and at any time.

    ``certify`` asks for a legal order; only the zones give one.
    """
    stats: dict[str, Any] = {"operations": len(history.ops), "failed": len(history.failed)}
    rest = history.ops
    certificate: list[Op] | None = None
    engines: list[str] = []
    if engine != "search" and zones_apply(model):
        encoded, zones = _judge_by_zones(history.ops, model)
        if encoded.ops or not encoded.unsuitable:
            engines.append("zones")
        stats |= {"zones_operations": len(encoded.ops), "keys": len(encoded.keys)}
        found = _zones_result(zones, encoded, history)
        if found is not None:
            _tell_all(found, history, model)
            found.stats = stats
            return found
        if certify:
            certificate = [encoded.ops[position] for position in zones.order().tolist()]
        rest = [op for op in history.ops if op.key in encoded.unsuitable]
        if encoded.unsuitable:
            stats["ambiguous"] = {str(key): why for key, why in list(encoded.unsuitable.items())[:10]}
    elif engine == "auto" and type(model) is MultiRegister and not model.any_first:
        found = _register_result(history, model)
        if found is not None:
            found.stats = stats
            return found
    elif engine != "search" and type(model) is SetModel:
        engines.append("levels")
        found = _sets_result(history, model)
        if found is not None:
            found.stats = stats
            return found
        rest = []
    if engine == "zones":
        if not zones_apply(model) and not engines:
            return Result(None, f"the zones cannot judge the model {model.name}", "zones", stats=stats)
        if rest:
            why = next(iter(stats["ambiguous"].items()))
            return Result(None, f"the zones cannot judge key {why[0]}: {why[1]}", "zones", stats=stats)
    elif rest:
        engines.append("search")
        certificate = None
        unknown: Result | None = None
        used = 0
        groups = by_key(rest) if model.keyed else {None: rest}
        for key, ops in sorted(groups.items(), key=lambda item: len(item[1])):
            result = search(ops, model, steps=max(steps - used, 0), configurations=configurations)
            used += result.steps
            stats["search_steps"] = used
            stats["most_configurations"] = max(stats.get("most_configurations", 0), result.most_configurations)
            if result.legal is None:
                unknown = unknown or _unknown(key, result, steps, configurations)
            elif not result.legal:
                illegal = _search_result(key, result, model)
                illegal.stats = stats
                return illegal
        if unknown is not None:
            unknown.stats = stats
            return unknown
    name = "+".join(engines) or "zones"
    return Result(
        True, f"{len(history.ops)} operations have a legal order ({name})", name, certificate=certificate, stats=stats
    )


def _tell_all(found: Result, history: History, model: Model) -> None:
    """Name also those operations that show what was assumed of the others."""
    if found.rule == "aborted-read":
        return
    key_ops = [op for op in history.ops if op.key == found.key]

    def illegal(ops: tuple[Op, ...]) -> bool:
        return search(sorted(ops, key=lambda op: op.call), model).legal is False

    found.ops, told = explain.add_witnesses(found.ops, key_ops, illegal)
    found.because += told


def _register_result(history: History, model: MultiRegister) -> Result | None:
    """A violation that a register of transactions shows alone."""
    lists, plain = projections(history, model)
    for part, alone in ((without_unread(lists), AppendList()), (plain, Register())):
        found = check(part, alone, engine="zones")
        if found.legal is False:
            return found
    lost = lost_append(lists)
    if lost is None:
        return None
    append, read = lost
    because = (
        explain.edge(append, read, "real time", history.times_are_ns),
        explain.edge(read, append, "less", history.times_are_ns),
    )
    sentence = explain.sentence("stale-list", read.key, lost)
    return Result(False, sentence, "zones", "stale-list", read.key, lost, because)


def _sets_result(history: History, model: SetModel) -> Result | None:
    for key, ops in by_key(history.ops).items():
        finding = check_set(ops, model.init)
        if finding is not None:
            sentence = explain.sentence(finding.rule, key, finding.ops)
            return Result(False, sentence, "levels", finding.rule, key, finding.ops, finding.because)
    return None


def zones_apply(model: Model) -> bool:
    """Whether the zones know this model (subclasses of it they do not)."""
    return type(model) in (Register, CasRegister, KeyValue, AppendList, Text)


def _judge_by_zones(ops: list[Op], model: Model) -> tuple[Encoded, Zones]:
    """What the zones say. A key whose first value may have been one that was written later too is left to the search,
    if there is no order without assuming that."""
    doubtful: set[Any] = set()
    while True:
        encoded = encode(
            ops, model.init, lists=isinstance(model, AppendList), texts=isinstance(model, Text), doubtful=doubtful
        )
        zones = check_columns(encoded.columns)
        if model.init is not UNKNOWN or zones.finding is None:
            return encoded, zones
        key = encoded.keys[zones.finding.key]
        if key in encoded.settled:
            return encoded, zones
        doubtful.add(key)


def _zones_result(zones: Zones, encoded: Encoded, history: History) -> Result | None:
    if zones.finding is None and not encoded.findings:
        return None
    in_ns = history.times_are_ns
    if zones.finding is not None:
        finding = zones.finding
        key = encoded.keys[finding.key]
        rule, ops, because, sentence = explain.of_finding(finding, encoded, in_ns)
    else:
        direct: Direct = encoded.findings[0]
        rule, key = direct.rule, direct.key
        ops, because, sentence = explain.of_direct(direct)
    if rule == "phantom-read":
        aborted = next((op for op in history.failed if op.key == key and _produces(op, ops[0])), None)
        if aborted is not None:
            rule, ops = "aborted-read", (ops[0], aborted)
            because = (f"only {show(aborted)} would have written it, and that was reported as failed",)
            sentence = explain.sentence(rule, key, ops)
    return Result(False, sentence, "zones", rule, key, ops, because)


def _produces(op: Op, read: Op) -> bool:
    """Whether ``op`` would have written what ``read`` returned."""
    if op.f == "cas":
        return isinstance(op.value, tuple) and len(op.value) == 2 and bool(op.value[1] == read.result)
    if op.f == "append":
        return isinstance(read.result, tuple) and op.value in read.result
    return op.value is not None and bool(op.value == read.result)


def _search_result(key: Any, result: SearchResult, model: Model) -> Result:
    assert result.op is not None
    because, sentence = explain.of_search(result, key, model.describe)
    ops = (result.op, *sorted(result.in_flight, key=lambda op: op.call)[: explain.MOST_OPERATIONS - 1])
    return Result(
        False,
        sentence,
        "search",
        "no-state-left",
        key,
        ops,
        because,
        result.in_flight,
        tuple(model.describe(state) for state in result.states),
    )


def _unknown(key: Any, result: SearchResult, steps: int, configurations: int) -> Result:
    assert result.op is not None
    where = "" if key is None else f"key {key}: "
    return Result(
        None,
        f"{where}the search spent its budget ({steps} steps, {configurations} configurations) at {show(result.op)}, "
        f"operation {result.op.index} of the history; give it more",
        "search",
        "budget",
        key,
        (result.op,),
    )


def relaxed(history: History, *, only: Op | None = None) -> History:
    """Failures (or one of them) count as pending: they may have happened after all."""
    back = history.failed if only is None else [only]
    ops = [Op(op.index, op.process, op.f, op.key, op.value, UNKNOWN, op.call, NEVER) for op in back if op.f != "read"]
    failed = [] if only is None else [op for op in history.failed if op is not only]
    return History(
        sorted([*history.ops, *ops], key=lambda op: (op.call, op.index)), failed, history.times_are_ns, history.notes
    )


def find_mistake(history: History, model: Model, result: Result, *, steps: int = 200_000) -> str:
    """If an illegal history becomes legal when failures count as unknown: which operation was probably a timeout.

    "" if not. Only the failures on the violated key are tried one by one, the last before the violation first, at most 50.
    ``steps`` bounds all searches together.
    """
    part = history.only(result.key) if model.keyed else history
    last = max((op.ret for op in result.ops if not op.pending), default=NEVER)
    changing = [op for op in part.failed if op.f not in model.queries and op.call < last]
    left = steps

    def legal(only: Op | None) -> bool | None:
        nonlocal left
        found = check(relaxed(part, only=only), model, steps=left)
        left -= left if found.legal is None else found.stats.get("search_steps", 0)
        return found.legal

    if not changing or not legal(None):
        return ""
    several = True
    for op in sorted(changing, key=lambda op: (op not in result.ops, -op.index))[:50]:
        alone = legal(op)
        if alone:
            return (
                f"if {show(op)} (operation {op.index}) was a timeout and not a failure, the history is legal: "
                "does the client report timeouts as failures?"
            )
        if alone is None:
            several = False
            break
    which = "several failures" if several else "one or more of the failures"
    return f"if {which} were timeouts, the history is legal: does the client report timeouts as failures?"
