"""Portfolio: one of the other strategies, drawn by its weight. The plan bears the name of the one that made it.

In all of them the power is cut wherever an agent would forget what it has told (``would_forget``): a recovery that is wrong
need not wait for a crash in the right moment. Most get an *opening* besides: the first leader is struck at one of its first
Accepts. Many bugs show at any change of leaders with something in flight, and this is the earliest one that there can be.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream, weighted
from nemesis.faults import Fault
from nemesis.plan import Plan
from nemesis.strategies import STRATEGIES
from nemesis.strategies import generate as generate_by_name
from nemesis.strategies.frame import Frame, spread
from nemesis.strategies.moves import ahead, encore, unit
from nemesis.strategies.schism import story
from nemesis.triggers import ordinal

OPENED = 0.7
"""Share of the plans that get an opening."""
_PLAIN = ("calm", "power_sweep", "gaps", "heir")
"""Strategies whose point is what they leave out, or whose story begins with the first leader."""
_KINDS = ("kill", "pause", "partition", "power", "clock_jump", "clock_jump", "encore", "schism", "schism")


def generate(seed: int, frame: Frame) -> Plan:
    weights = {name: strategy.weight for name, strategy in STRATEGIES.items()}
    plan = generate_by_name(weighted(stream(f"{seed}/portfolio"), weights), seed, frame)
    plan = msgspec.structs.replace(plan, faults=(*plan.faults, exposure(plan)))
    draw = stream(f"{seed}/opening")
    if plan.strategy in _PLAIN or draw() >= OPENED:
        return plan
    return msgspec.structs.replace(plan, faults=(*opening(plan, draw), *plan.faults))


def exposure(plan: Plan) -> Fault:
    """Whoever would forget shows it. Without a bug this never begins."""
    return Fault("power", "it", trigger="first would_forget", duration_ns=unit(plan) // 2)


def opening(plan: Plan, draw: Draw) -> list[Fault]:
    """The first values are at some acceptors or at none: there the leader goes, or the others lose patience with it, or it
    gives up and leads again."""
    kind = choice(draw, _KINDS)
    trigger = f"{ordinal(between(draw, 1, choice(draw, (4, 12, 40))))} {choice(draw, ('sent_accept', 'propose'))}"
    if kind == "encore":
        return encore(plan, draw, trigger=trigger)
    if kind == "schism":
        return story(plan, draw)
    if kind == "clock_jump":
        params, length_ns = ahead(plan, draw), spread(draw, unit(plan), 0.05, 0.6)
        return [Fault(kind, "others", trigger=trigger, duration_ns=length_ns, params=params)]
    return [Fault(kind, "it", trigger=trigger, duration_ns=spread(draw, unit(plan), 0.5, 3.0))]
