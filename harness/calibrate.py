"""What the gate is worth: its own false alarms and power, from runs of one and the same code.

Rules
* Virtual time: every stored plan is run with a pool of salts. A comparison draws salts for base, other salts for head, and
  plans with replacement; a slowdown is put upon the figures of head. A planted slowdown of the code is measured as well.
* Wall clock: real runs of one code in the order they were made. A comparison is laid out of blocks of ``BLOCK`` consecutive
  runs, drawn with replacement, each read as base, head, head, base: what makes neighbours alike stays in.
* The decisions are those of ``reports.gate``, unchanged but for fewer bootstrap resamples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from harness.figures import Figures, WallFigures, pooled
from harness.gate import SALTS, Progress, measure_all
from nemesis.plan import Plan
from reports.gate import LOST, MESSAGES, P99, RECOVERY, TO_SEE, Comparison, compare_virtual, compare_wall

POOL_SALTS = 10
FIRST_POOL_SALT = 10
"""Salts that the baseline does not use."""
SLOWER = (("election timeout × 2", 2.0), ("election timeout × 1.2", 1.2))
BLOCK = 4
RESAMPLES = 2000
"""Enough for the smallest p-value that Holm asks of five metrics."""
Figured = Callable[[Figures], Figures]


class Rate(msgspec.Struct, frozen=True):
    """How often something came out, of so many comparisons, with the interval of 95 % (Wilson)."""

    what: str
    times: int
    of: int

    @property
    def share(self) -> float:
        return self.times / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        z, n, p = 1.96, self.of, self.share
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))


class Calibration(msgspec.Struct, frozen=True):
    kind: str
    of_what: str
    """What was run, and how often."""
    false_alarms: Rate
    cannot_tell: Rate
    """Of the comparisons without a change."""
    power: tuple[Rate, ...]
    """At a slowdown of ``TO_SEE``, metric by metric; and planted slowdowns of the code."""
    interrupted: bool = False


def _slower(metric: str, factor: float) -> Figured:
    """Puts a loss upon one metric."""

    def recovery(one: Figures) -> Figures:
        return msgspec.structs.replace(one, recovery_ns=round(one.recovery_ns * factor))

    def latency(one: Figures) -> Figures:
        return msgspec.structs.replace(one, p99_ns=round(one.p99_ns * factor))

    def messages(one: Figures) -> Figures:
        return msgspec.structs.replace(one, messages=round(one.messages * factor))

    def lost(one: Figures) -> Figures:
        return msgspec.structs.replace(one, succeeded=one.wanted - round((one.wanted - one.succeeded) * factor))

    return {RECOVERY: recovery, P99: latency, MESSAGES: messages, LOST: lost}[metric]


def with_election_timeout(plan: Plan, factor: float) -> Plan:
    """The plan on code whose election timeout is longer; its faults stay as they are."""
    timing = plan.timing
    longer_ns = round(timing.election_timeout_ns * factor)
    return msgspec.structs.replace(plan, timing=msgspec.structs.replace(timing, election_timeout_ns=longer_ns))


def calibrate_virtual(
    plans: Sequence[Plan],
    *,
    comparisons: int,
    pool_salts: int = POOL_SALTS,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Calibration:
    """Runs each plan ``pool_salts`` (at least 2 × SALTS) times, and SALTS times with each planted slowdown."""
    pool = range(FIRST_POOL_SALT, FIRST_POOL_SALT + pool_salts)
    measured = [measure_all(plans, pool, jobs=jobs, progress=progress)]
    for _, factor in SLOWER:
        longer = [with_election_timeout(plan, factor) for plan in plans]
        measured.append(measure_all(longer, pool[:SALTS], jobs=jobs, progress=progress))
    if any(one.interrupted for one in measured):
        nothing = Rate("interrupted", 0, 0)
        return Calibration("virtual time", "interrupted", nothing, nothing, (), True)
    same, *slow = ([[run.figures for run in many] for many in one.runs] for one in measured)
    random = Random(0)
    alarms = untold = 0
    seen: Counter[str] = Counter()
    for _ in range(comparisons):
        base_salts, head_salts = _two_hands(random, pool_salts)
        drawn = [int(random.random() * len(plans)) for _ in plans]
        base, head = _hand(same, drawn, base_salts), _hand(same, drawn, head_salts)
        found = compare_virtual(base, head, resamples=RESAMPLES)
        alarms += bool(found.having("worse"))
        untold += bool(found.having("unknown"))
        for metric in (RECOVERY, P99, MESSAGES, LOST):
            slower = [_slower(metric, 1.0 + TO_SEE)(one) for one in head]
            seen[metric] += metric in compare_virtual(base, slower, resamples=RESAMPLES).having("worse")
        for (name, _), figures in zip(SLOWER, slow, strict=True):
            slower = _hand(figures, drawn, range(SALTS))
            seen[name] += bool(compare_virtual(base, slower, resamples=RESAMPLES).having("worse"))
    return Calibration(
        "virtual time",
        f"{len(plans)} plans, {pool_salts} salts each, {comparisons} comparisons of {SALTS} salts against {SALTS}",
        Rate("no change", alarms, comparisons),
        Rate("no change", untold, comparisons),
        tuple(
            Rate(
                f"{metric} + {TO_SEE:.0%}" if metric in (RECOVERY, P99, MESSAGES, LOST) else metric,
                seen[metric],
                comparisons,
            )
            for metric in (RECOVERY, P99, MESSAGES, LOST, *(name for name, _ in SLOWER))
        ),
    )


def _two_hands(random: Random, salts: int) -> tuple[list[int], list[int]]:
    """Different salts for base and head."""
    left = list(range(salts))
    hands = [left.pop(int(random.random() * len(left))) for _ in range(2 * SALTS)]
    return hands[:SALTS], hands[SALTS:]


def _hand(figures: Sequence[Sequence[Figures]], plans: Sequence[int], salts: Sequence[int]) -> list[Figures]:
    return [pooled([figures[plan][salt] for salt in salts]) for plan in plans]


def calibrate_wall(runs: Sequence[WallFigures], *, pairs: int, comparisons: int) -> Calibration:
    """``runs``: of one code, in the order they were made. Raises ValueError if they are fewer than two blocks."""
    if len(runs) < 2 * BLOCK:
        raise ValueError(f"{len(runs)} runs are too few to draw blocks from; make at least {2 * BLOCK}")
    random = Random(0)
    alarms = untold = 0
    seen: Counter[str] = Counter()
    metrics: list[str] = []
    for _ in range(comparisons):
        base, head = _laid_out(runs, pairs, random)
        found = compare_wall(base, head, resamples=RESAMPLES)
        alarms += bool(found.having("worse"))
        untold += bool(found.having("unknown"))
        slower = compare_wall(base, [_slower_run(run, 1.0 + TO_SEE) for run in head], resamples=RESAMPLES)
        metrics = [finding.metric for finding in slower.findings]
        seen.update(slower.having("worse"))
        seen["any"] += bool(slower.having("worse"))
        seen["unknown"] += _only_unknown(slower)
    return Calibration(
        "wall clock",
        f"{len(runs)} real runs, {comparisons} comparisons of {pairs} pairs, in blocks of {BLOCK} consecutive runs",
        Rate("no change", alarms, comparisons),
        Rate("no change", untold, comparisons),
        (
            *(Rate(f"{metric} + {TO_SEE:.0%}", seen[metric], comparisons) for metric in metrics),
            Rate(f"any metric, all + {TO_SEE:.0%}", seen["any"], comparisons),
            Rate(f"cannot tell, all + {TO_SEE:.0%}", seen["unknown"], comparisons),
        ),
    )


def _only_unknown(found: Comparison) -> bool:
    return bool(found.having("unknown")) and not found.having("worse")


def _laid_out(runs: Sequence[WallFigures], pairs: int, random: Random) -> tuple[list[WallFigures], list[WallFigures]]:
    """``pairs`` pairs out of blocks read as base, head, head, base."""
    base: list[WallFigures] = []
    head: list[WallFigures] = []
    while len(base) < pairs:
        start = int(random.random() * (len(runs) - BLOCK + 1))
        one, two, three, four = runs[start : start + BLOCK]
        base += [one, four]
        head += [two, three]
    return base[:pairs], head[:pairs]


def _slower_run(run: WallFigures, factor: float) -> WallFigures:
    return WallFigures(run.throughput_per_s / factor, run.p50_ns * factor, run.p99_ns * factor)


def table(found: Calibration) -> str:
    """Markdown."""
    lines = [
        f"{found.kind}: {found.of_what}.",
        "",
        "| what was done to head | decision | times | share | 95 % interval |",
        "|---|---|---:|---:|---|",
        _line(found.false_alarms, "worse (a false alarm)"),
        _line(found.cannot_tell, "cannot tell"),
        *(
            _line(rate, "cannot tell" if rate.what.startswith("cannot tell") else "worse (found)")
            for rate in found.power
        ),
    ]
    return "\n".join(lines) + "\n"


def _line(rate: Rate, decision: str) -> str:
    if not rate.of:
        return f"| {rate.what} | {decision} | - | - | - |"
    low, high = rate.interval
    what = rate.what.removeprefix("cannot tell, ")
    return f"| {what} | {decision} | {rate.times} of {rate.of} | {rate.share:.1%} | {low:.1%} to {high:.1%} |"
