"""Molasses: until the very heal everything is slow, lost and one-sided, and then it must run again.

Progress under faults is owed to nobody; progress after them is. Long hardship is what drives timers, backoffs, retries and
queues to where they may get stuck: elections that fail again and again, requests repeated over and over, answers that come
when nobody waits any more. When all is healed, or only a bare majority, none of that may be left. Such plans may be long:
a cluster that stands still costs few events.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, spread, stepped
from nemesis.strategies.moves import random_fault, unit
from nemesis.triggers import ordinal

_HARDSHIPS = (
    "delay", "delay", "drop", "holes", "throttle", "one_way", "reorder", "duplicate", "stutter", "slow_sync", "clock_jump",
    "clock_jump",
)  # fmt: skip
_BLOWS = ("kill", "kill", "pause", "partition", "power", "clock_jump", "clock_drift")


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "molasses", frame)
    draw = stream(f"{seed}/molasses")
    heal = "majority" if draw() < 0.5 else plan.heal
    longer = choice(draw, (1, 1, 3)) if frame.duration_ns is None else 1
    plan = msgspec.structs.replace(plan, heal=heal, duration_ns=plan.duration_ns * longer)
    faults: list[Fault] = []
    for kind in sample(draw, _HARDSHIPS, between(draw, 1, 3)):
        begin_ns = min(spread(draw, plan.duration_ns, 0.0, 0.8), plan.duration_ns - 1)
        ends_early = draw() < 0.2
        length_ns = spread(draw, unit(plan), 3.0, 15.0) if ends_early else -1
        faults.append(_hardship(plan, draw, kind, begin_ns, length_ns))
    if draw() < 0.4:
        faults += _lost_elections(plan, draw)
    for _ in range(between(draw, 0, 6)):
        at_ns = min(spread(draw, plan.duration_ns, 0.1, 1.0), plan.duration_ns - 1)
        faults.append(random_fault(plan, draw, choice(draw, _BLOWS), at_ns, 6.0))
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _lost_elections(plan: Plan, draw: Draw) -> list[Fault]:
    """Candidate after candidate does not hear its promises, or they come when it has given up."""
    first, last = choice(draw, (1, 1, 2, 4)), between(draw, 4, 16)
    faults = []
    for number in range(first, last + 1):
        late: dict[str, Parameter] = {"delay_ns": spread(draw, unit(plan), 0.5, 3.0), "jitter_ns": 0, "way": "in"}
        lost: dict[str, Parameter] = {"probability": choice(draw, (1.0, 1.0, 0.8)), "way": "in"}
        kind, params = choice(draw, (("drop", lost), ("drop", lost), ("delay", late)))
        length_ns = spread(draw, unit(plan), 0.5, choice(draw, (2.5, 10.0)))
        faults.append(Fault(kind, "it", trigger=f"{ordinal(number)} prepare", duration_ns=length_ns, params=params))
    return faults


def _hardship(plan: Plan, draw: Draw, kind: str, at_ns: int, length_ns: int) -> Fault:
    target = choice(draw, ("all", "all", "majority", "minority", "leader"))
    timeout = unit(plan)
    params: dict[str, dict[str, Parameter]] = {
        "delay": {"delay_ns": spread(draw, timeout, 0.2, 1.5), "jitter_ns": spread(draw, timeout, 0.0, 1.0)},
        "drop": {"probability": round(0.3 + 0.55 * draw(), 2), "way": choice(draw, ("both", "in", "out"))},
        "holes": {"shape": "holes", "share": round(0.3 + 0.5 * draw(), 2)},
        "throttle": {"per_second": between(draw, 5, 100), "queue_ns": spread(draw, timeout, 1.0, 10.0)},
        "one_way": {"shape": "one_way", "direction": choice(draw, ("deaf", "mute"))},
        "reorder": {"probability": round(0.3 + 0.6 * draw(), 2), "jitter_ns": spread(draw, timeout, 1.0, 5.0)},
        "duplicate": {"probability": round(0.5 + 0.5 * draw(), 2), "jitter_ns": spread(draw, timeout, 1.0, 8.0)},
        "stutter": {"running": round(0.03 + 0.3 * draw(), 2), "period_ns": spread(draw, timeout, 0.1, 1.0)},
        "slow_sync": {"delay_ns": spread(draw, timeout, 0.3, 1.5)},
        # Set back at the heal: what was noted before seems to lie in the future then.
        "clock_jump": {"offset_ns": stepped(int(timeout * 3 * 30 ** draw()))},
    }
    name = "partition" if kind in ("holes", "one_way") else kind
    return Fault(name, target, at_ns=at_ns, duration_ns=length_ns, params=params[kind])
