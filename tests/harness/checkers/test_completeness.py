"""The record's order: causes stand before their effects, or the record is not judged by."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from harness.checkers import durability
from harness.checkers.completeness import check
from harness.results import Verdict
from tests.harness.checkers.conftest import RunBuilder


def test_a_record_in_order_is_whole(good: RunBuilder) -> None:
    assert check(good.case()).verdict is Verdict.PASS


@pytest.mark.parametrize("early_ns", [0, 1])
def test_a_vote_before_its_proposal_shows_that_the_clocks_disagree(
    good: RunBuilder, replace_row: Callable[..., None], early_ns: int
) -> None:
    proposed = next(row for row in good.trace["r0", 0] if row.kind == "propose" and row.slot == 2)
    replace_row(good.trace["r1", 0], "accepted", 2, time_ns=proposed.time_ns - early_ns)
    result = check(good.case())
    assert result.verdict is (Verdict.INCONCLUSIVE if early_ns else Verdict.PASS)
    assert ("r1 voted in slot 2 1 ns before r0 proposed there" in result.summary) is bool(early_ns)


def test_a_command_chosen_before_it_was_asked_for_shows_it_too(good: RunBuilder) -> None:
    chosen = min(row.time_ns for rows in good.decided.values() for row in rows if row.kind == "chosen")
    first = good.history[0]
    assert first.type == "invoke"
    good.history[0] = msgspec.structs.replace(first, time_ns=chosen + 5)
    result = check(good.case())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "5 ns before it was asked for" in result.summary


def test_a_ballot_used_twice_is_no_matter_of_clocks(good: RunBuilder, replace_row: Callable[..., None]) -> None:
    """Judged elsewhere: the vote follows the first of both proposals."""
    late = next(row for row in good.trace["r0", 0] if row.kind == "propose" and row.slot == 4)
    replace_row(good.trace["r0", 0], "propose", 4, slot=2)
    assert late.time_ns > next(row.time_ns for row in good.trace["r1", 0] if row.kind == "accepted" and row.slot == 2)
    assert check(good.case()).verdict is Verdict.PASS


def test_a_run_whose_harness_was_killed_did_not_come_to_its_end_and_lost_nothing(builder: RunBuilder) -> None:
    """One learner had applied the write and the client its answer; the others were killed before they learned of it."""
    command = builder.invoke(1, "write", "k", "a")
    builder.choose(command, by=("r0",))
    builder.complete(command)
    killed = builder.case()
    assert durability.check(killed).verdict is Verdict.INCONCLUSIVE
    assert check(killed).verdict is Verdict.INCONCLUSIVE
    assert "its harness was killed" in check(killed).summary
    builder.directory = builder.directory.with_name("ended")
    builder.end()
    assert durability.check(builder.case()).verdict is Verdict.FAIL
