"""Local reads: old perhaps, but a state that was, and never one older than the client saw before.

A local read is answered by one learner from what it holds, and tells up to which slot that learner had applied. So it is
checked exactly: the value is the one the agreed log gives after that slot, and for each client the slots never sink.
What is not checked: how old the answer was (nothing is promised of that).

Rules
-----
* local-reads/value-differs: the value is the one that the log gives after the slot that was told.
* local-reads/version-sank: no client reads an older state than it has seen before.

Source: The Part-Time Parliament, section 3.3.4 (learning the law).
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.checkers.case import Call, Case, conclude
from harness.checkers.model import shown
from harness.results import CheckResult, Violation

NAME = "local-reads"
ABOUT = "A local read tells a state the agreed log went through, never one older than its client saw before."


def check(case: Case) -> CheckResult:
    assert case.holes is not None  # reading them notes the problems of the record
    reads = case.local_reads
    violations = sorted([*_sinking(reads), *_differing(case, reads)], key=lambda violation: violation.time_ns)
    summary = f"{len(reads)} local reads tell states of the agreed log, none older than one read before"
    return conclude(NAME, ABOUT, case, ("decided", "history"), violations, summary, {"reads": len(reads)})


def _sinking(reads: Iterable[Call]) -> Iterable[Violation]:
    highest: dict[int, Call] = {}
    for call in reads:
        before = highest.get(call.process)
        if before is not None and call.seen < before.seen:
            yield Violation(
                rule="local-reads/version-sank",
                sentence=f"{call.name} tells the state after slot {call.seen}, its client had seen slot {before.seen}",
                time_ns=call.ret_ns or call.call_ns,
                slot=call.seen,
                key=call.key,
                operations=(before.as_dict(), call.as_dict()),
            )
        else:
            highest[call.process] = call


def _differing(case: Case, reads: list[Call]) -> Iterable[Violation]:
    """In the order of the slots they tell."""
    for call in sorted(reads, key=lambda call: call.seen):
        expected = case.replay.local[call.index]
        if call.result != expected:
            yield Violation(
                rule="local-reads/value-differs",
                sentence=f"{call.name} returned {shown(call.result)}; "
                f"after slot {call.seen} the agreed log gives {shown(expected)}",
                time_ns=call.ret_ns or call.call_ns,
                slot=call.seen,
                key=call.key,
                operations=(call.as_dict(),),
            )
