"""The gate of the kill matrix: every recorded bug is killed again, within a multiple of the schedules its record lets expect.

Schedules to a kill are roughly geometric, so the multiple is large: a mere reshuffle of schedules stays green. The unmodified
code and the equivalent mutants must survive meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import msgspec

from harness.matrix import MatrixRow, Progress, Task, is_equivalent, run_tasks
from harness.matrix_record import Recorded
from paxos_impl.mutants.registry import all_mutants, find
from paxos_impl.mutants.waiting import PAIRS

GATE_FACTOR = 13
"""Times the expected mean. Schedules to a kill are roughly geometric: that many survive with probability e^-13."""
GATE_PRIOR = 20
"""Schedules of one more trial that is added to those recorded: few trials may all have been lucky."""
GATE_BASE = 1000
"""Its seeds are none that the matrix was recorded with."""


class GateResult(msgspec.Struct, frozen=True):
    """``failures`` and ``unknown``: one sentence each."""

    checked: int
    failures: tuple[str, ...]
    unknown: tuple[str, ...]
    deep: tuple[str, ...]
    """Mutants left to the nightly run."""

    @property
    def exit_code(self) -> int:
        """0: all as recorded. 1: a survivor, or a kill of clean code or of an equivalent mutant. 3: cannot tell."""
        if self.failures:
            return 1
        return 3 if self.unknown else 0


def _expected(row: MatrixRow) -> float:
    """Schedules to a kill, as if another trial had needed ``GATE_PRIOR``."""
    return (row.schedules_mean * row.killed + GATE_PRIOR) / (row.killed + 1)


def gate(
    recorded: Recorded,
    *,
    ids: Iterable[str] | None = None,
    factor: int = GATE_FACTOR,
    deepest: float | None = 20.0,
    harmless_schedules: int = 10,
    clean_schedules: int = 100,
    jobs: int = 1,
    state: Path | None = None,
    progress: Progress | None = None,
) -> GateResult:
    """Kill every mutant again with seeds of its own, each within ``factor`` times the schedules its record lets expect.

    ``deepest``: mutants of a higher recorded mean (schedules) are left to the nightly run; None: all.
    """
    rows = {row.mutant: row for row in recorded.rows if row.strategy == "portfolio" and row.killed}
    names = list(ids) if ids is not None else [*all_mutants(), *(pair.ids for pair in PAIRS)]
    tasks = [Task("", "portfolio", GATE_BASE, clean_schedules)]
    unknown, deep = [], []
    for name in names:
        if is_equivalent(find(name)):
            tasks.append(Task(name, "portfolio", GATE_BASE, harmless_schedules))
        elif name not in rows:
            unknown.append(f"{name} has no recorded kill; measure it with `torture matrix --ids {name}`")
        elif deepest is not None and rows[name].schedules_mean > deepest:
            deep.append(name)
        else:
            tasks.append(Task(name, "portfolio", GATE_BASE, math.ceil(factor * _expected(rows[name]))))
    result = run_tasks(tasks, jobs=jobs, state=state, progress=progress)
    failures = [f"survived {factor} times its expected schedules: {label}" for label in result.survivors]
    failures += [f"equivalent mutant killed: {label}" for label in result.killed_equivalents]
    failures += [
        f"unmodified code: {rule} with strategy {name}, seed {seed}" for name, seed, rule in result.clean_violations
    ]
    unknown += [f"does not behave the same twice: {label}" for label in result.unsteady]
    if result.interrupted:
        unknown.append("interrupted before all trials ended")
    return GateResult(len(result.trials), tuple(failures), tuple(unknown), tuple(deep))
