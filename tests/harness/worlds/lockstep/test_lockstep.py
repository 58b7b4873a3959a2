"""Lockstep: the simulator's loop steps real processes with real logs, and the digest is the simulator's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from harness import memory as memory_directories
from harness.errors import HarnessFault
from harness.worlds.lockstep.world import LockstepProcess, LockstepWorld, run_in_lockstep
from harness.worlds.simulated.world import simulate
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Disk, Plan, Plant, Workload, encode_plan
from nemesis.strategies import generate
from nemesis.strategies.frame import Frame
from paxos_impl.mutants.registry import find, hash_of

MS = MILLISECOND


def plan_of(*faults: Fault, seed: int = 1, **fields: Any) -> Plan:
    plan = Plan(
        seed=seed,
        duration_ns=400 * MS,
        settle_ns=600 * MS,
        workload=Workload(clients=3, rate=60.0, keys=2),
        faults=faults,
    )
    return msgspec.structs.replace(plan, **fields)


def of_portfolio(seed: int) -> Plan:
    frame = Frame(
        deployment=("collapsed", "classic")[seed % 2],  # type: ignore[arg-type]
        duration_ns=400 * MS,
        settle_ns=600 * MS,
        workload=Workload(clients=3, rate=60.0, keys=2),
    )
    return generate("portfolio", seed, frame)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where logs live while a test runs."""
    monkeypatch.setattr(memory_directories, "MEMORY", tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) <= before


POWER = [
    Fault("power", target, at_ns=200 * MS, duration_ns=40 * MS, params={"unsynced": unsynced})
    for target, unsynced in (
        ("leader", "lost"),
        ("one", "torn"),
        ("all", "garbled"),
        ("all", "scattered"),
        ("majority", "kept"),
    )
]
AT_A_POINT = [
    Fault("kill", "it", trigger=trigger, duration_ns=50 * MS)
    for trigger in ("3rd appended", "2nd synced", "first sent_accept", "2nd leader", "4th accepted")
]
DISK = [
    Fault("disk_full", "one", at_ns=150 * MS, duration_ns=100 * MS),
    Fault("sync_error", "one", at_ns=150 * MS, duration_ns=100 * MS),
    Fault("corrupt", "one", at_ns=200 * MS, duration_ns=50 * MS),
]
OTHERS = [
    Fault("pause", "leader", at_ns=150 * MS, duration_ns=120 * MS),
    Fault("clock_drift", "one", at_ns=50 * MS, duration_ns=200 * MS),
]


@pytest.mark.parametrize(
    "fault", [*POWER, *AT_A_POINT, *DISK, *OTHERS], ids=lambda fault: f"{fault.kind}-{fault.target}"
)
def test_lockstep_gives_the_digest_of_the_simulator_under_every_fault_of_process_and_disk(
    memory: Path, fault: Fault
) -> None:
    plan = plan_of(fault)
    here, there = simulate(plan), run_in_lockstep(plan)
    assert there.digest == here.digest
    assert there.faults == here.faults
    assert there.steps == here.steps
    assert there.violations == here.violations
    assert list(memory.iterdir()) == []


@pytest.mark.parametrize("fault", [*AT_A_POINT, *OTHERS], ids=lambda fault: f"{fault.kind}-{fault.trigger}")
def test_lockstep_gives_the_digest_of_the_simulator_when_syncs_block(memory: Path, fault: Fault) -> None:
    """Then a batch of several messages is one order."""
    disk = Disk(sync_ns=8 * MS, jitter_ns=4 * MS, sync_blocks=True)
    plan = plan_of(fault, disk=disk, workload=Workload(clients=3, rate=0.0, keys=2))
    here, there = simulate(plan), run_in_lockstep(plan)
    assert there.digest == here.digest
    assert there.violations == here.violations == []


@pytest.mark.parametrize("seed", range(4))
def test_lockstep_gives_the_digest_of_the_simulator_for_plans_of_the_portfolio(seed: int) -> None:
    plan = of_portfolio(seed)
    assert run_in_lockstep(plan).digest == simulate(plan).digest


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [range(start, start + 20) for start in range(0, 200, 20)], ids=str)
def test_two_hundred_plans_of_the_portfolio_give_equal_digests(seeds: range) -> None:
    different = []
    for seed in seeds:
        plan = of_portfolio(seed)
        if run_in_lockstep(plan).digest != simulate(plan).digest:
            different.append(seed)
    assert different == []


def test_a_violation_is_found_again_on_real_processes() -> None:
    plan = plan_of(mutant=Plant("P01", hash_of(find("P01"))), duration_ns=200 * MS)
    here, there = simulate(plan), run_in_lockstep(plan)
    assert here.violations
    assert there.violations == here.violations
    assert there.digest == here.digest


def test_an_agent_is_a_process_with_a_log_and_is_really_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(Fault("kill", "agent:r1", at_ns=200 * MS, duration_ns=50 * MS))
    killed: list[tuple[int, int]] = []
    kill = LockstepProcess.kill

    def watched(self: LockstepProcess) -> None:
        pid, name = self.pid, self.name
        log = tmp_path / name
        alive = bool(pid) and psutil.pid_exists(pid)
        size = sum(path.stat().st_size for path in log.iterdir()) if alive else 0
        kill(self)
        if alive and name == "r1":
            assert not psutil.pid_exists(pid)
            killed.append((pid, size))

    monkeypatch.setattr(LockstepProcess, "kill", watched)
    world = LockstepWorld(plan, tmp_path)
    world.run()
    pids = [pid for pid, _ in killed]
    assert len(set(pids)) == len(pids) >= 3  # killed by the fault, by the final power cut, at the end
    assert os.getpid() not in pids
    assert all(size > 0 for _, size in killed)
    assert world.forks == 3 + 1 + 3


def test_the_new_incarnation_recovers_from_the_real_file(tmp_path: Path) -> None:
    """A log that was changed behind the model's back is noticed before the recovery from it."""
    plan = plan_of(Fault("kill", "agent:r1", at_ns=200 * MS, duration_ns=50 * MS))
    world = LockstepWorld(plan, tmp_path)
    world.loop.at(220 * MS, lambda *_: (tmp_path / "r1" / "log-00000000").write_bytes(b"other"))
    with pytest.raises(HarnessFault, match=r"r1: log-00000000 differ from the disk's model"):
        world.run()


def test_a_process_that_ends_by_itself_is_a_fault_of_the_harness(tmp_path: Path) -> None:
    world = LockstepWorld(plan_of(), tmp_path)
    world.loop.at(200 * MS, lambda *_: os.kill(world.lockstep_processes()[0].pid, signal.SIGKILL))
    with pytest.raises(HarnessFault, match="the process of r0 ended although nobody killed it"):
        world.run()


@pytest.mark.parametrize(
    ("ends", "rule", "told"),
    [
        ("os._exit(77)", "crash/exit", "its process ended by itself, exit code 77"),
        ("os.kill(os.getpid(), 9)", "crash/exit", "its process ended by itself, signal 9"),
        ("raise SystemExit(5)", "crash/SystemExit", "SystemExit: 5"),
    ],
)
def test_a_process_that_a_planted_bug_ends_is_a_crash(tmp_path: Path, ends: str, rule: str, told: str) -> None:
    (tmp_path / "bugs.py").write_text(
        "import os\n"
        "from paxos_impl.acceptor import Acceptor\n"
        "from paxos_impl.mutants.registry import mutant\n"
        "@mutant('ENDS', 'the process ends', rule='-', breaks='P')\n"
        "class Ends(Acceptor):\n"
        "    def log_vote(self, *args, **options):\n"
        "        super().log_vote(*args, **options)\n"
        f"        {ends}\n"
    )
    name = f"{tmp_path}/bugs.py:ENDS"
    run = run_in_lockstep(plan_of(mutant=Plant(name, hash_of(find(name)))))
    assert run.violations[0].rule == rule and told in run.violations[0].sentence


def test_its_directory_is_removed_also_after_an_error(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: LockstepWorld) -> None:
        assert list(memory.iterdir())
        raise HarnessFault("broken")

    monkeypatch.setattr(LockstepWorld, "run", broken)
    with pytest.raises(HarnessFault, match="broken"):
        run_in_lockstep(plan_of())
    assert list(memory.iterdir()) == []


def test_killing_the_harness_leaves_no_agent_behind(tmp_path: Path) -> None:
    """SIGKILL gives it no chance to clean up: the agents end with their parent."""
    plan = plan_of(duration_ns=60_000 * MS)
    (tmp_path / "plan.json").write_bytes(encode_plan(plan))
    (tmp_path / "logs").mkdir()
    script = (
        "from pathlib import Path\n"
        "from harness.worlds.lockstep.world import LockstepWorld\n"
        "from nemesis.plan import load_plan\n"
        f"LockstepWorld(load_plan(Path({str(tmp_path / 'plan.json')!r})), Path({str(tmp_path / 'logs')!r})).run()\n"
    )
    harness = subprocess.Popen([sys.executable, "-c", script])
    try:
        deadline = time.monotonic() + 60
        agents: list[psutil.Process] = []
        while len(agents) < 3 and time.monotonic() < deadline:
            agents = psutil.Process(harness.pid).children()
            time.sleep(0.05)
        assert len(agents) == 3
    finally:
        harness.kill()
        harness.wait()
    _gone, alive = psutil.wait_procs(agents, timeout=30)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
