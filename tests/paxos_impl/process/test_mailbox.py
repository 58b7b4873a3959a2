"""Mailboxes: queues between processes that survive the death of either end."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
import zlib
from collections.abc import Iterator

import pytest

from paxos_impl.messages import Accept, AnyMessage, Command, Heartbeat, Prepare
from paxos_impl.process.mailbox import (
    CONTROL_ADDRESS,
    HEAD,
    LONGEST_BYTES,
    MAX_FRAME_BYTES,
    Mailbox,
    SeqQueue,
    decode_control,
    decode_frame,
    encode_frames,
    is_order,
    targets_of,
)


@pytest.fixture
def pair() -> Iterator[tuple[SeqQueue, SeqQueue]]:
    near, far = SeqQueue.pair()
    yield near, far
    near.close()
    far.close()


def test_what_is_put_at_one_end_is_got_at_the_other_in_order_and_whole(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, far = pair
    near.put(b"one")
    near.put_nowait(b"two" * 10_000)
    assert not far.empty()
    assert far.get() == b"one"
    assert far.get_nowait() == b"two" * 10_000
    assert far.empty()


def test_it_raises_what_a_queue_raises(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, far = pair
    with pytest.raises(queue.Empty):
        far.get_nowait()
    with pytest.raises(queue.Empty):
        far.get(timeout=0.01)
    with pytest.raises(queue.Full):
        while True:
            near.put(bytes(100_000), timeout=0.01)


def test_frames_that_would_be_cut_or_look_like_the_end_are_refused(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, _ = pair
    with pytest.raises(ValueError, match="end of the queue"):
        near.put(b"")
    with pytest.raises(ValueError, match="too long"):
        near.put(bytes(LONGEST_BYTES + 1))


def test_the_end_comes_after_all_that_was_sent(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, far = pair
    near.put(b"last words")
    near.close()
    assert far.get() == b"last words"
    with pytest.raises(EOFError):
        far.get()
    with pytest.raises(EOFError):
        far.put(b"anybody?")


def test_a_peer_that_died_with_unread_input_loses_none_of_its_own_words(pair: tuple[SeqQueue, SeqQueue]) -> None:
    """The kernel reports such a death as a reset connection, before the words."""
    near, far = pair
    far.put(b"unread")
    near.put(b"first")
    near.put(b"second")
    near.close()
    assert [far.get(), far.get()] == [b"first", b"second"]
    with pytest.raises(EOFError):
        far.get()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_it_can_be_handed_to_a_child_process(pair: tuple[SeqQueue, SeqQueue], method: str) -> None:
    near, far = pair
    child = multiprocessing.get_context(method).Process(target=far.put, args=(b"hello",))
    child.start()
    assert near.get(timeout=30) == b"hello"
    child.join()


def test_kills_under_full_load_tear_no_frame_and_wedge_nobody() -> None:
    """Each child sends numbered frames with a checksum as fast as it can, and is killed."""
    for round_ in range(30):
        near, far = SeqQueue.pair()
        pid = os.fork()
        if pid == 0:
            near.close()
            number = 0
            while True:
                body = number.to_bytes(4, "little") * (1 + number % 3000)
                far.put(zlib.crc32(body).to_bytes(4, "little") + body)
                number += 1
        far.close()
        stopped = round_ % 3 == 0
        expected = 0
        killed = False
        while True:
            try:
                frame = near.get(timeout=30)
            except EOFError:
                break
            assert zlib.crc32(frame[4:]) == int.from_bytes(frame[:4], "little")
            assert int.from_bytes(frame[4:8], "little") == expected
            expected += 1
            if expected == 50 and not killed:
                killed = True
                if stopped:
                    os.kill(pid, signal.SIGSTOP)
                os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        near.close()
        assert expected >= 50


def _value(size: int) -> tuple[Command, ...]:
    return (Command(1000 << 32 | 1, 1, 1, "write", "k", "x" * size),)


def test_messages_of_one_step_to_one_target_share_a_frame(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, far = pair
    outbox: list[tuple[int, AnyMessage]] = [
        (1, Prepare((1, 0), 1)),
        (2, Prepare((1, 0), 1)),
        (1, Heartbeat((1, 0), 1, 0, 0)),
    ]
    Mailbox(near, 0, 7).send_all(outbox)
    first, second = far.get_nowait(), far.get_nowait()
    assert HEAD.unpack_from(first) == (0, 7, 2, 1, 1)
    assert decode_frame(first) == (0, 7, [outbox[0][1], outbox[2][1]])
    assert decode_frame(second) == (0, 7, [outbox[1][1]])
    assert far.empty()


def test_targets_that_get_the_same_messages_share_a_frame(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, far = pair
    accept, beat = Accept((1, 0), 1, _value(10), 0), Heartbeat((1, 0), 1, 0, 0)
    Mailbox(near, 0, 7).send_all([(1, accept), (2, accept), (1, beat), (2, beat), (3, beat)])
    shared, alone = far.get_nowait(), far.get_nowait()
    assert (targets_of(shared), decode_frame(shared)) == ((1, 2), (0, 7, [accept, beat]))
    assert (targets_of(alone), decode_frame(alone)) == ((3,), (0, 7, [beat]))
    assert far.empty()


def test_nothing_to_send_is_no_frame(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, far = pair
    Mailbox(near, 0, 7).send_all([])
    assert far.empty()


def test_frames_stay_below_the_bound_and_keep_the_order() -> None:
    messages = [Accept((1, 0), slot, _value(30_000), 0) for slot in range(1, 21)]
    frames = encode_frames(0, 1, (2,), messages)
    assert max(map(len, frames)) <= MAX_FRAME_BYTES + HEAD.size
    assert [message for frame in frames for message in decode_frame(frame)[2]] == messages


def test_a_message_that_is_too_long_for_the_bound_still_goes(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, far = pair
    message = Accept((1, 0), 1, _value(MAX_FRAME_BYTES * 2), 0)
    Mailbox(near, 0, 1).send_all([(1, message)])
    assert decode_frame(far.get_nowait())[2] == [message]


def test_a_full_network_loses_frames_and_counts_them(pair: tuple[SeqQueue, SeqQueue]) -> None:
    mailbox = Mailbox(pair[0], 0, 1)
    began = time.monotonic()
    while not mailbox.dropped and time.monotonic() < began + 30:
        mailbox.send_all([(1, Accept((1, 0), 1, _value(60_000), 0))])
    assert mailbox.dropped


def test_all_that_is_at_hand_is_received_at_once_up_to_the_limit(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, far = pair
    mailbox = Mailbox(far, 1, 1)
    assert mailbox.receive_all(4) == []
    for number in range(6):
        near.put(bytes([number + 1]))
    near.close()
    assert mailbox.receive_all(4) == [b"\x01", b"\x02", b"\x03", b"\x04"]
    assert mailbox.receive_all(4) == [b"\x05", b"\x06"]
    with pytest.raises(EOFError):
        mailbox.receive_all(4)


def test_a_mailbox_waits_for_the_first_frame_only(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, far = pair
    mailbox = Mailbox(near, 1, 1)
    assert mailbox.receive_all(4, timeout_ms=1) == []
    far.put(b"one")
    assert mailbox.receive_all(4, timeout_ms=None) == [b"one"]
    far.close()
    with pytest.raises(EOFError):
        mailbox.receive_all(4, timeout_ms=None)


def test_reports_and_orders_are_told_from_messages(pair: tuple[SeqQueue, SeqQueue]) -> None:
    near, far = pair
    Mailbox(near, 3, 2).report("ready", 2)
    report = far.get_nowait()
    assert HEAD.unpack_from(report) == (3, 2, 2, 1, CONTROL_ADDRESS)
    assert decode_control(report) == ["ready", 2]
    (order,) = encode_frames(CONTROL_ADDRESS, 0, (3,), ("stop",))
    (message,) = encode_frames(1, 1, (3,), [Prepare((1, 1), 1)])
    assert [is_order(order), is_order(message), is_order(report)] == [True, False, False]
