"""How soon the command line answers: ``torture --help`` in a fresh process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Report, Table, busy_share

RUNS, QUICK_RUNS = 15, 5
GOAL_MS = 150.0
TORTURE = Path(sys.executable).with_name("torture")


def report(quick: bool, say: Callable[[str], None]) -> Report:
    busy = busy_share(0.5)
    times = []
    for _ in range(QUICK_RUNS if quick else RUNS):
        began = time.perf_counter()
        subprocess.run([TORTURE, "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - began) * 1e3)
    median = statistics.median(times)
    say(f"torture --help: median {median:.0f} ms")
    row = (
        "torture --help",
        f"{median:.0f} ms",
        f"< {GOAL_MS:.0f} ms",
        "yes" if median < GOAL_MS else "no",
        f"{min(times):.0f} ms",
        f"{busy:.0%}",
    )
    columns = ("command", "median", "goal", "reached", "least", "CPUs busy before")
    return Report((Table("Command line", columns, (row,)),), {"times_ms": times})
