"""Palimpsest: the log of one agent is written over, again and again, by lives that end before their first sync.

Syncs are slow and writes many, so that a power cut finds several writes under way and leaves some of them, not always
the first ones. What the next life cuts off it must have cut off for good before it writes there: so the power goes again while
that life writes and its first sync is under way, and again.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream, weighted
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan, playing
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, settle_share, spread
from nemesis.strategies.moves import BACK_NS, DOWN_NS, unit


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "palimpsest", frame)
    draw = stream(f"{seed}/palimpsest")
    plan = _many_writes(plan, draw, frame)
    slow_ns = spread(draw, unit(plan), 0.1, choice(draw, (0.4, 0.8)))
    faults = noise(plan, draw)
    faults.append(Fault("slow_sync", "all", at_ns=0, duration_ns=-1, params={"delay_ns": slow_ns}))
    at_ns = spread(draw, unit(plan), 0.5, 3.0)
    while at_ns < plan.duration_ns:
        agent = choice(draw, playing(plan.cluster, "acceptor"))
        faults += _lives(plan, draw, agent, at_ns, slow_ns)
        at_ns += spread(draw, unit(plan), 0.5, 2.0)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _many_writes(plan: Plan, draw: Draw, frame: Frame) -> Plan:
    """A record a command, most of them of one length; and an agent that writes while it syncs."""
    mix = choice(draw, ({"write": 1.0}, {"append": 1.0}, plan.workload.mix))
    clients, rate = choice(draw, (4, 8, 8)), choice(draw, (200.0, 400.0))
    workload = msgspec.structs.replace(
        plan.workload, clients=clients, rate=rate, settle_rate=settle_share(rate), mix=dict(mix), value_bytes=16
    )
    limits = msgspec.structs.replace(
        plan.limits, window=choice(draw, (4, 16, 16)), batch_commands=choice(draw, (1, 1, 1, 4))
    )
    return msgspec.structs.replace(
        plan,
        workload=frame.workload or workload,
        limits=frame.limits or limits,
        disk=msgspec.structs.replace(plan.disk, sync_blocks=False),
    )


def _lives(plan: Plan, draw: Draw, agent: str, at_ns: int, slow_ns: int) -> list[Fault]:
    """Some short lives of one agent, now and then of all."""
    whom = choice(draw, (f"agent:{agent}", f"agent:{agent}", f"agent:{agent}", "all"))
    faults: list[Fault] = []
    for _ in range(between(draw, 2, 6)):
        kind = weighted(draw, {"power": 5.0, "kill": 1.0})
        params: dict[str, Parameter] = {
            "unsynced": choice(draw, ("scattered", "scattered", "scattered", "garbled", "torn"))
        }
        begin_ns = min(at_ns, plan.duration_ns - 1)
        faults.append(Fault(kind, whom, at_ns=begin_ns, duration_ns=DOWN_NS, params=params if kind == "power" else {}))
        at_ns += BACK_NS + spread(draw, slow_ns, 0.1, 1.2)
    return faults
