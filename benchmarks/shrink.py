"""Shrinking: how small the plans get that found planted bugs, and what that costs.

For each of some planted bugs the first plan of the portfolio that finds it is shrunk. Replays include those of the unmodified
code. Times are processor time of one process, which other work on the machine changes little.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from benchmarks.measure import Report, Table
from benchmarks.peers import PeerFailed
from harness.matrix import plan_of
from harness.shrink import shrink
from harness.worlds.simulated.world import SimulatedWorld
from nemesis.plan import Plan, Plant
from paxos_impl.mutants.registry import Mutant, all_mutants

STRATEGY = "portfolio"
PLANS, QUICK_PLANS = 40, 4
SEEDS_MAX = 25
"""A bug that so many plans do not find is left out: it would say how well plans find bugs, not how well they shrink."""
GOALS = {"faults p50": 3, "faults p90": 5, "replays": 100, "seconds": 10}

Say = Callable[[str], None]


class Shrunk(msgspec.Struct, frozen=True):
    """One plan before and after."""

    mutant: str
    seed: int
    rule: str
    faults_before: int
    faults_after: int
    replays: int
    seconds: float
    minimal: bool


def report(quick: bool, say: Say) -> Report:
    done = []
    for mutant, plan in failing_plans(QUICK_PLANS if quick else PLANS):
        done.append(shrink_one(mutant, plan))
        one = done[-1]
        say(
            f"{mutant} seed {one.seed}: {one.faults_before} → {one.faults_after} faults, {one.replays} replays, {one.rule}"
        )
    numbers = {
        "plans": len(done),
        "faults before p50": statistics.median(one.faults_before for one in done),
        "faults p50": statistics.median(one.faults_after for one in done),
        "faults p90": at([one.faults_after for one in done], 0.9),
        "faults max": max(one.faults_after for one in done),
        "replays p50": statistics.median(one.replays for one in done),
        "replays p90": at([one.replays for one in done], 0.9),
        "replays max": max(one.replays for one in done),
        "seconds p50": statistics.median(one.seconds for one in done),
        "seconds p90": at([one.seconds for one in done], 0.9),
        "seconds max": max(one.seconds for one in done),
        "minimal": sum(one.minimal for one in done) / len(done),
    }
    return Report((_summary(numbers), _each(done)), numbers | {"each": msgspec.to_builtins(done)})


def failing_plans(count: int) -> Iterator[tuple[str, Plan]]:
    """(mutant, plan) for ``count`` planted bugs spread over the registry. Raises PeerFailed if so many cannot be found."""
    bugs = [one for one in all_mutants().values() if not one.equivalent]
    stride = max(1, len(bugs) // count)
    spread = [bug for start in range(stride) for bug in bugs[start::stride]]
    found = 0
    for bug in spread:
        plan = first_failing(bug)
        if plan is not None:
            found += 1
            yield bug.id, plan
        if found == count:
            return
    raise PeerFailed(f"only {found} of {count} planted bugs were found within {SEEDS_MAX} plans each")


def first_failing(bug: Mutant) -> Plan | None:
    for seed in range(SEEDS_MAX):
        planted = Plant(bug.id, bug.source_hash)
        plan = msgspec.structs.replace(plan_of(STRATEGY, seed, bug.deployments), mutant=planted)
        if SimulatedWorld(plan, stop_at_first=True).run().violations:
            return plan
    return None


def shrink_one(mutant: str, plan: Plan) -> Shrunk:
    began = time.process_time()
    result = shrink(plan)
    seconds = time.process_time() - began
    return Shrunk(
        mutant,
        plan.seed,
        result.rule or "",
        result.faults_before,
        result.faults_after,
        result.replays,
        seconds,
        result.minimal,
    )


def at(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-round(share * 1000) * len(ordered) // 1000) - 1)]


def _summary(numbers: dict[str, float]) -> Table:
    rows = [
        (
            what,
            f"{numbers[f'{what} p50']:.3g}",
            f"{numbers[f'{what} p90']:.3g}",
            f"{numbers[f'{what} max']:.3g}",
            wanted,
        )
        for what, wanted in (
            ("faults", f"p50 ≤ {GOALS['faults p50']}, p90 ≤ {GOALS['faults p90']}"),
            ("replays", f"≤ {GOALS['replays']}"),
            ("seconds", f"≤ {GOALS['seconds']}"),
        )
    ]
    notes = (
        f"{numbers['plans']} plans of the {STRATEGY}, {numbers['faults before p50']:g} faults before (median); "
        f"{numbers['minimal']:.0%} ended because nothing more could be left out.",
    )
    return Table("Shrinking", ("what is left, what it cost", "p50", "p90", "max", "wanted"), tuple(rows), notes)


def _each(done: Sequence[Shrunk]) -> Table:
    rows = tuple(
        (
            one.mutant,
            str(one.seed),
            one.rule,
            f"{one.faults_before} → {one.faults_after}",
            str(one.replays),
            f"{one.seconds:.1f}",
            "yes" if one.minimal else "no",
        )
        for one in done
    )
    return Table("Each plan", ("bug", "seed", "rule", "faults", "replays", "s", "minimal"), rows)
