"""Whole runs on real processes: a cluster is tortured, and what was recorded is judged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from harness.errors import UserError
from harness.judgement import judge_run
from harness.record import FaultEvent, RecordedRun
from harness.results import Results, Verdict
from harness.run import RunOutcome, Status, run_real, with_time_to_settle
from nemesis.faults import Fault
from nemesis.plan import Cluster, Disk, Plan, PlanError, Timing, Workload, encode_plan

MS = 1_000_000
SECOND = 1_000_000_000
PATIENCE_S = 60.0
TIMING = Timing(
    heartbeat_ns=30 * MS,
    election_timeout_ns=200 * MS,
    retransmit_ns=80 * MS,
    client_retry_ns=150 * MS,
    operation_timeout_ns=500 * MS,
)


def plan_of(*faults: Fault, seconds: float = 1.5, **fields: Any) -> Plan:
    defaults: dict[str, Any] = {
        "name": "test",
        "duration_ns": int(seconds * SECOND),
        "settle_ns": 20 * SECOND,
        "timing": TIMING,
        "workload": Workload(clients=6, rate=300.0),
        "disk": Disk(kind="memory"),
        "faults": faults,
    }
    return Plan(**(defaults | fields))


def run(plan: Plan, store: Path) -> tuple[RunOutcome, Results]:
    before = psutil.Process().children(recursive=True)
    outcome = run_real(plan, store)
    assert psutil.Process().children(recursive=True) == before
    return outcome, judge_run(outcome.directory)


def told(results: Results) -> str:
    """What the checks say, for the message of an assertion that fails."""
    return "\n".join(f"{check.name}: {check.verdict}: {check.summary}" for check in results.checks)


def events(outcome: RunOutcome, fault: int, edge: str) -> list[FaultEvent]:
    return [event for event in RecordedRun(outcome.directory).faults() if (event.fault, event.edge) == (fault, edge)]


def test_a_leader_is_killed_and_every_acknowledged_write_survives_a_final_power_cut(tmp_path: Path) -> None:
    plan = plan_of(Fault("kill", target="leader", at_ns=500 * MS, duration_ns=SECOND), seconds=2)
    outcome, results = run(plan, tmp_path)
    assert outcome.errors == ()
    assert results.verdict is Verdict.PASS, told(results)
    assert outcome.directory == (tmp_path / "latest").resolve()
    (killed,) = events(outcome, 0, "begin")
    assert killed.evidence[killed.targets[0]]["state"] == "gone"
    (back,) = events(outcome, 0, "end")
    assert back.evidence[killed.targets[0]]["incarnation"] == 2
    *_, end = events(outcome, -1, "end")
    assert end.kind == "power"
    assert (end.evidence["all_back"], end.evidence["read_back"]) == (True, True)
    assert results.counts["incarnations"] == {
        name: 3 if name == killed.targets[0] else 2 for name in ("r0", "r1", "r2")
    }


def test_the_classic_deployment_runs_every_role_in_a_process_of_its_own(tmp_path: Path) -> None:
    cluster = Cluster(deployment="classic", proposers=2, acceptors=3, learners=2)
    plan = plan_of(
        Fault("kill", target="role:acceptor", at_ns=300 * MS, duration_ns=400 * MS),
        Fault("kill", target="role:learner", at_ns=800 * MS, duration_ns=300 * MS),
        cluster=cluster,
        disk=Disk(kind="disk"),
    )
    outcome, results = run(plan, tmp_path)
    assert outcome.errors == ()
    assert results.verdict is Verdict.PASS, told(results)
    assert sorted(path.name for path in (outcome.directory / "data").iterdir()) == [
        "a0", "a1", "a2", "l0", "l1", "p0", "p1"
    ]  # fmt: skip


def test_processes_links_disks_and_clocks_are_faulted_at_once_and_healed(tmp_path: Path) -> None:
    half = 500 * MS
    plan = plan_of(
        Fault("pause", target="agent:r1", at_ns=200 * MS, duration_ns=half),
        Fault("stutter", target="agent:r2", at_ns=300 * MS, duration_ns=half),
        Fault("hog", target="agent:r0", at_ns=400 * MS, duration_ns=half),
        Fault("drop", target="all", at_ns=500 * MS, duration_ns=half, params={"probability": 0.1}),
        Fault("delay", target="all", at_ns=600 * MS, duration_ns=half, params={"delay_ns": 2 * MS}),
        Fault("slow_sync", target="all", at_ns=600 * MS, duration_ns=1300 * MS, params={"delay_ns": 2 * MS}),
        Fault("clock_jump", target="agent:r0", at_ns=700 * MS, duration_ns=-1),
        Fault("clock_drift", target="agent:r1", at_ns=700 * MS, duration_ns=-1),
        Fault("power", target="agent:r2", at_ns=1000 * MS, duration_ns=0, params={"unsynced": "torn"}),
        seconds=2,
    )
    outcome, results = run(plan, tmp_path)
    assert outcome.errors == ()
    assert results.verdict is Verdict.PASS, told(results)
    assert all(fault.landed for fault in results.faults)
    (stuttered,) = events(outcome, 1, "end")
    assert stuttered.evidence["r2"]["seen_stopped"] > 0
    (slowed,) = events(outcome, 5, "end")
    assert slowed.evidence["r0"]["syncs_slowed"] > 0
    (drifted,) = events(outcome, 7, "end")
    assert drifted.evidence["r1"] == {"ahead_ms": pytest.approx(200, abs=200), "rate": 1.0}


def test_a_full_disk_and_a_failing_sync_stop_an_agent_until_they_are_healed(tmp_path: Path) -> None:
    plan = plan_of(
        Fault("disk_full", target="leader", at_ns=500 * MS, duration_ns=SECOND),
        Fault("sync_error", target="leader", at_ns=2000 * MS, duration_ns=SECOND),
        seconds=3.5,
    )
    outcome, results = run(plan, tmp_path)
    assert results.verdict is Verdict.PASS, told(results)
    exits = [event for event in events(outcome, -1, "note") if event.kind == "exit"]
    assert [event.evidence["meaning"] for event in exits] == ["stopped by a storage fault"] * 2
    assert "no space left on device" in exits[0].evidence["said"]
    assert [event.evidence[event.targets[0]]["incarnation"] > 1 for event in events(outcome, 0, "end")] == [True]


def test_an_agent_that_rightly_refuses_its_damaged_log_is_not_waited_for(tmp_path: Path) -> None:
    plan = plan_of(Fault("corrupt", target="agent:r1", at_ns=800 * MS, duration_ns=300 * MS), disk=Disk(kind="disk"))
    outcome, results = run(plan, tmp_path)
    assert outcome.errors == ()
    assert results.verdict is Verdict.PASS, told(results)
    settled = next(event for event in events(outcome, -1, "end") if event.kind == "power")
    assert settled.evidence["all_back"] is True, "r1 was waited for until the bound was over"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("kill", target="leader", at_ns=900 * MS, duration_ns=-1),
        Fault("pause", target="leader", at_ns=900 * MS, duration_ns=-1),
        Fault("partition", target="leader", at_ns=900 * MS, duration_ns=-1, params={"shape": "isolate"}),
    ],
    ids=lambda fault: fault.kind,
)
def test_healing_a_majority_leaves_the_rest_broken_until_every_client_made_progress(
    fault: Fault, tmp_path: Path
) -> None:
    outcome, results = run(plan_of(fault, heal="majority"), tmp_path)
    assert outcome.errors == ()
    assert results.verdict is Verdict.PASS, told(results)
    (begun,), (ended,) = events(outcome, 0, "begin"), events(outcome, 0, "end")
    heal, *_ = events(outcome, -1, "end")
    settled = next(event for event in events(outcome, -1, "note") if event.kind == "settled")
    assert heal.evidence["left_broken"] == list(begun.targets)
    assert heal.time_ns < settled.time_ns < ended.time_ns
    assert settled.evidence == {"every_client_progressed": True}


def test_one_link_stays_cut_while_all_others_are_healed(tmp_path: Path) -> None:
    """r1 cannot lead at first: its link to whoever does stays cut until every client has made progress."""
    plan = plan_of(
        Fault("pause", target="agent:r1", at_ns=0, duration_ns=600 * MS),
        Fault("drop", target="leader", at_ns=900 * MS, duration_ns=-1, params={"probability": 1.0, "peer": "r1"}),
        Fault("drop", target="leader", at_ns=900 * MS, duration_ns=-1, params={"probability": 0.2}),
        heal="majority",
    )
    outcome, results = run(plan, tmp_path)
    assert outcome.errors == ()
    assert results.verdict is Verdict.PASS, told(results)
    (ended,), (noise,) = events(outcome, 1, "end"), events(outcome, 2, "end")
    heal, *_ = events(outcome, -1, "end")
    settled = next(event for event in events(outcome, -1, "note") if event.kind == "settled")
    assert heal.evidence["left_broken"] == ["r1"]
    assert noise.time_ns < heal.time_ns < settled.time_ns < ended.time_ns
    assert ended.evidence["links"] == 2 and ended.evidence["dropped"] == ended.evidence["messages"] > 0
    assert settled.evidence == {"every_client_progressed": True}


def test_faults_begin_at_the_very_moment_an_agent_does_something(tmp_path: Path) -> None:
    plan = plan_of(
        Fault("kill", target="it", trigger="first leader", duration_ns=100 * MS),
        Fault("power", target="it", trigger="20th appended", duration_ns=100 * MS, params={"unsynced": "lost"}),
        Fault("kill", target="it", trigger="30th synced", duration_ns=100 * MS),
        Fault(
            "drop",
            target="it",
            trigger="10th sent_accept",
            duration_ns=2 * SECOND,
            params={"limit": 1, "probability": 1},
        ),
        Fault("pause", target="it", trigger="15th acceptor accepted", duration_ns=100 * MS),
        Fault("power", target="it", trigger="first would_forget", duration_ns=100 * MS),
        seconds=4,
    )
    outcome, results = run(plan, tmp_path)
    assert outcome.errors == ()
    assert results.verdict is Verdict.PASS, told(results)
    (cut,) = events(outcome, 1, "begin")
    assert cut.evidence[cut.evidence["triggered_by"]]["unsynced_bytes"] > 0, "it was killed between append and sync"
    (dropped,) = events(outcome, 3, "end")
    assert dropped.evidence["dropped"] == 1
    (foreseen,) = events(outcome, 5, "note")
    assert "did not come" in foreseen.evidence["not_begun"], "free processes foresee nothing"


def test_several_client_processes_share_the_load_and_what_is_too_much_is_shed(tmp_path: Path) -> None:
    plan = plan_of(workload=Workload(clients=100, rate=0.0), seconds=0.5, final_power_cut=False)
    statuses: list[Status] = []
    outcome = run_real(plan, tmp_path, progress=statuses.append)
    assert sorted(path.name for path in (outcome.directory / "history").iterdir()) == ["client0.rows", "client1.rows"]
    results = judge_run(outcome.directory)
    assert results.verdict is Verdict.PASS, told(results)
    assert statuses[-1].operations["clients"] == 100
    assert {status.phase for status in statuses} >= {"torture", "settle"}


def test_a_plan_that_cannot_be_run_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"faults\[0\]"):
        run_real(plan_of(Fault("earthquake", at_ns=1)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_written_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(UserError, match="--store"):
        run_real(plan_of(), tmp_path / "file")


# -- a harness that is interrupted, killed, or has no room left ---------------------------------------------------------


class HarnessProcess:
    """A run in a process of its own, to be interrupted."""

    def __init__(self, plan: Plan, directory: Path, before: str = "") -> None:
        directory.mkdir()
        (directory / "plan.json").write_bytes(encode_plan(plan))
        code = (
            "import sys; from pathlib import Path; from harness.run import run_real; from nemesis.plan import load_plan\n"
            f"{before}\n"
            "place = Path(sys.argv[1])\n"
            "outcome = run_real(load_plan(place / 'plan.json'), place / 'store')\n"
            "print(outcome.interrupted, *outcome.errors, sep='|')"
        )
        self.store = directory / "store"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.seen: dict[int, psutil.Process] = {}

    def wait_for_fault(self, kind: str) -> Path:
        """Until a fault of that kind has begun; returns the run directory."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            assert self.process.poll() is None, self.process.communicate()
            found = (self.store / "latest" / "faults" / "nemesis.rows") if (self.store / "latest").exists() else None
            if found is not None and found.exists():
                run = RecordedRun(found.parent.parent)
                if any(event.kind == kind and event.edge == "begin" for event in run.faults()):
                    self.seen = {
                        child.pid: child for child in psutil.Process(self.process.pid).children(recursive=True)
                    }
                    return found.parent.parent.resolve()
            time.sleep(0.02)
        raise AssertionError(f"no {kind} began")

    def result(self) -> list[str]:
        """What it printed at its end: interrupted, errors."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, err
        return out.strip().split("|")

    def assert_nothing_left(self) -> None:
        until = time.monotonic() + PATIENCE_S
        left = list(self.seen.values())
        while left and time.monotonic() < until:
            left = [child for child in left if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
            time.sleep(0.02)
        assert self.seen
        assert left == []


LONG = plan_of(
    Fault("pause", target="agent:r0", at_ns=300 * MS, duration_ns=-1),
    Fault("stutter", target="agent:r1", at_ns=300 * MS, duration_ns=-1),
    Fault("hog", target="agent:r2", at_ns=400 * MS, duration_ns=-1, params={"hogs": 1}),
    seconds=60,
)


def test_an_interrupted_run_heals_stops_everything_and_can_be_judged(tmp_path: Path) -> None:
    harness = HarnessProcess(LONG, tmp_path / "run")
    directory = harness.wait_for_fault("hog")
    os.kill(harness.process.pid, signal.SIGINT)
    assert harness.result() == ["True"]
    harness.assert_nothing_left()
    results = judge_run(directory)
    assert results.interrupted
    assert results.exit_code == 130
    assert results.counts["by_type"]["ok"] > 0
    checks = {check.name: check.verdict for check in results.checks}
    assert Verdict.FAIL not in checks.values(), told(results)
    assert checks["durability"] is Verdict.PASS, told(results)
    assert {event.fault for event in RecordedRun(directory).faults() if event.edge == "end"} >= {0, 1, 2}


def test_a_killed_harness_leaves_no_process_also_no_stopped_one(tmp_path: Path) -> None:
    harness = HarnessProcess(LONG, tmp_path / "run")
    directory = harness.wait_for_fault("hog")
    assert any(child.status() == psutil.STATUS_STOPPED for child in harness.seen.values())
    harness.process.kill()
    harness.process.communicate()
    harness.assert_nothing_left()
    results = judge_run(directory)
    assert results.verdict is Verdict.INCONCLUSIVE, told(results)
    assert "its harness was killed" in results.sentence


def test_no_room_for_the_record_ends_the_run_with_a_clear_error_and_keeps_what_there_is(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    harness = HarnessProcess(plan_of(seconds=60), tmp_path / "run", before=limit)
    interrupted, error, *_ = harness.result()
    assert interrupted == "False"
    assert "free space" in error
    results = judge_run((harness.store / "latest").resolve())
    assert results.verdict is Verdict.ERROR
    assert results.counts["by_type"]["ok"] > 0


def test_real_processes_have_time_to_settle_whatever_the_plan_says() -> None:
    short, long = plan_of(settle_ns=0), plan_of(settle_ns=20 * SECOND)
    assert with_time_to_settle(short).settle_ns == 20 * TIMING.election_timeout_ns
    assert with_time_to_settle(long).settle_ns == 20 * SECOND
    slower = msgspec.structs.replace(short, timing=msgspec.structs.replace(TIMING, scale=3.0))
    assert with_time_to_settle(slower).settle_ns == 60 * TIMING.election_timeout_ns
    assert with_time_to_settle(with_time_to_settle(slower)) == with_time_to_settle(slower)


@pytest.mark.parametrize("power_cut", [False, True])
def test_a_plan_that_leaves_no_time_to_settle_is_no_false_alarm(tmp_path: Path, power_cut: bool) -> None:
    outcome, results = run(plan_of(seconds=0.5, settle_ns=0, final_power_cut=power_cut), tmp_path)
    assert not [check for check in results.checks if check.verdict is Verdict.FAIL], told(results)
    assert not outcome.errors
