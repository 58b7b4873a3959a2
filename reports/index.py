"""index.html over a store: every run and campaign with its verdict, filtered by words and by verdict; offline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.results import RANK, Verdict
from reports.campaign import read_campaign
from reports.page import render
from reports.palette import VERDICT_WORDS
from reports.whole_files import write_whole

RUNS_AT_MOST = 2_000
"""The newest; the page says how many there are."""


class Brief(msgspec.Struct, frozen=True):
    """The part of results.json that the index shows."""

    name: str
    verdict: Verdict
    sentence: str
    seed: int
    world: str
    deployment: str
    duration_ns: int
    interrupted: bool = False
    mutant: str | None = None


@dataclass(frozen=True)
class Entry:
    """One run of the store. ``brief`` is None if its results are missing or damaged."""

    test: str
    run: str
    verdict: str
    brief: Brief | None
    link: str
    """Relative to the store: its report, or its directory if there is none."""


def write_index(store: Path) -> Path:
    """Write index.html into the store. Raises NotADirectoryError if there is no such directory."""
    if not store.is_dir():
        raise NotADirectoryError(f"{store} is no directory of runs; give the one that `torture run --store` wrote to")
    found = entries(store)
    kept = found[:RUNS_AT_MOST]
    counts = [
        (verdict, VERDICT_WORDS[verdict], sum(entry.verdict == verdict for entry in found))
        for verdict in (*(str(verdict) for verdict in sorted(Verdict, key=RANK.__getitem__, reverse=True)), "NONE")
    ]
    html = render(
        "index.html.j2",
        {"store": store.name, "entries": kept, "total": len(found), "counts": [row for row in counts if row[2]]},
        scripts=("report.js",),
    )
    path = store / "index.html"
    write_whole(path, html)
    return path


def entries(store: Path) -> list[Entry]:
    """The runs of a store, newest first: directories two levels down; links such as ``latest`` are passed over."""
    found: list[Entry] = []
    for test in sorted(store.iterdir()):
        if not test.is_dir() or test.is_symlink():
            continue
        runs = (run for run in test.iterdir() if run.is_dir() and not run.is_symlink())
        found.extend(_entry(test.name, run) for run in runs)
    return sorted(found, key=lambda entry: (entry.run, entry.test), reverse=True)


def _entry(test: str, run: Path) -> Entry:
    if (run / "campaign.json").is_file():
        return _campaign(test, run)
    try:
        brief = msgspec.json.decode((run / "results.json").read_bytes(), type=Brief)
    except (OSError, msgspec.MsgspecError):
        brief = None
    page = "report.html" if (run / "report.html").is_file() else ""
    return Entry(test, run.name, str(brief.verdict) if brief else "NONE", brief, f"{test}/{run.name}/{page}")


def _campaign(test: str, run: Path) -> Entry:
    page = "report.html" if (run / "report.html").is_file() else ""
    link = f"{test}/{run.name}/{page}"
    try:
        found = read_campaign(run)
    except (OSError, msgspec.MsgspecError):
        return Entry(test, run.name, "NONE", None, link)
    seed = run.name.split("-", 1)[-1].split(".")[0]
    brief = Brief(
        name=test,
        verdict=Verdict(found.verdict),
        sentence=f"{found.sentence}{': ' if found.clusters else ''}{', '.join(one.rule for one in found.clusters[:4])}",
        seed=int(seed) if seed.isdecimal() else 0,
        world="simulated",
        deployment=f"{found.runs:,} schedules",
        duration_ns=int(found.wall_s * 1e9),
        interrupted=found.interrupted,
    )
    return Entry(test, run.name, found.verdict, brief, link)
