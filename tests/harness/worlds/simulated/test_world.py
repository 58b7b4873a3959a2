"""The simulated world: what each fault does to the cluster in it, and that deaths strike where the plan says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.worlds.simulated.cluster import Options
from harness.worlds.simulated.process import SimulatedProcess
from harness.worlds.simulated.world import SimulatedRun, SimulatedWorld, simulate
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Cluster, Deployment, Disk, Limits, Plan, Workload
from nemesis.strategies import generate

CLASSIC = Cluster("classic", proposers=2, acceptors=3, learners=2)
BASE = Plan(
    seed=7,
    duration_ns=800 * MILLISECOND,
    settle_ns=1500 * MILLISECOND,
    workload=Workload(clients=3, rate=100.0, keys=2),
    limits=Limits(snapshot_every=10, keep_slots=2),
)


def run(*faults: Fault, deployment: Deployment = "collapsed", **changes: Any) -> SimulatedRun:
    cluster = CLASSIC if deployment == "classic" else Cluster()
    return simulate(msgspec.structs.replace(BASE, cluster=cluster, faults=faults, **changes), record=True)


def events(run_: SimulatedRun, kind: str) -> list[tuple[str, int, Any]]:
    """(agent, incarnation, event) of one kind, in order of time."""
    assert run_.recording is not None
    rows = [
        (event.time_ns, agent, incarnation, event)
        for (agent, incarnation), many in run_.recording.events.items()
        for event in many
        if event.kind == kind
    ]
    return [(agent, incarnation, event) for _, agent, incarnation, event in sorted(rows, key=lambda row: row[:3])]


def evidence(run_: SimulatedRun, kind: str, edge: str = "begin") -> dict[str, Any]:
    return next(dict(row.evidence) for row in run_.faults if row.kind == kind and row.edge == edge and row.fault >= 0)


@pytest.mark.parametrize("deployment", ["collapsed", "classic"])
def test_a_calm_run_serves_its_clients_and_ends_well(deployment: Deployment) -> None:
    calm = run(deployment=deployment)
    assert calm.violations == []
    assert calm.commands > 60
    assert calm.recording is not None
    ended = {(row.process, row.seq) for row in calm.recording.history if row.type != "invoke"}
    assert ended == {(row.process, row.seq) for row in calm.recording.history if row.type == "invoke"}


@pytest.mark.parametrize(
    "what", ["appended", "synced", "sent_accept", "sent_promise", "accepted", "promised", "leader"]
)
@pytest.mark.parametrize("kind", ["kill", "power"])
@pytest.mark.parametrize("deployment", ["collapsed", "classic"])
def test_a_trigger_kills_in_the_middle_of_a_step(what: str, kind: str, deployment: Deployment) -> None:
    """Between an append and its sync, between a sync and the messages it lets go, between two sends, between two effects."""
    which = "first" if what == "leader" else "2nd"
    struck = run(Fault(kind, "it", trigger=f"{which} {what}", duration_ns=50 * MILLISECOND), deployment=deployment)
    assert struck.violations == []
    begun = next(row for row in struck.faults if row.fault == 0)
    assert (begun.edge, begun.kind, len(begun.targets)) == ("begin", kind, 1)
    lives = {agent for agent, incarnation, _ in events(struck, "started") if incarnation == 3}
    assert lives == set(begun.targets)
    assert struck.commands > 20


def test_a_death_between_two_sends_lets_the_first_go_and_not_the_second() -> None:
    struck = run(Fault("kill", "it", trigger="2nd sent_accept", duration_ns=-1))
    (leader,) = {row.targets for row in struck.faults if row.fault == 0 and row.edge == "begin"}
    proposed = [
        event for agent, incarnation, event in events(struck, "propose") if (agent,) == leader and incarnation == 1
    ]
    voted = {agent for agent, _, event in events(struck, "accepted") if event.ballot == proposed[0].ballot}
    assert len(voted - set(leader)) == 1


def test_a_stopped_agent_does_nothing_and_then_everything() -> None:
    begin, length = 300 * MILLISECOND, 200 * MILLISECOND
    stopped = run(Fault("pause", "agent:r1", at_ns=begin, duration_ns=length))
    assert stopped.violations == []
    assert stopped.recording is not None
    times = [event.time_ns for event in stopped.recording.events["r1", 1]]
    assert not [at for at in times if begin < at < begin + length]
    assert evidence(stopped, "pause", "end")["missed_events"] > 10


@pytest.mark.parametrize("sync_blocks", [True, False])
def test_an_agent_that_waits_for_its_sync_then_takes_all_that_came_as_one_batch(sync_blocks: bool) -> None:
    """Requests that came during a sync share a slot; timers are late by one sync at most, so the leader stays."""
    disk = Disk(sync_ns=10 * MILLISECOND, jitter_ns=0, sync_blocks=sync_blocks)
    waiting = run(disk=disk, workload=Workload(clients=8, rate=0.0, keys=2), final_power_cut=False)
    assert waiting.violations == []
    assert waiting.commands > 100
    together = [event for _, _, event in events(waiting, "propose") if len(event.value) > 1]
    assert bool(together) == sync_blocks
    assert [event for _, _, event in events(waiting, "step_down") if event.time_ns > 300 * MILLISECOND] == []


def test_a_power_cut_tells_what_it_lost_and_the_agent_comes_back() -> None:
    cut = run(Fault("power", "all", at_ns=300 * MILLISECOND, duration_ns=20 * MILLISECOND, params={"unsynced": "torn"}))
    assert cut.violations == []
    told = evidence(cut, "power")
    assert told["cut"] == 3 and told["unsynced_bytes"] >= told["lost_bytes"]
    assert {incarnation for _, incarnation, _ in events(cut, "started")} == {1, 2, 3}


@pytest.mark.parametrize("kind", ["disk_full", "sync_error"])
def test_an_agent_stops_when_its_disk_fails_and_the_others_go_on(kind: str) -> None:
    failed = run(Fault(kind, "agent:r1", at_ns=300 * MILLISECOND, duration_ns=100 * MILLISECOND))
    assert failed.violations == []
    assert evidence(failed, kind, "end")["stopped_by_disk"] == ["r1"]
    assert failed.commands > 60


def test_damage_below_what_was_durable_stops_the_agent_at_its_restart() -> None:
    stops = 0
    for seed in range(12):
        damaged = run(
            Fault("corrupt", "agent:r1", at_ns=400 * MILLISECOND, duration_ns=10 * MILLISECOND),
            Fault("kill", "agent:r1", at_ns=500 * MILLISECOND, duration_ns=50 * MILLISECOND),
            seed=seed,
            limits=Limits(snapshot_every=0),
        )
        assert evidence(damaged, "corrupt")["r1"]["file"].startswith("log-")
        stops += all(incarnation < 2 for agent, incarnation, _ in events(damaged, "recovered") if agent == "r1")
        assert damaged.violations == []
    assert stops > 6


@pytest.mark.parametrize(
    ("kind", "params"), [("clock_jump", {"offset_ns": 150 * MILLISECOND}), ("clock_drift", {"rate": 1.3})]
)
def test_a_wrong_clock_breaks_nothing(kind: str, params: dict[str, Any]) -> None:
    assert (
        run(Fault(kind, "agent:r0", at_ns=300 * MILLISECOND, duration_ns=200 * MILLISECOND, params=params)).violations
        == []
    )


def test_a_cut_link_loses_messages_one_way_only() -> None:
    plain = run()
    cut = run(
        Fault("partition", "agent:r2", at_ns=200 * MILLISECOND, duration_ns=400 * MILLISECOND, params={"way": "in"})
    )
    assert cut.violations == []
    assert cut.digest != plain.digest


def test_an_unhealed_fault_is_undone_at_the_end() -> None:
    lasting = run(Fault("kill", "minority", at_ns=200 * MILLISECOND, duration_ns=-1))
    assert lasting.violations == []
    assert {agent for agent, incarnation, _ in events(lasting, "started") if incarnation == 3} != set()


class OneThingAtATime(SimulatedWorld):
    """Notes steps that begin inside another one of the same agent."""

    def __init__(self, plan: Plan) -> None:
        self.under_way: set[int] = set()
        self.nested: list[str] = []
        super().__init__(plan)

    def _step(self, process: SimulatedProcess, event: Any, what: Any) -> None:
        if process.in_a_step:
            super()._step(process, event, what)
            return
        if process.id in self.under_way:
            self.nested.append(process.name)
        self.under_way.add(process.id)
        try:
            super()._step(process, event, what)
        finally:
            self.under_way.discard(process.id)


@pytest.mark.parametrize("kind", ["chosen", "leader", "propose", "accepted", "promised"])
def test_a_trigger_never_makes_an_agent_do_two_things_at_once(kind: str) -> None:
    """A clock that jumps in the middle of a step lets timers run when that step has ended, not inside it."""
    jumps = tuple(
        Fault(
            "clock_jump", "all", trigger=f"{number}th {kind}", duration_ns=MILLISECOND, params={"offset_ns": 3 * 10**8}
        )
        for number in range(1, 40)
    )
    world = OneThingAtATime(msgspec.structs.replace(BASE, faults=jumps))
    assert world.run().violations == []
    assert world.nested == []
    assert sum(row.edge == "begin" for row in world.faults) > 3


def test_how_a_run_of_the_unmodified_code_is_judged_changes_nothing_in_it() -> None:
    plan = generate("aimed", 3)
    whole, recorded, unjudged = (
        SimulatedWorld(plan, **options).run()
        for options in (Options(), Options(as_recorded=True), Options(oracles=False))
    )
    assert whole.digest == recorded.digest == unjudged.digest
    assert not whole.violations and not recorded.violations
    assert whole.situations and set(recorded.situations) <= set(whole.situations) and not unjudged.situations
