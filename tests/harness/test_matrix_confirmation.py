"""What killed in the simulator, shrunk and run on real processes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.matrix import Task, Trial, run_trial
from harness.matrix_confirmation import (
    Confirmation,
    confirm,
    confirm_all,
    killing_plan,
    not_free,
    plan_for_free,
    read_confirmations,
    table,
)
from harness.replay import Try, simulated
from harness.shrink import shrink
from harness.worlds.simulated.world import SimulatedWorld
from nemesis.plan import SECOND, Plan
from paxos_impl.mutants.registry import all_mutants, find, hash_of

NOTHING = Try("", "", "")


@pytest.fixture(scope="module")
def kill() -> Trial:
    done = run_trial(Task("P28", "portfolio", 0, 20))
    assert done.killed
    return done


def broken(*rules: str) -> Try:
    return Try(rules[0], "a sentence", "", rules)


def seen_when_planted(plan: Plan) -> Try:
    return broken("decision/two-values") if plan.mutant is not None else NOTHING


def test_the_plan_of_a_kill_kills_again(kill: Trial) -> None:
    plan = killing_plan(kill)
    assert plan.mutant is not None and plan.mutant.id == "P28"
    assert simulated(plan).rule == kill.rule


def test_a_kill_is_shrunk_and_confirmed(kill: Trial) -> None:
    done = confirm(kill, in_lockstep=simulated, freely=seen_when_planted)
    assert done.lockstep and done.rule == kill.rule
    assert done.plan is not None and done.faults == len(done.plan.faults) <= done.faults_before
    assert (done.free_tries, done.free_rule) == (1, "decision/two-values")


def test_a_busy_machine_that_makes_no_progress_confirms_no_unsafe_bug(kill: Trial) -> None:
    def stuck(plan: Plan) -> Try:
        return broken("liveness/no-progress") if plan.mutant is not None else NOTHING

    done = confirm(kill, tries=2, in_lockstep=simulated, freely=stuck)
    assert (done.free_tries, done.free_rule) == (2, "")


def test_another_digest_in_lockstep_confirms_nothing(kill: Trial) -> None:
    def other(plan: Plan) -> Try:
        return msgspec.structs.replace(simulated(plan), digest="another")

    assert not confirm(kill, tries=0, in_lockstep=other).lockstep


def test_what_the_unmodified_code_shows_too_is_no_try_that_counts(kill: Trial) -> None:
    def always(plan: Plan) -> Try:
        return broken("decision/two-values", "liveness/no-progress")

    done = confirm(kill, tries=4, in_lockstep=simulated, freely=always)
    assert (done.free_tries, done.free_rule) == (4, "")


def test_free_tries_give_the_cluster_time_to_elect(kill: Trial) -> None:
    plans: list[Plan] = []

    def never(plan: Plan) -> Try:
        plans.append(plan)
        return NOTHING

    confirm(kill, tries=4, in_lockstep=simulated, freely=never)
    whole = killing_plan(kill)
    assert [plan.faults == whole.faults for plan in plans[1::2]] == [True, True]
    assert all(plan.duration_ns >= 2 * SECOND for plan in plans[::2])
    assert len({plan.seed for plan in plans}) == 4


def made(mutant: str, lockstep: bool = True, free_rule: str = "", not_free: str = "") -> Confirmation:
    source_hash = hash_of(find(mutant))
    return Confirmation(mutant, source_hash, "vote/two-values", None, 9, 2, lockstep, 3, free_rule, not_free)


def test_what_is_confirmed_is_not_done_again(kill: Trial, tmp_path: Path) -> None:
    state, asked = tmp_path / "confirmed.jsonl", []

    def one(trial: Trial, tries: int) -> Confirmation:
        asked.append(trial.mutant)
        return made(trial.mutant)

    for _ in range(2):
        found = confirm_all([kill, kill], tries=3, state=state, one=one)
        assert [done.mutant for done in found] == ["P28"]
    assert asked == ["P28"]
    with state.open("ab") as file:
        file.write(b'{"torn')
    assert len(read_confirmations(state)) == 1
    confirm_all([kill], tries=2, state=state, one=one)
    assert asked == ["P28"], "fewer tries are wanted than were made"
    other = msgspec.structs.replace(kill, source_hash="another text")
    confirm_all([other], tries=3, state=state, one=one)
    assert asked == ["P28", "P28"]
    state.unlink()
    confirm_all([kill], tries=3, state=state, one=one)
    confirm_all([kill], tries=4, state=state, one=one)
    assert asked == ["P28"] * 4, "more tries are wanted than were made"


def test_an_interrupt_keeps_what_was_finished(kill: Trial) -> None:
    def one(trial: Trial, tries: int) -> Confirmation:
        raise KeyboardInterrupt

    assert confirm_all([kill], one=one) == []


def test_equivalent_mutants_and_survivors_need_no_confirmation(kill: Trial) -> None:
    survivor = msgspec.structs.replace(kill, killed=False)
    harmless = msgspec.structs.replace(kill, mutant="AQ1")
    assert confirm_all([survivor, harmless], one=lambda trial, tries: made(trial.mutant)) == []


def test_bugs_of_the_simulator_alone_have_no_tries() -> None:
    assert not_free("P28") == ""
    assert [one for one in all_mutants() if not_free(one)]


def test_the_table_tells_the_shares() -> None:
    untried = msgspec.structs.replace(made("A03"), free_tries=0)
    text = table([made("P28", free_rule="agreement"), made("A02", lockstep=False), untried])
    assert "67% of 3 shrunk plans" in text and "of the 2 tried on free processes 50% kill" in text
    assert text.index("A02") < text.index("A03") < text.index("P28")
    assert "not tried" in text and "not seen" in text
    assert "none was tried on free processes" in table([untried])


def test_what_no_record_shows_is_tried_by_a_plan_in_which_one_does() -> None:
    """A promise that is not logged is seen as it is told; on free processes, when it is missing after a restart."""
    kill = run_trial(Task("A01", "portfolio", 0, 20))
    assert kill.rule.endswith("/not-durable")
    killed = shrink(killing_plan(kill))
    assert killed.rule == kill.rule and not killed.plan.faults
    shrunk, whole, rule = plan_for_free(kill, killed)
    assert rule in ("promise/forgotten", "promise/no-quorum")
    assert 0 < len(shrunk.faults) <= 3 < len(whole.faults)
    for plan in (shrunk, whole):
        run = SimulatedWorld(plan, as_recorded=True).run()
        assert run.violations[0].rule == rule or plan is whole
        assert not any("not-durable" in one.rule or "not-heard" in one.rule for one in run.violations)
        assert not SimulatedWorld(msgspec.structs.replace(plan, mutant=None), as_recorded=True).run().violations
