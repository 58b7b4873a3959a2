"""Endings: if a minority is to stay broken, what breaks it shortly before the others are healed."""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, choice
from nemesis.faults import Fault, Parameter
from nemesis.plan import Plan, members, playing
from nemesis.strategies.frame import spread
from nemesis.strategies.moves import DOWN_NS, hop, unit

_LINK_ALONE = 0.12
"""Share of what stays broken that is one link."""
_CANDIDATE = 0.3
"""Share of what stays broken that had asked all others for their promises."""
_RESTART = 0.4
"""Share of these behind which the others restart."""


def last_blow(plan: Plan, draw: Draw) -> list[Fault]:
    """Now and then it is not an agent that stays broken, but a link."""
    if plan.heal == "all":
        return []
    if draw() < _CANDIDATE and len(members(plan.cluster)) > 1:
        return _last_candidate(plan, draw)
    at_ns = plan.duration_ns - spread(draw, unit(plan), 0.1, 3.0)
    roles = ("role:proposer", "role:learner") if plan.cluster.deployment == "classic" else ("one", "minority")
    target = choice(draw, ("leader", "leader", "one", "minority", *roles))
    kind = choice(draw, ("kill", "pause", "partition", "partition", "partition"))
    shape = choice(draw, ("isolate", "one_way", "one_way"))
    params: dict[str, Parameter] = {"shape": shape} if kind == "partition" else {}
    if shape == "one_way" and kind == "partition":
        params["direction"] = choice(draw, ("deaf", "mute"))
    if draw() < _LINK_ALONE:
        kind, (target, peer) = "drop", _link_of_a_leader(plan, draw)
        params = {"probability": 1.0, "peer": peer, "way": choice(draw, ("both", "in", "out"))}
    return [Fault(kind, target, at_ns=max(0, at_ns), duration_ns=-1, params=params)]


def _last_candidate(plan: Plan, draw: Draw) -> list[Fault]:
    """The clock of one jumps, so that it stands up, and the clocks of the others, so that they let it. It goes for good when it
    may have asked for their promises, have got them, or lead: the others must get over its ballot, which is the highest there
    was. Now and then all they know of it is what they find on their disks."""
    stands = choice(draw, playing(plan.cluster, "proposer"))
    others = f"agent:{','.join(name for name, _ in members(plan.cluster) if name != stands)}"
    at_ns = max(0, plan.duration_ns - spread(draw, unit(plan), 0.2, 1.5))
    gone_ns = at_ns + spread(draw, hop(plan), 1.0, 9.0)
    faults = [
        Fault(
            "clock_jump", who, at_ns=at_ns, duration_ns=spread(draw, hop(plan), 2.0, 6.0),
            params={"offset_ns": timeouts * unit(plan)},
        )
        for who, timeouts in ((others, 1), (f"agent:{stands}", 5))
    ]  # fmt: skip
    faults.append(
        Fault(choice(draw, ("kill", "kill", "pause", "partition")), f"agent:{stands}", at_ns=gone_ns, duration_ns=-1)
    )
    if draw() < _RESTART:
        restart_ns = gone_ns + spread(draw, hop(plan), 0.5, 4.0)
        faults.append(Fault(choice(draw, ("kill", "power")), others, at_ns=restart_ns, duration_ns=DOWN_NS))
    last_ns = plan.duration_ns - 1
    return [msgspec.structs.replace(fault, at_ns=min(fault.at_ns or 0, last_ns)) for fault in faults]


def _link_of_a_leader(plan: Plan, draw: Draw) -> tuple[str, str]:
    """(target, peer): the leader and somebody; or all acceptors and a proposer, which still hears who leads."""
    peer = choice(draw, [name for name, _ in members(plan.cluster)])
    alone = plan.cluster.deployment == "classic" and draw() < 0.4
    if alone:
        return f"agent:{','.join(playing(plan.cluster, 'acceptor'))}", choice(draw, playing(plan.cluster, "proposer"))
    return "leader", peer
