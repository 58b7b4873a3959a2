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

from harness.checkers.model import EFFECTS, KNOWN, LOCAL_READ, KeyValueModel, Outcome, shown
from harness.checkers.roster import Roster, roster_of
from harness.record import AgentEvent, Ballot, Command, FaultEvent, Operation, RecordedRun, client_name
from harness.results import CheckResult, Verdict, Violation
from nemesis.plan import Plan

Part = Literal["end", "history", "decided", "trace", "faults"]
"""``end``: what a run does when load and faults are over, so that all learners may catch up."""
NOT_APPLIED = "past it"
"""Why a command counts as skipped of which no learner told: its client executed this one or a later one before."""
_LAST_NOTES = ("network", "simulated")
"""Kinds of the notes that a run writes when all else is done."""
SEEN = "violation"
"""The note of something that the simulator saw and that no row of its record shows."""
Value = tuple[Command, ...]
Learner = tuple[str, int]
"""(agent name, incarnation)"""

OperationName = tuple[int, int]
"""(process, seq) of an operation, (client, seq) of the command that it asks for."""

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


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A command in its place of the agreed log, with all that is known of it there."""

    slot: int
    place: int
    """In the slot's value."""
    command: Command
    operation: OperationName
    chosen: Chosen
    """The value it is part of."""
    call: Call | None
    """The operation it stands for; None: no client asked for it."""
    applied: tuple[Learner, AgentEvent] | None
    """Who applied the slot first, with the row; None: nobody did."""
    skip: str | None
    """Why the session layer did not execute it, as who applied it tells; None: it was executed."""


class Replay(msgspec.Struct, frozen=True):
    """What the model says when the agreed log is replayed on it."""

    outcomes: list[Outcome | None]
    """What each of ``Case.executions`` must answer; None: no command of a client's operation."""
    local: dict[int, Any]
    """What a local read (by the index of its call) must tell: the value after the slot it names."""


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
        if self._simulated is None:
            return False
        assert self.operations is not None  # reading them tells whether their files are as they were written
        return not self.run.torn

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
        # Clients outlive their run: only one that was cut short may leave a torn block.
        self.problems["history"].extend(
            f"{torn.path}: the last block is torn though the run came to its end; {torn.lost_bytes} bytes are left out"
            for torn in self.run.torn[already:]
            if not torn.damaged and self.faults and not self.problems["end"]
        )
        return rows

    @cached_property
    def calls(self) -> list[Call]:
        """Operations of clients in the order of their invocations."""
        return list(self.call_of.values())

    @cached_property
    def call_of(self) -> dict[OperationName, Call]:
        """(process, seq) -> its call, in the order of their invocations."""
        calls, problems = pair(self.operations)
        self.problems["history"].extend(problems)
        return calls

    @cached_property
    def acknowledged(self) -> dict[int, Call]:
        """By their index, those that were answered and changed the store (a compare-and-set that found another value did
        not)."""
        return {
            call.index: call
            for call in self.calls
            if call.type == "ok" and call.f in EFFECTS and (call.f != "cas" or call.applied is not False)
        }

    @cached_property
    def local_reads(self) -> list[Call]:
        """Those that were answered and tell of which slot, in the order of their invocations."""
        return [
            call for call in self.calls if call.f == LOCAL_READ and call.type == "ok" and isinstance(call.seen, int)
        ]

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
    def entries(self) -> list[Entry]:
        """The agreed log as a list of commands, in order.

        What was skipped is told by the first learner that applied the slot; where nobody did (the very end), a command
        whose session is past it counts as skipped.
        """
        found: list[Entry] = []
        # Client -> the last it had executed; seldom asked for.
        past: dict[int, int] | None = None
        call_of, applied_rows = self.call_of, self.applied_rows
        for slot, chosen in self.log.items():
            rows = applied_rows.get(slot)
            first = rows[0] if rows else None
            if first is None and past is None:
                past = _last_executed(found)
            skips = _NOTHING_SKIPPED if first is None else skipped(first[1])
            for place, command in enumerate(chosen.value):
                operation = client, seq = command.client, command.seq
                skip = skips.get(place) if skips else None
                if past is not None and skip is None:
                    last = past.get(client, -1)
                    if first is None and seq <= last:
                        skip = NOT_APPLIED
                    past[client] = max(seq, last)
                found.append(Entry(slot, place, command, operation, chosen, call_of.get(operation), first, skip))
        return found

    @cached_property
    def executions(self) -> list[Entry]:
        """The entries without those that sessions skipped."""
        return [entry for entry in self.entries if entry.skip is None]

    @cached_property
    def execution_of(self) -> dict[int, Entry]:
        """Index of a call -> where it was executed first."""
        found: dict[int, Entry] = {}
        for entry in reversed(self.executions):
            if entry.call is not None:
                found[entry.call.index] = entry
        return found

    @cached_property
    def replay(self) -> Replay:
        """The agreed log, replayed once for all who ask what it says."""
        model = KeyValueModel()
        replay = Replay([], {})
        waiting = sorted(self.local_reads, key=lambda call: call.seen, reverse=True)
        for entry in self.executions:
            while waiting and waiting[-1].seen < entry.slot:
                read = waiting.pop()
                replay.local[read.index] = model.state.get(read.key)
            command = entry.command
            outcome = None
            if command.f in KNOWN:
                outcome = model.step(command.f, command.key, command.value, command.expected)
            replay.outcomes.append(outcome)
        replay.local.update((read.index, model.state.get(read.key)) for read in waiting)
        return replay

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


def _last_executed(entries: Iterable[Entry]) -> dict[int, int]:
    """Client -> the highest number of its commands that were executed."""
    last: dict[int, int] = {}
    for entry in entries:
        client, seq = entry.command.client, entry.command.seq
        if entry.skip is None and seq > last.get(client, -1):
            last[client] = seq
    return last


def skipped(row: AgentEvent) -> Mapping[int, str]:
    """Place in the value -> why the session layer did not execute it, of an ``applied`` row."""
    extra = row.extra
    if not extra or not extra[1]:
        return _NOTHING_SKIPPED
    return {int(place): str(reason) for place, reason in extra[1]}


_NOTHING_SKIPPED: Mapping[int, str] = {}


def pair(operations: Sequence[Operation]) -> tuple[dict[OperationName, Call], list[str]]:
    """(process, seq) -> its call, in the order of invocations; and what does not fit together (a fault of the record)."""
    calls: dict[OperationName, Call] = {}
    # Process -> what it invoked last, until something of that process completes; and what else is open.
    in_flight: dict[int, Call] = {}
    overtaken: dict[OperationName, Call] = {}
    problems: list[str] = []
    for index, op in enumerate(operations):
        process, seq = op.process, op.seq
        if op.type == "invoke":
            call = Call(index, process, seq, op.f, op.key, op.value, op.time_ns, op.intended_ns or op.time_ns)
            if calls.setdefault((process, seq), call) is not call:
                problems.append(f"history: operation {seq} of client {client_name(process)} is invoked twice")
                continue
            if process in in_flight:
                other = in_flight[process]
                overtaken[process, other.seq] = other
                problems.append(
                    f"history: client {client_name(process)} invokes operation {seq} while {other.seq} is in flight"
                )
            in_flight[process] = call
            continue
        opened = in_flight.pop(process, None)
        if opened is None or opened.seq != seq:
            if opened is not None:
                overtaken[process, opened.seq] = opened
            opened = overtaken.pop((process, seq), None)
            if opened is None:
                problems.append(
                    f"history: operation {seq} of client {client_name(process)} completes but was not in flight"
                )
                continue
        if op.time_ns < opened.call_ns:
            problems.append(
                f"history: operation {seq} of client {client_name(process)} completes before its invocation"
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
