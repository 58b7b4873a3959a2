"""Laggard: somebody falls so far behind that the others have cut their logs, and is disturbed while it catches up.

Snapshots are frequent, kept values few and pages small, so that catching up takes many messages; these are lost, late and
doubled, the sender changes or goes down, and the one that catches up loses its power just after it was given its new state.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Limits, Plan, members
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, spread
from nemesis.strategies.moves import random_fault, unit
from nemesis.triggers import ordinal


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "laggard", frame)
    draw = stream(f"{seed}/laggard")
    limits = _limits(plan, draw)
    plan = msgspec.structs.replace(plan, limits=frame.limits or limits)
    named = [f"agent:{name}" for name, role in members(plan.cluster) if role != "proposer"]
    victims = (*named, "leader", "leader") if plan.cluster.deployment == "collapsed" else named
    steady, whom = draw() < 0.5, choice(draw, victims)
    faults = noise(plan, draw)
    at_ns = spread(draw, unit(plan), 1.0, 3.0)
    while at_ns < plan.duration_ns:
        away_ns = spread(draw, unit(plan), 1.0, 5.0)
        faults += _absence(plan, draw, whom, at_ns, away_ns)
        at_ns += away_ns
        faults += _return(plan, draw, whom, at_ns)
        at_ns += spread(draw, unit(plan), 0.5, 3.0)
        whom = whom if steady else choice(draw, victims)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _limits(plan: Plan, draw: Draw) -> Limits:
    return msgspec.structs.replace(
        plan.limits,
        snapshot_every=choice(draw, (1, 5, 10, 20)),
        keep_slots=choice(draw, (0, 1, 2, 10)),
        page_bytes=choice(draw, (64, 512, 512, 4096)),
    )


def _absence(plan: Plan, draw: Draw, whom: str, at_ns: int, away_ns: int) -> list[Fault]:
    """It is gone, or hears only some of what is said. A leader takes votes with it that nobody else has."""
    kind = choice(draw, ("partition", "partition", "drop", "delay", "kill", "pause", "power"))
    params: dict[str, dict[str, Parameter]] = {
        "partition": {"shape": choice(draw, ("isolate", "one_way")), "direction": "deaf"},
        "drop": {"probability": round(0.4 + 0.6 * draw(), 2), "way": choice(draw, ("in", "both"))},
        "delay": {"delay_ns": spread(draw, unit(plan), 0.3, 3.0), "jitter_ns": spread(draw, unit(plan), 0.0, 2.0)},
    }
    return [Fault(kind, whom, at_ns=at_ns, duration_ns=away_ns, params=params.get(kind, {}))]


def _return(plan: Plan, draw: Draw, whom: str, at_ns: int) -> list[Fault]:
    """What happens while it catches up."""
    faults = []
    if at_ns < plan.duration_ns and draw() < 0.3:
        # Answers take longer than it waits for them: it asks another one, and then both give it their snapshots.
        late: dict[str, Parameter] = {"delay_ns": spread(draw, plan.timing.retransmit_ns, 0.4, 1.5), "way": "in"}
        faults.append(Fault("delay", whom, at_ns=at_ns, duration_ns=3 * plan.timing.retransmit_ns, params=late))
    if at_ns < plan.duration_ns and draw() < 0.7:
        kind = choice(draw, ("drop", "duplicate", "reorder", "delay", "slow_sync"))
        rough = random_fault(plan, draw, kind, at_ns)
        faults.append(msgspec.structs.replace(rough, target="all" if whom == "leader" else whom))
    if draw() < 0.6:
        who = "any" if whom == "leader" else f"agent {whom.removeprefix('agent:')}"
        moment = choice(draw, ("installed", "installed", "snapshot", "cut"))
        trigger = f"{ordinal(between(draw, 1, 4))} {who} {moment}"
        kind, after_ns = choice(draw, ("power", "power", "kill")), choice(draw, (0, spread(draw, unit(plan), 0.0, 0.3)))
        params: dict[str, Parameter] = {"unsynced": choice(draw, ("lost", "torn"))} if kind == "power" else {}
        down_ns = spread(draw, unit(plan), 0.1, 1.0)
        faults.append(Fault(kind, "it", trigger=trigger, after_ns=after_ns, duration_ns=down_ns, params=params))
    if at_ns < plan.duration_ns and draw() < 0.5:
        kind = choice(draw, ("kill", "pause", "partition", "power", "clock_jump"))
        faults.append(random_fault(plan, draw, kind, at_ns, 1.0))
    return faults
