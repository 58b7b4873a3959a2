"""Jepsen-style as it is commonly run: the faults of ``jepsen`` on one cluster of usual size, limits and load, for a minute.

A minute is sixty election timeouts here, since those of real systems are about a second. Only the deployment is drawn.
"""

from __future__ import annotations

import msgspec

from nemesis.plan import Plan
from nemesis.strategies import jepsen
from nemesis.strategies.frame import Frame, settle_share

NODES = 5
TIMEOUTS = 60


def generate(seed: int, frame: Frame) -> Plan:
    base = frame.base
    load = msgspec.structs.replace(base.workload, settle_rate=settle_share(base.workload.rate))
    usual = msgspec.structs.replace(
        frame,
        nodes=frame.nodes or NODES,
        duration_ns=frame.duration_ns or TIMEOUTS * base.timing.election_timeout_ns,
        settle_ns=frame.settle_ns or base.settle_ns,
        workload=frame.workload or load,
        limits=frame.limits or base.limits,
        client_links_faulty=bool(frame.client_links_faulty),
    )
    plan = jepsen.generate(seed, usual)
    return msgspec.structs.replace(plan, strategy="jepsen_fixed", network=base.network, disk=base.disk)
