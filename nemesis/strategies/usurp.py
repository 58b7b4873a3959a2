"""Usurp: leaders are replaced while they are alive and in the middle of their work, again and again.

When the clocks of all but the leader jump ahead, they think that it has been silent for long, and elect another one within
a few messages. The old one goes on proposing until it is told; and of its messages some are lost, and some arrive long
after. So every slot may hold what two or three leaders left there, and votes for one ballot come in the time of another.

Or it is the leader's own clock that jumps: it gives up and leads again at once, in a higher ballot, while answers to what it
asked in the one before are still on their way.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream
from nemesis.faults import Fault
from nemesis.plan import Plan
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, spread, stragglers
from nemesis.strategies.moves import ahead, encore, in_flight, random_fault, unit
from nemesis.triggers import ordinal

_MOMENTS = ("propose", "propose", "accepted", "sent_accept", "sent_accepted", "leader", "promised", "chosen")
_AGAIN = 0.35
"""How often the leader itself is its successor."""
_OTHER_KINDS = ("kill", "pause", "partition", "power", "drop", "delay")


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "usurp", frame)
    draw = stream(f"{seed}/usurp")
    plan = in_flight(plan, draw, frame)
    faults = [stragglers(plan, draw), *_losses(draw)]
    pace, share = choice(draw, (0.25, 0.5, 1.0, 2.0)), choice(draw, (0.1, 0.3, 0.5))
    at_ns = spread(draw, unit(plan), 1.0, 3.0)
    while at_ns < plan.duration_ns:
        if draw() < share:
            faults.append(random_fault(plan, draw, choice(draw, _OTHER_KINDS), at_ns, 2.0))
        elif draw() < _AGAIN:
            faults += encore(plan, draw, at_ns)
        else:
            faults.append(_impatience(plan, draw, at_ns))
        at_ns += spread(draw, unit(plan), 0.5 * pace, 1.5 * pace)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _losses(draw: Draw) -> list[Fault]:
    """Mostly many messages get lost, each on its own: slots stay open for long, and known to few."""
    lossy, probability = draw() < 0.6, round(0.1 + 0.5 * draw(), 2)
    return [Fault("drop", "all", at_ns=0, duration_ns=-1, params={"probability": probability})] if lossy else []


def _impatience(plan: Plan, draw: Draw, at_ns: int) -> Fault:
    """Clocks jump by more than an election timeout, and back soon after; at a time, or just after some step."""
    target = choice(draw, ("others", "others", "others", "majority", "one", "all"))
    params, length_ns = ahead(plan, draw), spread(draw, unit(plan), 0.05, 0.6)
    if draw() < 0.5:
        return Fault("clock_jump", target, at_ns=at_ns, duration_ns=length_ns, params=params)
    trigger = f"{ordinal(between(draw, 1, choice(draw, (10, 100, 300))))} {choice(draw, _MOMENTS)}"
    after_ns = choice(draw, (0, spread(draw, unit(plan), 0.0, 0.1)))
    whom = "leader" if target == "all" else target
    return Fault("clock_jump", whom, trigger=trigger, after_ns=after_ns, duration_ns=length_ns, params=params)
