"""The counterexample: which steps are shown, what each means, and which rule the trace shows to be broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.record import AgentEvent, Ballot, Command
from harness.results import Violation
from reports.explain import Reader, Remark
from reports.model import ProtocolEvent, RunModel, load
from reports.operations import operation_diagram, operation_text
from reports.page import violations
from reports.spacetime import STEPS_AT_MOST, Arrow, Durable, _beside, diagram, run_time

MakeRun = Callable[..., Path]
A = (Command(0, 0, 0, "write", "k", "a"),)
B = (Command(1, 0, 1, "write", "k", "b"),)


def _violation(model: RunModel) -> Violation:
    assert model.results is not None
    return next(iter(violations(model.results)))[1]


def test_two_values_in_a_slot_are_told_step_by_step(make_run: MakeRun) -> None:
    model = load(make_run("agreement", operations=400))
    found = diagram(model, _violation(model))
    assert found is not None
    conflicts = [step.sentence for step in found.steps if step.conflict]
    assert len(conflicts) == 3
    assert "a1 recovers" in conflicts[0] and "A promise must survive a crash" in conflicts[0]
    assert "although a majority had voted for A" in conflicts[1]
    assert "l1 learns" in conflicts[2] and "l0 had learned A" in conflicts[2] and "agreement" in conflicts[2]
    assert [letter for letter, _ in found.letters] == ["A", "B"]
    assert any("cut the power of a1" in step.sentence for step in found.steps)
    assert [step.lane for step in found.steps if step.mark == "circle"] == ["l0", "l1"]
    assert [name for name, _ in found.lanes] == ["p0", "p1", "a0", "a1", "a2", "l0", "l1"]
    assert [band.label for band in found.bands] == ["power"]
    ys = [step.y for step in found.steps]
    assert ys == sorted(ys)


def test_messages_are_arrows_only_if_the_network_recorded_them(make_run: MakeRun) -> None:
    run = make_run("agreement", operations=400)
    model = load(run)
    found = diagram(model, _violation(model))
    assert found is not None and found.messages_recorded
    assert sorted(arrow.lost for arrow in found.arrows) == [False, False, True]
    (run / "trace" / "network.0.rows").unlink()
    silent = diagram(load(run), _violation(model))
    assert silent is not None and not silent.messages_recorded and silent.arrows == ()


def test_an_acceptor_that_told_of_a_vote_and_recovers_without_it_is_the_conflict(make_run: MakeRun) -> None:
    steps = [("a0", "promised", (2, 0), None, None, 0), ("a0", "accepted", (2, 0), A, None, 4)]
    back = ("a0", "recovered", (2, 0), None, [], 0)
    for told, conflict in (({("a0", (2, 0), 4)}, True), (set(), False), (None, False)):
        reader = Reader(acceptors=3, told=told)
        remarks = [
            reader.remark(ProtocolEvent(place, agent, 1, AgentEvent(place, kind, ballot, slot, value, extra)))
            for place, (agent, kind, ballot, value, extra, slot) in enumerate([*steps, back])
        ]
        assert remarks[-1].conflict is conflict
    kept = ProtocolEvent(3, "a0", 2, AgentEvent(3, "recovered", (2, 0), 0, None, [[4, [2, 0]]]))
    assert not reader.remark(kept).conflict


def test_a_command_executed_in_two_slots_is_the_conflict_unless_it_is_skipped() -> None:
    for skipped, conflict in (([], True), ([[0, "duplicate"]], False)):
        reader = Reader(acceptors=3)
        reader.remark(ProtocolEvent(0, "r0", 1, AgentEvent(0, "applied", None, 4, A, [11, []])))
        again = reader.remark(ProtocolEvent(1, "r0", 1, AgentEvent(1, "applied", None, 5, A, [12, skipped])))
        assert again.conflict is conflict
    other = reader.remark(ProtocolEvent(2, "r1", 1, AgentEvent(2, "applied", None, 4, A, [99, []])))
    assert other.conflict and "another outcome than r0" in other.sentence


def test_a_violation_that_no_rule_of_the_trace_explains_is_a_step_of_its_own(make_run: MakeRun) -> None:
    model = load(make_run("pass", operations=200))
    found = diagram(model, Violation("x/y", "It is seen here.", time_ns=model.duration_ns, slot=3, agents=("a1",)))
    assert found is not None
    assert [(step.lane, step.mark, step.conflict) for step in found.steps][-1] == ("a1", "burst", True)
    assert found.steps[-1].sentence == "Here it shows: It is seen here."


def test_the_sending_of_a_vote_shows_that_it_is_on_disk(make_run: MakeRun) -> None:
    model = load(make_run("agreement", operations=400))
    found = diagram(model, _violation(model))
    assert found is not None
    assert [item.text for item in found.durable] == ["disk A 1.0"]
    assert found.durable[0].x == dict(found.lanes)["a0"]


def test_without_the_trace_the_learners_alone_are_shown_and_without_those_nothing(make_run: MakeRun) -> None:
    run = make_run("agreement", operations=200)
    violation = _violation(load(run))
    for path in (run / "trace").iterdir():
        path.unlink()
    found = diagram(load(run), violation)
    assert found is not None and [step.lane for step in found.steps] == ["l0", "l1"]
    for path in (run / "decided").iterdir():
        path.unlink()
    assert diagram(load(run), violation) is None


def test_a_violation_without_a_slot_shows_what_its_agents_did_before(make_run: MakeRun) -> None:
    model = load(make_run("pass", operations=600))
    found = diagram(model, Violation("acceptor/promise", "…", time_ns=model.duration_ns // 2, agents=("a1",)))
    assert found is not None
    assert {step.lane for step in found.steps} == {"a1"}
    assert diagram(model, Violation("x/y", "…", time_ns=model.duration_ns)) is None


def test_a_forgotten_promise_shows_who_asked_for_it_and_led_on_it(make_run: MakeRun) -> None:
    model = load(make_run("agreement", operations=400))
    at_ns = next(item.time_ns for item in model.protocol if item.agent == "a1" and item.event.kind == "recovered")
    found = diagram(model, Violation("promise/forgotten", "…", time_ns=at_ns, agents=("a1",)))
    assert found is not None
    elections = [(step.lane, step.label) for step in found.steps if step.mark in ("triangle", "star")]
    assert elections == [("p0", "prepare 1.0"), ("p0", "leads 1.0")]
    assert [name for name, _ in found.lanes] == ["p0", "a1"]
    assert "A promise must survive a crash" in found.steps[-1].sentence


def test_an_arrow_ends_before_what_stands_beside_the_lane() -> None:
    beside = (Durable(500.0, 100.0, "disk 1.1"),)
    assert _beside(Arrow(100.0, 60.0, 489.0, 101.0, False, ""), beside).x2 == beside[0].left - 2
    assert _beside(Arrow(489.0, 99.0, 100.0, 140.0, False, ""), beside).x1 == beside[0].left - 2
    for elsewhere in (Arrow(100.0, 60.0, 489.0, 160.0, False, ""), Arrow(900.0, 60.0, 511.0, 100.0, False, "")):
        assert _beside(elsewhere, beside) == elsewhere


def test_a_fault_is_told_by_its_number_and_what_it_does() -> None:
    def told(describe: str) -> str:
        extra = {"kind": "power", "word": "begins", "fault": describe}
        return Reader(3).remark(ProtocolEvent(0, "r2", 1, AgentEvent(0, "fault", extra=extra))).sentence

    assert told("#2 when 1st agent r1 leader: cut the power of r2") == "Fault #2 begins: cut the power of r2."
    assert told("final power of r0, r1 and r2") == "The fault begins: final power of r0, r1 and r2."


def test_the_diagram_is_bounded(make_run: MakeRun) -> None:
    model = load(make_run("agreement", operations=200))
    more = [
        ProtocolEvent(model.duration_ns - 500 + number, "a0", 1, AgentEvent(0, "accepted", (9 + number, 0), 17, A))
        for number in range(200)
    ]
    crowded = RunModel(**{**vars(model), "protocol": (*model.protocol, *more)})
    found = diagram(crowded, _violation(model))
    assert found is not None
    assert len(found.steps) == STEPS_AT_MOST < found.total


def _read(*steps: tuple[str, str, Ballot | None, tuple[Command, ...] | None]) -> list[Remark]:
    reader = Reader(acceptors=3)
    return [
        reader.remark(ProtocolEvent(place, agent, 1, AgentEvent(place, kind, ballot, 4, value)))
        for place, (agent, kind, ballot, value) in enumerate(steps)
    ]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([("a0", "promised", (3, 0), None), ("a0", "promised", (2, 1), None)], "promises only rise"),
        ([("a0", "promised", (3, 0), None), ("a0", "accepted", (2, 1), A)], "breaks the promise"),
        ([("a0", "accepted", (2, 1), A), ("a1", "accepted", (2, 1), B)], "one value for each slot"),
        ([("p0", "propose", (2, 1), A), ("p0", "propose", (2, 1), B)], "one value for each slot"),
        ([("a0", "promised", (3, 0), None), ("a0", "recovered", (2, 0), None)], "survive a crash"),
        ([("l0", "chosen", (2, 0), A), ("l1", "chosen", None, B)], "a slot has one value"),
        (
            [("a0", "accepted", (2, 0), A), ("a1", "accepted", (2, 0), A), ("p1", "propose", (3, 1), B)],
            "value of the highest ballot",
        ),
    ],
)
def test_a_broken_rule_is_named_at_the_step_that_breaks_it(
    steps: list[tuple[str, str, Ballot | None, tuple[Command, ...] | None]], words: str
) -> None:
    remarks = _read(*steps)
    assert [remark.conflict for remark in remarks] == [False] * (len(steps) - 1) + [True]
    assert words in remarks[-1].sentence


@pytest.mark.parametrize(
    "steps",
    [
        [("a0", "promised", (2, 0), None), ("a0", "promised", (3, 1), None), ("a0", "accepted", (3, 1), A)],
        [("a0", "accepted", (2, 0), A), ("p1", "propose", (3, 1), B), ("a1", "accepted", (3, 1), B)],
        [("a0", "accepted", (2, 0), A), ("a1", "accepted", (2, 0), A), ("p1", "propose", (3, 1), A)],
        [("a0", "promised", (3, 0), None), ("a0", "recovered", (3, 0), None)],
        [("l0", "chosen", (2, 0), A), ("l1", "chosen", None, A), ("l0", "chosen", (2, 0), A)],
    ],
)
def test_lawful_near_misses_are_not_called_conflicts(
    steps: list[tuple[str, str, Ballot | None, tuple[Command, ...] | None]],
) -> None:
    assert not [remark.sentence for remark in _read(*steps) if remark.conflict]


def test_the_vote_that_makes_a_majority_is_named() -> None:
    remarks = _read(("a0", "accepted", (2, 0), A), ("a1", "accepted", (2, 0), A), ("a2", "accepted", (2, 0), A))
    assert ["majority" in remark.sentence for remark in remarks] == [False, True, False]


def test_forcing_operations_are_numbered_bars(make_run: MakeRun) -> None:
    model = load(make_run("linearizability", operations=400))
    found = operation_diagram(model, _violation(model))
    assert found is not None
    forcing = [bar for bar in found.bars if bar.forcing]
    assert [bar.forcing for bar in forcing] == [1, 2, 3]
    assert [bar.label for bar in forcing] == ["write k9 = new", "read k9 → new", "read k9 → old"]
    assert forcing[0].x + forcing[0].width <= forcing[1].x <= forcing[1].x + forcing[1].width <= forcing[2].x
    assert [name for name, _ in found.lanes][:2] == ["client 900", "client 901"]


def test_operations_that_the_history_lacks_cannot_be_drawn(make_run: MakeRun) -> None:
    model = load(make_run("pass", operations=60))
    assert (
        operation_diagram(model, Violation("x/y", "…", operations=({"process": 77, "seq": 1}, {"process": "?"})))
        is None
    )


def test_operations_read_as_words() -> None:
    assert operation_text("cas", "k", ["a", "b"]) == "cas k: a → b"
    assert operation_text("read", "k", None) == "read k → nothing"
    assert operation_text("write", "k", "\x00") == "write k = \\x00"


def test_times_on_the_records_clock_are_brought_to_the_run(make_run: MakeRun) -> None:
    model = load(make_run("pass", operations=60))
    assert run_time(model, 5) == 5
    assert run_time(model, model.started_ns + 5) == 5
