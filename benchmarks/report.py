"""The page of a long run: how long it takes to build, how large it is, and how soon a browser shows it.

A real cluster is tortured at a high rate until about 100,000 operations are on record, and judged. Then `torture report` builds
its pages anew, each time in a fresh process, and a headless Chromium opens them: from the request to the second frame after
the page is loaded, its scripts run and its panels drawn.
"""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.chromium import Browser
from benchmarks.measure import Report, Table, busy_share
from benchmarks.peers import PeerFailed

TORTURE = Path(sys.executable).with_name("torture")
SECONDS, QUICK_SECONDS = 42, 3
RUN = (
    "run",
    "--rate",
    "2500",
    "--clients",
    "64",
    "--mix",
    "read=0.5,write=0.5",
    "--faults",
    "kill,partition",
    "--seed",
    "1",
)
BUILDS, OPENINGS = 3, 5
GOALS = {"build": 10.0, "size": 1.5e6, "open": 2.0}
"""Seconds, bytes, seconds."""

Say = Callable[[str], None]


def report(quick: bool, say: Say) -> Report:
    with tempfile.TemporaryDirectory(prefix="report-") as scratch:
        run = tortured(Path(scratch), QUICK_SECONDS if quick else SECONDS)
        page = run / "report.html"
        operations = int(json.loads((run / "results.json").read_bytes())["counts"]["operations"])
        say(f"{operations:,} operations recorded and judged")
        busy = busy_share(0.5)
        before = _processor_seconds()
        builds = [built(run) for _ in range(1 if quick else BUILDS)]
        worked = (_processor_seconds() - before) / len(builds)
        say(f"torture report: {_spread(builds)} s, {worked:.1f} s of processor time, {page.stat().st_size:,} bytes")
        openings = opened(page, OPENINGS)
        size = page.stat().st_size
    rows = [
        _row("build: `torture report` in a fresh process", builds, GOALS["build"]),
        (
            "size of report.html",
            f"{size / 1e6:.2f} MB",
            f"≤ {GOALS['size'] / 1e6:g} MB",
            _reached(size <= GOALS["size"]),
            "",
        ),
    ]
    notes = [
        f"{operations:,} operations: `torture {' '.join(RUN)} --duration {QUICK_SECONDS if quick else SECONDS}s`.",
        f"CPUs busy before: {busy:.0%}. A build took {worked:.1f} s of processor time.",
    ]
    if openings:
        say(f"opened in {_spread(openings)} s")
        rows.append(_row("open in headless Chromium, until painted", openings, GOALS["open"]))
    else:
        notes.append("There is no chromium here (Debian package `chromium`): opening was not timed.")
    table = Table(
        "A long run's page", ("what", "median", "goal", "reached", "least to most"), tuple(rows), tuple(notes)
    )
    numbers = {
        "operations": operations,
        "build_s": builds,
        "build_processor_s": worked,
        "bytes": size,
        "open_s": openings,
    }
    return Report((table,), numbers)


def _processor_seconds() -> float:
    """Of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tortured(store: Path, seconds: int) -> Path:
    """The directory of a run of that length. Raises PeerFailed if it was not judged."""
    done = subprocess.run(
        [TORTURE, *RUN, "--duration", f"{seconds}s", "--store", store, "--json"], stdout=subprocess.PIPE, check=False
    )
    runs = [path.parent for path in store.glob("*/*/results.json")]
    if len(runs) != 1:
        raise PeerFailed(f"torture run ended with code {done.returncode} and without results")
    return runs[0]


def built(run: Path) -> float:
    """Seconds that `torture report` takes."""
    began = time.perf_counter()
    subprocess.run([TORTURE, "report", run, "--json"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def opened(page: Path, times: int) -> list[float]:
    """Seconds until the page is painted, each time anew; empty without a browser."""
    program = shutil.which("chromium")
    if program is None:
        return []
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        browser = Browser(program, Path(profile))
        try:
            return [_open(browser, page) for _ in range(times)]
        finally:
            browser.close()


def _open(browser: Browser, page: Path) -> float:
    began = time.perf_counter()
    browser.open(page)
    return time.perf_counter() - began


def _row(what: str, seconds: Sequence[float], goal: float) -> tuple[str, ...]:
    median = statistics.median(seconds)
    return what, f"{median:.2f} s", f"≤ {goal:g} s", _reached(median <= goal), f"{_spread(seconds)} s"


def _reached(yes: bool) -> str:
    return "yes" if yes else "no"


def _spread(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.2f} to {max(seconds):.2f}"
