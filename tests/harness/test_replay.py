"""Replay: as recorded or not, in every world; the exit codes say which."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.campaign import Task, run_campaign
from harness.errors import UserError
from harness.judgement import judge_run
from harness.replay import ReplayResult, Try, as_recorded, in_real_time, recorded, replay, replay_plan
from harness.results import Verdict
from harness.run import run_real
from harness.simulated_run import write_simulated_run
from harness.store import write_environment, write_plan
from harness.worlds.simulated.world import simulate
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Disk, Plan, Plant, Timing, Workload, encode_plan
from nemesis.strategies import generate
from nemesis.strategies.frame import Frame
from paxos_impl.mutants.registry import find, hash_of


def plan_of(mutant: str = "", seed: int = 1) -> Plan:
    return Plan(
        seed=seed,
        duration_ns=300 * MILLISECOND,
        settle_ns=600 * MILLISECOND,
        workload=Workload(clients=2, rate=50.0),
        faults=(Fault("kill", "leader", at_ns=150 * MILLISECOND, duration_ns=50 * MILLISECOND),),
        mutant=Plant(mutant, hash_of(find(mutant))) if mutant else None,
    )


def result_of(
    *tries: Try, world: str = "simulated", rule: str | None = None, digest: str | None = None
) -> ReplayResult:
    return ReplayResult(
        "plan",
        world,
        tries,
        rule,
        digest,
        sum(as_recorded(one, rule) for one in tries),
        len({one.digest for one in tries}) == 1,
    )


BROKEN = Try("vote/forgotten", "…", "d1", ("vote/forgotten", "promise/broken"))
FINE = Try("", "", "d1")


@pytest.mark.parametrize(
    ("result", "exit_code"),
    [
        (result_of(FINE), 0),
        (result_of(BROKEN), 1),
        (result_of(FINE, rule="", digest="d1"), 0),
        (result_of(BROKEN, rule="vote/forgotten", digest="d1"), 0),
        (result_of(BROKEN, rule="promise/broken", digest="d1"), 0),
        (result_of(FINE, rule="vote/forgotten", digest="d1"), 3),
        (result_of(BROKEN, rule="", digest="d1"), 3),
        (result_of(BROKEN, rule="decision/order", digest="d1"), 3),
        (result_of(BROKEN, rule="vote/forgotten", digest="other"), 3),
        (result_of(BROKEN, msgspec.structs.replace(BROKEN, digest="d2")), 70),
        (result_of(Try("vote/forgotten", "…", "", ("vote/forgotten",)), world="free", rule="vote/forgotten"), 0),
        (result_of(Try("", "", ""), world="free", rule="vote/forgotten"), 3),
    ],
)
def test_exit_codes(result: ReplayResult, exit_code: int) -> None:
    assert result.exit_code == exit_code


def test_a_bare_plan_is_run_and_its_digest_told(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(encode_plan(plan_of()))
    result = replay(path, tries=2)
    assert result.exit_code == 0
    assert result.recorded_rule is None
    assert len({one.digest for one in result.tries}) == 1
    assert len(result.tries[0].digest) == 32


def test_a_failed_run_is_reproduced_in_the_simulator_and_in_lockstep(tmp_path: Path) -> None:
    results = write_simulated_run(plan_of("P01"), tmp_path)
    assert results.verdict is Verdict.FAIL
    for world in ("simulated", "lockstep"):
        result = replay(tmp_path, world=world)
        assert (result.exit_code, result.reproduced) == (0, 1)
        assert result.tries[0].rule == result.recorded_rule
        assert result.tries[0].digest == result.recorded_digest


def test_a_run_that_passed_is_reproduced_if_it_passes(tmp_path: Path) -> None:
    assert write_simulated_run(plan_of(), tmp_path).verdict is not Verdict.FAIL
    result = replay(tmp_path)
    assert result.recorded_rule == ""
    assert (result.exit_code, result.reproduced) == (0, 1)


def test_another_digest_than_the_recorded_one_is_not_as_recorded(tmp_path: Path) -> None:
    write_simulated_run(plan_of("P01"), tmp_path)
    write_plan(tmp_path, plan_of("P01", seed=2))
    result = replay(tmp_path)
    assert result.reproduced == 1
    assert result.exit_code == 3


def test_a_planted_bug_of_another_source_is_refused(tmp_path: Path) -> None:
    plan = msgspec.structs.replace(plan_of(), mutant=Plant("P01", "0" * 64))
    with pytest.raises(ValueError, match="not the one the plan was made with"):
        replay_plan(plan, name="plan")


def test_unknown_worlds_and_no_tries_are_the_users_mistake() -> None:
    with pytest.raises(UserError, match="there are simulated, lockstep, free"):
        replay_plan(plan_of(), name="plan", world="real")
    with pytest.raises(UserError, match="at least one"):
        replay_plan(plan_of(), name="plan", tries=0)


def test_a_schedule_over_which_a_worker_died_is_replayed_in_a_process_of_its_own(tmp_path: Path) -> None:
    bugs = tmp_path / "bugs.py"
    bugs.write_text(
        "import os, signal\n"
        "from paxos_impl.acceptor import Acceptor\n"
        "from paxos_impl.mutants.registry import mutant\n"
        "@mutant('DIES', 'the process ends', rule='-', breaks='P')\n"
        "class Dies(Acceptor):\n"
        "    def make_promise(self, ballot):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    name = f"{bugs}:DIES"
    plan = msgspec.structs.replace(plan_of(), mutant=Plant(name, hash_of(find(name))))
    campaign = run_campaign(iter([Task("", 1, plan=plan)]), store=tmp_path, jobs=1)
    for world in ("simulated", "lockstep"):
        result = replay(Path(campaign.clusters[0].directory), world=world)
        assert result.recorded_rule == "harness/worker"
        assert (result.exit_code, result.reproduced) == (0, 1)


def test_a_run_on_free_processes_is_compared_by_its_results(tmp_path: Path) -> None:
    timing = Timing(
        heartbeat_ns=30 * MILLISECOND,
        election_timeout_ns=200 * MILLISECOND,
        retransmit_ns=80 * MILLISECOND,
        client_retry_ns=150 * MILLISECOND,
        operation_timeout_ns=500 * MILLISECOND,
    )
    plan = msgspec.structs.replace(
        plan_of("P01"), timing=timing, duration_ns=1000 * MILLISECOND, settle_ns=20_000 * MILLISECOND, disk=Disk(kind="memory")
    )  # fmt: skip
    directory = run_real(plan, tmp_path).directory
    assert judge_run(directory).verdict is Verdict.FAIL
    rule, digest = recorded(directory)
    assert rule
    assert digest is None
    result = replay(directory, world="free", tries=2)
    assert result.recorded_rule == rule
    assert (result.exit_code, len(result.tries)) == (0, 1)


def test_a_plan_in_virtual_time_is_stretched_to_real_time() -> None:
    assert in_real_time(plan_of()).timing.scale == 2.0
    slow = msgspec.structs.replace(plan_of(), timing=Timing(election_timeout_ns=300 * MILLISECOND))
    assert in_real_time(slow).timing.scale == 1.0


def test_what_was_never_judged_has_no_record(tmp_path: Path) -> None:
    write_plan(tmp_path, plan_of())
    assert recorded(tmp_path) == (None, None)
    write_environment(tmp_path, {"rule": "", "digest": "d"})
    assert recorded(tmp_path) == ("", "d")


@pytest.mark.slow
@pytest.mark.parametrize("mutant", ["", "A02", "S07", "A21", "C21", "L26", "N01", "P01", "P26", "T20"])
def test_judged_from_its_directory_a_simulated_run_gets_the_verdict_it_had_while_it_ran(
    tmp_path: Path, mutant: str
) -> None:
    """What the oracles saw online, and at the end of the run, the offline checkers see too."""
    plant = Plant(mutant, hash_of(find(mutant))) if mutant else None
    broken = passed = 0
    for seed in range(60):
        plan = generate("portfolio", seed, Frame(base=Plan(mutant=plant)))
        if simulate(plan).violations:
            broken += 1
        elif passed < 4:
            passed += 1
        else:
            continue
        directory = tmp_path / str(seed)
        directory.mkdir()
        results = write_simulated_run(plan, directory)
        rule, _ = recorded(directory)
        rules = {violation.rule for check in results.checks for violation in check.violations}
        assert (rule in rules) if rule else (results.verdict is not Verdict.FAIL), (seed, rule, results.sentence)
        if broken == 2:
            break
    assert bool(broken) == bool(mutant)
