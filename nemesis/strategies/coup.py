"""Coup: who leads next, and who elects it, is drawn; each leader is heard by few, and soon the next one follows.

Two quorums meet, but they need not have more than one member in common, and what that one was not told is what phase 1 must
get right. Left to themselves elections are won by whoever is quickest, by the votes of all. Here the clocks of just a
quorum jump until its members would elect somebody, and the clock of one of them a bit further: that one stands up. The others
are away meanwhile. Each voter misses the first Accepts of a leader, or the later ones, or some, or all. Now and then two stand
up at once, with one round; or the same one again, and what a voter said to it the last time arrives just then, while it
asks for promises or votes anew.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import MILLISECOND, Plan, Timing, playing
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, spread, stepped
from nemesis.strategies.moves import hop, in_flight, random_length, unit
from nemesis.triggers import ordinal

_HOPS = 6
"""Message delays from the jump of the clocks to the first Accepts: a poll, phase 1 and its syncs."""
_COUPS = 12
"""Elections in a run, about: a few in a row leave what the next one must get right, and short runs are cheap."""


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "coup", frame)
    draw = stream(f"{seed}/coup")
    plan = in_flight(plan, draw, frame)
    every, kept, page = choice(draw, (0, 1, 2, 5)), choice(draw, (0, 2, 10)), choice(draw, (64, 512))
    share, reign = choice(draw, (0.3, 0.6, 0.9)), choice(draw, (1.0, 4.0, 12.0))
    window = choice(draw, (2, 3, 4, 16))
    limits = frame.limits or msgspec.structs.replace(
        plan.limits, snapshot_every=every, keep_slots=kept, page_bytes=page, window=window, batch_commands=1
    )
    enough_ns = spread(draw, unit(plan), 1.0, 2.0) + _COUPS * int((_HOPS + reign) * hop(plan))
    duration_ns = frame.duration_ns or min(plan.duration_ns, stepped(enough_ns))
    retry_ns = choice(draw, (20, 60)) * MILLISECOND
    lost_ns = choice(draw, (40, 150)) * MILLISECOND
    quick = msgspec.structs.replace(plan.timing, client_retry_ns=retry_ns, retransmit_ns=lost_ns)
    timing = quick if frame.base.timing == Timing() else plan.timing
    plan = msgspec.structs.replace(plan, limits=limits, duration_ns=duration_ns, timing=timing)
    again = choice(draw, (0.1, 0.4, 0.7))
    faults: list[Fault] = []
    elections: list[tuple[int, str]] = []
    at_ns, number, stands = spread(draw, unit(plan), 0.2, 1.0), 0, _candidates(plan, draw)
    while at_ns < plan.duration_ns:
        number += 1
        elections.append((at_ns, stands[0]))
        faults += _election(plan, draw, at_ns, stands) + _audience(plan, draw, number, share)
        drawn, same = _candidates(plan, draw), draw() < again
        stands = stands if same else drawn
        at_ns += spread(draw, hop(plan), _HOPS, _HOPS + 2 * reign)
    faults += _old_answers(plan, stream(f"{seed}/coup/answers"), elections)
    faults += last_blow(plan, draw)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _candidates(plan: Plan, draw: Draw) -> list[str]:
    """Mostly one."""
    stands = sample(draw, playing(plan.cluster, "proposer"), 2)
    return stands[: 2 if draw() < 0.25 else 1]


def _election(plan: Plan, draw: Draw, at_ns: int, stands: list[str]) -> list[Fault]:
    """They stand up, and a quorum just big enough hears it. Of two the Prepares of one may come when the other leads."""
    voters = playing(plan.cluster, "acceptor")
    others = sample(draw, [name for name in voters if name not in stands], len(voters))
    needed = len(voters) // 2 + 1 - sum(name in voters for name in stands[:1])
    quorum, away = others[:needed], others[needed:]
    short_ns, lasts_ns = spread(draw, hop(plan), 2.0, 6.0), spread(draw, hop(plan), 4.0, 12.0)
    enough: dict[str, Parameter] = {"offset_ns": unit(plan)}
    more: dict[str, Parameter] = {"offset_ns": 2 * unit(plan)}
    faults = [
        Fault("clock_jump", f"agent:{','.join(names)}", at_ns=at_ns, duration_ns=short_ns, params=params)
        for names, params in ((quorum, enough), (stands, more))
        if names
    ]
    late: dict[str, Parameter] = {"way": "out", "delay_ns": spread(draw, hop(plan), 2.0, 8.0)}
    if len(stands) > 1:
        late_ns = min(at_ns + spread(draw, hop(plan), 0.5, 2.5), plan.duration_ns - 1)
        faults.append(Fault("delay", f"agent:{stands[0]}", at_ns=late_ns, duration_ns=unit(plan) // 3, params=late))
    if draw() < 0.7 and away:
        shape: dict[str, Parameter] = {"shape": choice(draw, ("isolate", "one_way"))}
        faults.append(Fault("partition", f"agent:{','.join(away)}", at_ns=at_ns, duration_ns=lasts_ns, params=shape))
    return faults


def _old_answers(plan: Plan, draw: Draw, elections: list[tuple[int, str]]) -> list[Fault]:
    """What one voter says to a candidate takes until that one stands up the next time."""
    share = choice(draw, (0.0, 0.4, 0.8))
    voters = playing(plan.cluster, "acceptor")
    faults = []
    for (at_ns, stands), later in zip(elections, range(1, len(elections)), strict=False):
        voter, begin_ns = choice(draw, voters), at_ns + spread(draw, hop(plan), 1.5, 3.0)
        spared_ns, jitter_ns = spread(draw, hop(plan), 0.0, 2.5), spread(draw, hop(plan), 0.0, 2.0)
        again_ns = next((then_ns for then_ns, name in elections[later:] if name == stands), None)
        if again_ns is None or voter == stands or draw() >= share:
            continue
        delay_ns = max(0, again_ns - at_ns - spared_ns)
        params: dict[str, Parameter] = {"way": "out", "peer": stands, "delay_ns": delay_ns, "jitter_ns": jitter_ns}
        faults.append(Fault("delay", f"agent:{voter}", at_ns=begin_ns, duration_ns=again_ns - begin_ns, params=params))
    return faults


def _audience(plan: Plan, draw: Draw, number: int, share: float) -> list[Fault]:
    """What each voter misses of the ``number``-th leader, what comes late, and whether the leader falls in the middle."""
    trigger = f"{ordinal(number)} leader"
    voters = playing(plan.cluster, "acceptor")
    faults = [_missed(plan, draw, trigger, name) for name in voters if draw() < share]
    if draw() < 0.3:
        late: dict[str, Parameter] = {
            "way": choice(draw, ("in", "in", "out")),
            "delay_ns": spread(draw, hop(plan), 4.0, 40.0),
            "limit": between(draw, 2, 12),
        }
        faults.append(Fault("delay", "it", trigger=trigger, duration_ns=unit(plan), params=late))
    if draw() < 0.1:
        kind, after_ns = choice(draw, ("kill", "power", "pause")), spread(draw, hop(plan), 0.0, 3.0)
        length_ns = random_length(plan, draw, kind, 1.0)
        faults.append(Fault(kind, "it", trigger=trigger, after_ns=after_ns, duration_ns=length_ns))
    return faults


def _missed(plan: Plan, draw: Draw, trigger: str, peer: str) -> Fault:
    what, first = choice(draw, ("first", "later", "some", "some", "some", "all")), between(draw, 1, 4)
    after_ns, lasts_ns = spread(draw, hop(plan), 0.2, 3.0), spread(draw, unit(plan), 0.3, 1.0)
    params: dict[str, Parameter] = {"probability": 0.5 if what == "some" else 1.0, "way": "out", "peer": peer}
    if what == "first":
        params["limit"] = first
    after_ns = after_ns if what == "later" else 0
    return Fault("drop", "it", trigger=trigger, after_ns=after_ns, duration_ns=lasts_ns, params=params)
