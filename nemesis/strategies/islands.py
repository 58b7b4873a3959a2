"""Islands: who hears whom is drawn anew every moment, each direction of each link on its own.

Partitions in the books have shapes. Here there is none: a share of the directed links is cut, and about every election
timeout it is another one. So a Prepare reaches some, the Accepts that follow others, their answers a third set; and
between two such moments somebody goes down for a moment, or a leader is replaced.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import choice, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, spread
from nemesis.strategies.moves import random_fault, unit

_BETWEEN = ("kill", "kill", "pause", "power", "clock_jump")


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "islands", frame)
    draw = stream(f"{seed}/islands")
    faults = noise(plan, draw)
    shares, pace = choice(draw, ((0.1, 0.3), (0.2, 0.5), (0.3, 0.7))), choice(draw, (0.3, 1.0, 2.0))
    struck = choice(draw, (0.2, 0.5, 0.8))
    at_ns = spread(draw, unit(plan), 0.5, 2.0)
    while at_ns < plan.duration_ns:
        length_ns = spread(draw, unit(plan), 0.3 * pace, 1.7 * pace)
        share = round(shares[0] + draw() * (shares[1] - shares[0]), 2)
        params: dict[str, Parameter] = {"shape": "holes", "share": share if draw() < 0.8 else 0.0}
        faults.append(Fault("partition", "all", at_ns=at_ns, duration_ns=length_ns, params=params))
        if draw() < struck:
            faults.append(random_fault(plan, draw, choice(draw, _BETWEEN), at_ns, 1.0))
        at_ns += length_ns
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))
