"""Legal behaviour that looks like a broken rule, if it is not known what was said long ago, heard of the dead, or held up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.worlds.simulated.world import simulate
from nemesis.faults import Fault, Parameter
from nemesis.plan import MILLISECOND, Disk, Limits, Plan, Timing, Workload, validate
from nemesis.triggers import ordinal

MS = MILLISECOND


def rules(faults: Sequence[Fault], seed: int = 0, **changes: object) -> list[str]:
    plan = Plan(seed=seed, faults=tuple(faults), final_power_cut=False, **changes)  # type: ignore[arg-type]
    validate(plan)
    return [violation.rule for violation in simulate(plan).violations]


@pytest.mark.parametrize(("kind", "params"), [("pause", {}), ("clock_jump", {"offset_ns": 1000})])
def test_a_heartbeat_that_a_slow_sync_kept_back_is_old_though_its_agent_was_stopped_meanwhile(
    kind: str, params: dict[str, Parameter]
) -> None:
    faults = [
        Fault("slow_sync", "leader", at_ns=600 * MS, duration_ns=300 * MS, params={"delay_ns": 1000 * MS}),
        Fault("partition", "leader", at_ns=700 * MS, duration_ns=1500 * MS, params={"shape": "isolate"}),
        Fault(kind, "leader", at_ns=750 * MS, duration_ns=MS, params=params),
    ]
    assert [rules(faults, seed, duration_ns=3000 * MS) for seed in range(4)] == [[]] * 4


def test_a_wait_during_which_the_clock_was_slow_is_no_longer_than_others() -> None:
    lost = [
        Fault(
            "drop",
            "it",
            trigger=f"{ordinal(number)} prepare",
            duration_ns=250 * MS,
            params={"probability": 1.0, "way": "in"},
        )
        for number in range(1, 9)
    ]
    for seed in range(40):
        slow = Fault("clock_drift", "all", at_ns=(900 + 10 * seed) * MS, duration_ns=600 * MS, params={"rate": 0.24})
        load = Workload(clients=1, rate=10.0)
        assert rules([*lost, slow], seed, duration_ns=3500 * MS, workload=load) == []


def test_late_heartbeats_of_a_leader_that_has_restarted_are_heard_by_who_does_not_know_that() -> None:
    late: dict[str, Parameter] = {"delay_ns": 930 * MS, "jitter_ns": 0, "way": "out", "peer": "r1"}
    faults = [
        Fault("clock_jump", "agent:r0", at_ns=0, duration_ns=100 * MS, params={"offset_ns": 200 * MS}),
        Fault("delay", "agent:r0", at_ns=700 * MS, duration_ns=-1, params=late),
        Fault("kill", "agent:r0", at_ns=1600 * MS, duration_ns=0),
        Fault("kill", "agent:r2", at_ns=1600 * MS, duration_ns=1700 * MS),
    ]
    for seed in range(4):
        assert rules(faults, seed, duration_ns=3500 * MS, workload=Workload(clients=1, rate=10.0)) == []


def test_late_grants_of_what_an_earlier_life_asked_for_count_when_it_is_asked_again() -> None:
    ahead: dict[str, Parameter] = {"offset_ns": 300 * MS}
    late: dict[str, Parameter] = {"delay_ns": 520 * MS, "jitter_ns": 0, "way": "in"}
    faults = [
        Fault("clock_jump", "agent:r0", at_ns=2 * MS, duration_ns=3000 * MS, params=ahead),
        Fault("delay", "agent:r0", at_ns=0, duration_ns=40 * MS, params=late),
        Fault("clock_jump", "agent:r0", at_ns=300 * MS, duration_ns=2000 * MS, params=ahead),
        Fault("slow_sync", "agent:r0", at_ns=310 * MS, duration_ns=300 * MS, params={"delay_ns": 400 * MS}),
        Fault("kill", "agent:r0", at_ns=320 * MS, duration_ns=0),
        Fault("partition", "agent:r0", at_ns=318 * MS, duration_ns=800 * MS, params={"shape": "isolate"}),
    ]
    for seed in range(8):
        assert rules(faults, seed, duration_ns=3500 * MS, workload=Workload(clients=1, rate=10.0)) == []


def test_a_leader_that_waits_for_its_syncs_repeats_what_it_asked_for_behind_them() -> None:
    lost = Fault("drop", "leader", at_ns=400 * MS, duration_ns=600 * MS, params={"probability": 0.6, "way": "out"})
    slow = Disk(sync_ns=20 * MS, jitter_ns=0, sync_blocks=True)
    for seed in range(3):
        assert rules([lost], seed, duration_ns=1500 * MS, timing=Timing(retransmit_ns=2 * MS), disk=slow) == []


def test_who_asks_in_turns_may_ask_one_peer_alone_while_another_one_leads_each_time() -> None:
    """The leader is asked first, then the other one: but that leads by then, and the one before is the other one."""
    turn = 1200 * MS
    faults = [
        Fault("clock_jump", "agent:r1", at_ns=0, duration_ns=50 * MS, params={"offset_ns": 150 * MS}),
        Fault("partition", "agent:r0", at_ns=600 * MS, duration_ns=300 * MS, params={"shape": "isolate"}),
        Fault(
            "partition", "agent:r0", at_ns=600 * MS, duration_ns=-1, params={"shape": "one_way", "direction": "mute"}
        ),
    ]
    for number in range(6):
        whom = "agent:r1" if number % 2 == 0 else "agent:r2"
        faults.append(Fault("pause", whom, at_ns=1200 * MS + number * turn, duration_ns=turn // 2))
    slow, short, calm = Timing(retransmit_ns=turn), Limits(snapshot_every=0), Workload(clients=2, rate=20.0)
    for seed in range(3):
        assert rules(faults, seed, duration_ns=9000 * MS, timing=slow, limits=short, workload=calm) == []
