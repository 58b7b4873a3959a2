"""Where an agent's process records what it does: its decided log, complete, and its trace, bounded.

Rows gather until ``flush`` hands them to the kernel in one write a file; the host flushes before messages leave.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.record import DECIDED_KINDS, AgentEvent, RowWriter
from paxos_impl.messages import Ballot, Value

TRACE_ROWS_MAX = 2_000_000


class AgentRecorder:
    """Implements ``paxos_impl.process.host.Recorder`` for one incarnation."""

    def __init__(self, directory: Path, name: str, incarnation: int, trace_rows_max: int = TRACE_ROWS_MAX) -> None:
        file = f"{name}.{incarnation}.rows"
        self._decided = RowWriter(directory / "decided" / file)
        self._traced = RowWriter(directory / "trace" / file)
        self._decided_rows: list[AgentEvent] = []
        self._traced_rows: list[AgentEvent] = []
        self._trace_rows_max = trace_rows_max
        self._room = trace_rows_max

    def trace(
        self, time_ns: int, kind: str, ballot: Ballot | None, slot: int, value: Value | None, extra: Any, /
    ) -> None:
        # A value's commands are written as the protocol holds them: the record's Command has the same fields.
        row = AgentEvent(time_ns, kind, ballot, slot, value, extra)  # type: ignore[arg-type]
        if kind in DECIDED_KINDS:
            self._decided_rows.append(row)
        elif self._room > 1:
            self._room -= 1
            self._traced_rows.append(row)
        elif self._room == 1:
            self._room = 0
            self._traced_rows.append(AgentEvent(time_ns, "bounded", extra=self._trace_rows_max))

    def flush(self) -> None:
        if self._decided_rows:
            self._decided.write(self._decided_rows)
            self._decided_rows.clear()
        if self._traced_rows:
            self._traced.write(self._traced_rows)
            self._traced_rows.clear()
