"""The case: one recorded run, read once and arranged for the checkers.

* History events are paired into ``Call`` records. What cannot be paired is a fault of the record, never of the system.
* The decided logs of all learners and incarnations are merged into one ``log``: slot -> the value learned first.
* ``problems`` lists, by part of the record, what is missing or contradicts itself. A checker that needs a part with
  problems may still pass judgement on what it sees, but its violations count as INCONCLUSIVE (see ``conclude``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, get_args

import msgspec

from harness.checkers.model import shown
from harness.checkers.roster import Roster, roster_of
from harness.record import AgentEvent, Ballot, Command, FaultEvent, Operation, RecordedRun, client_name
from harness.results import CheckResult, Verdict, Violation
from nemesis.plan import Plan

Part = Literal["end", "history", "decided", "trace", "faults"]
"""``end``: what a run does when load and faults are over, so that all learners may catch up."""
_LAST_NOTES = ("network", "simulated")
"""Kinds of the notes that a run writes when all else is done."""
Value = tuple[Command, ...]
Learner = tuple[str, int]
"""(agent name, incarnation)"""

MOST_VIOLATIONS = 20
"""Violations a checker reports; more of the same help nobody. The number found is in its stats."""


class Call(msgspec.Struct, gc=False):
    """One operation of a client: its invocation together with its completion."""

    index: int
    """Position of the invocation in the history."""
    process: int
    seq: int
    f: str
    key: str
    value: Any
    """As invoked."""
    call_ns: int
    intended_ns: int
    type: Literal["ok", "fail", "info"] = "info"
    """``info`` also when no completion was recorded."""
    ret_ns: int | None = None
    result: Any = None
    """As completed."""
    applied: bool | None = None
    seen: Any = None
    node: int = -1
    error: str | None = None

    @property
    def has_effect(self) -> bool:
        """Acknowledged, and it changed the store (a compare-and-set that found another value did not)."""
        return self.type == "ok" and (
            self.f in ("write", "delete", "append") or (self.f == "cas" and self.applied is not False)
        )

    @property
    def name(self) -> str:
        return f"{self.f} {self.key} (client {client_name(self.process)}, operation {self.seq})"

    def as_dict(self) -> dict[str, Any]:
        """For ``Violation.operations``."""
        return {
            "index": self.index,
            "process": self.process,
            "seq": self.seq,
            "f": self.f,
            "key": self.key,
            "value": self.result if self.f == "read" and self.type == "ok" else self.value,
            "type": self.type,
            "call_ns": self.call_ns,
            "ret_ns": self.ret_ns,
            "applied": self.applied,
            "seen": self.seen,
        }


class Chosen(msgspec.Struct, frozen=True, gc=False):
    """A value, and who learned it first."""

    value: Value
    learner: Learner
    time_ns: int
    ballot: Ballot | None


class Execution(msgspec.Struct, frozen=True, gc=False):
    """A command of the agreed log that was executed (not skipped by its session)."""

    slot: int
    place: int
    command: Command


class Case:
    """Everything about one run that a checker may ask for; each part is read when first asked for."""

    def __init__(self, run: RecordedRun, plan: Plan) -> None:
        self.run = run
        self.plan = plan
        self.roster: Roster = roster_of(plan.cluster)
        self.problems: dict[Part, list[str]] = {part: [] for part in get_args(Part)}

    def _note_damage(self, part: Part, already: int) -> None:
        for torn in self.run.torn[already:]:
            if torn.damaged:
                self.problems[part].append(
                    f"{torn.path}: a block at byte {torn.offset} does not match its checksum; "
                    f"{torn.lost_bytes} bytes from there on are left out"
                )

    # What a simulated run adds.

    @cached_property
    def _simulated(self) -> FaultEvent | None:
        return next((event for event in self.faults if (event.fault, event.kind) == (-1, "simulated")), None)

    @cached_property
    def deterministic(self) -> bool:
        """The record was written from memory after a run in virtual time: nothing of it was lost on the way, no disk failed
        and no time passed but by the plan. What is wrong in it is wrong in the tested system."""
        return self._simulated is not None and not any(torn.damaged for torn in self.run.torn)

    @cached_property
    def places(self) -> Mapping[int, int]:
        """Process number -> logical client, where that is known; else ``roster.client_of`` tells."""
        return {} if self._simulated is None else dict(self._simulated.evidence["clients"])

    # The history.

    @cached_property
    def operations(self) -> list[Operation]:
        already = len(self.run.torn)
        rows = self.run.history()
        self._note_damage("history", already)
        return rows

    @cached_property
    def calls(self) -> list[Call]:
        """Operations of clients in the order of their invocations."""
        calls, problems = pair(self.operations)
        self.problems["history"].extend(problems)
        return calls

    @cached_property
    def call_of(self) -> dict[tuple[int, int], Call]:
        return {(call.process, call.seq): call for call in self.calls}

    # The agents.

    @cached_property
    def decided(self) -> dict[Learner, list[AgentEvent]]:
        already = len(self.run.torn)
        rows = self.run.agent_events("decided")
        self._note_damage("decided", already)
        self.problems["decided"].extend(self._decided_problems(rows))
        return rows

    def _decided_problems(self, decided: dict[Learner, list[AgentEvent]]) -> Iterable[str]:
        seen = {name for name, _ in decided}
        for name in self.roster.learner_names:
            if name not in seen:
                yield f"decided/: there is no log of learner {name}"
        for (name, incarnation), rows in decided.items():
            begun = any(row.kind == "started" or _refused_to_start(row) for row in rows)
            if name in self.roster.learner_names and not begun:
                yield f"decided/{name}.{incarnation}.rows: no `started` row, so where it began is not known"

    @cached_property
    def trace(self) -> dict[Learner, list[AgentEvent]]:
        already = len(self.run.torn)
        rows = self.run.agent_events("trace")
        self._note_damage("trace", already)
        for (name, incarnation), events in rows.items():
            if events and events[-1].kind == "bounded":
                self.problems["trace"].append(
                    f"trace/{name}.{incarnation}.rows: cut at its bound of {events[-1].extra} rows"
                )
        traced = {agent for agent, _ in rows}
        for agent in sorted(self.roster.voters | self.roster.proposers):
            name = self.roster.names[agent]
            if name not in traced:
                self.problems["trace"].append(f"trace/: there is no trace of {name}")
        return rows

    @cached_property
    def faults(self) -> list[FaultEvent]:
        already = len(self.run.torn)
        rows = self.run.faults()
        self._note_damage("faults", already)
        self.problems["end"].extend(
            f"the run did not come to its end: {event.evidence.get('error')}"
            for event in rows
            if event.fault == -1 and event.kind in ("error", "cut_short")
        )
        last_noted = any(event.fault == -1 and event.kind in _LAST_NOTES for event in rows)
        if not (self.problems["end"] or last_noted or self.run.in_memory):
            self.problems["end"].append(
                "the run did not come to its end: its harness was killed, could not write any more, or is still at work"
            )
        return rows

    # The agreed log.

    @cached_property
    def log(self) -> dict[int, Chosen]:
        """Slot -> the value learned first (by the clock), over all learners and incarnations."""
        log: dict[int, Chosen] = {}
        for learner, rows in self.decided.items():
            for row in rows:
                if row.value is None or row.kind not in ("chosen", "applied"):
                    continue
                known = log.get(row.slot)
                if known is None or row.time_ns < known.time_ns:
                    log[row.slot] = Chosen(row.value, learner, row.time_ns, row.ballot)
        return dict(sorted(log.items()))

    @cached_property
    def applied_rows(self) -> dict[int, list[tuple[Learner, AgentEvent]]]:
        """Slot -> who applied it, with the row."""
        applied: dict[int, list[tuple[Learner, AgentEvent]]] = {}
        for learner, rows in self.decided.items():
            for row in rows:
                if row.kind == "applied":
                    applied.setdefault(row.slot, []).append((learner, row))
        return applied

    @cached_property
    def holes(self) -> list[int]:
        """Slots below the highest known one whose value no log holds (at most 10): the record is incomplete, unless nothing
        can have been lost; then they were never decided."""
        missing: list[int] = []
        expected = 1
        for slot in self.log:
            while expected < slot and len(missing) < 10:
                missing.append(expected)
                expected += 1
            expected = slot + 1
        if missing and not self.deterministic:
            self.problems["decided"].append(
                f"decided/: nobody's log holds slot {missing[0]}, though slot {next(reversed(self.log))} is known"
            )
        return missing

    @cached_property
    def executions(self) -> list[Execution]:
        """The agreed log as a list of commands, in order, without those that sessions skipped.

        What was skipped is told by the first learner that applied the slot; where nobody did (the very end), a command
        whose session is past it counts as skipped.
        """
        found: list[Execution] = []
        past: dict[int, int] = {}
        for slot, chosen in self.log.items():
            rows = self.applied_rows.get(slot)
            skips = skipped(rows[0][1]) if rows else None
            for place, command in enumerate(chosen.value):
                skip = place in skips if skips is not None else command.seq <= past.get(command.process, -1)
                if not skip:
                    found.append(Execution(slot, place, command))
                    if command.seq > past.get(command.process, -1):
                        past[command.process] = command.seq
        return found

    @cached_property
    def execution_of(self) -> dict[tuple[int, int], Execution]:
        """Where an operation was executed first."""
        found: dict[tuple[int, int], Execution] = {}
        for execution in self.executions:
            found.setdefault((execution.command.process, execution.command.seq), execution)
        return found

    # Times.

    @cached_property
    def started_ns(self) -> int:
        """First instant of the record; 0 of an empty one."""
        return min(self._times(first=True), default=0)

    @cached_property
    def ended_ns(self) -> int:
        """Last instant of the record."""
        return max(self._times(first=False), default=0)

    def _times(self, *, first: bool) -> Iterable[int]:
        at = 0 if first else -1
        if self.operations:
            yield self.operations[at].time_ns
        if self.faults:
            yield self.faults[at].time_ns
        for rows in self.decided.values():
            if rows:
                yield rows[at].time_ns

    @cached_property
    def healed_ns(self) -> int | None:
        """When the final heal was done (event of fault -1, kind ``heal``); None if it is not recorded."""
        own = [event.time_ns for event in self.faults if event.fault == -1 and event.kind == "heal"]
        return own[-1] if own else None

    @cached_property
    def positions_before_cut(self) -> dict[str, int]:
        """Learner -> the slot its state covered when the final power cut began; empty if there was none."""
        if self.final_cut is None:
            return {}
        begin_ns, _ = self.final_cut
        last: dict[str, tuple[int, int]] = {}
        for (name, incarnation), rows in self.decided.items():
            if name not in self.roster.learner_names or incarnation < last.get(name, (-1, 0))[0]:
                continue
            for row in rows:
                if row.time_ns >= begin_ns:
                    break
                if row.kind in ("applied", "installed"):
                    last[name] = (incarnation, row.slot)
                elif row.kind == "started" and isinstance(row.extra, dict):
                    last[name] = (incarnation, int(row.extra.get("commit", 0)))
        return {name: slot for name, (_, slot) in last.items()}

    @cached_property
    def floors_before_cut(self) -> dict[str, int]:
        """Agent -> the slot up to which it had cut its log when the final power cut began; empty if there was none."""
        if self.final_cut is None:
            return {}
        begin_ns, _ = self.final_cut
        floors: dict[str, tuple[int, int]] = {}
        for (name, incarnation), rows in sorted(self.trace.items()):
            for row in rows:
                if row.time_ns < begin_ns and row.kind in ("recovered", "restored", "cut"):
                    before = floors.get(name, (-1, 0))
                    floor = max(row.slot, before[1]) if before[0] == incarnation else row.slot
                    floors[name] = (incarnation, floor)
        return {name: floor for name, (_, floor) in floors.items()}

    @cached_property
    def final_cut(self) -> tuple[int, int] | None:
        """Begin and end of the power cut of everything at the end of the run."""
        own = [event for event in self.faults if event.fault == -1 and event.kind == "power"]
        begins = [event.time_ns for event in own if event.edge == "begin"]
        ends = [event.time_ns for event in own if event.edge == "end"]
        return (begins[0], ends[-1]) if begins and ends else None


def skipped(row: AgentEvent) -> dict[int, str]:
    """Place in the value -> why the session layer did not execute it, of an ``applied`` row."""
    if not row.extra or not row.extra[1]:
        return {}
    return {int(place): str(reason) for place, reason in row.extra[1]}


def pair(operations: Sequence[Operation]) -> tuple[list[Call], list[str]]:
    """Calls by invocation, and what does not fit together (a fault of the record)."""
    calls: list[Call] = []
    open_calls: dict[tuple[int, int], Call] = {}
    in_flight: dict[int, int] = {}
    problems: list[str] = []
    known: set[tuple[int, int]] = set()
    for index, op in enumerate(operations):
        name = (op.process, op.seq)
        if op.type == "invoke":
            if name in known:
                problems.append(f"history: operation {op.seq} of client {client_name(op.process)} is invoked twice")
                continue
            if op.process in in_flight:
                problems.append(
                    f"history: client {client_name(op.process)} invokes operation {op.seq} while "
                    f"{in_flight[op.process]} is in flight"
                )
            known.add(name)
            in_flight[op.process] = op.seq
            call = Call(index, op.process, op.seq, op.f, op.key, op.value, op.time_ns, op.intended_ns or op.time_ns)
            calls.append(call)
            open_calls[name] = call
            continue
        opened = open_calls.pop(name, None)
        in_flight.pop(op.process, None)
        if opened is None:
            problems.append(
                f"history: operation {op.seq} of client {client_name(op.process)} completes but was not in flight"
            )
            continue
        if op.time_ns < opened.call_ns:
            problems.append(
                f"history: operation {op.seq} of client {client_name(op.process)} completes before its invocation"
            )
        opened.type = op.type
        opened.result, opened.applied, opened.seen = op.value, op.applied, op.seen
        opened.node, opened.error = op.node, op.error
        if op.type != "info":
            opened.ret_ns = op.time_ns
    return calls, problems[:MOST_VIOLATIONS]


def rule_of_problem(part: str, problem: str) -> str:
    """What a problem of a record that can have lost nothing stands for: a number used twice is the client session's doing."""
    return "client/seq-reused" if problem.endswith("is invoked twice") else f"record/{part}"


def conclude(
    name: str,
    about: str,
    case: Case,
    needs: Iterable[Part],
    violations: list[Violation],
    summary: str,
    stats: dict[str, Any] | None = None,
) -> CheckResult:
    """The result of a checker: FAIL with violations, unless a part of the record that it rests on has problems."""
    problems = [problem for part in needs for problem in case.problems[part]]
    stats = dict(stats or {})
    if violations:
        stats["violations"] = len(violations)
    kept = tuple(violations[:MOST_VIOLATIONS])
    if problems:
        text = f"the record is incomplete ({problems[0]})"
        if violations:
            text += f"; what it shows would break the rule: {violations[0].sentence}"
        return CheckResult(name, Verdict.INCONCLUSIVE, text, (), stats | {"suspicions": [v.rule for v in kept]}, about)
    if violations:
        return CheckResult(name, Verdict.FAIL, violations[0].sentence, kept, stats, about)
    return CheckResult(name, Verdict.PASS, summary, (), stats, about)


def brief(value: Any) -> str:
    """A slot's value in a few words: its commands, or a no-op."""
    if value is None:
        return "nothing"
    if not value:
        return "a no-op"
    words = [_command(one) for one in value[:2]]
    more = f" and {len(value) - 2} more" if len(value) > 2 else ""
    return ", ".join(words) + more


def _command(command: Any) -> str:
    """Commands of the record and of the running system alike: (process, seq, session, f, key, value, expected)."""
    parts = msgspec.to_builtins(command)
    if not isinstance(parts, (list, tuple)) or len(parts) < 6:
        return repr(command)
    process, seq, _, f, key, value = parts[:6]
    what = "" if value is None else f" {shown(value)}"
    asked = f"{f} {key}" if key else f
    return f"{asked}{what} (client {client_name(process)}, operation {seq})"


def _refused_to_start(row: AgentEvent) -> bool:
    """It read its log, and stopped: nothing is missing before that row."""
    return row.kind == "stopped" and isinstance(row.extra, dict) and "error" in row.extra
