"""The protocol without planted bugs survives ten thousand schedules: the false-alarm test of every oracle, and the gate
before any of this code runs on real processes.

What it covers: schedules of the whole portfolio of strategies, half of them collapsed (3 or 5 replicas), half classic (2
proposers, 3 or 5 acceptors, 2 learners); 0.35 s of load and faults each, on 2 keys with 3 clients at 60 operations a second;
snapshots every 10, 30 or 100 slots or none, pages of 4 or 64 kB, windows of 1, 4 or 16; then heal, 1.3 s for liveness, a
power cut of all nodes, 1.3 s to come back, and the judgement of what was acknowledged. Over the ten thousand about
25,000 power cuts (ten thousand of them the final ones), 5,000 kills, partitions and pauses each, disk and clock faults.
One in a hundred is run twice: their digests are equal. About five minutes of one core.

What it does not cover: long runs (logs of more than some hundred slots), large states, real time.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

from harness.campaign import Task, local_executor, run_batch
from nemesis.plan import MILLISECOND, Workload
from nemesis.strategies.frame import Frame

BATCH = 25


def task(seed: int) -> Task:
    deployment: Any = ("collapsed", "classic")[seed % 2]
    frame = Frame(
        deployment=deployment,
        duration_ns=350 * MILLISECOND,
        settle_ns=1300 * MILLISECOND,
        workload=Workload(clients=3, rate=60.0, keys=2),
    )
    return Task("portfolio", seed, frame)


def survive(seeds: range) -> Counter[str]:
    """Run them on all cores; how many of each deployment there were. Fails with the first seeds that break something."""
    batches = [[task(seed) for seed in seeds[at : at + BATCH]] for at in range(0, len(seeds), BATCH)]
    again = [batch[:1] for batch in batches[::4]]
    with local_executor(os.cpu_count() or 1) as executor:
        rows = [row for batch in executor.map(run_batch, batches) for row in batch]
        repeated = [batch[0] for batch in executor.map(run_batch, again)]
    broken = [(row.seed, row.deployment, row.rule, row.sentence) for row in rows if row.rule]
    assert not broken, f"{len(broken)} of {len(rows)} break something; the first: {broken[:3]}"
    digests = {row.seed: row.digest for row in rows}
    assert all(digests[row.seed] == row.digest for row in repeated)
    assert sum(row.commands for row in rows) > 50 * len(rows)
    return Counter(row.deployment for row in rows)


def test_a_hundred_schedules_break_nothing() -> None:
    assert survive(range(100)) == {"collapsed": 50, "classic": 50}


@pytest.mark.slow
def test_ten_thousand_schedules_break_nothing() -> None:
    assert survive(range(1000, 11_000)) == {"collapsed": 5000, "classic": 5000}
