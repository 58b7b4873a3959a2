"""Echo: whoever was away is told what it missed, and long after it has moved on it is told again.

Everyone in turn is away for a moment, so that everyone asks; and what is said to it in those days comes once more, one or
several election timeouts later, in another order. What it has learned since must outlast that: so at the end it is often the
one that was never away that goes, and those who heard the echoes must hand on what they know to one who comes back last.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan, playing
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, spread
from nemesis.strategies.moves import unit


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "echo", frame)
    draw = stream(f"{seed}/echo")
    every, page, keep = choice(draw, (0, 0, 0, 10, 100)), choice(draw, (128, 512, 4096)), choice(draw, (10, 100))
    limits = msgspec.structs.replace(plan.limits, snapshot_every=every, page_bytes=page, keep_slots=keep)
    heal = choice(draw, ("majority", "majority", plan.heal))
    plan = msgspec.structs.replace(plan, limits=frame.limits or limits, heal=heal)
    turn = sample(draw, playing(plan.cluster, "learner"), 99)
    last_ns = spread(draw, unit(plan), 2.0, 8.0)
    faults = noise(plan, draw)
    at_ns, place = spread(draw, unit(plan), 0.5, 2.0), 0
    while at_ns < plan.duration_ns:
        late = at_ns >= plan.duration_ns - last_ns
        asking = (turn[1:-1] if late else turn[:-1]) or turn
        faults += _absence(plan, draw, asking[place % len(asking)], at_ns)
        at_ns += spread(draw, unit(plan), 0.3, 2.0)
        place += 1
    faults += _handed_on(plan, draw, turn, last_ns) if draw() < 0.7 else last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _absence(plan: Plan, draw: Draw, name: str, at_ns: int) -> list[Fault]:
    """It misses a little, and hears twice what it is told when it is back."""
    away_ns = spread(draw, unit(plan), 0.2, 1.5)
    kind = choice(draw, ("partition", "partition", "drop", "pause", "kill"))
    params: dict[str, Parameter] = {"probability": 0.5, "way": "in"} if kind == "drop" else {}
    late: dict[str, Parameter] = {
        "probability": choice(draw, (1.0, 0.9, 0.5)),
        "jitter_ns": spread(draw, unit(plan), 0.5, 4.0),
        "way": "in",
    }
    back_ns = min(at_ns + away_ns, plan.duration_ns - 1)
    return [
        Fault(kind, f"agent:{name}", at_ns=at_ns, duration_ns=away_ns, params=params),
        Fault("duplicate", f"agent:{name}", at_ns=back_ns, duration_ns=spread(draw, unit(plan), 0.3, 1.0), params=late),
    ]


def _handed_on(plan: Plan, draw: Draw, turn: list[str], last_ns: int) -> list[Fault]:
    """One is away for long and misses much; shortly before it comes back the one that was always there goes for good."""
    kind, back_ns = choice(draw, ("kill", "pause", "partition")), spread(draw, unit(plan), 0.05, 0.5)
    before_ns = back_ns + spread(draw, unit(plan), 0.0, between(draw, 1, 2))
    gone_ns = max(0, plan.duration_ns - before_ns)
    away_ns = max(0, plan.duration_ns - last_ns)
    length_ns = max(1, plan.duration_ns - back_ns - away_ns)  # a very short plan has no room for all of it
    return [
        Fault("partition", f"agent:{turn[0]}", at_ns=away_ns, duration_ns=length_ns),
        Fault(kind, f"agent:{turn[-1]}", at_ns=gone_ns, duration_ns=-1),
    ]
