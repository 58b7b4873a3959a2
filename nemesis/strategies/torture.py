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
_SHORTEST_LINK_NS = 600 * MILLISECOND
"""Two election timeouts: even without a leader some message is sent meanwhile."""
_APART_NS = 200 * MILLISECOND
"""Between the beginnings of two faults of an episode: some heartbeats, so that each meets a message before the next."""
_QUIET = 0.35
"""Share of an episode without faults, at its end."""
_TAKE_DOWN = ("kill", "power")
_WIDE = ("majority", "others", "all")
_HARDLY_SPEAKS = ("one", "role:proposer")
"""Targets that may be a proposer that does not lead: it hears heartbeats, a few a second, and little else."""
_LEAST_SHARE = 0.3
_Item = tuple[str, str, dict[str, Parameter]]


def generate(seed: int, frame: Frame) -> Plan:
    """What the frame leaves open is taken from its base plan, not drawn."""
    base = frame.base
    nodes = frame.nodes or (base.cluster.nodes if base.cluster.deployment == "collapsed" else base.cluster.acceptors)
    workload = frame.workload or base.workload
    plan = msgspec.structs.replace(
        base,
        seed=seed,
        strategy="torture",
        cluster=cluster_of(frame.deployment or base.cluster.deployment, nodes),
        duration_ns=frame.duration_ns or DURATION_NS,
        settle_ns=frame.settle_ns or max(base.settle_ns, SETTLE_NS),
        timing=TIMING if base.timing == Timing() else base.timing,
        workload=workload,
        limits=frame.limits or base.limits,
        client_links_faulty=frame.client_links_faulty or False,
    )
    draw = stream(f"{seed}/torture")
    return msgspec.structs.replace(plan, faults=tuple(_episodes(plan, draw)))


def _episodes(plan: Plan, draw: Draw) -> list[Fault]:
    warm_ns = min(4 * plan.timing.election_timeout_ns, plan.duration_ns // 10)
    episodes = max(1, round((plan.duration_ns - warm_ns) / _EPISODE_NS))
    length_ns = (plan.duration_ns - warm_ns) // episodes
    items = _items(plan, draw, episodes)
    faults: list[Fault] = []
    for number in range(episodes):
        begin_ns = stepped(warm_ns + number * length_ns)
        faults += _episode(draw, begin_ns, int(length_ns * (1 - _QUIET)), items[number::episodes])
    return faults


def _episode(draw: Draw, begin_ns: int, noisy_ns: int, items: list[_Item]) -> list[Fault]:
    """Overlapping faults in an order in which each finds somebody to hit: links first, partitions of all at last among
    them, then what slows and stops, then what takes agents down, many at last (the dead and the leaderless send nothing
    that a link fault could meet, and nobody kills the dead)."""
    wide = [item for item in items if item[0] in _TAKE_DOWN and item[1] in _WIDE]
    items = [(kind, "one", params) if (kind, target, params) in wide[1:] else (kind, target, params)
             for kind, target, params in items]  # fmt: skip
    apart_ns = min(_APART_NS, noisy_ns // (2 * len(items))) if items else 0
    slack_ns = max(0, noisy_ns - apart_ns * len(items) - _SHORTEST_LINK_NS)
    starts = sorted(stepped(int(draw() * slack_ns)) for _ in items)
    faults: list[Fault] = []
    for place, (kind, target, params) in enumerate(sorted(items, key=_turn)):
        at_ns = starts[place] + place * apart_ns
        shortest_ns = _SHORTEST_LINK_NS if KINDS[kind].device == "link" else _SHORTEST_NS
        lasts_ns = min(spread(draw, _LONGEST_NS, shortest_ns / _LONGEST_NS, 1.0), noisy_ns - at_ns)
        faults.append(Fault(kind, target, at_ns=begin_ns + at_ns, duration_ns=lasts_ns, params=params))
    return faults


def _turn(item: _Item) -> int:
    kind, target, params = item
    if kind in _TAKE_DOWN:
        return 5 if target in _WIDE else 4
    if kind == "partition":
        return 1 if params["shape"] in ("isolate", "one_way") else 2
    return 0 if KINDS[kind].device == "link" else 3


def _items(plan: Plan, draw: Draw, episodes: int) -> list[_Item]:
    """What to do, in an order that spreads it over the episodes: each kind and target once, each shape, then random ones."""
    classic = plan.cluster.deployment == "classic"
    roles = [f"role:{role}" for role in (("proposer", "acceptor", "learner") if classic else ("replica",))]
    narrow = sample(draw, ["one", "leader", "minority", *roles], 9)
    gentle = [kind.name for kind in KINDS.values() if kind.device in ("process", "link")]
    gentle = [kind for kind in gentle if kind not in (*_TAKE_DOWN, "partition")]
    targets = sample(draw, [*narrow[len(_TAKE_DOWN) :], *_WIDE], 9)
    while len(targets) < len(gentle):
        targets.append(choice(draw, (*narrow, *_WIDE)))
    pairs = [*zip(_TAKE_DOWN, narrow, strict=False), *zip(gentle, targets, strict=False)]
    once = [(kind, target, _params(plan, draw, kind, target)) for kind, target in pairs]
    shapes: list[_Item] = [
        ("partition", choice(draw, ("one", "leader", "minority")), {"shape": shape})
        for shape in ("isolate", "halves", "majority", "ring", "bridge")
    ]
    shapes += [("partition", "leader", {"shape": "one_way", "direction": direction}) for direction in ("deaf", "mute")]
    first = sample(draw, [*once, shapes[0]], 99)
    wanted = max(len(first), episodes * 2 + between(draw, 0, episodes))
    rest = sample(draw, shapes[1:], wanted - len(first))
    while len(first) + len(rest) < wanted:
        kind = choice(draw, (*_TAKE_DOWN, "pause", *_TAKE_DOWN, "pause", *gentle))
        target = choice(draw, (*narrow, *_WIDE))
        rest.append((kind, target, _params(plan, draw, kind, target)))
    return [*first, *rest]


def _params(plan: Plan, draw: Draw, kind: str, target: str) -> dict[str, Parameter]:
    """So that the fault touches some message even where heartbeats alone are sent: it holds back what comes at their pace, and
    its share of them is not a small one."""
    params = random_params(plan, draw, kind)
    if target in _HARDLY_SPEAKS:
        if kind == "throttle":
            slower = max(1, 4 * SECOND // (5 * plan.timing.heartbeat_ns))
            params["per_second"] = min(int(params["per_second"]), slower)
        elif "probability" in params:
            params["probability"] = max(float(params["probability"]), _LEAST_SHARE)
    return params
