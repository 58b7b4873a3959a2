"""Gaps: a value is lost to all, the one behind it is heard by one, and who closes the gap is heard by others.

Where a leader's value reached nobody while a later one reached somebody, the next leader closes the gap with a no-op. Whether
nothing was accepted there, or nothing *was accepted*, who voted for what before, and what is chosen behind a slot that is not:
all that is put to the test only when the leader after that one knows the one but not the other. So leader after leader, each
drawn, loses one slot to all and the next ones to most, and goes; and the one with the oldest votes often leads again,
or is given a snapshot that covers them, and goes down before that is durable.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan, playing
from nemesis.strategies.frame import Frame, framed, spread, stepped
from nemesis.strategies.moves import BACK_NS, hop, just_enough, some_in_flight, stand_up, stands_first, unit

_RUN = (5.0, 9.0)
"""Election timeouts that a run takes: three or four leaders follow each other within two or three."""


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "gaps", frame)
    draw = stream(f"{seed}/gaps")
    fate = choice(draw, (_goes, _goes, _goes, _yields, _reigns_on))
    plan = some_in_flight(plan, draw, frame, (1,) if fate is _reigns_on else (0, 0, 1, 3))
    plan = msgspec.structs.replace(plan, duration_ns=frame.duration_ns or stepped(spread(draw, unit(plan), *_RUN)))
    leads = playing(plan.cluster, "proposer")
    first, second, other = (sample(draw, leads, 3) * 3)[:3]
    third, slot = choice(draw, (first, first, other)), between(draw, 1, choice(draw, (4, 12)))
    faults, heard = _reign(plan, draw, first, slot)
    trigger = f"agent {first} propose slot {slot + between(draw, 1, 2)}"
    unheard = [name for name in playing(plan.cluster, "acceptor") if name not in heard]
    faults = [stands_first(plan, first), *faults, *_follows(plan, draw, trigger, first, second, unheard)]
    again = slot + choice(draw, (0, 1, 1, 2))
    faults += _reign(plan, draw, second, again)[0]
    trigger = f"agent {second} propose slot {choice(draw, (slot, slot + 1, again + 1))}"
    faults += fate(plan, draw, trigger, (first, second, third), heard)
    return msgspec.structs.replace(plan, faults=tuple(faults))


def _reign(plan: Plan, draw: Draw, leads: str, slot: int) -> tuple[list[Fault], list[str]]:
    """What it proposes in that slot is lost to all others, what is behind it to all but few; and these few."""
    lost: dict[str, Parameter] = {"probability": 1.0, "way": "out", "limit": len(playing(plan.cluster, "acceptor"))}
    faults = []
    if draw() < 0.9:
        trigger = f"agent {leads} sent_accept slot {slot}"
        faults.append(Fault("drop", f"agent:{leads}", trigger=trigger, duration_ns=_moment(plan), params=lost))
    trigger = f"agent {leads} sent_accept slot {slot + 1}"
    others = [name for name in playing(plan.cluster, "acceptor") if name != leads]
    deaf = sample(draw, others, len(others) - choice(draw, (1, 1, 1, 0)))
    for peer in deaf:
        few: dict[str, Parameter] = {"probability": 1.0, "way": "out", "peer": peer}
        length_ns = spread(draw, unit(plan), 0.1, 1.0)
        faults.append(Fault("drop", f"agent:{leads}", trigger=trigger, duration_ns=length_ns, params=few))
    return faults, [name for name in others if name not in deaf]


def _moment(plan: Plan) -> int:
    return max(100_000, stepped(hop(plan) // 4))


def _follows(plan: Plan, draw: Draw, trigger: str, leads: str, next_one: str, without: Sequence[str]) -> list[Fault]:
    """The leader is away from here on, and the next one stands up; mostly the voters that it does not need are away too."""
    kind, after_ns = choice(draw, ("partition", "partition", "kill", "power")), spread(draw, hop(plan), 0.1, 3.0)
    waits_ns = after_ns + BACK_NS + spread(draw, hop(plan), 1.0, 12.0)
    away_ns = waits_ns + spread(draw, hop(plan), 4.0, choice(draw, (12.0, 40.0)))
    quorum = just_enough(plan, draw, next_one, (leads, *without))
    rest = [name for name in playing(plan.cluster, "acceptor") if name not in quorum and name != leads]
    lost: dict[str, Parameter] = {"unsynced": "lost"} if kind == "power" else {}
    faults = [
        Fault(kind, f"agent:{leads}", trigger=trigger, after_ns=after_ns, duration_ns=away_ns, params=lost),
        *stand_up(plan, draw, next_one, quorum, trigger, waits_ns),
    ]
    if kind == "partition":
        given_up: dict[str, Parameter] = {"offset_ns": 2 * unit(plan)}
        jump = Fault(
            "clock_jump", f"agent:{leads}", trigger=trigger, after_ns=after_ns, duration_ns=waits_ns - after_ns
        )
        faults.append(msgspec.structs.replace(jump, params=given_up))
    if rest and draw() < 0.7:
        lasts_ns = waits_ns + spread(draw, hop(plan), 4.0, 10.0)
        target = f"agent:{','.join(rest)}"
        faults.append(Fault("partition", target, trigger=trigger, after_ns=after_ns, duration_ns=lasts_ns))
    return faults


def _goes(plan: Plan, draw: Draw, trigger: str, who: tuple[str, str, str], heard: list[str]) -> list[Fault]:
    """The second leader goes too, and the third is often elected without the one that heard what is behind the gap."""
    first, second, third = who
    faults = _follows(plan, draw, trigger, second, third, choice(draw, ((), heard)))
    crash = _falls(plan, draw, choice(draw, (first, third)), "3rd leader", 6.0)
    return [*faults, *(crash if draw() < 0.3 else [])]


def _yields(plan: Plan, draw: Draw, trigger: str, who: tuple[str, str, str], heard: list[str]) -> list[Fault]:
    """The second leader elects the third, and tells what it knows is chosen behind a slot that is not; soon that one falls."""
    _, second, third = who
    after_ns = BACK_NS + spread(draw, hop(plan), 4.0, 16.0)
    rest = [name for name in playing(plan.cluster, "acceptor") if name not in (second, third)]
    quorum = just_enough(plan, draw, third, rest)
    return [*stand_up(plan, draw, third, quorum, trigger, after_ns), *_falls(plan, draw, third, "3rd leader", 16.0)]


def _reigns_on(plan: Plan, draw: Draw, trigger: str, who: tuple[str, str, str], heard: list[str]) -> list[Fault]:
    """The second leader stays. The first is given a snapshot in place of what it voted for, and falls before that is
    durable."""
    slow: dict[str, Parameter] = {"delay_ns": spread(draw, hop(plan), 2.0, 12.0)}
    installed = f"first agent {who[0]} installed"
    falls = _falls(plan, draw, who[0], installed, 16.0)
    return [Fault("slow_sync", f"agent:{who[0]}", trigger=installed, duration_ns=unit(plan), params=slow), *falls]


def _falls(plan: Plan, draw: Draw, who: str, trigger: str, hops: float) -> list[Fault]:
    kind, after_ns = choice(draw, ("kill", "kill", "power")), spread(draw, hop(plan), 0.0, hops)
    length_ns = spread(draw, unit(plan), 0.1, 1.0)
    return [Fault(kind, f"agent:{who}", trigger=trigger, after_ns=after_ns, duration_ns=length_ns)]
