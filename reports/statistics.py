"""Numbers that reports and the gate state: windows, recovery, and comparisons that do not cry wolf.

Rules
-----
* The run, or the fault episode, is the unit; never the operation (operations of one run are not independent).
* A fault after which nothing ever succeeded has an unknown, longer recovery time: right-censored, it ranks as infinite.
* A difference counts only if its whole interval lies beyond a floor named beforehand; several metrics share one error
  (Holm).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def windowed_quantiles(times_ns: Ints, values: Floats, duration_ns: int, width_ns: int, at: Sequence[float]) -> Floats:
    """Quantiles of ``values`` in each window of time: shape (len(at), windows); NaN where a window has none."""
    windows = max(1, -(-duration_ns // width_ns))
    found = np.full((len(at), windows), np.nan)
    place = np.clip(times_ns // width_ns, 0, windows - 1)
    order = np.argsort(place, kind="stable")
    cuts = np.searchsorted(place[order], np.arange(windows + 1))
    sorted_values = values[order]
    for window in range(windows):
        inside = sorted_values[cuts[window] : cuts[window + 1]]
        if len(inside):
            found[:, window] = np.quantile(inside, at)
    return found


def windowed_counts(times_ns: Ints, duration_ns: int, width_ns: int) -> Ints:
    """How many times fall into each window."""
    windows = max(1, -(-duration_ns // width_ns))
    return np.bincount(np.clip(times_ns // width_ns, 0, windows - 1), minlength=windows).astype(np.int64)


def censored_quantile(times: Iterable[float | None], at: float) -> float | None:
    """Quantile (nearest rank) of times of which some are censored (None): infinite if it falls among those.

    Returns None for no times at all.
    """
    ranked = sorted(math.inf if time is None else float(time) for time in times)
    if not ranked:
        return None
    return ranked[min(len(ranked) - 1, max(0, math.ceil(at * len(ranked)) - 1))]


class RatioInterval(msgspec.Struct, frozen=True):
    """Head against base, as a ratio with its bootstrap interval. ``worse`` holds only beyond the floor."""

    ratio: float
    low: float
    high: float
    floor: float
    p_value: float
    """Share of resamples whose ratio does not exceed 1 + floor (one is added above and below: never 0)."""
    pairs: int

    @property
    def worse(self) -> bool:
        return self.low > 1.0 + self.floor


PAIRS_AT_LEAST = 5


def paired_ratio(
    base: Sequence[float | None],
    head: Sequence[float | None],
    *,
    floor: float,
    confidence: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
) -> RatioInterval:
    """Median over pairs of head / base, where larger is worse, with a percentile bootstrap over the pairs.

    None is a censored value (never recovered): infinite; a pair censored on both sides has ratio 1. The lower and upper
    bound are each one-sided at ``confidence``. Raises ValueError for unequal or fewer than 5 pairs, and values <= 0.
    """
    _check_pairs(base, head)
    logs = np.array([_log_ratio(before, after) for before, after in zip(base, head, strict=True)])
    draws = np.random.Generator(np.random.PCG64(seed)).integers(0, len(logs), size=(resamples, len(logs)))
    middles = _median_of_rows(np.sort(logs[draws], axis=1))
    return _interval(float(_median_of_rows(np.sort(logs)[None, :])[0]), middles, floor, confidence, len(logs))


def paired_mean_ratio(
    base: Sequence[float],
    head: Sequence[float],
    *,
    floor: float,
    confidence: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
) -> RatioInterval:
    """As ``paired_ratio``, with the geometric mean over pairs: for many pairs without censored values, of which a change
    may touch a few."""
    _check_pairs(base, head)
    logs = np.array([_log_ratio(before, after) for before, after in zip(base, head, strict=True)])
    means = _weights(len(logs), resamples, seed) @ logs / len(logs)
    return _interval(float(logs.mean()), means, floor, confidence, len(logs))


def pooled_ratio(
    base: Sequence[tuple[float, float]],
    head: Sequence[tuple[float, float]],
    *,
    floor: float,
    confidence: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
) -> RatioInterval:
    """A share of all pairs together, head / base, where larger is worse; each value is (part, whole).

    For shares that are 0 in many pairs. Half a part is added to both sides, so that 0 can be compared. The bootstrap is
    over pairs. Raises ValueError for unequal or fewer than 5 pairs, or if a side holds nothing.
    """
    _check_pairs(base, head)
    before, after = np.array(base, dtype=np.float64), np.array(head, dtype=np.float64)
    if not before[:, 1].sum() > 0 or not after[:, 1].sum() > 0:
        raise ValueError("pooled_ratio: a side holds nothing; a share needs a whole")
    weights = _weights(len(before), resamples, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = _log_share(weights @ after) - _log_share(weights @ before)
    estimate = _log_share(after.sum(axis=0)[None, :]) - _log_share(before.sum(axis=0)[None, :])
    return _interval(float(estimate[0]), np.where(np.isnan(logs), 0.0, logs), floor, confidence, len(before))


def _log_share(sums: Floats) -> Floats:
    return np.asarray(np.log(sums[:, 0] + 0.5) - np.log(sums[:, 1]), dtype=np.float64)


def _check_pairs(base: Sequence[object], head: Sequence[object]) -> None:
    if len(base) != len(head):
        raise ValueError(f"{len(base)} base values but {len(head)} head values; pairs need both")
    if len(base) < PAIRS_AT_LEAST:
        raise ValueError(f"{len(base)} pairs cannot bear an interval; give at least {PAIRS_AT_LEAST}")


@functools.lru_cache(maxsize=8)
def _weights(pairs: int, resamples: int, seed: int) -> Floats:
    """How often each pair is drawn in each resample: shape (resamples, pairs)."""
    draws = np.random.Generator(np.random.PCG64(seed)).integers(0, pairs, size=(resamples, pairs))
    places = draws + pairs * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=pairs * resamples).reshape(resamples, pairs).astype(np.float64)


def _interval(estimate: float, logs: Floats, floor: float, confidence: float, pairs: int) -> RatioInterval:
    """From the logarithms of the ratio and of its resamples."""
    low, high = np.quantile(logs, [1.0 - confidence, confidence], method="nearest")
    beyond = int((logs <= math.log1p(floor)).sum())
    return RatioInterval(
        ratio=_exp(estimate),
        low=_exp(float(low)),
        high=_exp(float(high)),
        floor=floor,
        p_value=(beyond + 1) / (len(logs) + 1),
        pairs=pairs,
    )


def sign_test(base_only: int, head_only: int) -> float:
    """One-sided p-value that head shows something more often than base, from the pairs in which only one of both did."""
    trials = base_only + head_only
    at_least = sum(math.comb(trials, count) for count in range(head_only, trials + 1))
    return float(at_least / 2**trials)


def _log_ratio(before: float | None, after: float | None) -> float:
    for value in (before, after):
        if value is not None and not value > 0:
            raise ValueError(f"{value} is not a positive value; a ratio needs positive numbers")
    if before is None and after is None:
        return 0.0
    if after is None:
        return math.inf
    if before is None:
        return -math.inf
    return math.log(after / before)


def _median_of_rows(rows: Floats) -> Floats:
    """Lower and upper middle averaged; infinities survive, opposite ones cancel."""
    size = rows.shape[1]
    lower, upper = rows[:, (size - 1) // 2], rows[:, size // 2]
    with np.errstate(invalid="ignore"):
        middle = (lower + upper) / 2
    return np.where(np.isnan(middle), 0.0, middle)


def _exp(value: float) -> float:
    return math.inf if value == math.inf else math.exp(value)


def holm(p_values: Mapping[str, float], alpha: float = 0.05) -> dict[str, bool]:
    """Which hypotheses fall when all are tested together (Holm 1979): family-wise error at most ``alpha``."""
    fallen = dict.fromkeys(p_values, False)
    ranked = sorted(p_values, key=lambda name: (p_values[name], name))
    for rank, name in enumerate(ranked):
        if p_values[name] > alpha / (len(ranked) - rank):
            break
        fallen[name] = True
    return fallen
