"""Exactly once: however often a command is chosen, it is executed once.

A retry may well be chosen in a second slot: the session layer has to skip it there, and says so in the ``applied`` row.
Two ways to break it: a command executed twice, and a command skipped as a duplicate of nothing (its client number was
used before, so a new operation is swallowed).

Rules
-----
* exactly-once/executed-twice: a command is executed in one slot only (Ongaro's thesis 6.3).
* exactly-once/swallowed: a command that is skipped as a duplicate has been executed before.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.checkers.case import NOT_APPLIED, Case, Entry, OperationName, brief, conclude, skipped
from harness.checkers.model import KNOWN
from harness.results import CheckResult, Violation

NAME = "exactly-once"
ABOUT = "Each command is executed at most once, and skipped as a duplicate only if it was executed before."

Place = tuple[int, int]
"""(slot, place in its value)"""


def check(case: Case) -> CheckResult:
    first: dict[OperationName, Entry] = {}
    again: dict[OperationName, list[Place]] = {}
    for entry in case.entries:
        if entry.command.f in KNOWN:
            before = first.setdefault(entry.operation, entry)
            if before is not entry:
                again.setdefault(entry.operation, [(before.slot, before.place)]).append((entry.slot, entry.place))
    violations = list(_swallowed(case))
    for operation, where in sorted(again.items(), key=lambda one: one[1]):
        violation = _executed_twice(case, operation, where)
        if violation is not None:
            violations.append(violation)
    violations.sort(key=lambda violation: violation.time_ns)
    repeated = sum(len(where) - 1 for where in again.values())
    summary = f"{len(first)} commands, {repeated} chosen again and skipped there"
    stats = {"commands": len(first), "chosen_again": repeated}
    return conclude(NAME, ABOUT, case, (), violations, summary, stats)


def _executed_twice(case: Case, operation: OperationName, where: list[Place]) -> Violation | None:
    """The first learner that executed a second time what was executed before."""
    executed_before: Place | None = None
    for slot, place in where:
        runs = [(learner, row) for learner, row in case.applied_rows.get(slot, ()) if place not in skipped(row)]
        if not runs:
            continue
        learner, row = runs[0]
        if executed_before is None:
            executed_before = (slot, place)
            continue
        command = case.log[slot].value[place]
        return Violation(
            rule="exactly-once/executed-twice",
            sentence=(
                f"{brief((command,))} was executed twice: in slot {executed_before[0]}, and by {learner[0]} "
                f"(incarnation {learner[1]}) again in slot {slot}"
            ),
            time_ns=row.time_ns,
            slot=slot,
            key=command.key,
            agents=(learner[0],),
            values=(brief((command,)),),
            details={"places": where, "operation": operation},
        )
    return None


def _swallowed(case: Case) -> Iterable[Violation]:
    """Commands skipped as duplicates of nothing. Only clients of which anything was so skipped are looked at."""
    last_executed = dict.fromkeys((entry.command.client for entry in case.entries if entry.skip == "duplicate"), -1)
    if not last_executed:
        return
    for entry in case.entries:
        command = entry.command
        client, seq = command.client, command.seq
        if client not in last_executed or command.f not in KNOWN:
            continue
        if entry.skip is None or entry.skip == NOT_APPLIED:
            last_executed[client] = max(seq, last_executed[client])
        elif entry.skip == "duplicate" and entry.applied is not None and last_executed[client] < seq:
            (agent, _), row = entry.applied
            text = brief((command,))
            yield Violation(
                rule="exactly-once/swallowed",
                sentence=(
                    f"slot {entry.slot}: {agent} skipped {text} as a duplicate, "
                    f"but neither it nor a later one of that client was executed before"
                ),
                time_ns=row.time_ns,
                slot=entry.slot,
                key=command.key,
                agents=(agent,),
                values=(text,),
            )
