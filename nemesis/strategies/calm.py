"""Calm: no fault at all, at the pace of people or as fast as clients can ask."""

from __future__ import annotations

import msgspec

from nemesis.draws import stream
from nemesis.plan import MILLISECOND, Plan
from nemesis.strategies.frame import Frame, framed

_EAGER_NS = 400 * MILLISECOND
_EAGER_SETTLE_NS = 1200 * MILLISECOND
"""Clients that never wait reach every bound soon, and cost as much as twenty other plans if they go on."""


def generate(seed: int, frame: Frame) -> Plan:
    """A plan without faults; what fails here fails by itself. Some ask without a pause for one key, and reach every bound."""
    plan = framed(seed, "calm", frame)
    if frame.workload is not None or stream(f"{seed}/calm")() < 0.7:
        return plan
    eager = msgspec.structs.replace(plan.workload, clients=8, rate=0.0, settle_rate=1.0, keys=1)
    return msgspec.structs.replace(
        plan,
        workload=eager,
        duration_ns=frame.duration_ns or _EAGER_NS,
        settle_ns=frame.settle_ns or _EAGER_SETTLE_NS,
    )
