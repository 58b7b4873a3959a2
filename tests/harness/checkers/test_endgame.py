"""The end of a run: what it must reject, and near misses it must accept."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checkers.endgame import Ledger, case_of, judge
from harness.record import Command, FaultEvent, Operation
from harness.results import Violation
from nemesis.faults import Fault
from nemesis.plan import SECOND, Cluster, Limits, Plan

CLIENT = 7
NAMES = {0: "r0", 1: "r1", 2: "r2"}
X = Command(CLIENT, 1, 1, "write", "k", "x")
Y = Command(CLIENT, 2, 1, "write", "k", "y")
HEALED = 10 * SECOND


class Run:
    """A healthy run of three replicas that executed X and Y; tests bend it."""

    def __init__(self) -> None:
        self.ledger = Ledger(NAMES, frozenset(NAMES))
        self.faults = [FaultEvent(HEALED, "end", -1, "heal", (), {})]
        self.history = [
            Operation("invoke", 1, CLIENT, 1, "write", "k", "x", 1),
            Operation("ok", 5, CLIENT, 1, "write", "k", "x"),
            Operation("invoke", HEALED + 1, CLIENT, 2, "write", "k", "y", HEALED + 1),
            Operation("ok", HEALED + 5, CLIENT, 2, "write", "k", "y"),
        ]
        self.choose(1, (X,), 3)
        self.choose(2, (Y,), HEALED + 3)
        for agent in NAMES:
            self.observe("applied", agent, 4, 1, (X,), [1, []])
            self.observe("applied", agent, HEALED + 4, 2, (Y,), [2, []])

    def observe(self, kind: str, agent: int, time_ns: int, slot: int, value: Any = None, extra: Any = None) -> None:
        handlers = {**self.ledger.handlers, **self.ledger.first}
        handlers[kind](agent, 1, time_ns, None, slot, value, extra)

    def choose(self, slot: int, value: Any, time_ns: int) -> None:
        self.observe("chosen", 0, time_ns, slot, value)

    @property
    def rules(self) -> set[str]:
        return self.rules_under(Plan())

    def rules_under(self, plan: Plan) -> set[str]:
        return {violation.rule for violation in self.violations_under(plan)}

    def violations_under(self, plan: Plan) -> list[Violation]:
        return judge(case_of(plan, self.ledger, self.history, self.faults, {CLIENT: 0}))


@pytest.fixture
def run() -> Run:
    return Run()


def test_a_healthy_run(run: Run) -> None:
    assert run.rules == set()


def test_a_command_nobody_asked_for(run: Run) -> None:
    run.choose(3, (Command(9, 1, 1, "write", "k", "z"),), HEALED + 6)
    assert run.rules == {"validity/not-requested"}


def test_a_no_op_is_asked_for_by_nobody_and_allowed(run: Run) -> None:
    run.choose(3, (), HEALED + 6)
    assert run.rules == set()


def test_a_command_executed_twice(run: Run) -> None:
    run.choose(3, (Y,), HEALED + 6)
    run.observe("applied", 0, HEALED + 7, 3, (Y,), [3, []])
    assert "exactly-once/executed-twice" in run.rules


def test_a_command_chosen_twice_and_skipped(run: Run) -> None:
    run.choose(3, (Y,), HEALED + 6)
    run.observe("applied", 0, HEALED + 7, 3, (Y,), [2, [[0, "duplicate"]]])
    assert run.rules == set()


def test_an_acknowledged_write_a_majority_lost(run: Run) -> None:
    for agent in (0, 1):
        run.observe("started", agent, HEALED + 9, 0, None, {"commit": 1})
    assert {"durability/acknowledged-lost", "liveness/not-converged"} <= run.rules


def test_an_answer_that_the_log_does_not_give(run: Run) -> None:
    run.history[2:2] = [
        Operation("invoke", 6, CLIENT + 1, 1, "read", "k", None, 6),
        Operation("ok", 8, CLIENT + 1, 1, "read", "k", "z"),
    ]
    read = Command(CLIENT + 1, 1, 1, "read", "k")
    run.ledger.log[2], run.ledger.log[3] = run.ledger.log[2], run.ledger.log[2]
    run.ledger.log.pop(2)
    run.choose(2, (read,), 7)
    assert "witness/answer-differs" in run.rules


def test_a_client_that_gets_no_answer_after_the_heal(run: Run) -> None:
    run.history[-1] = Operation("info", HEALED + SECOND, CLIENT, 2, "write", "k", "y", error="timeout")
    run.history.append(Operation("invoke", HEALED + 5 * SECOND, CLIENT + 1, 1, "read", "k", None, 1))
    assert "liveness/no-progress" in run.rules


def test_a_gap_in_the_log(run: Run) -> None:
    run.choose(4, (), HEALED + 6)
    assert run.rules == {"liveness/gap"}


def test_leaders_that_come_after_all_was_settled(run: Run) -> None:
    run.observe("leader", 1, HEALED + SECOND // 2, 3)
    assert run.rules == set()
    run.observe("leader", 2, HEALED + 3 * SECOND // 2, 3)
    assert run.rules == {"liveness/unsettled"}


def test_an_operation_invoked_twice_is_the_clients_fault(run: Run) -> None:
    run.history.append(Operation("invoke", HEALED + 6, CLIENT, 2, "write", "k", "y", HEALED + 6))
    assert "client/seq-reused" in run.rules


def test_a_learner_that_lagged_until_the_final_power_cut(run: Run) -> None:
    run.ledger.before_cut = {0: 2, 1: 2, 2: 1}
    assert run.rules == {"liveness/not-converged"}


def test_a_learner_that_was_left_broken_may_lag(run: Run) -> None:
    run.ledger.before_cut = {0: 2, 1: 2, 2: 1}
    run.faults.append(FaultEvent(HEALED + 4 * SECOND, "end", 0, "pause", ("r2",), {}))
    assert run.rules == set()


@pytest.mark.parametrize(
    ("targets", "peer", "lags", "rules"),
    [
        (("r1",), "r2", 2, set()),
        (("r2",), "r1", 2, set()),
        (("r0", "r1"), "r2", 2, set()),
        (("r0", "r1"), "r2", 0, {"liveness/not-converged"}),
    ],
    ids=["the peer", "the target", "who is cut off from many", "one of many"],
)
def test_so_may_an_end_of_a_link_that_was_left_cut(
    run: Run, targets: tuple[str, ...], peer: str, lags: int, rules: set[str]
) -> None:
    target = f"agent:{','.join(targets)}"
    fault = Fault("drop", target, at_ns=0, duration_ns=-1, params={"probability": 1.0, "peer": peer})
    run.ledger.before_cut = {0: 2, 1: 2, 2: 2} | {lags: 1}
    run.faults.append(FaultEvent(HEALED + 4 * SECOND, "end", 0, "drop", targets, {}))
    assert run.rules_under(Plan(faults=(fault,))) == rules


@pytest.mark.parametrize(
    ("value", "slot", "rules"),
    [
        ("y", 2, set()),
        ("x", 1, {"local-reads/version-sank"}),
        ("x", 2, {"local-reads/value-differs"}),
    ],
)
def test_a_local_read_after_one_of_slot_2(run: Run, value: str, slot: int, rules: set[str]) -> None:
    for seq, told in ((3, ("y", 2)), (4, (value, slot))):
        run.history.append(
            Operation("invoke", HEALED + 10 * seq, CLIENT, seq, "local-read", "k", None, HEALED + 10 * seq)
        )
        run.history.append(
            Operation("ok", HEALED + 10 * seq + 5, CLIENT, seq, "local-read", "k", told[0], 0, 0, None, told[1])
        )
    assert run.rules == rules


def open_(client: int) -> Command:
    return Command(client, 0, 0, "open", "")


def test_a_session_that_may_have_gone_is_expired_rightly(run: Run) -> None:
    plan = Plan(limits=Limits(max_sessions=2))
    late = Command(CLIENT, 3, 1, "read", "k")
    for place, others in enumerate(((8,), (8, 9))):
        run = Run()
        run.choose(3, tuple(open_(client) for client in others), HEALED + 6)
        run.observe("applied", 0, HEALED + 7, 3, (), [3, []])
        run.choose(4, (late,), HEALED + 8)
        run.observe("applied", 0, HEALED + 9, 4, (late,), [4, [[0, "expired"]]])
        run.history.append(Operation("invoke", HEALED + 6, CLIENT, 3, "read", "k", None, HEALED + 6))
        assert ("sessions/expired-early" in run.rules_under(plan)) == (place == 0)


def test_a_session_that_is_there_is_not_opened_again(run: Run) -> None:
    for slot in (3, 4):
        run.choose(slot, (open_(8),), HEALED + slot)
        run.observe("applied", 0, HEALED + slot, slot, (), [slot, []])
    assert run.rules == {"sessions/opened-twice"}
    run.ledger.applied.pop(4)
    run.observe("applied", 0, HEALED + 4, 4, (), [4, [[0, "duplicate"]]])
    assert run.rules == set()


def test_logs_that_are_never_cut(run: Run) -> None:
    plan = Plan(limits=Limits(snapshot_every=10, keep_slots=2))
    run.ledger.before_cut = dict.fromkeys(NAMES, 400)
    run.ledger.floor_before_cut = {0: 398, 1: 270, 2: 0}
    found = [one for one in run.violations_under(plan) if one.rule == "liveness/log-not-cut"]
    assert [one.agents for one in found] == [("r2",)]
    run.faults.insert(0, FaultEvent(1, "begin", 0, "disk_full", ("r2",), {}))
    assert "liveness/log-not-cut" not in run.rules_under(plan)


def test_an_operation_given_up_long_after_the_heal(run: Run) -> None:
    given_up = HEALED + 3 * SECOND // 2
    asked = Operation("invoke", HEALED + SECOND, CLIENT + 1, 1, "read", "k", None, HEALED + SECOND)
    run.history += [asked, Operation("info", given_up, CLIENT + 1, 1, "read", "k", error="timeout")]
    run.history += [Operation("invoke", given_up, CLIENT + 2, 1, "read", "k", None, given_up)]
    assert "liveness/given-up" in run.rules
    run.history[-2] = Operation("info", given_up, CLIENT + 1, 1, "read", "k", error="session expired")
    assert "liveness/given-up" not in run.rules


def test_a_command_of_a_session_that_must_be_gone(run: Run) -> None:
    plan = Plan(limits=Limits(max_sessions=2))
    late = Command(CLIENT, 3, 1, "read", "k")
    for others in ((8,), (8, 9)):
        run = Run()
        run.history.append(Operation("invoke", HEALED + 6, CLIENT, 3, "read", "k", None, HEALED + 6))
        run.choose(3, tuple(open_(client) for client in others), HEALED + 6)
        run.observe("applied", 0, HEALED + 7, 3, (), [3, []])
        run.choose(4, (late,), HEALED + 8)
        run.observe("applied", 0, HEALED + 9, 4, (late,), [4, []])
        assert ("sessions/outlived" in run.rules_under(plan)) == (len(others) == 2)


def test_a_batch_that_is_too_long(run: Run) -> None:
    run.choose(3, tuple(open_(client) for client in (8, 9)), HEALED + 6)
    assert run.rules_under(Plan(limits=Limits(batch_commands=2))) == set()
    assert run.rules_under(Plan(limits=Limits(batch_commands=1))) == {"validity/batch-too-long"}


def test_acceptors_keep_what_a_learner_that_cannot_be_heard_may_lack() -> None:
    plan = Plan(cluster=Cluster(deployment="classic"), limits=Limits(snapshot_every=10, keep_slots=2))
    names = dict(enumerate(("p0", "p1", "a0", "a1", "a2", "l0", "l1")))
    run = Run()
    run.ledger = Ledger(names, frozenset({5, 6}))
    run.ledger.before_cut = {5: 400, 6: 400}
    run.ledger.floor_before_cut = {2: 0, 3: 398, 4: 398, 5: 398, 6: 398}
    assert [one.agents for one in run.violations_under(plan) if one.rule == "liveness/log-not-cut"] == [("a0",)]
    run.faults.append(FaultEvent(HEALED + SECOND, "end", 0, "partition", ("l1",), {}))
    assert "liveness/log-not-cut" not in run.rules_under(plan)
