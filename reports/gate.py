"""The decisions of the regression gate: head against base, metric by metric, as pure functions of figures.

Rules
* The unit is the plan (virtual time) or the run (wall clock), never the operation.
* *Worse* needs three things: the whole interval of the ratio lies beyond a floor named beforehand, the metric falls in a
  test that all metrics share (Holm), and the loss lies beyond what base shows against itself, where that is known.
* *Cannot tell* is a decision of its own: the interval, or that of base against base, is so wide that a slowdown of
  ``TO_SEE`` may hide in it. Nothing is called the same because it was measured badly.
* All ratios are head / base of a quantity of which less is better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import Literal

import msgspec

from harness.figures import Figures, WallFigures
from reports.statistics import (
    PAIRS_AT_LEAST,
    RatioInterval,
    holm,
    paired_mean_ratio,
    paired_ratio,
    pooled_ratio,
    sign_test,
)
from reports.wording import count, span

TO_SEE = 0.20
"""A slowdown that must not be missed."""
ALPHA_VIRTUAL = 0.005
"""Chance that some metric of virtual time alarms without a change, before the floor makes it smaller."""
ALPHA_WALL = 0.05

Decision = Literal["same", "better", "worse", "unknown"]
DECISION_WORDS: dict[str, str] = {
    "same": "no regression",
    "better": "better",
    "worse": "worse",
    "unknown": "cannot tell",
}


class Finding(msgspec.Struct, frozen=True):
    """What is known of one metric."""

    metric: str
    base: str
    """A typical value of base, with its unit."""
    head: str
    decision: Decision
    sentence: str
    interval: RatioInterval | None
    """None: counted, not a ratio; or too little to compare."""
    noise: RatioInterval | None = None
    """Base against base."""
    pairs: tuple[float, ...] = ()
    """The ratio of each pair, for the picture."""


class Comparison(msgspec.Struct, frozen=True):
    """All metrics of one kind."""

    kind: Literal["virtual time", "wall clock"]
    hard: bool
    """Its decisions count for the exit code."""
    unit: str
    """What a pair is."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def having(self, decision: Decision) -> list[str]:
        return [finding.metric for finding in self.findings if finding.decision == decision]


class Broken(msgspec.Struct, frozen=True):
    """A run in which a rule was broken."""

    what: str
    """Which run: a plan and its salt, or a real one."""
    rule: str
    sentence: str
    run_directory: str = ""


class GateResult(msgspec.Struct, frozen=True):
    """What the gate came to."""

    base: str
    head: str
    schedules: int
    """Simulated with all oracles."""
    broken: tuple[Broken, ...]
    comparisons: tuple[Comparison, ...]
    unknown: tuple[str, ...] = ()
    """Why something hard could not be compared at all."""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """1: a rule is broken. 4: a hard metric is worse. 3: cannot tell. 130: interrupted. 0: as the baseline says."""
        if self.broken:
            return 1
        if self._names("worse", hard=True):
            return 4
        if self.interrupted:
            return 130
        return 3 if self.unknown or self._untold else 0

    def _names(self, decision: Decision, *, hard: bool) -> list[str]:
        """Metrics of which that was decided, in the hard or in the advisory comparisons."""
        return [name for one in self.comparisons if one.hard is hard for name in one.having(decision)]

    @property
    def _untold(self) -> list[str]:
        """Metrics that had to decide and cannot; where nothing hard was compared, that is the advisory ones."""
        return self._names("unknown", hard=any(one.hard for one in self.comparisons))

    @property
    def verdict(self) -> str:
        return {0: "PASS", 1: "FAIL", 4: "FAIL"}.get(self.exit_code, "INCONCLUSIVE")

    @property
    def sentence(self) -> str:
        """In one sentence, the weightiest reason first."""
        if self.broken:
            return f"{self.broken[0].rule} is broken in {count(len(self.broken), 'run')}: {self.broken[0].sentence}"
        worse = self._names("worse", hard=True)
        if worse:
            return f"Worse than {self.base} in {', '.join(worse)}."
        if self.interrupted:
            return "Interrupted before everything was compared."
        if self.unknown or self._untold:
            return f"Cannot tell: {self.unknown[0] if self.unknown else 'too noisy in ' + ', '.join(self._untold)}."
        advice = self._names("worse", hard=False)
        if advice:
            return f"No hard regression; it looks worse than {self.base} in {', '.join(advice)} (advisory)."
        return f"Not worse than {self.base}."


# -- virtual time -----------------------------------------------------------------------------------------------------


class VirtualMetric(msgspec.Struct, frozen=True):
    """A positive quantity of a plan, of which less is better. ``value`` is None where the plan shows none."""

    name: str
    about: str
    floor: float
    value: Callable[[Figures], float | None]
    written: Callable[[float], str]


RECOVERY = "recovery time"
P99 = "latency p99"
MESSAGES = "messages per decision"
LOST = "operations that did not succeed"
NEVER = "schedules that never recover"


VIRTUAL: tuple[VirtualMetric, ...] = (
    VirtualMetric(
        RECOVERY,
        "longest time without a success from the begin of a fault to the first success after its heal, mean over faults",
        0.05,
        lambda one: one.recovery_ns / one.recovered if one.recovered else None,
        span,
    ),
    VirtualMetric(
        P99,
        "of operations that succeeded, from when they were wanted",
        0.05,
        lambda one: one.p99_ns / one.with_latency if one.with_latency else None,
        span,
    ),
    VirtualMetric(
        MESSAGES,
        "between agents before the final heal, for each slot that some learner had learned by then",
        0.03,
        lambda one: one.messages / one.decisions if one.messages and one.decisions else None,
        lambda value: f"{value:.2f}",
    ),
)
LOST_FLOOR = 0.05
NEVER_AT_LEAST = 3
"""So many plans more must never recover before it counts: with fewer discordant plans no test can tell."""


def compare_virtual(
    base: Sequence[Figures], head: Sequence[Figures], *, hard: bool = True, resamples: int = 4000
) -> Comparison:
    """Plan by plan, in the same order. Raises ValueError unless both hold the same number of plans."""
    if len(base) != len(head):
        raise ValueError(f"{len(base)} plans of base but {len(head)} of head; they are compared plan by plan")
    confidence = 1.0 - ALPHA_VIRTUAL
    drafts = [
        *(_ratio_of_plans(metric, base, head, confidence, resamples) for metric in VIRTUAL),
        _lost(base, head, confidence, resamples),
        _never(base, head),
    ]
    findings = _decided(drafts, ALPHA_VIRTUAL, {NEVER: _never_p(base, head)})
    same = sum(before == after for before, after in zip(base, head, strict=True))
    note = f"{same} of {count(len(base), 'plan')} ran exactly as in the base"
    return Comparison("virtual time", hard, "plan", findings, (note,))


def _ratio_of_plans(
    metric: VirtualMetric, base: Sequence[Figures], head: Sequence[Figures], confidence: float, resamples: int
) -> Finding:
    both = [(metric.value(before), metric.value(after)) for before, after in zip(base, head, strict=True)]
    pairs = [(before, after) for before, after in both if before is not None and after is not None]
    befores, afters = [before for before, _ in pairs], [after for _, after in pairs]
    if len(pairs) < PAIRS_AT_LEAST:
        return Finding(metric.name, "-", "-", "unknown", _too_few(len(pairs), "plan"), None)
    interval = paired_mean_ratio(befores, afters, floor=metric.floor, confidence=confidence, resamples=resamples)
    return Finding(
        metric.name,
        metric.written(fmean(befores)),
        metric.written(fmean(afters)),
        "same",
        "",
        interval,
        pairs=tuple(after / before for before, after in pairs),
    )


def _lost(base: Sequence[Figures], head: Sequence[Figures], confidence: float, resamples: int) -> Finding:
    """The share of operations that succeed is compared by its complement: of a share near 1 no ratio tells anything."""
    befores, afters = ([(one.wanted - one.succeeded, one.wanted) for one in side] for side in (base, head))
    if len(befores) < PAIRS_AT_LEAST or not sum(whole for _, whole in befores) or not sum(whole for _, whole in afters):
        return Finding(LOST, "-", "-", "unknown", _too_few(len(befores), "plan"), None)
    interval = pooled_ratio(befores, afters, floor=LOST_FLOOR, confidence=confidence, resamples=resamples)
    shares = [sum(part for part, _ in side) / sum(whole for _, whole in side) for side in (befores, afters)]
    pairs = tuple(
        (after[0] + 0.5) / after[1] * before[1] / (before[0] + 0.5)
        for before, after in zip(befores, afters, strict=True)
        if before[1] and after[1]
    )
    return Finding(LOST, f"{shares[0]:.2%}", f"{shares[1]:.2%}", "same", "", interval, pairs=pairs)


def _never(base: Sequence[Figures], head: Sequence[Figures]) -> Finding:
    counts = [sum(one.never_recovered for one in side) for side in (base, head)]
    return Finding(NEVER, str(counts[0]), str(counts[1]), "same", "", None)


def _never_p(base: Sequence[Figures], head: Sequence[Figures]) -> float:
    """Plan by plan: how often head never recovers in more runs than base, and the other way round."""
    more = sum(after.never_recovered > before.never_recovered for before, after in zip(base, head, strict=True))
    less = sum(after.never_recovered < before.never_recovered for before, after in zip(base, head, strict=True))
    return sign_test(less, more) if more - less >= NEVER_AT_LEAST else 1.0


# -- wall clock -------------------------------------------------------------------------------------------------------


class WallMetric(msgspec.Struct, frozen=True):
    name: str
    about: str
    floor: float
    value: Callable[[WallFigures], float]
    """Less is better."""
    written: Callable[[float], str]


WALL: tuple[WallMetric, ...] = (
    WallMetric(
        "time per operation",
        "the inverse of the throughput of a closed loop",
        0.05,
        lambda run: 1e9 / run.throughput_per_s,
        lambda value_ns: f"{1e9 / value_ns:,.0f} op/s",
    ),
    WallMetric("latency p50", "of a closed loop", 0.05, lambda run: run.p50_ns, span),
    WallMetric("latency p99", "of a closed loop", 0.10, lambda run: run.p99_ns, span),
)
"""Named beforehand, and few: each further metric makes all others less sure."""


def compare_wall(
    base: Sequence[WallFigures], head: Sequence[WallFigures], *, hard: bool = False, resamples: int = 4000
) -> Comparison:
    """Pair by pair: the n-th run of base and the n-th of head stood side by side, now one first, now the other."""
    drafts = []
    for metric in WALL:
        befores, afters = [metric.value(run) for run in base], [metric.value(run) for run in head]
        if len(befores) != len(afters) or len(befores) < PAIRS_AT_LEAST:
            drafts.append(
                Finding(metric.name, "-", "-", "unknown", _too_few(min(len(befores), len(afters)), "run"), None)
            )
            continue
        interval = paired_ratio(befores, afters, floor=metric.floor, resamples=resamples)
        noise = _base_against_base(befores, metric.floor, resamples)
        drafts.append(
            Finding(
                metric.name,
                metric.written(median(befores)),
                metric.written(median(afters)),
                "same",
                "",
                interval,
                noise,
                tuple(after / before for before, after in zip(befores, afters, strict=True)),
            )
        )
    return Comparison("wall clock", hard, "pair of runs", _decided(drafts, ALPHA_WALL, {}))


def _base_against_base(values: Sequence[float], floor: float, resamples: int) -> RatioInterval | None:
    """Each run of base against the next one, now as base, now as head: what no change at all looks like."""
    if len(values) <= PAIRS_AT_LEAST:
        return None
    ordered = [(one, other) if place % 2 else (other, one) for place, (one, other) in enumerate(pairwise(values))]
    return paired_ratio([one for one, _ in ordered], [other for _, other in ordered], floor=floor, resamples=resamples)


# -- both -------------------------------------------------------------------------------------------------------------


def _decided(drafts: Sequence[Finding], alpha: float, counted: Mapping[str, float]) -> tuple[Finding, ...]:
    """Decide all metrics together. ``counted``: p-values of metrics that have no interval."""
    p_values = {one.metric: one.interval.p_value for one in drafts if one.interval is not None} | dict(counted)
    fallen = holm(p_values, alpha)
    return tuple(_decide(one, fallen.get(one.metric, False), one.metric in counted) for one in drafts)


def _decide(draft: Finding, fallen: bool, counted: bool) -> Finding:
    if counted:
        decision: Decision = "worse" if fallen else "same"
        return msgspec.structs.replace(draft, decision=decision, sentence=f"{draft.base} before, {draft.head} now")
    interval = draft.interval
    if interval is None:
        return draft
    noise = draft.noise
    beyond_noise = noise is None or interval.low > noise.high
    widest = 1.0 + TO_SEE
    if interval.worse and fallen and beyond_noise:
        decision, why = "worse", f"at least {_percent(interval.low)}"
    elif noise is not None and max(noise.high, 1 / max(noise.low, 1e-9)) > widest / (1.0 + interval.floor):
        decision, why = "unknown", f"base against base shows {_percent(noise.low)} to {_percent(noise.high)}"
    elif interval.high > widest:
        decision, why = (
            "unknown",
            f"a loss of {TO_SEE:.0%} may hide in {_percent(interval.low)} to {_percent(interval.high)}",
        )
    elif interval.high < 1.0 - interval.floor:
        decision, why = "better", f"at most {_percent(interval.high)}"
    else:
        decision, why = (
            "same",
            f"{_percent(interval.low)} to {_percent(interval.high)}, floor {_percent(1 + interval.floor)}",
        )
    return msgspec.structs.replace(draft, decision=decision, sentence=f"{_percent(interval.ratio)} ({why})")


def _too_few(number: int, noun: str) -> str:
    return f"{count(number, noun)} with a value on both sides: at least {PAIRS_AT_LEAST} are needed"


def _percent(ratio: float) -> str:
    """``+12.3 %``: how much more than the base."""
    return "without end" if ratio == float("inf") else f"{100 * (ratio - 1):+.1f} %"
