"""Priority-based reordering: messages of a low-priority link wait while whole causal chains of others run past them.

Every directed link has a random priority; the lower, the slower. At a few random moments the priorities of one agent's
links change. Few changes are enough for a bug that needs few orderings, and the fewer moments there are to choose from,
the likelier they are hit: such plans are short. (After probabilistic concurrency testing, Burckhardt et al., ASPLOS 2010;
priorities of chains are expressed as delays of links, because a plan is data that every world can carry out.)
"""

from __future__ import annotations

from itertools import pairwise

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault
from nemesis.plan import Plan, members
from nemesis.strategies.frame import Frame, framed, stepped
from nemesis.strategies.moves import random_length, unit


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "pct", frame)
    draw = stream(f"{seed}/pct")
    names = [name for name, _ in members(plan.cluster)]
    links = [(source, target) for source in names for target in names if source != target and _talk(source, target)]
    slow = sample(draw, links, min(len(links), between(draw, 2, 8)))
    changes = between(draw, 0, 3)
    faults: list[Fault] = []
    for rank, link in enumerate(slow):
        faults += _link(plan, draw, link, rank, len(slow), changes)
    for _ in range(between(draw, 0, 2)):
        at_ns = stepped(int(draw() * plan.duration_ns))
        kind = choice(draw, ("pause", "kill"))
        faults.append(Fault(kind, "leader", at_ns=at_ns, duration_ns=random_length(plan, draw, kind)))
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _talk(source: str, target: str) -> bool:
    """Whether messages go that way: acceptors do not speak to acceptors, nor learners to learners."""
    return source[0] != target[0] or source[0] in "rp"


def _link(plan: Plan, draw: Draw, link: tuple[str, str], rank: int, ranks: int, changes: int) -> list[Fault]:
    """The delays of one link over time: by its rank first, by a new one after each change."""
    moments = sorted({0, *(stepped(int(draw() * plan.duration_ns)) for _ in range(changes)), plan.duration_ns})
    faults: list[Fault] = []
    for begin_ns, end_ns in pairwise(moments):
        delay_ns = stepped(unit(plan) * 2 * (rank + 1) // ranks)
        faults.append(
            Fault(
                "delay",
                f"agent:{link[0]}",
                at_ns=begin_ns,
                duration_ns=end_ns - begin_ns,
                params={"delay_ns": delay_ns, "jitter_ns": 0, "way": "out", "peer": link[1]},
            )
        )
        rank = between(draw, 0, ranks - 1)
    return faults
