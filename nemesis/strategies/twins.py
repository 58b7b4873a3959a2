"""Twins: two lead with the same round, one after the other, and each is heard by others.

Ballots are ordered by round, and only then by the node that owns them. As long as no two leaders share a round, the second part
is never put to the test: not in promises, not in votes, not where phase 1 compares what several leaders left in a slot. So the
clocks of two proposers jump at once, and both ask for the same round; the Prepares of the one that comes later in the order
are late. What the earlier one proposes reaches one voter; the later one does not hear of that, and is heard by others. Then
somebody stands up who must hear both.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import MILLISECOND, Plan, Timing, playing
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, spread, stepped
from nemesis.strategies.moves import hop, in_flight, unit

_STORIES = 6
"""Pairs of leaders in a run, about."""


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "twins", frame)
    draw = stream(f"{seed}/twins")
    plan = in_flight(plan, draw, frame)
    every, retry_ns = choice(draw, (0, 0, 5)), choice(draw, (15, 30)) * MILLISECOND
    limits = frame.limits or msgspec.structs.replace(plan.limits, snapshot_every=every)
    quick = msgspec.structs.replace(plan.timing, client_retry_ns=retry_ns, retransmit_ns=150 * MILLISECOND)
    timing = quick if frame.base.timing == Timing() else plan.timing
    cluster = plan.cluster
    if frame.nodes is None and cluster.proposers < 2:
        cluster = msgspec.structs.replace(cluster, proposers=2)
    enough_ns = unit(plan) + _STORIES * int(50 * hop(plan))
    duration_ns = frame.duration_ns or min(plan.duration_ns, stepped(enough_ns))
    plan = msgspec.structs.replace(plan, limits=limits, timing=timing, cluster=cluster, duration_ns=duration_ns)
    faults: list[Fault] = []
    at_ns = spread(draw, unit(plan), 0.3, 1.5)
    while at_ns < plan.duration_ns:
        faults += _twins(plan, draw, at_ns)
        at_ns += spread(draw, hop(plan), 16.0, 30.0)
        for _ in range(between(draw, 1, 2)):
            faults += _third(plan, draw, at_ns)
            at_ns += spread(draw, hop(plan), 10.0, 20.0)
    faults = [fault for fault in faults if fault.at_ns is not None and fault.at_ns < plan.duration_ns]
    return msgspec.structs.replace(plan, faults=(*faults, *last_blow(plan, draw)))


def _jumps(plan: Plan, draw: Draw, at_ns: int, stands: list[str]) -> list[Fault]:
    """Those stand up, and all voters are willing to elect somebody."""
    willing = [name for name in playing(plan.cluster, "acceptor") if name not in stands]
    short_ns = spread(draw, hop(plan), 2.0, 6.0)
    return [
        Fault(
            "clock_jump", f"agent:{','.join(names)}", at_ns=at_ns, duration_ns=short_ns, params={"offset_ns": offset_ns}
        )
        for names, offset_ns in ((willing, unit(plan)), (stands, 2 * unit(plan)))
        if names
    ]


def _twins(plan: Plan, draw: Draw, at_ns: int) -> list[Fault]:
    order, voters = playing(plan.cluster, "proposer"), playing(plan.cluster, "acceptor")
    drawn = sorted(sample(draw, order, 2), key=order.index)
    early, later = drawn[0], drawn[-1]
    hears = early if early in voters else choice(draw, voters)
    faults = _jumps(plan, draw, at_ns, drawn)
    late: dict[str, Parameter] = {"way": "out", "delay_ns": spread(draw, hop(plan), 2.0, 8.0)}
    late_ns, heard_ns = at_ns + spread(draw, hop(plan), 0.5, 2.5), at_ns + spread(draw, hop(plan), 3.0, 6.0)
    apart_ns, lasts_ns = spread(draw, hop(plan), 10.0, 24.0), spread(draw, hop(plan), 10.0, 24.0)
    faults.append(Fault("delay", f"agent:{later}", at_ns=late_ns, duration_ns=unit(plan) // 3, params=late))
    for peer in voters:
        if peer not in (hears, early):
            lost: dict[str, Parameter] = {"way": "out", "peer": peer, "probability": 1.0}
            faults.append(Fault("drop", f"agent:{early}", at_ns=heard_ns, duration_ns=lasts_ns, params=lost))
    unheard: dict[str, Parameter] = {"way": "both", "peer": hears, "probability": 1.0}
    faults.append(Fault("drop", f"agent:{later}", at_ns=late_ns, duration_ns=apart_ns, params=unheard))
    return faults


def _third(plan: Plan, draw: Draw, at_ns: int) -> list[Fault]:
    """Somebody stands up; mostly one voter is away, so that the rest is just a quorum."""
    stands = choice(draw, playing(plan.cluster, "proposer"))
    away = sample(draw, [name for name in playing(plan.cluster, "acceptor") if name != stands], 1)
    faults, lasts_ns = _jumps(plan, draw, at_ns, [stands]), spread(draw, hop(plan), 5.0, 15.0)
    if draw() < 0.8:
        faults += [Fault("partition", f"agent:{name}", at_ns=at_ns, duration_ns=lasts_ns) for name in away]
    return faults
