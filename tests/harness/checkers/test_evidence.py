"""Faults that landed, and those that did not: no pass without evidence."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checkers import evidence
from harness.record import FaultEvent
from harness.results import CheckResult, Verdict
from nemesis.faults import Fault

KILL = Fault("kill", target="agent:r1", at_ns=0)
DROP = Fault("drop", target="agent:r1", at_ns=0, duration_ns=10_000_000)


def weigh(case: Any) -> CheckResult:
    return evidence.check(case, evidence.fault_results(case))


def begin_and_end(builder: Any, kind: str, begin: dict[str, Any], end: dict[str, Any], work: bool = True) -> None:
    builder.faults.append(FaultEvent(builder.tick(), "begin", 0, kind, ("r1",), begin))
    if work:
        builder.operate(1, "write", "k", "inside")
    builder.now += 100_000_000
    builder.faults.append(FaultEvent(builder.tick(), "end", 0, kind, ("r1",), end))


def test_a_plan_without_faults_owes_nothing(good: Any) -> None:
    assert weigh(good.case()).verdict is Verdict.PASS


def test_a_fault_that_landed(builder: Any) -> None:
    builder.with_faults(KILL)
    begin_and_end(builder, "kill", {"killed": 1}, {"restarted": ["r1"]})
    builder.operate(1, "write", "k", "after")
    (fault,) = evidence.fault_results(builder.case())
    assert fault.landed
    assert fault.operations_ok_inside == 1
    assert fault.evidence == {"killed": 1, "restarted": ["r1"]}
    assert "kill r1" in fault.describe
    assert fault.first_ok_after_heal_ns is not None
    assert weigh(builder.case()).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("fault", "begin", "end"),
    [
        (KILL, {"unsupported": "no signals here"}, {}),
        (KILL, {"error": "it broke"}, {}),
        (KILL, {"already_down": ["r1"]}, {}),
        (DROP, {"links": 4}, {"links": 4, "messages": 0, "dropped": 0}),
    ],
)
def test_a_fault_that_did_not_land(builder: Any, fault: Fault, begin: dict[str, Any], end: dict[str, Any]) -> None:
    builder.with_faults(fault)
    begin_and_end(builder, fault.kind, begin, end)
    result = weigh(builder.case())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "did not land" in result.summary


def test_a_link_fault_that_met_messages(builder: Any) -> None:
    builder.with_faults(DROP)
    begin_and_end(builder, "drop", {"links": 4}, {"links": 4, "messages": 7, "dropped": 2})
    assert weigh(builder.case()).verdict is Verdict.PASS


def test_a_trigger_that_never_came(builder: Any) -> None:
    builder.with_faults(KILL)
    builder.faults.append(FaultEvent(builder.tick(), "note", 0, "kill", (), {"not_begun": "trigger did not come"}))
    assert "did not come" in weigh(builder.case()).summary


def test_a_fault_the_record_knows_nothing_of(builder: Any) -> None:
    builder.with_faults(KILL)
    assert weigh(builder.case()).verdict is Verdict.INCONCLUSIVE


def test_faults_that_nobody_worked_through(builder: Any) -> None:
    builder.with_faults(KILL)
    begin_and_end(builder, "kill", {"killed": 1}, {}, work=False)
    builder.operate(1, "write", "k", "after")
    result = weigh(builder.case())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "no operation succeeded" in result.summary
