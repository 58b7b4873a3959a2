"""Campaigns on a real Dask cluster of this machine: a scheduler and two worker processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.campaign import RunRow, Task, run_campaign
from harness.cli import main
from harness.dask_cluster import DaskExecutor, cluster_threads
from harness.errors import HarnessFault, UserError
from nemesis.plan import MILLISECOND, Plan, Plant, Workload
from paxos_impl.mutants.registry import files_of, find, hash_of

ROOT = Path(__file__).parents[2]
BUGS = """
import os, signal, time
from paxos_impl.acceptor import Acceptor
from paxos_impl.proposer import Proposer
from paxos_impl.mutants.registry import mutant

@mutant("MINE", "a minority is enough", rule="quorum", breaks="A")
class OneIsEnough(Proposer):
    def is_quorum(self, *args, **options):
        return True

@mutant("HANGS", "a step that never ends", rule="-", breaks="P")
class Hangs(Acceptor):
    def make_promise(self, ballot):
        while True:
            pass
"""


def small(seed: int, mutant: Plant | None = None) -> Task:
    plan = Plan(
        seed=seed,
        duration_ns=300 * MILLISECOND,
        settle_ns=600 * MILLISECOND,
        final_power_cut=False,
        workload=Workload(clients=2, rate=50.0),
        mutant=mutant,
    )
    return Task("small", seed, plan=plan)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler and two workers, each a process, in a directory that is not ours."""
    where = tmp_path_factory.mktemp("cluster")
    script = (
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:\n"
        "        print(cluster.scheduler_address, flush=True)\n"
        "        input()\n"
    )
    (where / "cluster.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DASK_TEMPORARY_DIRECTORY": str(where)}
    cluster = subprocess.Popen(
        [sys.executable, "cluster.py"],
        cwd=where,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert cluster.stdin is not None
    assert cluster.stdout is not None
    try:
        address = cluster.stdout.readline().strip()
        assert address.startswith("tcp://")
        yield address
    finally:
        cluster.stdin.close()
        try:
            cluster.wait(timeout=60)
        except subprocess.TimeoutExpired:
            cluster.kill()
            cluster.wait()
        cluster.stdout.close()


def rows_of(directory: str) -> list[RunRow]:
    lines = Path(directory, "rows.jsonl").read_bytes().splitlines()
    return sorted((msgspec.json.decode(line, type=RunRow) for line in lines), key=lambda row: row.seed)


def test_a_campaign_on_a_cluster_gives_the_rows_of_this_machine(address: str, tmp_path: Path) -> None:
    assert cluster_threads(address) == 2
    tasks = [small(seed) for seed in range(20)]
    there = run_campaign(iter(tasks), store=tmp_path, jobs=2, make_executor=lambda: DaskExecutor(address))
    here = run_campaign(iter(tasks), store=tmp_path, jobs=1)
    assert (there.runs, there.failures, there.reruns) == (20, 0, 1)
    assert rows_of(there.directory) == rows_of(here.directory)


def test_the_command_takes_the_address(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bugs.py").write_text(BUGS)
    command = ["simulate", "--cluster", address, "--runs", "4", "--nodes", "3", "--mutant", "bugs.py:MINE", "--json"]
    with pytest.raises(SystemExit) as ended:
        main(command)
    told = json.loads(capsys.readouterr().out)
    assert (ended.value.code, told["exit_code"], told["runs"]) == (1, 1, 4)
    assert Path(told["clusters"][0]["run_directory"], "results.json").exists()


def test_planted_bugs_travel_by_id_and_those_of_a_file_by_their_text(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers stand in another directory: they cannot see the file."""
    monkeypatch.chdir(tmp_path)
    Path("bugs.py").write_text(BUGS)
    mine = Plant("bugs.py:MINE", hash_of(find("bugs.py:MINE")), files_of("bugs.py:MINE"))
    registered = Plant("P01", hash_of(find("P01")))
    result = run_campaign(
        iter([small(0, mine), small(1, registered), small(2)]),
        store=tmp_path,
        jobs=2,
        make_executor=lambda: DaskExecutor(address),
    )
    assert [bool(row.rule) for row in rows_of(result.directory)] == [True, True, False]
    assert not any(row.rule.startswith("harness/") for row in rows_of(result.directory))


def test_a_planted_bug_with_another_source_is_refused_there(address: str, tmp_path: Path) -> None:
    other = Plant("P01", "0" * 64)
    result = run_campaign(
        iter([small(0), small(1, other)]), store=tmp_path, jobs=2, make_executor=lambda: DaskExecutor(address)
    )
    (cluster,) = result.clusters
    assert cluster.first.seed == 1
    assert "not the one the plan was made with" in cluster.first.sentence


def test_a_schedule_that_hangs_on_a_worker_is_a_finding(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bugs.py").write_text(BUGS)
    hangs = Plant("bugs.py:HANGS", hash_of(find("bugs.py:HANGS")), files_of("bugs.py:HANGS"))
    result = run_campaign(
        iter([small(0), small(1, hangs)]),
        store=tmp_path,
        jobs=2,
        hang_s=3.0,
        make_executor=lambda: DaskExecutor(address),
    )
    assert [row.rule for row in rows_of(result.directory)] == ["", "harness/hang"]


def test_workers_with_other_code_are_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.campaign.code_hash", lambda: "0" * 64)
    with pytest.raises(HarnessFault, match=r"runs other code than this machine .* install the same version there"):
        run_campaign(iter([small(0)]), store=tmp_path, jobs=2, make_executor=lambda: DaskExecutor(address))


def test_no_scheduler_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1: .*`dask scheduler`"):
        DaskExecutor("tcp://127.0.0.1:1")


def test_an_address_that_is_none_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="no Dask scheduler answers"):
        DaskExecutor("nonsense://nowhere")
