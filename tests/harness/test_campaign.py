"""Campaigns: what is stored, and that no finding is lost when workers die, hang, differ or are interrupted."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from harness.campaign import (
    CampaignState,
    RunRow,
    Task,
    code_hash,
    first_difference,
    run_batch,
    run_campaign,
    seeds,
)
from harness.checkers.situations import SITUATIONS
from harness.errors import HarnessFault, UserError
from harness.results import Verdict, read_results
from harness.store import read_environment
from harness.worlds.simulated.network import SimulatedNetwork
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Plan, Plant, Workload, load_plan
from nemesis.strategies.frame import Frame
from paxos_impl.mutants.registry import MutantError, find, hash_of

PLANTED = """
import os, random, signal
from paxos_impl.acceptor import Acceptor
from paxos_impl.client import ClientSession
from paxos_impl.replica import Replica
from paxos_impl.mutants.registry import mutant

@mutant("DIES", "the process ends", rule="-", breaks="P")
class Dies(Acceptor):
    def make_promise(self, ballot):
        os.kill(os.getpid(), signal.SIGKILL)

@mutant("HANGS", "a step that never ends", rule="-", breaks="P")
class Hangs(Acceptor):
    def make_promise(self, ballot):
        while True:
            pass

@mutant("EXITS", "a client leaves by the back door", rule="-", breaks="P")
class Exits(ClientSession):
    def on_reply(self, *args, **options):
        raise SystemExit(5)

@mutant("UNMADE", "no client can be made", rule="-", breaks="P")
class Unmade(ClientSession):
    def __init__(self, *args, **options):
        raise SystemExit(5)

@mutant("RAISES", "the schedule cannot be run", rule="-", breaks="P")
class Raises(Replica):
    def applied_slot(self):
        raise SystemError("cannot tell")

@mutant("RANDOM", "not deterministic", rule="-", breaks="P")
class Random(Acceptor):
    def may_promise(self, ballot):
        return super().may_promise(ballot) and random.SystemRandom().random() < 0.5

@mutant("CTRL_C", "the user interrupts", rule="-", breaks="P")
class Interrupts(Acceptor):
    asked = False

    def make_promise(self, ballot):
        super().make_promise(ballot)
        if not Interrupts.asked:
            Interrupts.asked = True
            os.kill(os.getppid(), signal.SIGINT)
"""


@pytest.fixture(autouse=True)
def _ctrl_c_is_what_it_was() -> Iterator[None]:
    """An interrupted campaign lets the next Ctrl-C end the program: here that would be the tests."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def small(seed: int, mutant: Plant | None = None, *faults: Fault) -> Task:
    """A schedule of some milliseconds."""
    plan = Plan(
        seed=seed,
        strategy="small",
        duration_ns=300 * MILLISECOND,
        settle_ns=600 * MILLISECOND,
        final_power_cut=False,
        workload=Workload(clients=2, rate=50.0),
        faults=faults,
        mutant=mutant,
    )
    return Task("small", seed, plan=plan)


def failing(seed: int) -> Task:
    """A quorum of one: broken at once."""
    return small(seed, Plant("P01", hash_of(find("P01"))))


@pytest.fixture
def planted(tmp_path: Path) -> Callable[[str], Plant]:
    path = tmp_path / "planted.py"
    path.write_text(PLANTED)

    def plant(name: str) -> Plant:
        return Plant(f"{path}:{name}", hash_of(find(f"{path}:{name}")))

    return plant


def rows_of(directory: str) -> list[RunRow]:
    return [msgspec.json.decode(line, type=RunRow) for line in Path(directory, "rows.jsonl").read_bytes().splitlines()]


def test_a_campaign_stores_a_row_a_run_and_a_summary(tmp_path: Path) -> None:
    result = run_campaign(iter(small(seed) for seed in range(20)), store=tmp_path, jobs=2)
    assert (result.runs, result.failures, result.reruns) == (20, 0, 1)
    assert (result.verdict, result.exit_code) == (Verdict.PASS, 0)
    rows = rows_of(result.directory)
    assert sorted(row.seed for row in rows) == list(range(20))
    assert all(row.commands > 0 and row.events > 0 and not row.rule for row in rows)
    assert len({row.digest for row in rows}) == 20
    assert result.strategies == {"small": 20}
    assert json.loads(Path(result.directory, "campaign.json").read_text())["runs"] == 20
    assert (tmp_path / "campaign" / "latest").resolve() == Path(result.directory)


def test_a_campaign_counts_in_how_many_schedules_a_situation_came_up(tmp_path: Path) -> None:
    result = run_campaign(seeds("portfolio", 0, 6), store=tmp_path, jobs=1)
    assert list(result.situations) == list(SITUATIONS)
    assert max(result.situations.values()) <= 6
    assert result.situations["value inherited"] > 0
    calm = run_campaign(seeds("calm", 0, 1), store=tmp_path, jobs=1)
    assert calm.situations == dict.fromkeys(SITUATIONS, 0)
    assert all(not row.situations for row in rows_of(result.directory))


def test_rows_and_digest_do_not_depend_on_the_number_of_jobs(tmp_path: Path) -> None:
    alone, together = (run_campaign(seeds("calm", 0, 4), store=tmp_path, jobs=jobs) for jobs in (1, 2))
    rows = [sorted(rows_of(one.directory), key=lambda row: row.seed) for one in (alone, together)]
    assert rows[0] == rows[1]
    assert alone.digest == together.digest
    other = run_campaign(seeds("calm", 1, 4), store=tmp_path, jobs=1)
    assert other.digest != alone.digest


def test_what_is_not_to_be_drawn_is_given() -> None:
    load = Workload(clients=3, rate=60.0, keys=2)
    frame = Frame(duration_ns=350_000_000, settle_ns=1_300_000_000, workload=load)
    plan = Task("portfolio", 1, frame).make_plan()
    assert (plan.duration_ns, plan.settle_ns, plan.workload) == (350_000_000, 1_300_000_000, load)


def test_failures_are_clustered_and_the_first_of_each_kind_is_kept_and_judged(tmp_path: Path) -> None:
    tasks = [small(0), failing(1), failing(2), small(3)]
    result = run_campaign(iter(tasks), store=tmp_path, jobs=1)
    assert (result.failures, result.verdict, result.exit_code) == (2, Verdict.FAIL, 1)
    (cluster,) = result.clusters
    assert cluster.count == 2
    assert cluster.first.seed == 1
    kept = Path(cluster.directory)
    assert load_plan(kept / "plan.json") == tasks[1].make_plan()
    assert read_environment(kept)["rule"] == cluster.rule
    assert read_environment(kept)["digest"] == cluster.first.digest
    judged = read_results(kept)
    assert judged.verdict is Verdict.FAIL
    assert cluster.rule in {violation.rule for check in judged.checks for violation in check.violations}


def test_a_worker_that_dies_is_a_finding_and_nothing_else_is_lost(
    tmp_path: Path, planted: Callable[[str], Plant]
) -> None:
    tasks = [small(seed, planted("DIES") if seed == 11 else None) for seed in range(24)]
    result = run_campaign(iter(tasks), store=tmp_path, jobs=2)
    assert result.runs == 24
    (cluster,) = result.clusters
    assert (cluster.rule, cluster.count, cluster.first.seed) == ("harness/worker", 1, 11)
    assert "died" in cluster.first.sentence
    assert load_plan(Path(cluster.directory, "plan.json")) == tasks[11].make_plan()
    assert sorted(row.seed for row in rows_of(result.directory)) == list(range(24))
    assert result.exit_code == 1


def test_a_schedule_that_hangs_is_a_finding(tmp_path: Path, planted: Callable[[str], Plant]) -> None:
    tasks = [small(0), small(1, planted("HANGS")), small(2)]
    result = run_campaign(iter(tasks), store=tmp_path, jobs=1, hang_s=3.0)
    (cluster,) = result.clusters
    assert (cluster.rule, cluster.first.seed) == ("harness/hang", 1)
    assert "3 s" in cluster.first.sentence
    assert result.runs == 3


def test_a_schedule_that_cannot_be_run_is_a_finding(tmp_path: Path, planted: Callable[[str], Plant]) -> None:
    result = run_campaign(iter([small(0), small(1, planted("RAISES"))]), store=tmp_path, jobs=1)
    (cluster,) = result.clusters
    assert (cluster.rule, cluster.count) == ("harness/worker", 1)
    assert cluster.first.sentence == "SystemError: cannot tell"


@pytest.mark.parametrize(
    ("bug", "rule", "sentence"),
    [
        ("EXITS", "crash/SystemExit", "a client's session raised SystemExit: 5"),
        ("UNMADE", "harness/worker", "SystemExit: 5"),
    ],
)
def test_an_exit_of_the_tested_code_ends_its_schedule_and_not_the_campaign(
    tmp_path: Path, planted: Callable[[str], Plant], bug: str, rule: str, sentence: str
) -> None:
    result = run_campaign(iter([small(0), small(1, planted(bug))]), store=tmp_path, jobs=1)
    (cluster,) = result.clusters
    assert (cluster.rule, cluster.first.sentence, result.exit_code) == (rule, sentence, 1)


def test_two_digests_of_one_plan_break_the_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedNetwork, "_new_stream", lambda *_: random.SystemRandom().random)
    with pytest.raises(
        HarnessFault, match=r"seed 5 gave digest \w+ and then \w+: .*not deterministic; (event \d+|one run)"
    ):
        run_campaign(iter([small(5)]), store=tmp_path, jobs=1)


def test_two_digests_under_a_bug_of_the_users_own_are_his_mistake(
    tmp_path: Path, planted: Callable[[str], Plant]
) -> None:
    with pytest.raises(
        UserError, match=r":RANDOM does not behave the same twice \(strategy small, seed 5\): draw by self"
    ):
        run_campaign(iter([small(5, planted("RANDOM"))]), store=tmp_path, jobs=1)


def test_an_interrupt_keeps_and_judges_what_there_is(tmp_path: Path, planted: Callable[[str], Plant]) -> None:
    def endless() -> Iterator[Task]:
        yield from [failing(0), *(small(seed) for seed in range(1, 15)), small(15, planted("CTRL_C"))]
        yield from (small(seed) for seed in range(16, 1_000_000))

    result = run_campaign(endless(), store=tmp_path, jobs=1)
    assert result.interrupted
    assert 1 <= result.runs == len(rows_of(result.directory))
    assert result.exit_code == 1
    assert [cluster.first.seed for cluster in result.clusters] == [0]
    assert read_results(Path(result.clusters[0].directory)).verdict is Verdict.FAIL


def test_an_interrupted_campaign_without_failures_is_inconclusive(tmp_path: Path) -> None:
    def interrupt(state: CampaignState) -> None:
        if state.runs:
            os.kill(os.getpid(), signal.SIGINT)

    result = run_campaign(iter(small(seed) for seed in range(100_000)), store=tmp_path, jobs=2, progress=interrupt)
    assert (result.verdict, result.exit_code) == (Verdict.INCONCLUSIVE, 130)
    assert result.runs > 0
    _gone, alive = psutil.wait_procs(psutil.Process().children(), timeout=30)
    assert not alive


def test_a_time_limit_ends_an_endless_campaign(tmp_path: Path) -> None:
    result = run_campaign(iter(small(seed) for seed in iter(int, 1)), store=tmp_path, jobs=1, seconds=0.2)
    assert result.runs > 0
    assert result.exit_code == 0


def test_nothing_run_is_no_pass(tmp_path: Path) -> None:
    result = run_campaign(iter([]), store=tmp_path, jobs=1)
    assert (result.verdict, result.exit_code) == (Verdict.INCONCLUSIVE, 3)


def test_other_code_is_refused(tmp_path: Path) -> None:
    assert len(run_batch([small(0)], code=code_hash())) == 1
    with pytest.raises(HarnessFault, match="other code"):
        run_batch([small(0)], code="0" * 64)


def test_a_planted_bug_of_a_file_travels_by_its_text(planted: Callable[[str], Plant], tmp_path: Path) -> None:
    """As it runs on a machine that has no such file, or another one by that name."""
    plant = planted("EXITS")
    path = tmp_path / "planted.py"
    task = small(0, msgspec.structs.replace(plant, texts={str(path): PLANTED}))
    for text in (None, "raise RuntimeError"):
        path.unlink() if text is None else path.write_text(text)
        assert [row.rule for row in run_batch([task])] == ["crash/SystemExit"]
    other = msgspec.structs.replace(plant, texts={str(path): PLANTED.replace("SystemExit(5)", "SystemExit(6)")})
    with pytest.raises(MutantError, match=f"the source of {path}:EXITS is not the one"):
        run_batch([small(0, other)])


def test_the_first_difference_is_named() -> None:
    assert first_difference([1, 2, 3], [1, 5, 3]) == "event 1: 2 in one run, 5 in the other"
    assert first_difference([1, 2, 3], [1, 2]) == "one run has 3 events, the other 2; the first 2 are equal"


def test_consecutive_seeds_make_the_tasks() -> None:
    made = list(seeds("swarm", 7, 3, Frame(deployment="classic", nodes=5)))
    assert [task.seed for task in made] == [7, 8, 9]
    assert {task.make_plan().cluster.acceptors for task in made} == {5}
