"""Figures: what the regression gate compares of a run. Measured by ``harness.measure`` and ``harness.compare``."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Figures(msgspec.Struct, frozen=True, array_like=True):
    """Sums over one simulated run, or over several of one plan; what is counted how, see ``harness.measure``."""

    runs: int
    recovery_ns: int
    """Of all faults that recovered."""
    recovered: int
    never_recovered: int
    """Runs with a fault after which nothing succeeded."""
    p99_ns: int
    """Of the runs in which something succeeded."""
    with_latency: int
    """Those runs."""
    messages: int
    decisions: int
    wanted: int
    """Operations wanted before the final heal; those that the load shed count too."""
    succeeded: int


NOTHING = Figures(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def pooled(many: Sequence[Figures]) -> Figures:
    """The sums."""
    if not many:
        return NOTHING
    columns = zip(*(msgspec.structs.astuple(one) for one in many), strict=True)
    return Figures(*(sum(column) for column in columns))


class WallFigures(msgspec.Struct, frozen=True):
    """One real run."""

    throughput_per_s: float
    p50_ns: float
    p99_ns: float
