"""Replay: run a plan again, in any world, and say how often the same thing happened.

In the simulator and in lockstep a replay is exact: same verdict, same digest. On free processes it is a matter of tries.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.errors import HarnessFault, UserError
from harness.store import load_plan_or_run, read_environment
from nemesis.plan import MILLISECOND, Plan

if TYPE_CHECKING:
    from harness.worlds.simulated.world import SimulatedRun

REAL_ELECTION_NS = 200 * MILLISECOND
"""Lowest election timeout on free processes."""


class Try(msgspec.Struct, frozen=True):
    """One replay."""

    rule: str
    """Rule of the first violation; empty if none."""
    sentence: str
    digest: str
    """Of the whole trace; empty in worlds that have none."""


class ReplayResult(msgspec.Struct, frozen=True):
    plan: str
    world: str
    tries: tuple[Try, ...]
    recorded_rule: str | None
    """What the run directory says; None if a bare plan was given."""
    recorded_digest: str | None
    reproduced: int
    """Tries that broke the recorded rule (of a bare plan: any rule, if the plan has a planted bug or its first try broke
    one; else none at all)."""
    deterministic: bool

    @property
    def exit_code(self) -> int:
        """0 as recorded, 1 a violation in a plan without a record, 3 not reproduced, 70 two replays differ."""
        if not self.deterministic:
            return 70
        if self.recorded_rule is None:
            return 1 if any(one.rule for one in self.tries) else 0
        digest_fits = self.recorded_digest is None or any(one.digest == self.recorded_digest for one in self.tries)
        return 0 if self.reproduced and (digest_fits or self.world == "free") else 3


Runner = Callable[[Plan], Try]


def replay(path: Path, *, world: str = "simulated", tries: int = 1) -> ReplayResult:
    """Run the plan, or the plan of a run directory, ``tries`` times."""
    plan, run = load_plan_or_run(path)
    return replay_plan(plan, name=str(path), run=run, world=world, tries=tries)


def replay_plan(
    plan: Plan, *, name: str, run: Path | None = None, world: str = "simulated", tries: int = 1
) -> ReplayResult:
    if tries < 1:
        raise UserError(f"--tries {tries}: at least one try is needed")
    once = runner(world)
    recorded_rule, recorded_digest = (None, None) if run is None else recorded(run)
    results = []
    for _ in range(tries):
        results.append(once(plan))
        if world == "free" and results[-1].rule:
            break
    digests = {one.digest for one in results}
    if recorded_rule is None:
        reproduced = sum(bool(one.rule) for one in results)
    else:
        reproduced = sum(one.rule == recorded_rule for one in results)
    return ReplayResult(
        name,
        world,
        tuple(results),
        recorded_rule,
        recorded_digest if world != "free" else None,
        reproduced,
        world == "free" or len(digests) == 1,
    )


def runner(world: str) -> Runner:
    """What runs a plan once in that world."""
    if world == "simulated":
        return simulated
    if world == "lockstep":
        return lockstep
    if world == "free":
        return free
    raise UserError(f"unknown world {world!r}; there are simulated, lockstep, free")


def simulated(plan: Plan) -> Try:
    from harness.worlds.simulated.world import simulate

    return _as_try(simulate(plan))


def lockstep(plan: Plan) -> Try:
    from harness.worlds.lockstep.world import run_in_lockstep

    return _as_try(run_in_lockstep(plan))


def free(plan: Plan) -> Try:
    """One run on free processes, judged from its record. A plan in virtual time is stretched to real time."""
    from harness.judgement import judge_run
    from harness.results import Verdict
    from harness.run import run_real

    with tempfile.TemporaryDirectory(prefix="paxos-replay-") as store:
        outcome = run_real(in_real_time(plan), Path(store))
        results = judge_run(outcome.directory)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if results.verdict is Verdict.ERROR:
        raise HarnessFault(results.sentence)
    found = [violation for check in results.checks for violation in check.violations]
    return Try(found[0].rule if found else "", found[0].sentence if found else "", "")


def in_real_time(plan: Plan) -> Plan:
    """Real pauses err by some 10 ms, so election timeouts below ``REAL_ELECTION_NS`` are stretched, with everything else."""
    wanted = max(plan.timing.scale, REAL_ELECTION_NS / plan.timing.election_timeout_ns)
    return msgspec.structs.replace(plan, timing=msgspec.structs.replace(plan.timing, scale=wanted))


def _as_try(run: SimulatedRun) -> Try:
    first = run.violations[0] if run.violations else None
    return Try(first.rule if first else "", first.sentence if first else "", run.digest)


def recorded(run: Path) -> tuple[str | None, str | None]:
    """(rule broken first or "", digest) as the run directory tells; (None, None) if it was never judged."""
    digest = read_environment(run).get("digest")
    rule = read_environment(run).get("rule")
    return rule, digest
