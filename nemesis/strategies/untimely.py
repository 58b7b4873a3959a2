"""Untimely: one message at the wrong time. Most bugs of distributed concurrency need no more than that.

A single message is held back for several election timeouts, arrives a second time long after, or is lost, at the step
where it matters; and the leader changes in between, so that it comes into another world. Or it is lost to all, and the clock of
its sender is set back just then: what was sent a moment ago must not seem to have been sent in the future.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan
from nemesis.strategies.frame import Frame, framed, spread
from nemesis.strategies.moves import hop, random_length, unit
from nemesis.triggers import ordinal

_MESSAGES = ("sent_accept", "sent_accept", "sent_accepted", "sent_prepare", "sent_promise")


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "untimely", frame)
    draw = stream(f"{seed}/untimely")
    faults = [_one_message(plan, draw) for _ in range(between(draw, 1, 4))]
    faults += _set_back(plan, draw) if draw() < 0.4 else []
    at_ns = spread(draw, unit(plan), 1.0, 4.0)
    while at_ns < plan.duration_ns:
        kind = choice(draw, ("pause", "kill", "partition"))
        faults.append(Fault(kind, "leader", at_ns=at_ns, duration_ns=random_length(plan, draw, kind)))
        at_ns += spread(draw, unit(plan), 3.0, 8.0)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _one_message(plan: Plan, draw: Draw) -> Fault:
    """Strikes the first message (or the first two) that its sender sends from the trigger on."""
    trigger = f"{ordinal(between(draw, 1, choice(draw, (3, 20, 100))))} {choice(draw, _MESSAGES)}"
    few: dict[str, Parameter] = {"way": "out", "limit": choice(draw, (1, 1, 2))}
    late_ns = spread(draw, unit(plan), 0.5, 8.0)
    kind = choice(draw, ("delay", "delay", "duplicate", "drop"))
    how: dict[str, dict[str, Parameter]] = {
        "delay": {"delay_ns": late_ns, "jitter_ns": 0},
        "duplicate": {"probability": 1.0, "jitter_ns": late_ns},
        "drop": {"probability": 1.0},
    }
    return Fault(kind, "it", trigger=trigger, duration_ns=unit(plan), params=how[kind] | few)


def _set_back(plan: Plan, draw: Draw) -> list[Fault]:
    """All copies of an Accept are lost, and perhaps some behind it."""
    trigger = f"{ordinal(between(draw, 1, choice(draw, (20, 100))))} sent_accept"
    lost: dict[str, Parameter] = {"probability": 1.0, "way": "out", "limit": between(draw, 2, 12)}
    back: dict[str, Parameter] = {"offset_ns": -spread(draw, unit(plan), 3.0, 30.0)}
    after_ns = spread(draw, hop(plan), 0.0, 4.0)
    return [
        Fault("drop", "it", trigger=trigger, duration_ns=unit(plan), params=lost),
        Fault("clock_jump", "it", trigger=trigger, after_ns=after_ns, duration_ns=-1, params=back),
    ]
