"""The gate's own false alarms and power, on few plans and made-up runs."""

from __future__ import annotations

from random import Random

import pytest

from harness.calibrate import Rate, calibrate_virtual, calibrate_wall, table
from harness.figures import WallFigures
from harness.gate import SALTS
from tests.harness.test_gate import kills


def runs(noise: float, count: int = 60) -> list[WallFigures]:
    random = Random(1)

    def near(value: float) -> float:
        return value * random.lognormvariate(0, noise)

    return [WallFigures(near(20_000), near(0.7e6), near(2e6)) for _ in range(count)]


def test_virtual_time_has_power_and_cries_no_wolf() -> None:
    found = calibrate_virtual([kills(seed) for seed in range(6)], comparisons=20, pool_salts=2 * SALTS)
    assert found.false_alarms.of == 20
    assert found.false_alarms.times <= 1
    twice = next(rate for rate in found.power if rate.what == "election timeout × 2")
    assert twice.share >= 0.8
    assert "election timeout × 1.2" in table(found)


def test_the_clock_on_a_quiet_machine_has_power_and_cries_no_wolf() -> None:
    found = calibrate_wall(runs(0.03), pairs=12, comparisons=40)
    assert found.false_alarms.times <= 1
    assert {rate.what: rate.share >= 0.8 for rate in found.power if rate.what.endswith("operation + 20%")} == {
        "time per operation + 20%": True
    }
    assert "60 real runs" in table(found)


def test_the_clock_on_a_noisy_machine_says_that_it_cannot_tell() -> None:
    found = calibrate_wall(runs(0.6), pairs=12, comparisons=20)
    assert found.cannot_tell.share > 0.9
    assert found.false_alarms.times <= 1


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        calibrate_wall(runs(0.03, 7), pairs=12, comparisons=1)


def test_a_rate_has_the_interval_of_wilson() -> None:
    low, high = Rate("", 0, 1000).interval
    assert low == 0.0 and high == pytest.approx(0.0038, abs=1e-4)
    low, high = Rate("", 50, 100).interval
    assert (low, high) == (pytest.approx(0.404, abs=1e-3), pytest.approx(0.596, abs=1e-3))
