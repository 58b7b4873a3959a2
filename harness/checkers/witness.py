"""Witness: the agreed log is itself the proof that the history is linearizable, if clients saw what it says.

Replaying the log on the model must give every client the answer it got, and the log's order must respect real time: an
operation that ended before another began stands before it. Linear in the length of the log. A pass is a certificate of
linearizability; a failure means that the log is no legal order (the black-box check tells whether clients could notice).

Rules
-----
* witness/answer-without-slot: a slot explains each answer.
* witness/answer-differs: the log, replayed in order, gives that answer.
* witness/failed-but-executed: what a client was told is not done is not done.
* witness/real-time-order: an operation that ended before another began stands before it in the log (Herlihy and Wing 1990).
"""

from __future__ import annotations

from harness.checkers.case import Call, Case, Entry, conclude
from harness.checkers.model import KNOWN, difference
from harness.results import CheckResult, Violation

NAME = "witness"
ABOUT = "Clients got what the agreed log, replayed in order, answers; and its order respects real time."


def check(case: Case) -> CheckResult:
    assert case.holes is not None  # reading them notes the problems of the record
    violations = [*_missing(case), *_replay(case)]
    violations.sort(key=lambda violation: violation.time_ns)
    stats = {"executed": len(case.executions), "answers": len([call for call in case.calls if call.type == "ok"])}
    summary = f"{stats['answers']} answers equal the replay of {stats['executed']} commands, in real-time order"
    return conclude(NAME, ABOUT, case, ("decided", "history"), violations, summary, stats)


def _missing(case: Case) -> list[Violation]:
    """Answers to operations that no slot executed (acknowledged writes are durability's), and failures that took place."""
    found: list[Violation] = []
    execution_of = case.execution_of
    for call in case.calls:
        if call.f not in KNOWN:
            continue
        execution = execution_of.get(call.index)
        if call.type == "ok" and execution is None and call.index not in case.acknowledged:
            found.append(_violation("answer-without-slot", f"{call.name} was answered, but no slot executed it", call))
        elif call.type == "fail" and execution is not None:
            found.append(
                _violation(
                    "failed-but-executed",
                    f"{call.name} was reported as failed, but slot {execution.slot} executed it",
                    call,
                    execution,
                )
            )
    return found


def _replay(case: Case) -> list[Violation]:
    found: list[Violation] = []
    latest: Call | None = None
    latest_slot = 0
    for execution, outcome in zip(case.executions, case.replay.outcomes, strict=True):
        call = execution.call
        if call is None or outcome is None:
            continue
        if call.type == "ok":
            differs = difference(call.f, call.result, call.applied, call.seen, outcome)
            if differs is not None:
                found.append(
                    _violation("answer-differs", f"{call.name}, slot {execution.slot}: {differs}", call, execution)
                )
        if latest is not None and call.ret_ns is not None and call.type == "ok" and call.ret_ns < latest.call_ns:
            found.append(_order(call, execution, latest, latest_slot))
        if latest is None or call.call_ns > latest.call_ns:
            latest, latest_slot = call, execution.slot
    return found


def _violation(rule: str, sentence: str, call: Call, execution: Entry | None = None) -> Violation:
    return Violation(
        rule=f"witness/{rule}",
        sentence=sentence,
        time_ns=call.ret_ns or call.call_ns,
        slot=None if execution is None else execution.slot,
        key=call.key,
        operations=(call.as_dict(),),
    )


def _order(early: Call, execution: Entry, late: Call, late_slot: int) -> Violation:
    assert early.ret_ns is not None
    return Violation(
        rule="witness/real-time-order",
        sentence=(
            f"{early.name} ended {(late.call_ns - early.ret_ns) / 1e6:.3f} ms before {late.name} began, "
            f"but stands after it in the log: slot {execution.slot} after slot {late_slot}"
        ),
        time_ns=early.ret_ns,
        slot=execution.slot,
        key=early.key,
        operations=(early.as_dict(), late.as_dict()),
        because=(
            f"real time: {early.name} returned at {early.ret_ns}, {late.name} was invoked at {late.call_ns}",
            f"log: {late.name} in slot {late_slot}, {early.name} in slot {execution.slot}",
        ),
    )
