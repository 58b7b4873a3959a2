"""Torture: the main job on real processes. About a minute of episodes, each some overlapping faults and then quiet.

Every process and link kind comes at least once, partitions in every shape, targets of every class. Faults last 0.3 to
3 s; the quiet after each episode lets recovery be measured. Times are real, so nothing is scaled afterwards.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, between, choice, sample, stream
from nemesis.faults import KINDS, Fault, Parameter
from nemesis.plan import MILLISECOND, SECOND, Plan, Timing
from nemesis.strategies.frame import Frame, cluster_of, spread, stepped
from nemesis.strategies.moves import random_params

DURATION_NS = 60 * SECOND
SETTLE_NS = 10 * SECOND
TIMING = Timing(
    heartbeat_ns=50 * MILLISECOND,
    election_timeout_ns=300 * MILLISECOND,
    retransmit_ns=100 * MILLISECOND,
    client_retry_ns=200 * MILLISECOND,
    operation_timeout_ns=2 * SECOND,
)
"""Real pauses err by some 10 ms on a busy machine: ten times that is safe from elections that nobody asked for."""

_EPISODE_NS = 4_500 * MILLISECOND
_SHORTEST_NS, _LONGEST_NS = 300 * MILLISECOND, 3 * SECOND
_QUIET = 0.35
"""Share of an episode without faults, at its end."""
_TARGETS = ("one", "leader", "minority", "majority", "all", "others")
_Item = tuple[str, str, dict[str, Parameter]]


def generate(seed: int, frame: Frame) -> Plan:
    """What the frame leaves open is taken from its base plan, not drawn."""
    base = frame.base
    nodes = frame.nodes or (base.cluster.nodes if base.cluster.deployment == "collapsed" else base.cluster.acceptors)
    plan = msgspec.structs.replace(
        base,
        seed=seed,
        strategy="torture",
        cluster=cluster_of(frame.deployment or base.cluster.deployment, nodes),
        duration_ns=frame.duration_ns or DURATION_NS,
        settle_ns=max(base.settle_ns, SETTLE_NS),
        timing=TIMING if base.timing == Timing() else base.timing,
        workload=frame.workload or base.workload,
        limits=frame.limits or base.limits,
        client_links_faulty=frame.client_links_faulty or False,
    )
    draw = stream(f"{seed}/torture")
    return msgspec.structs.replace(plan, faults=tuple(_episodes(plan, draw)))


def _episodes(plan: Plan, draw: Draw) -> list[Fault]:
    episodes = max(1, min(plan.duration_ns // SECOND, round(plan.duration_ns / _EPISODE_NS)))
    length_ns = plan.duration_ns // episodes
    items = _items(plan, draw, episodes)
    faults: list[Fault] = []
    for number in range(episodes):
        begin_ns = number * length_ns
        noisy_ns = int(length_ns * (1 - _QUIET))
        for kind, target, params in items[number::episodes]:
            lasts_ns = min(spread(draw, _LONGEST_NS, _SHORTEST_NS / _LONGEST_NS, 1.0), noisy_ns)
            at_ns = begin_ns + stepped(int(draw() * (noisy_ns - lasts_ns)))
            faults.append(Fault(kind, target, at_ns=at_ns, duration_ns=lasts_ns, params=params))
    return sorted(faults, key=lambda fault: fault.at_ns or 0)


def _items(plan: Plan, draw: Draw, episodes: int) -> list[_Item]:
    """What to do, in an order that spreads it over the episodes: each kind once, each shape, then random ones."""
    classic = plan.cluster.deployment == "classic"
    roles = ("proposer", "acceptor", "learner") if classic else ("replica",)
    targets = [*_TARGETS, *(f"role:{role}" for role in roles)]
    process = [kind.name for kind in KINDS.values() if kind.device == "process"]
    link = [kind.name for kind in KINDS.values() if kind.device == "link" and kind.name != "partition"]
    once: list[_Item] = [
        (kind, target, random_params(plan, draw, kind))
        for kind, target in zip(sample(draw, process + link, 99), _endless(targets, draw), strict=False)
    ]
    shapes: list[_Item] = [
        ("partition", choice(draw, ("one", "leader", "minority")), {"shape": shape})
        for shape in ("isolate", "halves", "majority", "ring", "bridge")
    ]
    shapes += [("partition", "leader", {"shape": "one_way", "direction": direction}) for direction in ("deaf", "mute")]
    first = sample(draw, [*once, shapes[0]], 99)
    wanted = max(len(first), episodes * 2 + between(draw, 0, episodes))
    rest = sample(draw, shapes[1:], wanted - len(first))
    more = sample(draw, process + process + link, 99)
    while len(first) + len(rest) < wanted:
        kind = more[len(rest) % len(more)]
        rest.append((kind, choice(draw, targets), random_params(plan, draw, kind)))
    return [*first, *rest]


def _endless(items: list[str], draw: Draw) -> list[str]:
    """Each item once before any comes again, long enough for every kind."""
    return [item for _ in range(5) for item in sample(draw, items, len(items))]
