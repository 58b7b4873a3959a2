"""Every planted bug: complete, findable, and different from the unmodified class in one rule method."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from paxos_impl.mutants.registry import (
    FAMILIES,
    Mutant,
    MutantError,
    all_mutants,
    find,
    hash_of,
    place_of,
    plant,
)
from paxos_impl.mutants.rules import RULE_METHODS
from paxos_impl.mutants.waiting import PAIRS, WAITING
from paxos_impl.parts import CORRECT

ALL = all_mutants()
OWN = """
from paxos_impl.acceptor import Acceptor
from paxos_impl.mutants.registry import mutant

@mutant("X1", "promises are not kept", rule="P1a", breaks="A")
class PromiseNotKept(Acceptor):
    def log_promise(self, ballot):
        pass
"""


@pytest.mark.parametrize("one", ALL.values(), ids=list(ALL))
def test_a_mutant_overrides_one_method_of_the_class_it_replaces(one: Mutant) -> None:
    for place, class_ in one.classes:
        base = getattr(CORRECT, place)
        assert place_of(class_) == place
        assert class_.__bases__ == (base,)
        changed = [name for name, found in vars(class_).items() if callable(found)]
        assert len(changed) == 1, f"{class_.__name__} changes {changed}"
        assert callable(getattr(base, changed[0])), "the rule has a method of its own in the unmodified class"
        assert not changed[0].startswith("__")


@pytest.mark.parametrize("one", ALL.values(), ids=list(ALL))
def test_a_mutant_tells_all_about_itself(one: Mutant) -> None:
    assert one.id and one.about and one.rule and one.paper and one.source and one.seen_in
    assert one.family in FAMILIES
    assert one.difficulty in ("easy", "medium", "hard", "deep")
    assert set(one.deployments) <= {"collapsed", "classic"} and one.deployments
    if one.equivalent:
        assert not one.breaks and len(one.equivalent) > 20
    else:
        assert one.breaks and set(one.breaks) <= set("AVIDLXPR") and one.oracle


def test_there_are_enough_of_each_sort() -> None:
    real = [one for one in ALL.values() if not one.equivalent]
    assert len(real) >= 60
    assert sum(one.source == "own" for one in real) >= 10
    assert sum("P" in one.breaks for one in real) >= 8
    assert {one.family for one in real} == set(FAMILIES)


def test_every_mutant_can_be_planted_and_found_again_by_its_hash() -> None:
    for name, one in ALL.items():
        parts = plant([one])
        assert parts != CORRECT
        assert find(name, one.source_hash) == [one]
    with pytest.raises(MutantError, match="the plan was made with"):
        find("A01", "another")


def test_two_mutants_of_one_class_are_combined() -> None:
    pair = find("A01+A04")
    acceptor = plant(pair).acceptor
    assert all(issubclass(acceptor, class_) for one in pair for _, class_ in one.classes)
    assert hash_of(pair) != pair[0].source_hash


def test_pairs_are_of_known_mutants_and_one_of_each_is_harmless_alone() -> None:
    for pair in PAIRS:
        mutants = find(pair.ids)
        assert len(mutants) == 2 and pair.why
        assert plant(mutants) != CORRECT


def test_what_waits_is_not_planted() -> None:
    assert not {one.id for one in WAITING} & set(ALL)
    assert all(one.waits_for and one.about for one in WAITING)


def test_a_mutant_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    (mine,) = find(f"{file}:X1")
    assert mine.about == "promises are not kept"
    assert plant([mine]).acceptor is mine.classes[0][1]
    with pytest.raises(MutantError, match="no mutant 'X2'"):
        find(f"{file}:X2")
    with pytest.raises(MutantError, match="no such file"):
        find(f"{tmp_path}/none.py:X1")


def test_the_rule_methods_are_there_and_say_what_they_keep() -> None:
    for place, methods in RULE_METHODS.items():
        for name in methods:
            method = getattr(getattr(CORRECT, place), name, None)
            assert callable(method) and inspect.getdoc(method), f"{place}.{name}"


HEAD = "from paxos_impl.acceptor import Acceptor\nfrom paxos_impl.mutants.registry import mutant\n"
FIRST = (
    '@mutant("X1", "a", rule="r", breaks="A")\nclass One(Acceptor):\n    def may_promise(self, ballot): return True\n'
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + FIRST.replace("may_promise", "may_promisse"), "may_promisse.*did you mean may_promise"),
        (
            HEAD + FIRST.replace("may_promise", "extra(self): pass\n    def may_promisse"),
            r"\(extra, may_promisse\); did you mean may_promise",
        ),
        (HEAD + FIRST + FIRST.replace("X1", "X2"), "X1: its class One is replaced by a later One"),
        (HEAD + FIRST + "One = 3\n", "X1: its class One is replaced by a later One"),
        (
            HEAD + FIRST.replace('="A"', '="A", deployments=("foo",)'),
            r"line 3: X1: deployments=\('foo',\) is not made of",
        ),
        (HEAD + FIRST.replace('="A"', '="A", deployments=()'), r"X1: deployments=\(\) is not made of"),
        *((HEAD + FIRST.replace("X1", id_), f"line 3: the id '{re.escape(id_)}'") for id_ in ("", "A+B", "a:b", "A,B")),
        (HEAD + "\n\nfoo\n", "line 5 cannot be loaded: NameError"),
        (HEAD + "def f():\n    return foo\nf()\n", "line 4 cannot be loaded: NameError"),
        (HEAD + "from json import loads\nloads('')\n", "line 4 cannot be loaded: JSONDecodeError"),
        (HEAD + '@mutant("X1", "a", rule="r", breaks="A")\nclass One(Acceptor): pass\n', "it is empty"),
        (HEAD + FIRST + FIRST.replace("One", "Two"), "two mutants have the id 'X1': One and Two"),
        (HEAD + FIRST.replace("(Acceptor)", ""), "derives from no class"),
        (HEAD + FIRST.replace('@mutant("X1", "a", rule="r", breaks="A")\n', ""), "defines no mutant"),
        (HEAD + FIRST.replace("):\n", "\n", 1), "SyntaxError.*line 4"),
        ("import not_there\n", "ModuleNotFoundError"),
        ("raise SystemExit(4)\n", "SystemExit: 4"),
    ],
)
def test_a_bad_file_is_told_by_its_name_and_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "bad.py"
    file.write_text(text)
    with pytest.raises(MutantError, match=f"bad.py.*{told}"):
        find(f"{file}:X1")


def test_a_bug_may_have_two_classes_and_a_class_two_names(tmp_path: Path) -> None:
    file = tmp_path / "two.py"
    second = FIRST.replace("Acceptor", "Proposer").replace("One", "Two").replace("may_promise", "is_quorum")
    file.write_text(HEAD + "from paxos_impl.proposer import Proposer\n" + FIRST + second + "Kept, One = One, None\n")
    (one,) = find(f"{file}:X1")
    assert [place for place, _ in one.classes] == ["proposer", "acceptor"]


def test_helpers_beside_the_rule_are_allowed(tmp_path: Path) -> None:
    file = tmp_path / "helped.py"
    file.write_text(HEAD + FIRST + "    def helper(self): return 1\n")
    (one,) = find(f"{file}:X1")
    assert one.classes[0][0] == "acceptor"
