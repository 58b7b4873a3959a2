"""Exactly once: however often a command is chosen, it is executed once.

A retry may well be chosen in a second slot: the session layer has to skip it there, and says so in the ``applied`` row.
Two ways to break it: a command executed twice, and a command skipped as a duplicate of nothing (its client number was
used before, so a new operation is swallowed).
"""

from __future__ import annotations

from harness.checkers.case import Case, Learner, brief, conclude, skipped
from harness.checkers.model import KNOWN
from harness.record import Command
from harness.results import CheckResult, Violation

NAME = "exactly-once"
ABOUT = "Each command is executed at most once, and skipped as a duplicate only if it was executed before."

Place = tuple[int, int]
"""(slot, place in its value)"""


def check(case: Case) -> CheckResult:
    places: dict[tuple[int, int], list[Place]] = {}
    last_executed: dict[int, int] = {}
    violations: list[Violation] = []
    repeated = 0
    for slot, chosen in case.log.items():
        rows = case.applied_rows.get(slot, [])
        skips = skipped(rows[0][1]) if rows else {}
        for place, command in enumerate(chosen.value):
            if command.f not in KNOWN:
                continue
            name = (command.process, command.seq)
            seen = places.get(name)
            if seen is None:
                places[name] = [(slot, place)]
            else:
                repeated += 1
                seen.append((slot, place))
            if place not in skips:
                if command.seq > last_executed.get(command.process, -1):
                    last_executed[command.process] = command.seq
            elif skips[place] == "duplicate" and last_executed.get(command.process, -1) < command.seq:
                violations.append(_swallowed(slot, command, rows[0][0], rows[0][1].time_ns))
    for name, where in places.items():
        if len(where) > 1:
            violation = _executed_twice(case, name, where)
            if violation is not None:
                violations.append(violation)
    violations.sort(key=lambda violation: violation.time_ns)
    summary = f"{len(places)} commands, {repeated} chosen again and skipped there"
    stats = {"commands": len(places), "chosen_again": repeated}
    return conclude(NAME, ABOUT, case, (), violations, summary, stats)


def _executed_twice(case: Case, name: tuple[int, int], where: list[Place]) -> Violation | None:
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
            details={"places": where, "operation": name},
        )
    return None


def _swallowed(slot: int, command: Command, learner: Learner, time_ns: int) -> Violation:
    return Violation(
        rule="exactly-once/swallowed",
        sentence=(
            f"slot {slot}: {learner[0]} skipped {brief((command,))} as a duplicate, "
            f"but neither it nor a later one of that client was executed before"
        ),
        time_ns=time_ns,
        slot=slot,
        key=command.key,
        agents=(learner[0],),
        values=(brief((command,)),),
    )
