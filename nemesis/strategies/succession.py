"""Succession: leader after leader is heard by few. Each of the first takeovers meets links of its own choice.

What phase 1 must sort out is several unfinished proposals for one slot, left behind by several leaders, each known to
other acceptors. It takes leaders that reach only some of them, one after the other, with no quiet time between in which
a slot could be finished. So each of the first candidates and leaders gets, link by link, messages that are lost or come
too late, to others or from them; and often it goes down, or the others lose patience, before it is heard again.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan, playing
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, spread
from nemesis.strategies.moves import in_flight, random_length, unit
from nemesis.triggers import ordinal


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "succession", frame)
    draw = stream(f"{seed}/succession")
    plan = in_flight(plan, draw, frame)
    faults: list[Fault] = []
    for number in range(1, between(draw, 3, 10)):
        faults += _takeover(plan, draw, number)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _takeover(plan: Plan, draw: Draw, number: int) -> list[Fault]:
    """What the ``number``-th candidate meets with its Prepare, and the ``number``-th leader with its first Accepts."""
    faults = []
    for event, shares in (("prepare", (0.0, 0.0, 0.3)), ("leader", (0.5, 0.7, 0.9))):
        trigger, share = f"{ordinal(number)} {event}", choice(draw, shares)
        voters = playing(plan.cluster, "acceptor")
        faults += [_link(plan, draw, trigger, name) for name in voters if draw() < share]
        if draw() < 0.15:
            kind = choice(draw, ("kill", "pause", "power"))
            faults.append(Fault(kind, "it", trigger=trigger, duration_ns=random_length(plan, draw, kind)))
    if draw() < 0.5:
        faults.append(_next_one(plan, draw, number))
    return faults


def _next_one(plan: Plan, draw: Draw, number: int) -> Fault:
    """The others lose patience while the leader's first Accepts are under way."""
    return Fault(
        "clock_jump",
        "others",
        trigger=f"{ordinal(number)} leader",
        after_ns=spread(draw, unit(plan), 0.02, 0.5),
        duration_ns=spread(draw, unit(plan), 0.05, 0.3),
        params={"offset_ns": spread(draw, unit(plan), 1.0, 2.5)},
    )


def _link(plan: Plan, draw: Draw, trigger: str, peer: str) -> Fault:
    way = choice(draw, ("out", "out", "out", "out", "in"))
    length_ns = spread(draw, unit(plan), 1.0, choice(draw, (2.0, 5.0)))
    few: dict[str, Parameter] = {"way": way, "peer": peer}
    if draw() < 0.5:
        probability = choice(draw, (1.0, 0.7, 0.4))
        return Fault("drop", "it", trigger=trigger, duration_ns=length_ns, params={"probability": probability, **few})
    late_ns = spread(draw, unit(plan), 0.5, 4.0)
    params: dict[str, Parameter] = {"delay_ns": late_ns, "jitter_ns": spread(draw, unit(plan), 0.0, 1.0), **few}
    return Fault("delay", "it", trigger=trigger, duration_ns=length_ns, params=params)
