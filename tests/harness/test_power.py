"""Power: what is compared, and how sure it is."""

from __future__ import annotations

import msgspec
import pytest

from harness.matrix import Trial
from harness.power import compare, compare_all, exit_code, table


def trial(mutant: str, strategy: str, base: int, events: int, killed: bool = True) -> Trial:
    return Trial(mutant, "", strategy, base, 100, killed, 1, events)


def test_the_ratio_of_events_to_a_kill() -> None:
    trials = [trial("A02", "portfolio", base, 100) for base in range(5)]
    trials += [trial("A02", "jepsen", base, 1000) for base in range(5)]
    result = compare(trials, "jepsen", resamples=200)
    assert result.mean == pytest.approx(10) and result.low == pytest.approx(10) and result.exit_code == 0
    assert not result.ratios[0].at_least


def test_the_mean_of_ratios_is_geometric_and_mutants_make_the_interval() -> None:
    trials = [trial("A02", "portfolio", 0, 100), trial("A02", "jepsen", 0, 400)]
    trials += [trial("A05", "portfolio", 0, 100), trial("A05", "jepsen", 0, 10_000)]
    result = compare(trials, "jepsen", resamples=500)
    assert result.mean == pytest.approx(20)
    assert result.low == pytest.approx(4) and result.high == pytest.approx(100)


def test_a_rival_that_never_killed_gives_a_lower_bound() -> None:
    trials = [trial("A02", "portfolio", 0, 100), trial("A02", "jepsen", 0, 5000, killed=False)]
    result = compare(trials, "jepsen", resamples=50)
    assert result.bounds == 1 and result.ratios[0].ratio == 50
    assert "| ≥ 5,000 | ≥ 50.0 |" in table(result)
    assert "Geometric mean of the ratios: at least 50.0 (95 %: at least 50.0 to 50.0) over 1 bugs" in table(result)
    assert result.exit_code == 0


def test_a_lower_bound_below_one_tells_nothing() -> None:
    trials = [trial("A02", "portfolio", 0, 10_000), trial("A02", "jepsen", 0, 73, killed=False)]
    unknown = compare(trials, "jepsen", resamples=50)
    assert unknown.exit_code == 3
    assert "| 10,000 | ≥ 73 | ≥ 0.0073 |" in table(unknown) and "at least 0.0073 (95 %" in table(unknown)
    known = compare([trials[0], trial("A02", "jepsen", 0, 8300)], "jepsen", resamples=50)
    assert known.exit_code == 1 and "ratios: 0.83 (95 %: 0.83 to 0.83)" in table(known)
    assert exit_code([unknown, known]) == 1


def test_survivors_count_in_with_their_events() -> None:
    trials = [trial("A02", "portfolio", 0, 100), trial("A02", "portfolio", 1, 300, killed=False)]
    trials += [trial("A02", "jepsen", 0, 400)]
    assert compare(trials, "jepsen", resamples=10).ratios[0].ratio == 1


def test_what_cannot_be_compared_is_named() -> None:
    trials = [trial("A02", "portfolio", 0, 100), trial("AQ1", "portfolio", 0, 100), trial("AQ1", "jepsen", 0, 100)]
    result = compare(trials, "jepsen")
    assert result.left_out == ("A02",) and result.exit_code == 3 and not result.ratios
    unsteady = msgspec.structs.replace(trial("A02", "jepsen", 0, 100, killed=False), unsteady="seed 0 …")
    assert compare([*trials, unsteady], "jepsen") == result


def test_each_rival_has_a_comparison_of_its_own_and_the_worst_decides() -> None:
    trials = [trial("A02", "portfolio", 0, 100), trial("A02", "jepsen", 0, 400), trial("A02", "jepsen_fixed", 0, 50)]
    by_rival = {result.rival: result for result in compare_all(trials)}
    assert by_rival["jepsen"].mean == pytest.approx(4) and by_rival["jepsen_fixed"].mean == pytest.approx(0.5)
    assert exit_code(list(by_rival.values())) == 1
    assert exit_code(compare_all(trials[:2])) == 3
    assert exit_code([by_rival["jepsen"]]) == 0


def test_the_budgets_of_both_sides_are_told() -> None:
    longer = msgspec.structs.replace(trial("A02", "portfolio", 0, 100), budget=400)
    assert "400 schedules of the portfolio and 100 of the other" in table(
        compare([longer, trial("A02", "jepsen", 0, 400)], "jepsen", resamples=10)
    )
