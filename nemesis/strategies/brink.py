"""Brink: just a quorum is left, its disks are slow, and the power goes.

While a minority is away every vote counts. While syncs are slow there is always something that was written and is not
durable. While messages come twice, answers are given from memory. A crash in such a moment, and a second one
when the first has hardly been recovered from, tells whether anything was said too early, or forgotten.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import MILLISECOND, Plan, members
from nemesis.strategies.frame import Frame, framed, last_blow, noise, spread
from nemesis.strategies.moves import random_length, unit
from nemesis.triggers import ordinal

_MOMENTS = ("appended", "appended", "synced", "promised", "accepted", "sent_accepted", "sent_promise", "snapshot")


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "brink", frame)
    draw = stream(f"{seed}/brink")
    faults = noise(plan, draw)
    at_ns = spread(draw, unit(plan), 0.0, 2.0)
    while at_ns < plan.duration_ns:
        lasts_ns = spread(draw, unit(plan), 3.0, 8.0)
        faults += _brink(plan, draw, at_ns, min(lasts_ns, plan.duration_ns - at_ns))
        at_ns += lasts_ns + spread(draw, unit(plan), 0.5, 3.0)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _brink(plan: Plan, draw: Draw, at_ns: int, lasts_ns: int) -> list[Fault]:
    """Some time at the edge, and the crashes in it."""
    slow: dict[str, Parameter] = {"delay_ns": spread(draw, unit(plan), 0.05, 0.8)}
    copies: dict[str, Parameter] = {
        "probability": round(0.2 + 0.7 * draw(), 2),
        "jitter_ns": spread(draw, unit(plan), 0.0, 1.0),
    }
    away, slowed, doubled = draw() < 0.8, draw() < 0.7, draw() < 0.5
    kind, whom = choice(draw, ("kill", "pause", "partition")), choice(draw, ("all", "one", "majority"))
    faults = []
    if away:
        faults.append(Fault(kind, "minority", at_ns=at_ns, duration_ns=lasts_ns))
    if slowed:
        faults.append(Fault("slow_sync", whom, at_ns=at_ns, duration_ns=lasts_ns, params=slow))
    if doubled:
        faults.append(Fault("duplicate", "all", at_ns=at_ns, duration_ns=lasts_ns, params=copies))
    for _ in range(between(draw, 1, 4)):
        faults += _crash(plan, draw, at_ns, lasts_ns)
    return faults


def _crash(plan: Plan, draw: Draw, at_ns: int, lasts_ns: int) -> list[Fault]:
    """One crash at a time or just after some step of one agent; often the same agent crashes again when it is just back."""
    agent = choice(draw, [name for name, _ in members(plan.cluster)])
    first, second = choice(draw, ("kill", "power")), choice(draw, ("kill", "power", "power"))
    down_ns = choice(draw, (MILLISECOND, random_length(plan, draw, "power")))
    again_ns = down_ns + spread(draw, unit(plan), 0.05, 1.0)
    whom = choice(draw, (f"agent:{agent}", f"agent:{agent}", "leader", "all"))
    begin_ns = min(at_ns + spread(draw, lasts_ns, 0.0, 1.0), plan.duration_ns - 1)
    by_trigger, twice = draw() < 0.5, draw() < 0.5
    number, moment = between(draw, 1, choice(draw, (10, 60, 200))), choice(draw, _MOMENTS)
    after_ns = choice(draw, (0, spread(draw, unit(plan), 0.0, 0.3)))
    trigger = f"{ordinal(number)} agent {agent} {moment}"
    faults = []
    for kind, later_ns in ((first, 0), (second, again_ns))[: 2 if twice else 1]:
        params = _unsynced(draw) if kind == "power" else {}
        if by_trigger:
            fault = Fault(kind, whom, trigger=trigger, after_ns=after_ns + later_ns, duration_ns=down_ns, params=params)
        else:
            at_ns = min(begin_ns + later_ns, plan.duration_ns - 1)
            fault = Fault(kind, whom, at_ns=at_ns, duration_ns=down_ns, params=params)
        faults.append(fault)
    return faults


def _unsynced(draw: Draw) -> dict[str, Parameter]:
    return {"unsynced": choice(draw, ("lost", "lost", "torn", "garbled"))}
