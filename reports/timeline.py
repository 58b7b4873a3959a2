"""The data of the interactive timeline: windows, fault lanes and a bounded sample of the operations.

Rules
-----
* Every operation that did not succeed is kept, and every slow one; the rest is thinned evenly in time. The page says
  "N of M". Only if those alone exceed ``POINTS_AT_MOST`` are they thinned too.
* Columns travel as base64 of little-endian numbers: a third of the size of JSON, and no parsing of foreign text.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.availability import window_width_ns
from harness.record import client_name
from reports.lanes import fault_lanes, shaded
from reports.model import OUTCOMES, RunModel
from reports.statistics import windowed_counts, windowed_quantiles
from reports.wording import joined, shown

POINTS_AT_MOST = 24_000
ORDINARY_AT_MOST = 8_000
"""Ordinary (ok and not slow) operations that are shown."""
SLOW_QUANTILE = 0.99
"""A successful operation is slow if it took longer than this quantile of them all."""
NAMES_AT_MOST = 400
"""Different keys whose names travel; beyond, a key is shown as "another key"."""


@dataclass(frozen=True)
class Sample:
    """Rows of the operations table, rising."""

    rows: npt.NDArray[np.int64]
    total: int
    slow_ns: float
    """Successful operations slower than this are all kept."""
    complete: bool
    """Everything not ok and everything slow is there."""


def sample(model: RunModel) -> Sample:
    """The operations that a page shows."""
    table = model.operations
    ok = (table["outcome"] == "ok").to_numpy(np.bool_)
    latency = table["latency_ns"].to_numpy(np.int64)
    slow_ns = float(np.quantile(latency[ok], SLOW_QUANTILE, method="higher")) if ok.any() else float("inf")
    special = np.flatnonzero(~ok | (latency > slow_ns))
    ordinary = np.flatnonzero(ok & (latency <= slow_ns))
    complete = len(special) <= POINTS_AT_MOST
    special = _thinned(special, POINTS_AT_MOST)
    ordinary = _thinned(ordinary, min(ORDINARY_AT_MOST, POINTS_AT_MOST - len(special)))
    return Sample(np.sort(np.concatenate([special, ordinary])), len(table), slow_ns, complete)


def _thinned(rows: npt.NDArray[np.int64], limit: int) -> npt.NDArray[np.int64]:
    """At most ``limit`` of them, evenly spread."""
    if len(rows) <= limit:
        return rows
    return rows[np.linspace(0, len(rows) - 1, limit).astype(np.int64)] if limit else rows[:0]


def timeline_data(model: RunModel, chosen: Sample) -> dict[str, Any]:
    """Plain data for the page's script. Times are microseconds since the run began; absent numbers are null.

    The columns of points count in units of ``unit_us``, 1 µs unless the run is longer than 71 minutes.
    """
    table = model.operations
    width = window_width_ns(model.duration_ns)
    part = table.iloc[chosen.rows]
    functions, function_ids = np.unique(part["f"].to_numpy(dtype=object).astype(str), return_inverse=True)
    keys, key_ids = _names(part["key"].tolist())
    clients, client_ids = np.unique(part["process"].to_numpy(np.int64), return_inverse=True)
    outcome = part["outcome"].cat.codes.to_numpy()
    ok = table[table["outcome"] == "ok"]
    quantiles = windowed_quantiles(
        ok["intended_ns"].to_numpy(np.int64),
        ok["latency_ns"].to_numpy(np.float64) / 1e6,
        model.duration_ns,
        width,
        (0.5, 0.95, 0.99),
    )
    found = model.availability
    lanes = fault_lanes((*model.faults, *model.final_faults), model.duration_ns)
    unit_ns = 1000 * max(1, -(-model.duration_ns // (1000 * (2**32 - 1))))
    return {
        "duration_us": model.duration_ns / 1e3,
        "window_us": width / 1e3,
        "points": {
            "unit_us": unit_ns // 1000,
            "count": len(part),
            "total": chosen.total,
            "time": _packed(part["intended_ns"].to_numpy() // unit_ns, np.uint32),
            "latency": _packed(part["latency_ns"].to_numpy() // unit_ns, np.uint32),
            "outcome": _packed(outcome, np.uint8),
            "f": _packed(np.minimum(function_ids, 255), np.uint8),
            "key": _packed(key_ids, np.uint16),
            "client": _packed(client_ids, np.uint16),
            "seq": _packed(part["seq"].to_numpy(), np.uint32),
            "functions": [shown(name, 16) for name in functions[:256]],
            "keys": keys,
            "clients": [client_name(process) for process in clients.tolist()],
            "outcomes": list(OUTCOMES),
        },
        "quantiles": {
            name: [None if value != value else round(value, 3) for value in row.tolist()]
            for name, row in zip(("p50", "p95", "p99"), quantiles, strict=True)
        },
        "throughput": {outcome: _rates(model, outcome, width) for outcome in OUTCOMES},
        "available": [
            1 if succeeded else 0 if tried else None
            for tried, succeeded in zip(found.tried, found.succeeded, strict=True)
        ],
        "lanes": [
            {
                "kind": shown(lane.kind, 16),
                "device": lane.device,
                "bars": [
                    {
                        "fault": bar.fault,
                        "begin": bar.begin_ns // 1000,
                        "end": bar.end_ns // 1000,
                        "landed": bar.landed,
                        "targets": joined([shown(name, 16) for name in bar.targets[:8]]),
                    }
                    for bar in lane.bars
                ],
            }
            for lane in lanes
        ],
        "shaded": {
            name: [[begin // 1000, end // 1000] for begin, end in spans] for name, spans in shaded(lanes).items()
        },
    }


def _packed(values: npt.NDArray[Any], kind: type[np.unsignedinteger[Any]]) -> str:
    top = np.iinfo(kind).max
    return base64.b64encode(np.clip(values, 0, top).astype(np.dtype(kind).newbyteorder("<")).tobytes()).decode()


def _names(values: list[Any]) -> tuple[list[str], npt.NDArray[np.int64]]:
    places: dict[Any, int] = {}
    ids = [places.setdefault(value, len(places)) for value in values]
    names = [shown(value, 24) for value in list(places)[:NAMES_AT_MOST]]
    if len(places) > NAMES_AT_MOST:
        names.append("another key")
    return names, np.minimum(np.array(ids, dtype=np.int64), NAMES_AT_MOST)


def _rates(model: RunModel, outcome: str, width: int) -> list[float]:
    """Operations a second that ended in each window."""
    table = model.operations
    ends = table.loc[(table["outcome"] == outcome) & table["answered"], "end_ns"].to_numpy(np.int64)
    return [round(float(rate), 2) for rate in windowed_counts(ends, model.duration_ns, width) / (width / 1e9)]
