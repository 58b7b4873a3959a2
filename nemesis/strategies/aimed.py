"""Aimed: faults where the protocol is weakest: the leader, the edge of a quorum, the moment between append and sync.

A plan is made of a few *moves*, each a function here; by triggers they hit the very step they are meant for. Some
ordinary fault about every two election timeouts keeps leaders changing.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, stream, weighted
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, noise, spread
from nemesis.strategies.moves import random_length, unit
from nemesis.triggers import ordinal


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "aimed", frame)
    draw = stream(f"{seed}/aimed")
    faults = noise(plan, draw)
    for _ in range(between(draw, 2, 5)):
        move = choice(draw, _MOVES)
        if move is rotten_disk and any(fault.kind == "corrupt" for fault in faults):
            continue  # a second acceptor that stays away could be the majority
        faults += move(plan, draw)
    at_ns = spread(draw, unit(plan), 1.0, 3.0)
    while at_ns < plan.duration_ns:
        kind = weighted(draw, {"kill": 1.0, "pause": 2.0, "partition": 2.0, "power": 1.0})
        faults.append(Fault(kind, "leader", at_ns=at_ns, duration_ns=random_length(plan, draw, kind)))
        at_ns += spread(draw, unit(plan), 1.0, 3.0)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _nth(draw: Draw, most: int) -> str:
    """A rank, as likely among the first few as anywhere up to ``most``."""
    return ordinal(between(draw, 1, choice(draw, (min(4, most), most))))


def _power(draw: Draw) -> dict[str, Parameter]:
    return {"unsynced": choice(draw, ("lost", "lost", "torn", "garbled", "scattered"))}


def between_append_and_sync(plan: Plan, draw: Draw) -> list[Fault]:
    """The power fails when records are written and not durable, or durable and not yet told."""
    moment = choice(draw, ("appended", "appended", "synced"))
    whom = choice(draw, ("it", "it", "all"))
    length_ns = random_length(plan, draw, "power")
    return [Fault("power", whom, trigger=f"{_nth(draw, 200)} {moment}", duration_ns=length_ns, params=_power(draw))]


def after_a_promise_or_vote(plan: Plan, draw: Draw) -> list[Fault]:
    """An acceptor goes down right after it promised or voted: it must remember."""
    event = choice(draw, ("promised", "accepted", "sent_promise", "sent_accepted"))
    kind = choice(draw, ("power", "power", "kill"))
    params = _power(draw)
    return [
        Fault(
            kind,
            "it",
            trigger=f"{_nth(draw, 150)} {event}",
            duration_ns=random_length(plan, draw, kind),
            params=params if kind == "power" else {},
        )
    ]


def leader_in_mid_proposal(plan: Plan, draw: Draw) -> list[Fault]:
    """The leader is struck when its first Accepts leave: its value is at some acceptors, or at none."""
    kind = choice(draw, ("kill", "pause", "partition", "power"))
    params: dict[str, Parameter] = {}
    if kind == "partition" and draw() < 0.5:
        params = {"shape": "one_way", "direction": choice(draw, ("deaf", "mute"))}
    length_ns = spread(draw, unit(plan), 0.5, 4.0)
    trigger = f"{_nth(draw, 150)} {choice(draw, ('propose', 'sent_accept'))}"
    return [Fault(kind, "it", trigger=trigger, duration_ns=length_ns, params=params)]


def value_at_one_acceptor(plan: Plan, draw: Draw) -> list[Fault]:
    """The first messages of a broadcast are lost, one passes, and the sender is struck: who leads next must find the
    value at the one acceptor that has it, or not at all."""
    event = choice(draw, ("sent_accept", "sent_accept", "sent_prepare"))
    number, lost = between(draw, 1, choice(draw, (4, 150))), between(draw, 1, 3)
    kind = choice(draw, ("kill", "pause", "partition", "power"))
    return [
        Fault(
            "drop",
            "it",
            trigger=f"{ordinal(number)} {event}",
            duration_ns=unit(plan),
            params={"probability": 1.0, "way": "out", "limit": lost},
        ),
        Fault(
            kind,
            "it",
            trigger=f"{ordinal(number + lost + 1)} {event}",
            duration_ns=spread(draw, unit(plan), 0.5, 4.0),
        ),
    ]


def new_leader(plan: Plan, draw: Draw) -> list[Fault]:
    """Whoever becomes leader, or begins phase 1, is struck at once, or the others are."""
    trigger = f"{_nth(draw, 6)} {choice(draw, ('leader', 'prepare'))}"
    kind = choice(draw, ("kill", "pause", "partition"))
    whom = choice(draw, ("it", "it", "others")) if kind != "partition" else "it"
    return [Fault(kind, whom, trigger=trigger, duration_ns=spread(draw, unit(plan), 0.3, 3.0))]


def edge_of_the_quorum(plan: Plan, draw: Draw) -> list[Fault]:
    """A minority is away for long, so that every vote counts; one more voter loses power, then the old ones return."""
    at_ns = spread(draw, plan.duration_ns, 0.05, 0.5)
    away_ns = spread(draw, unit(plan), 3.0, 8.0)
    kind = choice(draw, ("kill", "pause", "power"))
    second_ns = min(at_ns + spread(draw, unit(plan), 0.5, 4.0), plan.duration_ns - 1)
    return [
        Fault(kind, "minority", at_ns=at_ns, duration_ns=away_ns),
        Fault(
            "power",
            choice(draw, ("role:acceptor", "leader")),
            at_ns=second_ns,
            duration_ns=random_length(plan, draw, "power"),
            params=_power(draw),
        ),
    ]


def handover(plan: Plan, draw: Draw) -> list[Fault]:
    """A leader is cut off with votes of its own that nobody else has; its successor falls while its votes are on their
    way, just before the old one returns: who leads third finds different values in one slot and must choose the right
    one."""
    at_ns = spread(draw, plan.duration_ns, 0.05, 0.7)
    away_ns = spread(draw, unit(plan), 1.5, 3.5)
    fall_ns = min(at_ns + away_ns - spread(draw, unit(plan), 0.0, 0.3), plan.duration_ns - 1)
    kind = choice(draw, ("kill", "pause", "power"))
    return [
        Fault("partition", "leader", at_ns=at_ns, duration_ns=away_ns),
        Fault(kind, "leader", at_ns=fall_ns, duration_ns=spread(draw, unit(plan), 3.0, 6.0)),
    ]


def whole_cluster(plan: Plan, draw: Draw) -> list[Fault]:
    """The power of all fails at once while slots are open."""
    event, most = choice(draw, (("accepted", 200), ("propose", 100), ("chosen", 200), ("snapshot", 6), ("cut", 6)))
    trigger = f"{_nth(draw, most)} {event}"
    return [Fault("power", "all", trigger=trigger, duration_ns=random_length(plan, draw, "power"), params=_power(draw))]


def left_behind(plan: Plan, draw: Draw) -> list[Fault]:
    """A learner hears nothing until the others have cut their logs, and loses its power while it catches up."""
    at_ns = spread(draw, plan.duration_ns, 0.05, 0.4)
    whom = choice(draw, ("role:learner", "minority"))
    faults = [Fault("partition", whom, at_ns=at_ns, duration_ns=spread(draw, unit(plan), 4.0, 10.0))]
    if draw() < 0.5:
        faults.append(Fault("power", "it", trigger=f"{_nth(draw, 3)} installed", params=_power(draw)))
    return faults


def rotten_disk(plan: Plan, draw: Draw) -> list[Fault]:
    """Old records of one acceptor rot while it is down: it must notice and stay away, for good."""
    at_ns = spread(draw, plan.duration_ns, 0.2, 0.9)
    return [
        Fault("corrupt", "role:acceptor", at_ns=at_ns, duration_ns=random_length(plan, draw, "kill")),
    ]


_MOVES = (
    between_append_and_sync,
    after_a_promise_or_vote,
    leader_in_mid_proposal,
    value_at_one_acceptor,
    new_leader,
    edge_of_the_quorum,
    handover,
    whole_cluster,
    left_behind,
    rotten_disk,
)
