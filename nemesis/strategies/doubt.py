"""Doubt: clients do not know what became of what they asked for.

Answers are lost after the command was executed; requests come twice, the second time long after the client has gone on, and
to a leader that never saw the first; clients lose patience and come back as others, so that sessions push each other out. The
servers have little trouble meanwhile, but leaders change: who leads next must know from the log what was executed, and under
which session. Or there is just room for the sessions of the few clients, and what a client that has gone asked for comes again,
its session as well: that pushes out the one of a client that still asks, and was not told that it had its way. Or a client is
refused by all for as long as it waits, and copies of what it asked are still on their way.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream
from nemesis.faults import ALL_CLIENTS, Fault, Parameter
from nemesis.plan import MILLISECOND, Plan, Timing
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, settle_share, spread
from nemesis.strategies.moves import ahead, patient, unit

_MIXES: tuple[dict[str, float], ...] = (
    {"read": 0.3, "write": 0.3, "cas": 0.3, "delete": 0.1},
    {"read": 0.2, "cas": 0.8},
    {"read": 0.3, "append": 0.7},
    {"read": 0.3, "local-read": 0.3, "write": 0.4},
)


def generate(seed: int, frame: Frame) -> Plan:
    links = True if frame.client_links_faulty is None else frame.client_links_faulty
    plan = framed(seed, "doubt", msgspec.structs.replace(frame, client_links_faulty=links))
    draw = stream(f"{seed}/doubt")
    plan = _impatient(plan, draw, frame)
    if draw() < 0.4 and links:
        return _forgotten(plan, draw, frame)
    faults = noise(plan, draw)
    at_ns = spread(draw, unit(plan), 0.5, 2.0)
    while at_ns < plan.duration_ns:
        faults += _trouble(plan, draw, at_ns) if links else []
        if draw() < 0.6:
            faults.append(_another_leader(plan, draw, at_ns))
        at_ns += spread(draw, unit(plan), 0.5, 2.5)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _impatient(plan: Plan, draw: Draw, frame: Frame) -> Plan:
    """Clients give up soon and come back as others, while there is room for just as many sessions as there are clients. (But
    each asks every server first, one of which may be gone for good; and none waits for the slots of all others, one by one.)"""
    retry, patience = choice(draw, ((15, 200), (30, 300), (60, 500)))
    timing = patient(plan, retry * MILLISECOND, patience * MILLISECOND)
    clients, rate, keys = choice(draw, (1, 2, 3, 4, 8)), choice(draw, (50.0, 100.0, 200.0)), choice(draw, (1, 2))
    workload = msgspec.structs.replace(
        plan.workload,
        clients=clients,
        rate=rate,
        settle_rate=settle_share(rate),
        keys=keys,
        mix=dict(choice(draw, _MIXES)),
    )
    limits = msgspec.structs.replace(
        plan.limits,
        window=16,
        batch_commands=64,
        max_sessions=choice(draw, (1, 1, 4096)),
        snapshot_every=choice(draw, (0, 5, 30)),
    )
    return msgspec.structs.replace(
        plan,
        timing=timing if frame.base.timing == Timing() else plan.timing,
        workload=frame.workload or workload,
        limits=frame.limits or limits,
    )


def _forgotten(plan: Plan, draw: Draw, frame: Frame) -> Plan:
    """Few clients with as many sessions; each request comes again when its client has gone. Most answers are lost, or nobody
    leads for longer than clients wait."""
    patience_ns, clients = choice(draw, (100, 150, 300)) * MILLISECOND, choice(draw, (1, 1, 2))
    timing = patient(plan, 15 * MILLISECOND, patience_ns)
    patience_ns = timing.operation_timeout_ns
    workload = msgspec.structs.replace(plan.workload, clients=clients, rate=30.0, settle_rate=settle_share(30.0))
    late: dict[str, Parameter] = {
        "probability": choice(draw, (0.3, 1.0)),
        "jitter_ns": spread(draw, patience_ns, 2.0, 8.0),
        "way": "in",
        "peer": ALL_CLIENTS,
    }
    lost: dict[str, Parameter] = {"probability": round(0.4 + 0.5 * draw(), 2), "way": "out", "peer": ALL_CLIENTS}
    unanswered = [Fault("drop", "all", at_ns=0, duration_ns=-1, params=lost)]
    trouble = _leaderless(plan, draw) if draw() < 0.4 else unanswered
    return msgspec.structs.replace(
        plan,
        timing=timing if frame.base.timing == Timing() else plan.timing,
        workload=frame.workload or workload,
        limits=frame.limits or msgspec.structs.replace(plan.limits, max_sessions=1),
        faults=(
            Fault("duplicate", "all", at_ns=0, duration_ns=-1, params=late),
            *trouble,
            *last_blow(plan, draw),
        ),
    )


def _leaderless(plan: Plan, draw: Draw) -> list[Fault]:
    """For longer than clients wait nobody leads, and all say so: the leader is gone, and disks are too slow for an election.
    Who was refused by all says that nothing was done, and then some of what it asked comes late."""
    faults: list[Fault] = []
    at_ns = spread(draw, unit(plan), 0.5, 2.0)
    while at_ns < plan.duration_ns:
        slow: dict[str, Parameter] = {"delay_ns": spread(draw, unit(plan), 0.8, 1.5)}
        faults.append(
            Fault("slow_sync", "all", at_ns=at_ns, duration_ns=spread(draw, unit(plan), 1.5, 3.0), params=slow)
        )
        down_ns = spread(draw, unit(plan), 0.5, 3.0)
        faults.append(Fault(choice(draw, ("kill", "pause")), "leader", at_ns=at_ns, duration_ns=down_ns))
        at_ns += spread(draw, unit(plan), 3.0, 6.0)
    return faults


def _trouble(plan: Plan, draw: Draw, at_ns: int) -> list[Fault]:
    """On the links of the clients alone."""
    who = choice(draw, ("all", "leader", "one", "others"))
    length_ns = spread(draw, unit(plan), 0.5, 3.0)
    kind = choice(draw, ("drop", "drop", "duplicate", "duplicate", "delay", "reorder"))
    late_ns = spread(draw, unit(plan), 0.3, choice(draw, (2.0, 8.0)))
    probability = choice(draw, (0.3, 0.6, 1.0))
    params: dict[str, dict[str, Parameter]] = {
        "drop": {"probability": probability, "way": choice(draw, ("out", "out", "in"))},
        "duplicate": {"probability": probability, "jitter_ns": late_ns, "way": choice(draw, ("in", "in", "out"))},
        "delay": {"delay_ns": late_ns // 4, "jitter_ns": late_ns, "way": choice(draw, ("in", "out"))},
        "reorder": {"probability": probability, "jitter_ns": late_ns, "way": choice(draw, ("in", "out"))},
    }
    few: dict[str, Parameter] = {"peer": ALL_CLIENTS, "limit": choice(draw, (0, 0, between(draw, 1, 5)))}
    return [Fault(kind, who, at_ns=at_ns, duration_ns=length_ns, params=params[kind] | few)]


def _another_leader(plan: Plan, draw: Draw, at_ns: int) -> Fault:
    kind = choice(draw, ("kill", "pause", "partition", "clock_jump"))
    begin_ns = min(at_ns + spread(draw, unit(plan), 0.0, 0.5), plan.duration_ns - 1)
    length_ns = spread(draw, unit(plan), 0.3, 2.0)
    if kind == "clock_jump":
        return Fault(kind, "others", at_ns=begin_ns, duration_ns=length_ns, params=ahead(plan, draw))
    return Fault(kind, "leader", at_ns=begin_ns, duration_ns=length_ns)
