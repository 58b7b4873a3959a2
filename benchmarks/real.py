"""Real processes, side by side: our cluster and others under the same load, taking turns (A B B A) in one run.

Turns cancel what drifts slowly on a machine that others use too. A system that is missing is named with how to install it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from benchmarks.measure import (
    VALUE_BYTES,
    BusyMeter,
    Load,
    Outcome,
    Place,
    Report,
    Sample,
    Table,
    busy_share,
    median_outcome,
)
from benchmarks.peers import PeerFailed, System
from benchmarks.peers.etcd import Etcd
from benchmarks.peers.ours import Ours
from benchmarks.peers.paxos_package import PaxosPackage
from benchmarks.peers.pysyncobj_cluster import PySyncObjCluster

SECONDS, QUICK_SECONDS = 3.0, 1.0
ROUNDS = {1: 4}
"""Outstanding -> how often all take a turn there and one back; once, if it is not here. One client alone waits for every
wake-up of every process in turn, so the rates of its turns differ by a fifth and more on a machine that others use."""
LOOK_S = 0.2
CONTENDED = 0.15
"""Above this share of the CPUs taken by others a sample counts as contended."""

Say = Callable[[str], None]


class Contest(msgspec.Struct, frozen=True):
    """Who is measured at which loads. The first system is ours."""

    title: str
    systems: tuple[System, ...]
    place: Place
    outstanding: tuple[int, ...]


class Goal(msgspec.Struct, frozen=True):
    """What ours shall reach: ``least`` times the rate of ``against``, or ``least`` commits a second if that is empty."""

    place: Place
    outstanding: int
    against: str
    least: float
    ours: str = "ours"


OURS, PYSYNCOBJ, ETCD, PAXOS = Ours(), PySyncObjCluster(), Etcd(), PaxosPackage()
CLASSIC, CLASSIC_SINGLE = Ours("classic"), Ours("classic", batch=1)
CONTESTS = (
    Contest("Logs in memory", (OURS, PYSYNCOBJ), "memory", (1, 16, 64)),
    Contest("Logs on disk", (OURS, ETCD, PYSYNCOBJ), "disk", (1, 16, 64)),
    Contest("Classic roles, in memory", (CLASSIC, CLASSIC_SINGLE, PAXOS), "memory", (64,)),
)
GOALS = (
    Goal("memory", 1, PYSYNCOBJ.name, 1.0),
    Goal("memory", 16, PYSYNCOBJ.name, 2.0),
    Goal("memory", 64, "", 12_000),
    Goal("disk", 16, ETCD.name, 1.0),
    Goal("disk", 64, "", 8_000),
    Goal("memory", 64, PAXOS.name, 3.0, CLASSIC.name),
    Goal("memory", 64, PAXOS.name, 3.0, CLASSIC_SINGLE.name),
)

Key = tuple[str, Place, int]
"""(system, place, outstanding)"""


def report(quick: bool, say: Say) -> Report:
    """Measure all contests. ``say`` is told of each sample as it is taken."""
    samples: list[Sample] = []
    failures: list[str] = []
    for contest in CONTESTS:
        samples.extend(_samples(contest, quick, say, failures))
    medians = {key: median_outcome([one.outcome for one in found]) for key, found in _by_key(samples).items()}
    tables = [_goals_table(medians, failures)]
    tables += [_contest_table(contest, samples) for contest in CONTESTS]
    return Report(tuple(tables), {"samples": samples, "failures": failures})


def _samples(contest: Contest, quick: bool, say: Say, failures: list[str]) -> Iterator[Sample]:
    present: list[System] = []
    for system in contest.systems:
        missing = system.missing()
        if missing:
            _add(failures, f"{system.name} is not here; install it: {missing}")
        else:
            present.append(system)
    for outstanding in contest.outstanding:
        load = Load(contest.place, outstanding, QUICK_SECONDS if quick else SECONDS)
        for system in [*present, *reversed(present)] * ROUNDS.get(outstanding, 1):
            try:
                sample = take(system, load)
            except PeerFailed as error:
                _add(failures, f"{contest.title}, {outstanding} outstanding: {error}")
                continue
            say(
                f"{contest.title}, {outstanding} outstanding, {system.name}: "
                f"{sample.outcome.commits_per_s:,.0f} commits/s, CPUs {sample.busy_before:.0%} busy before"
            )
            yield sample


def take(system: System, load: Load) -> Sample:
    """One sample, in a directory of its own that is gone afterwards."""
    busy_before = busy_share(LOOK_S)
    with (
        tempfile.TemporaryDirectory(prefix="paxos-benchmark-", ignore_cleanup_errors=True) as directory,
        BusyMeter() as meter,
    ):
        outcome = system.measure(load, Path(directory))
    return Sample(system.name, load, outcome, busy_before, meter.share)


def _by_key(samples: list[Sample]) -> dict[Key, list[Sample]]:
    found: dict[Key, list[Sample]] = {}
    for sample in samples:
        found.setdefault((sample.system, sample.load.place, sample.load.outstanding), []).append(sample)
    return found


def _goals_table(medians: dict[Key, Outcome], failures: list[str]) -> Table:
    rows = []
    for goal in GOALS:
        ours = medians.get((goal.ours, goal.place, goal.outstanding))
        other = medians.get((goal.against, goal.place, goal.outstanding))
        what = f"{goal.place}, {goal.outstanding} outstanding" if goal.ours == OURS.name else goal.ours
        if goal.against:
            wanted = f"≥ {goal.least:g} × {goal.against}"
            reached = ours.commits_per_s / other.commits_per_s if ours and other else None
            shown = "not measured" if reached is None else f"{reached:.2f} ×"
        else:
            wanted = f"≥ {goal.least:,.0f} commits/s"
            reached = ours.commits_per_s if ours else None
            shown = "not measured" if reached is None else f"{reached:,.0f} commits/s"
        rows.append((what, wanted, shown, "" if reached is None else "yes" if reached >= goal.least else "no"))
    return Table("Ours against others", ("load", "goal", "measured", "reached"), tuple(rows), tuple(failures))


def _contest_table(contest: Contest, samples: list[Sample]) -> Table:
    by_key = _by_key(samples)
    rows = []
    for outstanding in contest.outstanding:
        ours = by_key.get((contest.systems[0].name, contest.place, outstanding))
        for system in contest.systems:
            found = by_key.get((system.name, contest.place, outstanding))
            if not found:
                continue
            middle = median_outcome([one.outcome for one in found])
            ratio = median_outcome([one.outcome for one in ours]).commits_per_s / middle.commits_per_s if ours else None
            rows.append(
                (
                    str(outstanding),
                    system.name,
                    "–" if ratio is None else f"{ratio:.2f} ×",
                    f"{middle.commits_per_s:,.0f}",
                    _ms(middle.p50_ms),
                    _ms(middle.p99_ms),
                    " ".join(f"{one.outcome.commits_per_s:,.0f}" for one in found),
                    f"{max(one.busy_before for one in found):.0%}",
                    f"{max(one.busy_during for one in found):.0%}",
                )
            )
    columns = (
        "outstanding",
        "system",
        "ours / it",
        "commits/s",
        "p50 ms",
        "p99 ms",
        "each turn",
        "CPUs busy before",
        "during",
    )
    return Table(contest.title, columns, tuple(rows), tuple(_notes(contest, samples)))


def _notes(contest: Contest, samples: list[Sample]) -> Iterator[str]:
    yield f"A commit is an answered write of {VALUE_BYTES} bytes; a closed loop of so many clients; medians over the turns."
    load = Load(contest.place, 1, SECONDS)
    yield from dict.fromkeys(remark for system in contest.systems if (remark := system.remark(load)))
    seen = [one for one in samples if one.load.place == contest.place]
    contended = sum(one.busy_before > CONTENDED for one in seen)
    if contended:
        yield (
            f"Contended: in {contended} of {len(seen)} samples others took more than {CONTENDED:.0%} of the CPUs just before;"
            " trust the ratios, not the rates."
        )


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _add(failures: list[str], text: str) -> None:
    if text not in failures:
        failures.append(text)
