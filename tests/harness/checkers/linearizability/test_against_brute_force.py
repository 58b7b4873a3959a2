"""Every engine against the obvious judge: small random histories over all models."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from harness.checkers.linearizability import search
from harness.checkers.linearizability.check import check
from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op
from harness.checkers.linearizability.models import MODELS, AppendList, CasRegister, KeyValue, Model
from tests.harness.checkers.linearizability.conftest import Generator, brute_force, is_legal_order

Asks = Callable[[random.Random, int], tuple[str, Any]]


def ask_few_values(draw: random.Random, i: int) -> tuple[str, Any]:
    f = draw.choice(["read", "write", "cas"])
    return f, {"read": None, "write": draw.randrange(3), "cas": (draw.randrange(3), draw.randrange(3))}[f]


def ask_unique_values(draw: random.Random, i: int) -> tuple[str, Any]:
    f = draw.choice(["read", "read", "write", "cas", "delete"])
    source = draw.choice([None, 0, 1, 2, 3, 4, (("tombstone", 3),)])
    return f, {"read": None, "write": i, "cas": (source, i), "delete": i}[f]


def ask_register(draw: random.Random, i: int) -> tuple[str, Any]:
    f = draw.choice(["read", "write"])
    return f, None if f == "read" else draw.randrange(3)


def ask_transaction(draw: random.Random, i: int) -> tuple[str, Any]:
    f = draw.choice(["read", "txn"])
    kinds = ["read"] if f == "read" else ["read", "write"]
    steps = []
    for key in draw.sample("xy", draw.randrange(1, 3)):
        kind = draw.choice(kinds)
        steps.append((kind, key, draw.randrange(2) if kind == "write" else None))
    return f, tuple(steps)


def ask_appends(draw: random.Random, i: int) -> tuple[str, Any]:
    steps = []
    for key in draw.sample("abx", draw.randrange(1, 3)):
        kind = draw.choice(["read", "append", "append", "write" if key == "x" else "read"])
        steps.append((kind, key, {"read": None, "append": i, "write": (i,)}[kind]))
    return "txn", tuple(steps)


def ask_deletes(draw: random.Random, i: int) -> tuple[str, Any]:
    f = draw.choice(["read", "read", "write", "delete"])
    return f, {"read": None, "write": i, "delete": None}[f]


def ask_lock(draw: random.Random, i: int) -> tuple[str, Any]:
    return draw.choice(["acquire", "release"]), None


def ask_list(draw: random.Random, i: int) -> tuple[str, Any]:
    f = draw.choice(["read", "append"])
    return f, None if f == "read" else i


def ask_set(draw: random.Random, i: int) -> tuple[str, Any]:
    f = draw.choice(["read", "add"])
    return f, None if f == "read" else draw.randrange(4)


def ask_counter(draw: random.Random, i: int) -> tuple[str, Any]:
    f = draw.choice(["read", "add"])
    return f, None if f == "read" else draw.randrange(-1, 3)


def ask_queue(draw: random.Random, i: int) -> tuple[str, Any]:
    f = draw.choice(["enqueue", "dequeue"])
    return f, None if f == "dequeue" else draw.randrange(3)


def ask_text(draw: random.Random, i: int) -> tuple[str, Any]:
    f = draw.choice(["read", "read", "append", "write"])
    return f, None if f == "read" else draw.choice("abc")


CASES: list[tuple[str, Asks]] = [
    ("register", ask_register),
    ("cas-register", ask_few_values),
    ("cas-register", ask_unique_values),
    ("kv", ask_list),
    ("kv", ask_deletes),
    ("multi-register", ask_transaction),
    ("multi-register", ask_appends),
    ("mutex", ask_lock),
    ("append-list", ask_list),
    ("set", ask_set),
    ("counter", ask_counter),
    ("fifo-queue", ask_queue),
    ("unordered-queue", ask_queue),
    ("text", ask_text),
]


def compare(model: Model, asks: Asks, seed: int, histories: int) -> tuple[int, int]:
    """(legal, illegal) among the histories; fails at the first that an engine judges wrongly."""
    generator = Generator(seed)
    tally = {True: 0, False: 0}
    for number in range(histories):
        ops = generator.history(model, asks)
        expected = brute_force(ops, model)
        tally[expected] += 1
        for engine in ("auto", "search"):
            result = check(History(ops), model, engine=engine, certify=True)  # type: ignore[arg-type]
            assert result.legal is expected, (number, engine, result.sentence, ops)
            if result.certificate is not None:
                assert is_legal_order(result.certificate, ops, model), (number, ops, result.certificate)
            assert len(result.ops) <= 6
    return tally[True], tally[False]


@pytest.mark.parametrize(("name", "asks"), CASES)
def test_a_few_histories_of_every_model(name: str, asks: Asks) -> None:
    legal, illegal = compare(MODELS[name](), asks, 1, 400)
    assert legal > 20
    assert illegal > 10


@pytest.mark.slow
@pytest.mark.parametrize(("name", "asks"), CASES)
def test_many_histories_of_every_model(name: str, asks: Asks) -> None:
    compare(MODELS[name](), asks, 2, 15_000)


def test_zones_judge_most_unambiguous_histories_alone() -> None:
    """Otherwise the comparison above would be of the search with itself."""
    generator = Generator(3)
    model = CasRegister()
    alone = sum(
        check(History(generator.history(model, ask_unique_values)), model).engine == "zones" for _ in range(300)
    )
    assert alone > 250
    model = KeyValue()
    alone = sum(check(History(generator.history(model, ask_list)), model).engine == "zones" for _ in range(300))
    assert alone > 250


def test_several_keys_are_judged_at_once() -> None:
    generator = Generator(4)
    model = CasRegister()
    for _ in range(200):
        parts = [generator.history(model, ask_unique_values, 5) for _ in range(3)]
        for key, part in enumerate(parts):
            for op in part:
                op.key = key
        ops = [op for part in parts for op in part]
        result = check(History(ops), model, certify=True)
        assert result.legal is all(brute_force(part, model) for part in parts)
        if result.legal and result.certificate is not None:
            assert is_legal_order(result.certificate, ops, model)


@pytest.mark.parametrize("asks", [ask_few_values, ask_unique_values])
def test_a_first_value_that_is_not_known(asks: Asks) -> None:
    """Legal if it is with some first value: one that was seen, or another."""
    generator = Generator(5)
    legal = {True: 0, False: 0}
    for number in range(500):
        ops = generator.history(CasRegister(generator.random.choice([None, 0, 1])), asks)
        seen = {op.result for op in ops if op.f == "read"} | {op.value[0] for op in ops if op.f == "cas"}
        seen |= {op.result[1] for op in ops if op.f == "cas" and not op.pending}
        expected = any(brute_force(ops, CasRegister(first)) for first in [*(seen - {UNKNOWN}), "another"])
        legal[expected] += 1
        for engine in ("auto", "search"):
            result = check(History(ops), CasRegister(UNKNOWN), engine=engine)  # type: ignore[arg-type]
            assert result.legal is expected, (number, engine, result.sentence, ops)
    assert min(legal.values()) > 10


@pytest.mark.parametrize("engine", ["auto", "search"])
def test_pending_compare_and_sets_that_need_each_other(engine: Any) -> None:
    """Neither has to have happened: legal."""
    ops = [
        Op(0, 0, "cas", "k", (3, 2), UNKNOWN, 0, NEVER),
        Op(1, 1, "write", "k", 1, None, 1, 2),
        Op(2, 2, "cas", "k", (2, 3), UNKNOWN, 3, NEVER),
    ]
    assert check(History(ops), CasRegister(), engine=engine).legal is True


def test_a_budget_that_is_spent_gives_no_verdict() -> None:
    ops = [Op(i, i, "write", "k", i % 3, None, i, 100 + i) for i in range(12)]
    ops += [Op(20 + i, 20 + i, "read", "k", None, i % 3, 200 + 2 * i, 201 + 2 * i) for i in range(3)]
    result = check(History(ops), CasRegister(), engine="search", steps=10)
    assert result.legal is None
    assert "give it more" in result.sentence
    assert check(History(ops), CasRegister(), engine="search").legal is not None


@pytest.mark.parametrize(("name", "asks"), CASES)
def test_a_small_budget_never_gives_a_wrong_verdict(name: str, asks: Asks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the search has to forget: states while nothing is in flight, and what it tried."""
    monkeypatch.setattr(search, "FORGET_STATES", 2)
    monkeypatch.setattr(search, "WIDTH", 2)
    generator = Generator(6)
    model = MODELS[name]()
    verdicts = {True: 0, False: 0, None: 0}
    for number in range(200):
        ops = generator.history(model, asks)
        steps, most = generator.random.choice([(3, 100), (1000, 3), (1000, 8), (1000, 1000)])
        result = check(History(ops), model, engine="search", steps=steps, configurations=most)
        verdicts[result.legal] += 1
        assert result.legal in (None, brute_force(ops, model)), (number, ops)
    assert verdicts[None] < 200 > verdicts[True] > 0


def test_states_are_forgotten_while_nothing_is_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a list that grows would need memory by the square of its length."""
    monkeypatch.setattr(search, "FORGET_STATES", 10)
    kept: list[int] = []
    alone = search._Search.alone

    def watched(run: search._Search, position: int) -> bool:
        kept.append(len(run.states))
        return alone(run, position)

    monkeypatch.setattr(search._Search, "alone", watched)
    ops = [Op(i, 0, "append", "k", i % 5, None, 2 * i, 2 * i + 1) for i in range(200)]
    assert check(History(ops), AppendList(), engine="search").legal is True
    assert max(kept) <= 12


@pytest.mark.parametrize(("model", "asks"), [(CasRegister(), ask_few_values), (MODELS["text"](), ask_text)])
def test_no_legal_history_has_an_illegal_part_from_a_write_on(model: Model, asks: Asks) -> None:
    generator = Generator(6)
    told = 0
    for _ in range(300):
        ops = sorted(generator.history(model, asks, 9), key=lambda op: op.call)
        legal = brute_force(ops, model)
        for time in {op.ret for op in ops if not op.pending}:
            found, _ = search._by_window(ops, model, time, 10_000, 10_000)
            assert found is None or not legal, (ops, found)
            told += found is not None
    assert told > 5
