"""Order: each incarnation applies slot after slot, the chosen value, with the same outcome as everybody else.

Per incarnation the applied slots are consecutive, from where the incarnation began (``started.commit``) or from the
snapshot it installed; an older snapshot never replaces newer state. Outcome digests are equal at equal slots, and so are
the digests of states (``snapshot``, ``installed``, ``stopped``): replicas that differ have diverged.

Rules
-----
* applied-order/gap, applied-order/repeated, applied-order/installed-backwards: slots are applied one after the other, each
  once, and no older snapshot replaces newer state (Paxos Made Simple 3).
* applied-order/not-chosen: what is applied is what was learned.
* applied-order/outcomes-differ, applied-order/states-differ: equal slots give equal outcomes and states.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.case import Case, Learner, brief, conclude, skipped
from harness.record import AgentEvent
from harness.results import CheckResult, Violation

NAME = "applied-order"
ABOUT = "Every incarnation applies the chosen values slot by slot, with the same outcomes and states as all others."


def check(case: Case) -> CheckResult:
    violations: list[Violation] = []
    applied = 0
    for learner, rows in case.decided.items():
        violations.extend(_walk(case, learner, rows))
    for slot, by in case.applied_rows.items():
        applied += len(by)
        first, row = by[0]
        for learner, other in by[1:]:
            if other.extra != row.extra and other.extra is not None and row.extra is not None:
                violations.append(_outcomes_differ(slot, first, row, learner, other))
                break
    compared, states = _compare_states(case)
    violations.extend(states)
    violations.sort(key=lambda violation: violation.time_ns)
    stats = {"applied": applied, "states_compared": compared}
    summary = f"{applied} slots applied in order with equal outcomes, {compared} states compared"
    return conclude(NAME, ABOUT, case, (), violations, summary, stats)


def _walk(case: Case, learner: Learner, rows: list[AgentEvent]) -> list[Violation]:
    """Positions of one incarnation. What it replays while it recovers may stand before its ``started`` row."""
    found: list[Violation] = []
    position: int | None = None
    for row in rows:
        if row.kind == "started":
            if position is None and isinstance(row.extra, dict):
                position = int(row.extra.get("commit", 0))
        elif row.kind == "installed":
            if position is not None and row.slot < position:
                found.append(
                    _violation(
                        "installed-backwards",
                        f"{_who(learner)} installed a snapshot up to slot {row.slot} over its state of slot {position}",
                        learner,
                        row,
                    )
                )
            position = row.slot
        elif row.kind == "applied":
            if position is not None and row.slot != position + 1:
                what = "again" if row.slot <= position else f"without slot {position + 1}"
                found.append(
                    _violation(
                        "repeated" if row.slot <= position else "gap",
                        f"{_who(learner)} applied slot {row.slot} {what}, its state was of slot {position}",
                        learner,
                        row,
                    )
                )
            position = row.slot
            chosen = case.log.get(row.slot)
            if row.value is not None and chosen is not None and row.value != chosen.value:
                found.append(
                    _violation(
                        "not-chosen",
                        f"{_who(learner)} applied {brief(row.value)} in slot {row.slot}, "
                        f"where {brief(chosen.value)} is chosen",
                        learner,
                        row,
                    )
                )
    return found


def _who(learner: Learner) -> str:
    return f"{learner[0]} (incarnation {learner[1]})"


def _violation(rule: str, sentence: str, learner: Learner, row: AgentEvent) -> Violation:
    return Violation(f"applied-order/{rule}", sentence, row.time_ns, row.slot, agents=(learner[0],))


def _outcomes_differ(slot: int, first: Learner, row: AgentEvent, second: Learner, other: AgentEvent) -> Violation:
    detail = "their results differ"
    if skipped(row) != skipped(other):
        detail = f"they skipped different commands: {skipped(row)} and {skipped(other)}"
    return Violation(
        rule="applied-order/outcomes-differ",
        sentence=f"{_who(first)} and {_who(second)} applied slot {slot} with different outcomes: {detail}",
        time_ns=max(row.time_ns, other.time_ns),
        slot=slot,
        agents=(first[0], second[0]),
        values=(repr(row.extra), repr(other.extra)),
    )


def _compare_states(case: Case) -> tuple[int, list[Violation]]:
    states: dict[int, tuple[Learner, Any]] = {}
    found: list[Violation] = []
    compared = 0
    for source in (case.decided, case.trace):
        for learner, rows in source.items():
            for row in rows:
                if row.kind in ("snapshot", "installed", "restored"):
                    slot, digest = row.slot, row.extra
                elif row.kind == "stopped" and isinstance(row.extra, dict):
                    slot, digest = int(row.extra.get("commit", 0)), row.extra.get("state_digest")
                else:
                    continue
                if digest is None:
                    continue
                first, known = states.setdefault(slot, (learner, digest))
                compared += 1
                if known != digest:
                    found.append(
                        Violation(
                            rule="applied-order/states-differ",
                            sentence=(
                                f"after slot {slot} the state of {_who(learner)} is not that of {_who(first)} "
                                f"(told when it {_HOW[row.kind]})"
                            ),
                            time_ns=row.time_ns,
                            slot=slot,
                            agents=(first[0], learner[0]),
                            values=(repr(known), repr(digest)),
                        )
                    )
    return compared, found


_HOW = {
    "snapshot": "took a snapshot",
    "installed": "installed a snapshot",
    "restored": "restarted from a snapshot",
    "stopped": "stopped",
}
