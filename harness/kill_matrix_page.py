"""From recorded trials to the rows of the kill-matrix page: adds what the registry of planted bugs knows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from harness.matrix import MatrixRow, bare, is_equivalent
from harness.override_calls import sentence
from paxos_impl.mutants.registry import Mutant, MutantError, find
from paxos_impl.mutants.waiting import PAIRS, WAITING
from reports.kill_matrix import BugRow, HarmlessRow, KillMatrix, StrategyRow, write_kill_matrix_page


def write_page(rows: Sequence[MatrixRow], path: Path) -> Path:
    """Write the page of these rows to ``path``."""
    return write_kill_matrix_page(kill_matrix(rows), path)


def kill_matrix(rows: Sequence[MatrixRow]) -> KillMatrix:
    """The rows, told apart into bugs and harmless changes; rows of the unmodified code are left out.

    Bugs are told by the portfolio, or by the only strategy that was tried on them; those of one's own by their ids alone.
    """
    known = [row for row in rows if row.mutant]
    measured: dict[str, list[MatrixRow]] = defaultdict(list)
    for row in known:
        measured[row.mutant].append(row)
    told = [next((row for row in many if row.strategy == "portfolio"), many[0]) for many in measured.values()]
    bugs = [row for row in told if not _harmless(row.mutant)]
    return KillMatrix(
        bugs=tuple(map(_bug, sorted(bugs, key=lambda row: (row.schedules_mean, row.mutant)))),
        harmless=tuple(map(_harmless_row, [row for row in told if _harmless(row.mutant)])),
        strategies=_strategies([row for row in known if not _harmless(row.mutant)]),
        waiting=tuple(
            (one.id, one.about, one.waits_for) for one in WAITING if any(":" not in row.mutant for row in known)
        ),
    )


def _known(label: str) -> list[Mutant]:
    """Empty for a bug that this version does not know."""
    try:
        return find(label)
    except MutantError:
        return []


def _harmless(label: str) -> bool:
    """A bug that this version does not know counts as a real one."""
    return is_equivalent(_known(label))


def _bug(row: MatrixRow) -> BugRow:
    known = _known(row.mutant)
    one = known[0] if len(known) == 1 else None
    return BugRow(
        id=bare(row.mutant),
        about=one.about if one else next((pair.why for pair in PAIRS if pair.ids == row.mutant), ""),
        family="pair" if "+" in row.mutant else "own" if one is None or ":" in row.mutant else one.family,
        trials=row.trials,
        killed=row.killed,
        schedules_median=row.schedules_median,
        schedules_p95=row.schedules_p95,
        events_median=row.events_median,
        rules=row.rules,
        seen_by_clients=row.seen_by_clients,
        survived=sentence(row.calls),
        unfinished=row.unfinished,
    )


def _harmless_row(row: MatrixRow) -> HarmlessRow:
    (one,) = find(row.mutant)
    schedules = round(row.schedules_mean * max(1, row.killed))
    return HarmlessRow(bare(row.mutant), one.about, one.equivalent, schedules, row.killed)


def _strategies(rows: Sequence[MatrixRow]) -> tuple[StrategyRow, ...]:
    by_name: dict[str, list[MatrixRow]] = defaultdict(list)
    for row in rows:
        by_name[row.strategy].append(row)
    return tuple(
        StrategyRow(name, len(many), sum(row.killed > 0 for row in many), _typical(many))
        for name, many in sorted(by_name.items())
    )


def _typical(rows: Sequence[MatrixRow]) -> float | None:
    logs = [math.log(row.schedules_mean) for row in rows if row.killed]
    return math.exp(fmean(logs)) if logs else None
