"""Margins: the plan of another strategy, with sizes that no ordinary plan has.

A quorum of half the acceptors is a majority as long as their number is odd. A queue that is never full, a list that never
reaches its bound, a page that always holds a value, a client that never waits long enough to be answered by the third
leader: the rules for them are never put to use. So some of the sizes are drawn at their margins: even clusters, pages and
batches smaller than a value, queues for a command or two, a snapshot every slot, quick and slow retries, patient clients,
keys on which every function meets every other, lists that run full. The faults are those of the other strategy.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, choice, stream, weighted
from nemesis.plan import DEFAULT_MIX, MILLISECOND, SECOND, Disk, Limits, Network, Plan, Timing, Workload
from nemesis.strategies import STRATEGIES
from nemesis.strategies import generate as generate_by_name
from nemesis.strategies.frame import Frame

_NODES = (None, None, None, None, 4, 4, 4, 4, 4, 6)
"""None: as the other strategy has it. (Not 2: of two acceptors none may be lost.)"""
_FULL = 1600
"""Commands that fill a list, with some to spare for those that are lost."""
_SHORT = 16
"""A queue that is filled by as many clients."""
_SMALL = 16
"""Bytes of a value: a state of larger ones, in tiny pages, would be on its way for longer than a run lasts."""
_CROWDED = 0.2
"""Share of plans in which several commands wait for each slot, and not all of them have room in it, also after the heal."""
_FLOOD = 0.05
"""Share of plans in which a list runs full: they have many commands, and take as long as several others."""


def generate(seed: int, frame: Frame) -> Plan:
    draw = stream(f"{seed}/margins")
    weights = {name: one.weight for name, one in STRATEGIES.items() if name not in ("margins", "calm")}
    name, nodes = weighted(draw, weights), choice(draw, _NODES)
    timing, flooded = _timing(draw), draw() < _FLOOD and not (frame.limits or frame.workload)
    base = frame.base if frame.base.timing != Timing() else msgspec.structs.replace(frame.base, timing=timing)
    plan = generate_by_name(
        name, seed, msgspec.structs.replace(frame, base=base, nodes=frame.nodes or (3 if flooded else nodes))
    )
    limits, workload = _limits(plan.limits, draw), _workload(plan.workload, draw)
    crowd = stream(f"{seed}/margins/crowd")
    if crowd() < _CROWDED:
        limits, workload = _crowded(limits, workload, crowd)
    if draw() < 0.5:
        limits = msgspec.structs.replace(limits, max_sessions=workload.clients)
    if workload.value_bytes > _SMALL:
        limits = msgspec.structs.replace(limits, page_bytes=max(limits.page_bytes, 4096))
    plan = msgspec.structs.replace(
        plan, strategy="margins", limits=frame.limits or limits, workload=frame.workload or workload
    )
    return _flooded(plan) if flooded else plan


def _timing(draw: Draw) -> Timing:
    """The election timeout stays what it is: faults are measured in it. A client asks every server some times."""
    retry, patience = choice(draw, ((20, 500), (60, 500), (60, 1000), (60, 2000), (200, 2000)))
    return Timing(
        heartbeat_ns=choice(draw, (5, 20, 20, 45)) * MILLISECOND,
        retransmit_ns=choice(draw, (10, 40, 40, 90)) * MILLISECOND,
        client_retry_ns=retry * MILLISECOND,
        operation_timeout_ns=patience * MILLISECOND,
    )


def _limits(limits: Limits, draw: Draw) -> Limits:
    """Each is at its margin in about half of the plans. A short queue needs slots in which what waits goes soon, or somebody
    is refused for ever."""
    limits = msgspec.structs.replace(
        limits,
        window=choice(draw, (limits.window, limits.window, 2, 64)),
        batch_bytes=choice(draw, (limits.batch_bytes, limits.batch_bytes, 1, 200)),
        queue_commands=choice(draw, (limits.queue_commands, limits.queue_commands, 1, 2, 4)),
        snapshot_every=choice(draw, (limits.snapshot_every, limits.snapshot_every, 1, 2, 3)),
        keep_slots=choice(draw, (limits.keep_slots, limits.keep_slots, 0, 1)),
        page_bytes=choice(draw, (limits.page_bytes, limits.page_bytes, 64, 200)),
        rounds_kept=choice(draw, (1, 2, 4)),
    )
    short = limits.queue_commands < _SHORT
    return msgspec.structs.replace(limits, window=16, batch_commands=64, batch_bytes=65_536) if short else limits


def _crowded(limits: Limits, workload: Workload, draw: Draw) -> tuple[Limits, Workload]:
    """Only after the heal does every operation have to be answered: the load goes on there. It is no more than what one slot
    after another can bear, be it for one command each."""
    limits = msgspec.structs.replace(
        limits,
        window=1,
        batch_commands=choice(draw, (2, 3, 64)),
        batch_bytes=choice(draw, (1, 100, 200, 65_536)),
        queue_commands=4096,
    )
    return limits, msgspec.structs.replace(workload, clients=8, rate=choice(draw, (30.0, 60.0)), settle_rate=1.0)


def _workload(workload: Workload, draw: Draw) -> Workload:
    mixed, mix = draw() < 0.4, choice(draw, (workload.mix, dict(DEFAULT_MIX), _ALL_ALIKE))
    mix = mix if mixed else workload.mix
    size = choice(draw, (workload.value_bytes, workload.value_bytes, 1, 512 if "append" in mix else 2000))
    return msgspec.structs.replace(workload, value_bytes=size, mix=mix, lists_apart=not mixed)


_ALL_ALIKE = {"read": 1.0, "local-read": 0.2, "write": 0.6, "cas": 1.0, "delete": 0.6, "append": 1.0}


def _flooded(plan: Plan) -> Plan:
    """One list gets so many values that it is full long before the end."""
    rate = _FULL * SECOND / plan.duration_ns
    return msgspec.structs.replace(
        plan,
        workload=Workload(8, rate, 0.02, keys=1, mix={"read": 0.04, "append": 0.96}, lists_apart=False, value_bytes=8),
        limits=msgspec.structs.replace(plan.limits, window=16, batch_commands=64, batch_bytes=65_536, snapshot_every=100,
                                       queue_commands=4096, page_bytes=4096, max_sessions=4096),
        network=Network(latency_ns=200_000, jitter_ns=100_000),
        disk=Disk(sync_ns=100_000, jitter_ns=100_000),
    )  # fmt: skip
