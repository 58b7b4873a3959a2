"""The simulator: events and commands a second on one core, what each layer costs, two jobs against one, lockstep.

An event is one agent step or one delivery decision of the network. Rates of one process are over its *processor* time, which
other work on the machine changes little; jobs and lockstep use several processes and are over wall time.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.measure import Report, Table, busy_share
from benchmarks.peers import PeerFailed
from harness.campaign import local_executor, run_campaign, seeds
from harness.worlds.lockstep.world import run_in_lockstep
from harness.worlds.simulated.world import SimulatedRun, SimulatedWorld
from nemesis.plan import SECOND, Plan, Workload
from nemesis.strategies import generate
from nemesis.strategies.frame import Frame

NODES, CLIENTS, KEYS = 5, 8, 5
PLANS, QUICK_PLANS = 8, 2
CAMPAIGN_RUNS, QUICK_CAMPAIGN_RUNS = 160, 16
LOCKSTEP_PLANS, QUICK_LOCKSTEP_PLANS = 5, 1
SCHEDULES, QUICK_SCHEDULES = 60, 10
DURATION_NS = 3 * SECOND
STRATEGY = "fast_uniform"
SMALL_WINDOWS = (2, 1)
PLAIN_STEPS = 5_000_000
GOALS = {"events": 200_000, "commands": 12_000, "digest": 0.2, "oracles": 0.15, "jobs": 1.8, "lockstep": 3_000}

Say = Callable[[str], None]


def with_window(slots: int) -> str:
    """With the default window each command has a slot of its own; with a small one those that wait share the next."""
    return "window of 1 slot" if slots == 1 else f"window of {slots} slots"


class WithoutDigest(SimulatedWorld):
    """Forgets what would go into the digest."""

    def _close_digest(self) -> None:
        self._block.clear()


class TimedEnd(SimulatedWorld):
    """Tells how long it judged what only the whole run shows."""

    end_s = 0.0

    def _check_end(self) -> None:
        began = time.process_time()
        super()._check_end()
        self.end_s = time.process_time() - began


class Cost(msgspec.Struct):
    """Of one way to run the plans."""

    cpu_s: float = 0.0
    events: int = 0
    commands: int = 0

    @property
    def events_per_s(self) -> float:
        return self.events / self.cpu_s

    @property
    def commands_per_s(self) -> float:
        return self.commands / self.cpu_s

    @property
    def event_us(self) -> float:
        return self.cpu_s / self.events * 1e6


def _window_of(slots: int, plan: Plan) -> SimulatedWorld:
    return SimulatedWorld(msgspec.structs.replace(plan, limits=msgspec.structs.replace(plan.limits, window=slots)))


LAYERS: dict[str, Callable[[Plan], SimulatedWorld]] = {
    "everything": SimulatedWorld,
    "without the digest": WithoutDigest,
    "without the oracles": lambda plan: SimulatedWorld(plan, oracles=False),
    "without both": lambda plan: WithoutDigest(plan, oracles=False),
    "recorded as for a report": lambda plan: SimulatedWorld(plan, record=True),
    "syncs in the background": lambda plan: SimulatedWorld(
        msgspec.structs.replace(plan, disk=msgspec.structs.replace(plan.disk, sync_blocks=False))
    ),
    **{with_window(slots): partial(_window_of, slots) for slots in SMALL_WINDOWS},
    "without faults": lambda plan: SimulatedWorld(msgspec.structs.replace(plan, faults=())),
}


def report(quick: bool, say: Say) -> Report:
    busy = busy_share(0.5)
    costs = layer_costs([bench_plan(seed) for seed in range(QUICK_PLANS if quick else PLANS)])
    whole = costs["everything"]
    say(f"one core: {whole.events_per_s:,.0f} events/s, {whole.commands_per_s:,.0f} commands/s")
    schedules = schedule_costs(QUICK_SCHEDULES if quick else SCHEDULES)
    speed_up, rates = jobs_speed_up(QUICK_CAMPAIGN_RUNS if quick else CAMPAIGN_RUNS)
    plain = plain_speed_up()
    say(f"two jobs: {speed_up:.2f} times one (plain loops: {plain:.2f})")
    lockstep, equal, plans = lockstep_rate(QUICK_LOCKSTEP_PLANS if quick else LOCKSTEP_PLANS)
    say(f"lockstep: {lockstep:,.0f} events/s")
    digest = 1 - costs["without the digest"].event_us / whole.event_us
    oracles = 1 - costs["without the oracles"].event_us / whole.event_us
    rows = (
        _goal("events a second of one core", whole.events_per_s, f"≥ {GOALS['events']:,}", GOALS["events"]),
        _goal("commands a second of one core", whole.commands_per_s, f"≥ {GOALS['commands']:,}", GOALS["commands"]),
        *(
            _goal(
                f"the same, {with_window(slots)}",
                costs[with_window(slots)].commands_per_s,
                f"≥ {GOALS['commands']:,}",
                GOALS["commands"],
            )
            for slots in SMALL_WINDOWS
        ),
        (
            "share of the digest",
            f"{digest:.0%}",
            f"≤ {GOALS['digest']:.0%}",
            "yes" if digest <= GOALS["digest"] else "no",
        ),
        (
            "share of the oracles",
            f"{oracles:.0%}",
            f"≤ {GOALS['oracles']:.0%}",
            "yes" if oracles <= GOALS["oracles"] else "no",
        ),
        (
            "schedules a second, two jobs against one",
            f"{speed_up:.2f} ×",
            f"≥ {GOALS['jobs']:g} ×",
            "yes" if speed_up >= GOALS["jobs"] else "no",
        ),
        ("the same of two plain loops: the machine's limit", f"{plain:.2f} ×", "", ""),
        _goal("lockstep, events a second", lockstep, f"≥ {GOALS['lockstep']:,}", GOALS["lockstep"]),
    )
    notes = (
        f"{NODES} replicas, {CLIENTS} clients in a closed loop, strategy {STRATEGY}, online oracles and digest on.",
        "With a window of many slots each command gets a slot of its own, five votes, five records and five syncs.",
        f"Lockstep: {equal} of {plans} plans gave the digest of the simulator; logs in memory-backed files.",
        f"CPUs {busy:.0%} busy before; two jobs and lockstep are slower when others need the CPUs.",
    )
    tables = (
        Table("Simulator", ("what", "measured", "goal", "reached"), rows, notes),
        _layers_table(costs),
        _schedules_table(schedules),
    )
    numbers = {
        "layers": {name: msgspec.to_builtins(cost) for name, cost in costs.items()},
        "schedule_s": schedules,
        "schedules_per_s": rates,
        "plain_speed_up": plain,
        "lockstep_events_per_s": lockstep,
    }
    return Report(tables, numbers)


def bench_plan(seed: int) -> Plan:
    """Faults of the strategy, clients that never wait (the command rate is what the code can do), agents that wait for their
    syncs as real ones do."""
    frame = Frame(
        deployment="collapsed",
        nodes=NODES,
        duration_ns=DURATION_NS,
        settle_ns=Plan().settle_ns,
        workload=Workload(clients=CLIENTS, rate=0.0, keys=KEYS),
        limits=Plan().limits,
        client_links_faulty=False,
    )
    plan = generate(STRATEGY, seed, frame)
    return msgspec.structs.replace(plan, disk=msgspec.structs.replace(plan.disk, sync_blocks=True))


def layer_costs(plans: list[Plan]) -> dict[str, Cost]:
    """Every plan in every way, there and back again; the faster of the two counts."""
    costs = {name: Cost() for name in LAYERS}
    for plan in plans:
        times: dict[str, list[float]] = {name: [] for name in LAYERS}
        for name in [*LAYERS, *reversed(LAYERS)]:
            world = LAYERS[name](plan)
            gc.collect()
            began = time.process_time()
            run = world.run()
            times[name].append(time.process_time() - began)
            if len(times[name]) == 2:
                cost = costs[name]
                cost.cpu_s += min(times[name])
                cost.events += run.steps
                cost.commands += run.commands
            _expect_clean(run)
    return costs


def schedule_costs(count: int) -> dict[str, float]:
    """Processor seconds of a mean schedule of the portfolio, by part."""
    parts = dict.fromkeys(("making the plan", "making the world", "running it", "judging its end"), 0.0)
    for seed in range(count):
        times = [time.process_time()]
        plan = generate("portfolio", seed, Frame())
        times.append(time.process_time())
        world = TimedEnd(plan)
        times.append(time.process_time())
        _expect_clean(world.run())
        times.append(time.process_time() - world.end_s)
        for part, began, ended in zip(parts, times, times[1:], strict=False):
            parts[part] += (ended - began) / count
        parts["judging its end"] += world.end_s / count
    return parts


def jobs_speed_up(runs: int) -> tuple[float, dict[str, list[float]]]:
    """Schedules a second with two jobs over those with one, in turns; and all rates, by jobs."""
    rates: dict[str, list[float]] = {"1": [], "2": []}
    with tempfile.TemporaryDirectory(prefix="paxos-benchmark-") as store:
        for jobs in (1, 2, 2, 1):
            result = run_campaign(seeds(STRATEGY, 0, runs), store=Path(store), jobs=jobs)
            rates[str(jobs)].append(result.runs / result.wall_s)
    return statistics.fmean(rates["2"]) / statistics.fmean(rates["1"]), rates


def plain_speed_up() -> float:
    """The same of loops that share nothing, not even memory: what this machine's two cores are worth together."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    with local_executor(2) as executor:
        for jobs in (1, 2, 2, 1):
            began = time.perf_counter()
            for _ in range(4):
                wait([executor.submit(_plain_loop) for _ in range(jobs)])
            rates[jobs].append(4 * jobs / (time.perf_counter() - began))
    return statistics.fmean(rates[2]) / statistics.fmean(rates[1])


def _plain_loop() -> int:
    return sum(number & 7 for number in range(PLAIN_STEPS))


def lockstep_rate(count: int) -> tuple[float, int, int]:
    """Events a second over wall time; how many plans gave the simulator's digest, of how many."""
    events, wall_s, equal = 0, 0.0, 0
    for seed in range(count):
        plan = generate(STRATEGY, seed, Frame(deployment="collapsed", nodes=NODES))
        began = time.perf_counter()
        stepped = run_in_lockstep(plan)
        wall_s += time.perf_counter() - began
        events += stepped.steps
        equal += stepped.digest == SimulatedWorld(plan).run().digest
    return events / wall_s, equal, count


def _expect_clean(run: SimulatedRun) -> None:
    if run.violations:
        raise PeerFailed(f"seed {run.plan.seed} of {STRATEGY} is no fit plan: {run.violations[0].sentence}")


def _goal(what: str, rate: float, wanted: str, least: float) -> tuple[str, str, str, str]:
    return what, f"{rate:,.0f}", wanted, "yes" if rate >= least else "no"


def _schedules_table(parts: dict[str, float]) -> Table:
    whole = sum(parts.values())
    rows = [(part, f"{seconds * 1000:.1f}", f"{seconds / whole:.0%}") for part, seconds in parts.items()]
    rows.append(("all", f"{whole * 1000:.1f}", "100%"))
    return Table("A mean schedule of the portfolio", ("part", "ms", "share"), tuple(rows), ("Processor time.",))


def _layers_table(costs: dict[str, Cost]) -> Table:
    whole = costs["everything"].event_us
    rows: list[tuple[Any, ...]] = []
    for name, cost in costs.items():
        rows.append(
            (
                name,
                f"{cost.event_us:.2f}",
                f"{cost.event_us / whole - 1:+.0%}",
                f"{cost.events_per_s:,.0f}",
                f"{cost.commands_per_s:,.0f}",
                f"{cost.events / max(1, cost.commands):.1f}",
            )
        )
    columns = ("way to run", "µs an event", "against everything", "events/s", "commands/s", "events a command")
    return Table("What each layer costs", columns, tuple(rows), ("Over processor time of one process.",))
