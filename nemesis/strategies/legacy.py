"""Legacy: one knows more than all others, tells part of it, and goes for good.

What is chosen is first known to one alone; what that one cuts from its log the others must get from it, or find among
their own votes. As long as it lives they ask again until they have it. So one that just learned something, or cut it, is not
heard any more, while another one is away; then it is heard again, another leads with its promise, and at that very step it
goes down and does not come back before all others had their time. Or a further one goes that was counted on. Snapshots are
frequent, hardly any value is kept behind them, and the run ends soon after: nothing else comes to the rescue.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan, members
from nemesis.strategies.frame import Frame, framed, noise, spread, stepped
from nemesis.strategies.moves import stands_first, unit
from nemesis.triggers import ordinal

_RUN = (8.0, 14.0)
"""Election timeouts that a run takes: just one such story fits in."""


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "legacy", frame)
    draw = stream(f"{seed}/legacy")
    rate, every, kept = choice(draw, (200.0, 400.0)), choice(draw, (1, 2, 5, 10)), choice(draw, (0, 0, 1))
    workload = msgspec.structs.replace(plan.workload, clients=choice(draw, (3, 8)), rate=rate, settle_rate=0.1)
    limits = msgspec.structs.replace(plan.limits, snapshot_every=every, keep_slots=kept, window=choice(draw, (4, 16)))
    limits = msgspec.structs.replace(limits, batch_commands=choice(draw, (1, 4)))
    duration_ns = stepped(spread(draw, unit(plan), *_RUN))
    plan = msgspec.structs.replace(
        plan,
        workload=frame.workload or workload,
        limits=frame.limits or limits,
        duration_ns=frame.duration_ns or duration_ns,
        heal="majority",
    )
    names = [name for name, role in members(plan.cluster) if role in ("replica", "acceptor", "learner")]
    knows, away, further = (sample(draw, names, 3) * 3)[:3]
    faults = noise(plan, draw) if draw() < 0.3 else []
    faults += _first(plan, draw, knows) + _silence(plan, draw, knows, away)
    faults.append(_end(plan, draw, choice(draw, (knows, knows, further))))
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _first(plan: Plan, draw: Draw, knows: str) -> list[Fault]:
    """Often it leads: the clock of the one jumps before anybody else would stand up."""
    if draw() < 0.3 or plan.cluster.deployment == "classic":
        return []
    return [stands_first(plan, knows)]


def _silence(plan: Plan, draw: Draw, knows: str, away: str) -> list[Fault]:
    """From some step on it is not heard, and somebody else hears nothing, from before until about then."""
    event = choice(draw, ("chosen", "snapshot", "cut", "applied"))
    trigger = f"{ordinal(between(draw, 1, choice(draw, (5, 20, 60))))} agent {knows} {event}"
    lasts_ns, before_ns = spread(draw, unit(plan), 1.0, 4.0), spread(draw, unit(plan), 0.5, 2.5)
    params: dict[str, Parameter] = {"shape": choice(draw, ("one_way", "one_way", "isolate")), "direction": "mute"}
    absence: dict[str, Parameter] = {"shape": "isolate"}
    length_ns = spread(draw, unit(plan), 2.0, 8.0)
    before_ns = min(before_ns, plan.duration_ns - 1)
    return [
        Fault("partition", f"agent:{knows}", trigger=trigger, duration_ns=lasts_ns, params=params),
        Fault("partition", f"agent:{away}", at_ns=before_ns, duration_ns=length_ns, params=absence),
    ]


def _end(plan: Plan, draw: Draw, name: str) -> Fault:
    """It goes when the next leader has heard it, or asks."""
    event = choice(draw, ("leader", "leader", "leader", "prepare", "promised"))
    trigger = f"{ordinal(between(draw, 2, 3) if event != 'promised' else between(draw, 2, 9))} {event}"
    kind = choice(draw, ("kill", "kill", "pause", "partition"))
    after_ns = choice(draw, (0, 0, spread(draw, plan.network.latency_ns, 0.0, 4.0)))
    return Fault(kind, f"agent:{name}", trigger=trigger, after_ns=after_ns, duration_ns=-1)
