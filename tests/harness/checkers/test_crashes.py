"""Agents that end by themselves: what is a violation, what is excused, what says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checkers import crashes
from harness.record import FaultEvent
from harness.results import Verdict


def stop(builder: Any, type_: str, text: str = "why") -> None:
    builder.on("r1", "stopped", extra={"type": type_, "error": text})


def fault(builder: Any, kind: str, target: str) -> None:
    builder.faults.append(FaultEvent(builder.tick(), "begin", 0, kind, (target,), {}))


@pytest.mark.parametrize(
    ("type_", "rule"),
    [
        ("ProtocolViolation", "crash/protocol-violation"),
        ("KeyError", "crash/KeyError"),
        ("LogCorrupted", "crash/log-corrupted"),
    ],
)
def test_an_agent_that_ends_by_itself_is_a_violation(good: Any, type_: str, rule: str) -> None:
    stop(good, type_, "slot 3: two values")
    result = crashes.check(good.case())
    assert result.verdict is Verdict.FAIL
    assert [violation.rule for violation in result.violations] == [rule]
    assert "r1" in result.summary
    assert "slot 3: two values" in result.summary


def test_a_stop_in_good_order_is_none(good: Any) -> None:
    good.on("r1", "stopped", extra={"commit": 5, "state_digest": 7})
    assert crashes.check(good.case()).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("type_", "kind"), [("StorageFault", "disk_full"), ("StorageFault", "sync_error"), ("LogCorrupted", "corrupt")]
)
def test_a_planned_disk_fault_excuses_the_agent_it_hit(good: Any, type_: str, kind: str) -> None:
    fault(good, kind, "r1")
    stop(good, type_)
    result = crashes.check(good.case())
    assert result.verdict is Verdict.PASS
    assert result.stats["by_planned_disk_faults"] == 1


@pytest.mark.parametrize(("kind", "target"), [("corrupt", "r0"), ("power", "r1"), ("disk_full", "r1")])
def test_no_other_fault_excuses_a_damaged_log(good: Any, kind: str, target: str) -> None:
    fault(good, kind, target)
    stop(good, "LogCorrupted")
    assert crashes.check(good.case()).verdict is Verdict.FAIL


def test_a_disk_fault_that_came_later_excuses_nothing(good: Any) -> None:
    stop(good, "LogCorrupted")
    fault(good, "corrupt", "r1")
    assert crashes.check(good.case()).verdict is Verdict.FAIL


def test_a_disk_that_failed_unplanned_says_nothing_of_the_system(good: Any) -> None:
    stop(good, "StorageFault", "no space left on device")
    result = crashes.check(good.case())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "no space left" in result.summary


def test_a_kill_by_somebody_else_says_nothing_of_the_system(good: Any) -> None:
    seen = {"code": -9, "meaning": "killed by signal 9", "said": ""}
    good.faults.append(FaultEvent(good.tick(), "note", -1, "exit", ("r2",), seen))
    result = crashes.check(good.case())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "r2 was killed by signal 9" in result.summary
