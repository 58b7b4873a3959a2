"""What this machine can do: each thing the harness needs or can use, tried out, not looked up.

Every probe cleans up after itself. What is required and missing makes real runs impossible; what is optional and missing makes
a fault unsupported (the run says so) or a report poorer.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import msgspec

LEAST_PYTHON = (3, 11)
SYNCS = 20
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PR_SET_PDEATHSIG = 1


class Finding(msgspec.Struct, frozen=True):
    """What one probe found."""

    name: str
    ok: bool
    required: bool
    """Without it no run on real processes."""
    what: str
    """What was seen, or what is missing and what to do."""


class Missing(Exception):
    """A probe's answer: it is not there; the text says what to do."""


def examine() -> list[Finding]:
    """Try everything; takes about a second."""
    return [_find(name, required, probe) for name, required, probe in _PROBES]


def _find(name: str, required: bool, probe: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, required, probe())
    except (Missing, OSError, AttributeError, ImportError, subprocess.SubprocessError) as error:
        return Finding(name, False, required, str(error) or type(error).__name__)


def _python() -> str:
    if sys.version_info < LEAST_PYTHON:
        raise Missing(f"{sys.version.split()[0]}; at least {'.'.join(map(str, LEAST_PYTHON))} is needed")
    return f"{sys.version.split()[0]} ({sys.implementation.name})"


def _system() -> str:
    if sys.platform != "linux":
        raise Missing(f"{sys.platform}: real processes are tortured on Linux only; the simulator runs everywhere")
    return f"{os.uname().sysname} {os.uname().release}, {os.uname().machine}"


def _cpus() -> str:
    usable = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return f"{usable} of {os.cpu_count()} usable, load {load:.1f}" + (
        "" if load < usable else "; busy: times of real runs will vary"
    )


def _psutil() -> str:
    module = importlib.import_module("psutil")
    module.Process(os.getpid()).create_time()
    return f"psutil {metadata.version('psutil')}: kill, stop, continue, affinity"


def _parent_death_signal() -> str:
    """A child that asks for it dies with its parent."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.write(writer, b"x")
            time.sleep(6)
            os._exit(0)
        os.read(reader, 1)
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    began = time.monotonic()
    os.read(reader, 1)  # ends when the grandchild, the last writer, is dead
    os.close(reader)
    took = time.monotonic() - began
    if took > 5:
        raise Missing("prctl(PR_SET_PDEATHSIG) has no effect: a killed harness would leave processes behind")
    return f"children die with the harness ({took * 1000:.1f} ms)"


def _mailboxes() -> str:
    from paxos_impl.process.mailbox import MAX_FRAME_BYTES, SeqQueue

    near, far = SeqQueue.pair()
    try:
        frame = bytes(MAX_FRAME_BYTES)
        near.put(frame, timeout=1)
        if far.get(timeout=1) != frame:
            raise Missing("a frame did not arrive as it was sent")
    finally:
        near.close()
        far.close()
    return f"SOCK_SEQPACKET, frames of {MAX_FRAME_BYTES >> 10} kB"


def _shared_memory() -> str:
    fd = os.memfd_create("probe")
    os.close(fd)
    return "memfd: clocks and disks of agents can be faulted, power cuts emulated"


def _memory_disk() -> str:
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK):
        raise Missing("/dev/shm cannot be written: --disk memory is not available")
    return f"/dev/shm, {shutil.disk_usage(place).free >> 20} MB free; one sync takes {_sync_ms(place):.3f} ms"


def _disk() -> str:
    place = Path.cwd()
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        raise Missing(f"{place} cannot be written; runs are stored below it: use --store")
    return f"{place}: {free >> 20} MB free; one sync takes {_sync_ms(place):.2f} ms (median of {SYNCS})"


def _sync_ms(place: Path) -> float:
    times = []
    with tempfile.TemporaryFile(dir=place) as file:
        for _ in range(SYNCS):
            file.write(b"x" * 128)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def _signals() -> str:
    """A child can be stopped, seen to be stopped, and continued."""
    pid = os.fork()
    if pid == 0:
        time.sleep(30)
        os._exit(0)
    try:
        began = time.perf_counter()
        os.kill(pid, signal.SIGSTOP)
        _, status = os.waitpid(pid, os.WUNTRACED)
        took = time.perf_counter() - began
        if not os.WIFSTOPPED(status):
            raise Missing("a stopped process is not seen to be stopped")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return f"SIGSTOP takes effect in {took * 1000:.1f} ms"


def _affinity() -> str:
    if len(os.sched_getaffinity(0)) < 2:
        raise Missing("one CPU only: a hog slows everything, not just its target")
    return "processes can be pinned to a CPU (hog)"


def _drawing() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("matplotlib", "pandas", "jinja2"))


def _browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise Missing("no chromium: the page is not tested in a browser (apt-get install chromium)")
    return found


def _etcd() -> str:
    found = shutil.which("etcd")
    if found is None:
        raise Missing("no etcd to compare with in benchmarks (apt-get install etcd-server)")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=10, check=True)
    return f"{found}, {version.stdout.splitlines()[0]}"


_PROBES: tuple[tuple[str, bool, Callable[[], str]], ...] = (
    ("python", True, _python),
    ("system", True, _system),
    ("processors", True, _cpus),
    ("process faults", True, _psutil),
    ("stop and continue", True, _signals),
    ("parent-death signal", True, _parent_death_signal),
    ("mailboxes", True, _mailboxes),
    ("shared memory", True, _shared_memory),
    ("disk", True, _disk),
    ("disk in memory", False, _memory_disk),
    ("affinity", False, _affinity),
    ("drawing", False, _drawing),
    ("browser", False, _browser),
    ("etcd", False, _etcd),
)
