"""Relay: each in turn is away, and whoever returns must learn from those who were away before.

As long as some node saw everything, all others can learn from it, and what the rest hand on is never put to the test. Here
nobody sees everything: about when one returns the next one goes, answers to old questions come late and twice, and at the
end it is often the one that was never away for long that stays away for good. There are few snapshots, or none, so that what
is handed on are values; or they come often, and then they are.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan, playing
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, spread
from nemesis.strategies.moves import unit


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "relay", frame)
    draw = stream(f"{seed}/relay")
    every, page = choice(draw, (0, 0, 5, 100)), choice(draw, (128, 512, 4096))
    heal = choice(draw, ("majority", plan.heal))
    limits = frame.limits or msgspec.structs.replace(plan.limits, snapshot_every=every, page_bytes=page)
    plan = msgspec.structs.replace(plan, limits=limits, heal=heal)
    turn = sample(draw, playing(plan.cluster, "learner"), 99)
    faults = noise(plan, draw) + _echoes(plan, draw)
    length, place = choice(draw, (1.0, 2.0)), 0
    at_ns = spread(draw, unit(plan), 1.0, 3.0)
    while at_ns < plan.duration_ns:
        away_ns = spread(draw, unit(plan), 0.5 * length, 2.0 * length)
        faults += _absence(plan, draw, turn[place % len(turn)], at_ns, away_ns)
        at_ns += max(1, away_ns + spread(draw, unit(plan), 0.0, 0.5) - spread(draw, unit(plan), 0.0, 0.3))
        place += 1
    faults += _for_good(plan, draw, turn[place % len(turn)]) if draw() < 0.6 else last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _echoes(plan: Plan, draw: Draw) -> list[Fault]:
    """Most messages come twice, or some much later."""
    copies: dict[str, Parameter] = {
        "probability": round(0.2 + 0.7 * draw(), 2),
        "jitter_ns": spread(draw, unit(plan), 0.2, 3.0),
    }
    late: dict[str, Parameter] = {
        "probability": round(0.02 + 0.2 * draw(), 2),
        "jitter_ns": spread(draw, unit(plan), 0.3, 3.0),
    }
    kind = choice(draw, ("duplicate", "duplicate", "reorder"))
    params = copies if kind == "duplicate" else late
    return [Fault(kind, "all", at_ns=0, duration_ns=-1, params=params)] if draw() < 0.8 else []


def _absence(plan: Plan, draw: Draw, name: str, at_ns: int, away_ns: int) -> list[Fault]:
    kind = choice(draw, ("partition", "partition", "partition", "pause", "kill", "power"))
    params: dict[str, Parameter] = {}
    if kind == "partition":
        params = {"shape": choice(draw, ("isolate", "isolate", "one_way")), "direction": "deaf"}
    faults = [Fault(kind, f"agent:{name}", at_ns=at_ns, duration_ns=away_ns, params=params)]
    if draw() < 0.2:
        blow_ns = min(at_ns + spread(draw, away_ns, 0.0, 1.5), plan.duration_ns - 1)
        kind, length_ns = choice(draw, ("kill", "power", "pause")), spread(draw, unit(plan), 0.1, 1.0)
        faults.append(Fault(kind, "leader", at_ns=blow_ns, duration_ns=length_ns))
    return faults


def _for_good(plan: Plan, draw: Draw, name: str) -> list[Fault]:
    """At the end one of them goes and does not come back before all others have had their time."""
    before_ns = spread(draw, unit(plan), 0.05, between(draw, 1, 3))
    kind = choice(draw, ("kill", "pause", "partition"))
    return [Fault(kind, f"agent:{name}", at_ns=max(0, plan.duration_ns - before_ns), duration_ns=-1)]
