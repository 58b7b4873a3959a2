"""Scatter: of what each leader sends a good part is lost, message by message, and soon another one leads.

So a slot stands at one acceptor and its neighbour at another, or nowhere: the next leader finds votes above gaps, closes them
with no-ops that in turn reach only some, and the one after it finds no-ops above values and values below no-ops. Most Prepares
and promises pass unharmed, for a leader without votes to sort out teaches nothing; but some Prepares come late, so that
of two candidates of one round both lead, one after the other.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, spread
from nemesis.strategies.moves import in_flight, random_length, unit
from nemesis.triggers import ordinal

_TAKEOVER = 0.6
"""Election timeouts a leader and its election take about."""


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "scatter", frame)
    draw = stream(f"{seed}/scatter")
    plan = in_flight(plan, draw, frame)
    losses = choice(draw, ((0.2, 0.5), (0.3, 0.8), (0.5, 0.9)))
    reign = choice(draw, (0.1, 0.3, 0.6))
    faults: list[Fault] = []
    late = choice(draw, (0.0, 0.2, 0.5))
    for number in range(1, int(plan.duration_ns / (_TAKEOVER * unit(plan)))):
        faults += _leader(plan, draw, number, losses[0] + draw() * (losses[1] - losses[0]), reign)
        if draw() < late:
            faults.append(_late_prepare(plan, draw, number))
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _late_prepare(plan: Plan, draw: Draw, number: int) -> Fault:
    """The first messages of the ``number``-th candidate, its Prepares, arrive when another of that round may lead already."""
    few: dict[str, Parameter] = {"way": "out", "limit": between(draw, 1, 5)}
    late_ns, jitter_ns = spread(draw, unit(plan), 0.03, 0.6), spread(draw, unit(plan), 0.0, 0.3)
    params: dict[str, Parameter] = {"delay_ns": late_ns, "jitter_ns": jitter_ns, **few}
    return Fault("delay", "it", trigger=f"{ordinal(number)} prepare", duration_ns=unit(plan), params=params)


def _leader(plan: Plan, draw: Draw, number: int, loss: float, reign: float) -> list[Fault]:
    """What the ``number``-th leader sends, and how soon the others lose patience with it, or it falls."""
    trigger = f"{ordinal(number)} leader"
    lost = Fault(
        "drop",
        "it",
        trigger=trigger,
        duration_ns=spread(draw, unit(plan), reign, 2 * reign),
        params={"probability": round(loss, 2), "way": "out"},
    )
    after_ns, offset_ns = spread(draw, unit(plan), 0.02, reign), spread(draw, unit(plan), 1.0, 2.5)
    kind = choice(draw, ("clock_jump", "clock_jump", "clock_jump", "clock_jump", "kill", "power", "pause"))
    length_ns = random_length(plan, draw, "kill", 1.0)
    if kind == "clock_jump":
        short_ns = spread(draw, unit(plan), 0.05, 0.3)
        end = Fault(
            kind, "others", trigger=trigger, after_ns=after_ns, duration_ns=short_ns, params={"offset_ns": offset_ns}
        )
    else:
        end = Fault(kind, "it", trigger=trigger, after_ns=after_ns, duration_ns=length_ns)
    return [lost, end]
