"""Confirmation: the same plans in lockstep on real processes must give the digests they gave in the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from harness.campaign import Task, first_difference, must_be_steady, notes_of
from harness.errors import HarnessFault
from harness.replay import lockstep, simulated


class Confirmation(msgspec.Struct, frozen=True):
    """One plan, run in both worlds with equal digests."""

    strategy: str
    seed: int
    rule: str
    digest: str


def confirm_in_lockstep(
    tasks: Iterable[Task], progress: Callable[[Confirmation], None] | None = None
) -> list[Confirmation]:
    """Run each plan in the simulator and on real processes; raises HarnessFault at the first difference."""
    confirmed = []
    for task in tasks:
        plan = task.make_plan()
        here, there = simulated(plan), lockstep(plan)
        if here != there:
            if simulated(plan) != here:
                must_be_steady(plan)
            raise HarnessFault(
                f"strategy {task.strategy} seed {task.seed}: digest {here.digest} in the simulator, {there.digest} in "
                f"lockstep; {first_difference(notes_of(plan), _lockstep_notes(task))}"
            )
        confirmed.append(Confirmation(plan.strategy, task.seed, here.rule, here.digest))
        if progress is not None:
            progress(confirmed[-1])
    return confirmed


def _lockstep_notes(task: Task) -> list[object]:
    from harness.worlds.lockstep.world import run_in_lockstep

    run = run_in_lockstep(task.make_plan(), keep_notes=True)
    assert run.notes is not None
    return run.notes
