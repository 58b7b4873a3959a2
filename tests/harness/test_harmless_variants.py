"""Changes that break nothing, written blind, break no rule: no oracle asks that things are done just as this code does them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.matrix import Task, run_trial
from paxos_impl.mutants.registry import find

VARIANTS = Path(__file__).parents[2] / "benchmarks" / "harmless_variants.py"
IDS = [f"V{number:02}" for number in range(1, 31)]


@pytest.mark.parametrize("name", IDS)
def test_each_says_why_it_is_harmless(name: str) -> None:
    (one,) = find(f"{VARIANTS}:{name}")
    assert one.equivalent


@pytest.mark.slow
@pytest.mark.parametrize("name", IDS)
def test_a_harmless_variant_breaks_no_rule(name: str) -> None:
    done = run_trial(Task(f"{VARIANTS}:{name}", "portfolio", 40, 12))
    assert not done.killed, f"{done.rule} at seed {done.seed}: {done.sentence}"
    assert not done.clean_violations
