"""Sessions: a command is executed once, however often it is chosen."""

from __future__ import annotations

from typing import Any

from paxos_impl.kv import KeyValueStore
from paxos_impl.messages import EXPIRED, OK, Command
from paxos_impl.sessions import APPLIED, DUPLICATE, Outcome, StateMachine


def machine(most: int = 10) -> StateMachine:
    return StateMachine(KeyValueStore(), most)


def open_(state: StateMachine, client: int, slot: int) -> int:
    return int(state.execute(slot, 0, Command(client, 0, 0, "open", "")).result)


def append(state: StateMachine, client: int, session: int, seq: int) -> Outcome:
    return state.execute(100, 0, Command(client, seq, session, "append", "l", seq))


def test_a_retry_is_answered_from_the_session() -> None:
    state = machine()
    session = open_(state, 7, 1)
    assert append(state, 7, session, 1) == Outcome(APPLIED, OK, 1)
    assert append(state, 7, session, 1) == Outcome(DUPLICATE, OK, 1)
    assert state.store.data["l"] == [1]


def test_a_late_older_command_is_not_executed() -> None:
    state = machine()
    session = open_(state, 7, 1)
    append(state, 7, session, 2)
    assert append(state, 7, session, 1) == Outcome(DUPLICATE, EXPIRED, None)
    assert state.store.data["l"] == [2]


def test_a_session_id_is_its_place_in_the_log_and_is_told_again() -> None:
    state = machine()
    first = state.execute(3, 2, Command(7, 0, 0, "open", ""))
    again = state.execute(9, 0, Command(7, 0, 0, "open", ""))
    assert (first.how, again.how) == (APPLIED, DUPLICATE)
    assert first.result == again.result == 3 * 65536 + 2


def test_the_session_unused_for_longest_goes_and_its_commands_are_not_executed() -> None:
    state = machine(2)
    one, two = open_(state, 1, 1), open_(state, 2, 2)
    append(state, 1, one, 1)
    open_(state, 3, 3)
    assert append(state, 2, two, 1) == Outcome(EXPIRED, EXPIRED, None)
    assert append(state, 1, one, 2).how == APPLIED


def test_a_session_opened_again_does_not_execute_commands_of_the_one_before() -> None:
    state = machine(1)
    old = open_(state, 1, 1)
    append(state, 1, old, 1)
    open_(state, 2, 2)
    new = open_(state, 1, 3)
    assert new != old
    assert append(state, 1, old, 2).how == EXPIRED
    assert append(state, 1, new, 3).how == APPLIED


def test_only_the_last_command_is_cached() -> None:
    state = machine()
    session = open_(state, 7, 1)
    append(state, 7, session, 1)
    assert state.cached(Command(7, 1, session, "append", "l", 1)) == Outcome(DUPLICATE, OK, 1)
    assert state.cached(Command(7, 2, session, "append", "l", 2)) is None
    assert state.cached(Command(7, 1, session + 1, "append", "l", 1)) is None
    assert state.cached(Command(8, 1, session, "append", "l", 1)) is None


def test_sessions_are_part_of_the_snapshot_in_order_of_use() -> None:
    state, other = machine(2), machine(2)
    one, two = open_(state, 1, 1), open_(state, 2, 2)
    append(state, 1, one, 1)
    image = state.image(5, 99)
    back: Any = other.restore(image)
    assert (back.slot, back.outcomes) == (5, 99)
    assert other.image(5, 99) == image
    assert append(other, 1, one, 1) == Outcome(DUPLICATE, OK, 1)
    open_(other, 3, 6)
    assert append(other, 2, two, 1).how == EXPIRED


def test_a_remembered_result_stays_as_it_was() -> None:
    """A failed compare-and-set on a list saw the list of that moment; a replica restored from a snapshot answers the same."""
    state, other = machine(), machine()
    session = open_(state, 7, 1)
    append(state, 7, session, 1)
    cas = Command(7, 2, session, "cas", "l", "x", "y")
    first = state.execute(2, 0, cas)
    other.restore(state.image(2, 0))
    for replica in (state, other):
        other_session = open_(replica, 8, 3)
        append(replica, 8, other_session, 1)
    assert first.result == [False, [1]]
    assert state.cached(cas) == other.cached(cas) == Outcome(DUPLICATE, OK, [False, [1]])
    assert state.image(3, 0) == other.image(3, 0)
