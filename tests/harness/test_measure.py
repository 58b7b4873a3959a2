"""What is measured of a simulated run: the same each time, and what the words say."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from harness.figures import NOTHING, Figures, pooled
from harness.measure import episodes, measure, recoveries
from harness.record import FaultEvent
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, SECOND, Plan, Plant, Workload
from paxos_impl.mutants.registry import find, hash_of

MS = MILLISECOND
CALM = Plan(seed=1, duration_ns=1 * SECOND, settle_ns=1 * SECOND, workload=Workload(clients=4, rate=100.0))
KILL = replace(CALM, faults=(Fault("kill", "leader", at_ns=400 * MS, duration_ns=300 * MS),))


def event(edge: str, fault: int, time_ns: int, targets: tuple[str, ...] = ("r0",)) -> FaultEvent:
    return FaultEvent(time_ns, edge, fault, "kill", targets, {})  # type: ignore[arg-type]


def test_the_recovery_of_a_fault_is_the_longest_wait_from_before_it_to_the_first_success_after_its_heal() -> None:
    successes = [100, 180, 200, 500, 520, 700, 900]
    assert recoveries([(210, 600)], successes, 1000) == ([300], 0)
    assert recoveries([(210, 400)], successes, 1000) == ([300], 0)
    assert recoveries([(50, 60)], successes, 1000) == ([100], 0), "nothing succeeded before: from the very begin"


def test_a_fault_after_which_nothing_succeeds_while_the_load_lasts_never_recovered() -> None:
    assert recoveries([(210, 600), (750, 950)], [100, 700, 900], 1000) == ([600], 1)
    assert recoveries([(210, 600)], [100, 700], until_ns=650) == ([], 1)


def test_episodes_end_with_the_final_heal_and_weather_is_none() -> None:
    rows = [
        event("begin", 0, 0),
        event("begin", 1, 10),
        event("begin", 2, 20),
        event("begin", 3, 30, ()),
        event("end", 1, 15),
        event("begin", -1, 90),
        event("end", 2, 500),
    ]
    assert episodes(rows, 100) == [(10, 15), (20, 100)]


def test_a_calm_run_loses_nothing_and_needs_a_few_messages_for_each_decision() -> None:
    one = measure(CALM)
    assert one.rule == ""
    figures = one.figures
    assert figures.wanted == pytest.approx(100, abs=15)
    assert figures.succeeded == figures.wanted
    assert figures.recovered == figures.never_recovered == 0
    assert 4 <= figures.messages / figures.decisions <= 20
    assert 2 * MS < figures.p99_ns < 400 * MS


def test_measuring_twice_gives_the_same() -> None:
    assert measure(KILL) == measure(KILL)


def test_who_waits_for_an_election_twice_as_long_recovers_later() -> None:
    slow = replace(KILL, timing=replace(KILL.timing, election_timeout_ns=2 * KILL.timing.election_timeout_ns))
    before, after = measure(KILL).figures, measure(slow).figures
    assert before.recovered == after.recovered == 1
    assert after.recovery_ns > 1.3 * before.recovery_ns


def test_a_broken_rule_is_told() -> None:
    assert measure(replace(KILL, mutant=Plant("P01", hash_of(find("P01"))))).rule


def test_pooling_adds() -> None:
    one = Figures(1, 2, 3, 0, 5, 1, 7, 8, 9, 10)
    assert pooled([one, one]) == Figures(2, 4, 6, 0, 10, 2, 14, 16, 18, 20)
    assert pooled([]) == NOTHING
