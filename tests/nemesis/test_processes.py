"""Process faults on real, small processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from nemesis.processes import ProcessFaults, Victim

BUSY = "while True: pass"
IDLE = "import time\nwhile True: time.sleep(0.01)"
FOUR_THREADS = "import threading, time\nfor _ in range(3): threading.Thread(target=time.sleep, args=(600,)).start()\n"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
Spawn = Callable[..., Victim]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start a process that runs the code, and forget it at the end, stopped or not."""
    children: list[subprocess.Popen[bytes]] = []

    def start(name: str = "r0", code: str = IDLE) -> Victim:
        child = subprocess.Popen([sys.executable, "-I", "-S", "-c", code])
        children.append(child)
        return Victim(name, child.pid)

    yield start
    for child in children:
        child.kill()
        child.wait()


@pytest.fixture
def faults() -> Iterator[ProcessFaults]:
    faults = ProcessFaults()
    yield faults
    faults.heal()


def eventually(true: Callable[[], bool], within_s: float = 10.0) -> bool:
    until = time.monotonic() + within_s
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def test_kill_is_seen_dead_and_reaps_nobody(spawn: Spawn, faults: ProcessFaults) -> None:
    victims = [spawn("r0"), spawn("r1", BUSY)]
    evidence = faults.kill(victims)
    assert {name: seen["state"] for name, seen in evidence.items()} == {"r0": "gone", "r1": "gone"}
    assert os.waitpid(victims[0].process.pid, os.WNOHANG)[1] == signal.SIGKILL


def test_pause_and_resume_are_seen(spawn: Spawn, faults: ProcessFaults) -> None:
    victims = [spawn("r0", BUSY), spawn("r1", FOUR_THREADS)]
    assert {seen["state"] for seen in faults.pause(victims).values()} == {"stopped"}
    assert {seen["state"] for seen in faults.resume(victims).values()} <= {"running", "sleeping", "disk-sleep"}
    faults.resume(victims)


def test_a_stopped_process_can_be_killed_and_resumed_no_more(spawn: Spawn, faults: ProcessFaults) -> None:
    victim = spawn()
    faults.pause([victim])
    assert faults.kill([victim])["r0"]["state"] == "gone"
    assert faults.resume([victim])["r0"]["state"] == "gone"


def test_signals_to_a_reaped_process_do_nothing(spawn: Spawn, faults: ProcessFaults) -> None:
    victim = spawn()
    victim.process.kill()
    os.waitpid(victim.process.pid, 0)
    for act in (faults.kill, faults.pause, faults.resume):
        assert act([victim])["r0"]["state"] == "gone"
    assert faults.stutter(0, [victim], 0.5, 10_000_000) == {"r0": {"state": "gone"}}
    faults.hog(1, [victim], 1)
    assert faults.end_hog(1)["hog_cpu_ms"] >= 0


def test_heal_continues_what_is_stopped(spawn: Spawn, faults: ProcessFaults) -> None:
    victim = spawn()
    faults.pause([victim])
    faults.heal()
    assert victim.state() != "stopped"
    assert faults.heal() == {}


def test_stutter_stops_again_and_again_and_leaves_it_running(spawn: Spawn, faults: ProcessFaults) -> None:
    victim = spawn(code=BUSY)
    faults.stutter(3, [victim], running=0.2, period_ns=20_000_000)
    assert eventually(lambda: victim.state() == "stopped")
    time.sleep(0.2)
    evidence = faults.end_stutter(3)["r0"]
    assert evidence["ended"] == "told"
    assert 0 < evidence["seen_stopped"] <= evidence["stops"]
    assert 0 < evidence["stopped_ms"] < evidence["total_ms"]
    assert victim.state() != "stopped"
    assert faults.end_stutter(3) == {}


def test_a_stutter_does_not_wake_a_paused_process(spawn: Spawn, faults: ProcessFaults) -> None:
    victim = spawn(code=BUSY)
    faults.stutter(0, [victim], running=0.5, period_ns=2_000_000)
    faults.pause([victim])
    assert all(victim.state() == "stopped" for _ in range(200))
    faults.stutter(1, [victim], running=0.5, period_ns=2_000_000)
    assert faults.end_stutter(0)["r0"]["ended"] == "told"
    assert all(victim.state() == "stopped" for _ in range(200))
    faults.resume([victim])
    faults.end_stutter(1)
    assert victim.state() != "stopped"


def test_a_stutter_ends_when_its_victim_dies(spawn: Spawn, faults: ProcessFaults) -> None:
    victim = spawn()
    pid = faults.stutter(0, [victim], running=0.5, period_ns=10_000_000)["r0"]["stutterer_pid"]
    faults.kill([victim])
    assert eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert faults.end_stutter(0)["r0"]["ended"] == "gone"


def test_a_killed_stutterer_leaves_nobody_stopped(spawn: Spawn, faults: ProcessFaults) -> None:
    victim = spawn()
    pid = faults.stutter(0, [victim], running=0.01, period_ns=1_000_000_000)["r0"]["stutterer_pid"]
    assert eventually(lambda: victim.state() == "stopped")
    os.kill(pid, signal.SIGKILL)
    assert faults.end_stutter(0)["r0"]["confirmed"] is False
    assert eventually(lambda: victim.state() != "stopped")


@pytest.mark.parametrize("held", [False, True])
def test_the_death_of_the_harness_leaves_nobody_stopped_by_a_stutter(spawn: Spawn, held: bool) -> None:
    victim = spawn()
    harness_code = f"""
import sys, time
from nemesis.processes import ProcessFaults, Victim
faults, victim = ProcessFaults(), Victim("r0", {victim.process.pid})
faults.hog(1, [victim], 1)
print(faults.stutter(0, [victim], 0.05, 100_000_000)["r0"]["stutterer_pid"], flush=True)
while victim.state() != "stopped":
    time.sleep(0.001)
if {held}:
    faults.pause([victim])
print("ready", flush=True)
time.sleep(600)
"""
    harness = subprocess.Popen([sys.executable, "-c", harness_code], stdout=subprocess.PIPE, text=True)
    assert harness.stdout is not None
    helper = psutil.Process(int(harness.stdout.readline()))
    hog = next(child for child in psutil.Process(harness.pid).children() if child.pid != helper.pid)
    assert harness.stdout.readline() == "ready\n"
    harness.kill()
    harness.wait()
    harness.stdout.close()
    for process in (helper, hog):
        assert eventually(lambda process=process: not process.is_running() or process.status() == "zombie")
    assert victim.state() != "stopped"


def test_hog_shares_one_cpu_and_gives_back_what_was_allowed(spawn: Spawn, faults: ProcessFaults) -> None:
    victim = spawn(code=FOUR_THREADS)
    assert eventually(lambda: victim.process.num_threads() == 4)
    threads = [thread.id for thread in victim.process.threads()]
    before = [os.sched_getaffinity(thread) for thread in threads]
    evidence = faults.hog(0, [victim], 1)
    assert [os.sched_getaffinity(thread) for thread in threads] == [{evidence["cpu"]}] * 4
    faults.hog(1, [victim], 1)
    assert len(psutil.Process().children()) >= 3
    faults.end_hog(0)
    assert [os.sched_getaffinity(thread) for thread in threads] == [{evidence["cpu"]}] * 4
    faults.end_hog(1)
    assert [os.sched_getaffinity(thread) for thread in threads] == before
    assert faults.end_hog(1) == {}


def test_hog_shows_what_it_took(spawn: Spawn, faults: ProcessFaults) -> None:
    victim = spawn(code=BUSY)
    faults.hog(0, [victim], 2)
    started = victim.process.num_ctx_switches().involuntary
    hogs = [child for child in psutil.Process().children() if child.pid != victim.process.pid]
    assert eventually(lambda: victim.process.num_ctx_switches().involuntary > started + 3)
    assert eventually(lambda: sum(child.cpu_times().user for child in hogs) > 0)
    evidence = faults.end_hog(0)
    assert evidence["hog_cpu_ms"] > 0
    assert evidence["r0"]["preempted"] > 0
