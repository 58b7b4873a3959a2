"""A rule is asked a second time only if that has no effect whatever: taken is what surely has none, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.matrix import common_deployments, plan_of
from harness.override_calls import counting
from harness.pure_rules import OF_MAPPINGS, pure_rule
from harness.worlds.simulated.world import SimulatedWorld
from paxos_impl.acceptor import Acceptor
from paxos_impl.mutants.registry import all_mutants, find, plant
from paxos_impl.parts import CORRECT

HEAD = """
import functools
from paxos_impl.acceptor import Acceptor
from paxos_impl.mutants.registry import mutant

def helper(self):
    return True

@mutant("X", "-", rule="-", breaks="A")
class X(Acceptor):
"""
ASKED = {
    name: rule
    for name, one in all_mutants().items()
    if len(one.classes) == 1 and (rule := pure_rule(one.classes[0][1], getattr(CORRECT, one.classes[0][0])))
}


def rule_of(tmp_path: Path, body: str, head: str = HEAD) -> str:
    file = tmp_path / "own.py"
    file.write_text(head + "".join(f"    {line}\n" for line in body.split("\n")))
    found = pure_rule(find(f"{file}:X")[0].classes[0][1], Acceptor)
    return found[0] if found else ""


@pytest.mark.parametrize(
    "body",
    [
        "def may_promise(self, ballot): return True",
        'def may_promise(self, ballot):\n    "Why."\n    return super().may_promise(ballot) or ballot[0] > 5',
        "def may_promise(self, ballot): return self.precedes(ballot, self.promised)",
        "def may_promise(self, ballot):\n    for slot, vote in self.votes.items():\n        if vote[0] > ballot:\n"
        "            return any(slot > 1 for slot in self.votes)\n    return len(self.votes) > 2",
    ],
)
def test_what_only_reads_is_taken(tmp_path: Path, body: str) -> None:
    assert rule_of(tmp_path, body) == "may_promise"


@pytest.mark.parametrize(
    "body",
    [
        "def may_promise(self, ballot):\n    self.promised = ballot\n    return True",
        "def may_promise(self, ballot):\n    self.votes[1] = ballot\n    return True",
        "def may_promise(self, ballot):\n    self.votes.clear()\n    return True",
        "def may_promise(self, ballot):\n    del self.votes[1]\n    return True",
        "def may_promise(self, ballot):\n    seen = self.votes\n    seen |= {1: 2}\n    return True",
        "def may_promise(self, ballot): return helper(self)",
        "def may_promise(self, ballot): return self.is_stale(1, 1)",
        "def may_promise(self, ballot): return (yield True)",
        "def may_promise(self, ballot): return self.context.draw() > 0.5",
        "def may_promise(self, ballot): return (lambda: True)()",
        "def is_stale(self, source, incarnation): return False",
        "def promise_content(self, slot): return []",
        "def may_promise(self, ballot): return True\ndef may_accept(self, ballot, slot): return True",
        "def may_promise(self, ballot): return True\ndef __getattr__(self, name): return self.votes.pop(name)",
        "def may_promise(self, ballot): return True\nvotes = property(lambda self: self.log.append(1))",
        "@functools.cache\ndef may_promise(self, ballot): return True",
        "@staticmethod\ndef precedes(first, second): return True",
        "may_promise = functools.partialmethod(lambda self, ballot: True)",
    ],
)
def test_what_might_have_an_effect_is_not(tmp_path: Path, body: str) -> None:
    assert rule_of(tmp_path, body) == ""


def test_a_name_that_only_looks_harmless_is_not(tmp_path: Path) -> None:
    body = "def may_promise(self, ballot): return len(self.votes) > 2"
    assert rule_of(tmp_path, body, HEAD.replace("def helper", "def len")) == ""
    assert rule_of(tmp_path, body, HEAD.replace("(Acceptor)", "(Acceptor, metaclass=type('Meta', (type,), {}))")) == ""


def test_no_protocol_class_has_a_method_that_is_taken_for_one_of_a_mapping() -> None:
    for field in dataclasses.fields(CORRECT):
        assert not OF_MAPPINGS & set(dir(getattr(CORRECT, field.name)))


def test_many_planted_bugs_are_compared_with_their_rules() -> None:
    assert {"A05", "P01", "E20", "N03", "C07"} <= set(ASKED) and len(ASKED) > 20


@pytest.mark.parametrize("name", ASKED)
def test_asking_changes_nothing(name: str) -> None:
    mutants = find(name)
    plan = plan_of("portfolio", 3, common_deployments(mutants))
    plain = SimulatedWorld(plan, parts=plant(mutants)).run()
    with counting(mutants) as counter:
        asked = SimulatedWorld(plan, parts=plant(mutants)).run()
    assert asked.digest == plain.digest and asked.violations == plain.violations
    assert all(one.otherwise is not None for one in counter.result())
