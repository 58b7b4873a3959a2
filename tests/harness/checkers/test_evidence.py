"""Faults that landed, and those that did not: no pass without evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.checkers import evidence
from harness.record import FaultEvent
from harness.results import CheckResult, Verdict
from harness.simulated_run import write_simulated_run
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Plan

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
        (DROP, {"links": 4}, {"links": 4, "messages": 7, "dropped": 0}),
        (DROP, {"links": 4}, {}),
    ],
)
def test_a_fault_that_did_not_land(builder: Any, fault: Fault, begin: dict[str, Any], end: dict[str, Any]) -> None:
    builder.with_faults(fault)
    begin_and_end(builder, fault.kind, begin, end)
    result = weigh(builder.case())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "did not land" in result.summary


def test_the_summary_says_why_a_link_fault_touched_nothing(builder: Any) -> None:
    builder.with_faults(DROP)
    why = "chance spared all messages that met it: 7"
    begin_and_end(builder, "drop", {"links": 4}, {"links": 4, "messages": 7, "dropped": 0, "untouched": why})
    assert weigh(builder.case()).summary.endswith(f"fault 0 (drop): {why}")


def test_a_link_fault_without_an_end_in_the_record_shows_nothing(builder: Any) -> None:
    builder.with_faults(DROP)
    builder.faults.append(FaultEvent(builder.tick(), "begin", 0, "drop", ("r1",), {"links": 4}))
    builder.operate(1, "write", "k", "inside")
    assert "the record does not tell what it did" in weigh(builder.case()).summary


@pytest.mark.parametrize("met", [0, 3])
def test_a_link_fault_whose_messages_another_one_took_did_not_land_and_costs_no_verdict(builder: Any, met: int) -> None:
    """The near miss: three messages got as far as to it, and it let them pass."""
    builder.with_faults(DROP, Fault("partition", target="agent:r1", at_ns=0, duration_ns=10_000_000))
    begin = builder.tick()
    builder.faults.append(FaultEvent(begin, "begin", 1, "partition", ("r1",), {"links": 4}))
    taken = {
        "messages": met,
        "dropped": 0,
        "taken_first": 9,
        "taken_by": [1],
        "untouched": "0 messages met it: fault 1 …",
    }
    begin_and_end(builder, "drop", {"links": 4}, {"links": 4, **taken})
    builder.faults.append(
        FaultEvent(builder.tick(), "end", 1, "partition", ("r1",), {"links": 4, "messages": 9, "dropped": 9})
    )
    drop, partition = evidence.fault_results(builder.case())
    assert (drop.landed, partition.landed) == (False, True)
    assert drop.evidence.get("overshadowed_by") == (None if met else [1])
    assert evidence.check(builder.case(), (drop, partition)).verdict is (Verdict.INCONCLUSIVE if met else Verdict.PASS)


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


def test_begin_and_end_are_both_told_where_they_differ(builder: Any) -> None:
    builder.with_faults(KILL)
    begin_and_end(builder, "kill", {"r1": {"state": "gone", "ms": 3}, "n": 1}, {"r1": {"ms": 9, "pid": 7}, "n": 1})
    (fault,) = evidence.fault_results(builder.case())
    assert fault.evidence == {"r1": {"state": "gone", "ms": 3, "ms_at_end": 9, "pid": 7}, "n": 1}


@pytest.mark.parametrize(("length", "verdict"), [(500, Verdict.PASS), (50, Verdict.INCONCLUSIVE)])
def test_a_link_of_an_agent_that_was_down_all_the_while_has_nothing_to_touch(
    builder: Any, length: int, verdict: Verdict
) -> None:
    """The kill of 500 ms covers the drop, the one of 50 ms does not."""
    builder.with_faults(DROP, KILL)
    begin = builder.tick()
    builder.faults.append(FaultEvent(begin, "begin", 1, "kill", ("r1",), {"killed": 1}))
    begin_and_end(builder, "drop", {"links": 4}, {"links": 4, "messages": 0, "dropped": 0})
    builder.faults.append(FaultEvent(begin + length * 1_000_000, "end", 1, "kill", ("r1",), {}))
    drop, kill = evidence.fault_results(builder.case())
    assert (drop.landed, kill.landed) == (False, True)
    assert ("overshadowed_by" in drop.evidence) is (verdict is Verdict.PASS)
    result = evidence.check(builder.case(), (drop, kill))
    assert result.verdict is verdict
    if verdict is Verdict.PASS:
        assert result.summary.startswith("1 of 2 faults landed, 1 had nothing left to touch")


def test_a_link_fault_that_found_no_link_has_not_landed(builder: Any) -> None:
    builder.with_faults(DROP)
    begin_and_end(builder, "drop", {"links": 0}, {})
    (fault,) = evidence.fault_results(builder.case())
    assert not fault.landed
    assert evidence.check(builder.case(), (fault,)).verdict is Verdict.INCONCLUSIVE


def test_of_two_partitions_of_one_agent_in_a_simulated_run_the_first_alone_landed(tmp_path: Path) -> None:
    """So it is in every world: all ask the same ``Links``."""
    faults = tuple(
        Fault("partition", "agent:r2", at_ns=at_ms * MILLISECOND, duration_ns=long_ms * MILLISECOND)
        for at_ms, long_ms in ((200, 500), (300, 300))
    )
    results = write_simulated_run(Plan(duration_ns=900 * MILLISECOND, faults=faults), tmp_path)
    first, second = results.faults
    assert first.landed and first.evidence["dropped"] == first.evidence["messages"] > 0
    assert not second.landed and second.evidence["messages"] == second.evidence["dropped"] == 0
    assert second.evidence["untouched"] == "0 messages met it: fault 0 had taken them"
    assert second.evidence["overshadowed_by"] == [0]
    assert results.verdict is Verdict.PASS


def test_a_fault_that_waits_for_a_bug_owes_nothing(builder: Any) -> None:
    waits = Fault("power", target="it", trigger="first would_forget")
    builder.with_faults(waits)
    builder.operate(1, "write", "k", "v")
    alone = weigh(builder.case())
    assert alone.verdict is Verdict.PASS
    assert "waits for an agent that would forget" in alone.summary
    builder.with_faults(Fault("power", target="it", trigger="first leader"))
    assert weigh(builder.case()).verdict is Verdict.INCONCLUSIVE
