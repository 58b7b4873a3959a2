"""Relapse: an agent goes down again while it still recovers, and once more.

What a restarted agent reads may stand in the page cache only, what it cuts may come back, what it renamed may have its
old name again: until its first sync nothing is sure. Nor, until its checkpoint is durable, when it was given a snapshot. So
crashes come in chains, each soon after the restart from the one before, while syncs are slow; they begin at any append or
sync, since a checkpoint takes several, or when one that was away has just been given a snapshot; and snapshots are frequent.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream, weighted
from nemesis.faults import Fault, Parameter
from nemesis.plan import MILLISECOND, Plan, members
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, spread
from nemesis.strategies.moves import BACK_NS, DOWN_NS, unit
from nemesis.triggers import ordinal

_BEHIND = 0.4
"""Share of chains before which the agent falls behind."""
_MOMENTS = ("appended", "appended", "appended", "synced", "synced", "snapshot", "installed", "promised", "prepare")


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "relapse", frame)
    draw = stream(f"{seed}/relapse")
    clients, window, every = choice(draw, (1, 2, 3, 8)), choice(draw, (1, 4, 16)), choice(draw, (1, 2, 5, 30))
    workload = msgspec.structs.replace(plan.workload, clients=clients)
    kept = choice(draw, (1, plan.limits.keep_slots))
    limits = msgspec.structs.replace(plan.limits, window=window, snapshot_every=every, keep_slots=kept)
    plan = msgspec.structs.replace(plan, workload=frame.workload or workload, limits=frame.limits or limits)
    slow_ns = spread(draw, unit(plan), 0.02, choice(draw, (0.1, 0.5)))
    faults = noise(plan, draw)
    if draw() < 0.8:
        faults.append(Fault("slow_sync", "all", at_ns=0, duration_ns=-1, params={"delay_ns": slow_ns}))
    at_ns = spread(draw, unit(plan), 0.5, 2.0)
    while at_ns < plan.duration_ns:
        agent = choice(draw, [name for name, _ in members(plan.cluster)])
        behind, chain = draw() < _BEHIND, _chain(plan, draw, agent, at_ns, slow_ns)
        faults += _behind(plan, draw, agent, at_ns, chain) if behind else chain
        at_ns += spread(draw, unit(plan), 0.5, 2.5)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _behind(plan: Plan, draw: Draw, agent: str, at_ns: int, chain: list[Fault]) -> list[Fault]:
    """It was away for so long that it is given a snapshot: its log holds little of what it then knows, until its checkpoint is
    durable, and there it goes down."""
    kind, away_ns = choice(draw, ("partition", "partition", "kill", "pause")), spread(draw, unit(plan), 1.0, 4.0)
    trigger = f"{ordinal(between(draw, 1, 3))} agent {agent} installed"
    begun_ns = spread(draw, unit(plan), 0.0, 0.2)
    falls = [
        msgspec.structs.replace(fault, at_ns=None, trigger=trigger, after_ns=begun_ns + max(0, fault.after_ns))
        for fault in chain
    ]
    return [Fault(kind, f"agent:{agent}", at_ns=at_ns, duration_ns=away_ns), *falls]


def _chain(plan: Plan, draw: Draw, agent: str, at_ns: int, slow_ns: int) -> list[Fault]:
    """Two or three crashes of one agent, or of all, the later ones within about the first two syncs of a life."""
    rank, event = between(draw, 1, choice(draw, (10, 60, 200))), choice(draw, _MOMENTS)
    triggered, whom = draw() < 0.7, choice(draw, (f"agent:{agent}", f"agent:{agent}", f"agent:{agent}", "all"))
    chain: list[Fault] = []
    after_ns = 0
    for _ in range(between(draw, 2, 3)):
        kind = weighted(draw, {"kill": 1.0, "power": 1.5})
        params: dict[str, Parameter] = {
            "unsynced": choice(draw, ("lost", "torn", "garbled", "scattered", "scattered", "scattered"))
        }
        fault = Fault(kind, whom, duration_ns=DOWN_NS, params=params if kind == "power" else {})
        if triggered:
            trigger = f"{ordinal(rank)} agent {agent} {event}"
            fault = msgspec.structs.replace(fault, trigger=trigger, after_ns=after_ns)
        else:
            fault = msgspec.structs.replace(fault, at_ns=min(at_ns + after_ns, plan.duration_ns - 1))
        chain.append(fault)
        after_ns += BACK_NS + spread(draw, 2 * slow_ns + MILLISECOND, 0.0, 1.0)
    return chain
