"""Why a history is not linearizable, in words: the rule, at most six operations, and each edge between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from harness.checkers.linearizability.encode import Direct, Encoded
from harness.checkers.linearizability.history import NEVER, Op, show, show_value
from harness.checkers.linearizability.search import SearchResult
from harness.checkers.linearizability.zones import Finding

MOST_OPERATIONS = 6

RULES = {
    "phantom-read": "a value was read that nobody wrote",
    "aborted-read": "a value was read whose only write was reported as failed",
    "phantom-source": "a compare-and-set succeeded on a value that nobody wrote",
    "consumed-twice": "two compare-and-sets replaced the same value, which was there only once",
    "source-cycle": "compare-and-sets that took effect need each other's value first",
    "read-from-future": "a value was read before the operation that produces it was even called",
    "chain-order": "an operation on an earlier value of a chain of compare-and-sets began after one on a later value ended",
    "append-order": "what was appended first stands behind what was appended after it",
    "stale-list": "what had been appended, or read, before a read began is not in it",
    "overlapping-values": "each of two values must have been overwritten before the other was written",
    "stale-value": "a value was written and gone while another one, seen before and after, was in place",
    "failed-on-a-match": "a compare-and-set failed although it found what it expected",
    "forked-lists": "two reads of a list that only grows do not continue one another",
    "appended-twice": "a value that was appended once stands in the list twice",
    "append-place": "an append stands at another place than the length it was told",
    "missing-append": "a list is longer than the appends there were",
    "twice-in-set": "a set was read with a value in it twice",
    "lost-element": "what was in a set that only grows was not in it later",
    "forked-sets": "of two reads of a set that only grows, neither contains the other",
    "no-state-left": "no order of the operations explains this answer",
}


def at(time: int, in_ns: bool) -> str:
    """A time for readers: milliseconds, or the position of the event."""
    if time >= NEVER:
        return "never"
    return f"{time / 1e6:.3f} ms" if in_ns else f"event {time}"


def edge(earlier: Op | None, later: Op | None, how: str, in_ns: bool) -> str:
    """One edge in prose; None is the first value, there before everything."""
    one = "the first value" if earlier is None else show(earlier)
    two = "the first value" if later is None else show(later)
    if how == "real time":
        if earlier is None:
            return f"{one} comes before {two}: it was there before everything"
        end = at(earlier.ret, in_ns)
        begin = "the start" if later is None else at(later.call, in_ns)
        return f"{one} comes before {two}: it returned at {end}, the other was called at {begin}"
    if how == "shown":
        return f"{one} comes before {two}: what was read holds the values in this order"
    if how == "less":
        what = f"what {two} held" if later is None or later.f != "append" else show_value(later.value)
        return f"{one} comes before {two}: it does not hold {what}"
    if how == "chain":
        return f"{one} comes before {two}: the value of the second came out of that of the first by compare-and-set"
    return f"{one} comes before {two}: the second saw the value that the first produced"


def of_finding(finding: Finding, encoded: Encoded, in_ns: bool) -> tuple[str, tuple[Op, ...], tuple[str, ...], str]:
    """(rule, operations, edges in prose, sentence) of a violation that the zones found."""

    def op_of(position: int) -> Op | None:
        return encoded.ops[position] if position >= 0 else None

    ops = tuple(encoded.ops[position] for position in finding.operations)[:MOST_OPERATIONS]
    rule = finding.rule
    edges = finding.edges
    if rule == "chain-order" and any(op.f == "append" for op in ops):
        late = op_of(edges[0][1])  # called after the other had returned, and yet on an earlier value
        rule = "stale-list" if late is not None and late.f == "read" else "append-order"
        chain = "less" if rule == "stale-list" else "shown"
        edges = tuple((a, b, chain if how == "chain" else how) for a, b, how in edges)
    because = [edge(op_of(a), op_of(b), how, in_ns) for a, b, how in edges]
    values = [show_value(encoded.values[cluster]) for cluster in finding.clusters]
    if rule in ("overlapping-values", "stale-value"):
        one, two = values
        because.insert(0, f"what writes or reads {one} stands together in any order, and so does what concerns {two}")
        because.append(f"so {one} comes before {two}, and {two} before {one}: impossible")
    elif rule == "chain-order":
        one, two = values
        because.append(f"but the chain of compare-and-sets leads from {one} back to before {two}: impossible")
    elif rule in ("phantom-read", "phantom-source"):
        because.append(f"nobody wrote {values[0]}, and it is not the first value")
        because += _of_other_type(finding.clusters[0], encoded)
    elif rule == "consumed-twice":
        because.append(f"both replaced {values[0]}, which was in place once")
    return rule, ops, tuple(because), sentence(rule, encoded.keys[finding.key], ops)


def _of_other_type(cluster: int, encoded: Encoded) -> list[str]:
    """Whether the same was written as a number and is told as a text, or as a keyword, or the other way."""
    value, key_of = encoded.values[cluster], encoded.columns.key_of
    plain = str(value).removeprefix(":")
    for number, other in enumerate(encoded.values):
        if other != value and str(other).removeprefix(":") == plain and key_of[number] == key_of[cluster]:
            return [f"{other!r} was written, and is told as {value!r}: does the client keep the type?"]
    return []


def assumed(ops: Iterable[Op], in_ns: bool) -> tuple[str, ...]:
    """What was assumed of operations without an answer."""
    return tuple(
        f"{show(op)}: no answer; it may have happened at any time from {at(op.call, in_ns)} on, or never"
        for op in ops
        if op.pending
    )


def add_witnesses(
    ops: tuple[Op, ...], every: Sequence[Op], illegal: Callable[[tuple[Op, ...]], bool]
) -> tuple[tuple[Op, ...], tuple[str, ...]]:
    """The operations that force a violation, and those whose answers show that the former took effect, and where.

    Only where the former do not force it by themselves (``illegal``), for instance since one of them is pending.
    """
    if illegal(ops):
        return ops, ()
    values = [value for value in map(_produces, ops) if value is not None]
    told: list[str] = []
    for value in values:  # grows by what pending compare-and-sets, that must have happened, made of it
        op = _witness(value, every)
        if op is None or op in ops:
            continue
        if len(ops) >= MOST_OPERATIONS or illegal(ops):
            break
        ops = (*ops, op)
        if op.pending:
            values.append(op.value[1])
        told.append(f"that {show_value(value)} was there, and behind what, is told by {show(op)}")
    return ops, tuple(told)


def _witness(value: Any, every: Sequence[Op]) -> Op | None:
    """The answer that shows a value, among as few others as can be; else a pending compare-and-set that goes on from it."""
    shown = [(size, at) for at, op in enumerate(every) if not op.pending and (size := _shown_with(op, value))]
    if shown:
        return every[min(shown)[1]]
    return next((op for op in every if op.f == "cas" and op.pending and op.value[0] == value), None)


def _produces(op: Op) -> Any:
    """The value that an operation puts in place or appends; None: it only reads, or writes nothing."""
    if op.f == "cas":
        return op.value[1]
    return None if op.f == "read" else op.value


def _shown_with(op: Op, value: Any) -> int:
    """How many values an answer shows among which is this one; 0 if it does not show it."""
    if op.f == "cas":
        return int((op.value[0] if op.result[0] else op.result[1]) == value)
    if op.f != "read":
        return 0
    if op.result == value:
        return 1
    if isinstance(op.result, tuple) or (isinstance(op.result, str) and isinstance(value, str)):
        return len(op.result) + 1 if value in op.result else 0
    return 0


def of_direct(finding: Direct) -> tuple[tuple[Op, ...], tuple[str, ...], str]:
    ops = finding.ops[:MOST_OPERATIONS]
    return ops, (finding.detail,), sentence(finding.rule, finding.key, ops)


def sentence(rule: str, key: Any, ops: Sequence[Op]) -> str:
    where = "" if key is None else f"key {key}: "
    involved = "; ".join(show(op) for op in ops[:2])
    return f"{where}{RULES[rule]} ({involved})"


def of_search(
    result: SearchResult, key: Any, describe_state: Callable[[Any], str] = repr
) -> tuple[tuple[str, ...], str]:
    """(why each possible state fails, sentence) of an event at which no configuration was left."""
    assert result.op is not None
    because = [
        f"if the state before is {describe_state(state)}: {reason}"
        for state, reason in zip(result.states, result.reasons, strict=True)
    ]
    if result.in_flight:
        because.append("in flight then, in any order or later: " + "; ".join(show(op) for op in result.in_flight[:10]))
    if result.used_pending:
        because.append(f"assumed to have happened, of the operations without an answer: up to {result.used_pending}")
    where = "" if key is None else f"key {key}: "
    return tuple(because), f"{where}{RULES['no-state-left']}: {show(result.op)}"
