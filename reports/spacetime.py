"""The counterexample as a space-time diagram: one lane a process, time downwards, a row for each step that matters.

Rules
-----
* Rows are evenly spaced, not to scale: what counts is the order. The left edge says when; long pauses are marked.
* Values are letters (A, B, …), so that two values for one slot are told apart without colour.
* Messages are drawn only if the network recorded them: trace rows of kind ``message``.
* Bounded: ``STEPS_AT_MOST`` steps and ``MESSAGES_AT_MOST`` messages; the diagram says how many steps there were.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import merge

from harness.record import AgentEvent, Ballot
from harness.results import Violation
from reports.explain import EXPLAINED, FAULT, Reader, Remark
from reports.model import ProtocolEvent, RunModel, device
from reports.wording import ballot_name, joined, shown, span

STEPS_AT_MOST = 48
MESSAGES_AT_MOST = 80
PHASE_1 = ("Prepare", "Promise")
CONTEXT_STEPS = 24
"""Steps shown before a violation that names no slot."""

GUTTER = 84
ROW = 34
PAUSE_ROOM = 22
"""Further height before a step that comes after a long pause."""
MARGIN = 100
"""Room for the label of the last lane."""
HEAD = 46
LANE_LOWEST = 104
LANE_HIGHEST = 170
_PAUSE_NS = 20_000_000
_OF_A_SLOT = frozenset({"propose", "accepted", "chosen"})
_OF_A_BALLOT = frozenset({"prepare", "promised", "leader", "step_down"})
_DRAWN: dict[str, tuple[str, str]] = {
    "prepare": ("triangle", "prepare"),
    "promised": ("diamond", "promise"),
    "leader": ("star", "leads"),
    "propose": ("arrow", "propose"),
    "accepted": ("square", "vote"),
    "chosen": ("circle", "learns"),
    "recovered": ("ring", "recovers"),
    "started": ("ring", "starts"),
    "stopped": ("cross", "stops"),
    "step_down": ("cross", "gives up"),
    FAULT: ("bolt", ""),
}
"""Kind of event -> its mark and its word."""


@dataclass(frozen=True)
class Step:
    """One row: what happened, where it is drawn, and what it means."""

    number: int
    lane: str
    x: float
    y: float
    mark: str
    letter: str
    hue: int
    """Place of the letter's colour, 0 to 3."""
    label: str
    when: str
    sentence: str
    conflict: bool
    pause: str
    """Length of a long pause before this step; empty if there is none."""


@dataclass(frozen=True)
class Band:
    """A fault on a lane."""

    x: float
    y: float
    height: float
    device: str
    label: str
    title: str


@dataclass(frozen=True)
class Arrow:
    """A message; a lost one ends in a cross."""

    x1: float
    y1: float
    x2: float
    y2: float
    lost: bool
    title: str


@dataclass(frozen=True)
class Diagram:
    """Ready to be drawn; lengths in pixels."""

    width: float
    height: float
    lane_width: float
    lanes: tuple[tuple[str, float], ...]
    """(name, x of its middle)"""
    steps: tuple[Step, ...]
    bands: tuple[Band, ...]
    arrows: tuple[Arrow, ...]
    letters: tuple[tuple[str, str], ...]
    """(letter, what the value is)"""
    total: int
    """Steps that belong here; ``len(steps)`` of them are drawn."""
    begins_ns: int
    """Time of the first row."""
    messages_recorded: bool


def diagram(model: RunModel, violation: Violation) -> Diagram | None:
    """The steps that led to the violation; None if the trace of the run has none of them."""
    wanted = _of_slot(model, violation.slot) if violation.slot is not None else _before(model, violation)
    if not wanted:
        return None
    strikes = _strikes(model, wanted)
    wanted = list(merge(wanted, strikes, key=_time))
    kept = wanted
    if len(wanted) > STEPS_AT_MOST:
        kept = [*wanted[: STEPS_AT_MOST // 4], *wanted[-3 * STEPS_AT_MOST // 4 :]]
    lanes = [name for name in model.agents if name in violation.agents or any(item.agent == name for item in kept)]
    lane_width = max(LANE_LOWEST, min(LANE_HIGHEST, (940 - GUTTER - MARGIN // 2) // len(lanes)))
    xs = {name: GUTTER + lane_width * (place + 0.5) for place, name in enumerate(lanes)}
    times = [item.time_ns for item in kept]
    ys = _heights(times)
    remarks, reader = _remarks(list(merge(model.protocol, strikes, key=_time)), kept)
    scale = _scale(times, ys)
    ballots = {item.event.ballot for item in kept if item.event.ballot is not None}
    arrows, recorded = _arrows(model, xs, scale, (times[0], times[-1]), violation.slot, ballots)
    return Diagram(
        width=GUTTER + lane_width * (len(lanes) - 0.5) + MARGIN,
        height=ys[-1] + 0.7 * ROW,
        lane_width=lane_width,
        lanes=tuple(xs.items()),
        steps=tuple(
            Step(
                number=row + 1,
                lane=item.agent,
                x=xs[item.agent],
                y=ys[row],
                mark=_DRAWN[item.event.kind][0],
                letter=reader.letters.of(item.event.value),
                hue=reader.letters.hue(item.event.value),
                label=_label(item),
                when=f"+{span(item.time_ns - times[0])}",
                sentence=remarks[row].sentence,
                conflict=remarks[row].conflict,
                pause=_pause(times, row),
            )
            for row, item in enumerate(kept)
        ),
        bands=_bands(model, xs, lane_width, scale, times[0], times[-1]),
        arrows=arrows,
        letters=tuple(reader.letters.legend),
        total=len(wanted),
        begins_ns=times[0],
        messages_recorded=recorded,
    )


def first_diagram(model: RunModel) -> Diagram | None:
    """The first violation of the run that can be drawn."""
    checks = model.results.checks if model.results else ()
    for violation in (violation for check in checks for violation in check.violations[:3]):
        found = diagram(model, violation)
        if found is not None:
            return found
    return None


def run_time(model: RunModel, time_ns: int) -> int:
    """A time of the results as time of the run, also if a checker left it on the record's clock."""
    on_clock = model.started_ns > model.duration_ns and time_ns >= model.started_ns
    return time_ns - model.started_ns if on_clock else time_ns


def _of_slot(model: RunModel, slot: int) -> list[ProtocolEvent]:
    """Everything about one slot, with the elections of the ballots that took part; repeated votes are left out."""
    about = [item for item in model.protocol if item.event.slot == slot and item.event.kind in _OF_A_SLOT]
    if not about:
        return []
    ballots = {item.event.ballot for item in about if item.event.ballot is not None}
    begin, end = about[0].time_ns, about[-1].time_ns
    letters = Reader(0).letters
    seen: set[tuple[str, str, Ballot | None, str]] = set()
    found = []
    for item in model.protocol:
        event = item.event
        if event.kind in _OF_A_SLOT:
            name = (item.agent, event.kind, event.ballot, letters.of(event.value) if event.slot == slot else "")
            if event.slot != slot or name in seen:
                continue
            seen.add(name)
        elif event.kind in _OF_A_BALLOT:
            if event.ballot not in ballots or item.time_ns > end:
                continue
        elif event.kind not in EXPLAINED or not begin <= item.time_ns <= end:
            continue
        found.append(item)
    return found


def _before(model: RunModel, violation: Violation) -> list[ProtocolEvent]:
    """The last steps of the agents that the violation names, up to its time; none if it names no agent."""
    until = run_time(model, violation.time_ns)
    names = set(violation.agents)
    items = [item for item in model.protocol if item.time_ns <= until and item.agent in names]
    return [item for item in items if item.event.kind in EXPLAINED][-CONTEXT_STEPS:]


def _strikes(model: RunModel, wanted: Sequence[ProtocolEvent]) -> list[ProtocolEvent]:
    """Begins and ends of the faults that struck these agents while the steps went on, as steps themselves."""
    begin, end = wanted[0].time_ns, wanted[-1].time_ns
    names = {item.agent for item in wanted}
    found = []
    for fault in (*model.faults, *model.final_faults):
        struck = [name for name in fault.targets if name in names]
        for word, time in (("begins", fault.begin_ns), ("ends", fault.end_ns)):
            if fault.landed and struck and time is not None and begin <= time <= end:
                extra = {"kind": fault.kind, "word": word, "fault": fault.describe}
                found.append(ProtocolEvent(time, struck[0], 0, AgentEvent(time, FAULT, extra=extra)))
    return sorted(found, key=_time)


def _time(item: ProtocolEvent) -> int:
    return item.time_ns


def _remarks(events: Sequence[ProtocolEvent], kept: Sequence[ProtocolEvent]) -> tuple[list[Remark], Reader]:
    acceptors = {item.agent for item in events if item.event.kind in ("promised", "accepted")}
    reader = Reader(len(acceptors))
    shown_items = {id(item) for item in kept}
    remarks: list[Remark] = []
    for item in events:
        if id(item) in shown_items:
            remarks.append(reader.remark(item))
        else:
            reader.read(item)
        if len(remarks) == len(kept):
            break
    return remarks, reader


def _label(item: ProtocolEvent) -> str:
    if item.event.kind == FAULT:
        return f"{shown(item.event.extra['kind'], 12)} {item.event.extra['word']}"
    word = _DRAWN[item.event.kind][1]
    return f"{word} {ballot_name(item.event.ballot)}" if item.event.ballot else word


def _heights(times: Sequence[int]) -> list[float]:
    heights = []
    at = HEAD - 0.1 * ROW
    for row in range(len(times)):
        at += ROW + (PAUSE_ROOM if _pause(times, row) else 0)
        heights.append(at)
    return heights


def _pause(times: Sequence[int], row: int) -> str:
    length = times[row] - times[row - 1] if row else 0
    return span(length) if length > _PAUSE_NS else ""


def _scale(times: Sequence[int], ys: Sequence[float]) -> Callable[[int], float]:
    """Time -> height: between two rows in proportion, beyond the ends half a row away."""

    def place(time_ns: int) -> float:
        if time_ns < times[0]:
            return ys[0] - 0.5 * ROW
        if time_ns > times[-1]:
            return ys[-1] + 0.5 * ROW
        row = bisect_left(times, time_ns)
        if times[row] == time_ns:
            return ys[row]
        part = (time_ns - times[row - 1]) / (times[row] - times[row - 1])
        return ys[row - 1] + part * (ys[row] - ys[row - 1])

    return place


def _bands(
    model: RunModel, xs: dict[str, float], lane_width: float, scale: Callable[[int], float], begin: int, end: int
) -> tuple[Band, ...]:
    """Faults that took effect on these lanes within the rows."""
    found: list[Band] = []
    for fault in (*model.faults, *model.final_faults):
        until = end + 1 if fault.end_ns is None else fault.end_ns
        if fault.begin_ns is None or not fault.landed or fault.begin_ns > end or until < begin:
            continue
        top, bottom = scale(fault.begin_ns), scale(until)
        who = joined([shown(name, 16) for name in fault.targets])
        found.extend(
            Band(
                x=xs[name] - lane_width / 2 + 4,
                y=top,
                height=max(6.0, bottom - top),
                device=device(fault.kind),
                label=shown(fault.kind, 16),
                title=f"{shown(fault.describe)}, on {who}",
            )
            for name in fault.targets
            if name in xs
        )
    return tuple(found)


def _arrows(
    model: RunModel,
    xs: dict[str, float],
    scale: Callable[[int], float],
    rows: tuple[int, int],
    slot: int | None,
    ballots: set[Ballot],
) -> tuple[tuple[Arrow, ...], bool]:
    """Messages between these lanes within the rows, of phase 1 of these ballots or about the slot; and whether the network
    recorded any at all."""
    begin, end = rows
    recorded = False
    found: list[Arrow] = []
    for item in model.protocol:
        if item.event.kind != "message":
            continue
        recorded = True
        extra = item.event.extra
        if not isinstance(extra, dict) or len(found) == MESSAGES_AT_MOST:
            continue
        name = extra.get("name")
        about_slot = slot is None or (item.event.slot == slot and name not in PHASE_1)
        if not about_slot and not (name in PHASE_1 and item.event.ballot in ballots):
            continue
        source, target, sent = extra.get("source"), extra.get("target"), extra.get("sent_ns")
        if source not in xs or target not in xs or not isinstance(sent, int):
            continue
        sent -= model.started_ns
        if sent < begin or item.time_ns > end:
            continue
        lost = extra.get("fate") != "delivered"
        x1, x2 = xs[source], xs[target]
        title = f"{shown(extra.get('name', 'message'), 24)} from {source} to {target}" + (", lost" if lost else "")
        found.append(Arrow(x1, scale(sent), x1 + (0.8 if lost else 1.0) * (x2 - x1), scale(item.time_ns), lost, title))
    return tuple(found), recorded
