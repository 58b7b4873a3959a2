"""Heir: one knows what is chosen and has it in a snapshot; one that does not know leads next.

What a leader learned last the others know only as votes, and when it has cut that from its log, nobody can tell it by its
value any more. So it falls silent just when it learned something, or the one that will lead is away while the others go on.
Then one of four stories. The Prepare of the heir does not reach the one that knows, whose first word of the new ballot is a
vote for a slot that its snapshot covers, and its last before it goes down; or its first word is that this slot is cut, and the
heir must not go on there. Or it is heard, tells how far it has cut, and is gone before it has handed that on. Or it stays, and
the heir must not begin anew where the votes that it was told of end.
Few commands, snapshots every few slots, all values kept behind them or none.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import MILLISECOND, Plan, Timing, playing
from nemesis.strategies.frame import Frame, framed, spread, stepped
from nemesis.strategies.moves import DOWN_NS, hop, stand_up, stands_first, unit
from nemesis.triggers import ordinal

_RUN = (5.0, 9.0)
"""Election timeouts that a run takes: just one such story fits in."""


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "heir", frame)
    draw = stream(f"{seed}/heir")
    stories = [(_first_word, 100), (_gone, 0), (_stays, 0)]
    if plan.cluster.deployment == "collapsed":  # elsewhere acceptors cut only what learners have in their snapshots
        stories.append((_overtaken, 0))
    story, kept = choice(draw, stories)
    kept = choice(draw, (kept, kept, kept, 1))
    plan = _small_snapshots(plan, draw, frame, kept)
    leads = playing(plan.cluster, "proposer")
    knows, heir = (sample(draw, leads, 2) * 2)[:2]
    faults = [stands_first(plan, knows), *story(plan, draw, knows, heir)]
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _small_snapshots(plan: Plan, draw: Draw, frame: Frame, kept: int) -> Plan:
    clients, rate = choice(draw, (1, 1, 2, 4)), choice(draw, (30.0, 60.0, 120.0))
    limits = msgspec.structs.replace(
        plan.limits,
        snapshot_every=choice(draw, (1, 1, 2, 3)),
        keep_slots=kept,
        window=choice(draw, (1, 1, 2, 16)),
        batch_commands=choice(draw, (1, 4)),
    )
    workload = msgspec.structs.replace(plan.workload, clients=clients, rate=rate, settle_rate=max(0.1, 10.0 / rate))
    patient = msgspec.structs.replace(plan.timing, retransmit_ns=choice(draw, (40, 150)) * MILLISECOND)
    return msgspec.structs.replace(
        plan,
        workload=frame.workload or workload,
        limits=frame.limits or limits,
        timing=patient if frame.base.timing == Timing() else plan.timing,
        duration_ns=frame.duration_ns or stepped(spread(draw, unit(plan), *_RUN)),
        heal=choice(draw, ("majority", "majority", plan.heal)),
    )


def _others(plan: Plan, draw: Draw, *without: str) -> list[str]:
    """The other voters, in random order."""
    voters = [name for name in playing(plan.cluster, "acceptor") if name not in without]
    return sample(draw, voters, len(voters))


def _needed(plan: Plan, heir: str) -> int:
    """Voters that must elect it beside itself."""
    voters = playing(plan.cluster, "acceptor")
    return len(voters) // 2 + 1 - (heir in voters)


def _off(names: list[str], trigger: str, after_ns: int, lasts_ns: int, direction: str = "") -> list[Fault]:
    shape: dict[str, Parameter] = {"shape": "one_way", "direction": direction} if direction else {"shape": "isolate"}
    target = f"agent:{','.join(names)}"
    off = Fault("partition", target, trigger=trigger, after_ns=after_ns, duration_ns=lasts_ns, params=shape)
    return [off] if names else []


def _first_word(plan: Plan, draw: Draw, knows: str, heir: str) -> list[Fault]:
    """From when it learned something the one that knows is not heard; the Prepare does not reach it; the first votes of the new
    ballot, for slots that it has in its snapshot, are its last."""
    event = choice(draw, ("chosen", "chosen", "applied"))
    trigger = f"{ordinal(between(draw, 1, choice(draw, (4, 12))))} agent {knows} {event}"
    others = _others(plan, draw, knows, heir)
    voter = knows if plan.cluster.deployment == "collapsed" else others.pop()
    stands_ns = spread(draw, hop(plan), 3.0, 8.0)
    silent_ns = stands_ns + spread(draw, hop(plan), 2.0, 6.0)
    lost: dict[str, Parameter] = {"probability": 1.0, "way": "out", "peer": voter}
    lost_ns, after_ns = spread(draw, hop(plan), 0.5, 2.5), spread(draw, hop(plan), 0.3, 4.0)
    kind, leads = choice(draw, ("kill", "kill", "power")), f"first agent {heir} leader"
    return [
        *_off([knows], trigger, 0, silent_ns, "mute"),
        *stand_up(plan, draw, heir, others[: _needed(plan, heir)], trigger, stands_ns),
        Fault("drop", f"agent:{heir}", trigger=f"first agent {heir} prepare", duration_ns=lost_ns, params=lost),
        Fault(kind, f"agent:{voter}", trigger=leads, after_ns=after_ns, duration_ns=DOWN_NS),
    ]


def _overtaken(plan: Plan, draw: Draw, knows: str, heir: str) -> list[Fault]:
    """The Prepare does not reach the one that knows; of the first values of the new ballot it says that it has cut their slots,
    while the votes of the others wait for slow disks."""
    trigger = (
        f"{ordinal(between(draw, 1, choice(draw, (4, 12))))} agent {knows} {choice(draw, ('applied', 'snapshot'))}"
    )
    others = _others(plan, draw, knows, heir)
    stands_ns = spread(draw, hop(plan), 3.0, 8.0)
    lost: dict[str, Parameter] = {"probability": 1.0, "way": "out", "peer": knows}
    slow: dict[str, Parameter] = {"delay_ns": spread(draw, hop(plan), 1.0, 8.0)}
    voting, prepares = ",".join([heir, *others]), f"first agent {heir} prepare"
    lost_ns, slow_ns = spread(draw, hop(plan), 0.5, 2.0), spread(draw, hop(plan), 8.0, 20.0)
    return [
        *_off([knows], trigger, 0, stands_ns + spread(draw, hop(plan), 1.0, 4.0), "mute"),
        *stand_up(plan, draw, heir, others[: _needed(plan, heir)], trigger, stands_ns),
        Fault("drop", f"agent:{heir}", trigger=prepares, duration_ns=lost_ns, params=lost),
        Fault("slow_sync", f"agent:{voting}", trigger=f"first agent {heir} leader", duration_ns=slow_ns, params=slow),
    ]


def _gone(plan: Plan, draw: Draw, knows: str, heir: str) -> list[Fault]:
    """It is silent until it has cut what it alone knows; then it is heard, elects the heir, and goes for good."""
    event = choice(draw, ("chosen", "chosen", "applied", "snapshot"))
    trigger = f"{ordinal(between(draw, 1, choice(draw, (4, 12))))} agent {knows} {event}"
    others = _others(plan, draw, knows, heir)
    voter = knows if plan.cluster.deployment == "collapsed" else others.pop()
    silent_ns = spread(draw, hop(plan), 3.0, 10.0)
    quorum = [voter, *others[: _needed(plan, heir) - 1]]
    rest = others[_needed(plan, heir) - 1 :]
    kind, after_ns = (
        choice(draw, ("kill", "pause", "partition")),
        choice(draw, (0, 0, spread(draw, hop(plan), 0.0, 2.0))),
    )
    return [
        *_off([knows], trigger, 0, silent_ns, "mute"),
        *_off(rest, trigger, max(0, silent_ns - hop(plan)), spread(draw, hop(plan), 5.0, 15.0)),
        *stand_up(plan, draw, heir, quorum, trigger, silent_ns),
        Fault(kind, f"agent:{voter}", trigger=f"first agent {heir} leader", after_ns=after_ns, duration_ns=-1),
    ]


def _stays(plan: Plan, draw: Draw, knows: str, heir: str) -> list[Fault]:
    """The heir is away from one of its votes on, while the others choose some more and cut it all. Then it leads, elected by
    the one that knows, and nothing happens any more."""
    who = heir if plan.cluster.deployment == "collapsed" else choice(draw, _others(plan, draw))
    trigger = f"{ordinal(between(draw, 1, choice(draw, (4, 12))))} agent {who} accepted"
    others = sorted(_others(plan, draw, heir, who), key=lambda name: name != knows)
    away_ns = spread(draw, hop(plan), 2.0, 4.0) + spread(draw, unit(plan), 0.0, 0.8)
    quorum = [*others[:1], *([who] if who != heir else []), *others[1:]][: _needed(plan, heir)]
    rest = [name for name in others if name not in quorum]
    return [
        *_off([who], trigger, 0, away_ns),
        *_off(rest, trigger, away_ns, spread(draw, hop(plan), 5.0, 15.0)),
        *stand_up(plan, draw, heir, quorum, trigger, away_ns + spread(draw, hop(plan), 0.0, 1.0)),
    ]
