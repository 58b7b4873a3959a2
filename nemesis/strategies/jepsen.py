"""Jepsen-style, for comparison: one fault at a time, on for some seconds, then a pause, at a pace that suits a human.

Kill, pause and partitions only, random targets; a fault every five election timeouts or slower. Cluster, load and limits are
drawn as for every other strategy; power cuts, also the final one, and what stays broken at the end are faults it does not know.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import choice, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan
from nemesis.strategies.frame import Frame, framed, spread
from nemesis.strategies.moves import unit


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "jepsen", frame)
    draw = stream(f"{seed}/jepsen")
    faults: list[Fault] = []
    at_ns = spread(draw, unit(plan), 2.0, 5.0)
    while at_ns < plan.duration_ns:
        kind = choice(draw, ("kill", "pause", "partition"))
        target = choice(draw, ("one", "minority", "majority", "all"))
        shape: dict[str, Parameter] = {"shape": choice(draw, ("isolate", "halves", "majority", "ring", "bridge"))}
        if kind == "partition":
            fault = Fault(kind, "one", at_ns=at_ns, duration_ns=spread(draw, unit(plan), 2.0, 3.0), params=shape)
        else:
            fault = Fault(kind, target, at_ns=at_ns, duration_ns=spread(draw, unit(plan), 2.0, 3.0))
        faults.append(fault)
        at_ns += spread(draw, unit(plan), 5.0, 8.0)
    return msgspec.structs.replace(plan, faults=tuple(faults), heal="all", final_power_cut=False)
