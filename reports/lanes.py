"""Fault lanes: which bar stands in which row, so that faults of one kind that overlap do not hide each other."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.results import FaultResult
from nemesis.faults import KINDS
from reports.model import device

LANES_AT_MOST = 24
"""Rows drawn; faults beyond share the last row of their kind."""


class Bar(msgspec.Struct, frozen=True):
    """One fault as it is drawn. Times in ns of the run."""

    fault: int
    kind: str
    device: str
    targets: tuple[str, ...]
    begin_ns: int
    end_ns: int
    landed: bool


class Lane(msgspec.Struct, frozen=True):
    kind: str
    device: str
    bars: tuple[Bar, ...]


def fault_lanes(faults: Iterable[FaultResult], duration_ns: int) -> list[Lane]:
    """One lane a kind in the order of the vocabulary, more where faults of one kind overlap.

    A fault that never began has no bar; one that never ended lasts until the end of the run.
    """
    bars: dict[str, list[Bar]] = {}
    for fault in sorted(faults, key=lambda fault: (fault.begin_ns or 0, fault.index)):
        if fault.begin_ns is None:
            continue
        end = duration_ns if fault.end_ns is None else max(fault.end_ns, fault.begin_ns)
        bar = Bar(fault.index, fault.kind, device(fault.kind), fault.targets, fault.begin_ns, end, fault.landed)
        bars.setdefault(fault.kind, []).append(bar)
    order = {kind: place for place, kind in enumerate(KINDS)}
    kinds = sorted(bars, key=lambda kind: (order.get(kind, len(order)), kind))
    lanes: list[Lane] = []
    for place, kind in enumerate(kinds):
        room = max(1, LANES_AT_MOST - len(lanes) - (len(kinds) - place - 1))
        lanes += [Lane(kind, device(kind), tuple(row)) for row in _rows(bars[kind], room)]
    return lanes


def shaded(lanes: Iterable[Lane]) -> dict[str, list[tuple[int, int]]]:
    """Device -> the times during which some fault of it was in force, merged, in order."""
    found: dict[str, list[tuple[int, int]]] = {}
    bars = sorted((bar for lane in lanes for bar in lane.bars if bar.landed), key=lambda bar: bar.begin_ns)
    for bar in bars:
        spans = found.setdefault(bar.device, [])
        if spans and bar.begin_ns <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], bar.end_ns))
        else:
            spans.append((bar.begin_ns, bar.end_ns))
    return found


def _rows(bars: list[Bar], room: int) -> list[list[Bar]]:
    rows: list[list[Bar]] = []
    for bar in bars:
        free = next((row for row in rows if row[-1].end_ns <= bar.begin_ns), None)
        if free is not None:
            free.append(bar)
        elif len(rows) < room:
            rows.append([bar])
        else:
            rows[-1].append(bar)
    return rows
