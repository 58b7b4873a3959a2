"""Client operations as bars: those that force a violation, with others on the same key around them."""

from __future__ import annotations

from dataclasses import dataclass

from harness.record import client_name
from harness.results import Violation
from reports.model import RunModel
from reports.wording import shown

WIDTH = 900
GUTTER = 132
ROW = 48
TOP = 20
CONTEXT_AT_MOST = 10
"""Other operations on the key that are drawn."""


@dataclass(frozen=True)
class OperationBar:
    """From the invocation to the completion; an operation of unknown outcome has an open end."""

    x: float
    y: float
    width: float
    label: str
    title: str
    outcome: str
    forcing: int
    """Its number in the explanation; 0 = context only."""


@dataclass(frozen=True)
class OperationDiagram:
    """Ready to be drawn; lengths in pixels."""

    width: float
    height: float
    lanes: tuple[tuple[str, float], ...]
    bars: tuple[OperationBar, ...]
    ticks: tuple[tuple[float, str], ...]
    left_out: int
    """Other operations on the key in that time which are not drawn."""


def operation_diagram(model: RunModel, violation: Violation) -> OperationDiagram | None:
    """The forcing operations of a violation; None if the history has none of them."""
    numbers = _rows(model, violation)
    if not numbers:
        return None
    invoke: list[int] = model.operations["invoke_ns"].tolist()
    ended: list[int] = model.operations["end_ns"].tolist()
    outcome = model.operations["outcome"].tolist()
    process = model.operations["process"].tolist()
    begin = min(invoke[row] for row in numbers)
    end = max(invoke[row] if outcome[row] == "info" else ended[row] for row in numbers)
    margin = max(1_000, (end - begin) // 12)
    begin, end = max(0, begin - margin), end + margin
    keys = set(model.operations["key"][list(numbers)])
    context = [
        row
        for row, key in enumerate(model.operations["key"].tolist())
        if key in keys and row not in numbers and ended[row] >= begin and invoke[row] <= end
    ]
    drawn = sorted([*numbers, *context[:CONTEXT_AT_MOST]], key=lambda row: invoke[row])
    lanes = {
        client: TOP + ROW * (place + 0.6) for place, client in enumerate(dict.fromkeys(process[row] for row in drawn))
    }

    def x(time_ns: int) -> float:
        return GUTTER + (WIDTH - GUTTER) * (min(max(time_ns, begin), end) - begin) / (end - begin)

    def bar(row: int) -> OperationBar:
        op = model.operations.iloc[row]
        text = operation_text(op["f"], op["key"], op["value"])
        right = float(WIDTH) if outcome[row] == "info" else x(ended[row])
        return OperationBar(
            x=x(invoke[row]),
            y=lanes[process[row]],
            width=max(4.0, right - x(invoke[row])),
            label=shown(text, 44),
            title=f"client {client_name(process[row])}, operation {op['seq']}: {text}; {outcome[row]}; "
            f"{invoke[row] / 1e9:.6f} s to {ended[row] / 1e9:.6f} s",
            outcome=outcome[row],
            forcing=numbers.get(row, 0),
        )

    times = [begin + (end - begin) * part // 5 for part in range(5)]
    return OperationDiagram(
        width=WIDTH,
        height=TOP + ROW * len(lanes) + 26,
        lanes=tuple((f"client {client_name(client)}", y) for client, y in lanes.items()),
        bars=tuple(bar(row) for row in drawn),
        ticks=tuple((x(time), f"{time / 1e9:.4f} s") for time in times),
        left_out=max(0, len(context) - CONTEXT_AT_MOST),
    )


def _rows(model: RunModel, violation: Violation) -> dict[int, int]:
    """Row of the table -> number in the explanation, from 1."""
    numbers: dict[int, int] = {}
    for fields in violation.operations:
        process, seq = fields.get("process"), fields.get("seq")
        if isinstance(process, int) and isinstance(seq, int):
            row = model.commands.get((process, seq))
            if row is not None:
                numbers.setdefault(row, len(numbers) + 1)
    return numbers


def operation_text(f: object, key: object, value: object) -> str:
    """``write k1 = v7``, ``read k1 → v7``, ``cas k1: a → b``."""
    name, where = shown(f, 16), shown(key, 24)
    if f == "read":
        return f"{name} {where} → {shown(value, 32)}"
    if f == "cas" and isinstance(value, list | tuple) and len(value) == 2:
        return f"{name} {where}: {shown(value[0], 24)} → {shown(value[1], 24)}"
    return f"{name} {where} = {shown(value, 32)}"
