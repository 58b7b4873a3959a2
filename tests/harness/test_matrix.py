"""The kill matrix: what counts as a kill, what survives, and how a result is judged."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

import pytest

from harness import matrix
from harness.campaign import local_executor
from harness.errors import UserError
from harness.matrix import (
    Round,
    Task,
    Trial,
    read_trials,
    round_levels,
    run_matrix,
    run_tasks,
    run_trial,
    run_trial_apart,
    summarise,
)
from harness.matrix_gate import gate
from harness.matrix_record import Recorded
from harness.results import Violation
from paxos_impl.mutants.registry import held
from tests.harness.trials import row, trial

EASY = ["A02", "P28", "P04", "L04", "C07"]


@pytest.mark.parametrize("name", EASY)
def test_easy_bugs_die_soon(name: str) -> None:
    done = run_trial(Task(name, "portfolio", 0, 100))
    assert done.killed and done.rule and done.seed == done.schedules - 1
    assert not done.clean_violations


@pytest.mark.parametrize("name", ["AQ1", "PQ2", "EQ3", "SQ1"])
def test_equivalent_mutants_survive(name: str) -> None:
    done = run_trial(Task(name, "fast_uniform", 0, 6))
    assert not done.killed and done.schedules == 6 and done.events > 1000


def test_a_mutant_that_lives_in_one_deployment_is_run_there() -> None:
    plans = [matrix.plan_of("calm", seed, ("classic",)) for seed in range(10)]
    assert {plan.cluster.deployment for plan in plans} == {"classic"}


def test_what_the_unmodified_code_does_not_pass_is_no_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    def always(plan: object, parts: object) -> tuple[Violation, int]:
        return Violation("vote/two-values", "always"), 7

    monkeypatch.setattr(matrix, "first_violation", always)
    done = run_trial(Task("A02", "calm", 0, 3))
    assert not done.killed
    assert done.clean_violations == ((0, "vote/two-values"), (1, "vote/two-values"), (2, "vote/two-values"))
    result = summarise([done])
    assert result.exit_code == 1 and len(result.clean_violations) == 3


def test_finished_trials_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state.jsonl"
    first = run_matrix(["P28", "A02"], ("portfolio",), 50, bases=2, state=state)
    assert first.exit_code == 0 and len(read_trials(state)) == 4
    with state.open("ab") as file:
        file.write(b'{"mutant": "torn')
    seen: list[Task] = []
    monkeypatch.setattr(matrix, "run_trial", lambda task: seen.append(task) or trial(task.mutant, task.base))
    again = run_matrix(["P28", "A02"], ("portfolio",), 50, bases=3, state=state)
    assert [(task.mutant, task.base) for task in seen] == [("P28", 2), ("A02", 2)]
    assert len(again.trials) == 6


def test_a_damaged_state_file_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    state.write_bytes(b"nonsense\n" + matrix.msgspec.json.encode(trial("A02")) + b"\n")
    with pytest.raises(UserError, match="line 1 is no trial"):
        read_trials(state)


def test_a_torn_line_is_cut_off_before_more_is_added(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    for bases in (1, 2):
        with state.open("ab") as file:
            file.write(b'{"mutant": "torn')
        run_matrix(["P28"], ("portfolio",), 50, bases=bases, state=state)
    assert len(read_trials(state)) == 2


def test_a_trial_of_an_older_version_is_read(tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    older = matrix.msgspec.to_builtins(trial("A02"))
    del older["calls"], older["code"]
    state.write_bytes(matrix.msgspec.json.encode(older) + b"\n")
    result = run_matrix(["A02"], ("portfolio",), 10, bases=1, state=state)
    assert result.known == 1 and not result.trials[0].calls


OWN = """
from paxos_impl.acceptor import Acceptor
from paxos_impl.mutants.registry import mutant

LEAST = 3

def enough(members):
    return len(members) >= LEAST

@mutant("ONE", "votes are not logged", rule="-", breaks="A")
class One(Acceptor):
    def log_vote(self, *args): pass

@mutant("TWO", "asks too many", rule="-", breaks="A")
class Two(Acceptor):
    def is_quorum(self, members): return enough(members)
"""


class Own:
    """A file of one's own bugs, a state, and which trials were really run."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = directory / "own.py"
        self.file.write_text(OWN)
        self.state = directory / "state.jsonl"
        self.ran: list[str] = []
        monkeypatch.setattr(matrix, "run_trial", self._run)

    def _run(self, task: Task) -> Trial:
        self.ran.append(f"{matrix.bare(task.mutant)} {task.base}")
        return trial(task.mutant, task.base, killed=matrix.bare(task.mutant) == "ONE")

    def measure(self, *ids: str, **options: Any) -> tuple[matrix.MatrixResult, list[str]]:
        self.ran = []
        names = [f"{self.file}:{one}" for one in ids or ("ONE", "TWO")]
        result = run_matrix(names, ("portfolio",), 10, bases=2, state=self.state, **options)
        return result, self.ran


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Own:
    return Own(tmp_path, monkeypatch)


def interrupt(done: Trial, number: int, total: int) -> None:
    if number == 2:
        raise KeyboardInterrupt


def test_an_interrupted_matrix_of_ones_own_bugs_goes_on(own: Own) -> None:
    first, ran = own.measure(progress=interrupt)
    assert ran == ["ONE 0", "TWO 0"] and first.interrupted and (len(first.trials), first.planned) == (2, 4)
    second, ran = own.measure()
    assert ran == ["ONE 1", "TWO 1"] and not second.interrupted
    assert (second.known, len(second.trials), second.planned) == (2, 4, 4)
    third, ran = own.measure()
    assert ran == [] and sorted(map(str, third.trials)) == sorted(map(str, second.trials))


def test_of_a_changed_file_only_the_changed_bugs_are_measured_anew(own: Own) -> None:
    own.measure()
    own.file.write_text(OWN.replace("def log_vote(self, *args): pass", "def log_promise(self, *args): pass"))
    assert own.measure()[1] == ["ONE 0", "ONE 1"]
    own.file.write_text(OWN.replace("LEAST = 3", "LEAST = 4"))
    assert own.measure()[1] == ["TWO 0", "TWO 1"], "a bug rests on the helpers of its file too"
    own.file.write_text(OWN)
    assert own.measure()[1] == [], "what was undone was measured already"


def test_a_file_that_moved_is_known_by_its_text(own: Own) -> None:
    own.measure()
    own.file = own.file.rename(own.file.with_name("renamed.py"))
    result, ran = own.measure()
    assert ran == [] and {one.mutant for one in result.trials} == {f"{own.file}:ONE", f"{own.file}:TWO"}


def test_a_file_that_is_gone_is_the_users_mistake_and_in_nobodys_way(own: Own) -> None:
    own.measure()
    text = own.file.read_text()
    own.file.unlink()
    with pytest.raises(UserError, match="no such file"):
        own.measure()
    run_matrix(["P28"], ("portfolio",), 10, bases=1, state=own.state)
    own.file.write_text(text)
    assert own.measure()[1] == []


def test_a_file_that_is_removed_meanwhile_is_finished_as_it_was(own: Own) -> None:
    with held([f"{own.file}:ONE+{own.file}:TWO"]):
        result, ran = own.measure(progress=lambda *_: own.file.unlink(missing_ok=True))
    assert len(ran) == 4 and len(result.rows) == 2
    with pytest.raises(UserError, match="no such file"):
        own.measure()


class Eager(Executor):
    """Everything is finished when it was submitted."""

    def submit(self, function: Any, /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*args, **options))
        return future


def test_what_workers_had_finished_at_an_interrupt_is_kept(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[Executor] = []
    monkeypatch.setattr(matrix, "stop_workers", stopped.append)

    def interrupt_once(done: Trial, number: int, total: int) -> None:
        if number == 2 and not stopped:
            raise KeyboardInterrupt

    result, _ = own.measure(progress=interrupt_once, make_executor=lambda jobs: Eager())
    assert result.interrupted and result.exit_code == 1 and len(result.trials) == 4
    assert len(read_trials(own.state)) == 4


# A search that deepens.

UNSEEN = Path(__file__).parents[2] / "benchmarks" / "unseen_bugs.py"


def test_each_round_runs_ten_times_as_many_schedules_as_the_one_before() -> None:
    assert round_levels(5000) == [20, 200, 5000]
    assert round_levels(10_000) == [20, 200, 2000, 10_000]
    assert [round_levels(budget) for budget in (1, 20, 59, 60, 200)] == [[1], [20], [59], [20, 60], [20, 200]]


@pytest.fixture(scope="module")
def late() -> Trial:
    """A trial that kills, and not by its first two schedules."""
    trials = (run_trial(Task(f"{UNSEEN}:G03", "portfolio", base, 12)) for base in range(12))
    return next(trial for trial in trials if trial.killed and trial.schedules > 2)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_trial_in_rounds_is_the_trial_in_one_piece(jobs: int, late: Trial) -> None:
    """P28 dies in the first round, G03 in the last; of EQ3, which survives, all calls are counted."""
    last, before = late.schedules, late.schedules - 1
    tasks = [Task(late.mutant, "portfolio", late.base, last), Task("EQ3", "calm", 0, 2), Task("P28", "calm", 0, last)]
    rounds: list[Round] = []
    deepened = run_tasks(tasks, (1, before, last), jobs=jobs, on_round=rounds.append)
    assert deepened.trials == tuple(map(run_trial, tasks))
    assert [one.schedules for one in deepened.trials] == [last, 2, 1] and not deepened.unfinished
    most = (before - 1) + 1
    assert rounds == [Round(1, 3, 1, 3, 3, 0), Round(2, 3, before, 2, most, 3), Round(3, 3, last, 1, 1, 3 + most)]


class Schedules:
    """Instead of the simulator: which seeds were run, and which of them break a rule."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, broken: tuple[int, ...], unclean: tuple[int, ...] = ()) -> None:
        self.ran: list[int] = []
        self.broken, self.unclean = broken, unclean
        self.interrupt_at = -1
        monkeypatch.setattr(matrix, "first_violation", self._run)
        monkeypatch.setattr(matrix, "client_view", lambda plan, parts: "linearizability/illegal")

    def _run(self, plan: Any, parts: Any) -> tuple[Violation | None, int]:
        if parts is not matrix.CORRECT:
            self.ran.append(plan.seed)
            if plan.seed == self.interrupt_at:
                raise KeyboardInterrupt
        broken = plan.seed in self.unclean or (parts is not matrix.CORRECT and plan.seed in self.broken)
        return (Violation("vote/two-values", f"at {plan.seed}") if broken else None), 100 + plan.seed


@pytest.mark.parametrize("broken", [(), (0,), (4,), (5,), (23,), (29,), (30,)])
@pytest.mark.parametrize("levels", [(1, 2, 30), (5, 10, 30), (29, 30), (30,), ()])
def test_rounds_run_every_seed_once(
    monkeypatch: pytest.MonkeyPatch, broken: tuple[int, ...], levels: tuple[int, ...]
) -> None:
    task = Task("A02", "calm", 0, 30)
    schedules = Schedules(monkeypatch, broken, unclean=(3, 17))
    whole, seeds = run_trial(task), schedules.ran
    schedules.ran = []
    (deepened,) = run_tasks([task], levels).trials
    assert deepened == whole and schedules.ran == seeds
    assert whole.budget == 30 and whole.killed == (broken not in ((), (30,)))


def test_an_interrupt_loses_the_round_that_was_under_way_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state.jsonl"
    schedules = Schedules(monkeypatch, broken=(250,))
    whole, seeds = run_trial(Task("A02", "portfolio", 0, 5000)), [*schedules.ran]
    for interrupt_at, reached in ((7, 0), (70, 20), (230, 200)):
        schedules.interrupt_at = interrupt_at
        result = run_matrix(["A02"], bases=1, state=state)
        assert (result.interrupted, result.exit_code, result.trials, result.survivors) == (True, 130, (), ())
        assert (result.known, result.planned) == (0, 1)
        if reached:
            assert f"A02/portfolio base 0: survived so far {reached} schedules; " in result.unfinished[0]
            assert (result.rows[0].unfinished, result.rows[0].most_schedules) == (1, reached)
        else:
            assert (result.unfinished, result.rows) == ((), ())
    schedules.interrupt_at, schedules.ran = -1, []
    assert run_matrix(["A02"], bases=1, state=state).trials == (whole,) == tuple(read_trials(state))
    assert schedules.ran == seeds[200:]
    assert len(state.read_bytes().splitlines()) == 3, "one line for each round"


def test_a_larger_budget_goes_on_with_the_survivors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state.jsonl"
    schedules = Schedules(monkeypatch, broken=(150,))
    assert run_matrix(["A02"], budget=100, bases=1, state=state).survivors
    schedules.ran = []
    result = run_matrix(["A02"], budget=5000, bases=1, state=state)
    assert schedules.ran == [*range(100, 151), 150] and result.known == 0, "what killed is run once more"
    assert result.trials == (run_trial(Task("A02", "portfolio", 0, 5000)),)
    assert run_matrix(["A02"], budget=9000, bases=1, state=state).known == 1, "a kill is one with any budget"


def test_what_survived_with_other_code_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schedules = Schedules(monkeypatch, broken=())
    for code in ("otherwise", ""):
        state = tmp_path / f"state{code}.jsonl"
        matrix.append(state, matrix.msgspec.structs.replace(run_trial(Task("A02", "portfolio", 0, 20)), code=code))
        schedules.ran = []
        result = run_matrix(["A02"], budget=30, bases=1, state=state)
        assert schedules.ran == list(range(30)) and result.trials[0].code == matrix.short_code()
        schedules.ran = []
        assert run_matrix(["A02"], budget=40, bases=1, state=state).trials[0].schedules == 40
        assert schedules.ran == list(range(30, 40))


def test_a_changed_bug_of_ones_own_begins_anew_though_it_had_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, state = tmp_path / "own.py", tmp_path / "state.jsonl"
    schedules = Schedules(monkeypatch, broken=())
    seeds = []
    for text, budget in ((OWN, 5), (OWN, 8), (OWN.replace("LEAST = 3", "LEAST = 4"), 9)):
        file.write_text(text)
        schedules.ran = []
        run_matrix([f"{file}:TWO"], budget=budget, bases=1, state=state)
        seeds.append(schedules.ran)
    assert seeds == [list(range(5)), [5, 6, 7], list(range(9))]


def test_a_survivor_so_far_is_no_survivor_and_its_findings_count(monkeypatch: pytest.MonkeyPatch) -> None:
    schedules = Schedules(monkeypatch, broken=(), unclean=(3,))
    schedules.interrupt_at = 25
    result = run_matrix(["A02"], bases=1)
    assert not result.survivors and result.unfinished and result.interrupted
    assert result.clean_violations == (("portfolio", 3, "vote/two-values"),) and result.exit_code == 1


def test_survivors_of_other_strategies_do_not_count_while_the_portfolio_is_under_way() -> None:
    other = matrix.msgspec.structs.replace(trial("A02", killed=False), strategy="calm")
    assert summarise([other]).survivors
    assert not summarise([other], True, [trial("A02", killed=False)]).survivors


def test_trials_stand_in_the_order_they_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    schedules = Schedules(monkeypatch, broken=(25, 1_000_003))
    result = run_matrix(["A02", "P28", "A02"], budget=100, bases=2)
    assert [one.label for one in result.trials] == [
        f"{name}/portfolio base {base}" for base in (0, 1) for name in ("A02", "P28")
    ]
    assert (len(result.trials), result.planned) == (4, 4)
    assert schedules.ran.index(1_000_000) < schedules.ran.index(25), "all bases before the second round"


class Dying(Executor):
    """The process that runs schedule 23 dies."""

    def submit(self, function: Any, /, *args: Any, **options: Any) -> Future[Any]:
        (task,) = args
        future: Future[Any] = Future()
        if task.skip <= 23 < task.skip + task.budget:
            future.set_exception(BrokenExecutor())
        else:
            future.set_result(function(*args, **options))
        return future


def test_a_worker_that_dies_in_a_later_round_is_a_kill_by_the_schedule_it_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    schedules = Schedules(monkeypatch, broken=())
    (one,) = run_matrix(["A02"], budget=60, bases=1, make_executor=lambda jobs: Dying()).trials
    assert (one.rule, one.schedules, one.seed, one.budget) == ("harness/worker", 24, 23, 60)
    assert one.events == sum(100 + seed for seed in range(23)) and schedules.ran == list(range(23))
    assert one == run_trial_apart(Task("A02", "portfolio", 0, 60), lambda jobs: Dying())


def test_trials_run_in_processes_too() -> None:
    done = run_matrix(["P28", "P04"], ("portfolio",), 50, bases=1, jobs=2)
    assert {one.mutant for one in done.trials} == {"P28", "P04"}
    alone = run_matrix(["P28", "P04"], ("portfolio",), 50, bases=1)
    assert sorted(done.trials, key=lambda one: one.mutant) == sorted(alone.trials, key=lambda one: one.mutant)


def test_the_summary_counts_survivors_into_the_mean() -> None:
    trials = [trial("A02", 0, 2), trial("A02", 1, 4), trial("A02", 2, 10, killed=False)]
    (one,) = summarise(trials).rows
    assert (one.trials, one.killed, one.schedules_mean) == (3, 2, 8.0)
    assert one.schedules_median == 4 and one.schedules_p95 is None
    assert summarise(trials).survivors == ("A02/portfolio base 2",)
    assert summarise(trials[:2]).exit_code == 0


def test_a_killed_equivalent_mutant_is_a_failure() -> None:
    result = summarise([trial("AQ1")])
    assert result.exit_code == 1 and "AQ1" in result.killed_equivalents[0] and not result.survivors
    assert summarise([trial("AQ1", killed=False)]).exit_code == 0


def test_nothing_measured_tells_nothing() -> None:
    assert summarise([]).exit_code == 3


def test_no_budget_is_larger_than_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    Schedules(monkeypatch, broken=())
    budgets = [run_matrix(["EQ1", "A02"], budget=budget, bases=1).trials[0].schedules for budget in (3, 300)]
    assert budgets == [3, 200]


def test_an_unknown_mutant_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="no mutant 'Z99'"):
        run_matrix(["Z99"])


BROKEN = """
import os
from paxos_impl.acceptor import Acceptor
from paxos_impl.mutants.registry import mutant
from paxos_impl.parts import CORRECT

@mutant("DIES", "the process ends", rule="-", breaks="P")
class Dies(Acceptor):
    def may_pre_vote(self, ballot):
        os._exit(9)

@mutant("NOBODY", "asks a node that does not exist", rule="-", breaks="P")
class AsksNobody(Acceptor):
    def on_pre_vote(self, source, message):
        self.send(99, message)

@mutant("OBJECT", "sends what cannot travel", rule="-", breaks="P")
class SendsAnObject(Acceptor):
    def on_pre_vote(self, source, message):
        self.send(source, object())

@mutant("INIT", "cannot be made", rule="-", breaks="P")
class CannotBeMade(Acceptor):
    def __init__(self, context):
        raise RuntimeError("no")

@mutant("EXIT", "leaves by the back door", rule="-", breaks="P")
class Leaves(Acceptor):
    def may_pre_vote(self, ballot):
        raise SystemExit(3)

@mutant("CLIENT", "a client that cannot be made", rule="-", breaks="P")
class NoClient(CORRECT.client):
    def __init__(self, *args, **options):
        raise ValueError("boom")

@mutant("CLOSES", "a client that leaves by the back door", rule="-", breaks="P")
class Closes(CORRECT.client):
    def __init__(self, *args, **options):
        raise SystemExit(5)

@mutant("DIGEST", "the run goes on past the first violation, and then cannot", rule="-", breaks="P")
class NoDigest(CORRECT.state_machine):
    def digest(self, *args, **options):
        return None
"""


def test_one_that_breaks_everything_does_not_break_the_matrix(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(BROKEN)
    names = [f"{file}:{one}" for one in ("DIES", "NOBODY", "OBJECT", "INIT", "EXIT", "CLIENT", "CLOSES", "DIGEST")]
    result = run_matrix(names, ("calm",), 2, bases=1, jobs=2, make_executor=local_executor)
    rules = {one.mutant.rpartition(":")[2]: one.rule for one in result.trials}
    assert rules == {
        "DIES": "harness/worker",
        "NOBODY": "crash/no-such-node",
        "OBJECT": "crash/unsendable",
        "INIT": "crash/RuntimeError",
        "EXIT": "crash/SystemExit",
        "CLIENT": "harness/raised",
        "CLOSES": "harness/raised",
        "DIGEST": "crash/TypeError",
    }
    assert all(one.schedules == 1 for one in result.trials)


class OneRaises(Executor):
    """What comes first raises, and is the first to end."""

    def submit(self, function: Any, /, *args: Any, **options: Any) -> Future[Any]:
        (task,) = args
        future: Future[Any] = Future()
        if task.mutant == "P28":
            future.set_exception(OSError("no memory"))
        else:
            future.set_result(function(*args, **options))
        return future


def test_what_one_trial_raises_leaves_the_others_their_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Schedules(monkeypatch, broken=(0,))
    state = tmp_path / "state.jsonl"
    with pytest.raises(OSError, match="no memory"):
        run_matrix(["P28", "A02", "P04"], budget=5, bases=1, state=state, make_executor=lambda jobs: OneRaises())
    assert {one.mutant for one in read_trials(state)} == {"A02", "P04"}


def always_after(*steps: int) -> Any:
    """Breaks one rule in so many events, first, second, …; the unmodified code breaks none."""
    ran = iter(steps)

    def run(plan: object, parts: object) -> tuple[Violation | None, int]:
        return (None, 900) if parts is matrix.CORRECT else (Violation("vote/two-values", "here"), next(ran))

    return run


def test_what_does_not_behave_the_same_twice_is_no_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state.jsonl"
    monkeypatch.setattr(matrix, "first_violation", always_after(70, 70, 80, 81))
    monkeypatch.setattr(matrix, "client_view", lambda plan, parts: "")
    result = run_matrix(["A02", "P28"], ("calm",), 60, bases=1, state=state)
    steady, unsteady = result.trials
    assert steady.killed and not steady.unsteady
    assert not unsteady.killed and unsteady.schedules == 1
    told = "seed 0 broke vote/two-values in 80 events, and when it was run again vote/two-values in 81"
    assert result.unsteady == (f"P28/calm base 0: {told}",) and result.exit_code == 3
    assert [one.mutant for one in result.rows] == ["A02"] and not result.survivors
    assert run_matrix(["P28"], ("calm",), 9000, bases=1, state=state).known == 1
    monkeypatch.setattr(matrix, "first_violation", always_after(80, 81))
    judged = gate(Recorded(1, (row("P28"),)), ids=["P28"], clean_schedules=0)
    assert judged.exit_code == 3 and judged.unknown[0].startswith("does not behave the same twice: P28/portfolio base")


def test_of_what_hangs_the_clients_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(plan: object, parts: object) -> tuple[Violation | None, int]:
        return (None if parts is matrix.CORRECT else Violation("harness/hang", "for ever")), 7

    monkeypatch.setattr(matrix, "first_violation", hang)
    monkeypatch.setattr(matrix, "client_view", lambda plan, parts: pytest.fail("it would hang once more"))
    assert run_trial(Task("A02", "calm", 0, 3)).rule == "harness/hang"
