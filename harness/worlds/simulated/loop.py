"""The event loop of the simulated world: things happen in order of (time, sequence), and in no other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Act = Callable[[Any, Any, Any], None]


class EventLoop:
    """Virtual time in integer nanoseconds. ``queue`` entries: (time, sequence, act, three arguments)."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.queue: list[tuple[int, int, Act, Any, Any, Any]] = []
        self.sequence = itertools.count(1)

    def at(self, time_ns: int, act: Act, a: Any = None, b: Any = None, c: Any = None) -> None:
        """Call ``act(a, b, c)`` at ``time_ns``, behind all that is due then already."""
        heappush(self.queue, (time_ns, next(self.sequence), act, a, b, c))

    def run_until(self, end_ns: int) -> None:
        """Run everything due up to ``end_ns`` included; afterwards it is ``end_ns``."""
        queue = self.queue
        while queue and queue[0][0] <= end_ns:
            self.now_ns, _, act, a, b, c = heappop(queue)
            act(a, b, c)
        self.now_ns = max(self.now_ns, end_ns)
