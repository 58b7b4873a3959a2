"""The standard workload: shares, unique values, keys of their own for appends."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from harness.workloads.mixed import LONGEST_LIST, Intent, MixedWorkload
from nemesis.plan import DEFAULT_MIX, Workload

DRAWS = 20_000


def intents(workload: Workload, seed: int = 1) -> list[Intent]:
    mixed = MixedWorkload(workload, Random(seed).random, "w")
    return [mixed.next() for _ in range(DRAWS)]


def test_functions_come_in_the_shares_of_the_mix() -> None:
    counts = Counter(intent.f for intent in intents(Workload()))
    total = sum(DEFAULT_MIX.values())
    for f, share in DEFAULT_MIX.items():
        assert counts[f] / DRAWS == pytest.approx(share / total, abs=0.02)


def test_weights_need_not_add_up_to_one() -> None:
    assert {intent.f for intent in intents(Workload(mix={"read": 30.0}))} == {"read"}
    counts = Counter(intent.f for intent in intents(Workload(mix={"read": 3.0, "write": 1.0})))
    assert counts["read"] / DRAWS == pytest.approx(0.75, abs=0.02)


def test_the_highest_draw_is_a_function_too() -> None:
    mixed = MixedWorkload(Workload(mix={"read": 0.1, "write": 0.2, "cas": 0.7}), lambda: 1.0 - 2**-53, "w")
    assert mixed.next().f == "cas"


def test_every_value_is_unique_and_names_its_writer() -> None:
    values = [intent.value for intent in intents(Workload()) if intent.value is not None]
    assert len(values) == len(set(values))
    assert all(value.startswith("w") for value in values)


def test_appended_keys_are_never_written_otherwise() -> None:
    found = intents(Workload())
    appended = {intent.key for intent in found if intent.f == "append"}
    written = {intent.key for intent in found if intent.f in ("write", "cas", "delete")}
    read = {intent.key for intent in found if intent.f == "read"}
    assert appended and not appended & written
    assert appended <= read and written <= read


def test_a_compare_and_set_expects_what_was_seen_last_or_now_and_then_nothing() -> None:
    mixed = MixedWorkload(Workload(keys=1, mix={"cas": 1.0}), Random(1).random, "w")
    assert mixed.next().expected is None
    mixed.saw("key0", "seen")
    expected = Counter(mixed.next().expected for _ in range(DRAWS))
    assert set(expected) == {"seen", None}
    assert 0.05 < expected[None] / DRAWS < 0.15


def test_no_list_grows_long_and_the_last_reads_ask_for_all_of_them() -> None:
    mixed = MixedWorkload(Workload(keys=2, mix={"append": 0.5, "read": 0.5}), Random(1).random, "w")
    found = [mixed.next() for _ in range(DRAWS)]
    lengths = Counter(intent.key for intent in found if intent.f == "append")
    assert max(lengths.values()) == LONGEST_LIST
    assert sum(lengths.values()) > DRAWS / 3
    assert {intent.key for intent in mixed.reads()} == {*lengths, "key0", "key1"}


def test_every_function_meets_every_key_if_lists_are_not_apart() -> None:
    keys: dict[str, set[str]] = {}
    for intent in intents(Workload(lists_apart=False)):
        keys.setdefault(intent.f, set()).add(intent.key)
    assert all(found == {f"key{number}" for number in range(5)} for found in keys.values())
