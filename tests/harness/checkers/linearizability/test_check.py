"""What the checker says of histories one can read: verdict, rule, operations, reasons."""

from __future__ import annotations

import random
from typing import Any

import pytest

from harness.checkers.linearizability import search
from harness.checkers.linearizability.check import Result, check, find_mistake, relaxed
from harness.checkers.linearizability.history import NEVER, UNKNOWN, History, Op, freeze, show, show_value
from harness.checkers.linearizability.models import (
    AppendList,
    CasRegister,
    Illegal,
    KeyValue,
    Model,
    MultiRegister,
    Register,
    SetModel,
    Text,
)
from harness.checkers.linearizability.outcome import to_check_result
from harness.checkers.linearizability.shrink import condensed, shrink
from harness.results import Verdict


def op(f: str, asked: Any, result: Any, call: int, ret: int = NEVER, key: Any = "k", process: int = 0) -> Op:
    return Op(call, process, f, key, asked, result, call, ret)


def write(value: Any, call: int, ret: int = NEVER, **more: Any) -> Op:
    return op("write", value, None if ret < NEVER else UNKNOWN, call, ret, **more)


def read(value: Any, call: int, ret: int, **more: Any) -> Op:
    return op("read", None, value, call, ret, **more)


def add(value: Any, call: int, ret: int = NEVER) -> Op:
    return op("add", value, None if ret < NEVER else UNKNOWN, call, ret)


def cas(expected: Any, new: Any, call: int, ret: int = NEVER, result: Any = (True, None)) -> Op:
    return op("cas", (expected, new), result if ret < NEVER else UNKNOWN, call, ret)


def judge(*ops: Op, failed: tuple[Op, ...] = (), model: Model | None = None) -> Result:
    return check(History(list(ops), list(failed)), model or CasRegister(), certify=True)


def test_a_register_read_while_it_is_written() -> None:
    result = judge(write(1, 0, 10), read(None, 1, 2), read(1, 3, 4))
    assert result.legal is True
    assert result.certificate is not None
    assert [one.f for one in result.certificate] == ["read", "write", "read"]


@pytest.mark.parametrize(
    ("ops", "rule"),
    [
        ([write(1, 0, 1), read(2, 2, 3)], "phantom-read"),
        ([read(1, 0, 1), write(1, 2, 3)], "read-from-future"),
        ([write(1, 0, 1), read(None, 2, 3)], "stale-value"),
        ([write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)], "stale-value"),
        (
            [write(1, 0, 9), write(2, 0, 9), *(read(1 + i % 2, 2 * i + 1, 2 * i + 2) for i in range(4))],
            "overlapping-values",
        ),
        ([write(1, 0, 1), cas(1, 2, 2, 3), cas(1, 3, 2, 3)], "consumed-twice"),
        ([cas(7, 2, 2, 3)], "phantom-source"),
        ([write(1, 0, 1), cas(1, 2, 2, 3), read(1, 4, 5)], "chain-order"),
        ([cas(1, 2, 0, 9), cas(2, 1, 0, 9)], "source-cycle"),
        ([write(1, 0, 1), cas(1, 2, 2, 3, (False, 1))], "failed-on-a-match"),
    ],
)
def test_each_way_to_break_a_register(ops: list[Op], rule: str) -> None:
    result = judge(*ops)
    assert result.legal is False
    assert result.rule == rule
    assert 1 <= len(result.ops) <= 6
    assert result.sentence
    assert judge(*result.ops).legal is False, "the operations named must be enough to force the violation"


def append(value: Any, call: int, ret: int = NEVER) -> Op:
    return op("append", value, UNKNOWN, call, ret)


@pytest.mark.parametrize("model", [AppendList, Text])
@pytest.mark.parametrize(
    ("texts", "rule", "told"),
    [
        (["a", "ab"], "stale-list", "it does not hold b"),
        (["ab", "a"], "stale-list", "it does not hold b"),
        (["ba"], "append-order", "what was read holds the values in this order"),
    ],
)
def test_a_read_without_what_was_there_is_told_from_values_in_the_wrong_order(
    model: type[Model], texts: list[str], rule: str, told: str
) -> None:
    reads = [read(text if model is Text else tuple(text), 4 + 2 * i, 5 + 2 * i) for i, text in enumerate(texts)]
    result = judge(append("a", 0, 1), append("b", 2, 3), *reads, model=model())
    assert result.legal is False
    assert result.rule == rule
    assert any(told in reason for reason in result.because), result.because
    assert judge(*result.ops, model=model()).legal is False


def test_a_text_is_shown_so_that_its_ends_can_be_seen() -> None:
    assert show(append("x 1 y", 0, 1)) == 'append k "x 1 y" by client 0'
    assert show(read("", 0, 1)) == 'read k -> "" by client 0'
    assert show(read(None, 0, 1)) == "read k -> nothing by client 0"
    assert show(read("x", 0, 1)) == "read k -> x by client 0"


def test_a_pending_write_may_have_happened_late_or_never() -> None:
    assert judge(write(1, 0, 1), write(2, 2), read(1, 3, 4), read(2, 5, 6)).legal is True
    assert judge(write(1, 0, 1), write(2, 2), read(1, 3, 4), read(1, 5, 6)).legal is True
    assert judge(write(1, 0, 1), write(2, 2), read(2, 3, 4), read(1, 5, 6)).legal is False


def test_equal_times_are_concurrent() -> None:
    assert judge(write(1, 0, 1), write(2, 1, 2), read(1, 3, 4)).legal is True
    assert judge(write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)).legal is False


def test_reading_nothing_is_strict() -> None:
    assert judge(write(1, 0, 1), read(None, 2, 3)).legal is False
    assert judge(write(1, 0, 1), op("read", None, UNKNOWN, 2, 3)).legal is True


def test_a_first_value_that_is_not_known() -> None:
    model = CasRegister()
    model.init = UNKNOWN
    assert judge(read(5, 0, 1), write(1, 2, 3), read(1, 4, 5), model=model).legal is True
    assert judge(read(5, 0, 1), read(6, 2, 3), model=model).legal is False
    assert check(History([read(5, 0, 1), read(6, 2, 3)]), model, engine="search").legal is False
    assert check(History([read(5, 0, 1), cas(5, 6, 2, 3), read(6, 4, 5)]), model, engine="search").legal is True


def test_deletes_leave_a_tombstone_of_their_own() -> None:
    dead = (("tombstone", "d1"),)
    ops = [write("a", 0, 1), op("delete", "d1", None, 2, 3), read(dead, 4, 5)]
    assert judge(*ops, model=KeyValue()).legal is True
    assert judge(*ops[:2], read((("tombstone", "d2"),), 4, 5), model=KeyValue()).rule == "phantom-read"


@pytest.mark.parametrize(
    ("ops", "rule"),
    [
        ([add(1, 0, 1), read((), 2, 3)], "lost-element"),
        ([read((1,), 0, 1), add(1, 2, 3)], "read-from-future"),
        ([add(1, 0, 9), read((1,), 1, 2), read((), 3, 4)], "lost-element"),
        ([add(1, 0, 9), add(2, 0, 9), read((1,), 1, 8), read((2,), 1, 8)], "forked-sets"),
        ([add(1, 0, 1), add(2, 2, 3), read((2,), 0, 9)], "lost-element"),
        ([read((7,), 0, 1)], "phantom-read"),
        ([add(7, 0, 1), read((7, 7), 2, 3)], "twice-in-set"),
    ],
)
def test_each_way_to_break_a_set(ops: list[Op], rule: str) -> None:
    result = judge(*ops, model=SetModel())
    assert (result.legal, result.rule, result.engine) == (False, rule, "levels")
    assert judge(*result.ops, model=SetModel()).legal is False
    assert check(History(ops), SetModel(), engine="search").legal is False


def test_many_that_add_to_a_set_at_once() -> None:
    """The search would look at every subset."""
    ops = [add(n, n, 1000 + n) for n in range(300)] + [add(-1, 5)]
    ops += [read(tuple(range(0, 300, 3)), 100 + n, 900 + n) for n in range(50)]
    assert judge(*ops, read(range(300), 2000, 2001), model=SetModel()).legal is True
    assert judge(*ops, read(range(299), 2000, 2001), model=SetModel()).rule == "lost-element"


@pytest.mark.parametrize(
    ("texts", "legal"),
    [
        (["", "aa", "aabb", "aabbcc"], True),
        (["aabbcc", "aabb"], False),
        (["ww", "wwbb"], True),
        (["bbww"], False),
        (["aabb", "bbaa"], False),
        (["aab"], False),
    ],
)
def test_texts_are_chains(texts: list[str], legal: bool) -> None:
    ops = [
        op("append", 2 * letter, None if letter == "a" else UNKNOWN, 0, 90 if letter == "a" else NEVER)
        for letter in "abc"
    ]
    ops += [op("write", "ww", UNKNOWN, 0)]
    ops += [read(text, 10 + 2 * i, 11 + 2 * i) for i, text in enumerate(texts)]
    result = judge(*ops, model=Text())
    assert (result.legal, result.engine) == (legal, "zones")
    assert check(History(ops), Text(), engine="search").legal is legal


@pytest.mark.parametrize(
    ("contents", "legal"),
    [
        (["a", "ab"], True),
        (["ab", "a"], False),
        (["ab", "ba"], False),
        (["ax"], False),
        (["aa"], False),
        (["b"], False),
    ],
)
def test_lists_that_only_grow(contents: list[str], legal: bool) -> None:
    ops = [op("append", "a", 1, 0, 1), op("append", "b", UNKNOWN, 2)]
    ops += [read(tuple(content), 10 + 2 * i, 11 + 2 * i) for i, content in enumerate(contents)]
    result = judge(*ops, model=KeyValue())
    assert result.legal is legal
    assert result.engine == "zones"


def test_an_append_nobody_saw_fills_a_gap_in_the_lengths() -> None:
    second = op("append", "b", 2, 10, 11)
    assert judge(op("append", "x", UNKNOWN, 0), second, model=KeyValue()).legal is True
    assert judge(op("append", "x", UNKNOWN, 12), second, model=KeyValue()).legal is False
    assert judge(second, model=KeyValue()).rule == "missing-append"


def test_an_explanation_says_why_each_comes_before_the_other() -> None:
    result = judge(write(1, 0, 1, process=4), write(2, 2, 3, process=5), read(1, 4, 5, process=6))
    text = "\n".join(result.because)
    assert "write k 2 by client 5 comes before read k -> 1 by client 6: it returned at event 3" in text
    assert "impossible" in text
    assert "key k" in result.sentence


def test_a_search_tells_the_states_that_were_possible() -> None:
    result = check(History([write(1, 0, 1), write(1, 2, 3), read(2, 4, 5)]), Register())
    assert result.engine == "search"
    assert result.states == ("1",)
    assert "cannot read 2 from a register of 1" in result.because[0]


def test_a_model_of_ones_own() -> None:
    class Counter(Model):
        init = 0

        def step(self, state: Any, op: Op) -> Any:
            if op.f == "add":
                return state + op.value
            if op.result is UNKNOWN or op.result == state:
                return state
            return Illegal(f"cannot read {op.result} from a counter of {state}")

    add = [op("add", 1, None, i, 10 + i, None) for i in range(3)]
    assert check(History([*add, read(2, 5, 6, key=None)]), Counter()).legal is True
    result = check(History([*add, read(2, 20, 21, key=None)]), Counter())
    assert result.legal is False
    assert "from a counter of 3" in result.because[0]


def test_zones_alone_refuse_what_they_cannot_judge() -> None:
    history = History([write(1, 0, 1), write(1, 2, 3)])
    result = check(history, CasRegister(), engine="zones")
    assert result.legal is None
    assert "produced more than once" in result.sentence


def test_a_value_whose_write_failed() -> None:
    failed = write(2, 2, 3)
    result = judge(write(1, 0, 1), read(2, 4, 5), failed=(failed,))
    assert result.rule == "aborted-read"
    assert failed in result.ops


def test_a_timeout_reported_as_a_failure_is_suspected() -> None:
    history = History([write(1, 0, 1), read(2, 4, 5)], [write(9, 1, 2), write(2, 2, 3)])
    mistake = find_mistake(history, CasRegister(), check(history, CasRegister()))
    assert "write k 2" in mistake
    assert "timeout" in mistake
    honest = History([write(1, 0, 1), read(3, 4, 5)], [write(2, 2, 3)])
    assert find_mistake(honest, CasRegister(), check(honest, CasRegister())) == ""


def test_of_several_suspects_the_last_before_the_violation_is_named() -> None:
    failed = [write(1, 4, 5), write(1, 6, 7), write(1, 30, 31)]
    history = History([write(1, 0, 1), write(0, 2, 3), read(1, 20, 21)], failed)
    assert "(operation 6)" in find_mistake(history, CasRegister(), check(history, CasRegister()))


def test_suspects_are_searched_within_a_budget() -> None:
    failed = [write(1, 10 * i, 10 * i + 1) for i in range(1, 9)]
    history = History([write(0, 0, 1), write(1, 2, 3), write(0, 4, 5), read(1, 100, 101)], failed)
    model = CasRegister()
    result = check(history, model)
    spent = check(relaxed(history), model).stats["search_steps"]
    assert "operation 80" in find_mistake(history, model, result)
    assert find_mistake(history, model, result, steps=0) == ""
    assert "one or more of the failures" in find_mistake(history, model, result, steps=spent)


def test_a_delete_without_an_identity_leaves_nothing() -> None:
    ops = [write("a", 0, 1), op("delete", None, None, 2, 3)]
    assert judge(*ops, read(None, 4, 5), model=KeyValue()).legal is True
    assert judge(*ops, read("a", 4, 5), model=KeyValue()).legal is False


def test_many_crashed_appends_of_transactions_do_not_multiply() -> None:
    """Where each stands is told by the list that was read."""
    ops = [op("txn", (("append", "x", i),), UNKNOWN, i) for i in range(14)]
    asked = (("r", "x", None),)
    legal = (("r", "x", tuple(reversed(range(14)))),)
    illegal = (("r", "x", (*reversed(range(13)), 99)),)
    read_once = History([*ops, op("txn", asked, legal, 20, 21)])
    result = check(read_once, MultiRegister(), steps=20_000)
    assert result.legal is True
    assert check(History([*ops, op("txn", asked, illegal, 20, 21)]), MultiRegister(), steps=20_000).legal is False
    lost = History([*read_once.ops, op("txn", asked, (("r", "x", ()),), 22, 23)])
    assert check(lost, MultiRegister(), steps=20_000).legal is False


def test_nothing_is_appended_to_a_number() -> None:
    ops = [op("txn", ((f, "x", 1),), ((f, "x", 1),), at, at + 1) for at, f in ((0, "w"), (2, "append"))]
    result = check(History(ops), MultiRegister())
    assert result.legal is False
    assert "no list" in result.because[0]


def test_a_value_that_comes_back_as_another_type_is_pointed_at() -> None:
    result = judge(write(8, 0, 1), read("8", 2, 3))
    assert result.rule == "phantom-read"
    assert "keep the type" in result.because[-1]
    assert "keep the type" not in judge(write(8, 0, 1), read(9, 2, 3)).because[-1]
    assert "keep the type" not in judge(write(8, 0, 1, key="x"), read("8", 2, 3, key="y")).because[-1]


def test_true_is_not_one() -> None:
    assert freeze([1, 0]) != freeze([True, False])
    assert judge(write(freeze(1), 0, 1), read(freeze(True), 2, 3)).legal is False
    assert judge(write(freeze(True), 0, 1), read(freeze(True), 2, 3)).legal is True


def test_long_values_are_cut_for_readers() -> None:
    assert show_value(freeze([":r", None, [1, True], {"b": 2}])) == "[:r nil [1 true] [[b 2]]]"
    assert show_value(frozenset({3, 1})) == "{1 3}"
    assert len(show_value(tuple(range(1000)))) < 250


def noisy() -> History:
    """A stale read among many operations, over values that occur often."""
    ops = [write(i % 3, 4 * i, 4 * i + 2, process=1) for i in range(20)]
    ops += [read(i % 3, 4 * i + 3, 4 * i + 3, process=2) for i in range(19)]
    return History([*ops, read(2, 100, 101), write(2, 102, 103)])


def test_shrinking_keeps_a_violation_and_little_else() -> None:
    history = noisy()
    result = check(history, CasRegister())
    assert result.legal is False
    small = shrink(history, CasRegister(), result)
    assert len(small) < len(history.ops) / 4
    assert check(History(small), CasRegister()).legal is False
    assert condensed(history, CasRegister(), result).ops


def test_a_write_that_replaced_all_before_it_and_the_stale_read_are_enough() -> None:
    """Few values, written again and again, and compare-and-sets without an answer that might have made any of them."""
    crashed = [cas(1, 3, 4), cas(3, 2, 5), cas(4, 1, 6)]
    before = [write(i % 3, 10 + 2 * i, 11 + 2 * i) for i in range(20)]
    history = History([*crashed, *before, write(4, 60, 61), cas(4, 0, 62, 63), write(4, 64, 66), read(2, 70, 71)])
    legal = History([*history.ops[:-1], read(1, 70, 71)])
    assert check(legal, CasRegister()).legal is True  # the crashed cas(4, 1) made it
    result = check(history, CasRegister())
    assert result.legal is True  # by 4 to 1, 1 to 3 and 3 to 2: even that
    history = History([op for op in history.ops if op is not crashed[1]])
    told = condensed(history, CasRegister(), check(history, CasRegister()))
    assert [(op.f, op.call) for op in told.ops] == [("write", 64), ("read", 70)]
    assert any("write k 4 by client 0 was called does not matter" in reason for reason in told.because)
    assert "if the state before is 4: cannot read 2" in " ".join(told.because)


def test_what_a_violation_rests_on_is_kept_however_long_ago() -> None:
    """A write without an answer may have made the value once, not twice."""
    once = [write(1, -4, -3), write(3, 0), write(4, 1, 2), read(3, 3, 4), write(1, 5, 6)]
    assert check(History(once), CasRegister()).legal is True
    history = History([*once, read(3, 7, 8)])
    told = condensed(history, CasRegister(), check(history, CasRegister()))
    assert [op.call for op in told.ops] == [0, 1, 3, 5, 7]


def test_more_operations_than_can_be_told_one_by_one_are_named() -> None:
    crashed = [cas(2, 1, 0), cas(2, 0, 1), cas(1, 3, 2), cas(3, 1, 3), cas(0, 2, 4)]
    history = History([write(0, 5, 6), *crashed, write(2, 10, 11), cas(2, 1, 12, 13), read(0, 14, 15)])
    told = condensed(history, CasRegister(), check(history, CasRegister()))
    assert len(told.ops) == 1
    assert any("these 8 operations force it together: cas k 2 to 1 (no answer)" in reason for reason in told.because)


def test_only_an_illegal_history_is_shrunk() -> None:
    history = History([write(1, 0, 1)])
    with pytest.raises(ValueError, match="illegal"):
        shrink(history, CasRegister(), check(history, CasRegister()))


def test_a_verdict_for_results_json() -> None:
    history = History([write(1, 0, 1), read(None, 2, 3)])
    model = CasRegister()
    told = to_check_result(check(history, model), history, model)
    assert told.verdict is Verdict.FAIL
    assert told.violations[0].rule == "linearizability/stale-value"
    assert told.violations[0].operations[0]["f"] == "write"
    assert told.violations[0].because
    unknown = check(History([write(1, 0, 9), write(1, 0, 9), read(1, 1, 2)]), model, engine="search", steps=0)
    assert to_check_result(unknown, history, model).verdict is Verdict.INCONCLUSIVE


def test_what_became_of_pending_operations_is_shown_by_an_answer() -> None:
    """Two compare-and-sets from one value: one has no answer, and only a read, two steps on, tells that it happened."""
    steps = [cas(None, 1, 0), cas(1, 2, 0), cas(None, 3, 4, 8), read(2, 2, 6)]
    result = judge(*steps)
    assert result.rule == "consumed-twice"
    assert {one.call for one in result.ops} == {0, 2, 4}
    assert judge(*result.ops).legal is False
    assert any("is told by read k -> 2" in reason for reason in result.because)
    assert to_check_result(result, History(steps), CasRegister()).violations[0].details["assumed"]


def test_a_budget_that_is_spent_at_the_last_event_is_told_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "WIDTH", 1)
    ops = [write(0, 0, 1), write(1, 4, 6), write(0, 5, 8)]
    assert "give it more" in check(History(ops), Register(), engine="search", configurations=3).sentence
    assert check(History(ops), Register(), engine="search", configurations=100).legal is True


def test_a_stale_read_among_many_in_flight_is_found_without_going_far_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of clients that never pause: something is always in flight, and so the search could go back to the very start."""
    draw = random.Random(0)
    ops: list[Op] = []
    values: list[Any] = [None]
    running: dict[int, Op] = {}
    for now in range(4_000):
        client = draw.randrange(16)
        one = running.get(client)
        if one is None:
            asked = draw.randrange(20) if draw.random() < 0.5 else None
            running[client] = op("read" if asked is None else "write", asked, UNKNOWN, now, process=client)
            ops.append(running[client])
        elif one.result is UNKNOWN:
            one.result = values[-1] if one.f == "read" else None
            if one.f == "write":
                values.append(one.value)
            elif now >= 3_000:
                one.result = values[-60]
        elif draw.random() < 0.1:
            one.ret = now
            del running[client]
    for one in running.values():
        one.result = UNKNOWN
    monkeypatch.setattr(search, "WINDOW_STEPS", 1_000)
    found = search.search(ops, Register())
    slowly = search.search(ops, Register(), windows=False)
    assert found.legal is slowly.legal is False
    assert 4 * found.steps < slowly.steps


@pytest.mark.parametrize(
    ("steps", "rule"),
    [
        (
            [[("append", "x", 1)], [("r", "x", (1,))], [("append", "x", 2), ("append", "y", 1)], [("r", "x", (1,))]],
            "stale-list",
        ),
        ([[("append", "x", 1)], [("append", "x", 2)], [("r", "x", (2, 1)), ("r", "y", None)]], "append-order"),
        ([[("append", "x", 1)], [("r", "x", None)]], "stale-list"),
        ([[("append", "x", 1)], [("r", "x", (1, 2))]], "phantom-read"),
        ([[("w", "x", 1)], [("w", "x", 2), ("w", "y", 1)], [("r", "x", 1)]], "stale-value"),
    ],
)
def test_what_one_register_of_transactions_shows_alone(steps: list[Any], rule: str) -> None:
    ops = [op("txn", tuple(one), tuple(one), 2 * at, 2 * at + 1, key=None) for at, one in enumerate(steps)]
    result = judge(*ops, model=MultiRegister())
    assert (result.legal, result.engine, result.rule) == (False, "zones", rule)
    assert {one.index for one in result.ops} <= {one.index for one in ops}


def test_what_only_several_registers_show_together_is_left_to_the_search() -> None:
    """Each saw the other's register empty: no order, and yet each register alone has one."""
    ops = [
        op("txn", None, (("append", "x", 1), ("r", "y", None)), 0, 9, key=None),
        op("txn", None, (("append", "y", 1), ("r", "x", None)), 1, 8, key=None),
    ]
    result = judge(*ops, model=MultiRegister())
    assert (result.legal, result.engine) == (False, "search")
