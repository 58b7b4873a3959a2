"""A decided log as the order: accepted and rejected as by trying every order that keeps it."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from harness.checkers.linearizability.encode import Encoded, encode
from harness.checkers.linearizability.history import NEVER, UNKNOWN, Op
from harness.checkers.linearizability.models import CasRegister, Illegal
from harness.checkers.linearizability.witness import ABSENT, LOCAL, check_witness


def brute_force(ops: list[Op], place: list[int]) -> bool:
    """Try every order of the operations that keeps the log's and real time."""
    taking_part = [i for i in range(len(ops)) if place[i] != ABSENT]
    if any(not ops[i].pending and place[i] == ABSENT for i in range(len(ops))):
        return False
    for order in itertools.permutations(taking_part):
        logged = [place[i] for i in order if place[i] >= 0]
        if logged != sorted(logged) or len(set(logged)) < len(logged):
            continue
        if any(ops[b].ret < ops[a].call for n, a in enumerate(order) for b in order[n + 1 :]):
            continue
        states = dict.fromkeys({op.key for op in ops}, None)
        for i in order:
            after = CasRegister().step(states[ops[i].key], ops[i])
            if isinstance(after, Illegal):
                break
            states[ops[i].key] = after
        else:
            return True
    return False


def example(draw: random.Random) -> tuple[list[Op], list[int]]:
    """A history of up to two keys, most of it in a log, in the order of its points more often than not."""
    count = draw.randrange(1, 7)
    ops = []
    for i in range(count):
        call = 2 * i + draw.randrange(6)
        f = draw.choice(["read", "read", "write", "cas"])
        value = {"read": None, "write": i, "cas": (draw.choice([None, *range(6)]), i)}[f]
        ops.append(Op(i, i, f, draw.randrange(2), value, None, call, call + draw.randrange(1, 8)))
    point = {op.index: draw.uniform(op.call, op.ret) for op in ops}
    states: dict[int, object] = {}
    for op in sorted(ops, key=lambda op: point[op.index]):
        if op.f == "read":
            op.result = states.get(op.key)
            if draw.random() < 0.15:
                op.result = draw.choice([None, *(o.index for o in ops if o.f == "write")])
        elif op.f == "cas":
            if states.get(op.key) == op.value[0]:
                op.result, states[op.key] = (True, None), op.value[1]
            else:
                op.result = (False, states.get(op.key))
        else:
            states[op.key] = op.value
    place = [0] * count
    for number, op in enumerate(sorted(ops, key=lambda op: point[op.index] + (draw.random() < 0.1) * 4)):
        place[op.index] = number
        if op.f == "read" and draw.random() < 0.4:
            place[op.index] = LOCAL
        if op.f != "read" and draw.random() < 0.2:
            op.ret, op.result = NEVER, UNKNOWN
            if draw.random() < 0.5:
                place[op.index] = ABSENT
        elif draw.random() < 0.03:
            place[op.index] = ABSENT
    return ops, place


def columns_of(ops: list[Op], place: list[int]) -> tuple[Encoded, np.typing.NDArray[np.int64]]:
    encoded = encode(ops, None)
    return encoded, np.array([place[op.index] for op in encoded.ops], np.int64)


def test_small_logs_are_judged_as_by_brute_force() -> None:
    draw = random.Random(5)
    tally = {True: 0, False: 0}
    for number in range(3000):
        ops, place = example(draw)
        encoded, places = columns_of(ops, place)
        if encoded.unsuitable or encoded.findings or len(encoded.ops) < len(ops):
            continue
        expected = brute_force(ops, place)
        tally[expected] += 1
        found = check_witness(encoded.columns, places)
        assert (found is None) is expected, (number, found, ops, place)
    assert tally[True] > 300
    assert tally[False] > 300


@pytest.mark.parametrize(
    ("place", "rule"),
    [
        ([0, 1], None),
        ([0, LOCAL], None),
        ([1, 0], "real-time-order"),
        ([0, 0], "two-at-one-place"),
        ([ABSENT, 0], "answer-without-place"),
    ],
)
def test_a_write_and_a_later_read(place: list[int], rule: str | None) -> None:
    ops = [Op(0, 0, "write", "k", 7, None, 0, 1), Op(1, 1, "read", "k", None, 7, 2, 3)]
    encoded, places = columns_of(ops, place)
    found = check_witness(encoded.columns, places)
    assert (found.rule if found else None) == rule


def test_a_stale_local_read() -> None:
    ops = [
        Op(0, 0, "write", "k", 7, None, 0, 1),
        Op(1, 0, "write", "k", 8, None, 2, 3),
        Op(2, 1, "read", "k", None, 7, 4, 5),
    ]
    encoded, places = columns_of(ops, [0, 1, LOCAL])
    found = check_witness(encoded.columns, places)
    assert found is not None
    assert found.rule == "local-read"
    encoded, places = columns_of([*ops[:2], Op(2, 1, "read", "k", None, 7, 2, 5)], [0, 1, LOCAL])
    assert check_witness(encoded.columns, places) is None
