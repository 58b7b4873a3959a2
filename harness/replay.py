"""Replay: run a plan again, in any world, and say how often the same thing happened.

In the simulator and in lockstep a replay is exact: same verdict, same digest. On free processes it is a matter of tries.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.errors import HarnessFault, UserError
from harness.results import Violation, read_results
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
    rules: tuple[str, ...] = ()
    """All rules that were broken, the first one first."""


class ReplayResult(msgspec.Struct, frozen=True):
    plan: str
    world: str
    tries: tuple[Try, ...]
    recorded_rule: str | None
    """What the run directory says; None if a bare plan was given."""
    recorded_digest: str | None
    reproduced: int
    """Tries that did what was recorded (see ``as_recorded``); of a bare plan: tries that broke a rule."""
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
    recorded_rule, recorded_digest = (None, None) if run is None else recorded(run)
    once = runner(world)
    if world == "simulated" and _may_end_the_process(plan, recorded_rule):
        once = in_worker
    results: list[Try] = []
    for _ in range(tries):
        results.append(once(plan))
        if world == "free" and results[-1].rule and as_recorded(results[-1], recorded_rule):
            break
    return ReplayResult(
        name,
        world,
        tuple(results),
        recorded_rule,
        recorded_digest if world != "free" else None,
        sum(as_recorded(one, recorded_rule) for one in results),
        world == "free" or len({one.digest for one in results}) == 1,
    )


def _may_end_the_process(plan: Plan, rule: str | None) -> bool:
    """Whether it is recorded that a worker died or hung over the plan; or nothing is, of a planted bug of the user's own."""
    if rule is None:
        return plan.mutant is not None and ":" in plan.mutant.id
    return rule.startswith("harness/")


def as_recorded(one: Try, rule: str | None) -> bool:
    """Whether a try broke the recorded rule (among others, perhaps), or none if none was broken. ``rule`` None: nothing is
    recorded; then whether it broke any."""
    if rule is None:
        return bool(one.rules)
    if rule == "harness/worker" and "crash/exit" in one.rules:
        return True  # what ends a worker in the simulator ends one agent's process in lockstep
    return rule in one.rules if rule else not one.rules


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

    return _tried(simulate(plan))


def lockstep(plan: Plan) -> Try:
    from harness.worlds.lockstep.world import run_in_lockstep

    return _tried(run_in_lockstep(plan))


def free(plan: Plan) -> Try:
    """One run on free processes, judged from its record. A plan in virtual time is stretched to real time."""
    from harness.judgement import judge_run
    from harness.results import Verdict
    from harness.run import run_real

    with tempfile.TemporaryDirectory(prefix="paxos-replay-") as store:
        outcome = run_real(in_real_time(plan), Path(store))
        results = judge_run(outcome.directory, errors=outcome.errors)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if results.verdict is Verdict.ERROR:
        raise HarnessFault(results.sentence)
    found = [violation for check in results.checks for violation in check.violations]
    return _try(found, "")


def in_worker(plan: Plan) -> Try:
    """In a process of its own, for a plan over which a worker died or hung."""
    from harness.campaign import Task, run_alone
    from harness.cluster_setup import make_parts

    make_parts(plan)  # that its planted bug cannot be found is no finding
    row = run_alone(Task(plan.strategy, plan.seed, plan=plan))
    return Try(row.rule, row.sentence, row.digest, (row.rule,) if row.rule else ())


def in_real_time(plan: Plan) -> Plan:
    """Real pauses err by some 10 ms, so election timeouts below ``REAL_ELECTION_NS`` are stretched, with everything else."""
    wanted = max(plan.timing.scale, REAL_ELECTION_NS / plan.timing.election_timeout_ns)
    return msgspec.structs.replace(plan, timing=msgspec.structs.replace(plan.timing, scale=wanted))


def _tried(run: SimulatedRun) -> Try:
    return _try(run.violations, run.digest)


def _try(violations: Sequence[Violation], digest: str) -> Try:
    first = violations[0] if violations else None
    rules = tuple(dict.fromkeys(one.rule for one in violations))
    return Try(first.rule if first else "", first.sentence if first else "", digest, rules)


def recorded(run: Path) -> tuple[str | None, str | None]:
    """(rule broken first or "", digest) as the run directory tells; the rule is None if it was never judged.

    What the simulator found while it ran is in env.json; a run on free processes has only its results.
    """
    facts = read_environment(run)
    rule, digest = facts.get("rule"), facts.get("digest")
    if rule is None and (run / "results.json").is_file():
        results = read_results(run)
        rule = next((one.rule for check in results.checks for one in check.violations), "")
    return rule, digest
