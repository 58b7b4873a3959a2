"""The simulated clock of one agent.

Injects: an offset, a jump, another rate. Never runs backwards by its rate; a negative jump does set it back.
Does not inject: coarse resolution, leap seconds.
"""

from __future__ import annotations


class SimulatedClock:
    """Maps the run's time to what the agent reads, and its deadlines back. Integer nanoseconds."""

    def __init__(self) -> None:
        self.rate = 1.0
        self._since_ns = 0
        self._read_ns = 0

    def read_ns(self, now_ns: int) -> int:
        if self.rate == 1.0:
            return self._read_ns + now_ns - self._since_ns
        return self._read_ns + int((now_ns - self._since_ns) * self.rate)

    def when_ns(self, reading_ns: int) -> int:
        """The run's time at which the clock will show ``reading_ns``."""
        if self.rate == 1.0:
            return reading_ns - self._read_ns + self._since_ns
        return self._since_ns + int((reading_ns - self._read_ns) / self.rate) + 1

    def set(self, now_ns: int, *, jump_ns: int = 0, rate: float | None = None) -> None:
        """From ``now_ns`` on: jump by ``jump_ns`` and run at ``rate``."""
        self._read_ns = self.read_ns(now_ns) + jump_ns
        self._since_ns = now_ns
        if rate is not None:
            self.rate = rate
