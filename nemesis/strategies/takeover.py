"""Takeover: for the regression gate. Only who leads is hit, long enough for a successor to stand up, and then all is quiet.

Every fault makes clients wait for one election, so how long they wait is measured several times a plan with little else
mixed in. It finds few bugs: it is not in the portfolio.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import choice, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import SECOND, Plan
from nemesis.strategies.frame import Frame, framed, spread
from nemesis.strategies.moves import unit

DURATION_NS = 3 * SECOND
SETTLE_NS = 2 * SECOND
_LAST = 8.0
"""Election timeouts before the end in which nothing begins: the last takeover is over when all is healed."""


def generate(seed: int, frame: Frame) -> Plan:
    times = {"duration_ns": frame.duration_ns or DURATION_NS, "settle_ns": frame.settle_ns or SETTLE_NS}
    plan = framed(seed, "takeover", msgspec.structs.replace(frame, **times))
    plan = msgspec.structs.replace(plan, heal="all")
    draw = stream(f"{seed}/takeover")
    faults: list[Fault] = []
    at_ns = spread(draw, unit(plan), 4.0, 6.0)
    while at_ns < plan.duration_ns - _LAST * unit(plan):
        kind = choice(draw, ("kill", "power", "pause", "partition", "partition"))
        params: dict[str, Parameter] = {"shape": "isolate"} if kind == "partition" else {}
        faults.append(Fault(kind, "leader", at_ns=at_ns, duration_ns=spread(draw, unit(plan), 3.5, 5.0), params=params))
        at_ns += spread(draw, unit(plan), 8.0, 10.0)
    return msgspec.structs.replace(plan, faults=tuple(faults))
