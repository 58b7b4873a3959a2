"""The standard workload: reads, writes, compare-and-sets, deletes and appends over a few keys.

A local read asks one replica for what it holds; it may be old, but never older than what that client saw before.

Every value written is unique in the run, and a delete carries an identity, so that histories are unambiguous: a read says
which write it saw. Appends have keys of their own, and go on to a fresh list before one grows long: every read of a list
carries all of it. If the plan does not want lists apart, every function meets every key, and lists grow as they may.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import msgspec

from nemesis.plan import Workload

READS = ("read", "local-read")
HOPES_FOR_NONE = 0.1
"""Share of the compare-and-sets that expect a key never written, whatever was seen there: a deleted one is not that."""
LONGEST_LIST = 256
"""Values that one generator appends to a list."""


class Intent(msgspec.Struct, frozen=True):
    """What a client is to ask for."""

    f: str
    key: str
    value: Any = None
    expected: Any = None


class MixedWorkload:
    """``draw``: floats in [0, 1); ``writer``: prefix that makes this generator's values differ from all others'."""

    def __init__(self, workload: Workload, draw: Callable[[], float], writer: str) -> None:
        total = sum(workload.mix.values())
        self._functions = list(workload.mix)
        self._limits = list(accumulate(share / total for share in workload.mix.values()))
        """Ascending up to 1: a draw stands for the first function whose limit is above it."""
        self._appends = "append" in workload.mix and workload.lists_apart
        self._keys = workload.keys
        self._pad = workload.value_bytes
        self._draw = draw
        self._writer = writer
        self._count = 0
        self._seen: dict[str, Any] = {}
        self._appended = [0] * workload.keys
        """Values appended to the lists of each number, by this generator."""

    def next(self) -> Intent:
        at = self._draw()
        f = self._functions[min(bisect_right(self._limits, at), len(self._functions) - 1)]
        number = int(self._draw() * self._keys)
        if (f == "append" and self._appends) or (f in READS and self._draw() < 0.2 and self._appends):
            key = _list_key(number, self._appended[number] // LONGEST_LIST)
            if f in READS:
                return Intent(f, key)
            self._appended[number] += 1
            return Intent(f, key, self._unique())
        key = f"key{number}"
        if f in READS:
            return Intent(f, key)
        if f == "cas":
            hopes_for_none = self._draw() < HOPES_FOR_NONE
            return Intent(f, key, self._unique(), None if hopes_for_none else self._seen.get(key))
        return Intent(f, key, self._unique())

    def reads(self) -> list[Intent]:
        """One read of every key."""
        lists = [
            _list_key(number, generation)
            for number, appended in enumerate(self._appended)
            for generation in range(appended // LONGEST_LIST + 1)
        ]
        return [Intent("read", key) for key in (*(f"key{number}" for number in range(self._keys)), *lists)]

    def saw(self, key: str, value: Any) -> None:
        """``value`` was found or put under ``key``: the next compare-and-set there expects it."""
        self._seen[key] = value

    def _unique(self) -> str:
        self._count += 1
        return f"{self._writer}{self._count}".ljust(self._pad, ".")


def _list_key(number: int, generation: int) -> str:
    return f"list{number}.{generation}" if generation else f"list{number}"
