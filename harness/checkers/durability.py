"""Durability: what was acknowledged is in the agreed log, and comes back after every power cut.

At the end of a run the power of all nodes is cut and they start again. What came back is told by the last incarnations:
where each began (``started.commit``), what it installed and applied since. An acknowledged write must be covered by the
final state of a majority of the learners. Does not tell a write that is lost from one that is only not learned again
within the time given: either way clients cannot have it.

Rules
-----
* durability/acknowledged-not-chosen: a write that was acknowledged stands in a slot.
* durability/acknowledged-lost: and it is in the final state of a majority of the learners.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.case import Call, Case, conclude
from harness.record import AgentEvent
from harness.results import CheckResult, Violation

NAME = "durability"
ABOUT = "Every acknowledged write is in the agreed log and in a majority's state after the final power cut."


def final_positions(case: Case) -> dict[str, int]:
    """Learner -> the slot that the state of its last incarnation covers at the end of the record."""
    last: dict[str, tuple[int, int]] = {}
    for (name, incarnation), rows in case.decided.items():
        if name in case.roster.learner_names and incarnation >= last.get(name, (-1, 0))[0]:
            last[name] = (incarnation, position_after(rows))
    return {name: position for name, (_, position) in last.items()}


def position_after(rows: list[AgentEvent]) -> int:
    """The slot that the state covers after these rows of one incarnation."""
    position = 0
    for row in rows:
        if row.kind == "applied" or row.kind == "installed":
            position = row.slot
        elif row.kind == "started" and isinstance(row.extra, dict):
            position = max(position, int(row.extra.get("commit", 0)))
    return position


def check(case: Case) -> CheckResult:
    violations: list[Violation] = []
    acknowledged = case.acknowledged
    positions = final_positions(case)
    needed = case.roster.learner_majority
    covered = sorted(positions.values(), reverse=True)
    safe_slot = covered[needed - 1] if len(covered) >= needed else 0
    lost: list[tuple[Call, int]] = []
    for index, call in acknowledged.items():
        execution = case.execution_of.get(index)
        if execution is None:
            violations.append(_not_in_log(call))
        elif execution.slot > safe_slot:
            lost.append((call, execution.slot))
    assert case.holes is not None  # reading them notes the problems of the record
    violations.extend(_not_back(call, slot, positions, needed) for call, slot in lost)
    stats: dict[str, Any] = {
        "acknowledged_writes": len(acknowledged),
        "final_positions": positions,
        "power_cut_at_end": case.final_cut is not None,
    }
    how = "after the final power cut" if case.final_cut else "at the end (no final power cut was made)"
    summary = f"{len(acknowledged)} acknowledged writes are all there {how}"
    return conclude(NAME, ABOUT, case, ("decided", "history", "end"), violations, summary, stats)


def _not_in_log(call: Call) -> Violation:
    return Violation(
        rule="durability/acknowledged-not-chosen",
        sentence=f"{call.name} was acknowledged, but it was executed in no slot of the agreed log",
        time_ns=call.ret_ns or call.call_ns,
        key=call.key,
        operations=(call.as_dict(),),
    )


def _not_back(call: Call, slot: int, positions: dict[str, int], needed: int) -> Violation:
    states = ", ".join(f"{name} up to slot {position}" for name, position in sorted(positions.items()))
    return Violation(
        rule="durability/acknowledged-lost",
        sentence=(
            f"{call.name} was acknowledged (slot {slot}), but at the end fewer than {needed} learners hold it: {states}"
        ),
        time_ns=call.ret_ns or call.call_ns,
        slot=slot,
        key=call.key,
        agents=tuple(sorted(name for name, position in positions.items() if position < slot)),
        operations=(call.as_dict(),),
    )
