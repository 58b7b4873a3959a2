"""Agreement: all learners, in all their incarnations, learned and applied one value a slot.

Sound on any record, also an incomplete one: two rows that differ are two rows that differ. It does not tell which of the
values is right, nor that anything was learned at all.

Rules
-----
* agreement/two-values: all learners, in all their lives, learn and apply one value a slot (Paxos Made Simple 2.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from harness.checkers.case import Case, Learner, brief, conclude
from harness.record import AgentEvent
from harness.results import CheckResult, Violation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

NAME = "agreement"
ABOUT = "All learners, over all incarnations, learned and applied the same value in each slot."


def disagreements(slot: Ints, value: Ints) -> Ints:
    """Positions of rows whose value id differs from the one learned first in that slot.

    ``slot`` and ``value`` are parallel columns, in the order of learning; linear unless slots are very sparse.
    """
    import numpy as np

    if not len(slot):
        return np.zeros(0, np.int64)
    dense = slot
    if slot.min() < 0 or slot.max() > 4 * len(slot) + 1024:
        dense = np.unique(slot, return_inverse=True)[1]
    first = np.full(int(dense.max()) + 1, -1, np.int64)
    first[dense[::-1]] = value[::-1]
    return np.flatnonzero(first[dense] != value)


def columns(case: Case) -> tuple[Ints, Ints, list[tuple[Learner, AgentEvent]]]:
    """(slot, id of the value, where from) of every ``chosen`` and ``applied`` row, by time. Equal values, equal ids."""
    import numpy as np

    rows = [
        (learner, row)
        for learner, events in case.decided.items()
        for row in events
        if row.value is not None and (row.kind == "chosen" or row.kind == "applied")
    ]
    rows.sort(key=lambda pair: pair[1].time_ns)
    encode = msgspec.msgpack.Encoder().encode
    ids: dict[bytes, int] = {}
    value = np.fromiter((ids.setdefault(encode(row.value), len(ids)) for _, row in rows), np.int64, len(rows))
    slot = np.fromiter((row.slot for _, row in rows), np.int64, len(rows))
    return slot, value, rows


def check(case: Case) -> CheckResult:
    slot, value, rows = columns(case)
    violations: list[Violation] = []
    told: set[int] = set()
    for position in disagreements(slot, value).tolist():
        at = int(slot[position])
        if at in told:
            continue
        told.add(at)
        learner, row = rows[position]
        chosen = case.log[at]
        violations.append(_two_values(at, chosen.learner, chosen.value, chosen.time_ns, learner, row))
    stats: dict[str, Any] = {"rows": len(rows), "slots": len(case.log)}
    summary = f"{len(case.log)} slots, {len(rows)} learned or applied values, one value a slot"
    return conclude(NAME, ABOUT, case, (), violations, summary, stats)


def _two_values(slot: int, first: Learner, known: Any, time_ns: int, second: Learner, row: AgentEvent) -> Violation:
    who = "the same learner after a restart" if first[0] == second[0] and first != second else second[0]
    return Violation(
        rule="agreement/two-values",
        sentence=(
            f"slot {slot} holds two values: {first[0]} (incarnation {first[1]}) learned {brief(known)}, "
            f"{who} (incarnation {second[1]}) {row.kind} {brief(row.value)}"
        ),
        time_ns=row.time_ns,
        slot=slot,
        agents=(first[0], second[0]),
        values=(brief(known), brief(row.value)),
        details={
            "first": {"agent": first[0], "incarnation": first[1], "time_ns": time_ns},
            "second": {
                "agent": second[0],
                "incarnation": second[1],
                "time_ns": row.time_ns,
                "ballot": row.ballot,
                "kind": row.kind,
            },
        },
    )
