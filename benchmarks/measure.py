"""Samples, and the state of the machine they were taken in.

A cluster's sample is a closed loop: so many clients, each with one write in flight, counted for some seconds after a warm-up.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import psutil

from benchmarks.children import Children

Place = Literal["memory", "disk"]
"""Where a cluster keeps its log. On disk it is synced before a write is answered, unless the system cannot."""

KEYS = 64
VALUE_BYTES = 100
WARM_UP_S = 0.4
BUSY_STEP_S = 0.25
PROBE_SYNCS = 25
PROBE_RECORD = b"x" * 128


class Load(msgspec.Struct, frozen=True):
    """What a cluster is asked to do: ``outstanding`` clients write values of ``VALUE_BYTES`` to ``KEYS`` keys."""

    place: Place
    outstanding: int
    seconds: float


class Outcome(msgspec.Struct, frozen=True):
    """What a cluster did: answered writes a second and their latency in ms (None: not measured)."""

    commits_per_s: float
    p50_ms: float | None
    p99_ms: float | None


class Sample(msgspec.Struct, frozen=True):
    """An outcome and the CPUs beside it, as shares of all CPUs (0 to 1)."""

    system: str
    load: Load
    outcome: Outcome
    busy_before: float
    """Just before, when only others ran."""
    busy_during: float


class Machine(msgspec.Struct, frozen=True):
    """Where numbers come from."""

    cpus: int
    cpu: str
    memory_gb: float
    kernel: str
    python: str
    load_average: float
    """Over the minute before."""
    sync_idle_ms: float
    """Median of fdatasync after a small append, CPUs otherwise idle."""
    sync_busy_ms: float
    """The same while other processes keep the CPUs busy."""


class Table(msgspec.Struct, frozen=True):
    """A table of a report. Every row has a text for every column; notes stand below."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """What one benchmark found: tables to read, numbers to compute with."""

    tables: tuple[Table, ...]
    numbers: dict[str, object] = {}
    text: str = ""
    """What a benchmark that writes its own tables printed."""


def outcome(latencies_ns: Sequence[int], seconds: float) -> Outcome:
    """Of the writes answered within ``seconds``. Raises ValueError if there are too few to speak of."""
    if len(latencies_ns) < 2 or seconds <= 0:
        raise ValueError(f"{len(latencies_ns)} writes were answered in {seconds:g} s: nothing to measure")
    ordered = sorted(latencies_ns)
    return Outcome(
        len(ordered) / seconds,
        ordered[len(ordered) // 2] / 1e6,
        ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] / 1e6,
    )


def median_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """Of several runs of one system at one load: the median rate, and the medians of the latencies."""
    return Outcome(
        statistics.median(one.commits_per_s for one in outcomes),
        _median(one.p50_ms for one in outcomes),
        _median(one.p99_ms for one in outcomes),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def busy_share(seconds: float) -> float:
    """How busy the CPUs are over the next ``seconds``."""
    return float(psutil.cpu_percent(interval=seconds)) / 100


class BusyMeter:
    """A context that looks how busy the CPUs are, a few times a second; ``share``: the median."""

    def __init__(self) -> None:
        self._seen: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> BusyMeter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def share(self) -> float:
        return statistics.median(self._seen)

    def _look(self) -> None:
        psutil.cpu_percent()
        while True:
            over = self._over.wait(BUSY_STEP_S)
            self._seen.append(float(psutil.cpu_percent()) / 100)
            if over:
                return


def sync_probe_ms(directory: Path, syncs: int = PROBE_SYNCS) -> float:
    """Median time of an fdatasync after a small append, in ms."""
    with tempfile.TemporaryFile(dir=directory) as file:
        times = []
        for _ in range(syncs):
            os.write(file.fileno(), PROBE_RECORD)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def machine(directory: Path) -> Machine:
    """This machine; ``directory``: where logs of disk loads will live."""
    load_average = os.getloadavg()[0]
    idle_ms = sync_probe_ms(directory)
    cpus = os.cpu_count() or 1
    with Children() as spinners:
        for _ in range(cpus):
            spinners.start([sys.executable, "-c", "while True: pass"], Path(os.devnull))
        time.sleep(0.3)
        busy_ms = sync_probe_ms(directory)
    return Machine(
        cpus,
        _cpu_model(),
        round(psutil.virtual_memory().total / 1e9, 1),
        platform.release(),
        platform.python_version(),
        round(load_average, 2),
        round(idle_ms, 3),
        round(busy_ms, 3),
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
