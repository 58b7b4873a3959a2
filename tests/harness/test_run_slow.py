"""Long runs on real processes: a storm of kills, and planted bugs that must be found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from harness.judgement import judge_run
from harness.record import RecordedRun
from harness.results import Results, Verdict
from harness.run import run_real
from nemesis.faults import Fault
from nemesis.plan import Cluster, Disk, Limits, Plan, Plant, Timing, Workload

MS = 1_000_000
SECOND = 1_000_000_000
TIMING = Timing(
    heartbeat_ns=20 * MS,
    election_timeout_ns=100 * MS,
    retransmit_ns=50 * MS,
    client_retry_ns=100 * MS,
    operation_timeout_ns=500 * MS,
)
BASE = Plan(
    name="test",
    settle_ns=20 * SECOND,
    timing=TIMING,
    disk=Disk(kind="memory"),
    workload=Workload(clients=8, rate=400.0),
)

pytestmark = pytest.mark.slow


def told(results: Results) -> str:
    return "\n".join(f"{check.name}: {check.verdict}: {check.summary}" for check in results.checks)


def storm(rounds: int) -> Iterator[Fault]:
    """Each round kills all but the leader ten times in a row, then the leader: the followers die while it goes on."""
    at_ns = 500 * MS
    for _ in range(rounds):
        for _ in range(10):
            yield Fault("kill", target="others", at_ns=at_ns)
            at_ns += 60 * MS
        yield Fault("kill", target="leader", at_ns=at_ns)
        at_ns += 400 * MS


def test_a_thousand_kills_under_full_load_wedge_nothing_and_lose_nothing(tmp_path: Path) -> None:
    faults = tuple(storm(50))
    plan = replace(
        BASE,
        faults=faults,
        duration_ns=(faults[-1].at_ns or 0) + SECOND,
        workload=Workload(clients=16, rate=0.0, keys=100, mix={"read": 0.3, "write": 0.5, "cas": 0.2}),
        limits=Limits(snapshot_every=100, keep_slots=20),
    )
    outcome = run_real(plan, tmp_path)
    assert outcome.errors == ()
    events = RecordedRun(outcome.directory).faults()
    dead = [seen for event in events if event.edge == "begin" and event.fault >= 0 for seen in event.evidence.values()]
    assert sum(isinstance(seen, dict) and seen.get("state") == "gone" for seen in dead) >= 1000
    assert [event for event in events if event.kind == "exit"] == [], (
        "an agent ended by itself: a torn message would do that"
    )
    results = judge_run(outcome.directory)
    checks = {check.name: check for check in results.checks}
    assert {name: check.summary for name, check in checks.items() if check.verdict is Verdict.FAIL} == {}
    assert checks["durability"].verdict is Verdict.PASS, told(results)
    assert checks["liveness"].verdict is Verdict.PASS, told(results)
    assert results.counts["by_type"]["ok"] > 1000


def _first_leader_forgets(fault: Fault, *more: Fault) -> Iterator[Plan]:
    for seed in range(4):
        yield replace(BASE, seed=seed, faults=(*more, fault), duration_ns=3 * SECOND)


def promise_not_logged() -> Iterator[Plan]:
    """Who promised is killed when its promise has made a leader, before any vote raises it in the log.

    Every message takes 50 ms, so the new leader's first Accept is still on its way when the kill comes.
    """
    slow = Fault("delay", "all", at_ns=0, duration_ns=2 * SECOND, params={"delay_ns": 50 * MS, "jitter_ns": 0})
    patient = replace(TIMING, election_timeout_ns=300 * MS)
    for plan in _first_leader_forgets(Fault("kill", "others", trigger="first leader", duration_ns=50 * MS), slow):
        yield replace(plan, timing=patient)


def answers_before_sync() -> Iterator[Plan]:
    """The power goes when a promise has made a leader and is not synced yet.

    The clocks of r1 and r2 are slow, so r0 stands up first; their syncs take 400 ms from the start, so what they promise is not
    durable when the power goes, however busy the machine is.
    """
    late = Fault("clock_drift", "agent:r1,r2", at_ns=0, duration_ns=2 * SECOND, params={"rate": 0.1})
    slow = Fault("slow_sync", "agent:r1,r2", at_ns=0, duration_ns=2 * SECOND, params={"delay_ns": 400 * MS})
    return _first_leader_forgets(Fault("power", "others", trigger="first leader", duration_ns=50 * MS), late, slow)


def quorum_too_small() -> Iterator[Plan]:
    """Each side of a partition takes itself for a majority."""
    for seed in range(4):
        cut = Fault("partition", "leader", at_ns=SECOND, duration_ns=SECOND)
        yield replace(BASE, seed=seed, faults=(cut,), duration_ns=3 * SECOND)


def accept_without_promise() -> Iterator[Plan]:
    """r2 hears the old leader late: it votes for the new one, whose Prepare it missed, and then for the old one again."""
    only_r2: dict[str, int | float | str] = {"way": "out", "peer": "r2"}
    for seed in range(6):
        yield replace(
            BASE,
            seed=seed,
            limits=Limits(snapshot_every=0),
            duration_ns=5 * SECOND,
            faults=(
                Fault("clock_drift", "agent:r1", at_ns=0, duration_ns=400 * MS, params={"rate": 0.1}),
                Fault("clock_drift", "agent:r2", at_ns=0, duration_ns=3000 * MS, params={"rate": 0.1}),
                Fault(
                    "delay",
                    "agent:r0",
                    at_ns=500 * MS,
                    duration_ns=1500 * MS,
                    params={**only_r2, "delay_ns": 2600 * MS, "jitter_ns": 0},
                ),
                Fault("pause", "agent:r0", at_ns=1800 * MS, duration_ns=250 * MS),
                Fault(
                    "drop",
                    "it",
                    trigger="agent r1 prepare",
                    duration_ns=300 * MS,
                    params={**only_r2, "probability": 1.0},
                ),
            ),
        )


def ballots_mixed() -> Iterator[Plan]:
    """From one second on p0 reaches a0 alone and p1 everybody but a0: a0 votes for what p0 proposes, then a1 for what p1
    proposes in the same slots, while p1's Accepts to a2 are still on their way."""

    def between(proposer: str, acceptor: str, kind: str, **params: float) -> Fault:
        where: dict[str, int | float | str] = {"way": "out", "peer": acceptor, **params}
        return Fault(kind, f"agent:{proposer}", at_ns=SECOND, duration_ns=2 * SECOND, params=where)

    patient = replace(TIMING, election_timeout_ns=400 * MS)
    for seed in range(4):
        yield replace(
            BASE,
            seed=seed,
            cluster=Cluster(deployment="classic", proposers=2, acceptors=3, learners=2),
            timing=patient,
            limits=Limits(snapshot_every=0),
            duration_ns=4 * SECOND,
            faults=(
                Fault("clock_drift", "agent:p1", at_ns=0, duration_ns=900 * MS, params={"rate": 0.1}),
                between("p0", "a1", "drop", probability=1.0),
                between("p0", "a2", "drop", probability=1.0),
                between("p1", "a0", "drop", probability=1.0),
                between("p1", "a2", "delay", delay_ns=100 * MS, jitter_ns=0),
            ),
        )


@pytest.mark.parametrize(
    ("mutant", "plans"),
    [
        ("A01", promise_not_logged),
        ("A03", answers_before_sync),
        ("A04", accept_without_promise),
        ("P01", quorum_too_small),
        ("L01", ballots_mixed),
    ],
)
def test_a_planted_bug_is_found_and_the_correct_code_is_not_blamed(mutant: str, plans: object, tmp_path: Path) -> None:
    assert callable(plans)
    tried = []
    for plan in plans():
        found = judge_run(run_real(replace(plan, mutant=Plant(mutant)), tmp_path).directory)
        tried.append(told(found))
        if found.verdict is Verdict.FAIL:
            break
    else:
        raise AssertionError("\n\n".join(tried))
    assert found.exit_code == 1
    violation = next(violation for check in found.checks for violation in check.violations)
    assert violation.agents
    clean = judge_run(run_real(plan, tmp_path).directory)
    assert clean.verdict is not Verdict.FAIL, told(clean)
