"""The switchboard, in a thread of the test: routing, link faults, and receivers that are stopped, dead or new."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from harness.worlds.real.switchboard import QUEUE_FRAMES_MAX, Line, Switchboard
from nemesis.faults import KINDS, Parameter
from nemesis.port import LinkRule
from paxos_impl.messages import Command, Prepare, Request
from paxos_impl.process.mailbox import CONTROL_ADDRESS, Mailbox, SeqQueue, decode_control, decode_frame

WAIT_S = 30.0
CLIENT = 1000


class Net:
    """A running switchboard; ``join`` adds a process."""

    def __init__(self) -> None:
        control, far = SeqQueue.pair()
        self.attach, attach_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.line = Line(control)
        self.board = Switchboard(far, attach_far, seed=1)
        self.thread = threading.Thread(target=self.board.run)
        self.thread.start()
        self.joined: list[Mailbox] = []

    def join(self, address: int, incarnation: int = 1) -> Mailbox:
        near, far = SeqQueue.pair()
        head = address.to_bytes(4, "little") + incarnation.to_bytes(4, "little")
        socket.send_fds(self.attach, [head], [far.fileno()])
        far.close()
        mailbox = Mailbox(near, address, incarnation)
        self.joined.append(mailbox)
        mailbox.report("ready")  # whoever is heard can be reached
        while (address, incarnation, ["ready"]) not in self.line.heard:
            self.line.call("counters")
        return mailbox

    def close(self) -> None:
        self.line.queue.close()
        self.thread.join()
        self.attach.close()
        for mailbox in self.joined:
            mailbox.queue.close()


@pytest.fixture
def net() -> Iterator[Net]:
    made = Net()
    yield made
    made.close()


def prepare(number: int) -> Prepare:
    return Prepare((number, 0), 1)


def rule(kind: str, source: int, target: int, **params: Parameter) -> LinkRule:
    defaults = {name: spec.default for name, spec in KINDS[kind].params.items()}
    return LinkRule(4, kind, source, target, defaults | params, kind)


def numbers(mailbox: Mailbox, count: int) -> list[int]:
    """Rounds of the next ``count`` Prepares."""
    found: list[int] = []
    while len(found) < count:
        _, _, messages = decode_frame(mailbox.queue.get(timeout=WAIT_S))
        found.extend(message.ballot[0] for message in messages if isinstance(message, Prepare))
    return found


def test_frames_go_where_they_are_addressed_in_order(net: Net) -> None:
    a, b, c = net.join(0), net.join(1), net.join(2)
    for number in range(200):
        a.send_all([(1, prepare(number)), (2, prepare(-number))])
    assert numbers(b, 200) == list(range(200))
    assert numbers(c, 200) == [-number for number in range(200)]


def test_a_frame_for_several_targets_meets_the_faults_of_each_link(net: Net) -> None:
    a, b, c = net.join(0), net.join(1), net.join(2)
    net.line.call("add_links", [rule("partition", 0, 1)])
    message = prepare(1)
    a.send_all([(1, message), (2, message), (7, message)])
    assert numbers(c, 1) == [1]
    assert net.line.call("remove_links", 4)["dropped"] == 1
    assert net.line.call("counters")["undeliverable"] == 1
    a.send_all([(1, message), (2, message)])
    assert numbers(b, 1) == numbers(c, 1) == [1]


def test_clients_and_the_overseer_are_reached_too(net: Net) -> None:
    agent, client = net.join(0), net.join(CLIENT)
    request = Request(Command(CLIENT << 32 | 1, 0, 0, "open", ""))
    client.send_all([(0, request)])
    assert decode_frame(agent.queue.get(timeout=WAIT_S)) == (CLIENT, 1, [request])
    net.line.heard.clear()
    agent.report("event", "leader", 0, 1)
    while not net.line.heard:  # the answer to a call may overtake what an agent says
        net.line.call("counters")
    assert list(net.line.heard) == [(0, 1, ["event", "leader", 0, 1])]
    net.line.order(CLIENT, "start", 1)
    assert decode_control(client.queue.get(timeout=WAIT_S)) == ["start", 1]


def test_what_goes_to_nobody_or_to_the_dead_is_lost_and_counted(net: Net) -> None:
    a, b = net.join(0), net.join(1)
    a.send_all([(7, prepare(1))])
    b.queue.close()
    a.send_all([(1, prepare(1))])
    while net.line.call("counters")["undeliverable"] < 2:
        time.sleep(0.001)


def test_the_last_words_of_the_dead_arrive_and_the_next_incarnation_takes_the_address(net: Net) -> None:
    a, b = net.join(0), net.join(1)
    a.send_all([(1, prepare(5))])
    a.queue.close()
    again = net.join(0, incarnation=2)
    assert numbers(b, 1) == [5]
    b.send_all([(0, prepare(6))])
    again.send_all([(1, prepare(7))])
    assert numbers(again, 1) == [6]
    assert decode_frame(b.queue.get(timeout=WAIT_S))[1] == 2


def test_a_receiver_that_does_not_read_has_a_bounded_queue_and_blocks_nobody(net: Net) -> None:
    a, stopped, c = net.join(0), net.join(1), net.join(2)
    sent = 0
    while not net.line.call("counters")["overflowed"]:
        for _ in range(200):
            a.send_all([(1, prepare(sent))])
            sent += 1
    net.line.order(1, "stop")
    a.send_all([(2, prepare(1))])
    assert numbers(c, 1) == [1]
    got = 0
    while True:
        frame = stopped.queue.get(timeout=WAIT_S)
        if frame.startswith(CONTROL_ADDRESS.to_bytes(4, "little")):
            break
        got += 1
    assert QUEUE_FRAMES_MAX < got < sent


def test_a_cut_link_drops_one_direction_until_it_is_healed(net: Net) -> None:
    a, b = net.join(0), net.join(1)
    assert net.line.call("add_links", [rule("partition", 0, 1)]) == {"links": 1}
    a.send_all([(1, prepare(1))])
    b.send_all([(0, prepare(2))])
    assert numbers(a, 1) == [2]
    assert net.line.call("remove_links", 4) == {"links": 1, "messages": 1, "dropped": 1}
    a.send_all([(1, prepare(3))])
    assert numbers(b, 1) == [3]
    assert net.line.call("remove_links", 4) == {}


def test_a_fault_whose_frames_another_one_took_says_so(net: Net) -> None:
    a, b = net.join(0), net.join(1)
    net.line.call("add_links", [rule("partition", 0, 1), msgspec.structs.replace(rule("partition", 0, 1), fault=5)])
    a.send_all([(1, prepare(1))])
    b.send_all([(0, prepare(2))])
    assert numbers(a, 1) == [2]
    told = {"taken_first": 1, "taken_by": [4], "untouched": "0 messages met it: fault 4 had taken them"}
    assert net.line.call("remove_links", 5) == {"links": 1, "messages": 0, "dropped": 0, **told}


def test_delayed_frames_come_late_and_duplicated_ones_twice(net: Net) -> None:
    a, b = net.join(0), net.join(1)
    net.line.call("add_links", [rule("delay", 0, 1, delay_ns=30_000_000, jitter_ns=0)])
    began = time.monotonic()
    a.send_all([(1, prepare(1))])
    assert numbers(b, 1) == [1]
    assert time.monotonic() - began >= 0.03
    net.line.call("remove_links", 4)
    net.line.call("add_links", [rule("duplicate", 0, 1, probability=1.0, jitter_ns=0)])
    a.send_all([(1, prepare(2))])
    assert numbers(b, 2) == [2, 2]


def test_all_clients_are_one_end_of_a_link_and_the_overseer_is_none(net: Net) -> None:
    agent, client = net.join(0), net.join(CLIENT + 1)
    net.line.call("add_links", [rule("partition", 0, -1), rule("partition", -1, 0)])
    client.send_all([(0, prepare(1))])
    agent.send_all([(CLIENT + 1, prepare(1))])
    net.line.heard.clear()
    agent.report("ready")
    client.report("progress")
    net.line.order(0, "stop")
    assert decode_control(agent.queue.get(timeout=WAIT_S)) == ["stop"]
    while len(net.line.heard) < 2:
        net.line.call("counters")
    assert net.line.call("remove_links", 4)["dropped"] == 2
    with pytest.raises(queue.Empty):
        client.queue.get_nowait()


def test_an_unknown_order_is_answered_with_an_error(net: Net) -> None:
    assert "unknown order" in net.line.call("dance")["error"]
