"""Client session: what it retries, whom it asks, and when it may say that an operation surely did not happen."""

from __future__ import annotations

import pytest

from paxos_impl.client import ClientConfig, ClientSession, Finished
from paxos_impl.messages import BUSY, EXPIRED, MALFORMED, NOT_LEADER, OK, Command, Reply, Request

CLIENT = 1000 << 32 | 5
RETRY_NS, TIMEOUT_NS, PAUSE_NS = 60_000_000, 500_000_000, 5_000_000


def session(*, opened: bool = True, duplicate: bool = False) -> ClientSession:
    made = ClientSession(CLIENT, ClientConfig((0, 1, 2), links_may_duplicate=duplicate), lambda: 0.0)
    if opened:
        made.invoke(0, "read", "k")
        made.on_reply(0, 0, Reply(CLIENT, 0, OK, 77))
        made.on_reply(0, 0, Reply(CLIENT, 1, OK, None))
        made.outbox.clear()
    return made


def refuse(client: ClientSession, now_ns: int, *, seq: int = 2, leader: int = -1, status: str = NOT_LEADER) -> None:
    assert client.on_reply(now_ns, client.server, Reply(CLIENT, seq, status, None, leader)) is None


def run_out(client: ClientSession) -> Finished:
    """Let time pass; nobody answers any more."""
    for _ in range(1000):
        assert client.deadline_ns is not None
        finished = client.on_time(client.deadline_ns)
        if finished is not None:
            return finished
    raise AssertionError("the client never gives up")


def test_the_first_operation_opens_a_session() -> None:
    client = session(opened=False)
    client.invoke(0, "write", "k", "v")
    assert client.outbox == [(0, Request(Command(CLIENT, 0, 0, "open", "")))]
    assert client.on_reply(1, 0, Reply(CLIENT, 0, OK, 77)) is None
    assert client.outbox[1:] == [(0, Request(Command(CLIENT, 1, 77, "write", "k", "v")))]
    assert client.on_reply(2, 0, Reply(CLIENT, 1, OK, None)) == Finished("ok", None, 0, None)
    assert not client.busy and client.deadline_ns is None


def test_a_retry_repeats_the_command_word_for_word_at_another_server() -> None:
    client = session()
    client.invoke(0, "cas", "k", "v", "e")
    assert client.deadline_ns == RETRY_NS
    client.on_time(RETRY_NS)
    (first, request), (second, again) = client.outbox
    assert (first, second) == (0, 1)
    assert request == again == Request(Command(CLIENT, 2, 77, "cas", "k", "v", "e"))


def test_a_hint_is_followed_at_once_and_without_a_hint_it_waits() -> None:
    client = session()
    client.invoke(0, "read", "k")
    refuse(client, 10, leader=2)
    assert (client.server, client.deadline_ns) == (2, 10)
    client.on_time(10)
    refuse(client, 20)
    assert (client.server, client.deadline_ns) == (1, 20 + PAUSE_NS)


def test_two_servers_that_point_at_each_other_do_not_keep_a_client() -> None:
    """3 and 4 are cut off: 4 believes that 3 leads, 3 knows no leader. 1 leads, and the others know it."""
    hints = {0: 1, 2: 1, 3: -1, 4: 3}
    for first in range(5):
        client = ClientSession(CLIENT, ClientConfig(tuple(range(5))), lambda first=first: first / 5)
        client.invoke(0, "read", "k")
        asked = [client.server]
        while client.server != 1:
            refuse(client, 0, seq=0, leader=hints[client.server])
            assert client.on_time(client.deadline_ns or 0) is None
            asked.append(client.server)
            assert len(asked) < 10, asked


def test_a_hint_at_a_dead_server_does_not_keep_a_client() -> None:
    """0 is dead, 1 believes that it leads, 2 leads."""
    client = session()
    client.invoke(0, "read", "k")
    now_ns, asked = 0, []
    while client.server != 2:
        asked.append(client.server)
        assert len(asked) < 10, asked
        if client.server == 1:
            refuse(client, now_ns, leader=0)
        now_ns = client.deadline_ns or 0
        assert client.on_time(now_ns) is None


def test_a_refused_local_read_says_nothing_of_the_leader() -> None:
    client = ClientSession(CLIENT, ClientConfig((0, 1, 2), readers=(0, 1, 2)), lambda: 0.5)
    before = client.server
    client.invoke(0, "local-read", "k")
    client.on_reply(1, 2, Reply(CLIENT, 1, BUSY, None, 2))
    assert client.server == before


def test_hints_in_a_circle_are_followed_at_a_limited_rate() -> None:
    client = session()
    client.invoke(0, "read", "k")
    for _ in range(4):
        refuse(client, 0, leader=1 - client.server)
        waits_ns = client.deadline_ns
        client.on_time(0)
    assert waits_ns == PAUSE_NS


@pytest.mark.parametrize("status", [NOT_LEADER, BUSY])
def test_failure_is_definite_if_every_attempt_was_refused(status: str) -> None:
    client = session()
    client.invoke(0, "write", "k", "v")
    now_ns = 0
    while True:
        refuse(client, now_ns, status=status)
        now_ns = client.deadline_ns or 0
        finished = client.on_time(now_ns)
        if finished is not None:
            break
    assert (finished.type, finished.error) == ("fail", "no leader took it")
    assert now_ns >= TIMEOUT_NS


def test_a_malformed_operation_surely_did_not_happen_whatever_became_of_earlier_attempts() -> None:
    client = session()
    client.invoke(0, "sum", "k", "v")
    client.on_time(client.deadline_ns or 0)
    finished = client.on_reply(1, 0, Reply(CLIENT, client.seq, MALFORMED, "unknown function 'sum'"))
    assert finished is not None
    assert (finished.type, finished.error) == ("fail", "unknown function 'sum'")
    assert not client.busy


def test_failure_is_not_definite_if_one_attempt_was_never_answered() -> None:
    """A former leader may have proposed it: refusals of the others say nothing of that."""
    client = session()
    client.invoke(0, "write", "k", "v")
    client.on_time(RETRY_NS)
    refuse(client, RETRY_NS + 1)
    assert run_out(client).type == "info"


def test_failure_is_not_definite_if_an_attempt_is_still_on_its_way_at_the_end() -> None:
    client = session()
    client.invoke(0, "write", "k", "v")
    refuse(client, 1)
    client.on_time(1 + PAUSE_NS)
    assert run_out(client).type == "info"


def test_failure_is_never_definite_if_links_may_duplicate() -> None:
    """The copy of a refused request may reach a leader later."""
    client = session(duplicate=True)
    client.invoke(0, "write", "k", "v")
    refuse(client, TIMEOUT_NS)
    client.deadline_ns = TIMEOUT_NS
    assert run_out(client).type == "info"


def test_without_a_session_the_operation_was_never_sent() -> None:
    client = session(opened=False)
    client.invoke(0, "write", "k", "v")
    assert run_out(client).type == "fail"
    assert {type(request.command) and request.command.f for _, request in client.outbox} == {"open"}


def test_the_clock_starts_anew_for_the_operation_when_the_session_is_open() -> None:
    """Refusals of the opening do not excuse the operation itself."""
    client = session(opened=False)
    client.invoke(0, "write", "k", "v")
    refuse(client, 1, seq=0)
    client.on_time(1 + PAUSE_NS)
    client.on_reply(2 + PAUSE_NS, 1, Reply(CLIENT, 0, OK, 77))
    assert run_out(client).type == "info"


def test_answers_to_earlier_operations_are_ignored() -> None:
    client = session()
    client.invoke(0, "read", "k")
    assert client.on_reply(1, 0, Reply(CLIENT, 1, OK, "old")) is None
    assert client.on_reply(1, 0, Reply(CLIENT, 0, OK, 78)) is None
    assert client.on_reply(1, 0, Reply(CLIENT + 1, 2, OK, "other")) is None
    assert client.busy and client.session == 77


def test_late_refusals_of_an_earlier_operation_do_not_count() -> None:
    client = session()
    client.invoke(0, "write", "k", "v")
    client.on_reply(1, 0, Reply(CLIENT, 1, NOT_LEADER, None))
    assert run_out(client).type == "info"


def test_an_expired_session_is_uncertain_and_the_next_operation_opens_another() -> None:
    client = session()
    client.invoke(0, "write", "k", "v")
    finished = client.on_reply(1, 0, Reply(CLIENT, 2, EXPIRED, None))
    assert finished is not None and finished.type == "info"
    client.outbox.clear()
    client.invoke(2, "write", "k", "w")
    assert client.outbox[-1][1] == Request(Command(CLIENT, 0, 0, "open", ""))
    client.on_reply(3, 0, Reply(CLIENT, 0, OK, 99))
    assert client.outbox[-1][1] == Request(Command(CLIENT, 3, 99, "write", "k", "w"))


def test_numbers_are_never_used_twice() -> None:
    client = session()
    seqs = []
    for _ in range(3):
        seqs.append(client.invoke(0, "read", "k"))
        client.on_reply(1, 0, Reply(CLIENT, seqs[-1], OK, None))
    assert seqs == [2, 3, 4]


def test_a_server_that_was_pointed_to_is_asked_also_after_another_kept_silent() -> None:
    client = session()
    client.server = 1
    client.invoke(0, "read", "k")
    client.on_time(RETRY_NS)
    assert client.server == 2, "1 kept silent"
    client.on_reply(RETRY_NS, 2, Reply(CLIENT, 2, NOT_LEADER, None, 0))
    client.on_time(2 * RETRY_NS)
    assert client.outbox[-1][0] == 0
