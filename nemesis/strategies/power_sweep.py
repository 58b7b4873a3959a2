"""Power sweep: cut the power once at each append and each sync of a run, lost and torn; one cut a plan.

``sweep`` is exhaustive: count the boundaries of a run of a plan, then run the plans it yields. ``generate`` draws one of
them, for the portfolio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from nemesis.draws import between, choice, stream
from nemesis.faults import Fault
from nemesis.plan import Plan, members
from nemesis.strategies.frame import Frame, framed, spread
from nemesis.strategies.moves import random_length, unit
from nemesis.triggers import ordinal

BOUNDARIES = ("appended", "synced")
UNSYNCED = ("lost", "torn")


def sweep(
    plan: Plan, boundaries: Mapping[str, Mapping[str, int]], targets: tuple[str, ...] = ("it",)
) -> Iterator[Plan]:
    """One plan for each boundary, way of losing bytes, and target (``it``: that agent; ``all``: the whole cluster).

    ``boundaries``: by agent name and event (appended, synced) how often it came in a run of ``plan``. The cut is added to
    the plan's own faults and comes first among them; it lasts one election timeout.
    """
    for agent, counts in boundaries.items():
        for event in BOUNDARIES:
            for number in range(1, counts.get(event, 0) + 1):
                for target in targets:
                    for unsynced in UNSYNCED:
                        cut = _cut(agent, event, number, target, unsynced, unit(plan))
                        yield msgspec.structs.replace(plan, strategy="power_sweep", faults=(cut, *plan.faults))


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "power_sweep", frame)
    draw = stream(f"{seed}/power_sweep")
    agent = choice(draw, [name for name, role in members(plan.cluster) if role != "learner"])
    cut = _cut(
        agent,
        choice(draw, BOUNDARIES),
        between(draw, 1, choice(draw, (5, 30, 150))),
        choice(draw, ("it", "it", "all")),
        choice(draw, UNSYNCED),
        random_length(plan, draw, "power"),
    )
    faults = [cut]
    for _ in range(between(draw, 0, 3)):
        at_ns = spread(draw, plan.duration_ns, 0.05, 0.9)
        faults.append(Fault("kill", "leader", at_ns=at_ns, duration_ns=random_length(plan, draw, "kill")))
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _cut(agent: str, event: str, number: int, target: str, unsynced: str, length_ns: int) -> Fault:
    trigger = f"{ordinal(number)} agent {agent} {event}"
    return Fault("power", target, trigger=trigger, duration_ns=length_ns, params={"unsynced": unsynced})
