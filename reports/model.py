"""What a report knows of a run, read from its directory alone.

Rules
-----
* All times are nanoseconds since the run began (the record's clock minus ``started_ns`` of the results).
* A missing or damaged part never stops a report: it is left out and said in ``warnings``.
* Nothing is judged here. The verdict is that of ``results.json``; without one there is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
import pandas as pd

from harness.availability import Availability, availability, window_width_ns
from harness.record import AgentEvent, Command, FaultEvent, Operation, joint_evidence, landed, read_rows
from harness.results import SHRINK_FACTS, FaultResult, Results, ShrinkFacts, Verdict, read_results
from nemesis.faults import KINDS
from reports.wording import joined, shown

OUTCOMES = ("ok", "fail", "info")
OUTCOME_WORDS = {"ok": "succeeded", "fail": "failed", "info": "unknown"}
OUTCOME_MEANING = {
    "ok": "answered with success",
    "fail": "surely did not happen",
    "info": "may have happened: no answer in time, or none before the record ends",
}
READABLE = (OSError, msgspec.MsgspecError, ValueError)
"""What a damaged file raises."""

Part = TypeVar("Part")


@dataclass(frozen=True)
class ProtocolEvent:
    """One recorded step of an agent, at its time of the run."""

    time_ns: int
    agent: str
    incarnation: int
    event: AgentEvent


@dataclass(frozen=True)
class RunModel:
    directory: Path
    results: Results | None
    plan: dict[str, Any]
    """plan.json as plain data; empty if missing."""
    environment: dict[str, Any]
    started_ns: int
    """The record's clock when the run began."""
    duration_ns: int
    operations: pd.DataFrame
    """One row an operation, ordered by intended_ns: process, seq, f, key, value, seen, node, error; intended_ns (when
    the schedule wanted it), invoke_ns, end_ns, latency_ns = end - intended, outcome (ok, fail, info), answered (False:
    no completion on record; it ends with the run, as info)."""
    faults: tuple[FaultResult, ...]
    final_faults: tuple[FaultResult, ...]
    """What the run itself does after the load, such as the final power cut: index -1, kind ``final power``."""
    learned: pd.DataFrame
    """One row each time a learner learned a slot: time_ns, agent, incarnation, slot, value_id, ballot."""
    values: tuple[tuple[Command, ...], ...]
    """value_id -> the commands; equal values have equal ids."""
    covered: dict[str, int]
    """Learner -> the highest slot that a snapshot brought it."""
    protocol: tuple[ProtocolEvent, ...]
    """Decided and trace rows of all agents, by time."""
    agents: tuple[str, ...]
    warnings: tuple[str, ...]
    shrink: ShrinkFacts | None = None
    """How this run's plan came about, if it is a shrunk one."""
    commands: dict[tuple[int, int], int] = field(default_factory=dict)
    """(process, seq) -> row of ``operations``."""

    @cached_property
    def availability(self) -> Availability:
        """Over the windows that all pictures and the page use."""
        table = self.operations
        return availability(
            zip(
                table["intended_ns"].tolist(),
                table["end_ns"].tolist(),
                (table["outcome"] == "ok").tolist(),
                strict=True,
            ),
            self.duration_ns,
            window_width_ns(self.duration_ns),
            until_ns=self.results.healed_ns if self.results else None,
        )

    @property
    def verdict(self) -> Verdict | None:
        return self.results.verdict if self.results else None

    @property
    def seed(self) -> int | None:
        if self.results:
            return self.results.seed
        seed = self.plan.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def name(self) -> str:
        return self.results.name if self.results else str(self.plan.get("name", self.directory.name))


def load(directory: Path) -> RunModel:
    """Read a run directory. Raises NotADirectoryError if there is none; anything less is a warning."""
    if not directory.is_dir():
        raise NotADirectoryError(
            f"{directory} is no run directory; give one that `torture run` made, such as store/latest"
        )
    warnings: list[str] = []
    results = _try(lambda: read_results(directory), None, "results.json", warnings)
    nothing: dict[str, Any] = {}
    plan = _try(lambda: _object(directory / "plan.json"), nothing, "plan.json", warnings)
    environment = _try(lambda: _object(directory / "env.json"), nothing, "env.json", warnings)
    history = _rows(directory, "history", Operation, warnings)
    faults = sorted(_rows(directory, "faults", FaultEvent, warnings), key=lambda row: row.time_ns)
    events = [*_agent_events(directory, "decided", warnings), *_agent_events(directory, "trace", warnings)]
    if not history:
        warnings.append("history/ holds no operation: there is nothing to say about latency and availability")
    started = results.started_ns if results else _first_time(history, faults, events)
    protocol = tuple(
        ProtocolEvent(row.time_ns - started, agent, incarnation, row)
        for row, agent, incarnation in sorted(events, key=lambda item: item[0].time_ns)
    )
    edges = [msgspec.structs.replace(row, time_ns=row.time_ns - started) for row in faults]
    duration = _duration(results, history, edges, protocol, started)
    operations = _pair(history, started, duration, warnings)
    learned, values = _learned(protocol)
    return RunModel(
        directory=directory,
        results=results,
        plan=plan,
        environment=(results.environment if results and results.environment else environment),
        started_ns=started,
        duration_ns=duration,
        operations=operations,
        faults=results.faults if results else _faults_from_record([row for row in edges if row.fault >= 0], operations),
        final_faults=_final_faults(edges, operations),
        learned=learned,
        values=values,
        covered=_covered(protocol),
        protocol=protocol,
        agents=_agents(protocol, faults),
        warnings=tuple(warnings),
        shrink=_try(lambda: _shrink(directory), None, SHRINK_FACTS, warnings),
        commands={
            (int(process), int(seq)): row
            for row, (process, seq) in enumerate(zip(operations["process"], operations["seq"], strict=True))
        },
    )


def _try(read: Callable[[], Part], missing: Part, name: str, warnings: list[str]) -> Part:
    try:
        return read()
    except FileNotFoundError:
        warnings.append(f"{name} is missing: what it would say is left out")
    except READABLE as error:
        warnings.append(f"{name} cannot be read ({shown(str(error), 200)}): what it would say is left out")
    return missing


def _object(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def _shrink(directory: Path) -> ShrinkFacts | None:
    path = directory / SHRINK_FACTS
    return msgspec.json.decode(path.read_bytes(), type=ShrinkFacts) if path.is_file() else None


Row = TypeVar("Row", Operation, FaultEvent, AgentEvent)


def _rows(directory: Path, folder: str, row: type[Row], warnings: list[str]) -> list[Row]:
    found: list[Row] = []
    for path in sorted((directory / folder).glob("*.rows")):
        found += _file_rows(path, row, warnings)
    return found


def _file_rows(path: Path, row: type[Row], warnings: list[str]) -> list[Row]:
    name = f"{path.parent.name}/{path.name}"
    try:
        rows, torn = read_rows(path, row)
    except READABLE as error:
        warnings.append(f"{name} cannot be read ({shown(str(error), 200)}): its rows are left out")
        return []
    if torn is not None:
        warnings.append(f"{name} is torn: the last {torn.lost_bytes:,} bytes are left out")
    return rows


def _agent_events(
    directory: Path, folder: Literal["decided", "trace"], warnings: list[str]
) -> Iterable[tuple[AgentEvent, str, int]]:
    for path in sorted((directory / folder).glob("*.rows")):
        agent, _, incarnation = path.stem.rpartition(".")
        if not agent or not incarnation.isdecimal():
            warnings.append(f"{folder}/{path.name} is not named <agent>.<incarnation>.rows: it is left out")
            continue
        for row in _file_rows(path, AgentEvent, warnings):
            yield row, agent, int(incarnation)


def _first_time(history: list[Operation], faults: list[FaultEvent], events: list[tuple[AgentEvent, str, int]]) -> int:
    times = [row.time_ns for row in history] + [row.intended_ns for row in history if row.intended_ns]
    times += [row.time_ns for row in faults] + [row.time_ns for row, _, _ in events]
    return min(times, default=0)


def _duration(
    results: Results | None,
    history: list[Operation],
    edges: list[FaultEvent],
    protocol: tuple[ProtocolEvent, ...],
    started: int,
) -> int:
    """To the last thing on record, or as long as the results say, whichever is longer; at least 1 ms."""
    last = [row.time_ns - started for row in history] + [row.time_ns for row in edges]
    last += [protocol[-1].time_ns] if protocol else []
    return max(1_000_000, results.duration_ns if results else 0, *last) if last or results else 1_000_000


def _pair(history: list[Operation], started: int, duration: int, warnings: list[str]) -> pd.DataFrame:
    begun: dict[tuple[int, int], Operation] = {}
    ended: dict[tuple[int, int], Operation] = {}
    twice = orphans = 0
    for row in history:
        side = begun if row.type == "invoke" else ended
        twice += (row.process, row.seq) in side
        side[row.process, row.seq] = row
    for name, row in ended.items():
        if name not in begun:
            orphans += 1
            begun[name] = row
    if twice:
        warnings.append(f"history/: {twice:,} events repeat an operation's (process, seq); the last of each is shown")
    if orphans:
        warnings.append(f"history/: {orphans:,} completions have no invocation; they are shown without a length")
    rows = list(begun.values())
    ends = [ended.get(name) for name in begun]
    invoke = np.array([row.time_ns for row in rows], dtype=np.int64) - started
    intended = np.array([row.intended_ns or row.time_ns for row in rows], dtype=np.int64) - started
    end = np.array([duration + started if row is None else row.time_ns for row in ends], dtype=np.int64) - started
    frame = pd.DataFrame(
        {
            "process": np.array([row.process for row in rows], dtype=np.int64),
            "seq": np.array([row.seq for row in rows], dtype=np.int64),
            "f": pd.Series([row.f for row in rows], dtype=object),
            "key": pd.Series([row.key for row in rows], dtype=object),
            "value": pd.Series([_last(row.value, end) for row, end in zip(rows, ends, strict=True)], dtype=object),
            "seen": pd.Series([None if row is None else row.seen for row in ends], dtype=object),
            "node": np.array([-1 if row is None else row.node for row in ends], dtype=np.int64),
            "error": pd.Series([None if row is None else row.error for row in ends], dtype=object),
            "intended_ns": intended,
            "invoke_ns": invoke,
            "end_ns": end,
            "latency_ns": np.maximum(end - intended, 0),
            "outcome": pd.Categorical(["info" if row is None else row.type for row in ends], categories=list(OUTCOMES)),
            "answered": np.array([row is not None for row in ends], dtype=np.bool_),
        }
    )
    return frame.sort_values("intended_ns", kind="stable", ignore_index=True)


def _last(asked: Any, end: Operation | None) -> Any:
    """What was read, or else what was asked for."""
    return end.value if end is not None and end.type == "ok" and end.f == "read" else asked


def _final_faults(edges: list[FaultEvent], operations: pd.DataFrame) -> tuple[FaultResult, ...]:
    """One for each kind of final fault that began."""
    kinds = list(dict.fromkeys(row.kind for row in edges if row.fault < 0 and row.edge == "begin"))
    return tuple(
        msgspec.structs.replace(fault, kind=f"final {kind}", describe=f"final {fault.describe}")
        for kind in kinds
        for fault in _faults_from_record([row for row in edges if row.fault < 0 and row.kind == kind], operations)
    )


def _faults_from_record(edges: list[FaultEvent], operations: pd.DataFrame) -> tuple[FaultResult, ...]:
    """Faults as the nemesis recorded them: those of a run that nobody has judged yet, and the final ones."""
    begins = {row.fault: row for row in edges if row.edge == "begin"}
    ends = {row.fault: row for row in edges if row.edge == "end"}
    done = operations.loc[operations["outcome"] == "ok", "end_ns"].to_numpy()
    unknown = operations.loc[operations["outcome"] == "info", "end_ns"].to_numpy()
    done = np.sort(done)
    found = []
    for index in sorted(begins.keys() | ends.keys()):
        edge = begins.get(index) or ends[index]
        begin = begins[index].time_ns if index in begins else None
        end = ends[index].time_ns if index in ends else None
        evidence = joint_evidence(row for row in (begins.get(index), ends.get(index)) if row is not None)
        low, high = begin or 0, end if end is not None else np.iinfo(np.int64).max
        found.append(
            FaultResult(
                index=index,
                kind=edge.kind,
                targets=edge.targets,
                describe=f"{edge.kind} of {joined(edge.targets) or 'nobody'}",
                begin_ns=begin,
                end_ns=end,
                evidence=evidence,
                landed=begin is not None and landed(edge.kind, edge.targets, evidence),
                operations_ok_inside=int(((done >= low) & (done <= high)).sum()),
                operations_unknown_inside=int(((unknown >= low) & (unknown <= high)).sum()),
                first_ok_after_begin_ns=_wait_until_next(done, begin),
                first_ok_after_heal_ns=_wait_until_next(done, end),
            )
        )
    return tuple(found)


def _wait_until_next(times: Any, since: int | None) -> int | None:
    place = len(times) if since is None else int(np.searchsorted(times, since))
    return None if since is None or place == len(times) else int(times[place]) - since


def _learned(protocol: tuple[ProtocolEvent, ...]) -> tuple[pd.DataFrame, tuple[tuple[Command, ...], ...]]:
    ids: dict[bytes, int] = {}
    values: list[tuple[Command, ...]] = []
    encode = msgspec.msgpack.Encoder().encode
    rows = []
    for item in protocol:
        if item.event.kind != "chosen" or item.event.value is None:
            continue
        key = encode(item.event.value)
        value_id = ids.get(key)
        if value_id is None:
            value_id = ids[key] = len(values)
            values.append(item.event.value)
        rows.append((item.time_ns, item.agent, item.incarnation, item.event.slot, value_id, item.event.ballot))
    columns = ["time_ns", "agent", "incarnation", "slot", "value_id", "ballot"]
    return pd.DataFrame(rows, columns=columns), tuple(values)


def _covered(protocol: tuple[ProtocolEvent, ...]) -> dict[str, int]:
    covered: dict[str, int] = {}
    for item in protocol:
        if item.event.kind == "installed":
            covered[item.agent] = max(covered.get(item.agent, 0), item.event.slot)
    return covered


def _agents(protocol: tuple[ProtocolEvent, ...], faults: list[FaultEvent]) -> tuple[str, ...]:
    names = {item.agent for item in protocol if item.event.kind != "message"} | {
        name for row in faults for name in row.targets
    }
    return tuple(sorted(names, key=_lane_order))


def _lane_order(name: str) -> tuple[int, str, int, str]:
    """Proposers, acceptors, learners, then replicas and anything else; numbers as numbers."""
    letters = name.rstrip("0123456789")
    digits = name[len(letters) :]
    return ("pal".find(letters) if letters in ("p", "a", "l") else 3, letters, int(digits or 0), name)


def device(kind: str) -> str:
    """process, link, disk or clock; ``other`` for a kind that this version does not know."""
    known = KINDS.get(kind.removeprefix("final "))
    return known.device if known else "other"
