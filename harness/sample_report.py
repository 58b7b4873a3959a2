"""``python -m harness.sample_report``: writes docs/sample/, a report to look at, made from a small simulated run.

A bug is planted (votes are not written to the log), a few faults are planned, and the power fails. Nothing in it tells of
the machine that made it: the run is simulated, and its environment is left out.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from harness.judgement import judge_run, render
from harness.simulated_run import write_simulated_run
from harness.store import write_environment
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Cluster, Plan, Plant, Workload
from paxos_impl.mutants.registry import find, hash_of

TARGET = Path(__file__).parent.parent / "docs" / "sample"
MUTANT = "A02"
KEPT = ("report.html", "spacetime.png", "timeline.png", "latency.png", "availability.png", "plan.json", "results.json",
        "summary.md", "junit.xml")  # fmt: skip
"""What is committed; the record itself stays out."""


def sample_plan() -> Plan:
    """Three replicas for a second and a half: a partition of the leader, and a power cut of all."""
    return Plan(
        name="sample",
        seed=7,
        mutant=Plant(MUTANT, hash_of(find(MUTANT))),
        cluster=Cluster(deployment="collapsed", nodes=3),
        workload=Workload(clients=3, rate=40.0),
        duration_ns=1_500 * MILLISECOND,
        faults=(
            Fault("partition", "leader", at_ns=400 * MILLISECOND, duration_ns=200 * MILLISECOND),
            Fault("power", "all", at_ns=900 * MILLISECOND, duration_ns=100 * MILLISECOND),
        ),
    )


def write_sample(target: Path) -> list[str]:
    """Write the sample into ``target``; returns warnings of the report."""
    target = target.resolve()
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        run = Path("docs/sample")  # the page tells how to run its plan again, from where the code is
        run.mkdir(parents=True)
        write_simulated_run(sample_plan(), run)
        write_environment(run, {"world": "simulated"})
        judge_run(run)
        warnings = render(run)
        target.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            shutil.copyfile(run / name, target / name)
    return warnings


if __name__ == "__main__":
    for warning in write_sample(TARGET):
        print(f"warning: {warning}")
    print(f"wrote {TARGET}")
