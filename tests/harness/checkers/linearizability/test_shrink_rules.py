"""What shrinking may leave out: no rule makes a legal history illegal."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from harness.checkers.linearizability.history import UNKNOWN, Op
from harness.checkers.linearizability.models import CasRegister, Model, Text
from harness.checkers.linearizability.shrink import (
    _blind_changes,
    _never_applied,
    _queries,
    _unseen_sets,
)
from harness.checkers.linearizability.windows import from_write
from tests.harness.checkers.linearizability.conftest import Generator, brute_force
from tests.harness.checkers.linearizability.test_against_brute_force import ask_few_values, ask_text

Rule = Callable[[list[Op], Model, random.Random], list[Op]]


def without(ops: list[Op], indexes: set[int]) -> list[Op]:
    return [op for op in ops if op.index not in indexes]


def some(indexes: set[int], draw: random.Random) -> set[int]:
    return {index for index in indexes if draw.random() < 0.6}


def replace(ops: list[Op], model: Model, draw: random.Random) -> list[Op]:
    writes = [op for op in ops if op.f in model.overwrites and not op.pending]
    return from_write(draw.choice(writes), ops, model) if writes else ops


RULES: dict[str, Rule] = {
    "replaced by a write": replace,
    "changes nothing": lambda ops, model, draw: without(ops, some(_queries(model)(ops), draw)),
    "nobody looked": lambda ops, model, draw: without(ops, some(_blind_changes(model)(ops), draw)),
    "leads to nothing seen": lambda ops, model, draw: without(ops, _unseen_sets(ops, model)),
    "never applied": lambda ops, model, draw: without(ops, some(_never_applied(model)(ops), draw)),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_legal_history_stays_legal(rule: str) -> None:
    generator, draw, used = Generator(7), random.Random(8), 0
    for number in range(3000):
        ops = generator.history(CasRegister(), ask_few_values)
        for op in ops:
            if op.f == "cas" and not op.pending and not op.result[0] and draw.random() < 0.5:
                op.result = (False, UNKNOWN)  # as in a log that does not tell what was found
        if not brute_force(ops, CasRegister()):
            continue
        smaller = RULES[rule](ops, CasRegister(), draw)
        assert brute_force(smaller, CasRegister()), (number, ops, smaller)
        used += len(smaller) < len(ops)
    assert used > 50, used


def test_a_legal_text_stays_legal() -> None:
    generator, draw, used = Generator(9), random.Random(10), 0
    for number in range(2000):
        ops = generator.history(Text(), ask_text)
        if brute_force(ops, Text()):
            smaller = replace(ops, Text(), draw)
            assert brute_force(smaller, Text()), (number, ops, smaller)
            used += len(smaller) < len(ops)
    assert used > 50, used
