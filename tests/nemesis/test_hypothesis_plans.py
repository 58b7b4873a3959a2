"""Plans drawn by Hypothesis are plans a user may run, and shrink to simple ones."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemesis.faults import KINDS, Fault
from nemesis.hypothesis_plans import faults, plans
from nemesis.plan import Cluster, Plan, decode_plan, encode_plan, scaled, validate
from nemesis.triggers import parse_trigger


@settings(max_examples=200, deadline=None)
@given(plans(kinds=tuple(KINDS)), st.sampled_from((0.5, 3.0, 10.0)))
def test_drawn_plans_are_valid_and_survive_writing_and_scaling(plan: Plan, factor: float) -> None:
    validate(plan)
    assert decode_plan(encode_plan(plan)) == plan
    validate(scaled(plan, factor))


@given(plans(base=Plan(cluster=Cluster(nodes=4), name="mine"), kinds=("kill",), most_faults=2, triggers=False))
def test_what_the_caller_fixes_is_kept(plan: Plan) -> None:
    assert plan.cluster.nodes == 4
    assert plan.name == "mine"
    assert len(plan.faults) <= 2
    assert all(fault.kind == "kill" and fault.at_ns is not None for fault in plan.faults)


SHRINK = """
import sys
from hypothesis import find, settings
from nemesis.hypothesis_plans import plans
from nemesis.plan import encode_plan
steady = settings(derandomize=True, database=None, deadline=None)
smallest = find(plans(), lambda plan: any(fault.kind == "partition" for fault in plan.faults), settings=steady)
sys.stdout.buffer.write(encode_plan(smallest))
"""


def test_they_shrink_to_one_simple_fault() -> None:
    # In a process of its own: Hypothesis also draws constants from every module that happens to be imported, so that beside
    # other tests it starts elsewhere, ends in a plan with a harmless fault too many, or does not end at all.
    run = subprocess.run([sys.executable, "-c", SHRINK], capture_output=True, check=True, timeout=120)
    smallest = decode_plan(run.stdout)
    assert len(smallest.faults) == 1
    assert smallest.cluster == Cluster()
    assert smallest.faults[0].at_ns == 0
    assert smallest.faults[0].params == {}


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_is_drawn_with_times_and_triggers(kind: str) -> None:
    events: set[str] = set()

    @settings(max_examples=50, derandomize=True, deadline=None, database=None)
    @given(faults(Plan(), kinds=(kind,)))
    def collect(fault: Fault) -> None:
        assert fault.kind == kind
        events.add(parse_trigger(fault.trigger).kind if fault.trigger is not None else "a time")

    collect()
    assert "a time" in events and len(events) > 3


def test_nobody_else_imports_hypothesis() -> None:
    code = "import sys, nemesis.conductor, nemesis.strategies.portfolio; print('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
