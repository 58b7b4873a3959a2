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
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, spread
from nemesis.strategies.moves import random_length, unit
from nemesis.triggers import ordinal

SHORTEST_NS = MILLISECOND
_MOMENTS = ("appended", "appended", "synced", "promised", "accepted", "sent_accepted", "chosen", "leader", "snapshot")


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "brink", frame)
    draw = stream(f"{seed}/brink")
    plan = _few_in_flight(plan, draw, frame)
    faults = noise(plan, draw)
    at_ns = spread(draw, unit(plan), 0.0, 2.0)
    while at_ns < plan.duration_ns:
        lasts_ns = spread(draw, unit(plan), 3.0, 8.0)
        faults += _brink(plan, draw, at_ns, min(lasts_ns, plan.duration_ns - at_ns))
        at_ns += lasts_ns + spread(draw, unit(plan), 0.5, 3.0)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _few_in_flight(plan: Plan, draw: Draw, frame: Frame) -> Plan:
    """Often hardly anything is written behind what is in doubt: what follows would be synced, and hide that it was not."""
    clients, window = choice(draw, (1, 2, 3, 8)), choice(draw, (1, 1, 4, 16))
    return msgspec.structs.replace(
        plan,
        workload=frame.workload or msgspec.structs.replace(plan.workload, clients=clients),
        limits=frame.limits or msgspec.structs.replace(plan.limits, window=window),
    )


def _brink(plan: Plan, draw: Draw, at_ns: int, lasts_ns: int) -> list[Fault]:
    """Some time at the edge, and the crashes in it."""
    slow: dict[str, Parameter] = {"delay_ns": spread(draw, unit(plan), 0.05, 1.2)}
    copies: dict[str, Parameter] = {
        "probability": round(0.2 + 0.7 * draw(), 2),
        "jitter_ns": spread(draw, unit(plan), 0.0, 1.0),
    }
    away, slowed, doubled = draw() < 0.8, draw() < 0.7, draw() < 0.5
    kind, whom = choice(draw, ("kill", "pause", "partition")), choice(draw, ("all", "one", "leader", "majority"))
    faults = []
    if away:
        faults.append(Fault(kind, "minority", at_ns=at_ns, duration_ns=lasts_ns))
    if slowed:
        faults.append(Fault("slow_sync", whom, at_ns=at_ns, duration_ns=lasts_ns, params=slow))
    if doubled:
        faults.append(Fault("duplicate", "all", at_ns=at_ns, duration_ns=lasts_ns, params=copies))
    for _ in range(between(draw, 1, 4)):
        agent = choice(draw, [name for name, _ in members(plan.cluster)])
        faults += choice(draw, (_crash, _two_crashes))(plan, draw, agent, at_ns, lasts_ns)
    return faults


def _crash(plan: Plan, draw: Draw, agent: str, at_ns: int, lasts_ns: int) -> list[Fault]:
    """One crash, at a time or just after some step of that agent."""
    kind, whom = choice(draw, ("kill", "power", "power")), choice(draw, (f"agent:{agent}", "leader", "all"))
    begin_ns = min(at_ns + spread(draw, lasts_ns, 0.0, 1.0), plan.duration_ns - 1)
    after_ns = choice(draw, (0, spread(draw, unit(plan), 0.0, 0.3)))
    trigger, length_ns = _moment(draw, agent, _MOMENTS), random_length(plan, draw, "power")
    params = _unsynced(draw)
    crash = Fault(kind, whom, at_ns=begin_ns, duration_ns=length_ns, params=params if kind == "power" else {})
    if draw() < 0.5:
        crash = msgspec.structs.replace(crash, at_ns=None, trigger=trigger, after_ns=after_ns)
    return [crash]


def _two_crashes(plan: Plan, draw: Draw, agent: str, at_ns: int, lasts_ns: int) -> list[Fault]:
    """Killed with something written that is not durable; back at once, with what the operating system kept; and then the
    power goes. What was said in between must have been durable."""
    trigger = _moment(draw, agent, ("appended", "appended", "accepted", "promised", "prepare", "snapshot", "installed"))
    again_ns = SHORTEST_NS + spread(draw, unit(plan), 0.06, 1.2)
    first, second = choice(draw, ("kill", "kill", "power")), choice(draw, ("power", "power", "power", "kill"))
    crashes = []
    for kind, after_ns in ((first, 0), (second, again_ns)):
        params = _unsynced(draw) if kind == "power" else {}
        length_ns = SHORTEST_NS if after_ns == 0 else random_length(plan, draw, "power")
        crashes.append(
            Fault(kind, f"agent:{agent}", trigger=trigger, after_ns=after_ns, duration_ns=length_ns, params=params)
        )
    return crashes


def _moment(draw: Draw, agent: str, events: tuple[str, ...]) -> str:
    return f"{ordinal(between(draw, 1, choice(draw, (10, 60, 200))))} agent {agent} {choice(draw, events)}"


def _unsynced(draw: Draw) -> dict[str, Parameter]:
    return {"unsynced": choice(draw, ("lost", "lost", "torn", "garbled", "scattered"))}
