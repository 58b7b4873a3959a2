"""Fast-uniform: a fault about every election timeout, any kind, any target, any length.

The pace is the lever: as fast as leaders are elected, so that every step of a take-over meets the next fault.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import stream, weighted
from nemesis.plan import Plan
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, spread
from nemesis.strategies.moves import KINDS_AND_WEIGHTS, random_fault, unit


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "fast_uniform", frame)
    draw = stream(f"{seed}/fast_uniform")
    faults = noise(plan, draw)
    at_ns = spread(draw, unit(plan), 0.2, 2.0)
    while at_ns < plan.duration_ns:
        faults.append(random_fault(plan, draw, weighted(draw, KINDS_AND_WEIGHTS), at_ns))
        at_ns += spread(draw, unit(plan), 0.4, 1.6)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))
