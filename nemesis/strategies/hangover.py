"""Hangover: what was noted in bad times must bind nobody when they are over.

Election after election is lost until the very heal, or the clocks of most are far ahead, while they hear a leader, and are
set back when it is gone. Each node has drawn its lesson by then: to wait longer, to protect a leader that it heard, to ask once
more under the same ballot. After the heal there is hardly time for that, and often just one is left that can lead. Little is
asked of the cluster meanwhile, so such a run costs few events.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan, playing
from nemesis.strategies.frame import Frame, framed, noise, spread, stepped
from nemesis.strategies.moves import unit
from nemesis.triggers import ordinal

_LOST = (12.0, 32.0)
"""Election timeouts that a run of lost elections takes: two or three for each candidate, with waits that grow."""
_SET_BACK = (8.0, 16.0)
"""And one in which clocks are set back at its end."""


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "hangover", frame)
    draw = stream(f"{seed}/hangover")
    lost = draw() < 0.6
    clients, rate, alone = choice(draw, (1, 2)), choice(draw, (15.0, 30.0)), draw() < 0.7
    workload = msgspec.structs.replace(plan.workload, clients=clients, rate=rate, settle_rate=1.0)
    cluster = plan.cluster
    if alone and frame.nodes is None and cluster.deployment == "classic":
        cluster = msgspec.structs.replace(cluster, proposers=1)
    plan = msgspec.structs.replace(
        plan,
        cluster=cluster,
        workload=frame.workload or workload,
        duration_ns=frame.duration_ns or stepped(spread(draw, unit(plan), *(_LOST if lost else _SET_BACK))),
        heal=choice(draw, ("majority", plan.heal)),
    )
    faults = noise(plan, draw) if draw() < 0.3 else []
    faults += (_lost_elections if lost else _clocks_set_back)(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _lost_elections(plan: Plan, draw: Draw) -> list[Fault]:
    """No leader stands up, or the first one goes, and every candidate after it is granted its pre-votes but loses phase 1: its
    promises do not arrive, or are not durable in time. The later the try, the longer it is waited for."""
    first, way, begin_ns = (
        choice(draw, (1, 1, 2)),
        choice(draw, ("in", "in", "out")),
        spread(draw, unit(plan), 1.0, 3.0),
    )
    kind, length_ns = choice(draw, ("partition", "partition", "pause", "kill")), spread(draw, unit(plan), 1.0, 4.0)
    begin_ns = min(begin_ns, plan.duration_ns - 1)
    faults = [Fault(kind, "leader", at_ns=begin_ns, duration_ns=length_ns)] if first == 2 else []
    slow: dict[str, Parameter] = {"delay_ns": spread(draw, unit(plan), 1.0, 2.5)}
    if draw() < 0.2:
        return [*faults, Fault("slow_sync", "all", at_ns=begin_ns, duration_ns=-1, params=slow)]
    for number in range(first, first + 16):
        early = number < first + len(playing(plan.cluster, "proposer"))
        lasts_ns = spread(draw, unit(plan), 1.0, 2.5) if early else spread(draw, unit(plan), 4.0, 12.0)
        lost: dict[str, Parameter] = {"probability": choice(draw, (1.0, 1.0, 1.0, 0.9)), "way": way}
        faults.append(Fault("drop", "it", trigger=f"{ordinal(number)} prepare", duration_ns=lasts_ns, params=lost))
    return faults


def _clocks_set_back(plan: Plan, draw: Draw) -> list[Fault]:
    """The clocks of a majority or of all are ahead, by more than there is time after the heal; the leader goes, and before
    there is another one they are right again."""
    names = playing(plan.cluster, "proposer")
    voters = playing(plan.cluster, "acceptor")
    ahead: dict[str, Parameter] = {"offset_ns": stepped(int(unit(plan) * 5 * 20 ** draw()))}
    right_ns = plan.duration_ns - spread(draw, unit(plan), 0.0, choice(draw, (0.5, 4.0)))
    begin_ns = max(0, right_ns - spread(draw, unit(plan), 3.0, 6.0))
    gone_ns = max(0, right_ns - spread(draw, unit(plan), 0.0, choice(draw, (0.5, 1.5))))
    whom = choice(
        draw, ("all", f"agent:{','.join(sample(draw, voters, between(draw, len(voters) // 2 + 1, len(voters))))}")
    )
    target = choice(draw, ("leader", "leader", f"agent:{choice(draw, names)}"))
    kind, length_ns = (
        choice(draw, ("kill", "partition", "pause")),
        choice(draw, (-1, spread(draw, unit(plan), 1.0, 3.0))),
    )
    return [
        Fault("clock_jump", whom, at_ns=begin_ns, duration_ns=max(100_000, right_ns - begin_ns), params=ahead),
        Fault(kind, target, at_ns=gone_ns, duration_ns=length_ns),
    ]
