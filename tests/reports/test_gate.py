"""The gate's decisions, from figures alone: what must alarm, and what is near enough to nothing that it must not."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from harness.figures import Figures, WallFigures
from reports.gate import (
    LOST,
    MESSAGES,
    NEVER,
    P99,
    RECOVERY,
    Broken,
    Comparison,
    Finding,
    GateResult,
    compare_virtual,
    compare_wall,
)

MS = 1_000_000
Change = Callable[[Figures], Figures]


def plan_figures(random: Random, noise: float = 0.1) -> list[Figures]:
    """200 plans of one code. The plans differ much, the runs of one plan by ``noise``."""

    def near(value: float) -> int:
        return round(value * random.lognormvariate(0, noise))

    shapes = Random(7)
    return [
        Figures(
            runs=3,
            recovery_ns=near(6 * shapes.uniform(80, 300) * MS),
            recovered=6,
            never_recovered=0,
            p99_ns=near(3 * shapes.uniform(20, 400) * MS),
            with_latency=3,
            messages=near(5000 * shapes.uniform(5, 20)),
            decisions=5000,
            wanted=1000,
            succeeded=1000 - near(shapes.uniform(0, 100)),
        )
        for _ in range(200)
    ]


@pytest.fixture
def base() -> list[Figures]:
    return plan_figures(Random(1))


@pytest.fixture
def head() -> list[Figures]:
    """The same code with other salts."""
    return plan_figures(Random(2))


def by_name(comparison: Comparison) -> dict[str, Finding]:
    return {finding.metric: finding for finding in comparison.findings}


def with_more(field: str, factor: float) -> Change:
    from msgspec.structs import replace

    def change(one: Figures) -> Figures:
        return replace(one, **{field: round(getattr(one, field) * factor)})

    return change


def test_the_same_code_with_other_salts_is_no_regression(base: list[Figures], head: list[Figures]) -> None:
    assert [one.decision for one in compare_virtual(base, head).findings] == ["same"] * 5


def test_equal_figures_are_no_regression_and_counted(base: list[Figures]) -> None:
    found = compare_virtual(base, base)
    assert [one.decision for one in found.findings] == ["same"] * 5
    assert found.notes == ("200 of 200 plans ran exactly as in the base",)


@pytest.mark.parametrize(
    ("metric", "field"), [(RECOVERY, "recovery_ns"), (P99, "p99_ns"), (MESSAGES, "messages")], ids=str
)
def test_a_loss_of_a_fifth_is_found_in_its_own_metric_alone(
    base: list[Figures], head: list[Figures], metric: str, field: str
) -> None:
    found = compare_virtual(base, [with_more(field, 1.2)(one) for one in head])
    assert found.having("worse") == [metric]


def test_a_fifth_more_operations_lost_is_found(base: list[Figures], head: list[Figures]) -> None:
    worse = [Figures(*(*_fields(one)[:-1], one.wanted - round(1.2 * (one.wanted - one.succeeded)))) for one in head]
    assert compare_virtual(base, worse).having("worse") == [LOST]


def _fields(one: Figures) -> tuple[int, ...]:
    from msgspec.structs import astuple

    return tuple(astuple(one))


@pytest.mark.parametrize(("field", "factor"), [("recovery_ns", 1.03), ("p99_ns", 1.03), ("messages", 1.01)])
def test_a_loss_below_the_floor_is_none(base: list[Figures], head: list[Figures], field: str, factor: float) -> None:
    assert compare_virtual(base, [with_more(field, factor)(one) for one in head]).having("worse") == []


def test_a_gain_is_told_and_is_no_regression(base: list[Figures], head: list[Figures]) -> None:
    found = compare_virtual(base, [with_more("recovery_ns", 0.7)(one) for one in head])
    assert found.having("better") == [RECOVERY]
    assert found.having("worse") == []


def test_a_loss_in_a_few_plans_alone_is_no_regression_but_in_all_is(base: list[Figures], head: list[Figures]) -> None:
    few = [with_more("recovery_ns", 2.0)(one) if place < 6 else one for place, one in enumerate(head)]
    assert compare_virtual(base, few).having("worse") == []


def test_plans_that_never_recover_are_counted_plan_by_plan(base: list[Figures], head: list[Figures]) -> None:
    def never(figures: list[Figures], plans: int) -> list[Figures]:
        from msgspec.structs import replace

        return [replace(one, never_recovered=int(place < plans)) for place, one in enumerate(figures)]

    assert NEVER in compare_virtual(base, never(head, 12)).having("worse")
    assert NEVER not in compare_virtual(base, never(head, 2)).having("worse")
    assert NEVER not in compare_virtual(never(base, 12), never(head, 13)).having("worse"), "the same plans as before"
    assert NEVER not in compare_virtual(never(base, 12), head).having("worse")


def test_a_plan_without_a_value_is_left_out_and_too_few_plans_cannot_tell(base: list[Figures]) -> None:
    from msgspec.structs import replace

    blind = [replace(one, recovered=0, recovery_ns=0) if place else one for place, one in enumerate(base)]
    found = by_name(compare_virtual(base, blind))
    assert found[RECOVERY].decision == "unknown"
    assert "at least 5" in found[RECOVERY].sentence
    assert found[P99].decision == "same"


def test_what_is_too_noisy_cannot_be_told() -> None:
    base, head = plan_figures(Random(1), 3.0)[:12], plan_figures(Random(2), 3.0)[:12]
    found = by_name(compare_virtual(base, head))
    assert found[RECOVERY].decision == "unknown"
    assert "may hide" in found[RECOVERY].sentence


def test_different_numbers_of_plans_are_refused(base: list[Figures]) -> None:
    with pytest.raises(ValueError, match="plan by plan"):
        compare_virtual(base, base[1:])


# The wall clock.


def runs(random: Random, noise: float, slower: float = 1.0, count: int = 12) -> list[WallFigures]:
    def near(value: float) -> float:
        return value * random.lognormvariate(0, noise)

    return [WallFigures(near(20_000) / slower, near(0.7e6) * slower, near(2e6) * slower) for _ in range(count)]


def test_the_clock_sees_a_fifth_on_a_quiet_machine_and_nothing_where_nothing_is() -> None:
    random = Random(3)
    seen = [compare_wall(runs(random, 0.03), runs(random, 0.03, 1.2)).having("worse") for _ in range(40)]
    cried = [compare_wall(runs(random, 0.03), runs(random, 0.03)).having("worse") for _ in range(40)]
    assert sum("time per operation" in names for names in seen) >= 38
    assert sum(map(bool, cried)) <= 1


def test_the_clock_cannot_tell_when_base_against_base_is_too_noisy() -> None:
    found = compare_wall(runs(Random(4), 0.5), runs(Random(5), 0.5))
    assert found.having("unknown") == ["time per operation", "latency p50", "latency p99"]
    assert "base against base shows" in found.findings[0].sentence


def test_a_loss_far_beyond_the_noise_is_found_all_the_same() -> None:
    assert len(compare_wall(runs(Random(4), 0.3), runs(Random(5), 0.3, 5.0)).having("worse")) == 3


def test_one_run_on_a_side_never_decides() -> None:
    found = compare_wall(runs(Random(4), 0.01, count=1), runs(Random(5), 0.01, 9.0, count=1))
    assert found.having("unknown") == ["time per operation", "latency p50", "latency p99"]


# What it comes to.


def finding(decision: str) -> Finding:
    return Finding("recovery time", "1 ms", "2 ms", decision, "+100 %", None)  # type: ignore[arg-type]


def result(*decisions: tuple[str, bool], **more: object) -> GateResult:
    comparisons = tuple(Comparison("virtual time", hard, "plan", (finding(name),)) for name, hard in decisions)
    return GateResult("base", "head", 1, comparisons=comparisons, **({"broken": ()} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "code", "verdict", "words"),
    [
        (result(("same", True)), 0, "PASS", "Not worse than base"),
        (result(("better", True), ("worse", False)), 0, "PASS", "looks worse than base in recovery time (advisory)"),
        (result(("same", True), ("unknown", False)), 0, "PASS", "Not worse"),
        (result(("worse", True)), 4, "FAIL", "Worse than base in recovery time"),
        (result(("worse", True), ("unknown", True)), 4, "FAIL", "Worse"),
        (result(("unknown", True)), 3, "INCONCLUSIVE", "too noisy in recovery time"),
        (result(("unknown", False)), 3, "INCONCLUSIVE", "Cannot tell"),
        (result(unknown=("the baseline is old",)), 3, "INCONCLUSIVE", "the baseline is old"),
        (result(interrupted=True), 130, "INCONCLUSIVE", "Interrupted"),
        (
            result(("worse", True), broken=(Broken("plan 1", "agreement/two-values", "Slot 1 has two."),)),
            1,
            "FAIL",
            "agreement/two-values is broken in 1 run: Slot 1 has two.",
        ),
    ],
)
def test_safety_outranks_a_loss_and_a_loss_outranks_not_knowing(
    found: GateResult, code: int, verdict: str, words: str
) -> None:
    assert (found.exit_code, found.verdict) == (code, verdict)
    assert words in found.sentence
