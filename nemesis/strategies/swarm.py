"""Swarm: each plan uses only some kinds of fault, at a pace and with lengths of its own.

Kinds suppress each other (who is always killed never has a full window), so leaving some out reaches states that the
mixture of all never does.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import choice, sample, stream, weighted
from nemesis.plan import Plan
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, spread
from nemesis.strategies.moves import KINDS_AND_WEIGHTS, random_fault, unit


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "swarm", frame)
    draw = stream(f"{seed}/swarm")
    kept = [kind for kind in KINDS_AND_WEIGHTS if draw() < 0.35] or sample(draw, list(KINDS_AND_WEIGHTS), 1)
    weights = {kind: KINDS_AND_WEIGHTS[kind] for kind in kept}
    pace, longest = choice(draw, (0.5, 1.0, 1.0, 2.0)), choice(draw, (1.0, 3.0, 6.0))
    faults = noise(plan, draw)
    at_ns = spread(draw, unit(plan), 0.2, 2.0)
    while at_ns < plan.duration_ns:
        faults.append(random_fault(plan, draw, weighted(draw, weights), at_ns, longest))
        at_ns += spread(draw, unit(plan), 0.4 * pace, 1.6 * pace)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))
