"""What a simulated run leaves behind says all that the simulator saw."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.judgement import judge_run
from harness.record import RecordedRun
from harness.results import Verdict
from harness.simulated_run import write_simulated_run
from harness.worlds.simulated.world import simulate
from nemesis.plan import Plan, Plant
from nemesis.strategies import generate
from nemesis.strategies.frame import Frame

SMALL = Frame(nodes=3, duration_ns=400_000_000, settle_ns=1_500_000_000)


def planted(bug: str) -> Plan:
    return msgspec.structs.replace(generate("calm", 1, SMALL), mutant=Plant(bug, ""))


def test_what_no_row_shows_is_noted_and_found_again(tmp_path: Path) -> None:
    plan = planted("E14")
    assert {one.rule for one in simulate(plan).violations} == {"election/no-pre-vote"}
    results = write_simulated_run(plan, tmp_path)
    assert results.verdict is Verdict.FAIL
    assert [(one.name, one.violations[0].rule) for one in results.checks if one.violations] == [
        ("invariants", "election/no-pre-vote")
    ]
    again = judge_run(tmp_path)
    assert (again.verdict, again.checks) == (results.verdict, results.checks)


def test_what_the_rows_show_is_not_noted_besides(tmp_path: Path) -> None:
    plan = msgspec.structs.replace(generate("calm", 1, SMALL), mutant=None)
    assert write_simulated_run(plan, tmp_path).verdict is Verdict.PASS
    assert [row for row in RecordedRun(tmp_path).faults() if row.kind == "violation"] == []
