"""Longer histories: legal ones accepted by every engine, and the same with one answer changed caught by all or by none."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers.linearizability import search
from harness.checkers.linearizability.check import check
from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op
from harness.checkers.linearizability.models import CasRegister
from tests.harness.checkers.linearizability.conftest import brute_force


def legal(draw: random.Random, count: int, clients: int, keys: int, *, unique: bool) -> list[Op]:
    """Clients that take turns at random; a value is written once, or is one of three."""
    ops: list[Op] = []
    busy: dict[int, tuple[Op, bool]] = {}
    state: dict[int, Any] = {}
    clock = 0
    while len(ops) < count or busy:
        clock += 1
        client = draw.randrange(clients) if len(ops) < count else draw.choice(list(busy))
        if client not in busy:
            value = len(ops) if unique else draw.randrange(3)
            key = draw.randrange(keys)
            f = draw.choice(["read", "read", "write", "cas"])
            asked = {"read": None, "write": value, "cas": (state.get(key), value)}[f]
            op = Op(len(ops), client, f, key, asked, UNKNOWN, clock)
            ops.append(op)
            busy[client] = (op, False)
            continue
        op, done = busy[client]
        if not done:
            if op.f == "read":
                op.result = state.get(op.key)
            elif op.f == "write":
                op.result, state[op.key] = None, op.value
            else:
                fits = state.get(op.key) == op.value[0]
                op.result = (fits, None if fits else state.get(op.key))
                state[op.key] = op.value[1] if fits else state.get(op.key)
            busy[client] = (op, True)
            continue
        del busy[client]
        if draw.random() < 0.05:
            op.result = UNKNOWN
        else:
            op.ret = clock
    return ops


def corrupt(draw: random.Random, ops: list[Op]) -> list[Op]:
    """The history with one read changed to a value that occurs in it."""
    reads = [n for n, op in enumerate(ops) if op.f == "read" and not op.pending]
    if not reads:
        return ops
    at = draw.choice(reads)
    old = ops[at]
    values = [None] + [op.value for op in ops if op.f == "write" and op.key == old.key]
    return [
        *ops[:at],
        Op(old.index, old.process, "read", old.key, None, draw.choice(values), old.call, old.ret),
        *ops[at + 1 :],
    ]


def verdicts(ops: list[Op]) -> set[bool | None]:
    return {check(History(ops), CasRegister(), engine=engine).legal for engine in ("auto", "search")}  # type: ignore[arg-type]


@pytest.mark.parametrize("unique", [True, False])
def test_longer_histories_that_are_legal(unique: bool) -> None:
    draw = random.Random(1)
    for _ in range(30):
        assert verdicts(legal(draw, 120, 6, 3, unique=unique)) == {True}


def ambiguous(draw: random.Random) -> list[Op]:
    """Up to 18 operations of up to 8 clients over three values, many of them without an answer, some bent."""
    ops = legal(draw, draw.choice((6, 8, 12, 16, 18)), draw.choice((3, 4, 6, 8)), 1, unique=False)
    for op in ops:
        if draw.random() < 0.1:
            op.ret, op.result = NEVER, UNKNOWN
        if op.f == "cas" and not op.pending and not op.result[0] and draw.random() < 0.3:
            op.result = (False, UNKNOWN)
    bent = draw.choice(ops)
    if not bent.pending and draw.random() < 0.6:
        if bent.f == "read":
            bent.result = draw.randrange(3)
        else:
            bent.ret += draw.randrange(9)
    return ops


def compare_ambiguous(seeds: range) -> None:
    for seed in seeds:
        ops = ambiguous(random.Random(seed))
        assert check(History(ops), CasRegister(), engine="search").legal is brute_force(ops, CasRegister()), seed


@pytest.mark.parametrize("width", [1, 3, search.WIDTH])
def test_ambiguous_histories_of_a_dozen_operations(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """A narrow search has to come back often, and must come to the same verdict."""
    monkeypatch.setattr(search, "WIDTH", width)
    compare_ambiguous(range(400))


@pytest.mark.slow
@pytest.mark.parametrize("width", [2, search.WIDTH])
def test_many_ambiguous_histories_of_a_dozen_operations(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Short histories hide mistakes in the prunings: several writes of one value in flight are needed."""
    monkeypatch.setattr(search, "WIDTH", width)
    compare_ambiguous(range(1000, 16_000))


@pytest.mark.parametrize(
    "ops",
    [
        # A write that leaves the state as it is must be able to take effect before a compare-and-set.
        [
            Op(0, 3, "cas", "k", (None, 0), (True, None), 1, 2),
            Op(1, 1, "cas", "k", (0, 1), (True, None), 16, 29),
            Op(2, 0, "write", "k", 0, None, 19, 31),
            Op(3, 3, "read", "k", None, 0, 21, 24),
            Op(4, 0, "read", "k", None, 1, 33, 36),
        ],
        # A write hides in front of one that leaves the state as it is.
        [
            Op(0, 0, "write", "k", 0, None, 1, 2),
            Op(1, 0, "write", "k", 0, None, 10, 17),
            Op(2, 1, "cas", "k", (0, 1), (True, None), 11, 16),
            Op(3, 2, "write", "k", 2, None, 12, 18),
            Op(4, 2, "cas", "k", (1, 2), (True, None), 19, 21),
        ],
        # The same with a pending one.
        [
            Op(0, 1, "write", "k", 1, UNKNOWN, 8, NEVER),
            Op(1, 3, "cas", "k", (None, 1), (True, None), 10, 22),
            Op(2, 0, "write", "k", 2, None, 12, 23),
            Op(3, 2, "cas", "k", (1, 0), (True, None), 16, 18),
            Op(4, 3, "read", "k", None, 0, 24, 30),
        ],
    ],
)
def test_writes_that_hide(ops: list[Op]) -> None:
    assert brute_force(ops, CasRegister())
    assert check(History(ops), CasRegister(), engine="search").legal is True


@pytest.mark.slow
def test_a_thousand_legal_histories_each_changed_in_one_place() -> None:
    """Zones and search agree on each; short ones are also tried by brute force."""
    draw = random.Random(2)
    caught = 0
    for number in range(1000):
        short = number % 2 == 0
        ops = corrupt(draw, legal(draw, 9 if short else 60, 4, 2, unique=True))
        found = verdicts(ops)
        assert len(found) == 1
        if short:
            expected = all(brute_force([op for op in ops if op.key == key], CasRegister()) for key in (0, 1))
            assert found == {expected}
        caught += found == {False}
    assert caught > 300


times = st.integers(0, 20)
operations = st.builds(
    lambda index, call, length, f, value, expected, seen, pending: Op(
        index,
        index,
        f,
        "k",
        {"read": None, "write": value, "cas": (expected, value)}[f],
        UNKNOWN if pending else {"read": seen, "write": None, "cas": (seen is None, seen)}[f],
        call,
        NEVER if pending else call + length,
    ),
    st.integers(0, 1000),
    times,
    times,
    st.sampled_from(["read", "write", "cas"]),
    st.integers(0, 4),
    st.sampled_from([None, 0, 1, 2]),
    st.sampled_from([None, 0, 1, 2]),
    st.booleans(),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(operations, max_size=6, unique_by=lambda op: op.index))
def test_any_small_history_is_judged_as_by_brute_force(ops: list[Op]) -> None:
    assert verdicts(ops) == {brute_force(ops, CasRegister())}
