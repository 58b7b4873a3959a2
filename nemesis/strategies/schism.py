"""Schism: two leaders left different values in one slot, each at few voters, and the next one is elected by some of both.

That is what phase 1 is for: of the votes it is told of, that of the highest ballot counts, whoever tells it first and however
many tell of the other. Left to chance it is rare, since most successors hear of the first value or of neither. So the first
leader is heard by less than a quorum, and these are gone with it; the second is elected without them, is heard by one voter
alone, and falls; and then the first are back and the others away. Now and then the third is heard by few too.

Or what the first proposed *behind* that slot was heard by those that elect the second: then that one closes a gap with a no-op,
and a vote for a no-op is a vote.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan, playing
from nemesis.strategies.endings import last_blow
from nemesis.strategies.frame import Frame, framed, spread, stepped
from nemesis.strategies.moves import BACK_NS, DOWN_NS, hop, just_enough, some_in_flight, stand_up, stands_first, unit

_RUN = (3.0, 6.0)
"""Election timeouts that a run takes: the story needs one or two, and what comes of it may come later."""
_OVER_A_GAP, _WITHOUT_FIRST = 0.4, 0.2
"""How often the second leader sees that something is missing; how often the third is elected by who heard the second alone."""


def generate(seed: int, frame: Frame) -> Plan:
    plan = framed(seed, "schism", frame)
    draw = stream(f"{seed}/schism")
    plan = some_in_flight(plan, draw, frame, (0, 0, 1, 3))
    if frame.nodes is None and plan.cluster.proposers < 2:
        plan = msgspec.structs.replace(plan, cluster=msgspec.structs.replace(plan.cluster, proposers=2))
    plan = msgspec.structs.replace(plan, duration_ns=frame.duration_ns or stepped(spread(draw, unit(plan), *_RUN)))
    return msgspec.structs.replace(plan, faults=(*story(plan, draw), *last_blow(plan, draw)))


def story(plan: Plan, draw: Draw) -> list[Fault]:
    """From the first leader to the third, in one of the first slots."""
    leads, voters = playing(plan.cluster, "proposer"), playing(plan.cluster, "acceptor")
    first, second, other = (sample(draw, leads, 3) * 3)[:3]
    third, slot = choice(draw, (first, second, other)), between(draw, 1, choice(draw, (2, 6)))
    began, went_on = (f"agent {name} sent_accept slot {slot}" for name in (first, second))
    hear_first = _hear(draw, first, [name for name in voters if name != second], between(draw, 1, len(voters) // 2))
    hear_second = _hear(draw, second, [name for name in voters if name not in hear_first], 1)
    gone = [first, *(name for name in hear_first if name != first)]
    quorum, stands_ns = just_enough(plan, draw, second, gone), spread(draw, hop(plan), 2.0, 4.0)
    sees_a_gap = [name for name in quorum if name != second][:1] if draw() < _OVER_A_GAP else []
    faults = [
        stands_first(plan, first),
        *_heard_by(plan, draw, first, hear_first, began, sees_a_gap),
        *_away(plan, gone, began, 2 * hop(plan), stands_ns + spread(draw, hop(plan), 10.0, 16.0)),
        *stand_up(plan, draw, second, quorum, began, stands_ns),
        *_heard_by(plan, draw, second, hear_second, went_on),
    ]
    falls = _falls(plan, draw, second, went_on)
    back = hear_second if draw() < _WITHOUT_FIRST else [*hear_first, *hear_second]
    quorum = just_enough(plan, draw, third, [name for name in voters if name not in back])
    rest = [name for name in voters if name not in (*quorum, second)]
    stands_ns = falls.after_ns + BACK_NS + spread(draw, hop(plan), 4.0, 10.0)
    faults += [
        falls,
        *_away(plan, rest, went_on, 0, stands_ns + spread(draw, hop(plan), 8.0, 30.0)),
        *stand_up(plan, draw, third, quorum, went_on, stands_ns),
    ]
    if draw() < 0.4:
        faults += _heard_by(plan, draw, third, _hear(draw, third, voters, 1), f"3rd sent_accept slot {slot}")
    return faults


def _hear(draw: Draw, leads: str, voters: list[str], how_many: int) -> list[str]:
    """The voters that hear a leader: itself, if it votes, and others."""
    mine = [name for name in voters if name == leads]
    return [*mine, *sample(draw, [name for name in voters if name != leads], how_many - len(mine))]


def _heard_by(
    plan: Plan, draw: Draw, leads: str, hear: list[str], trigger: str, miss_one: Sequence[str] = ()
) -> list[Fault]:
    """What it says from here on is lost to all other voters; to those of ``miss_one`` only one message is."""
    length_ns = spread(draw, hop(plan), 6.0, 12.0)
    lost: dict[str, Parameter] = {"probability": 1.0, "way": "out"}
    return [
        Fault(
            "drop",
            f"agent:{leads}",
            trigger=trigger,
            duration_ns=length_ns,
            params=lost | {"peer": name} | ({"limit": 1} if name in miss_one else {}),
        )
        for name in playing(plan.cluster, "acceptor")
        if name != leads and name not in hear
    ]


def _away(plan: Plan, names: list[str], trigger: str, after_ns: int, length_ns: int) -> list[Fault]:
    """Each of them hears nobody, and nobody hears it."""
    return [
        Fault("partition", f"agent:{name}", trigger=trigger, after_ns=after_ns, duration_ns=length_ns - after_ns)
        for name in names
    ]


def _falls(plan: Plan, draw: Draw, leads: str, trigger: str) -> Fault:
    """It leads no more, soon after it was heard."""
    kind, after_ns = choice(draw, ("kill", "kill", "power", "clock_jump")), spread(draw, hop(plan), 2.0, 4.0)
    length_ns = spread(draw, hop(plan), 2.0, 4.0) if kind == "clock_jump" else DOWN_NS
    params: dict[str, dict[str, Parameter]] = {
        "power": {"unsynced": "lost"},
        "clock_jump": {"offset_ns": 2 * unit(plan)},
    }
    return Fault(
        kind, f"agent:{leads}", trigger=trigger, after_ns=after_ns, duration_ns=length_ns, params=params.get(kind, {})
    )
