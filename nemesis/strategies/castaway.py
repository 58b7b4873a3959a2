"""Castaway: a leader is cut off at work, votes on alone, and comes back to find that all of it was decided otherwise.

Its log then holds votes that nobody shares, in slots whose values the others have chosen, put into a snapshot and cut. So
it is given their state, and whatever says which of these slots it knows must not mean its own votes. That is put to the
test while the new state is on its way to the disk: its power goes, once and again, or it leads next and is asked what it has.

Or most voters are gone, and whoever else answers it is no quorum: it must give up.

Or it is heard and hears nobody, and its clients ask once and wait. When it gives up it must not tell them that what it proposed
was refused, for some may have voted for it; nor propose, should it lead again, what it did refuse.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import MILLISECOND, Plan, Timing
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, settle_share, spread
from nemesis.strategies.moves import hop, unit
from nemesis.triggers import ordinal

_WAIT_NS = 200 * MILLISECOND
"""What clients wait before they ask again: longer than a leader that hears nobody leads."""

_MOST_GONE = 0.15
"""How often voters go, most or a few of them, instead of the leader being cut off."""


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "castaway", frame)
    draw = stream(f"{seed}/castaway")
    plan = _many_slots(plan, draw, frame)
    deaf = draw() < 0.3 and plan.heal == "all" and frame.base.timing == Timing()
    if deaf:
        waiting = msgspec.structs.replace(plan.timing, client_retry_ns=_WAIT_NS, operation_timeout_ns=3 * _WAIT_NS // 2)
        limits = frame.limits or msgspec.structs.replace(plan.limits, window=choice(draw, (1, 2, 16)))
        plan = msgspec.structs.replace(plan, timing=waiting, limits=limits)
    faults = noise(plan, draw) if draw() < 0.3 else []
    at_ns = spread(draw, unit(plan), 1.0, 2.5)
    while at_ns < plan.duration_ns:
        away_ns = spread(draw, unit(plan), 1.2, choice(draw, (2.0, 4.0)))
        if draw() < _MOST_GONE:
            away_ns = spread(draw, unit(plan), 2.5, 5.0)
            kind, target = choice(draw, ("kill", "pause", "partition", "power")), choice(draw, ("majority", "minority"))
            faults.append(Fault(kind, target, at_ns=at_ns, duration_ns=away_ns))
        else:
            faults += _cast_off(plan, draw, at_ns, away_ns, deaf)
        at_ns += away_ns
        if at_ns < plan.duration_ns:
            faults += _return(plan, draw, at_ns)
        at_ns += spread(draw, unit(plan), 1.0, 2.5)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _many_slots(plan: Plan, draw: Draw, frame: Frame) -> Plan:
    """A slot a command, all soon in a snapshot and cut."""
    rate = choice(draw, (100.0, 200.0, 400.0))
    workload = msgspec.structs.replace(
        plan.workload, clients=choice(draw, (4, 8)), rate=rate, settle_rate=settle_share(rate), value_bytes=16
    )
    limits = msgspec.structs.replace(
        plan.limits,
        snapshot_every=choice(draw, (1, 3, 5, 10)),
        keep_slots=choice(draw, (0, 0, 1, 100)),
        window=choice(draw, (4, 16, 16)),
        batch_commands=1,
        page_bytes=choice(draw, (64, 512, 4096)),
    )
    return msgspec.structs.replace(plan, workload=frame.workload or workload, limits=frame.limits or limits)


def _cast_off(plan: Plan, draw: Draw, at_ns: int, away_ns: int, deaf: bool) -> list[Fault]:
    """From now on nobody hears it, or but few; or it hears nobody."""
    faults: list[Fault] = []
    if draw() < 0.4:
        few: dict[str, Parameter] = {"probability": round(0.5 + 0.4 * draw(), 2), "way": "out"}
        faults.append(Fault("drop", "leader", at_ns=at_ns, duration_ns=spread(draw, hop(plan), 2.0, 12.0), params=few))
        at_ns = min(at_ns + spread(draw, hop(plan), 1.0, 8.0), plan.duration_ns - 1)
    shape = choice(draw, ("isolate", "one_way", "one_way") if deaf else ("isolate", "isolate", "one_way"))
    params: dict[str, Parameter] = {"shape": shape}
    if shape == "one_way":
        params["direction"] = "deaf" if deaf else "mute"
    faults.append(Fault("partition", "leader", at_ns=at_ns, duration_ns=away_ns, params=params))
    return faults


def _return(plan: Plan, draw: Draw, at_ns: int) -> list[Fault]:
    faults: list[Fault] = []
    if draw() < 0.5:
        slow: dict[str, Parameter] = {"delay_ns": spread(draw, hop(plan), 0.5, 6.0)}
        faults.append(Fault("slow_sync", "all", at_ns=at_ns, duration_ns=unit(plan), params=slow))
    for _ in range(between(draw, 0, 2)):
        trigger = f"{ordinal(between(draw, 1, 6))} {choice(draw, ('installed', 'installed', 'snapshot'))}"
        after_ns = choice(draw, (0, spread(draw, hop(plan), 0.0, 4.0)))
        lost: dict[str, Parameter] = {"unsynced": choice(draw, ("lost", "torn", "scattered"))}
        down_ns = spread(draw, unit(plan), 0.1, 1.0)
        faults.append(Fault("power", "it", trigger=trigger, after_ns=after_ns, duration_ns=down_ns, params=lost))
    if draw() < 0.3:
        jump: dict[str, Parameter] = {"offset_ns": 2 * unit(plan)}
        begin_ns = min(at_ns + spread(draw, hop(plan), 0.0, 6.0), plan.duration_ns - 1)
        faults.append(Fault("clock_jump", "all", at_ns=begin_ns, duration_ns=unit(plan) // 4, params=jump))
    return faults
