"""The frame of a plan: everything but its faults. What the caller leaves open is drawn from the seed.

Small clusters, few keys, small limits and a second or two: what is rare in a long run of a large cluster (a full
window, a snapshot, two commands on one key) is common here.
"""

from __future__ import annotations

import msgspec

from nemesis.draws import Draw, below, between, choice, stream, weighted
from nemesis.faults import Fault
from nemesis.plan import (
    DEFAULT_MIX,
    MILLISECOND,
    Cluster,
    Deployment,
    Disk,
    Heal,
    Limits,
    Network,
    Plan,
    Workload,
)

STEP_NS = 100_000
"""Times are drawn in steps of this."""

_DEPLOYMENTS: tuple[Deployment, ...] = ("collapsed", "collapsed", "classic")
_MIXES: tuple[dict[str, float], ...] = (
    DEFAULT_MIX,
    {"read": 0.5, "write": 0.5},
    {"read": 0.3, "write": 0.1, "cas": 0.6},
    {"read": 0.3, "append": 0.7},
    {"read": 0.3, "write": 0.25, "delete": 0.25, "cas": 0.2},
    {"read": 0.2, "local-read": 0.4, "write": 0.4},
)

_RATES = (15, 15, 30, 30, 30, 60, 60, 60, 60, 120, 120, 400)
"""Operations a second. Most of what happens in a run are the votes on commands, and bugs need few commands but many changes of
leaders and crashes: with little load the same faults cost fewer events."""

_DURATIONS_MS = (800, 2400)
_SETTLES_MS = (1200, 1200, 2000)
"""Mostly just more than the leadership may take to settle: a third of all events came after the heal, where little breaks. What
shows only later shows in the longer ones."""

VALUES_A_PAGE = 4
"""At least: of the workload's values."""

_SETTLE_RATE = 12.5
"""Operations a second after the heal, at least: every client must ask in time to show whether it makes progress."""


class Frame(msgspec.Struct, frozen=True):
    """What a strategy must keep to. None: it draws."""

    base: Plan = Plan()
    """Everything that is never drawn: timing, mutant, name."""
    deployment: Deployment | None = None
    nodes: int | None = None
    """Replicas, or acceptors in the classic deployment (2 proposers and 2 learners stand beside them)."""
    duration_ns: int | None = None
    settle_ns: int | None = None
    workload: Workload | None = None
    limits: Limits | None = None
    client_links_faulty: bool | None = None


def framed(seed: int, strategy: str, frame: Frame) -> Plan:
    """A plan without faults. Each part is drawn from a stream of its own."""
    base = frame.base

    def part(name: str) -> Draw:
        return stream(f"{seed}/frame/{name}")

    drawn: Deployment = choice(part("deployment"), _DEPLOYMENTS)
    deployment = frame.deployment or drawn
    nodes, some = part("nodes"), part("others")
    cluster = cluster_of(deployment, frame.nodes or choice(nodes, (3, 3, 5)))
    if frame.nodes is None:
        cluster = _with_others(cluster, some)
    faulty = part("client links")() < 0.15
    heal: Heal = "majority" if part("heal")() < 0.3 else base.heal
    workload = frame.workload or _workload(part("workload"))
    return msgspec.structs.replace(
        base,
        seed=seed,
        strategy=strategy,
        cluster=cluster,
        duration_ns=frame.duration_ns or stepped(between(part("duration"), *_DURATIONS_MS) * MILLISECOND),
        settle_ns=frame.settle_ns or choice(part("settle"), _SETTLES_MS) * MILLISECOND,
        workload=workload,
        limits=frame.limits or _limits(part("limits")),
        network=_network(part("network")),
        disk=_disk(part("disk"), base.disk),
        client_links_faulty=faulty if frame.client_links_faulty is None else frame.client_links_faulty,
        heal=heal,
        faults=(),
    )


def cluster_of(deployment: Deployment, nodes: int) -> Cluster:
    if deployment == "collapsed":
        return Cluster(deployment="collapsed", nodes=nodes)
    return Cluster(deployment="classic", proposers=2, acceptors=nodes, learners=2)


def _with_others(cluster: Cluster, draw: Draw) -> Cluster:
    """In the classic deployment: how many propose, how many learn."""
    proposers, learners = choice(draw, (1, 2, 2, 2, 3)), choice(draw, (1, 2, 2, 2, 3))
    if cluster.deployment == "collapsed":
        return cluster
    return msgspec.structs.replace(cluster, proposers=proposers, learners=learners)


def stragglers(plan: Plan, draw: Draw) -> Fault:
    """A share of all messages is held back, up to several election timeouts: long enough to come into another's time."""
    share, late_ns = round(0.02 + 0.2 * draw() ** 2, 3), spread(draw, plan.timing.election_timeout_ns, 0.3, 4.0)
    return Fault("reorder", "all", at_ns=0, duration_ns=-1, params={"probability": share, "jitter_ns": late_ns})


def noise(plan: Plan, draw: Draw) -> list[Fault]:
    """What a poor network does all the time: a small loss, some duplicates, some stragglers; mostly nothing."""
    loss, copies, late = draw(), draw(), draw()
    straggling = stragglers(plan, draw)
    shares = round(0.005 + 0.045 * draw(), 3), round(0.01 + 0.09 * draw(), 3)
    faults: list[Fault] = []
    if loss < 0.3:
        faults.append(Fault("drop", "all", at_ns=0, duration_ns=-1, params={"probability": shares[0]}))
    if copies < 0.2:
        faults.append(Fault("duplicate", "all", at_ns=0, duration_ns=-1, params={"probability": shares[1]}))
    if late < 0.2:
        faults.append(straggling)
    return faults


def spread(draw: Draw, unit_ns: int, lowest: float, highest: float) -> int:
    """Uniform between two multiples of a unit, in steps of ``STEP_NS``, at least one step."""
    return max(STEP_NS, stepped(int(unit_ns * (lowest + draw() * (highest - lowest)))))


def stepped(time_ns: int) -> int:
    return time_ns // STEP_NS * STEP_NS


def _workload(draw: Draw) -> Workload:
    clients, rate = choice(draw, (1, 2, 3, 4, 5, 6, 8)), float(choice(draw, _RATES))
    return Workload(
        clients=clients,
        rate=rate,
        settle_rate=settle_share(rate),
        keys=choice(draw, (1, 2, 3, 5)),
        mix=dict(_MIXES[below(draw, len(_MIXES))]),
        value_bytes=choice(draw, (16, 16, 16, 512)),
    )


def settle_share(rate: float) -> float:
    """Of the load, what goes on after the heal: little, but enough for every client to ask in time."""
    return min(1.0, max(0.25, _SETTLE_RATE / rate)) if rate else 1.0


def _limits(draw: Draw) -> Limits:
    return Limits(
        window=choice(draw, (1, 4, 16, 16)),
        batch_commands=choice(draw, (1, 4, 64)),
        snapshot_every=choice(draw, (0, 10, 30, 100)),
        keep_slots=choice(draw, (2, 10, 100)),
        page_bytes=choice(draw, (512, 4096, 65_536)),
        max_sessions=choice(draw, (4096, 4096, 16, 4)),
    )


def room_for(workload: Workload, limits: Limits) -> Limits:
    """What every cluster needs to serve clients. Fewer sessions than clients, and these push out each other's for ever; a page
    that one value fills, and a learner that was away learns a slot a round trip, longer than any client waits."""
    return msgspec.structs.replace(
        limits,
        max_sessions=max(limits.max_sessions, workload.clients),
        page_bytes=max(limits.page_bytes, VALUES_A_PAGE * workload.value_bytes),
    )


def slowest_slot_ns(plan: Plan) -> int:
    """From an Accept to its votes, when both messages and the sync between them take their longest."""
    network, disk = plan.network, plan.disk
    return 2 * (network.latency_ns + network.jitter_ns) + disk.sync_ns + disk.jitter_ns


def as_can_be_served(plan: Plan) -> Workload:
    """No more clients than can each have a session opened and a command executed before they give up, when all ask at once and
    every message and sync takes its longest. With more each gives up shortly before its turn and comes as another one, for
    ever: a load that feeds itself, and says nothing of the cluster."""
    at_once = plan.limits.window * plan.limits.batch_commands
    served = plan.timing.operation_timeout_ns * at_once // max(1, 2 * slowest_slot_ns(plan))
    return msgspec.structs.replace(plan.workload, clients=max(1, min(plan.workload.clients, served)))


def _network(draw: Draw) -> Network:
    latency_us = weighted(draw, {200: 1.0, 1000: 2.0, 4000: 1.0})
    jitter_us = weighted(draw, {100: 1.0, 1000: 2.0, 8000: 1.0})
    return Network(latency_ns=latency_us * 1000, jitter_ns=jitter_us * 1000)


def _disk(draw: Draw, base: Disk) -> Disk:
    sync_us = weighted(draw, {100: 1.0, 500: 2.0, 5000: 1.0})
    sync_blocks = draw() < 0.25
    return msgspec.structs.replace(base, sync_ns=sync_us * 1000, jitter_ns=sync_us * 1000, sync_blocks=sync_blocks)
