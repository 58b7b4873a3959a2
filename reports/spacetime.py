"""The counterexample as a space-time diagram: one lane a process, time downwards, a row for each step that matters.

Rules
-----
* Rows are evenly spaced, not to scale: what counts is the order. The left edge says when; long pauses are marked.
* Values are letters (A, B, …), so that two values for one slot are told apart without colour.
* Messages are drawn only if the network recorded them: trace rows of kind ``message``.
* Beside a lane stands what is on its disk: a message that tells of a promise or vote leaves only when that is durable, so
  its sending shows it.
* The last step that is drawn shows the violation: if no rule of the trace is seen broken, a step of its own says it.
* Bounded: ``STEPS_AT_MOST`` steps and ``MESSAGES_AT_MOST`` messages; the diagram says how many steps there were.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge

from harness.record import AgentEvent, Ballot
from harness.results import Violation
from reports.explain import EXPLAINED, FAULT, VERDICT, Reader, Remark, votes_recovered
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
"""Room for the label of the last lane, at least."""
LETTER_WIDTH = 7
HEAD = 46
LANE_LOWEST = 104
LANE_HIGHEST = 220
MARK_RADIUS = 11
"""Arrows begin and end so far from the middle of a lane, not to run through the marks."""
_PAUSE_NS = 20_000_000
_OF_A_SLOT = frozenset({"propose", "accepted", "chosen"})
_OF_A_BALLOT = frozenset({"prepare", "promised", "leader", "step_down"})
_EXECUTION = ("exactly-once/", "decision/", "applied-order/")
"""Rules about what was executed: the steps that execute are drawn too."""
_AT_THE_END = ("durability/", "liveness/")
SLOTS_AT_MOST = 3
_TELLS = {"Promise": "promised", "Accepted": "accepted"}
"""Message -> the step that must be durable before it leaves."""
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
    "applied": ("pentagon", "executes"),
    FAULT: ("bolt", ""),
    VERDICT: ("burst", "violation"),
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
class Durable:
    """What is on an agent's disk from here on. ``x``: the middle of the lane; the text stands to its left."""

    x: float
    y: float
    text: str

    @property
    def width(self) -> float:
        return round(4 + 5.9 * len(self.text), 1)

    @property
    def left(self) -> float:
        return self.x - 13 - self.width


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
    durable: tuple[Durable, ...] = ()


def diagram(model: RunModel, violation: Violation) -> Diagram | None:
    """The steps that led to the violation; None if the trace of the run has none of them."""
    slots = _slots(model, violation)
    shown_ns = _shown_ns(model, violation)
    wanted = _of_slots(model, violation, slots, shown_ns) if slots else _before(model, violation)
    if not wanted:
        return None
    wanted = sorted([*wanted, *_strikes(model, wanted)], key=_time)
    told = _told(model)
    remarks, reader = _remarks(model, wanted, told)
    if not any(remark.conflict for remark in remarks):
        wanted = [*(item for item in wanted if item.time_ns <= shown_ns), _shows(violation, wanted, shown_ns)]
        remarks, reader = _remarks(model, wanted, told)
    total = len(wanted)
    if total > STEPS_AT_MOST:
        places = [*range(STEPS_AT_MOST // 4), *range(total - 3 * STEPS_AT_MOST // 4, total)]
        wanted, remarks = [wanted[place] for place in places], [remarks[place] for place in places]
    lanes = [name for name in model.agents if name in violation.agents or any(item.agent == name for item in wanted)]
    lane_width = max(LANE_LOWEST, min(LANE_HIGHEST, (940 - GUTTER - MARGIN // 2) // len(lanes)))
    xs = {name: GUTTER + lane_width * (place + 0.5) for place, name in enumerate(lanes)}
    times = [item.time_ns for item in wanted]
    ys = _heights(times)
    scale = _scale(times, ys)
    ballots = {item.event.ballot for item in wanted if item.event.ballot is not None}
    arrows, recorded = _arrows(model, xs, scale, (times[0], times[-1]), slots, ballots)
    durable = _durable(wanted, told, reader, xs, scale, (times[0], times[-1]), slots)
    return Diagram(
        width=xs[lanes[-1]] + _room([_label(item, slots) for item in wanted if item.agent == lanes[-1]]),
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
                label=_label(item, slots),
                when=f"+{span(item.time_ns - times[0])}",
                sentence=remarks[row].sentence,
                conflict=remarks[row].conflict,
                pause=_pause(times, row),
            )
            for row, item in enumerate(wanted)
        ),
        bands=_bands(model, xs, lane_width, scale, times[0], times[-1]),
        arrows=tuple(_beside(arrow, durable) for arrow in arrows),
        letters=tuple(reader.letters.legend),
        total=total,
        begins_ns=times[0],
        messages_recorded=recorded,
        durable=durable,
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


def _slots(model: RunModel, violation: Violation) -> tuple[int, ...]:
    """The slot of the violation, and the others in which the command that it names was chosen."""
    found = [] if violation.slot is None else [violation.slot]
    named = violation.details.get("operation")
    if isinstance(named, list | tuple) and len(named) == 2:
        wanted = tuple(named)
        holds = [any((command.client, command.seq) == wanted for command in value) for value in model.values]
        for slot, value_id in zip(model.learned["slot"].tolist(), model.learned["value_id"].tolist(), strict=True):
            if holds[value_id] and slot not in found:
                found.append(slot)
    return tuple(sorted(found[:SLOTS_AT_MOST]))


def _of_slots(model: RunModel, violation: Violation, slots: tuple[int, ...], shown_ns: int) -> list[ProtocolEvent]:
    """Everything about these slots, with the elections of the ballots that took part; repeated votes are left out."""
    kinds = _OF_A_SLOT | {"applied"} if violation.rule.startswith(_EXECUTION) else _OF_A_SLOT
    about = [item for item in model.protocol if item.event.slot in slots and item.event.kind in kinds]
    if not about:
        return []
    ballots = {item.event.ballot for item in about if item.event.ballot is not None}
    begin = about[0].time_ns
    end = max(about[-1].time_ns, shown_ns if violation.agents else 0)
    letters = Reader(0).letters
    seen: set[tuple[str, str, Ballot | None, int, str]] = set()
    found = []
    for item in model.protocol:
        event = item.event
        if event.kind in _OF_A_SLOT or event.kind == "applied":
            if event.kind not in kinds or event.slot not in slots:
                continue
            name = (item.agent, event.kind, event.ballot, event.slot, letters.of(event.value))
            if name in seen and event.kind != "applied":
                continue
            seen.add(name)
        elif event.kind in _OF_A_BALLOT:
            if event.ballot not in ballots or item.time_ns > end:
                continue
        elif event.kind not in EXPLAINED or event.kind == "stopped" or not begin <= item.time_ns <= end:
            continue
        found.append(item)
    return found


def _before(model: RunModel, violation: Violation) -> list[ProtocolEvent]:
    """The last steps of the agents that the violation names, up to its time, and the elections of the ballots that they
    promised; none if it names no agent."""
    until = run_time(model, violation.time_ns)
    names = set(violation.agents)
    items = [item for item in model.protocol if item.time_ns <= until and item.event.kind in EXPLAINED - {"applied"}]
    own = [item for item in items if item.agent in names][-CONTEXT_STEPS:]
    promised = {item.event.ballot for item in own if item.event.kind == "promised"}
    elections = [
        item
        for item in items
        if item.agent not in names and item.event.kind in ("prepare", "leader") and item.event.ballot in promised
    ]
    return sorted([*own, *elections[-CONTEXT_STEPS:]], key=_time)


def _shown_ns(model: RunModel, violation: Violation) -> int:
    """When the violation can be seen: what is lost or never comes shows at the end only."""
    return model.duration_ns if violation.rule.startswith(_AT_THE_END) else run_time(model, violation.time_ns)


def _shows(violation: Violation, wanted: Sequence[ProtocolEvent], shown_ns: int) -> ProtocolEvent:
    """The violation as a step of its own, on the lane of the first agent that it names."""
    lanes = {item.agent for item in wanted}
    lane = next((name for name in violation.agents if name in lanes), wanted[-1].agent)
    return ProtocolEvent(shown_ns, lane, 0, AgentEvent(shown_ns, VERDICT, extra=violation.sentence.rstrip(".")))


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


def _told(model: RunModel) -> dict[tuple[str, Ballot, int], int] | None:
    """(agent, ballot, slot; 0 for a promise) -> when it first told of it; None if the network recorded nothing.

    An acceptor also tells itself: its own promise when it leads, its own vote when it learns the value.
    """
    acceptors = {item.agent for item in model.protocol if item.event.kind == "promised"}
    found: dict[tuple[str, Ballot, int], int] = {}
    recorded = False
    for item in model.protocol:
        event = item.event
        if event.ballot is None:
            continue
        if event.kind == "message" and isinstance(event.extra, dict):
            recorded = True
            sent, source = event.extra.get("sent_ns"), str(event.extra.get("source"))
            step = _TELLS.get(str(event.extra.get("name")))
            if step is not None and isinstance(sent, int):
                name = (source, event.ballot, event.slot if step == "accepted" else 0)
                found[name] = min(found.get(name, sent - model.started_ns), sent - model.started_ns)
        elif event.kind in ("leader", "chosen") and item.agent in acceptors:
            found.setdefault((item.agent, event.ballot, event.slot if event.kind == "chosen" else 0), item.time_ns)
    return found if recorded else None


def _beside(arrow: Arrow, durable: Sequence[Durable]) -> Arrow:
    """The arrow, ending before what stands at the left of a lane: a head under it could not be seen."""
    x1, x2 = arrow.x1, arrow.x2
    for item in durable:
        if item.left < x1 < item.x and abs(item.y - arrow.y1) < 12:
            x1 = item.left - 2
        if item.left < x2 < item.x and abs(item.y - arrow.y2) < 12:
            x2 = item.left - 2
    return replace(arrow, x1=x1, x2=x2)


def _durable(
    wanted: Sequence[ProtocolEvent],
    told: Mapping[tuple[str, Ballot, int], int] | None,
    reader: Reader,
    xs: dict[str, float],
    scale: Callable[[int], float],
    rows: tuple[int, int],
    slots: tuple[int, ...],
) -> tuple[Durable, ...]:
    """The promises and votes that are drawn, where the first message that tells of them left."""
    found = []
    for item in wanted:
        kind, ballot = item.event.kind, item.event.ballot
        if told is None or ballot is None or kind not in _TELLS.values():
            continue
        sent = told.get((item.agent, ballot, item.event.slot if kind == "accepted" else 0))
        if sent is None or not max(rows[0], item.time_ns) <= sent <= rows[1]:
            continue
        letter = reader.letters.of(item.event.value)
        slot = f" {item.event.slot}:" if len(slots) > 1 and letter else ""
        found.append(
            Durable(xs[item.agent], scale(sent), f"disk{slot} {letter + ' ' if letter else ''}{ballot_name(ballot)}")
        )
    return tuple(dict.fromkeys(found))


def _remarks(
    model: RunModel, wanted: Sequence[ProtocolEvent], told: Mapping[tuple[str, Ballot, int], int] | None
) -> tuple[list[Remark], Reader]:
    """A remark on each wanted step; of all others up to the last one only note is taken."""
    acceptors = {item.agent for item in model.protocol if item.event.kind in ("promised", "accepted")}
    reader = Reader(len(acceptors), told)
    said = {id(item) for item in wanted}
    remarks: list[Remark] = []
    others = (item for item in model.protocol if id(item) not in said)
    for item in merge(others, wanted, key=_time):
        if id(item) in said:
            remarks.append(reader.remark(item))
        else:
            reader.read(item)
        if len(remarks) == len(wanted):
            break
    return remarks, reader


def _label(item: ProtocolEvent, slots: tuple[int, ...]) -> str:
    if item.event.kind == FAULT:
        return f"{shown(item.event.extra['kind'], 12)} {item.event.extra['word']}"
    word = _DRAWN[item.event.kind][1]
    if item.event.kind == "recovered":
        ballot = item.event.ballot
        back = [f"promise {ballot_name(ballot)}" if ballot is not None and ballot[0] >= 0 else "no promise"]
        if slots and item.event.slot < slots[-1]:
            votes = votes_recovered(item)
            back += [f"vote {ballot_name(votes[slot])}" if slot in votes else "no vote" for slot in slots[-1:]]
        return f"{word}: {', '.join(back)}"
    where = f" {item.event.slot}" if len(slots) > 1 and item.event.kind in _OF_A_SLOT | {"applied"} else ""
    return f"{word}{where} {ballot_name(item.event.ballot)}" if item.event.ballot else f"{word}{where}"


def _room(labels: Sequence[str]) -> float:
    """Room to the right of the last lane."""
    return max([MARGIN, *(20 + LETTER_WIDTH * len(label) for label in labels)])


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
    slots: tuple[int, ...],
    ballots: set[Ballot],
) -> tuple[tuple[Arrow, ...], bool]:
    """Messages between these lanes within the rows, of phase 1 of these ballots or about the slots; and whether the
    network recorded any at all."""
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
        about_slot = item.event.slot in slots and name not in PHASE_1
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
        side = MARK_RADIUS if x2 > x1 else -MARK_RADIUS
        stop = x1 + 0.8 * (x2 - x1) if lost else x2 - side
        found.append(Arrow(x1 + side, scale(sent), stop, scale(item.time_ns), lost, title))
    return tuple(found), recorded
