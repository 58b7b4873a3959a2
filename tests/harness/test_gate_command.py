"""`torture gate` and `torture compare` from the command line: exit codes, files, mistakes of the user."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.gate import hash_of_plans, read_baseline, write_plans
from reports.gate import Broken
from tests.harness.test_gate import kills

SLOW = """
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import Proposer

@mutant("SLOW", "waits twice as long for a leader", rule="election timeout", breaks="L")
class SlowElection(Proposer):
    def election_wait_ns(self):
        return 2 * super().election_wait_ns()
"""


class Torture:
    """Runs the command line in an empty directory; keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: object) -> int:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        self.out, self.err = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    @property
    def json(self) -> dict[str, Any]:
        assert self.out.count("\n") == 1
        told: dict[str, Any] = json.loads(self.out)
        return told


@pytest.fixture
def torture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Torture:
    monkeypatch.chdir(tmp_path)
    write_plans([kills(seed) for seed in range(7)], tmp_path / "plans.jsonl")
    (tmp_path / "slow.py").write_text(SLOW)
    return Torture(capsys)


GATE = ("gate", "--plans", "plans.jsonl", "--baseline", "b.json", "--jobs", "1")


def test_a_baseline_is_written_and_the_same_code_passes_it(torture: Torture, tmp_path: Path) -> None:
    assert torture(*GATE, "--write-baseline", "--salts", 1, "--json") == 0
    assert (torture.json["plans"], torture.json["salts"], torture.json["verdict"]) == (7, 1, "PASS")
    assert read_baseline(tmp_path / "b.json").plans_hash == hash_of_plans(tmp_path / "plans.jsonl")
    assert torture(*GATE) == 0
    assert "✔ PASS  Not worse than the baseline." in torture.out
    assert "7 of 7 plans ran exactly as in the base" in torture.out
    assert {path.name for path in (tmp_path / "store" / "gate").iterdir()} == {
        "gate.json", "summary.md", "junit.xml", "compare.png",
    }  # fmt: skip


def test_code_that_waits_twice_as_long_for_a_leader_ends_with_4(torture: Torture, tmp_path: Path) -> None:
    assert torture(*GATE, "--write-baseline", "--salts", 1) == 0
    assert torture(*GATE, "--mutant", "slow.py:SLOW", "--json") == 4
    told = torture.json
    assert (told["verdict"], told["exit_code"], told["run_directory"]) == ("FAIL", 4, None)
    worse = [one["metric"] for one in told["comparisons"][0]["findings"] if one["decision"] == "worse"]
    assert "recovery time" in worse
    assert 'type="regression"' in (tmp_path / "store" / "gate" / "junit.xml").read_text()
    assert torture("compare", "b.json", "b.json", "--json") == 0
    assert (
        torture(*GATE[:4], "slow.json", "--jobs", 1, "--write-baseline", "--salts", 1, "--mutant", "slow.py:SLOW") == 0
    )
    assert torture("compare", "b.json", "slow.json", "--out", "out") == 4
    assert "✘ FAIL  Worse than b.json in recovery time" in torture.out
    assert (tmp_path / "out" / "compare.png").is_file()


def test_a_planted_bug_ends_with_1_and_makes_no_baseline(torture: Torture, tmp_path: Path) -> None:
    assert torture(*GATE, "--write-baseline", "--salts", 1) == 0
    before = (tmp_path / "b.json").read_bytes()
    assert torture(*GATE, "--mutant", "P01") == 1
    assert "torture replay store/gate/" in torture.out
    assert torture(*GATE, "--write-baseline", "--mutant", "P01", "--json") == 1
    assert torture.json["broken"] and torture.json["baseline"] is None
    assert (tmp_path / "b.json").read_bytes() == before


def test_a_baseline_of_other_plans_ends_with_3(torture: Torture, tmp_path: Path) -> None:
    assert torture(*GATE, "--write-baseline", "--salts", 1) == 0
    write_plans([kills(seed) for seed in range(50, 57)], tmp_path / "plans.jsonl")
    assert torture(*GATE, "--json") == 3
    assert torture.json["verdict"] == "INCONCLUSIVE"
    assert "make baseline" in torture.json["sentence"]


def test_plans_can_be_drawn_anew(torture: Torture, tmp_path: Path) -> None:
    assert torture("gate", "--draw-plans", "--plans", "drawn.jsonl", "--json") == 0
    assert len((tmp_path / "drawn.jsonl").read_bytes().splitlines()) == torture.json["plans"] >= 200


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (GATE, "b.json cannot be read"),
        (("gate", "--plans", "nothing.jsonl"), "torture gate --draw-plans"),
        (("gate", "--write-baseline", "--calibrate"), "exclude each other"),
        (("gate", "--salts", "2"), "--salts goes with --write-baseline"),
        (("gate", "--mutant", "Z99", "--plans", "plans.jsonl"), "no mutant 'Z99'"),
        (("compare",), "name BASE and HEAD"),
        (("compare", "HEAD"), "name BASE and HEAD"),
        (("compare", "a", "b", "--no-virtual", "--no-wall"), "nothing to compare"),
        (("compare", "a", "b", "--calibrate", "60"), "leave BASE and HEAD out"),
        (("compare", "HEAD", "HEAD~1"), "not a git repository"),
        (("compare", "plans.jsonl", "plans.jsonl"), "is no baseline"),
    ],
)
def test_a_mistake_of_the_user_ends_with_2_and_says_what_to_do(
    torture: Torture, arguments: tuple[str, ...], told: str
) -> None:
    assert torture(*arguments) == 2
    assert told in torture.err
    assert "Traceback" not in torture.err
    assert torture.out == ""


def test_reports_that_cannot_be_written_are_a_mistake_of_the_user(torture: Torture, tmp_path: Path) -> None:
    assert torture(*GATE, "--write-baseline", "--salts", 1) == 0
    (tmp_path / "file").write_text("")
    assert torture(*GATE, "--store", "file/store") == 2
    assert "choose another place" in torture.err


def test_a_violation_is_told_though_its_report_cannot_be_written(
    torture: Torture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert torture(*GATE, "--write-baseline", "--salts", 1) == 0
    store = tmp_path / "place"

    def lose_the_place(*_: object) -> tuple[Broken, ...]:
        shutil.rmtree(store)
        store.write_text("")
        return (Broken("plan 1, salt 0", "a/rule", "broken"),)

    monkeypatch.setattr("harness.gate.broken_runs", lose_the_place)
    assert torture(*GATE, "--store", store) == 1
    assert "✘ FAIL" in torture.out and "a/rule" in torture.out and "warning: cannot write" in torture.out
