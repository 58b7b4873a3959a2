"""Windows, availability, censored recovery, and comparisons that do not cry wolf."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.statistics import (
    censored_quantile,
    holm,
    paired_mean_ratio,
    paired_ratio,
    pooled_ratio,
    sign_test,
    windowed_counts,
    windowed_quantiles,
)

MS = 1_000_000


def _ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def test_quantiles_and_counts_of_windows() -> None:
    times = _ints(1 * MS, 2 * MS, 3 * MS, 25 * MS)
    values = np.array([1.0, 2.0, 3.0, 9.0])
    found = windowed_quantiles(times, values, 30 * MS, 10 * MS, (0.5, 1.0))
    assert found[:, 0].tolist() == [2.0, 3.0]
    assert np.isnan(found[:, 1]).all()
    assert found[:, 2].tolist() == [9.0, 9.0]
    assert windowed_counts(times, 30 * MS, 10 * MS).tolist() == [3, 0, 1]


def test_never_recovered_ranks_as_infinite() -> None:
    assert censored_quantile([], 0.5) is None
    assert censored_quantile([3, None, 1], 0.5) == 3
    assert censored_quantile([3, None, 1, None], 0.75) == math.inf
    assert censored_quantile([5], 0.99) == 5


def _runs(rng: np.random.Generator, slower: float) -> tuple[list[float], list[float]]:
    shared = rng.normal(0, 0.1, 12)
    base = np.exp(shared + rng.normal(0, 0.03, 12)) * 100
    head = np.exp(shared + rng.normal(0, 0.03, 12)) * 100 * slower
    return base.tolist(), head.tolist()


def test_a_slowdown_of_a_fifth_is_seen_and_no_slowdown_is_not() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    seen = sum(paired_ratio(*_runs(rng, 1.2), floor=0.05, resamples=500).worse for _ in range(100))
    cried = sum(paired_ratio(*_runs(rng, 1.0), floor=0.05, resamples=500).worse for _ in range(100))
    assert seen >= 95
    assert cried <= 1


def test_the_interval_holds_the_ratio_and_is_the_same_each_time() -> None:
    base, head = _runs(np.random.Generator(np.random.PCG64(2)), 1.5)
    first, again = (paired_ratio(base, head, floor=0.05) for _ in range(2))
    assert first == again
    assert first.low <= first.ratio <= first.high
    assert first.p_value < 0.01 and first.worse


def test_censored_pairs_rank_as_infinite_and_cancel() -> None:
    base: list[float | None] = [10.0] * 8
    never: list[float | None] = [None] * 8
    assert paired_ratio(base, never, floor=0.05).low == math.inf
    assert paired_ratio(never, base, floor=0.05).high == 0.0
    assert paired_ratio(never, never, floor=0.05).ratio == 1.0


@pytest.mark.parametrize(
    ("base", "head", "words"),
    [
        ([1.0] * 5, [1.0] * 4, "pairs need both"),
        ([1.0] * 4, [1.0] * 4, "at least 5"),
        ([0.0] * 5, [1.0] * 5, "positive"),
    ],
)
def test_what_cannot_be_compared_is_refused(base: list[float], head: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        paired_ratio(base, head, floor=0.05)


def test_holm_shares_one_error_among_all() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {"a": True, "b": False, "c": False}
    assert holm({"a": 0.01, "b": 0.02, "c": 0.03}) == {"a": True, "b": True, "c": True}
    assert holm({}) == {}


def test_the_mean_over_pairs_sees_what_touches_some_and_the_median_does_not() -> None:
    base = [10.0] * 40
    head = [20.0 if place % 3 == 0 else 10.0 for place in range(40)]
    assert paired_mean_ratio(base, head, floor=0.05).worse
    assert not paired_ratio(base, head, floor=0.05).worse


def test_equal_pairs_have_ratio_one_and_no_width() -> None:
    found = paired_mean_ratio([3.0, 5.0, 7.0, 9.0, 1.0], [3.0, 5.0, 7.0, 9.0, 1.0], floor=0.05)
    assert (found.low, found.ratio, found.high, found.worse) == (1.0, 1.0, 1.0, False)


def test_a_share_is_pooled_over_pairs_also_where_most_hold_none() -> None:
    base = [(0, 100)] * 20 + [(50, 100)] * 20
    head = [(0, 100)] * 20 + [(65, 100)] * 20
    assert pooled_ratio(base, head, floor=0.05).ratio == pytest.approx(1.3, abs=0.01)
    assert pooled_ratio(base, head, floor=0.05).worse
    assert not pooled_ratio(head, base, floor=0.05).worse
    assert not pooled_ratio([(0, 100)] * 9, [(0, 100)] * 9, floor=0.05).worse
    with pytest.raises(ValueError, match="holds nothing"):
        pooled_ratio([(0, 0)] * 9, [(0, 100)] * 9, floor=0.05)


def test_the_sign_test_is_that_of_a_fair_coin() -> None:
    assert sign_test(0, 5) == 1 / 32
    assert sign_test(5, 0) == 1.0
    assert sign_test(0, 0) == 1.0
    assert sign_test(1, 9) == pytest.approx(11 / 1024)
