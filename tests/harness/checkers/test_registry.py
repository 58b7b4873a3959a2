"""What the checkers say of a whole recorded run: a good one, and the same run bent in one place."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checkers import registry
from harness.checkers.case import Case
from harness.record import AgentEvent, Command, FaultEvent, Operation, RecordedRun
from harness.results import CheckResult, Verdict


def results_of(case: Case) -> dict[str, CheckResult]:
    return {result.name: result for result in registry.judge_case(case)}


def rules_of(case: Case) -> set[str]:
    return {violation.rule for result in registry.judge_case(case) for violation in result.violations}


def test_a_good_run_passes_every_check(good: Any) -> None:
    results = results_of(good.case())
    assert {name: result.summary for name, result in results.items() if result.verdict is not Verdict.PASS} == {}
    assert results["witness"].stats["answers"] == 5
    assert results["durability"].stats["final_positions"] == {"r0": 5, "r1": 5, "r2": 5}
    assert all(result.about for result in results.values())


def test_a_run_is_judged_from_its_directory(good: Any) -> None:

    verdicts = {result.verdict for result in registry.judge(RecordedRun(good.write()), good.plan)}
    assert verdicts == {Verdict.PASS}


def test_a_checkers_exception_is_an_error_never_a_pass(good: Any) -> None:
    def broken(case: Case) -> CheckResult:
        raise ZeroDivisionError("oops")

    result = registry.guarded("mine", "about", broken, good.case())
    assert result.verdict is Verdict.ERROR
    assert "oops" in result.summary
    assert "ZeroDivisionError" in result.stats["traceback"]


def test_learners_that_disagree(good: Any, replace_row: Any) -> None:
    other = (Command(1, 99, 1, "write", "k", "other"),)
    replace_row(good.decided["r2", 0], "chosen", 2, value=other)
    case = good.case()
    results = results_of(case)
    violation = results["agreement"].violations[0]
    assert violation.rule == "agreement/two-values"
    assert violation.slot == 2
    assert violation.agents == ("r0", "r2")
    assert "slot 2" in results["agreement"].summary
    assert "decision/two-values" in rules_of(case)


def test_one_learner_that_changes_its_mind_after_a_restart(good: Any) -> None:
    good.decided["r0", 1].append(AgentEvent(good.tick(), "chosen", None, 3, ()))
    result = results_of(good.case())["agreement"]
    assert result.verdict is Verdict.FAIL
    assert "the same learner after a restart" in result.summary


def test_relearning_the_same_value_is_fine(good: Any) -> None:
    known = next(row for row in good.decided["r0", 0] if row.kind == "chosen" and row.slot == 3)
    good.decided["r1", 1].append(AgentEvent(good.tick(), "chosen", None, 3, known.value))
    assert results_of(good.case())["agreement"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        (Command(5, 1, 1, "write", "k", "never asked"), "validity/not-requested"),
        (Command(1, 1, 1, "write", "k", "altered"), "validity/altered"),
        (Command(1, 1, 1, "write", "other key", "a"), "validity/altered"),
    ],
)
def test_values_nobody_asked_for(good: Any, command: Command, rule: str) -> None:
    good.choose(command)
    assert rule in rules_of(good.case())


def test_a_value_chosen_before_it_was_asked_for(builder: Any) -> None:
    builder.choose(Command(1, 1, 1, "write", "k", "a"))
    builder.complete(builder.invoke(1, "write", "k", "a"))
    assert "validity/too-early" in rules_of(builder.case())


def test_no_ops_and_session_commands_are_valid(builder: Any) -> None:
    builder.choose()
    builder.choose(Command(1, 0, 0, "open", ""))
    builder.operate(1, "write", "k", "a")
    builder.finish()
    assert rules_of(builder.case()) == set()


def test_a_command_executed_twice(good: Any) -> None:
    first = next(row for row in good.decided["r0", 0] if row.kind == "chosen").value[0]
    good.choose(first)
    assert rules_of(good.case()) >= {"exactly-once/executed-twice"}


def test_a_command_chosen_twice_and_skipped(builder: Any) -> None:
    command = builder.operate(1, "write", "k", "a")
    builder.operate(2, "write", "k", "b")
    builder.choose(command, skips=[[0, "duplicate"]])
    builder.operate(1, "read", "k", None, value="b")
    builder.finish()
    case = builder.case()
    assert rules_of(case) == set()
    assert results_of(case)["exactly-once"].stats["chosen_again"] == 1


def test_a_command_skipped_as_a_duplicate_of_nothing(builder: Any) -> None:
    command = builder.invoke(1, "write", "k", "a")
    builder.choose(command, skips=[[0, "duplicate"]])
    builder.complete(command)
    builder.finish()
    assert rules_of(builder.case()) >= {"exactly-once/swallowed", "durability/acknowledged-not-chosen"}


def test_an_expired_command_is_not_executed(builder: Any) -> None:
    command = builder.invoke(1, "write", "k", "a")
    builder.choose(command, skips=[[0, "expired"]])
    builder.complete(command, "info")
    builder.operate(2, "read", "k", None, value=None)
    builder.finish()
    assert rules_of(builder.case()) == set()


def test_learners_that_skip_differently(good: Any, replace_row: Any) -> None:
    replace_row(good.decided["r1", 0], "applied", 2, extra=[14, [[0, "duplicate"]]])
    result = results_of(good.case())["applied-order"]
    assert result.violations[0].rule == "applied-order/outcomes-differ"
    assert "skipped different commands" in result.summary


@pytest.mark.parametrize(("slot", "rule"), [(3, "applied-order/gap"), (1, "applied-order/repeated")])
def test_slots_applied_out_of_order(good: Any, replace_row: Any, slot: int, rule: str) -> None:
    known = next(row for row in good.decided["r1", 0] if row.kind == "applied" and row.slot == slot)
    replace_row(good.decided["r1", 0], "applied", 2, slot=slot, value=known.value, extra=known.extra)
    assert rule in rules_of(good.case())


def test_a_snapshot_lets_a_learner_skip_slots(good: Any) -> None:
    rows = good.decided["r2", 0]
    rows[:] = [row for row in rows if row.slot in (0, 1, 5)]
    at = max(row.time_ns for row in rows if row.slot == 1)
    rows.insert(3, AgentEvent(at + 1, "installed", None, 4, None, 77))
    good.trace["r0", 0].append(AgentEvent(good.now, "snapshot", None, 4, None, 77))
    case = good.case()
    assert rules_of(case) == set()
    assert results_of(case)["applied-order"].stats["states_compared"] == 2


def test_an_older_snapshot_over_newer_state(good: Any) -> None:
    good.decided["r2", 1].append(AgentEvent(good.tick(), "installed", None, 2, None, 9))
    assert rules_of(good.case()) >= {"applied-order/installed-backwards", "decision/order"}


def test_states_that_differ_after_the_same_slot(good: Any) -> None:
    for name, digest in (("r0", 1), ("r1", 2)):
        good.on(name, "stopped", extra={"commit": 5, "state_digest": digest})
    assert rules_of(good.case()) >= {"applied-order/states-differ", "decision/states"}


def test_an_acknowledged_write_that_was_never_chosen(good: Any) -> None:
    good.complete(good.invoke(3, "write", "k", "lost"))
    result = results_of(good.case())["durability"]
    assert [v.rule for v in result.violations] == ["durability/acknowledged-not-chosen"]
    assert result.violations[0].operations[0]["value"] == "lost"


def test_an_acknowledged_write_that_does_not_come_back(good: Any) -> None:
    for name in ("r0", "r1"):
        rows = good.decided[name, 1]
        rows[0] = AgentEvent(rows[0].time_ns, "started", extra={"role": "replica", "commit": 3})
    result = results_of(good.case())["durability"]
    assert {violation.rule for violation in result.violations} == {"durability/acknowledged-lost"}
    assert [violation.slot for violation in result.violations] == [4, 5]
    assert result.violations[0].agents == ("r0", "r1")


def test_a_minority_that_lags_loses_nothing(good: Any) -> None:
    rows = good.decided["r1", 1]
    rows[0] = AgentEvent(rows[0].time_ns, "started", extra={"role": "replica", "commit": 3})
    case = good.case()
    assert results_of(case)["durability"].verdict is Verdict.PASS
    assert "liveness/not-converged" in rules_of(case)


def test_a_stale_read(good: Any) -> None:
    good.operate(9, "read", "k", None, value="a")
    result = results_of(good.case())["witness"]
    assert result.violations[0].rule == "witness/answer-differs"
    assert "returned 'a', the log gives 'b'" in result.summary


@pytest.mark.parametrize(
    ("answer", "fine"),
    [
        ({"applied": False, "seen": "b"}, True),
        ({"applied": False, "seen": "a"}, False),
        ({"applied": True, "seen": "q"}, False),
    ],
)
def test_answers_of_compare_and_set(good: Any, answer: dict[str, Any], fine: bool) -> None:
    good.operate(9, "cas", "k", ["q", "r"], **answer)
    assert ("witness/answer-differs" not in rules_of(good.case())) is fine


def test_an_operation_reported_as_failed_that_took_place(builder: Any) -> None:
    command = builder.invoke(1, "write", "k", "a")
    builder.choose(command)
    builder.complete(command, "fail")
    builder.finish()
    assert "witness/failed-but-executed" in rules_of(builder.case())


def test_a_log_that_breaks_real_time_order(builder: Any) -> None:
    early = builder.invoke(1, "write", "k", "a")
    builder.complete(early)
    late = builder.invoke(2, "write", "j", "b")
    builder.choose(late)
    builder.choose(early)
    builder.complete(late)
    builder.finish()
    result = results_of(builder.case())["witness"]
    assert [v.rule for v in result.violations] == ["witness/real-time-order"]
    assert len(result.violations[0].operations) == 2
    assert len(result.violations[0].because) == 2


def test_a_client_that_gets_no_answer_after_the_heal(good: Any) -> None:
    good.invoke(8, "write", "k", "q")
    good.now += 2_000_000_000
    good.operate(7, "write", "k", "later")
    violations = [v for v in results_of(good.case())["liveness"].violations if v.rule == "liveness/no-progress"]
    assert len(violations) == 1
    assert "client 8" in violations[0].sentence


def test_a_client_that_first_asks_when_the_time_is_nearly_up_owes_no_answer(good: Any) -> None:
    good.now += 1_900_000_000
    good.invoke(8, "write", "k", "q")
    good.now += 200_000_000
    good.operate(7, "write", "k", "later")
    assert "liveness/no-progress" not in rules_of(good.case())


def test_what_was_given_up_while_leaders_settled_tells_nothing_of_progress_in_virtual_time(good: Any) -> None:
    given_up = good.invoke(8, "write", "k", "q")
    good.now += 300_000_000
    good.complete(given_up, "info", error="timeout")
    good.now += 2_000_000_000
    good.operate(7, "write", "k", "later")
    assert "liveness/no-progress" in rules_of(good.case())  # on real processes it had to be served
    good.directory = good.directory.with_name("virtual")
    case = good.case()
    case.deterministic = True
    assert not [v for v in results_of(case)["liveness"].violations if v.rule == "liveness/no-progress"]


def test_an_expired_session_tells_nothing_of_progress(good: Any) -> None:
    expired = good.invoke(8, "write", "k", "q")
    good.complete(expired, "info", error="session expired")
    good.now += 2_000_000_000
    good.operate(7, "write", "k", "later")
    assert "liveness/no-progress" not in rules_of(good.case())
    good.directory = good.directory.with_name("asked again")
    good.now -= 1_800_000_000
    good.invoke(8, "write", "k", "again")
    good.now += 1_800_000_000
    assert "liveness/no-progress" in rules_of(good.case())


def test_logical_clients_that_the_run_saw_without_progress(good: Any) -> None:
    for progressed in (True, False):
        good.faults.append(FaultEvent(good.tick(), "note", -1, "settled", (), {"every_client_progressed": progressed}))
        assert ("liveness/no-progress" in rules_of(good.case())) is not progressed
        good.directory = good.directory.with_name("again")


def test_without_a_heal_or_an_operation_after_it_liveness_cannot_be_told(builder: Any) -> None:
    builder.operate(1, "write", "k", "a")
    assert results_of(builder.case())["liveness"].verdict is Verdict.INCONCLUSIVE
    builder.heal()
    assert results_of(builder.case())["liveness"].verdict is Verdict.INCONCLUSIVE


# An incomplete record: INCONCLUSIVE, never FAIL.


def test_damage_in_the_middle_of_the_history(good: Any) -> None:
    path = good.write() / "history" / "clients.rows"
    data = bytearray(path.read_bytes())
    data[20] ^= 0xFF
    path.write_bytes(data)
    results = results_of(Case(RecordedRun(good.directory), good.plan))
    assert results["record"].verdict is Verdict.INCONCLUSIVE
    assert "checksum" in results["record"].summary
    assert all(result.verdict is not Verdict.FAIL for result in results.values())
    assert results["validity"].verdict is Verdict.INCONCLUSIVE


def test_a_torn_last_block_is_no_damage(good: Any) -> None:
    path = good.write() / "decided" / "r0.0.rows"
    path.write_bytes(path.read_bytes() + b"\x90\x01\x00\x00")

    results = results_of(Case(RecordedRun(good.directory), good.plan))
    assert results["record"].verdict is Verdict.PASS
    assert results["record"].stats["torn_tails"] == 1


def test_a_history_torn_after_the_run_came_to_its_end(good: Any) -> None:
    """Its answers would be taken for lost ones: whatever passes, passes with less to show."""
    path = good.write() / "history" / "clients.rows"
    path.write_bytes(path.read_bytes()[:-7])
    record = results_of(Case(RecordedRun(good.directory), good.plan))["record"]
    assert record.verdict is Verdict.INCONCLUSIVE
    assert "torn though the run came to its end" in record.summary


def test_a_slot_that_no_log_holds(good: Any) -> None:
    for rows in good.decided.values():
        rows[:] = [row for row in rows if row.slot != 1]
    results = results_of(good.case())
    assert results["record"].verdict is Verdict.INCONCLUSIVE
    assert results["durability"].verdict is Verdict.INCONCLUSIVE
    assert "durability/acknowledged-not-chosen" in results["durability"].stats["suspicions"]


def test_a_log_without_its_start(good: Any) -> None:
    good.decided["r1", 1].pop(0)
    results = results_of(good.case())
    assert "r1.1.rows" in results["record"].summary
    assert results["durability"].verdict is Verdict.INCONCLUSIVE


def test_what_came_up_before_the_final_power_cut_is_told(builder: Any) -> None:
    builder.operate(1, "write", "k", "a")
    builder.finish()
    assert results_of(builder.case())["invariants"].stats["situations"] == []


def test_a_leader_that_restarted_is_a_situation_that_came_up(builder: Any) -> None:
    builder.operate(1, "write", "k", "a")
    builder.restart("r0")
    builder.lead((2, 1))
    builder.finish()
    assert results_of(builder.case())["invariants"].stats["situations"] == ["leader restarts"]


def test_a_trace_cut_at_its_bound(good: Any) -> None:
    rows = good.trace["r1", 0]
    del rows[3:]
    rows.append(AgentEvent(rows[-1].time_ns + 1, "bounded", extra=3))
    result = results_of(good.case())["invariants"]
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "bound" in result.summary


def test_a_history_that_does_not_pair(good: Any) -> None:
    good.history.append(Operation("ok", good.tick(), 44, 1, "write", "k", "a"))
    results = results_of(good.case())
    assert "not in flight" in results["record"].summary
    assert results["witness"].verdict is Verdict.INCONCLUSIVE
