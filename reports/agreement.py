"""Agreement at a glance: which learner knows which slot, where they differ, and who led when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.record import Ballot
from reports.model import RunModel
from reports.wording import ballot_name, joined, value_text

WIDTH = 900
GUTTER = 84
CELLS_AT_MOST = 272
"""Cells a learner; with more slots a cell stands for several, and shows the worst of them."""
SLOTS_AT_MOST = 20_000_000
"""Beyond so many slots between the lowest and the highest nothing is drawn: a slot number is not to be trusted then."""
MISMATCHES_AT_MOST = 20
LEADERSHIPS_AT_MOST = 300
STATES = ("known", "snapshot", "gap", "mismatch")


@dataclass(frozen=True)
class Cell:
    x: float
    width: float
    state: str
    title: str


@dataclass(frozen=True)
class Mismatch:
    slot: int
    values: tuple[tuple[str, str], ...]
    """(learners, what they learned)"""


@dataclass(frozen=True)
class Slots:
    """Slots by learners. ``learners``: (name, cells, slots known, slots missing)."""

    first: int
    last: int
    per_cell: int
    learners: tuple[tuple[str, tuple[Cell, ...], int, int], ...]
    mismatches: tuple[Mismatch, ...]
    mismatch_total: int


@dataclass(frozen=True)
class Leadership:
    """From the end of phase 1 until the agent gave up, stopped or was killed; else to the end of the run."""

    agent: str
    ballot: Ballot
    begin_ns: int
    end_ns: int
    x: float
    width: float
    label: str
    duel: bool
    """Another agent held a leadership at the same time."""


@dataclass(frozen=True)
class Attempt:
    """A phase 1 that began; it may have won or not."""

    agent: str
    x: float
    label: str
    time_ns: int


@dataclass(frozen=True)
class Leaders:
    lanes: tuple[str, ...]
    leaderships: tuple[Leadership, ...]
    total: int
    duels: int
    attempts: tuple[Attempt, ...]
    attempts_total: int


def slots(model: RunModel) -> Slots | None:
    """None if no learner recorded a slot, or the slot numbers span more than ``SLOTS_AT_MOST``."""
    table = model.learned
    if table.empty:
        return None
    slot = table["slot"].to_numpy(np.int64)
    first, last = int(slot.min()), int(slot.max())
    size = last - first + 1
    if size > SLOTS_AT_MOST:
        return None
    value = table["value_id"].to_numpy(np.int64)
    known_value = np.full(size, -1, dtype=np.int64)
    known_value[slot[::-1] - first] = value[::-1]
    bad_slots = np.unique(slot[value != known_value[slot - first]])
    names = [name for name in model.agents if name in set(table["agent"])]
    per_cell = -(-size // CELLS_AT_MOST)
    learners = []
    for name in names:
        state = np.full(size, STATES.index("gap"), dtype=np.int8)
        covered = model.covered.get(name, first - 1)
        state[: max(0, covered - first + 1)] = STATES.index("snapshot")
        mine = slot[(table["agent"] == name).to_numpy()] - first
        state[mine] = STATES.index("known")
        gaps = int((state == STATES.index("gap")).sum())
        state[np.intersect1d(bad_slots - first, mine)] = STATES.index("mismatch")
        learners.append((name, _cells(state, per_cell, first), len(np.unique(mine)), gaps))
    return Slots(
        first=first,
        last=last,
        per_cell=per_cell,
        learners=tuple(learners),
        mismatches=tuple(_mismatch(model, int(bad)) for bad in bad_slots[:MISMATCHES_AT_MOST]),
        mismatch_total=len(bad_slots),
    )


def _cells(state: npt.NDArray[np.int8], per_cell: int, first: int) -> tuple[Cell, ...]:
    """Neighbouring cells of one state are one."""
    starts = np.arange(0, len(state), per_cell)
    worst = np.maximum.reduceat(state, starts)
    scale = (WIDTH - GUTTER) / len(worst)
    edges = np.concatenate(([0], np.flatnonzero(np.diff(worst)) + 1, [len(worst)]))
    found = []
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        low, high = first + begin * per_cell, min(first + end * per_cell, first + len(state)) - 1
        what = STATES[int(worst[begin])]
        where = f"slot {low}" if low == high else f"slots {low} to {high}"
        found.append(Cell(GUTTER + begin * scale, max(1.0, (end - begin) * scale), what, f"{where}: {what}"))
    return tuple(found)


def _mismatch(model: RunModel, slot: int) -> Mismatch:
    rows = model.learned[model.learned["slot"] == slot]
    values = []
    for value_id, group in rows.groupby("value_id", sort=False):
        who = joined(list(dict.fromkeys(group["agent"].tolist())))
        values.append((who, value_text(model.values[int(str(value_id))])))
    return Mismatch(slot, tuple(values))


def leaders(model: RunModel) -> Leaders:
    """Who led when, by the trace; leaderships that overlap on different agents are duels."""
    open_now: dict[str, tuple[Ballot, int]] = {}
    found: list[tuple[str, Ballot, int, int]] = []
    for time, name, what, ballot in _turns(model):
        if name in open_now:
            held, begin = open_now.pop(name)
            found.append((name, held, begin, time))
        if what == "leader" and ballot is not None:
            open_now[name] = (ballot, time)
    found += [(name, held, begin, model.duration_ns) for name, (held, begin) in open_now.items()]
    found.sort(key=lambda row: row[2])
    duelling: set[int] = set()
    duels = 0
    for place, (name, _, _, end) in enumerate(found):
        for other in range(place + 1, len(found)):
            if found[other][2] >= end:
                break
            if found[other][0] != name:
                duels += 1
                duelling |= {place, other}
    scale = (WIDTH - GUTTER) / model.duration_ns
    began = [item for item in model.protocol if item.event.kind == "prepare"]
    active = {row[0] for row in found} | {item.agent for item in began}
    return Leaders(
        lanes=tuple(name for name in model.agents if name in active),
        leaderships=tuple(
            Leadership(
                agent=name,
                ballot=ballot,
                begin_ns=begin,
                end_ns=end,
                x=GUTTER + begin * scale,
                width=max(2.0, (end - begin) * scale),
                label=ballot_name(ballot),
                duel=place in duelling,
            )
            for place, (name, ballot, begin, end) in enumerate(found[:LEADERSHIPS_AT_MOST])
        ),
        total=len(found),
        duels=duels,
        attempts=tuple(
            Attempt(item.agent, GUTTER + item.time_ns * scale, ballot_name(item.event.ballot), item.time_ns)
            for item in began[:LEADERSHIPS_AT_MOST]
        ),
        attempts_total=len(began),
    )


def _turns(model: RunModel) -> list[tuple[int, str, str, Ballot | None]]:
    """(time, agent, what, ballot): everything that begins or ends a leadership, in the order of time."""
    turns = [
        (item.time_ns, item.agent, item.event.kind, item.event.ballot)
        for item in model.protocol
        if item.event.kind in ("leader", "step_down", "started", "stopped")
    ]
    turns += [
        (fault.begin_ns, name, fault.kind, None)
        for fault in (*model.faults, *model.final_faults)
        if fault.kind.removeprefix("final ") in ("kill", "power", "corrupt")
        and fault.landed
        and fault.begin_ns is not None
        for name in fault.targets
    ]
    return sorted(turns, key=lambda turn: turn[0])
