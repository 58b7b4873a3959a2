"""A simulated run with everything recorded, judged from its run directory like any other."""

from __future__ import annotations

from pathlib import Path

from harness.judgement import judge_run
from harness.record import FaultEvent
from harness.results import Results
from harness.store import environment, write_environment, write_plan, write_rows
from harness.worlds.simulated.world import simulate
from nemesis.plan import Plan


def write_simulated_run(plan: Plan, directory: Path) -> Results:
    """Run ``plan`` once more, write its run directory (it exists) and judge it. What the simulator itself found goes into
    env.json as ``rule`` and ``digest``, so that a replay can be compared."""
    run = simulate(plan, record=True)
    assert run.recording is not None
    first = run.violations[0] if run.violations else None
    write_plan(directory, plan)
    write_environment(
        directory,
        environment()
        | {
            "world": "simulated",
            "digest": run.digest,
            "rule": first.rule if first else "",
            "sentence": first.sentence if first else "",
        },
    )
    told = FaultEvent(run.duration_ns, "note", -1, "simulated", (), {"clients": sorted(run.recording.clients.items())})
    write_rows(directory, run.recording.history, [*run.recording.faults, told], run.recording.events)
    return judge_run(directory)
