"""Gaps: a value is lost to all, the one behind it is heard by one, and who closes the gap is heard by others.

Where a leader's value reached nobody while a later one reached somebody, the next leader closes the gap with a no-op. Whether
nothing was accepted there, or nothing *was accepted*, who voted for what before, and what is chosen behind a slot that is not:
all that is put to the test only when the leader after that one knows the one but not the other. So leader after leader, each
drawn, loses one slot to all and the next ones to most, and goes; and the one with the oldest votes often leads again,
or is given a snapshot that covers them, and goes down before that is durable.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import MILLISECOND, Plan, Timing, members
from nemesis.strategies.frame import Frame, framed, spread, stepped
from nemesis.strategies.moves import BACK_NS, hop, stand_up, unit
from nemesis.triggers import ordinal

_RUN = (5.0, 9.0)
"""Election timeouts that a run takes: three or four leaders follow each other within two or three."""


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "gaps", frame)
    draw = stream(f"{seed}/gaps")
    plan = _some_in_flight(plan, draw, frame)
    leads = [name for name, role in members(plan.cluster) if role in ("replica", "proposer")]
    first, second, other = (sample(draw, leads, 3) * 3)[:3]
    third = choice(draw, (first, first, other))
    faults = _stands_first(plan, draw, first)
    slot = between(draw, 1, choice(draw, (4, 12)))
    trigger = f"{ordinal(slot + between(draw, 1, 2))} agent {first} propose"
    faults += _reign(plan, draw, first, slot) + _follows(plan, draw, trigger, first, second)
    slot = choice(draw, (1, 2, 2, 3))
    faults += _reign(plan, draw, second, slot)
    trigger = f"{ordinal(slot + between(draw, 0, 2))} agent {second} propose"
    faults += _follows(plan, draw, trigger, second, third)
    if draw() < 0.5:
        faults += _falls(plan, draw, choice(draw, (first, third)))
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _some_in_flight(plan: Plan, draw: Draw, frame: Frame) -> Plan:
    """A few slots at once, with a command each: enough for a gap, and few enough to have no end of values behind it."""
    clients, rate, every = choice(draw, (4, 6, 8)), choice(draw, (200.0, 400.0)), choice(draw, (0, 0, 1, 3))
    limits = msgspec.structs.replace(
        plan.limits, window=choice(draw, (2, 2, 3, 4)), batch_commands=1, snapshot_every=every, keep_slots=0
    )
    workload = msgspec.structs.replace(plan.workload, clients=clients, rate=rate, settle_rate=0.1)
    patient = msgspec.structs.replace(plan.timing, retransmit_ns=choice(draw, (40, 150, 150)) * MILLISECOND)
    return msgspec.structs.replace(
        plan,
        timing=patient if frame.base.timing == Timing() else plan.timing,
        workload=frame.workload or workload,
        limits=frame.limits or limits,
        duration_ns=frame.duration_ns or stepped(spread(draw, unit(plan), *_RUN)),
    )


def _voters(plan: Plan) -> list[str]:
    return [name for name, role in members(plan.cluster) if role in ("replica", "acceptor")]


def _quorum(plan: Plan, draw: Draw, stands: str, without: str) -> list[str]:
    """Just enough voters, the one that stands among them if it votes, mostly without one that is away."""
    others = [name for name in _voters(plan) if name not in (stands, without)]
    mine = [name for name in _voters(plan) if name == stands]
    return (mine + sample(draw, others, len(others)))[: len(_voters(plan)) // 2 + 1]


def _stands_first(plan: Plan, draw: Draw, first: str) -> list[Fault]:
    """Before anybody else would."""
    jump: dict[str, Parameter] = {"offset_ns": 2 * unit(plan)}
    return [Fault("clock_jump", f"agent:{first}", at_ns=0, duration_ns=unit(plan), params=jump)]


def _reign(plan: Plan, draw: Draw, leads: str, slot: int) -> list[Fault]:
    """Of its proposals one is lost to all others, those behind it to all but few."""
    lost: dict[str, Parameter] = {"probability": 1.0, "way": "out", "limit": len(_voters(plan))}
    faults = []
    if draw() < 0.9:
        trigger = f"{ordinal(slot)} agent {leads} propose"
        faults.append(Fault("drop", f"agent:{leads}", trigger=trigger, duration_ns=_moment(plan), params=lost))
    trigger = f"{ordinal(slot + 1)} agent {leads} propose"
    others = [name for name in _voters(plan) if name != leads]
    for peer in sample(draw, others, len(others) - choice(draw, (1, 1, 1, 0))):
        deaf: dict[str, Parameter] = {"probability": 1.0, "way": "out", "peer": peer}
        length_ns = spread(draw, unit(plan), 0.1, 1.0)
        faults.append(Fault("drop", f"agent:{leads}", trigger=trigger, duration_ns=length_ns, params=deaf))
    return faults


def _moment(plan: Plan) -> int:
    return max(100_000, stepped(hop(plan) // 4))


def _follows(plan: Plan, draw: Draw, trigger: str, leads: str, next_one: str) -> list[Fault]:
    """The leader is away from here on, and the next one stands up, before all voters that it does not need."""
    kind, after_ns = choice(draw, ("partition", "partition", "kill", "power")), spread(draw, hop(plan), 0.1, 3.0)
    waits_ns = after_ns + BACK_NS + spread(draw, hop(plan), 1.0, 12.0)
    away_ns = waits_ns + spread(draw, hop(plan), 4.0, choice(draw, (12.0, 40.0)))
    quorum = _quorum(plan, draw, next_one, leads)
    rest = [name for name in _voters(plan) if name not in quorum and name != leads]
    lost: dict[str, Parameter] = {"unsynced": "lost"} if kind == "power" else {}
    faults = [
        Fault(kind, f"agent:{leads}", trigger=trigger, after_ns=after_ns, duration_ns=away_ns, params=lost),
        *stand_up(plan, draw, next_one, quorum, trigger, waits_ns),
    ]
    if kind == "partition":
        given_up: dict[str, Parameter] = {"offset_ns": 2 * unit(plan)}
        jump = Fault(
            "clock_jump", f"agent:{leads}", trigger=trigger, after_ns=after_ns, duration_ns=waits_ns - after_ns
        )
        faults.append(msgspec.structs.replace(jump, params=given_up))
    if rest and draw() < 0.7:
        lasts_ns = waits_ns + spread(draw, hop(plan), 4.0, 10.0)
        target = f"agent:{','.join(rest)}"
        faults.append(Fault("partition", target, trigger=trigger, after_ns=after_ns, duration_ns=lasts_ns))
    return faults


def _falls(plan: Plan, draw: Draw, who: str) -> list[Fault]:
    """It goes down soon after it led again, or was given a snapshot."""
    trigger = choice(draw, ("3rd leader", "4th leader", f"first agent {who} installed"))
    kind, after_ns = choice(draw, ("kill", "power")), spread(draw, hop(plan), 0.0, 6.0)
    slow: dict[str, Parameter] = {"delay_ns": spread(draw, hop(plan), 1.0, 6.0)}
    faults = [
        Fault(kind, f"agent:{who}", trigger=trigger, after_ns=after_ns, duration_ns=spread(draw, unit(plan), 0.1, 1.0))
    ]
    if draw() < 0.4:
        faults.append(Fault("slow_sync", f"agent:{who}", trigger="2nd leader", duration_ns=unit(plan), params=slow))
    return faults
