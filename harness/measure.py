"""Measuring one simulated run for the regression gate, in virtual time.

Rules
* Everything here is a function of plan and code: no figure depends on the machine.
* *Recovery*: of each fault, the longest time without a success from its begin to the first success after its heal. A fault
  after which nothing succeeded while the load went on never recovered; it has no such time and is counted instead.
  Faults from the very begin to the end are the weather, not an episode.
* *Latency* is that of operations that succeeded and were wanted before the final heal, from when they were wanted.
* *Messages* are those between agents before the final heal (the load is lighter afterwards); a *decision* is a slot that some
  learner learned by then.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from harness.figures import NOTHING, Figures
from harness.record import FaultEvent, Operation
from harness.time_limit import Hang, time_limit
from nemesis.plan import Plan
from paxos_impl.messages import FIRST_CLIENT_ADDRESS

if TYPE_CHECKING:
    from harness.worlds.simulated.world import SimulatedWorld

HANG_S = 60.0


class Measured(msgspec.Struct, frozen=True):
    """One run: its figures, and the first rule it broke (empty: none)."""

    figures: Figures
    rule: str = ""
    sentence: str = ""


def measure(plan: Plan) -> Measured:
    """Simulate ``plan`` with all oracles."""
    from harness.worlds.simulated.world import SimulatedWorld

    world = SimulatedWorld(plan)
    messages = _count_messages(world)
    try:
        with time_limit(HANG_S):
            run = world.run()
    except Hang:
        return Measured(NOTHING, "harness/hang", f"the schedule did not end within {HANG_S:g} s of real time")
    first = run.violations[0] if run.violations else None
    wanted, latencies = _latencies(world.history, plan.duration_ns)
    recovery, never = recoveries(
        episodes(run.faults, run.healed_ns),
        [row.time_ns for row in world.history if row.type == "ok"],
        run.healed_ns + plan.settle_ns,
    )
    figures = Figures(
        runs=1,
        recovery_ns=sum(recovery),
        recovered=len(recovery),
        never_recovered=int(never > 0),
        p99_ns=latencies[(99 * len(latencies) - 1) // 100] if latencies else 0,
        with_latency=int(bool(latencies)),
        messages=messages[0],
        decisions=sum(chosen.time_ns <= run.healed_ns for chosen in world.ledger.log.values()),
        wanted=wanted + world.clients.shed,
        succeeded=len(latencies),
    )
    return Measured(figures, first.rule if first else "", first.sentence if first else "")


def _count_messages(world: SimulatedWorld) -> list[int]:
    """One number that counts on while the world runs: messages from agent to agent before the final heal."""
    counted = [0]
    until_ns = world.plan.duration_ns

    def count(source: int, target: int, message: Any, arrivals: Any) -> None:
        if source < FIRST_CLIENT_ADDRESS and target < FIRST_CLIENT_ADDRESS and world.loop.now_ns <= until_ns:
            counted[0] += 1

    world.network.on_message = count
    return counted


def _latencies(history: Sequence[Operation], until_ns: int) -> tuple[int, list[int]]:
    """How many operations were wanted before ``until_ns``, and the latencies of those that succeeded, ascending."""
    intended: dict[tuple[int, int], int] = {}
    latencies = []
    for row in history:
        if row.type == "invoke":
            if row.intended_ns < until_ns:
                intended[row.process, row.seq] = row.intended_ns
        elif row.type == "ok" and (row.process, row.seq) in intended:
            latencies.append(row.time_ns - intended[row.process, row.seq])
    return len(intended), sorted(latencies)


def episodes(faults: Sequence[FaultEvent], healed_ns: int) -> list[tuple[int, int]]:
    """(begin, end) of every fault of the plan that hit somebody, ended at the latest by the final heal."""
    begun: dict[int, int] = {}
    ended: dict[int, int] = {}
    for row in faults:
        if row.fault < 0 or not row.targets:
            continue
        if row.edge == "begin" and row.time_ns > 0:
            begun[row.fault] = row.time_ns
        elif row.edge == "end":
            ended[row.fault] = row.time_ns
    return [(begin_ns, min(ended.get(fault, healed_ns), healed_ns)) for fault, begin_ns in begun.items()]


def recoveries(spans: Sequence[tuple[int, int]], successes: Sequence[int], until_ns: int) -> tuple[list[int], int]:
    """Recovery times (see above), and how many faults never recovered. ``successes``: ascending times."""
    found, never = [], 0
    for begin_ns, end_ns in spans:
        first, after = bisect_right(successes, begin_ns), bisect_right(successes, end_ns)
        if after == len(successes) or successes[after] > until_ns:
            never += 1
            continue
        times = [successes[first - 1] if first else 0, *successes[first : after + 1]]
        found.append(max(later - earlier for earlier, later in pairwise(times)))
    return found, never
