"""The online oracles together."""

from __future__ import annotations

import re
from pathlib import Path

from harness.checkers import online
from harness.checkers.online import OnlineOracles
from tests.harness.checkers.conftest import Trace, X, Y


def test_an_ordinary_leadership_and_its_successor(trace: Trace) -> None:
    trace.lead((1, 0), 0, 1, 2)
    trace.propose((1, 0), 1, X)
    trace.vote((1, 0), 1, X, 0, 1)
    trace(0, "chosen", (1, 0), 1, X)
    trace(0, "applied", None, 1, X, [5, []])
    trace.lead((2, 1), 1, 2)
    trace.propose((2, 1), 1, X)
    trace.vote((2, 1), 1, X, 1, 2)
    trace(1, "chosen", (2, 1), 1, X)
    trace(1, "applied", None, 1, X, [5, []])
    trace.propose((2, 1), 2, Y)
    trace(2, "chosen", None, 1, X)
    assert trace.rules == []


def test_a_violation_names_agents_and_values() -> None:
    oracles = OnlineOracles(frozenset({0, 1, 2}), 2, {0: "r0", 1: "r1", 2: "r2"})
    oracles.observe(0, 0, 1, "promised", (2, 1))
    oracles.observe(0, 0, 9, "accepted", (1, 2), 7, X)
    violation = oracles.violations[0]
    assert violation.agents == ("r0",)
    assert violation.slot == 7
    assert violation.time_ns == 9
    assert "write k 'x'" in violation.values[0]
    assert "ballot 2.1" in violation.sentence


def test_kinds_that_no_oracle_wants_are_ignored(trace: Trace) -> None:
    trace(0, "stale", None, 0, None, 2)
    assert trace.rules == []


def test_the_table_of_rules_names_the_files_that_judge_them() -> None:
    a_rule = r"(?:ballot|decision|promise|proposal|snapshot|vote)/[a-z0-9-]+"
    entries = re.findall(r"^\* ``(\w+\.py)``(.*(?:\n  .*)*)", online.__doc__ or "", re.MULTILINE)
    table = {name: set(re.findall(a_rule, entry)) for name, entry in entries}
    judged: dict[str, set[str]] = {}
    explained: dict[str, set[str]] = {}
    for path in Path(online.__file__).parent.glob("*.py"):
        docstring, _, source = path.read_text().partition("from __future__")
        if "self.sink.add(" in source:
            judged[path.name] = set(re.findall(f'"({a_rule})"', source))
            explained[path.name] = set(re.findall(a_rule, docstring))
    assert table == judged == explained
