"""What benchmarks compute from what they saw."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.children import ROOT, Children
from benchmarks.failover import kill_plan, outages_ns
from benchmarks.measure import Load, Machine, Outcome, Report, Table, median_outcome, outcome
from benchmarks.peers.ours import Ours, outcome_of
from benchmarks.real import CONTESTS, GOALS
from benchmarks.show import page
from harness.record import FaultEvent, Operation
from nemesis.plan import SECOND, validate


def test_outcome_counts_answers_and_orders_latencies() -> None:
    found = outcome([3_000_000, 1_000_000, 2_000_000, 50_000_000], seconds=2.0)
    assert found == Outcome(2.0, 3.0, 50.0)


def test_outcome_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        outcome([], seconds=1.0)


def test_the_median_leaves_out_latencies_that_were_not_measured() -> None:
    assert median_outcome([Outcome(10, 1.0, None), Outcome(30, 3.0, None)]) == Outcome(20, 2.0, None)


def test_a_turn_that_others_disturbed_does_not_move_the_median() -> None:
    turns = [Outcome(3000, 0.3, 0.5), Outcome(900, 1.1, 9.0), Outcome(3200, 0.28, 0.4)]
    assert median_outcome(turns) == Outcome(3000, 0.3, 0.5)


def test_outcome_of_a_history_counts_what_follows_the_warm_up() -> None:
    def answered(at_ms: int, seq: int) -> list[Operation]:
        begin, end = (at_ms - 2) * 1_000_000, at_ms * 1_000_000
        return [Operation("invoke", begin, 1, seq, "write", "k"), Operation("ok", end, 1, seq, "write", "k")]

    history = [row for seq, at in enumerate((10, 300, 420, 600, 1500)) for row in answered(at, seq)]
    assert outcome_of(history, seconds=1.0) == Outcome(2.0, 2.0, 2.0)  # 420 and 600: the first answer was at 10


def test_every_plan_of_ours_can_be_run() -> None:
    for system in {system for contest in CONTESTS for system in contest.systems if isinstance(system, Ours)}:
        validate(system.plan("disk", 64, 3.0))
    validate(kill_plan(20))


def test_goals_name_what_is_measured() -> None:
    measured = {
        (system.name, contest.place, outstanding)
        for contest in CONTESTS
        for system in contest.systems
        for outstanding in contest.outstanding
    }
    for goal in GOALS:
        assert (goal.ours, goal.place, goal.outstanding) in measured
        assert not goal.against or (goal.against, goal.place, goal.outstanding) in measured


def test_an_outage_lasts_from_the_victims_last_answer_to_another_ones_first() -> None:
    def ok(time_ns: int, node: int) -> Operation:
        return Operation("ok", time_ns, 1, time_ns, "write", "k", node=node)

    killed = FaultEvent(100, "begin", 0, "kill", ("r0",), {})
    restarted = FaultEvent(200, "end", 0, "kill", ("r0",), {})
    history = [ok(90, 0), ok(98, 0), ok(340, 1), ok(350, 1)]
    assert outages_ns([killed, restarted], history, ["r0", "r1", "r2"]) == [242]
    assert outages_ns([killed], history[2:], ["r0", "r1", "r2"]) == []  # it never answered: no leader was hit


def test_page_states_circumstances_and_escapes_bars() -> None:
    class Dated:
        when, quick = "2030-01-02 03:04", True
        machine = Machine(2, "Some CPU", 24.0, "6.1", "3.11.7", 1.5, 4.0, 0.1)
        report = Report((Table("Rates", ("system", "rate"), (("a|b", "12"),), ("a note",)),))

    text = page([("real", "about", Dated())])
    assert "Some CPU" in text and "4 ms" in text and "quick run" in text and "Others used the machine" in text
    assert "| a\\|b | 12 |" in text
    assert "- a note" in text


def test_children_are_gone_when_their_context_is_left(tmp_path: Path) -> None:
    with Children() as children:
        process = children.start([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
        assert process.poll() is None
    assert process.returncode == -9


def test_the_command_lists_what_is_here_and_names_what_is_not() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert {"real", "failover", "simulator"} <= {line.split()[0] for line in listed.stdout.splitlines()}
    wrong = subprocess.run(
        [sys.executable, "-m", "benchmarks", "reel"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert wrong.returncode == 2 and "no benchmark 'reel'; there are:" in wrong.stderr


@pytest.mark.slow
def test_our_cluster_can_be_measured(tmp_path: Path) -> None:
    found = Ours().measure(Load("memory", 4, 0.5), tmp_path)
    assert found.commits_per_s > 0 and found.p50_ms is not None and found.p50_ms < SECOND / 1e6
