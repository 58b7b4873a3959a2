"""The hash of a bug of one's own tells whether it is still the same: by all it rests on in its file, and nothing else of it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from paxos_impl.mutants.registry import find
from paxos_impl.mutants.source import text_of

OWN = '''"""Says nothing."""

import functools
from paxos_impl.acceptor import Acceptor
from paxos_impl.mutants.registry import mutant

SECRET = 7  # of the helper
OTHER: int = 8

def cached(function):
    return functools.cache(function)

@cached
def helper():
    return SECRET

class Between(Acceptor):
    pass

@mutant("X1", "-", rule="-", breaks="A")
class One(Between):
    def may_promise(self, ballot):
        return helper()

@mutant("X2", "-", rule="-", breaks="A")
class Two(Acceptor):
    def may_promise(self, ballot):
        return OTHER

def made(how):
    @mutant(f"M{how}", "-", rule="-", breaks="A")
    class Made(Acceptor):
        def may_promise(self, ballot):
            return how
    return Made

Three = made(3)
Four = made(4)
'''


def hashes(tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "own.py").write_text(text)
    return {name: find(f"{tmp_path / 'own.py'}:{name}")[0].source_hash for name in ("X1", "X2", "M3", "M4")}


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("return helper()", "return not helper()", {"X1"}),
        ("SECRET = 7", "SECRET = 8", {"X1"}),
        ("@cached\n", "", {"X1"}),
        ("functools.cache(function)", "function", {"X1"}),
        ("class Between(Acceptor):\n    pass", "class Between(Acceptor):\n    quorum_size = 1", {"X1"}),
        ("OTHER: int = 8", "OTHER: int = 9", {"X2"}),
        ("return how", "return not how", {"M3", "M4"}),
        ("Four = made(4)", "Four = made(4)\nUnused = 5", set()),
        ("Says nothing.", "Says something.", set()),
        ("import functools", "import functools, os", set()),
        ("Three = ", "Acceptor.role = 'acceptor'\nThree = ", {"X1", "X2", "M3", "M4"}),
        ("Three = ", "if SECRET == 7:\n    Acceptor.role = 'acceptor'\nThree = ", {"X1", "X2", "M3", "M4"}),
    ],
)
def test_a_change_counts_for_the_bugs_that_rest_on_it(tmp_path: Path, old: str, new: str, changed: set[str]) -> None:
    before, after = hashes(tmp_path, OWN), hashes(tmp_path, OWN.replace(old, new, 1))
    assert OWN.count(old) >= 1
    assert {name for name in before if before[name] != after[name]} == changed


def test_bugs_of_one_maker_are_told_apart(tmp_path: Path) -> None:
    assert len(set(hashes(tmp_path, OWN).values())) == 4


def test_of_a_bug_of_the_project_the_text_of_its_classes_counts() -> None:
    (one,) = find("A01")
    assert text_of((one.classes[0][1],)) == inspect.getsource(one.classes[0][1])
