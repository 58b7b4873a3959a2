"""Plans that once broke the unmodified code: each must pass now. The name of a file says what went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.worlds.simulated.world import simulate
from nemesis.plan import load_plan

PLANS = sorted(Path(__file__).parent.glob("*.json"))


@pytest.mark.parametrize("path", PLANS, ids=[path.stem for path in PLANS])
def test_a_plan_that_once_failed(path: Path) -> None:
    assert simulate(load_plan(path)).violations == []
