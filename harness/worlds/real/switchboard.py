"""The switchboard: the network of the real world. A process of its own, never killed, one thread, never blocked.

Rules
* Every frame crosses it. It reads the head of a frame and nothing else, unless a link fault is on that link.
* Link faults: ``nemesis.links`` decides the fate of each frame; a delayed one waits in a heap.
* A frame goes to whatever incarnation has the target's address when it is forwarded; nobody there: it is lost, and counted.
  What a dead sender had sent still arrives.
* A receiver that does not read (a stopped agent) has a bounded queue; what does not fit is lost, and counted. Orders
  always fit.

What the harness sends to ``SWITCHBOARD_ADDRESS`` is an order to the switchboard: ``[word, number, …]``, answered by
``["answer", number, result]``.
"""

from __future__ import annotations

import heapq
import queue
import select
import socket
import time
from collections import deque
from typing import Any

import msgspec

from harness.worlds.real.orders import SWITCHBOARD_ADDRESS
from nemesis.links import CLIENTS, UNTOUCHED, Links
from nemesis.port import LinkRule
from paxos_impl.messages import FIRST_CLIENT_ADDRESS
from paxos_impl.process.mailbox import CONTROL_ADDRESS, HEAD, SeqQueue, decode_control, encode_frames, targets_of

FRAMES_AT_ONCE = 64
EVENTS_AT_ONCE = 16
QUEUE_FRAMES_MAX = 4096
"""Frames that wait for one receiver beyond what its socket holds."""
ADDRESS_BYTES = 8


class Endpoint:
    """One incarnation's end of the network."""

    __slots__ = ("address", "incarnation", "queue", "read_in", "send", "waiting")

    def __init__(self, queue_: SeqQueue, address: int, incarnation: int) -> None:
        self.queue = queue_
        self.send = queue_.send
        self.address = address
        self.incarnation = incarnation
        self.waiting: deque[bytes] = deque()
        self.read_in = -1
        """The round of the loop in which it was read last."""


class Switchboard:
    """``control``: the queue to the harness; ``attach``: where the launcher hands over the ends of new processes."""

    def __init__(self, control: SeqQueue, attach: socket.socket, seed: int) -> None:
        self.attach = attach
        self.links = Links(seed)
        self.endpoints: dict[int, Endpoint] = {CONTROL_ADDRESS: Endpoint(control, CONTROL_ADDRESS, 0)}
        self._by_fd: dict[int, Endpoint] = {control.fileno(): self.endpoints[CONTROL_ADDRESS]}
        self._epoll = select.epoll()
        self._epoll.register(control, select.EPOLLIN)
        self._epoll.register(attach, select.EPOLLIN)
        self._delayed: list[tuple[int, int, int, bytes]] = []
        self._number = 0
        self._round = 0
        self.forwarded = 0
        self.undeliverable = 0
        self.overflowed = 0

    def run(self) -> None:
        """Until the harness is gone."""
        poll, find, read, readable = self._epoll.poll, self._by_fd.get, self._read, select.EPOLLIN
        try:
            while True:
                self._round += 1
                for fd, event in poll(self._timeout_s() if self._delayed else -1, EVENTS_AT_ONCE):
                    endpoint = find(fd)
                    if endpoint is None:
                        if fd == self.attach.fileno():
                            self._attach_next()
                    elif event == readable:
                        read(endpoint)
                    else:
                        if event & select.EPOLLOUT:
                            self._drain(endpoint)
                        if event & ~select.EPOLLOUT:
                            read(endpoint)
                if self._delayed:
                    self._deliver_due()
        except EOFError:
            self.close()

    def close(self) -> None:
        """Hang up on everybody."""
        for endpoint in self._by_fd.values():
            endpoint.queue.close()
        self.attach.close()
        self._epoll.close()

    # -- forwarding ---------------------------------------------------------------------------------------------------

    def _read(self, endpoint: Endpoint) -> None:
        """What the endpoint has sent: one frame, and more only if it had more to read the last time too. Asking for a frame
        that is not there takes longer than being told of the next one."""
        receive, unpack, by_link, endpoints = (
            endpoint.queue.receive,
            HEAD.unpack_from,
            self.links.by_link,
            self.endpoints,
        )
        frames = FRAMES_AT_ONCE if endpoint.read_in == self._round - 1 else 1
        endpoint.read_in = self._round
        forwarded = 0
        try:
            for _ in range(frames):
                frame = receive()
                source, _, _, count, first = unpack(frame)
                for target in (first,) if count == 1 else targets_of(frame):
                    if by_link and not self._passes(source, target, frame):
                        continue
                    receiver = endpoints.get(target)
                    if receiver is not None and not receiver.waiting:
                        try:
                            receiver.send(frame)
                            forwarded += 1
                            continue
                        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                            pass
                    self._forward_slowly(target, frame)
        except BlockingIOError:
            pass
        except EOFError:
            self._detach(endpoint)
        self.forwarded += forwarded

    def _forward_slowly(self, target: int, frame: bytes) -> None:
        """Orders, receivers that are gone, and receivers that do not keep up."""
        receiver = self.endpoints.get(target)
        if receiver is None:
            if target == SWITCHBOARD_ADDRESS:
                self._obey(decode_control(frame))
            else:
                self.undeliverable += 1
            return
        if not receiver.waiting:
            try:
                receiver.send(frame)
                self.forwarded += 1
                return
            except BlockingIOError:
                self._epoll.modify(receiver.queue, select.EPOLLIN | select.EPOLLOUT)
            except (BrokenPipeError, ConnectionResetError):
                self.undeliverable += 1
                return
        if len(receiver.waiting) < QUEUE_FRAMES_MAX or CONTROL_ADDRESS in (target, HEAD.unpack_from(frame)[0]):
            receiver.waiting.append(frame)
        else:
            self.overflowed += 1

    def _drain(self, endpoint: Endpoint) -> None:
        waiting = endpoint.waiting
        try:
            while waiting:
                endpoint.send(waiting[0])
                waiting.popleft()
                self.forwarded += 1
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self.undeliverable += len(waiting)
            waiting.clear()
        self._epoll.modify(endpoint.queue, select.EPOLLIN)

    def _passes(self, source: int, target: int, frame: bytes) -> bool:
        """Whether the frame goes on at once. Else its copies wait for their time, or it is lost."""
        if source == CONTROL_ADDRESS or target >= SWITCHBOARD_ADDRESS:
            return True
        now_ns = time.monotonic_ns()
        fate = self.links.fate(
            source if source < FIRST_CLIENT_ADDRESS else CLIENTS,
            target if target < FIRST_CLIENT_ADDRESS else CLIENTS,
            now_ns,
        )
        if fate is UNTOUCHED or fate == UNTOUCHED:
            return True
        for extra_ns in fate:
            self._number += 1
            heapq.heappush(self._delayed, (now_ns + extra_ns, self._number, target, frame))
        return False

    def _timeout_s(self) -> float:
        return max(0.0, (self._delayed[0][0] - time.monotonic_ns()) / 1e9)

    def _deliver_due(self) -> None:
        now_ns = time.monotonic_ns()
        while self._delayed and self._delayed[0][0] <= now_ns:
            _, _, target, frame = heapq.heappop(self._delayed)
            self._forward_slowly(target, frame)

    # -- who is there -------------------------------------------------------------------------------------------------

    def _attach_next(self) -> None:
        """A new process: ``address u32 | incarnation u32`` and its end of the queue."""
        data, fds, _, _ = socket.recv_fds(self.attach, ADDRESS_BYTES, 1)
        if not data:
            raise EOFError("the launcher is gone")
        address, incarnation = int.from_bytes(data[:4], "little"), int.from_bytes(data[4:], "little")
        endpoint = Endpoint(SeqQueue.from_fd(fds[0]), address, incarnation)
        self.endpoints[address] = endpoint
        self._by_fd[fds[0]] = endpoint
        self._epoll.register(fds[0], select.EPOLLIN)

    def _detach(self, endpoint: Endpoint) -> None:
        """Its process is gone and all it had sent was read."""
        if endpoint.address == CONTROL_ADDRESS:
            raise EOFError("the harness is gone")
        fd = endpoint.queue.fileno()
        self._epoll.unregister(fd)
        del self._by_fd[fd]
        endpoint.queue.close()
        self.undeliverable += len(endpoint.waiting)
        if self.endpoints.get(endpoint.address) is endpoint:
            del self.endpoints[endpoint.address]

    # -- orders -------------------------------------------------------------------------------------------------------

    def _obey(self, order: list[Any]) -> None:
        word, number, *rest = order
        result: Any
        if word == "add_links":
            result = self.links.add(msgspec.convert(rest[0], list[LinkRule]))
        elif word == "remove_links":
            result = self.links.remove(rest[0])
        elif word == "counters":
            result = {
                "forwarded": self.forwarded,
                "undeliverable": self.undeliverable,
                "overflowed": self.overflowed,
                "delayed_now": len(self._delayed),
            }
        else:
            result = {"error": f"unknown order {word!r}"}
        for answer in encode_frames(SWITCHBOARD_ADDRESS, 0, (CONTROL_ADDRESS,), ("answer", number, result)):
            self._forward_slowly(CONTROL_ADDRESS, answer)


class Line:
    """The harness's end: gives orders to the switchboard and, through it, to agents and clients; hears reports."""

    def __init__(self, queue_: SeqQueue) -> None:
        self.queue = queue_
        self._number = 0
        self.heard: deque[tuple[int, int, list[Any]]] = deque()
        """(source, incarnation, content) of reports not yet taken."""

    def order(self, target: int, *content: Any) -> None:
        for frame in encode_frames(CONTROL_ADDRESS, 0, (target,), content):
            self.queue.put(frame, timeout=5.0)

    def call(self, word: str, *arguments: Any, timeout_s: float = 5.0) -> Any:
        """An order to the switchboard, answered. Raises TimeoutError, EOFError."""
        self._number += 1
        self.order(SWITCHBOARD_ADDRESS, word, self._number, *arguments)
        until = time.monotonic() + timeout_s
        while True:
            try:
                frame = self.queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"the switchboard did not answer {word!r} within {timeout_s:g} s") from None
            source, content = self._take(frame)
            if source == SWITCHBOARD_ADDRESS and content[1] == self._number:
                return content[2]

    def listen(self) -> None:
        """Move all reports that are at hand to ``heard``. Raises EOFError if the switchboard is gone."""
        try:
            while True:
                self._take(self.queue.get_nowait())
        except queue.Empty:
            return

    def _take(self, frame: bytes) -> tuple[int, list[Any]]:
        source, incarnation, *_ = HEAD.unpack_from(frame)
        content = decode_control(frame)
        if source != SWITCHBOARD_ADDRESS:
            self.heard.append((source, incarnation, content))
        return source, content
