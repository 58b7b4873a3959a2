"""Availability: how clients fared, in windows of time. The one definition: the checker states it, every report draws it.

The run is cut into windows of equal, round width. A window *counts* if some operation was waiting in it, and the load was
not over: it is not after the last operation was wanted, nor after the final heal. A window is *available* if an operation
succeeded in it. An *outage* is a row of windows that count and are not available.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

import msgspec

WINDOWS_AT_MOST = 120


def window_width_ns(duration_ns: int) -> int:
    """A round width (1, 2 or 5 times a power of ten, at least 1 ms) that cuts the run into 48 to 120 windows."""
    decade = 1_000_000
    while True:
        for width in (decade, 2 * decade, 5 * decade):
            if duration_ns <= width * WINDOWS_AT_MOST:
                return width
        decade *= 10


class Availability(msgspec.Struct, frozen=True):
    """Windows of equal width from time 0."""

    width_ns: int
    tried: tuple[bool, ...]
    """Windows that count."""
    succeeded: tuple[bool, ...]
    share: float | None
    """Of the windows that count, those with a success; None if nothing ever waited."""
    outages: tuple[tuple[int, int], ...]
    """(begin, end) in ns."""

    @property
    def longest_outage_ns(self) -> int:
        return max((end - begin for begin, end in self.outages), default=0)


def availability(
    operations: Iterable[tuple[int, int, bool]], duration_ns: int, width_ns: int, until_ns: int | None = None
) -> Availability:
    """``operations``: (when it was wanted, when it ended, whether it succeeded), in ns since the run began. Windows that begin
    after ``until_ns``, the final heal, do not count."""
    windows = max(1, -(-duration_ns // width_ns))
    change = [0] * (windows + 1)
    succeeded = [False] * windows
    last = 0
    for intended_ns, ended_ns, ok in operations:
        last = max(last, intended_ns)
        ended = _window(ended_ns, width_ns, windows)
        change[_window(intended_ns, width_ns, windows)] += 1
        change[ended + 1] -= 1
        if ok:
            succeeded[ended] = True
    counting = (last if until_ns is None else min(last, until_ns)) // width_ns
    tried = [waiting > 0 and at <= counting for at, waiting in enumerate(accumulate(change[:-1]))]
    outages: list[tuple[int, int]] = []
    for at in range(windows):
        if tried[at] and not succeeded[at]:
            begin = outages.pop()[0] if outages and outages[-1][1] == at * width_ns else at * width_ns
            outages.append((begin, min((at + 1) * width_ns, duration_ns)))
    counted = sum(tried)
    share = sum(map(all, zip(tried, succeeded, strict=True))) / counted if counted else None
    return Availability(width_ns, tuple(tried), tuple(succeeded), share, tuple(outages))


def _window(time_ns: int, width_ns: int, windows: int) -> int:
    return max(0, min(time_ns // width_ns, windows - 1))
