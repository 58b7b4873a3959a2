"""The command line: every command answers, says in one JSON object what it found, and ends with the code that is documented."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import psutil
import pytest

from harness.cli import COMMANDS, LazyGroup, main, torture
from harness.commands import options
from harness.errors import HarnessFault
from harness.matrix import summarise
from harness.run import RunOutcome
from harness.simulated_run import write_simulated_run
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Plan, Plant, Workload, encode_plan, load_plan
from paxos_impl.mutants.registry import find, hash_of

MS = MILLISECOND
TORTURE = [sys.executable, "-c", "from harness.cli import main; main()"]
BUGS = """
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import Proposer

@mutant("MINE", "a minority is enough", rule="quorum", breaks="A")
class OneIsEnough(Proposer):
    def is_quorum(self, *args, **options):
        return True
"""


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.out.count("\n") == 1, self.out
        told: dict[str, Any] = json.loads(self.out)
        return told


Call = Callable[..., Ended]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command line in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, out, err)

    return run


def small(mutant: str = "", *faults: Fault) -> Plan:
    return Plan(
        seed=1,
        duration_ns=300 * MS,
        settle_ns=600 * MS,
        workload=Workload(clients=2, rate=50.0),
        faults=faults or (Fault("kill", "leader", at_ns=150 * MS, duration_ns=50 * MS),),
        mutant=Plant(mutant, hash_of(find(mutant))) if mutant else None,
    )


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.json"
    path.write_bytes(encode_plan(small()))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.json"
    path.write_bytes(encode_plan(small("P01")))
    return path


@pytest.fixture
def failed_run(tmp_path: Path) -> Path:
    path = tmp_path / "store" / "test" / "run"
    path.mkdir(parents=True)
    write_simulated_run(small("P01"), path)
    return path


# Help and wrong usage.


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(call: Call, command: str) -> None:
    ended = call(command, "--help")
    assert ended.code == 0
    assert f"torture {command}" in ended.out or "Usage:" in ended.out
    assert "--json" in ended.out


def test_the_first_help_lists_every_command(call: Call) -> None:
    ended = call("--help")
    assert ended.code == 0
    assert all(command in ended.out for command in COMMANDS)
    assert "Exit codes" in ended.out


def test_every_option_has_a_help_text() -> None:
    group = torture
    assert isinstance(group, LazyGroup)
    context = click.Context(group)
    silent = [
        f"{name} {option.opts[-1]}"
        for name in COMMANDS
        for command in [group.get_command(context, name)]
        if command is not None
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["simulat"], "'simulate'"),
        (["simulate", "--strategy", "swrm"], "did you mean 'swarm'?"),
        (["simulate", "--sed", "3"], "--seed"),
        (["simulate", "--mutant", "Z99"], "no mutant 'Z99'"),
        (["simulate", "--mutant", "a01"], "did you mean 'A01' or "),
        (["simulate", "--mutant", "nothing.py:X"], "nothing.py: no such file"),
        (["simulate", "--mutant", "mine.py"], "mine.py:ID"),
        (["simulate", "--for", "soon"], "write 500ms, 60s, 2m or 1h"),
        (["simulate", "--runs", "0"], "0 is not in the range"),
        (["simulate", "--cluster", "tcp://127.0.0.1:1", "--runs", "1"], "no Dask scheduler answers"),
        (["simulate", "--cluster", "somewhere", "--runs", "1"], "such as tcp://127.0.0.1:8786"),
        (["replay", "nothing.json"], "no such plan file or run directory: nothing.json"),
        (["replay"], "Missing argument"),
        (["shrink", "nothing.json"], "no such plan file or run directory"),
        (["check", "nothing"], "no such run directory: nothing; `torture list`"),
        (["check", "nothing.edn"], "no such file: nothing.edn"),
        (["report", "nothing"], "no such run directory: nothing"),
        (["run", "--plan", "nothing.json"], "no such plan file: nothing.json"),
        (["run", "--faults", "kil"], "did you mean 'kill'?"),
        (["run", "--faults", ""], "unknown kind of fault ''"),
        (["run", "--duration", "0"], "'0' is no time at all"),
        (["run", "--name", "a/b"], "'a/b' cannot name a directory"),
        (["run", "--mix", "read"], "is not F=SHARE"),
        (["simulate", "--mutant", "A9O"], "'A09'"),
        (["list", "mutant"], "did you mean 'mutants'?"),
        (["simulate", "--strategy", "fast"], "did you mean 'fast_uniform'?"),
        (["simulate", "--deployment", "clasic"], "did you mean 'classic'?"),
        (["replay", "--world", "lockstp", "plan.json"], "did you mean 'lockstep'?"),
        (["check", "--format", "eden"], "did you mean 'edn'?"),
        (["run", "--disk", "ram"], "is not one of 'disk', 'memory'"),
        (["run", "--rate", "nan"], "'nan' is no number that can be counted"),
        (["run", "--mix", "read=inf"], "workload.mix.read: must be finite"),
        (["run", "--faults", "kill,none"], "'none' is no fault at all"),
        (["run", "--duration", "999999999h"], "is more than a week"),
        (["simulate", "--rate", "inf"], "'inf' is no number that can be counted"),
        (["simulate", "--jobs", "9999"], "9999 is not in the range 1<=x<=1024"),
        (["matrix", "--gate"], "go to the project's directory"),
        (["compare", "nothing", "."], "or on both sides what was recorded"),
        (["matrix", "--deep"], "--deep: only with --gate"),
        (["matrix", "--tries", "3"], "--tries: only with --confirm"),
        (["matrix", "--gate", "--power"], "exclude each other"),
        (["matrix", "--gate", "--budget", "5000"], "--budget: not with --gate"),
        (["matrix", "--gate", "--trials", "2", "--write"], "--trials, --write: not with --gate"),
        (["matrix", "--gate", "--strategy", "calm", "--state", "s"], "--strategy, --state: not with --gate"),
        (["matrix", "--gate", "--mutants", "bugs.py"], "--mutants: not with --gate"),
        (["matrix", "--mutants", "bugs.py", "--write"], "the project's own bugs"),
        (["matrix", "--state", "/dev/null/x"], "name another place with --state"),
        (["gate", "--comparisons", "3"], "--comparisons: only with --calibrate"),
        (["gate", "--draw-plans", "--mutant", "A03"], "nothing else runs it"),
        (["compare", "main", ".", "--runs-file", "runs"], "--runs-file: only with --calibrate"),
    ],
)
def test_a_mistake_of_the_user_ends_with_2_and_says_what_to_do(call: Call, args: list[str], told: str) -> None:
    ended = call(*args)
    assert ended.code == 2
    assert told in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    as_json = call(*args, "--json").json
    assert told in as_json.pop("error")
    assert as_json == {"verdict": None, "exit_code": 2, "run_directory": None}


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [(KeyboardInterrupt(), None, 130), (HarnessFault("gone"), "ERROR", 70), (ZeroDivisionError("by 0"), "ERROR", 70)],
)
def test_whatever_ends_a_command_json_says_so(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, verdict: str | None, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("harness.commands.list._mutants", fail)
    ended = call("list", "mutants", "--json")
    assert ended.code == code
    assert ended.json == {
        "verdict": verdict,
        "exit_code": code,
        "run_directory": None,
        "error": str(error) or "interrupted",
    }


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{\n"seed": x}', "line 2, column 9: not JSON"),
        (
            '{"faults": [{"kind": "kill", "at_ns": 1}, {"kind": "kil", "at_ns": 1}]}',
            "faults[1].kind: unknown fault 'kil'",
        ),
        ('{"seeed": 1}', "'seed'"),
        ("", "the file is empty"),
        ('{"version": 2}', "this program reads 1"),
        ('{"version": 2, "crystal_balls": 3}', "this program reads 1"),
        ('{"faults": [{"kind": "kill", "trigger": "first leaderr"}]}', "leaderr"),
        ('{"workload": {"clients": "many"}}', "workload.clients: expected int, got str"),
        ('{"duration_ns": 1e400}', "duration_ns: number out of range"),
        ('{\n"seed": 1,\n', "line 3, column 1: not JSON: the text ends too early"),
        ('{"mutant": {"id": "Z99"}}', "no mutant 'Z99' in the registry"),
        ('{"mutant": {"id": "A04", "source_hash": "beef"}}', "the source of A04 is not the one"),
    ],
)
@pytest.mark.parametrize("command", ["replay", "shrink", "run"])
def test_a_bad_plan_file_says_where_it_is_bad(call: Call, tmp_path: Path, command: str, text: str, where: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    ended = call(command, *(["--plan"] if command == "run" else []), "plan.json")
    assert ended.code == 2
    assert "plan.json" in ended.err or "mutant" in text
    assert where in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "store").exists()


def test_a_store_that_cannot_be_written_is_told(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for command in (["simulate", "--runs", "1"], ["run", "--duration", "1s"]):
        ended = call(*command, "--store", "file/store")
        assert ended.code == 2
        assert "--store" in ended.err


def test_options_that_a_plan_outvotes_are_refused(call: Call, good: Path) -> None:
    ended = call("run", "--plan", good, "--seed", 4, "--nodes", 5)
    assert ended.code == 2
    assert "--seed, --nodes: what a plan says counts" in ended.err


def test_shrink_asks_for_a_place_before_it_works(call: Call, bad: Path) -> None:
    ended = call("shrink", bad, "--out", "/dev/null/x")
    assert ended.code == 2
    assert "replays" not in ended.err and "name another place with --out" in ended.err


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 2), (errno.EACCES, 2), (errno.EBADF, 70)])
def test_what_the_disk_refuses_is_told_in_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr("harness.campaign.run_campaign", refuse)
    ended = call("simulate", "--runs", 1)
    assert ended.code == code
    told = f"torture: somewhere: {os.strerror(number)}; make room, or choose another place"
    assert (told in ended.err, "Traceback" in ended.err) == (code == 2, code == 70)


def test_a_campaign_whose_store_is_full_still_tells_what_it_found(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("harness.campaign.write_simulated_run", refuse)
    ended = call("simulate", "--runs", 8, "--jobs", 1, "--mutant", "P01")
    assert ended.code == 1
    assert "✘ FAIL" in ended.out
    assert "No space left on device; make room" in ended.err and "Traceback" not in ended.err


def test_a_fault_of_the_harness_ends_with_70(call: Call, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("never seen before")

    monkeypatch.setattr("harness.replay.simulated", broken)
    ended = call("replay", good)
    assert ended.code == 70
    assert "never seen before" in ended.err
    assert "please report it" in ended.err


# What the commands say.


def test_simulate_tells_of_a_campaign(call: Call) -> None:
    ended = call("simulate", "--runs", 3, "--jobs", 1, "--strategy", "calm", "--nodes", 3, "--json")
    told = ended.json
    assert (ended.code, told["exit_code"], told["verdict"], told["runs"], told["failures"]) == (0, 0, "PASS", 3, 0)
    assert Path(told["run_directory"], "rows.jsonl").exists()


def test_simulate_finds_a_planted_bug_and_keeps_it_to_be_replayed_shrunk_and_checked(call: Call) -> None:
    ended = call("simulate", "--runs", 4, "--jobs", 1, "--mutant", "P01", "--json")
    assert ended.code == 1
    assert ended.json["verdict"] == "FAIL"
    kept = ended.json["clusters"][0]["run_directory"]
    again = call("replay", kept, "--json")
    assert again.code == 0
    assert again.json["reproduced"] == 1
    assert call("check", kept).code == 1
    shrunk = call("shrink", kept, "--json")
    assert shrunk.code == 0
    assert shrunk.json["faults_after"] == 0
    assert (
        "Shrunk from" in Path(shrunk.json["report"]).read_text()
        and "Shrunk from" in Path(kept, "report.html").read_text()
    )
    assert call("replay", shrunk.json["plan"]).code == 1


def test_a_planted_bug_of_a_file_works_everywhere(
    call: Call, tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bugs.py").write_text(BUGS)
    campaign = call("simulate", "--runs", 4, "--jobs", 1, "--mutant", "bugs.py:MINE", "--json")
    assert campaign.code == 1
    assert call("replay", campaign.json["clusters"][0]["run_directory"]).code == 0
    assert call("replay", good, "--mutant", "bugs.py:MINE").code == 1
    shrunk = call("shrink", good, "--mutant", "bugs.py:MINE", "--json")
    assert shrunk.code == 0
    plant = Plant("bugs.py:MINE", hash_of(find("bugs.py:MINE")), {"bugs.py": BUGS})
    assert load_plan(Path(shrunk.json["plan"])).mutant == plant
    (tmp_path / "bugs.py").write_text(BUGS.replace("return True", "return super().is_quorum(*args)"))
    changed = call("replay", shrunk.json["plan"])
    assert changed.code == 1 and "note: bugs.py is not what it was" in changed.err
    anew = call("replay", shrunk.json["plan"], "--mutant", "bugs.py:MINE")
    assert (anew.code, anew.err) == (0, "")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    moved = call("replay", tmp_path / shrunk.json["plan"])
    assert (moved.code, moved.err) == (1, "")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / shrunk.json["test"])]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    broken = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert broken.returncode == 1 and shrunk.json["sentence"][:40] in broken.stdout


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ("import os; os._exit(77)", "harness/worker: the process that ran this schedule died"),
        ("raise SystemError('boom')", "harness/worker: SystemError: boom"),
        ("while True: pass", "harness/hang: the schedule did not end within 1 s of real time"),
    ],
)
def test_what_cannot_be_run_to_an_end_is_to_be_replayed_and_not_shrunk(
    call: Call, tmp_path: Path, ends: str, told: str
) -> None:
    unmade = BUGS.replace("proposer", "client").replace("Proposer", "ClientSession")
    (tmp_path / "bugs.py").write_text(unmade.replace("is_quorum", "__init__").replace("return True", ends))
    campaign = call("simulate", "--runs", 1, "--jobs", 1, "--hang", "1s", "--mutant", "bugs.py:MINE")
    kept = campaign.out.partition("torture replay ")[2].split()[0]
    assert campaign.code == 1 and "torture shrink" not in campaign.out
    paths = [kept] if "hang" in told else [kept, f"{kept}/plan.json"]
    for path in paths:
        ended = call("shrink", path)
        assert (ended.code, ended.out) == (2, "")
        assert f"{told}; what cannot be run" in ended.err and "Traceback" not in ended.err
    for path in paths if "hang" not in told else []:
        again = call("replay", path)
        assert again.code == int(path != kept) and told in again.out


def test_what_a_full_disk_kept_out_of_the_record_is_told_all_the_same(
    call: Call, good: Path, failed_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clean = tmp_path / "store" / "test" / "clean"
    clean.mkdir()
    write_simulated_run(small(), clean)
    for directory, code in ((clean, 70), (failed_run, 1)):
        outcome = RunOutcome(directory, False, ("client process 0 could not write its record; free space",))
        monkeypatch.setattr("harness.run.run_real", lambda *_, outcome=outcome, **__: outcome)
        ended = call("run", "--plan", good)
        assert ended.code == code
        assert "could not write its record; free space" in ended.out


def test_a_planted_bug_of_the_users_own_that_draws_by_itself_is_his_mistake(
    call: Call, tmp_path: Path, good: Path
) -> None:
    chance = BUGS.replace("return True", "import random; return random.random() < 0.7 and super().is_quorum(*args)")
    (tmp_path / "bugs.py").write_text(chance)
    ended = call("replay", good, "--mutant", "bugs.py:MINE", "--tries", 3)
    assert (ended.code, ended.out) == (2, "")
    assert "bugs.py:MINE does not behave the same twice" in ended.err


def test_replay_of_a_plan(call: Call, good: Path, bad: Path) -> None:
    ended = call("replay", good, "--tries", 2, "--json")
    told = ended.json
    assert (ended.code, told["verdict"], told["tries"], told["deterministic"]) == (0, "PASS", 2, True)
    assert len(told["digest"]) == 32
    assert call("replay", good).code == 0
    ended = call("replay", bad)
    assert ended.code == 1
    assert "election/no-pre-vote" in ended.out


def test_replay_in_lockstep_gives_the_same_digest(call: Call, bad: Path) -> None:
    here, there = (call("replay", bad, "--world", world, "--json").json for world in ("simulated", "lockstep"))
    assert here["digest"] == there["digest"]
    assert here["results"] == there["results"]


def test_replay_of_a_run_says_whether_it_was_as_recorded(call: Call, failed_run: Path, good: Path) -> None:
    ended = call("replay", failed_run)
    assert ended.code == 0
    assert "1 of 1 tries as recorded" in ended.out
    (failed_run / "plan.json").write_bytes(good.read_bytes())
    assert call("replay", failed_run).code == 3


def test_shrink_tells_what_is_left(call: Call, bad: Path, tmp_path: Path) -> None:
    ended = call("shrink", bad, "--out", "small")
    assert ended.code == 0
    assert "from 1 to 0 faults" in ended.out
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == ["shrunk", "shrunk.json", "test_shrunk.py"]


def test_shrink_of_a_plan_that_passes_ends_with_3(call: Call, good: Path) -> None:
    assert call("shrink", good).code == 3
    ended = call("shrink", good, "--json")
    assert (ended.code, ended.json["exit_code"], ended.json["verdict"]) == (3, 3, "PASS")


def test_check_and_report_of_a_run(call: Call, failed_run: Path) -> None:
    ended = call("check", failed_run, "--json")
    assert (ended.code, ended.json["verdict"], ended.json["world"]) == (1, "FAIL", "simulated")
    assert "torture replay" in ended.json["reproduce"]
    ended = call("report", failed_run, "--json")
    assert (ended.code, ended.json["verdict"]) == (0, "FAIL")
    assert Path(ended.json["report"]).exists()


@pytest.mark.parametrize("text", ["", "{}", "nothing"])
def test_results_that_are_damaged_are_told_and_check_makes_them_anew(call: Call, failed_run: Path, text: str) -> None:
    (failed_run / "results.json").write_text(text)
    ended = call("report", failed_run)
    assert ended.code == 2
    assert f"`torture check {failed_run}` writes it anew" in ended.err
    assert call("check", failed_run).code == 1
    assert call("report", failed_run).code == 0


def test_check_refuses_options_that_say_nothing_there(call: Call, failed_run: Path, tmp_path: Path) -> None:
    ended = call("check", failed_run, "--model", "register", "--key-field", "key")
    assert ended.code == 2
    assert "--model, --key-field: only for the history of another tool" in ended.err
    history = tmp_path / "history.edn"
    history.write_text("{:type :invoke, :process 0, :f :read}\n", encoding="utf-8")
    ended = call("check", history, "--export", tmp_path / "other.edn")
    assert ended.code == 2
    assert "is a history already" in ended.err


def test_a_run_on_real_processes(call: Call, good: Path) -> None:
    ended = call("run", "--plan", good, "--json")
    told = ended.json
    assert told["world"] == "free"
    assert told["exit_code"] == ended.code
    assert (told["verdict"], ended.code) in (
        ("PASS", 0),
        ("INCONCLUSIVE", 3),
    )  # the fault is over before a leader is there
    listed = call("list", "--json").json["runs"]
    assert [row["run"] for row in listed] == [told["run_directory"]]
    assert [row["verdict"] for row in listed] == [told["verdict"]]


@pytest.mark.parametrize("what", ["strategies", "mutants", "faults", "targets", "checks", "situations"])
def test_list_tells_what_there_is(call: Call, what: str) -> None:
    rows = call("list", what, "--json").json[what]
    assert len(rows) > 5
    text = call("list", what)
    assert text.code == 0
    assert what != "faults" or "shape (partition): the target off; random halves;" in text.err
    assert what != "checks" or rows[-1]["check"] == "evidence"
    assert text.out.count("\n") == len(rows) + 1


def test_a_run_that_is_not_judged_yet_has_no_verdict(call: Call, tmp_path: Path) -> None:
    run = tmp_path / "store" / "torture" / "20260101T000000-1"
    run.mkdir(parents=True)
    (run / "plan.json").write_text("{}")
    (row,) = call("list", "--json").json["runs"]
    assert row["verdict"] is None
    assert "torture check" in row["sentence"]
    assert "  -  " in call("list").out


def test_the_gate_tells_at_once_that_its_reports_have_no_place(call: Call, tmp_path: Path) -> None:
    (tmp_path / "gate").write_text("in the way")
    ended = call("gate", "--store", ".")
    assert ended.code == 2
    assert "choose another place with --store" in ended.err


def test_an_empty_store_lists_nothing(call: Call) -> None:
    ended = call("list")
    assert ended.code == 0
    assert "no runs in store" in ended.out


def test_doctor_examines_this_machine(call: Call) -> None:
    ended = call("doctor", "--json")
    assert ended.code == ended.json["exit_code"]
    assert len(ended.json["findings"]) > 3


def test_matrix_measures_one_bug(call: Call) -> None:
    ended = call("matrix", "--ids", "P01", "--budget", 30, "--trials", 1, "--jobs", 1, "--json")
    assert (ended.code, ended.json["exit_code"]) == (0, 0)


# The process itself.


def test_an_interrupted_campaign_keeps_what_there_is_and_ends_with_130(tmp_path: Path) -> None:
    command = [*TORTURE, "simulate", "--runs", "100000", "--jobs", "2", "--strategy", "calm", "--json"]
    campaign = _started(command, tmp_path)
    try:
        workers = psutil.Process(campaign.pid).children(recursive=True)
        campaign.send_signal(signal.SIGINT)
        out, _ = campaign.communicate(timeout=120)
    finally:
        campaign.kill()
        campaign.wait()
    told = json.loads(out)
    assert campaign.returncode == 130
    assert (told["verdict"], told["exit_code"], told["interrupted"]) == ("INCONCLUSIVE", 130, True)
    rows = Path(tmp_path, told["run_directory"], "rows.jsonl").read_bytes().splitlines()
    assert len(rows) == told["runs"]
    _gone, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_gate_waits_for_no_plan(tmp_path: Path, number: signal.Signals) -> None:
    with _started([*TORTURE, "gate", "--jobs", "2"], tmp_path) as gate:
        workers = psutil.Process(gate.pid).children(recursive=True)
        gate.send_signal(number)
        assert _end_of(gate, 20) == 130
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def test_a_terminated_campaign_ends_like_an_interrupted_one(tmp_path: Path) -> None:
    with _started(
        [*TORTURE, "simulate", "--runs", "100000", "--jobs", "2", "--strategy", "calm", "--json"], tmp_path
    ) as campaign:
        campaign.terminate()
        assert _end_of(campaign) == 130
        assert campaign.stdout is not None
        assert json.loads(campaign.stdout.read())["interrupted"] is True


def test_an_impatient_interrupt_ends_a_campaign_at_once(tmp_path: Path) -> None:
    """Whoever presses Ctrl-C twice is not left with a program that waits for its workers."""
    with _started(
        [*TORTURE, "simulate", "--runs", "100000", "--jobs", "2", "--strategy", "calm"], tmp_path
    ) as campaign:
        workers = psutil.Process(campaign.pid).children(recursive=True)
        campaign.send_signal(signal.SIGINT)
        time.sleep(0.3)
        campaign.send_signal(signal.SIGINT)
        # The second may find an interpreter that is half gone already and takes signals no more.
        assert _end_of(campaign) in (130, -signal.SIGINT)
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def test_a_matrix_tells_that_its_state_is_of_other_code(call: Call, tmp_path: Path) -> None:
    given = ("matrix", "--ids", "P01", "--budget", 30, "--trials", 1, "--jobs", 1, "--state", "state.jsonl", "--json")
    assert "other code" not in call(*given).err
    state = tmp_path / "state.jsonl"
    state.write_text(state.read_text().replace('"code":"', '"code":"not '))
    again = call(*given)
    assert "some trials in state.jsonl were run with other code" in again.err and again.code == 0


def test_an_interrupted_matrix_waits_for_no_trial(tmp_path: Path) -> None:
    with _started([*TORTURE, "matrix", "--ids", "EQ2", "--budget", "100000", "--jobs", "2"], tmp_path) as matrix:
        matrix.send_signal(signal.SIGINT)
        assert _end_of(matrix) == 130


def test_an_interrupted_matrix_of_ones_own_bugs_goes_on_where_it_stopped(call: Call, tmp_path: Path) -> None:
    harmless = (
        BUGS.replace("MINE", "LONG")
        .replace("OneIsEnough", "Long")
        .replace("return True", "return super().is_quorum(*args)")
    )
    (tmp_path / "bugs.py").write_text(BUGS + harmless)
    words = ["matrix", "--mutants", "bugs.py", "--budget", "100000", "--jobs", "1"]
    with _started([*TORTURE, *words], tmp_path) as measured:
        state = tmp_path / "store" / "matrix.jsonl"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and state.read_bytes().count(b"\n") < 2:
            time.sleep(0.1)
        measured.send_signal(signal.SIGINT)
        assert _end_of(measured) == 130
        assert measured.stdout is not None
        told = measured.stdout.read()
    assert "LONG  portfolio       0/1            -     -          -        0         -  survived 20 so far" in told
    assert "not ended: LONG/portfolio base 0: survived so far 20 schedules; is_quorum was called in 20 of" in told
    assert "survived: " not in told and "? INCONCLUSIVE  interrupted: 1 killed so far, 1 trial survived so far" in told
    assert f"state {Path('store', 'matrix.jsonl')}: 1 of 2 trials ended; resume: the same command" in told
    page = (tmp_path / "store" / "kill-matrix-bugs.html").read_text()
    assert "found not yet" in page and "survived so far 20 schedules" in page
    again = call("matrix", "--mutants", "bugs.py", "--budget", 22, "--jobs", 1, "--json")
    assert (again.json["known"], again.json["trials"], again.json["planned"]) == (1, 2, 2)
    assert again.json["state"] == "store/matrix.jsonl" and again.json["unfinished"] == []
    assert "22 schedules; is_quorum was called in 22 of them" in again.json["survivors"][0]


@pytest.mark.parametrize(
    ("given", "trials"),
    [
        (["--mutants", "bugs.py"], 1),
        (["--mutants", "bugs.py", "--trials", 3], 3),
        (["--mutants", "bugs.py", "--power"], None),
        (["--ids", "P28"], None),
    ],
)
def test_of_ones_own_bugs_one_trial_each_is_run(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[Any], trials: int | None
) -> None:
    (tmp_path / "bugs.py").write_text(BUGS)
    seen = []

    def run(*args: object, **options: Any) -> Any:
        seen.append(options["bases"])
        return summarise([])

    monkeypatch.setattr("harness.matrix.run_matrix", run)
    assert call("matrix", *given, "--json").code == 3
    assert seen == [trials]


TWO = (
    BUGS
    + """
@mutant("SLIPS", "a slip", rule="-", breaks="A")
class Slips(Proposer):
    def on_promise(self, *args, **options):
        return self.not_there
"""
)


@pytest.mark.parametrize(
    ("ids", "measured"),
    [
        ("MINE, SLIPS", ["bugs.py:MINE", "bugs.py:SLIPS"]),
        ("SLIPS + MINE,MINE", ["bugs.py:SLIPS+bugs.py:MINE", "bugs.py:MINE"]),
        ("bugs.py:MINE,./bugs.py:SLIPS+MINE", ["bugs.py:MINE", "bugs.py:SLIPS+bugs.py:MINE"]),
    ],
)
def test_bugs_of_a_file_are_named_as_anywhere(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: str, measured: list[str]
) -> None:
    (tmp_path / "bugs.py").write_text(TWO)
    seen: list[list[str]] = []

    def run(names: list[str], *args: object, **options: object) -> Any:
        seen.append(names)
        return summarise([])

    monkeypatch.setattr("harness.matrix.run_matrix", run)
    assert call("matrix", "--mutants", "bugs.py", "--ids", ids).code == 3
    assert seen == [measured]
    assert "unknown planted bug 'other.py:MINE'" in call("matrix", "--mutants", "bugs.py", "--ids", "other.py:MINE").err


LATER = """
@mutant("LATER", "too early", rule="-", breaks="A")
class Later(Proposer):
    def is_chosen(self, proposal):
        return True
"""
"""Nothing of it shows before there is a leader."""


def test_a_bug_that_dies_of_its_own_slip_is_told(call: Call, tmp_path: Path) -> None:
    (tmp_path / "bugs.py").write_text(TWO + LATER)
    ended = call("matrix", "--mutants", "bugs.py", "--strategy", "calm", "--budget", 20, "--ids", "SLIPS, SLIPS+LATER")
    assert "bugs.py:" not in ended.out.replace("--mutant bugs.py:", "").replace("+bugs.py:LATER", "")
    slips = [line for line in ended.out.splitlines() if line.startswith("a slip in its own code? SLIPS")]
    assert len(slips) == 2 and all("Slips' object has no attribute 'not_there'" in line for line in slips)
    assert ended.out.count("mend it and measure again") == 1
    assert "slip" not in call("matrix", "--ids", "P28", "--strategy", "calm", "--budget", 50, "--trials", 1).out


@pytest.mark.parametrize(
    ("given", "options_"),
    [
        (["--ids", "T21"], "--deployment collapsed --mutant T21"),
        (["--ids", "P28", "--strategy", "scatter"], "--strategy scatter --mutant P28"),
    ],
)
def test_the_kill_that_a_matrix_tells_happens_again(call: Call, given: list[str], options_: str) -> None:
    measured = call("matrix", *given, "--budget", 50, "--trials", 1, "--jobs", 1)
    told = measured.out.splitlines()
    seed, rule = told[1].split()[-2:]
    assert f"see a kill: torture simulate --runs 1 --seed {seed} {options_}" in told
    again = call(*f"simulate --runs 1 --jobs 1 --seed {seed} {options_}".split())
    assert again.code == 1 and f"1 × {rule}" in again.out


def test_a_matrix_tells_each_round_and_what_dies_in_it(call: Call, tmp_path: Path) -> None:
    harmless = (
        BUGS.replace("MINE", "LONG")
        .replace("OneIsEnough", "Long")
        .replace("return True", "return super().is_quorum(*args)")
    )
    (tmp_path / "bugs.py").write_text(BUGS + harmless)
    ended = call("matrix", "--mutants", "bugs.py", "--strategy", "calm", "--budget", 60, "--jobs", 1)
    told = ended.err.splitlines()
    assert told[0] == "round 1 of 2, up to 20 schedules: 2 trials"
    assert told[1].startswith("  1/2 trials ended; MINE, calm: killed after ")
    assert told[2].startswith("round 2 of 2, up to 60 schedules: 1 trial, at the pace so far ")
    assert told[2].endswith(" s at most")
    assert told[3:] == ["  2/2 trials ended; LONG, calm: survived 60 schedules"]
    assert ended.code == 1
    assert "✘ FAIL  1 of 2 bugs killed, 1 trial outlived the budget" in ended.out
    assert "2 of 2 trials ended; a larger --budget goes on with the survivors" in ended.out


@pytest.mark.parametrize("how", ["--power", "--confirm", "--write"])
def test_from_a_part_of_the_trials_nothing_is_concluded(call: Call, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr("harness.matrix.run_matrix", lambda *args, **options: summarise([], interrupted=True))
    ended = call("matrix", "--ids", "P28", how, "--json")
    assert (ended.code, ended.json["interrupted"]) == (130, True)
    assert "nothing is compared, confirmed or written down" in ended.err


def test_an_interrupted_confirmation_ends_with_130_and_is_not_written_down(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.matrix_confirmation.shrink", interrupted)
    ended = call("matrix", "--ids", "P28", "--budget", 30, "--trials", 1, "--jobs", 1, "--confirm", "--write", "--json")
    assert (ended.code, ended.json["verdict"]) == (130, "INCONCLUSIVE")
    assert not Path("docs").exists()


def _end_of(process: subprocess.Popen[str], seconds: int = 60) -> int:
    try:
        return process.wait(timeout=seconds)
    finally:
        process.kill()


def _started(command: list[str], directory: Path) -> subprocess.Popen[str]:
    """The command in a process of its own, with its workers at work."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    started = subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not psutil.Process(started.pid).children():
        time.sleep(0.05)
    time.sleep(1.0)
    return started


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from harness.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pandas', 'matplotlib', 'hypothesis', 'rich', 'distributed', 'psutil'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or None)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["list", "mutants"], ["list", "mutants", "--json"]])
def test_a_reader_that_goes_away_is_no_fault_of_the_harness_and_no_violation(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*TORTURE, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_what_the_tested_code_prints_does_not_mix_with_json(tmp_path: Path) -> None:
    talks = "print('talk'); __import__('os').system('echo shell'); return True"
    (tmp_path / "bugs.py").write_text("print('loaded')\n" + BUGS.replace("return True", talks))
    (tmp_path / "plan.json").write_bytes(encode_plan(small()))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for words in (["simulate", "--runs", "1", "--jobs", "1"], ["replay", "plan.json"], ["replay", "nothing.json"]):
        ended = subprocess.run(
            [*TORTURE, *words, "--mutant", "bugs.py:MINE", "--json"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        told = Ended(ended.returncode, ended.stdout, ended.stderr)
        assert told.json["exit_code"] == told.code == (2 if "nothing.json" in words else 1)
        assert told.code == 2 or {"loaded", "talk", "shell"} <= set(told.err.split("\n"))


@pytest.mark.parametrize(("value", "coloured"), [("1", False), ("", True)])
def test_no_color_is_obeyed(value: str, coloured: bool, tmp_path: Path) -> None:
    """https://no-color.org: any value but none."""
    ours, theirs = pty.openpty()
    words = [*TORTURE, "simulate", "--runs", "1", "--jobs", "1"]
    environment = os.environ | {"NO_COLOR": value, "TERM": "xterm", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(words, cwd=tmp_path, env=environment, stdout=theirs, stderr=subprocess.DEVNULL, check=True)
    os.close(theirs)
    told = os.read(ours, 4096).decode()
    os.close(ours)
    assert "PASS" in told
    assert ("\x1b[" in told) == coloured


@pytest.mark.parametrize(
    ("arguments", "full", "code"),
    [
        (["list", "mutants"], "stdout", 2),
        (["list", "mutants", "--json"], "stdout", 2),
        (["--help"], "stdout", 2),
        (["nothing"], "stderr", 2),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_never_taken_for_a_violation(
    arguments: list[str], full: str, code: int, unbuffered: str
) -> None:
    with Path("/dev/full").open("w") as nowhere:
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, full: nowhere}
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        ended = subprocess.run([*TORTURE, *arguments], **streams, env=environment, text=True, check=False)
    assert ended.returncode == code
    assert full == "stderr" or "output could not be written: No space left on device" in ended.stderr


def test_a_closed_standard_input_is_the_users_mistake() -> None:
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *TORTURE, "check", "-"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "the standard input is closed" in ended.stderr


def test_a_bad_history_from_a_pipe_is_called_what_the_user_knows_it_by() -> None:
    ended = subprocess.run([*TORTURE, "check", "-"], input="garbage", capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("torture: standard input, line 1: expected a history")


@pytest.mark.parametrize("answer", [3, 4])
def test_a_history_may_come_through_a_pipe(answer: int) -> None:
    log = "".join(
        f"INFO  jepsen.util - 0\t:{type_}\t:{f}\t{value}\n"
        for f, value in (("write", 3), ("read", answer))
        for type_ in ("invoke", "ok")
    )
    ended = subprocess.run([*TORTURE, "check", "-"], input=log, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (int(answer != 3), "")
    assert "model register" in ended.stdout


def test_a_matrix_tells_of_survivors(call: Call, tmp_path: Path) -> None:
    (tmp_path / "bugs.py").write_text(BUGS.replace("return True", "return super().is_quorum(*args, **options)"))
    ended = call("matrix", "--mutants", "bugs.py", "--strategy", "calm", "--budget", 1, "--trials", 1)
    assert ended.code == 1
    assert "survived: MINE/calm base 0: 1 schedules; is_quorum was called in 1 of them" in ended.out
    page = (tmp_path / "store" / "kill-matrix-bugs.html").read_text()
    assert "see a kill" not in ended.out
    assert "a minority is enough" in page and "survived 1 schedules; is_quorum was called in 1 of them" in page


def test_a_matrix_tells_of_a_bug_that_does_not_behave_the_same_twice(call: Call, tmp_path: Path) -> None:
    text = "import itertools\nSTEPS = itertools.count()\n" + BUGS
    (tmp_path / "bugs.py").write_text(text.replace("return True", "assert next(STEPS) < 40; return len(args[0]) > 1"))
    ended = call("matrix", "--mutants", "bugs.py", "--strategy", "calm", "--budget", 1)
    assert ended.code == 3
    assert "does not behave the same twice: MINE/calm base 0: seed 0 broke crash/AssertionError in " in ended.out
    assert "? INCONCLUSIVE  0 of 1 bugs killed, 1 trial told nothing that can be repeated" in ended.out


def test_a_file_that_never_ends_is_the_users_mistake(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "LOAD_S", 0.2)
    (tmp_path / "bugs.py").write_text("while True: pass\n")
    ended = call("simulate", "--mutant", "bugs.py:MINE")
    assert ended.code == 2 and "could not be loaded within 0.2 s" in ended.err
