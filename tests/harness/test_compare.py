"""Comparing two versions: which runs are made in which order, and what comes of runs that fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.compare import compare_recorded, compare_revisions, recorded, repeated_runs, wall_plan
from harness.errors import HarnessFault, UserError
from harness.figures import Figures, WallFigures
from harness.gate import Baseline, write_baseline, write_plans
from harness.results import SCHEMA_VERSION, CheckResult, Results, Verdict, Violation, write_results
from harness.revisions import Answer, Revision
from nemesis.plan import SECOND, decode_plan, encode_plan
from reports.gate import P99, RECOVERY
from tests.harness.test_gate import kills

FIGURES = [Figures(1, 100_000_000 + seed, 1, 0, 50_000_000 + seed, 1, 1000, 100, 100, 98) for seed in range(8)]


class Fake:
    """Stands for both revisions: keeps who was asked for what, and answers as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.slower = 1.0
        """Head against base, by the clock."""
        self.head_figures = FIGURES
        self.fails: dict[tuple[str, str], Answer] = {}

    @contextmanager
    def checked_out(self, name: str, repository: Path) -> Iterator[Revision]:
        yield Revision(name, "abc", repository)

    def ask(self, revision: Revision, arguments: Sequence[str], timeout_s: float) -> Answer:
        self.asked.append((revision.name, arguments[0]))
        if (revision.name, arguments[0]) in self.fails:
            return self.fails[revision.name, arguments[0]]
        head = revision.name == "new"
        if arguments[0] == "gate":
            options = dict(zip(arguments[2::2], arguments[3::2], strict=True))
            target = Path(options["--baseline"])
            write_baseline(target, "x", int(options["--salts"]), self.head_figures if head else FIGURES)
            return Answer(0, {}, "")
        number = len(self.asked)
        factor = (self.slower if head else 1.0) * (1 + number % 5 / 100)
        metrics = {
            "throughput_per_s": 20_000 / factor,
            "latency_ns": {"ok": {"p50": 7e5 * factor, "p99": 2e6 * factor}},
        }
        return Answer(0, {"metrics": metrics}, "")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr("harness.compare.checked_out", fake.checked_out)
    monkeypatch.setattr("harness.compare.ask", fake.ask)
    return fake


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    write_plans([kills(seed) for seed in range(8)], tmp_path / "plans.jsonl")
    return tmp_path / "plans.jsonl"


def compared(plans: Path, **options: Any) -> Any:
    return compare_revisions("old", "new", plans.parent, plans=plans, **({"salts": 1, "pairs": 6} | options))


def test_the_load_that_is_timed_is_a_plan_without_faults() -> None:
    plan = wall_plan(2 * SECOND)
    assert decode_plan(encode_plan(plan)) == plan
    assert (plan.faults, plan.workload.rate, plan.duration_ns) == ((), 0.0, 2 * SECOND)


def test_real_runs_take_turns_base_head_head_base(fake: Fake, plans: Path) -> None:
    result = compared(plans, virtual=False)
    assert [name for name, _ in fake.asked[:8]] == ["old", "new", "new", "old", "old", "new", "new", "old"]
    assert [name for name, _ in fake.asked].count("old") == 6
    assert result.exit_code == 0
    assert [one.kind for one in result.comparisons] == ["wall clock"]


def test_the_clock_is_advisory_unless_it_is_made_hard(fake: Fake, plans: Path) -> None:
    fake.slower = 1.6
    advisory, hard = compared(plans), compared(plans, hard_wall=True)
    assert advisory.exit_code == 0
    assert "advisory" in advisory.sentence
    assert hard.exit_code == 4


def test_virtual_time_is_hard_and_both_measure_the_same_plans(fake: Fake, plans: Path) -> None:
    fake.head_figures = [msgspec.structs.replace(one, recovery_ns=2 * one.recovery_ns) for one in FIGURES]
    result = compared(plans, wall=False)
    assert fake.asked == [("old", "gate"), ("new", "gate")]
    assert (result.exit_code, result.schedules) == (4, 8)
    assert RECOVERY in result.comparisons[0].having("worse")
    assert (result.base, result.head) == ("old (abc)", "new (abc)")


def test_a_broken_rule_of_head_ends_it_and_one_of_base_leaves_it_open(fake: Fake, plans: Path) -> None:
    broke = {"broken": [{"what": "plan 1", "rule": "agreement/x", "sentence": "Two.", "run_directory": ""}]}
    fake.fails = {("new", "gate"): Answer(1, broke, "")}
    result = compared(plans)
    assert result.exit_code == 1
    assert ("new", "run") not in fake.asked
    fake.fails = {("old", "gate"): Answer(1, broke, "")}
    assert compared(plans, wall=False).exit_code == 3


def test_a_base_that_knows_no_gate_cannot_be_compared_in_virtual_time(fake: Fake, plans: Path) -> None:
    fake.fails = {("old", "gate"): Answer(2, {}, "Error: No such command 'gate'.\n")}
    result = compared(plans)
    assert result.exit_code == 3
    assert "old could not measure the plans: Error: No such command 'gate'." in result.sentence
    assert [one.kind for one in result.comparisons] == ["wall clock"]


def test_a_violation_in_a_real_run_of_head_is_final(fake: Fake, plans: Path) -> None:
    violation = {"check": "agreement", "rule": "agreement/x", "sentence": "Two."}
    fake.fails = {("new", "run"): Answer(1, {"violations": [violation]}, "")}
    result = compared(plans, virtual=False)
    assert (result.exit_code, result.broken[0].rule) == (1, "agreement/x")
    assert fake.asked.count(("new", "run")) == 1, "nothing is tried again"


def test_a_real_run_that_could_not_be_made_cannot_tell(fake: Fake, plans: Path) -> None:
    fake.fails = {("old", "run"): Answer(70, {"sentence": "The harness broke: no memory"}, "")}
    result = compared(plans, virtual=False)
    assert result.exit_code == 3
    assert "no memory" in result.sentence


# What was recorded before.


def written_run(directory: Path, started: int, latency: int = 700_000, rule: str = "") -> Path:
    directory.mkdir(parents=True)
    violations = (Violation(rule, "Two values."),) if rule else ()
    check = CheckResult("agreement", Verdict.FAIL if rule else Verdict.PASS, "", violations)
    metrics = {"throughput_per_s": 1e10 / latency, "latency_ns": {"ok": {"p50": latency, "p99": 3 * latency}}}
    write_results(
        directory,
        Results(
            SCHEMA_VERSION, "t", check.verdict, 0, "s", False, 1, "free", "collapsed", None, started, 1, 1, "r",
            (check,), (), {}, metrics, {}, {},
        ),
    )  # fmt: skip
    return directory


def test_what_a_path_holds(tmp_path: Path, plans: Path) -> None:
    for number in (2, 0, 1):
        written_run(tmp_path / "store" / "test" / f"run{number}", started=number)
    write_baseline(tmp_path / "b.json", "x", 1, FIGURES)
    baseline, many = recorded(tmp_path / "b.json"), recorded(tmp_path / "store")
    assert isinstance(baseline, Baseline) and baseline.figures == tuple(FIGURES)
    assert isinstance(many, list) and [run.started_ns for run in many] == [0, 1, 2]
    one = tmp_path / "store" / "test" / "run1"
    assert recorded(one) == recorded(one / "results.json") == [many[1]]
    assert recorded(tmp_path / "nothing") is None
    assert recorded(Path()) is None, "a dot is the working tree"
    with pytest.raises(UserError, match="is no baseline"):
        recorded(plans)


def test_two_baselines_are_compared_plan_by_plan() -> None:
    slow = tuple(msgspec.structs.replace(one, p99_ns=2 * one.p99_ns) for one in FIGURES)
    base, head = Baseline(1, "x", 1, tuple(FIGURES)), Baseline(1, "x", 1, slow)
    result = compare_recorded("a", base, "b", head, hard_wall=False)
    assert result.exit_code == 4
    assert P99 in result.comparisons[0].having("worse")
    with pytest.raises(UserError, match="different plans"):
        compare_recorded("a", base, "b", Baseline(1, "y", 1, slow), hard_wall=False)


def test_runs_are_compared_by_the_clock_and_one_run_never_decides(tmp_path: Path) -> None:
    many = [
        recorded(written_run(tmp_path / f"{side}{n}", n, latency + n))
        for side, latency in (("a", 700_000), ("b", 1_400_000))
        for n in range(6)
    ]
    sides: list[list[Results]] = [
        [run for one in many[:6] for run in _runs(one)],
        [run for one in many[6:] for run in _runs(one)],
    ]
    assert compare_recorded("a", sides[0], "b", sides[1], hard_wall=True).exit_code == 4
    assert compare_recorded("a", sides[0], "b", sides[1], hard_wall=False).exit_code == 0
    single = compare_recorded("a", sides[0][:1], "b", sides[1], hard_wall=False)
    assert single.exit_code == 3
    assert "only the first 1 of each" in single.comparisons[0].notes[1]
    with pytest.raises(UserError, match="like with like"):
        compare_recorded("a", sides[0], "b", Baseline(1, "x", 1, tuple(FIGURES)), hard_wall=False)


def _runs(found: object) -> list[Results]:
    assert isinstance(found, list)
    return found


def test_a_recorded_run_of_head_that_broke_a_rule_ends_with_1(tmp_path: Path) -> None:
    good, bad = written_run(tmp_path / "a", 0), written_run(tmp_path / "b", 0, rule="agreement/x")
    assert compare_recorded("a", _runs(recorded(good)), "b", _runs(recorded(bad)), hard_wall=False).exit_code == 1
    assert compare_recorded("b", _runs(recorded(bad)), "a", _runs(recorded(good)), hard_wall=False).exit_code == 3


# Runs to calibrate with.


def test_runs_to_calibrate_with_are_kept_and_go_on(fake: Fake, tmp_path: Path) -> None:
    kept = tmp_path / "runs.jsonl"
    first = repeated_runs(tmp_path, 3, SECOND, lambda text: None, kept)
    again = repeated_runs(tmp_path, 5, SECOND, lambda text: None, kept)
    assert (len(fake.asked), again[:3]) == (5, first)
    assert isinstance(again[4], WallFigures)
    kept.write_text("nothing\n")
    with pytest.raises(UserError, match="no file of runs"):
        repeated_runs(tmp_path, 5, SECOND, lambda text: None, kept)
    fake.fails = {(".", "run"): Answer(3, {"sentence": "No evidence."}, "")}
    with pytest.raises(HarnessFault, match="No evidence"):
        repeated_runs(tmp_path, 1, SECOND, lambda text: None)


@pytest.mark.slow
def test_two_revisions_of_this_project_measure_the_same_plans(plans: Path) -> None:
    repository = Path(__file__).parent.parent.parent
    if not (repository / ".git").exists():
        pytest.skip("this copy of the project is no git repository")
    result = compare_revisions("HEAD", ".", repository, plans=plans, salts=1, wall=False)
    assert result.unknown == ()
    assert result.comparisons[0].findings[0].metric == RECOVERY
    assert result.exit_code in (0, 3, 4), "the working tree may differ from its last commit"
