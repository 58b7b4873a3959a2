"""Side by side with the run of a baseline: what differs, in numbers. It does not decide.

Two runs cannot tell a slower program from a busy machine or another draw of luck: the run is the unit, and here is one of
each. ``torture compare`` decides, from many.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reports.agreement import leaders
from reports.model import RunModel
from reports.statistics import censored_quantile
from reports.wording import count, share, span

QUANTILES = ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "max"))
CHART_WIDTH = 900
CHART_GUTTER = 84
CHART_ROW = 26


@dataclass(frozen=True)
class Figure:
    """A number of both runs. ``change``: ratio of this run to the baseline in words; empty if there is none to tell."""

    name: str
    before: str
    after: str
    change: str


@dataclass(frozen=True)
class QuantileRow:
    """A quantile of latency in both runs; x in pixels, None if that run has none."""

    name: str
    y: float
    before_x: float | None
    after_x: float | None
    title: str


@dataclass(frozen=True)
class Chart:
    height: float
    rows: tuple[QuantileRow, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Comparison:
    baseline: RunModel
    same_plan: bool
    figures: tuple[Figure, ...]
    chart: Chart | None


def compare_runs(model: RunModel, baseline: RunModel) -> Comparison:
    return Comparison(baseline, _plan(model) == _plan(baseline), _figures(model, baseline), _chart(model, baseline))


def _plan(model: RunModel) -> dict[str, object]:
    return {name: value for name, value in model.plan.items() if name != "name"}


def _figures(model: RunModel, baseline: RunModel) -> tuple[Figure, ...]:
    rows: list[tuple[str, Callable[[RunModel], float | None], Callable[[float | None], str]]] = [
        ("operations", lambda run: len(run.operations), _count),
        ("succeeded", _ok_share, share),
        ("successes a second", lambda run: len(_ok(run)) * 1e9 / run.duration_ns, _count),
        *[(f"latency {name}", lambda run, at=quantile: _quantile(run, at), _span) for quantile, name in QUANTILES[:3]],
        ("available windows", lambda run: run.availability.share, share),
        ("time in outages", lambda run: sum(end - begin for begin, end in run.availability.outages), _span),
        ("faults landed", lambda run: sum(fault.landed for fault in run.faults), _count),
        ("recovery after a heal, median", _recovery, _span),
        ("never recovered", _never_recovered, _count),
        ("leaderships", lambda run: leaders(run).total, _count),
    ]
    found = []
    for name, measure, say in rows:
        before, after = measure(baseline), measure(model)
        found.append(Figure(name, say(before), say(after), _change(before, after)))
    return tuple(found)


def _ok(model: RunModel) -> np.ndarray:
    table = model.operations
    return table.loc[table["outcome"] == "ok", "latency_ns"].to_numpy(np.float64)


def _ok_share(model: RunModel) -> float | None:
    return len(_ok(model)) / len(model.operations) if len(model.operations) else None


def _quantile(model: RunModel, at: float) -> float | None:
    latency = _ok(model)
    return float(np.quantile(latency, at)) if len(latency) else None


def _recovery(model: RunModel) -> float | None:
    heals = [fault.first_ok_after_heal_ns for fault in model.faults if fault.landed and fault.end_ns is not None]
    return censored_quantile(heals, 0.5)


def _never_recovered(model: RunModel) -> float:
    return sum(
        fault.landed and fault.end_ns is not None and fault.first_ok_after_heal_ns is None for fault in model.faults
    )


def _count(number: float | None) -> str:
    return "—" if number is None else count(number)


def _span(number: float | None) -> str:
    return "—" if number is None else span(number)


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None or not math.isfinite(before) or not math.isfinite(after):
        return ""
    if before == after:
        return "equal"
    return f"× {after / before:.2f}" if before > 0 else ""


def _chart(model: RunModel, baseline: RunModel) -> Chart | None:
    """Latency quantiles of both runs on one scale of logarithms; None if neither has a success."""
    pairs = [(name, _quantile(baseline, at), _quantile(model, at)) for at, name in QUANTILES]
    known = [value for _, *pair in pairs for value in pair if value is not None]
    if not known:
        return None
    low, high = max(1_000.0, min(known)), max(2_000.0, *known)
    first, last = math.log10(low) - 0.1, math.log10(high) + 0.1

    def x(value: float | None) -> float | None:
        if value is None:
            return None
        part = (math.log10(max(value, low)) - first) / (last - first)
        return CHART_GUTTER + (CHART_WIDTH - CHART_GUTTER - 20) * part

    rows = tuple(
        QuantileRow(name, 16 + CHART_ROW * place, x(before), x(after), f"{name}: {_span(before)}, now {_span(after)}")
        for place, (name, before, after) in enumerate(pairs)
    )
    powers = range(math.ceil(first), math.floor(last) + 1)
    ticks = tuple((x(10.0**power) or 0.0, span(10.0**power)) for power in powers)
    return Chart(CHART_ROW * len(rows) + 30, rows, ticks)
