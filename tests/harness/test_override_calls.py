"""How often a planted bug's own code is called: counted for whatever a class may hold, and without any effect on the run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.matrix import Task, common_deployments, plan_of, run_matrix, run_trial
from harness.override_calls import MethodCalls, counting, sentence, total
from harness.worlds.simulated.world import SimulatedWorld
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Plan
from paxos_impl.mutants.registry import all_mutants, find, plant

HEAD = """
import functools
from paxos_impl.acceptor import Acceptor
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import Proposer

"""
ODD = (
    HEAD
    + """
class Meta(type):
    def __setattr__(self, name, value):
        if name != "__mutant__":
            raise RuntimeError("nobody changes this class")
        super().__setattr__(name, value)

class Between(Acceptor):
    def is_quorum(self, members):
        return super().is_quorum(members)

@mutant("ODD", "holds whatever a class may hold", rule="-", breaks="")
class Odd(Between, metaclass=Meta):
    __slots__ = ("more",)

    def __init__(self, context):
        super().__init__(context)
        self.more = 1

    def may_promise(self, ballot):
        assert self.helper() == self.role == "acceptor"
        return super().may_promise(ballot)

    def promise_pages(self, message):
        yield from super().promise_pages(message)

    @property
    def role(self):
        return "acceptor"

    @staticmethod
    def precedes(first, second):
        return first < second

    @classmethod
    def is_quorum(cls, members):
        return True

    def helper(self):
        return "acceptor"

    applied_slot = functools.partialmethod(lambda self: 0)
    cut = Acceptor.cut
"""
)


def planted(tmp_path: Path, text: str, name: str) -> str:
    file = tmp_path / "bugs.py"
    file.write_text(text)
    return f"{file}:{name}"


def test_any_method_is_counted_and_restored(tmp_path: Path) -> None:
    (odd,) = find(planted(tmp_path, ODD, "ODD"))
    class_ = odd.classes[0][1]
    before = {one: dict(vars(one)) for one in (class_, class_.__mro__[1])}
    done = run_trial(Task(planted(tmp_path, ODD, "ODD"), "portfolio", 0, 2))
    assert {one: dict(vars(one)) for one in before} == before
    counted = {one.method: one for one in done.calls}
    assert set(counted) == {
        "may_promise", "promise_pages", "role", "precedes", "Odd.is_quorum", "Between.is_quorum", "cut"
    }  # fmt: skip
    assert not done.killed and all(one.of == 2 for one in done.calls)
    assert counted["may_promise"].schedules == 2 and counted["role"].calls >= counted["may_promise"].calls > 2
    assert counted["promise_pages"].calls > 0
    assert counted["Between.is_quorum"] == MethodCalls("Between.is_quorum", 0, 0, 2)


@pytest.mark.parametrize("name", ["A08", "P04", "L04", "C07", "S20", "T20", "N03", "E14+P03", "AQ2+EQ4"])
def test_counting_changes_nothing(name: str) -> None:
    mutants = find(name)
    plan = plan_of("portfolio", 3, common_deployments(mutants))
    plain = SimulatedWorld(plan, parts=plant(mutants)).run()
    with counting(mutants) as counter:
        counted = SimulatedWorld(plan, parts=plant(mutants)).run()
        counter.end_schedule()
    assert counted.digest == plain.digest and counted.violations == plain.violations
    assert counter.result()


@pytest.mark.parametrize("name", all_mutants())
def test_of_every_planted_bug_something_is_counted(name: str) -> None:
    mutants = find(name)
    classes = [class_ for one in mutants for _, class_ in one.classes]
    before = [dict(vars(class_)) for class_ in classes]
    with counting(mutants) as counter:
        counter.end_schedule()
    assert counter.result() and not any(one.calls for one in counter.result())
    assert [dict(vars(class_)) for class_ in classes] == before


def test_a_bug_that_is_killed_by_a_crash_is_restored_too(tmp_path: Path) -> None:
    text = (
        HEAD + '@mutant("X", "-", rule="-", breaks="P")\nclass X(Acceptor):\n    def may_promise(self, ballot): 1 / 0\n'
    )
    (one,) = find(planted(tmp_path, text, "X"))
    before = dict(vars(one.classes[0][1]))
    done = run_trial(Task(planted(tmp_path, text, "X"), "calm", 0, 1))
    assert done.killed and done.calls[0].calls >= 1
    assert dict(vars(one.classes[0][1])) == before


def test_of_what_the_simulated_clusters_never_ask_it_is_told(tmp_path: Path) -> None:
    text = HEAD + (
        '@mutant("NEVER", "-", rule="-", breaks="P")\nclass Never(Acceptor):\n'
        "    def on_checkpoint_durable(self, slot): pass\n"
        '@mutant("INIT", "-", rule="-", breaks="P")\nclass Init(Proposer):\n'
        "    def __init__(self, *args): super().__init__(*args)\n"
    )
    names = [planted(tmp_path, text, "NEVER"), planted(tmp_path, text, "INIT")]
    result = run_matrix(names, ("calm",), 1, bases=2)
    never, init = sorted((row.calls for row in result.rows), key=lambda calls: calls[0].calls)
    assert never == (MethodCalls("on_checkpoint_durable", 0, 0, 2),)
    assert (init[0].method, init[0].schedules, init[0].of) == ("__init__", 2, 2)
    assert "NEVER/calm base 0: 1 schedules; on_checkpoint_durable was never called" in result.survivors[0]


@pytest.mark.parametrize(
    "override",
    [
        "def __init__(self, *args): super().__init__(*args)",
        "def recover_vote(self, record): super().recover_vote(record)",
    ],
)
def test_what_a_rehearsed_restart_calls_is_not_counted(tmp_path: Path, override: str) -> None:
    power = Fault("power", "it", trigger="first would_forget", duration_ns=50 * MILLISECOND)
    plan = Plan(seed=7, duration_ns=400 * MILLISECOND, settle_ns=600 * MILLISECOND, faults=(power,))
    text = HEAD + f'@mutant("X", "-", rule="-", breaks="P")\nclass X(Acceptor):\n    {override}\n'
    mutants = find(planted(tmp_path, text, "X"))
    told = []
    for with_rehearsals in (plan, msgspec.structs.replace(plan, faults=())):
        with counting(mutants) as counter:
            world = SimulatedWorld(with_rehearsals, parts=plant(mutants))
            world.run()
            counter.end_schedule()
        told.append((counter.result(), world.rehearsals.made > 0))
    (rehearsed, some), (plain, none) = told
    assert (some, none) == (True, False) and rehearsed == plain


def test_the_sentence_tells_what_was_called_and_what_was_not() -> None:
    calls = (MethodCalls("step_down", 40, 16, 20), MethodCalls("cut", 0, 0, 20), MethodCalls("follow", 0, 0, 20))
    assert sentence(calls) == (
        "20 schedules; step_down was called in 16 of them (40 times), cut, follow were never called: no schedule reaches it "
        "(is the option it needs on? which deployment?)"
    )
    assert sentence(()) == ""
    told = sentence((MethodCalls("may_accept", 40, 16, 20, 3), MethodCalls("cut", 1, 1, 20, 0)))
    assert "16 of them (40 times, 3 with another answer than the rule's)" in told
    assert "1 of them (once, never with another answer than the rule's)" in told


@pytest.mark.parametrize(
    ("answer", "otherwise"),
    [
        ("super().may_promise(ballot)", 0),
        ("not super().may_promise(ballot)", 1),
        ("0", 1),
        ("1", 0),
        ("ballot < 5", None),
    ],
)
def test_answers_are_compared_with_those_of_the_rule(tmp_path: Path, answer: str, otherwise: int | None) -> None:
    text = HEAD + (
        '@mutant("X", "-", rule="-", breaks="P")\nclass X(Acceptor):\n'
        f"    def may_promise(self, ballot): return {answer}\n"
    )
    (one,) = find(planted(tmp_path, text, "X"))
    with counting([one]) as counter:
        acceptor = object.__new__(one.classes[0][1])
        vars(acceptor)["promised"] = (1, 1)
        if otherwise is None:
            with pytest.raises(TypeError):
                acceptor.may_promise((2, 2))
        else:
            acceptor.may_promise((2, 2))
        counter.end_schedule()
    assert counter.result() == (MethodCalls("may_promise", 1, 1, 1, otherwise or 0),)


def test_a_rule_that_cannot_answer_counts_as_another_answer(tmp_path: Path) -> None:
    text = HEAD + (
        '@mutant("X", "-", rule="-", breaks="P")\nclass X(Acceptor):\n    def may_promise(self, ballot): return True\n'
    )
    (one,) = find(planted(tmp_path, text, "X"))
    with counting([one]) as counter:
        object.__new__(one.classes[0][1]).may_promise((2, 2))
    assert counter.result()[0].otherwise == 1


def test_trials_add_up() -> None:
    one = MethodCalls("cut", 3, 2, 10)
    compared = MethodCalls("cut", 3, 2, 10, 1)
    assert total([(one,), (), (one,)]) == (MethodCalls("cut", 6, 4, 20),)
    assert total([(compared,), (compared,)]) == (MethodCalls("cut", 6, 4, 20, 2),)
    assert total([(compared,), (one,)]) == (MethodCalls("cut", 6, 4, 20),)
    assert total([]) == ()
