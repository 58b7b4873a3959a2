"""The key-value store."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paxos_impl.kv import MAX_LIST, KeyValueStore, problem_with
from paxos_impl.messages import Command


def run(store: KeyValueStore, f: str, key: str = "k", value: Any = None, expected: Any = None) -> Any:
    return store.execute(Command(1, 1, 1, f, key, value, expected))


def test_reading_nothing_is_as_plain_as_reading_something() -> None:
    store = KeyValueStore()
    assert run(store, "read") is None
    run(store, "write", value="a")
    assert run(store, "read") == "a"
    run(store, "delete", value="d1")
    assert run(store, "read") == {"tombstone": "d1"}
    run(store, "append", "l", "x")
    assert run(store, "read", "l") == ["x"]


def test_compare_and_set_tells_what_it_found() -> None:
    store = KeyValueStore()
    assert run(store, "cas", value="a", expected=None) == [True, None]
    assert run(store, "cas", value="b", expected="z") == [False, "a"]
    assert run(store, "cas", value="b", expected="a") == [True, "a"]
    run(store, "delete", value="d")
    assert run(store, "cas", value="c", expected=None) == [False, {"tombstone": "d"}]
    assert run(store, "cas", value="c", expected={"tombstone": "d"}) == [True, {"tombstone": "d"}]


@pytest.mark.parametrize("f", ["write", "cas"])
def test_a_chosen_command_does_not_change_with_the_store(f: str) -> None:
    """It stands in the log, and is told again to whoever missed it."""
    store = KeyValueStore()
    command = Command(1, 1, 1, f, "k", ["a"])
    store.execute(command)
    run(store, "append", value="b")
    assert command.value == ["a"]
    assert run(store, "read") == ["a", "b"]


@pytest.mark.parametrize("f", ["read", "cas"])
def test_a_result_does_not_change_with_the_store(f: str) -> None:
    """It is remembered by the session, is in snapshots, and may still be on its way."""
    store = KeyValueStore()
    run(store, "append", "l", "x")
    told = run(store, f, "l", value="new", expected="other")
    run(store, "append", "l", "y")
    assert told in (["x"], [False, ["x"]])


def test_a_list_is_bounded_the_oldest_leave() -> None:
    store = KeyValueStore()
    lengths = [run(store, "append", "l", number) for number in range(MAX_LIST + 3)]
    assert lengths[-1] == MAX_LIST
    assert run(store, "read", "l")[0] == 3


def test_an_unknown_function_is_named() -> None:
    with pytest.raises(ValueError, match="unknown function 'sum'"):
        run(KeyValueStore(), "sum")


@pytest.mark.parametrize(
    ("f", "value", "problem"),
    [
        ("sum", "1", "unknown function 'sum'; this store knows read, write, cas, delete, append"),
        ("append", ["a"], "the value of a append is a string, not ['a']"),
        ("read", None, None),
        ("append", "a", None),
    ],
)
def test_what_is_wrong_with_a_command_is_known_before_it_is_executed(f: str, value: Any, problem: str | None) -> None:
    assert problem_with(Command(1, 1, 1, f, "k", value)) == problem


operations = st.tuples(
    st.sampled_from(["read", "write", "cas", "delete", "append"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["1", "2", "3"]),
    st.sampled_from([None, "1", "2"]),
)


@given(before=st.lists(operations), after=st.lists(operations))
def test_a_restored_store_goes_on_as_the_original(before: list[Any], after: list[Any]) -> None:
    original, restored = KeyValueStore(), KeyValueStore()
    run(restored, "write", "left over", "x")
    for operation in before:
        run(original, *operation)
    restored.restore({key: list(v) if isinstance(v, list) else v for key, v in original.snapshot().items()})
    assert [run(original, *operation) for operation in after] == [run(restored, *operation) for operation in after]
    assert original.snapshot() == restored.snapshot()
