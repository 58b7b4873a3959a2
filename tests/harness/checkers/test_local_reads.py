"""Local reads: old states are fine, states that never were and sinking versions are not."""

from __future__ import annotations

from typing import Any

from harness.checkers import local_reads
from harness.results import Verdict


def look(builder: Any, process: int, value: Any, version: int) -> None:
    """A client reads ``k`` from a learner that has applied ``version`` slots, and is told ``value``."""
    command = builder.invoke(process, "local-read", "k")
    builder.complete(command, value=value, seen=version)


def test_an_old_state_is_no_violation(good: Any) -> None:
    look(good, 1, "a", 1)
    look(good, 1, "b", 2)
    look(good, 2, None, 0)
    result = local_reads.check(good.case())
    assert result.verdict is Verdict.PASS
    assert result.stats["reads"] == 3


def test_a_state_that_never_was_is_one(good: Any) -> None:
    look(good, 1, "b", 1)
    result = local_reads.check(good.case())
    assert [violation.rule for violation in result.violations] == ["local-reads/value-differs"]
    assert result.verdict is Verdict.FAIL


def test_a_client_must_not_read_an_older_state_than_before(good: Any) -> None:
    look(good, 1, "b", 2)
    look(good, 2, "a", 1)
    look(good, 1, "a", 1)
    result = local_reads.check(good.case())
    assert [violation.rule for violation in result.violations] == ["local-reads/version-sank"]
