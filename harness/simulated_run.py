"""A simulated run with everything recorded, judged from its run directory like any other."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.checkers.case import SEEN
from harness.judgement import judge_run
from harness.record import FaultEvent
from harness.results import Results, Violation
from harness.store import add_faults, environment, write_environment, write_plan, write_rows
from harness.worlds.simulated.world import simulate
from nemesis.plan import Plan


def write_simulated_run(plan: Plan, directory: Path) -> Results:
    """Run ``plan`` once more, write its run directory (it exists) and judge it. What the simulator itself found goes into
    env.json as ``rule`` and ``digest``, so that a replay can be compared; what of it no row shows is noted in the record."""
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
    results = judge_run(directory)
    shown = {violation.rule for check in results.checks for violation in check.violations}
    hidden = [violation for violation in run.violations if violation.rule not in shown]
    if not hidden:
        return results
    add_faults(directory, [_note(violation) for violation in hidden])
    return judge_run(directory)


def _note(violation: Violation) -> FaultEvent:
    return FaultEvent(violation.time_ns, "note", -1, SEEN, violation.agents, msgspec.to_builtins(violation))
