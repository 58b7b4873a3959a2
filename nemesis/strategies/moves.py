"""Single random faults: the moves of which strategies make their plans. All sizes are in election timeouts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nemesis.draws import Draw, between, choice, sample, weighted
from nemesis.faults import KINDS, Fault, Parameter
from nemesis.plan import MILLISECOND, SECOND, Network, Plan, Timing, playing
from nemesis.strategies.frame import Frame, settle_share, slowest_slot_ns, spread, stepped

KINDS_AND_WEIGHTS: dict[str, float] = {
    "kill": 3.0,
    "pause": 3.0,
    "power": 3.0,
    "partition": 3.0,
    "delay": 2.0,
    "drop": 2.0,
    "reorder": 2.0,
    "duplicate": 1.0,
    "stutter": 1.0,
    "slow_sync": 1.0,
    "throttle": 0.5,
    "sync_error": 1.0,
    "disk_full": 1.0,
    "clock_jump": 0.5,
    "clock_drift": 0.3,
}
"""Kinds that random plans draw. Left out: corrupt (an agent that finds its log corrupt stops for good, as it should, so
only plans that expect that have it) and hog (a stutter by another name where there is no CPU to share)."""

_TARGETS: dict[str, float] = {
    "one": 3.5,
    "leader": 2.5,
    "minority": 1.5,
    "majority": 1.0,
    "all": 0.5,
    "others": 0.5,
    "role": 0.5,
}


DOWN_NS = MILLISECOND
BACK_NS = 6 * MILLISECOND
"""From a short crash to the next life: it is down for ``DOWN_NS``, and a restart takes some."""


def unit(plan: Plan) -> int:
    """The election timeout: the length that matters."""
    return plan.timing.election_timeout_ns


def hop(plan: Plan) -> int:
    """What one message and one sync take, about."""
    return plan.network.latency_ns + plan.network.jitter_ns // 2 + plan.disk.sync_ns


def patient(plan: Plan, retry_ns: int, patience_ns: int) -> Timing:
    """The plan's timing with clients that ask again and give up so soon; but none gives up before it can have asked every
    server and had two commands executed, the one that opens its session too, over these links and disks."""
    least_ns = len(playing(plan.cluster, "proposer")) * retry_ns + 4 * slowest_slot_ns(plan)
    return msgspec.structs.replace(
        plan.timing, client_retry_ns=retry_ns, operation_timeout_ns=max(patience_ns, least_ns)
    )


def stand_up(plan: Plan, draw: Draw, stands: str, quorum: Sequence[str], trigger: str, after_ns: int) -> list[Fault]:
    """One stands up and just these elect it: their clocks jump until any of them would lead, and its own a bit further."""
    voters = [name for name in quorum if name != stands]
    return [
        Fault(
            "clock_jump",
            f"agent:{','.join(names)}",
            trigger=trigger,
            after_ns=after_ns,
            duration_ns=spread(draw, hop(plan), 2.0, 6.0),
            params={"offset_ns": timeouts * unit(plan)},
        )
        for names, timeouts in ((voters, 1), ([stands], 5))
        if names
    ]


def stands_first(plan: Plan, name: str) -> Fault:
    """Its clock jumps at the start of the run, so that it stands up before anybody else would."""
    jump: dict[str, Parameter] = {"offset_ns": 2 * unit(plan)}
    return Fault("clock_jump", f"agent:{name}", at_ns=0, duration_ns=unit(plan), params=jump)


def ahead(plan: Plan, draw: Draw) -> dict[str, Parameter]:
    """A jump of the clock after which a leader seems to have been silent for long."""
    return {"offset_ns": spread(draw, unit(plan), 1.0, 2.5)}


def encore(plan: Plan, draw: Draw, at_ns: int = 0, trigger: str | None = None) -> list[Fault]:
    """The leader leads again: its clock jumps, so that it gives up, and once more, so that its wait is over, while the others
    are willing. What was on its way to it meanwhile comes late, in the time of its higher ballot. From ``at_ns`` on, or behind
    the trigger."""
    gives_up_ns, again_ns = (spread(draw, hop(plan), *hops) for hops in ((0.0, 3.0), (4.0, 7.0)))
    late: dict[str, Parameter] = {
        "probability": choice(draw, (0.3, 0.6, 0.9)),
        "jitter_ns": spread(draw, hop(plan), 6.0, 24.0),
        "way": "in",
    }
    leader, short_ns = "leader" if trigger is None else "it", spread(draw, hop(plan), 2.0, 6.0)
    moves: list[tuple[str, str, int, int, dict[str, Parameter]]] = [
        ("reorder", leader, 0, again_ns, late),
        ("clock_jump", leader, gives_up_ns, short_ns, {"offset_ns": 2 * unit(plan)}),
        ("clock_jump", leader, again_ns, short_ns, {"offset_ns": 5 * unit(plan)}),
        ("clock_jump", "others", again_ns, short_ns, {"offset_ns": unit(plan)}),
    ]
    return [
        Fault(
            kind,
            target,
            at_ns=at_ns + after_ns if trigger is None else None,
            trigger=trigger,
            after_ns=0 if trigger is None else after_ns,
            duration_ns=length_ns,
            params=params,
        )
        for kind, target, after_ns, length_ns, params in moves
        if trigger is not None or at_ns + after_ns < plan.duration_ns
    ]


def in_flight(plan: Plan, draw: Draw, frame: Frame) -> Plan:
    """Few commands, since what counts is how many ballots meet in a slot; or many slots in flight, a command each, of which a
    leader that is replaced leaves some with gaps between them."""
    thin, clients, rate = draw() < 0.4, choice(draw, (1, 2, 3)), choice(draw, (30.0, 60.0, 100.0))
    workload, limits = plan.workload, plan.limits
    if thin:
        workload = msgspec.structs.replace(workload, clients=clients, rate=rate, settle_rate=settle_share(rate))
    else:
        rate = choice(draw, (200.0, 400.0))
        workload = msgspec.structs.replace(workload, clients=8, rate=rate, settle_rate=settle_share(rate))
        limits = msgspec.structs.replace(limits, window=16, batch_commands=1)
    return msgspec.structs.replace(plan, workload=frame.workload or workload, limits=frame.limits or limits)


def some_in_flight(plan: Plan, draw: Draw, frame: Frame, snapshots: tuple[int, ...]) -> Plan:
    """A few slots at once, with a command each: enough for a gap, and few enough to have no end of values behind it. Messages
    take little of an election timeout, so that the next one leads before anybody else would."""
    clients, rate, every = choice(draw, (4, 6, 8)), choice(draw, (200.0, 400.0)), choice(draw, snapshots)
    limits = msgspec.structs.replace(
        plan.limits, window=choice(draw, (2, 2, 3, 4)), batch_commands=1, snapshot_every=every, keep_slots=0
    )
    workload = msgspec.structs.replace(plan.workload, clients=clients, rate=rate, settle_rate=0.1)
    patient = msgspec.structs.replace(plan.timing, retransmit_ns=choice(draw, (40, 150, 150)) * MILLISECOND)
    return msgspec.structs.replace(
        plan,
        network=Network(latency_ns=choice(draw, (200, 1000, 1000)) * 1000, jitter_ns=choice(draw, (100, 1000)) * 1000),
        disk=msgspec.structs.replace(plan.disk, sync_ns=500_000, jitter_ns=500_000),
        timing=patient if frame.base.timing == Timing() else plan.timing,
        workload=frame.workload or workload,
        limits=frame.limits or limits,
    )


def just_enough(plan: Plan, draw: Draw, stands: str, without: Sequence[str]) -> list[str]:
    """A quorum and no more, the one that stands in it if it votes, those of ``without`` only if there are no others."""
    voters = playing(plan.cluster, "acceptor")
    others = sample(draw, [name for name in voters if name != stands], len(voters))
    others.sort(key=lambda name: name in without)
    mine = [name for name in voters if name == stands]
    return (mine + others)[: len(voters) // 2 + 1]


def random_target(plan: Plan, draw: Draw) -> str:
    target = weighted(draw, _TARGETS)
    roles = ("proposer", "acceptor", "learner") if plan.cluster.deployment == "classic" else ("replica",)
    role = choice(draw, roles)
    return f"role:{role}" if target == "role" else target


def random_length(plan: Plan, draw: Draw, kind: str, longest: float = 3.0) -> int:
    """Mostly below one election timeout, now and then up to ``longest`` of them; kills may end at once. Link faults last at
    least some heartbeats, so that they meet a message."""
    scale = choice(draw, (0.3, 1.0, 1.0, longest))
    shortest = max(0.1 * scale, 0.3) if KINDS[kind].device == "link" else 0.1 * scale
    length = spread(draw, unit(plan), shortest, max(scale, shortest))
    return 0 if draw() < 0.15 and kind in ("kill", "power") else length


def random_params(plan: Plan, draw: Draw, kind: str) -> dict[str, Parameter]:
    """Parameters for one fault of that kind; those left out keep their defaults."""
    timeout = unit(plan)
    match kind:
        case "stutter":
            return {"running": round(0.05 + 0.55 * draw(), 2), "period_ns": spread(draw, timeout, 0.05, 0.5)}
        case "hog":
            return {"hogs": between(draw, 1, 3)}
        case "power":
            return {
                "unsynced": weighted(draw, {"lost": 3.0, "torn": 3.0, "garbled": 2.0, "scattered": 3.0, "kept": 1.0})
            }
        case "partition":
            shape = weighted(
                draw,
                {"isolate": 3.0, "one_way": 2.0, "halves": 1.5, "majority": 1.0, "ring": 1.0, "bridge": 1.0},
            )
            direction = choice(draw, ("deaf", "mute"))
            return {"shape": shape, "direction": direction} if shape == "one_way" else {"shape": shape}
        case "delay":
            return {"delay_ns": spread(draw, timeout, 0.05, 1.5), "jitter_ns": spread(draw, timeout, 0.0, 1.0)}
        case "drop":
            return {"probability": round(0.05 + 0.75 * draw(), 2)}
        case "duplicate":
            return {"probability": round(0.1 + 0.7 * draw(), 2), "jitter_ns": spread(draw, timeout, 0.0, 2.0)}
        case "reorder":
            return {"probability": round(0.1 + 0.6 * draw(), 2), "jitter_ns": spread(draw, timeout, 0.1, 2.0)}
        case "throttle":
            rate = max(1, between(draw, 2, 50) * SECOND // timeout)
            return {"per_second": rate, "queue_ns": spread(draw, timeout, 0.2, 2.0)}
        case "slow_sync":
            return {"delay_ns": spread(draw, timeout, 0.05, 1.0)}
        case "clock_jump":
            offset = stepped(int(timeout * 0.5 * 60 ** draw()))
            return {"offset_ns": offset if draw() < 0.5 else -offset}
        case "clock_drift":
            return {"rate": round(choice(draw, (0.3, 0.7, 1.5, 3.0)) * (0.8 + 0.4 * draw()), 2)}
        case _:
            return {}


def random_fault(plan: Plan, draw: Draw, kind: str, at_ns: int, longest: float = 3.0) -> Fault:
    """A fault of that kind at that time: random target, length and parameters."""
    target = random_target(plan, draw)
    length_ns = random_length(plan, draw, kind, longest)
    return Fault(kind, target, at_ns=at_ns, duration_ns=length_ns, params=random_params(plan, draw, kind))
