"""The case: calls from rows of the history, and the agreed log as entries that all checkers share."""

from __future__ import annotations

from harness.checkers.case import pair
from harness.record import Command, Operation
from paxos_impl import messages
from tests.harness.checkers.conftest import RunBuilder


def asked(process: int, seq: int, at: int) -> Operation:
    return Operation("invoke", at, process, seq, "write", "k", "x", at)


def answered(process: int, seq: int, at: int) -> Operation:
    return Operation("ok", at, process, seq, "write", "k", "x")


def test_each_completion_goes_with_its_invocation() -> None:
    calls, problems = pair([asked(1, 1, 1), asked(2, 1, 2), answered(1, 1, 3), asked(1, 2, 4), answered(2, 1, 5)])
    assert [(name, call.type, call.ret_ns) for name, call in calls.items()] == [
        ((1, 1), "ok", 3),
        ((2, 1), "ok", 5),
        ((1, 2), "info", None),
    ]
    assert problems == []


def test_a_client_that_asks_while_it_waits_is_told_and_both_operations_are_paired() -> None:
    calls, problems = pair([asked(1, 1, 1), asked(1, 2, 2), answered(1, 1, 3), answered(1, 2, 4)])
    assert [call.ret_ns for call in calls.values()] == [3, 4]
    assert problems == ["history: client 1 invokes operation 2 while 1 is in flight"]


def test_what_does_not_fit_together_is_told() -> None:
    calls, problems = pair([asked(1, 1, 5), asked(1, 1, 6), answered(1, 2, 7), answered(1, 1, 4)])
    assert calls[1, 1].ret_ns == 4
    assert problems == [
        "history: operation 1 of client 1 is invoked twice",
        "history: operation 2 of client 1 completes but was not in flight",
        "history: operation 1 of client 1 completes before its invocation",
    ]


def test_a_command_chosen_again_at_the_very_end_is_not_executed_there(builder: RunBuilder) -> None:
    """No learner applied those slots, so none tells what it skipped."""
    first = builder.operate(1, "write", "k", "x")
    second = builder.invoke(1, "write", "k", "y")
    for slot, command in ((2, first), (3, second), (4, second)):
        builder.on("r0", "chosen", slot=slot, value=(command,), ballot=builder.ballot)
    assert [(entry.slot, entry.command) for entry in builder.case().executions] == [(1, first), (3, second)]


def test_the_agents_own_commands_can_be_judged_as_those_of_a_record() -> None:
    """The end of a simulated run is judged without writing them down."""
    assert messages.Command.__struct_fields__ == Command.__struct_fields__
