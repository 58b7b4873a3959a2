"""Calm: no fault at all, at the pace of people or as fast as clients can ask."""

from __future__ import annotations

import msgspec

from nemesis.draws import stream
from nemesis.plan import Plan
from nemesis.strategies.frame import Frame, framed


def generate(seed: int, frame: Frame) -> Plan:
    """A plan without faults; what fails here fails by itself. Some ask without a pause for one key, and reach every bound."""
    plan = framed(seed, "calm", frame)
    if frame.workload is not None or stream(f"{seed}/calm")() < 0.7:
        return plan
    eager = msgspec.structs.replace(plan.workload, clients=8, rate=0.0, settle_rate=1.0, keys=1)
    return msgspec.structs.replace(plan, workload=eager)
