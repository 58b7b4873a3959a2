"""The page of a campaign: what was run, how it failed, what it never tried and where it never was. Offline like the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import msgspec

from harness.checkers.situations import SITUATIONS
from nemesis.faults import KINDS, TARGET_CLASSES
from reports.page import render
from reports.whole_files import write_whole
from reports.wording import joined

CLUSTERS_AT_MOST = 200


class Row(msgspec.Struct, frozen=True):
    """The part of a row of rows.jsonl that the page counts."""

    strategy: str
    seed: int
    rule: str
    events: int
    commands: int
    deployment: str
    faults: int
    sentence: str = ""


class Cluster(msgspec.Struct, frozen=True):
    rule: str
    count: int
    first: Row
    directory: str


class Campaign(msgspec.Struct, frozen=True):
    """campaign.json."""

    runs: int
    events: int
    commands: int
    failures: int
    reruns: int
    wall_s: float
    interrupted: bool
    clusters: tuple[Cluster, ...]
    strategies: dict[str, int]
    cells: dict[str, int] = {}
    situations: dict[str, int] = {}

    @property
    def verdict(self) -> str:
        if self.failures:
            return "FAIL"
        return "INCONCLUSIVE" if self.interrupted or not self.runs else "PASS"

    @property
    def sentence(self) -> str:
        if self.failures:
            verb = "breaks" if self.failures == 1 else "break"
            return f"{self.failures:,} of {self.runs:,} schedules {verb} a rule"
        return f"{self.runs:,} schedules, no violation"


@dataclass
class Strategy:
    """What became of the schedules of one strategy."""

    name: str
    runs: int = 0
    failures: int = 0
    events: int = 0
    faults: int = 0
    first_failure: int | None = None
    """How many of its schedules it took to the first failure."""
    rules: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class ClusterRow:
    rule: str
    count: int
    share: float
    first: Row
    folder: str
    """Its run directory, below the campaign's."""
    report: bool
    shrunk: bool


@dataclass(frozen=True)
class Grid:
    """Planned faults: kinds by targets. ``empty``: a phrase for each kind."""

    targets: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    empty: tuple[str, ...]
    unused: tuple[str, ...]


def read_campaign(directory: Path) -> Campaign:
    """campaign.json; raises OSError or msgspec.MsgspecError."""
    return msgspec.json.decode((directory / "campaign.json").read_bytes(), type=Campaign)


def write_campaign_page(directory: Path) -> Path:
    """Write report.html into a campaign's directory. Raises what ``read_campaign`` raises."""
    campaign = read_campaign(directory)
    warnings: list[str] = []
    html = render(
        "campaign.html.j2",
        {
            "name": directory.name,
            "campaign": campaign,
            "verdict": campaign.verdict,
            "clusters": [
                _cluster_row(directory, campaign, cluster) for cluster in campaign.clusters[:CLUSTERS_AT_MOST]
            ],
            "strategies": strategies(directory, warnings),
            "grid": grid(campaign.cells),
            "situations": situations(campaign),
            "possible": possible,
            "warnings": warnings,
        },
        scripts=("report.js",),
    )
    path = directory / "report.html"
    write_whole(path, html)
    return path


def _cluster_row(directory: Path, campaign: Campaign, cluster: Cluster) -> ClusterRow:
    folder = PurePath(cluster.directory).name
    return ClusterRow(
        cluster.rule,
        cluster.count,
        cluster.count / max(1, campaign.runs),
        cluster.first,
        folder,
        (directory / folder / "report.html").is_file(),
        (directory / folder / "shrunk" / "report.html").is_file(),
    )


def strategies(directory: Path, warnings: list[str]) -> list[Strategy]:
    """By strategy, the busiest first; a damaged row is left out with a warning."""
    found: dict[str, Strategy] = {}
    decode = msgspec.json.Decoder(Row).decode
    damaged = 0
    try:
        with (directory / "rows.jsonl").open("rb") as lines:
            for line in lines:
                try:
                    row = decode(line)
                except msgspec.MsgspecError:
                    damaged += 1
                    continue
                _count(found.setdefault(row.strategy, Strategy(row.strategy)), row)
    except OSError as error:
        warnings.append(f"rows.jsonl cannot be read ({error.strerror}): the schedules are not told by strategy")
    if damaged:
        warnings.append(f"rows.jsonl: {damaged:,} damaged rows are left out")
    return sorted(found.values(), key=lambda one: (-one.runs, one.name))


def _count(one: Strategy, row: Row) -> None:
    one.runs += 1
    one.events += row.events
    one.faults += row.faults
    if row.rule:
        one.failures += 1
        one.rules[row.rule] += 1
        if one.first_failure is None:
            one.first_failure = one.runs


def situations(campaign: Campaign) -> list[tuple[str, str, int]]:
    """(name, what happens, in how many schedules) of each that the campaign counted, the rarest first."""
    counted = campaign.situations.items()
    return [(name, SITUATIONS.get(name, ""), runs) for name, runs in sorted(counted, key=lambda one: one[1])]


def possible(kind: str, target: str) -> bool:
    """Whether a plan can aim that kind at that target: only partitions divide the whole cluster."""
    return target != "cluster" or kind == "partition"


def grid(cells: dict[str, int]) -> Grid | None:
    """Kinds by targets, of what was planned; None if the campaign did not count it."""
    if not cells:
        return None
    counted = {tuple(name.split(" ", 1)): number for name, number in cells.items()}
    known = {target for _, target in counted}
    targets = tuple(target for target in TARGET_CLASSES if target in known)
    kinds = [kind for kind in KINDS if any(kind == one for one, _ in counted)]
    rows = tuple((kind, tuple(counted.get((kind, target), 0) for target in targets)) for kind in kinds)
    missing = {
        kind: [target for target, number in zip(targets, row, strict=True) if not number and possible(kind, target)]
        for kind, row in rows
    }
    empty = tuple(f"{kind} never at {joined(targets, 'or')}" for kind, targets in missing.items() if targets)
    return Grid(targets, rows, empty, tuple(kind for kind in KINDS if kind not in kinds))
