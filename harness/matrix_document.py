"""``docs/kill-matrix.md``: the recorded kill matrix, to read."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, median

from harness.matrix import MatrixRow, is_equivalent
from harness.matrix_record import Recorded
from paxos_impl.mutants.registry import Mutant, all_mutants, find
from paxos_impl.mutants.waiting import PAIRS, WAITING


def document(recorded: Recorded) -> str:
    """``docs/kill-matrix.md``, from the recorded rows alone."""
    known = all_mutants()
    rows = [row for row in recorded.rows if row.strategy == "portfolio"]
    real = [row for row in rows if not is_equivalent(find(row.mutant))]
    killed = [row for row in real if row.killed == row.trials]
    typical = _number(median(_or_infinite(row.schedules_median) for row in real)) if real else "-"
    lines = [
        "# The kill matrix",
        "",
        "Generated from `docs/kill-matrix.json`; do not edit. A *kill* counts only if the same plan passes on the unmodified",
        "code. *Clients*: share of the kills that the history alone, without traces and logs, shows as well.",
        "",
        f"{len(real)} planted bugs and pairs measured with the portfolio, {len(killed)} of them killed in every trial; "
        f"median of the medians: {typical} schedules. {_within(real)}{_outlived(real)}",
        "",
        "It is a score on known bugs, no forecast: strategies were widened with those that survived in view (the rule behind",
        "them, not the row), and few trials say little of a single row. Bugs without a row have no recorded figure. A forecast",
        "for bugs that nobody had in view: [unseen bugs](unseen-bugs.md).",
        *_measured_with(recorded),
        "",
        "| id | bug | family | trials | killed | schedules: median | p95 | events: median | p95 | fired first | clients |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---|---:|",
    ]
    lines += [_line(row, known) for row in sorted(real, key=lambda row: (row.schedules_mean, row.mutant))]
    lines += ["", "## Equivalent mutants", "", "They break nothing, and must not be killed.", ""]
    lines += ["| id | change | why it is harmless | schedules survived | killed |", "|---|---|---|---:|---:|"]
    for row in rows:
        if row.mutant in known and known[row.mutant].equivalent:
            one = known[row.mutant]
            survived = row.trials * row.most_schedules
            lines.append(f"| {one.id} | {one.about} | {one.equivalent} | {survived} | {row.killed} |")
    lines += ["", "## Single strategies", "", *_strategies(recorded.rows)]
    lines += ["", "## Bugs that wait for a feature", "", "| id | bug | source | waits for |", "|---|---|---|---|"]
    lines += [f"| {one.id} | {one.about} | {one.source} | {one.waits_for} |" for one in WAITING]
    return "\n".join(lines) + "\n"


def _measured_with(recorded: Recorded) -> list[str]:
    """Which version of the code ran the trials of most rows, and which rows others ran. Nothing of a matrix that was recorded
    without it."""
    ids: dict[str, list[str]] = {code: [] for code in recorded.codes}
    for row in recorded.rows:
        for code in row.codes:
            ids[code].append(row.mutant)
    if not ids:
        return []
    most, *others = sorted(ids, key=lambda code: len(ids[code]), reverse=True)
    told = f"with the code of hash `{most}`"
    if others:
        told += ", except for " + "; ".join(f"{', '.join(sorted(set(ids[code])))} (`{code}`)" for code in others)
    return ["", f"The trials were run {told} (`paxos_impl`, `nemesis` and `harness`; `harness.campaign.code_hash`)."]


def _within(rows: Sequence[MatrixRow]) -> str:
    """How many of them half of the trials kill within few schedules, and within more."""
    medians = [_or_infinite(row.schedules_median) for row in rows]
    counts = [f"{sum(one <= most for one in medians)} within {most}" for most in (1, 5, 20, 100)]
    return f"By their medians {', '.join(counts)}."


def _outlived(rows: Sequence[MatrixRow]) -> str:
    """Which of them some trials did not kill, and which none did."""
    some = [f"{row.mutant} ({row.killed} of {row.trials})" for row in rows if 0 < row.killed < row.trials]
    never = [f"{row.mutant} ({row.most_schedules:,} schedules)" for row in rows if not row.killed]
    told = f" Killed in some trials only: {', '.join(some)}." if some else ""
    return told + (f" Never killed: {', '.join(never)}." if never else "")


def _line(row: MatrixRow, known: dict[str, Mutant]) -> str:
    one = known.get(row.mutant)
    about = one.about if one else next((pair.why for pair in PAIRS if pair.ids == row.mutant), "")
    rules = ", ".join(f"{rule} {count}" for rule, count in list(row.rules.items())[:3])
    seen = f"{row.seen_by_clients / row.killed:.0%}" if row.killed else "-"
    cells = (
        row.mutant, about, one.family if one else "pair", row.trials, row.killed, _number(row.schedules_median),
        _number(row.schedules_p95), _number(row.events_median), _number(row.events_p95), rules, seen,
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def _strategies(rows: Sequence[MatrixRow]) -> list[str]:
    by_strategy: dict[str, list[MatrixRow]] = defaultdict(list)
    for row in rows:
        if not is_equivalent(find(row.mutant)):
            by_strategy[row.strategy].append(row)
    lines = ["| strategy | mutants | killed | mean of log schedules to a kill, as a number |", "|---|---:|---:|---:|"]
    for strategy, many in sorted(by_strategy.items()):
        logs = [math.log(row.schedules_mean) for row in many if row.killed]
        typical = f"{math.exp(fmean(logs)):.1f}" if logs else "-"
        lines.append(f"| {strategy} | {len(many)} | {sum(row.killed > 0 for row in many)} | {typical} |")
    return lines


def _number(value: float | None) -> str:
    if value is None or math.isinf(value):
        return "over the budget"
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value
