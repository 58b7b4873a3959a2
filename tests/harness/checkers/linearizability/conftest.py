"""Random small histories over every model, and the slow but obvious way to judge them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from harness.checkers.linearizability.history import NEVER, UNKNOWN, Op
from harness.checkers.linearizability.models import Illegal, Model


def brute_force(ops: list[Op], model: Model) -> bool:
    """Try every order that real time permits; pending operations may be left out."""
    count = len(ops)
    dead: set[tuple[int, Any]] = set()

    def go(done: int, state: Any) -> bool:
        rest = [i for i in range(count) if not done >> i & 1]
        if all(ops[i].pending for i in rest):
            return True
        if (done, state) in dead:
            return False
        soonest = min(ops[i].ret for i in rest)
        for i in rest:
            if ops[i].call <= soonest:
                after = model.step(state, ops[i])
                if not isinstance(after, Illegal) and go(done | 1 << i, after):
                    return True
        dead.add((done, state))
        return False

    return go(0, model.init)


def is_legal_order(order: list[Op], ops: list[Op], model: Model) -> bool:
    """Whether a certificate holds: everything completed is in it, real time is kept, the model agrees. By key."""
    if {id(op) for op in ops if not op.pending} - {id(op) for op in order}:
        return False
    states: dict[Any, Any] = {}
    latest: dict[Any, int] = {}
    for op in order:
        if op.ret < latest.get(op.key, -1):
            return False
        latest[op.key] = max(latest.get(op.key, -1), op.call)
        after = model.step(states.get(op.key, model.init), op)
        if isinstance(after, Illegal):
            return False
        states[op.key] = after
    return True


class Generator:
    """Random histories of one key. Half are legal by construction, then some are bent in one place."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def intervals(self, count: int) -> list[tuple[int, int]]:
        spread = self.random.choice([2, 4, 8])
        ends = []
        for i in range(count):
            call = 2 * i + self.random.randrange(spread)
            ends.append((call, call + self.random.randrange(1, 2 * spread)))
        return ends

    def history(self, model: Model, asks: Callable[[random.Random, int], tuple[str, Any]], most: int = 7) -> list[Op]:
        draw = self.random
        ends = self.intervals(draw.randrange(1, most + 1))
        points = sorted(range(len(ends)), key=lambda i: draw.uniform(*ends[i]))
        ops = [Op(i, i, *asks(draw, i)[:1], None, None, None, *ends[i]) for i in range(len(ends))]
        for i, op in enumerate(ops):
            op.f, op.value = asks(draw, i)
        state = model.init
        for i in points:
            op = ops[i]
            op.result, state = answer(model, state, op)
        for op in ops:
            if draw.random() < 0.2:
                op.ret, op.result = NEVER, UNKNOWN
        for _ in range(draw.randrange(3)):
            self.bend(ops)
        return [op for op in ops if not (op.pending and draw.random() < 0.3)]

    def bend(self, ops: list[Op]) -> None:
        draw = self.random
        op = draw.choice(ops)
        if draw.random() < 0.3:
            op.call, op.ret = op.call + 5, op.ret + 5 if not op.pending else NEVER
            return
        same = [other for other in ops if other.f == op.f and not other.pending]
        if not op.pending and same:
            op.result = draw.choice(same).result


def answer(model: Model, state: Any, op: Op) -> tuple[Any, Any]:
    """(what the object answers, state after)."""
    if op.f == "read" and model.name == "multi-register":
        found = dict(state)
        return tuple(("read", key, found.get(key)) for _, key, _ in op.value), state
    if op.f == "txn":
        found, steps = dict(state), []
        for f, key, value in op.value:
            if f == "write":
                found[key] = value
            elif f == "append":
                found[key] = (*(found.get(key) or ()), value)
            steps.append((f, key, value if f == "append" else found.get(key)))
        return tuple(steps), frozenset(found.items())
    if op.f == "read":
        return (state if not isinstance(state, frozenset) else tuple(sorted(state))), state
    if op.f == "cas":
        fits = state == op.value[0]
        return (fits, None if fits else state), op.value[1] if fits else state
    if op.f == "dequeue":
        return dequeue(state)
    op.result = UNKNOWN
    after = model.step(state, op)
    if isinstance(after, Illegal):
        return None, state
    return (len(after) if op.f == "append" else None), after


def dequeue(state: Any) -> tuple[Any, Any]:
    """(value, queue after) of a queue in order, or of a bag of values with their counts."""
    if not state:
        return None, state
    if isinstance(state, tuple):
        return state[0], state[1:]
    value, count = min(state)
    rest = state - {(value, count)}
    return value, rest | {(value, count - 1)} if count > 1 else rest


@pytest.fixture
def generator() -> Generator:
    return Generator(1)
