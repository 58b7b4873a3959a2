"""The page of the kill matrix: which planted bugs are found, how fast and by which oracle. Offline like the report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.page import render

ALWAYS, SOMETIMES, NEVER, NOT_YET = "always", "sometimes", "never", "not yet"


@dataclass(frozen=True)
class BugRow:
    """A planted bug, as the trials of the portfolio found it. None: those trials outlived their budget, or
    what they have run of it so far."""

    id: str
    about: str
    family: str
    trials: int
    killed: int
    schedules_median: float | None
    schedules_p95: float | None
    events_median: float | None
    rules: dict[str, int]
    """Rule that fired first -> trials."""
    seen_by_clients: int
    """Kills of which the history alone tells."""
    survived: str = ""
    """Schedules that it survived, and how often its own code was called in them."""
    unfinished: int = 0
    """Trials that an interrupt ended before their budget."""

    @property
    def found(self) -> str:
        if self.killed == self.trials:
            return ALWAYS
        return SOMETIMES if self.killed else NOT_YET if self.unfinished else NEVER

    @property
    def bar(self) -> float:
        """Share of a bar that the median fills, on a scale of logarithms from 1 to 10,000 schedules."""
        if self.schedules_median is None:
            return 1.0
        return min(1.0, 0.03 + math.log10(max(1.0, self.schedules_median)) / 4)


@dataclass(frozen=True)
class HarmlessRow:
    """A change that breaks nothing and must survive."""

    id: str
    about: str
    why: str
    schedules: int
    killed: int


@dataclass(frozen=True)
class StrategyRow:
    name: str
    bugs: int
    killed: int
    typical: float | None
    """Geometric mean of the schedules to a kill, over the bugs that it kills."""


@dataclass(frozen=True)
class KillMatrix:
    bugs: tuple[BugRow, ...]
    """The easiest first."""
    harmless: tuple[HarmlessRow, ...]
    strategies: tuple[StrategyRow, ...]
    waiting: tuple[tuple[str, str, str], ...]
    """(id, bug, the feature that it waits for)"""


def write_kill_matrix_page(matrix: KillMatrix, path: Path) -> Path:
    """Write the page to ``path``."""
    path.write_text(kill_matrix_html(matrix), encoding="utf-8", newline="\n")
    return path


def kill_matrix_html(matrix: KillMatrix) -> str:
    found = Counter(row.found for row in matrix.bugs)
    return render(
        "kill_matrix.html.j2",
        {
            "matrix": matrix,
            "found": [
                (state, found[state])
                for state in (ALWAYS, SOMETIMES, NEVER, NOT_YET)
                if state != NOT_YET or found[state]
            ],
            "families": _families(matrix.bugs),
            "first": Counter(oracle for row in matrix.bugs for oracle in _oracles(row)).most_common(),
        },
        scripts=("report.js",),
    )


def _oracles(row: BugRow) -> set[str]:
    return {rule.split("/")[0] for rule in row.rules}


def _families(bugs: Sequence[BugRow]) -> list[tuple[str, int, int]]:
    """(family, bugs, found in every trial)"""
    names = dict.fromkeys(row.family for row in bugs)
    return [
        (name, sum(row.family == name for row in bugs), sum(row.family == name and row.found == ALWAYS for row in bugs))
        for name in sorted(names)
    ]
