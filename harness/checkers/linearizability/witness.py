"""Witness: a run with a decided log need not be searched, its log *is* the order; only check it. Vectorised.

Input are columns over operations of registers (kinds as in ``zones``), with the place of each in the agreed log. Checked
1. every completed operation that goes through the log stands in it, and no two at one place;
2. real time: in log order, nothing returns before an operation in front of it was called;
3. answers: replaying the log gives each read the value it got, and each compare-and-set the value it expected;
4. reads that did not go through the log (leases, followers) fit in: each is given the lowest place that real time and the
   value allow, after those of reads that returned before it was called. Lowest is best: only lower bounds interact.

A pass proves linearizability. A failure says that the log is no witness; ``zones`` tells whether clients could notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from harness.checkers.linearizability.zones import CAS, NEVER, READ, Columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

ABSENT = -1
LOCAL = -2


class WitnessFinding(msgspec.Struct):
    """The rule, and the operations (positions in the columns) that break it."""

    rule: str
    operations: tuple[int, ...]
    detail: str = ""


def check_witness(columns: Columns, place: Ints) -> WitnessFinding | None:
    """None if the log is a legal order.

    ``place``: log position of each operation, ``ABSENT`` if it is not in the log, ``LOCAL`` for reads answered without
    the log. Pending operations may be absent; every compare-and-set in the columns was successful or is pending. A pending
    compare-and-set in the log takes place if the value fits, and nobody knows otherwise.
    """
    done = columns.ret < NEVER
    missing = done & (place == ABSENT)
    if missing.any():
        return WitnessFinding("answer-without-place", (int(np.argmax(missing)),))
    logged = np.flatnonzero(place >= 0)
    order = logged[np.argsort(place[logged], kind="stable")]
    slots = place[order]
    twice = slots[1:] == slots[:-1]
    if twice.any():
        at = int(np.argmax(twice))
        return WitnessFinding("two-at-one-place", (int(order[at]), int(order[at + 1])))
    late = _real_time(columns, order)
    if late is not None:
        return late
    key = columns.key_of[columns.cluster[order]]
    by_key = np.argsort(key, kind="stable")
    order, key = order[by_key], key[by_key]
    before, pending_cas = _values_before(columns, order, key)
    if pending_cas:
        before = _replay(columns, order, key)
    wrong = _wrong_answers(columns, order, before, done)
    if wrong is not None:
        return wrong
    local = np.flatnonzero(place == LOCAL)
    return _place_local(columns, place, order, before, local) if len(local) else None


def _real_time(columns: Columns, order: Ints) -> WitnessFinding | None:
    if not len(order):
        return None
    latest = np.maximum.accumulate(columns.call[order])
    broken = columns.ret[order[1:]] < latest[:-1]
    if not broken.any():
        return None
    at = int(np.argmax(broken)) + 1
    earlier = int(order[int(np.argmax(columns.call[order[:at]]))])
    return WitnessFinding("real-time-order", (int(order[at]), earlier))


def _initial(columns: Columns) -> Ints:
    """Key -> the cluster of its first value; -1 if it has none."""
    first = np.full(int(columns.key_of.max()) + 1 if len(columns.key_of) else 0, -1, np.int64)
    clusters = np.flatnonzero(columns.initial)
    first[columns.key_of[clusters]] = clusters
    return first


def _values_before(columns: Columns, order: Ints, key: Ints) -> tuple[Ints, bool]:
    """The value (cluster) in place before each logged operation, sorted by key and place; and whether a compare-and-set
    is pending, so that this must be replayed one by one instead."""
    kind = columns.kind[order]
    pending = bool(((kind == CAS) & (columns.ret[order] >= NEVER)).any())
    count = len(order)
    if pending or not count:
        return np.zeros(0, np.int64), pending
    here = np.arange(count)
    latest = np.maximum.accumulate(np.where(kind != READ, here, -1))
    previous = np.concatenate((np.array([-1]), latest[:-1]))
    starts = np.maximum.accumulate(np.where(np.concatenate((np.array([True]), key[1:] != key[:-1])), here, 0))
    written = columns.cluster[order][np.maximum(previous, 0)]
    return np.where(previous >= starts, written, _initial(columns)[key]), False


def _replay(columns: Columns, order: Ints, key: Ints) -> Ints:
    """The same, one by one: a pending compare-and-set takes place if it fits."""
    holds: dict[int, int] = {}
    first = _initial(columns).tolist()
    before: list[int] = []
    for position, at in zip(order.tolist(), key.tolist(), strict=True):
        value = holds.get(at, first[at])
        before.append(value)
        kind = int(columns.kind[position])
        if kind == READ or (kind == CAS and columns.ret[position] >= NEVER and columns.source[position] != value):
            continue
        holds[at] = int(columns.cluster[position])
    return np.array(before, np.int64)


def _wrong_answers(columns: Columns, order: Ints, before: Ints, done: NDArray[np.bool_]) -> WitnessFinding | None:
    kind = columns.kind[order]
    seen = np.where(kind == CAS, columns.source[order], columns.cluster[order])
    wrong = done[order] & (kind != 1) & (seen != before)
    if not wrong.any():
        return None
    at = int(np.argmax(wrong))
    return WitnessFinding("answer-differs", (int(order[at]),), f"the log holds value number {int(before[at])} there")


def _place_local(columns: Columns, place: Ints, order: Ints, before: Ints, local: Ints) -> WitnessFinding | None:
    """Reads that did not go through the log, by call time, each at the lowest place that fits."""
    logged = np.flatnonzero(place >= 0)
    by_ret = logged[np.argsort(columns.ret[logged], kind="stable")]
    rets = columns.ret[by_ret]
    highest = np.maximum.accumulate(place[by_ret]) if len(by_ret) else by_ret
    by_call = logged[np.argsort(columns.call[logged], kind="stable")]
    calls = columns.call[by_call]
    lowest = np.minimum.accumulate(place[by_call][::-1])[::-1] if len(by_call) else by_call
    spans = _spans(columns, place, order, before)
    todo = local[np.argsort(columns.call[local], kind="stable")]
    ends = sorted((int(columns.ret[at]), int(at)) for at in todo)
    given: dict[int, int] = {}
    floor = -1
    passed = 0
    for at in todo.tolist():
        call, ret = int(columns.call[at]), int(columns.ret[at])
        while passed < len(ends) and ends[passed][0] < call:
            floor = max(floor, given[ends[passed][1]])
            passed += 1
        n = int(np.searchsorted(rets, call, side="left"))
        low = max(floor, int(highest[n - 1]) if n else -1)
        m = int(np.searchsorted(calls, ret, side="right"))
        high = int(lowest[m]) if m < len(by_call) else NEVER
        found = _lowest_in(spans.get(int(columns.cluster[at]), []), low, high)
        if found is None:
            return WitnessFinding("local-read", (at,), f"its value is in place nowhere from place {low} to {high}")
        given[at] = found
    return None


def _spans(columns: Columns, place: Ints, order: Ints, before: Ints) -> dict[int, list[tuple[int, int]]]:
    """Cluster -> where its value is in place: from just behind one log position until just behind another."""
    spans: dict[int, list[tuple[int, int]]] = {}
    opened: dict[int, tuple[int, int]] = {
        int(columns.key_of[cluster]): (int(cluster), -1) for cluster in np.flatnonzero(columns.initial)
    }
    for number, position in enumerate(order.tolist()):
        kind = int(columns.kind[position])
        pending_miss = kind == CAS and columns.source[position] != before[number]
        if kind == READ or pending_miss:
            continue
        cluster = int(columns.cluster[position])
        key = int(columns.key_of[cluster])
        at = int(place[position])
        if key in opened:
            value, since = opened[key]
            spans.setdefault(value, []).append((since, at - 1))
        opened[key] = (cluster, at)
    for value, since in opened.values():
        spans.setdefault(value, []).append((since, NEVER))
    return spans


def _lowest_in(spans: list[tuple[int, int]], low: int, high: int) -> int | None:
    """The lowest place p with low <= p < high within a span; "at place p" is just behind log position p."""
    for since, until in spans:
        at = max(since, low)
        if at <= until and at < high:
            return at
    return None
