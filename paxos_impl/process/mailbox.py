"""Mailbox: how an agent in a process of its own talks to the network. A queue of frames that no death can wedge.

Rules
* One socket pair for each agent and incarnation, made anew at every restart; nobody shares an end, so no lock exists that a
  killed process could keep.
* SOCK_SEQPACKET: a frame is sent in one system call and arrives whole or not at all; the other end sees EOF when its peer dies.
* A dead peer that had unread input shows as ECONNRESET once, *before* what it had sent; reading goes on behind it.
* The frame is what the network loses, delays and copies, on the way to each of its targets by itself. Messages of one step to
  one target share a frame; targets that get the same messages share it too (a leader's Accepts are written once).

Frame: ``source u32 | incarnation u32 | messages u16 | targets u16 | target u32, once for each``, little endian, then one
msgpack array of messages. The network reads the head and nothing else.
"""

from __future__ import annotations

import queue
import select
import socket
import struct
from collections.abc import Sequence
from functools import cache
from multiprocessing import context, reduction
from typing import Any

import msgspec

from paxos_impl.messages import AnyMessage

SOCKET_BUFFER_BYTES = 4 << 20
MAX_FRAME_BYTES = 131_072
"""Frames with more than one message stay below; a default socket takes up to 212,960 bytes."""
LONGEST_BYTES = 1 << 20
"""No longer frame can be sent: the receiver's buffer would cut it."""
HEAD = struct.Struct("<IIHHI")
"""Source, incarnation, number of messages, number of targets, the first target."""
CONTROL_ADDRESS = 0xFFFF_FFFF
"""The host's overseer: gets reports, gives orders. Their content is plain msgpack, not messages."""


class SeqQueue:
    """A queue of bytes to and from one peer, with the interface of ``queue.Queue``.

    It may be handed to a child process started by fork, spawn or forkserver.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._buffer = memoryview(bytearray(LONGEST_BYTES))
        self.send = sock.send
        """The fast way of ``put``: no waiting, the errors of the socket."""

    @classmethod
    def pair(cls) -> tuple[SeqQueue, SeqQueue]:
        """Two connected ends."""
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        return cls(ends[0]), cls(ends[1])

    @classmethod
    def from_fd(cls, fd: int) -> SeqQueue:
        """Takes over the descriptor of one end."""
        return cls(socket.socket(fileno=fd))

    def __getstate__(self) -> Any:
        context.assert_spawning(self)
        return reduction.DupFd(self._socket.fileno())

    def __setstate__(self, duplicate: Any) -> None:
        self.__init__(socket.socket(fileno=duplicate.detach()))  # type: ignore[misc]

    def put(self, item: bytes, block: bool = True, timeout: float | None = None) -> None:
        """Send. Raises queue.Full if there is no room in time, EOFError if the peer is gone, ValueError if it is too long."""
        if not item:
            raise ValueError("an empty frame would look like the end of the queue")
        if len(item) > LONGEST_BYTES:
            raise ValueError(f"a frame of {len(item)} bytes is too long; at most {LONGEST_BYTES}")
        while True:
            try:
                self.send(item)
                return
            except BlockingIOError:
                if not block or not self._wait(select.POLLOUT, timeout):
                    raise queue.Full from None
            except (BrokenPipeError, ConnectionResetError):
                raise EOFError("the other end of the mailbox is gone") from None

    def get(self, block: bool = True, timeout: float | None = None) -> bytes:
        """Receive. Raises queue.Empty if nothing came in time, EOFError when all was read and the peer is gone."""
        while True:
            try:
                return self.receive()
            except BlockingIOError:
                if not block or not self._wait(select.POLLIN, timeout):
                    raise queue.Empty from None

    def receive(self) -> bytes:
        """The fast way of ``get``: raises BlockingIOError if nothing is at hand, EOFError at the end."""
        # Into a buffer and out again: sock.recv(LONGEST_BYTES) would take five times as long.
        while True:
            try:
                size = self._socket.recv_into(self._buffer)
            except ConnectionResetError:
                continue
            if not size:
                raise EOFError("the other end of the mailbox is gone")
            return bytes(self._buffer[:size])

    def put_nowait(self, item: bytes) -> None:
        self.put(item, block=False)

    def get_nowait(self) -> bytes:
        return self.get(block=False)

    def empty(self) -> bool:
        return not self._wait(select.POLLIN, 0)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def _wait(self, event: int, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self._socket, event)
        return bool(poll.poll(None if timeout is None else max(0.0, timeout * 1000)))


_FROM_CONTROL = CONTROL_ADDRESS.to_bytes(4, "little")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[AnyMessage]).decode
_decode_any = msgspec.msgpack.Decoder().decode


_COUNTS = struct.Struct("<IIHH")
"""The head without its targets."""
_TARGETS_AT = _COUNTS.size


@cache
def _addresses(count: int) -> struct.Struct:
    """So many targets."""
    return struct.Struct(f"<{count}I")


def encode_frames(source: int, incarnation: int, targets: Sequence[int], messages: Sequence[Any]) -> list[bytes]:
    """As few frames as hold the messages, in order. One message alone may exceed MAX_FRAME_BYTES."""
    body = _encode(messages)
    if len(body) > MAX_FRAME_BYTES and len(messages) > 1:
        half = len(messages) // 2
        return encode_frames(source, incarnation, targets, messages[:half]) + encode_frames(
            source, incarnation, targets, messages[half:]
        )
    if len(targets) == 1:
        return [HEAD.pack(source, incarnation, len(messages), 1, targets[0]) + body]
    counts = _COUNTS.pack(source, incarnation, len(messages), len(targets))
    return [counts + _addresses(len(targets)).pack(*targets) + body]


def targets_of(frame: bytes) -> tuple[int, ...]:
    """Where the frame goes."""
    *_, count = _COUNTS.unpack_from(frame)
    return _addresses(count).unpack_from(frame, _TARGETS_AT)


def decode_frame(frame: bytes) -> tuple[int, int, list[AnyMessage]]:
    """(source, incarnation, messages)"""
    source, incarnation, _, targets = _COUNTS.unpack_from(frame)
    return source, incarnation, _decode(frame[_TARGETS_AT + 4 * targets :])


def is_order(frame: bytes) -> bool:
    """Whether the frame comes from the overseer."""
    return frame.startswith(_FROM_CONTROL)


def decode_control(frame: bytes) -> list[Any]:
    """What a frame from or to the overseer says."""
    *_, targets = _COUNTS.unpack_from(frame)
    content: list[Any] = _decode_any(frame[_TARGETS_AT + 4 * targets :])
    return content


class Mailbox:
    """One endpoint of the network: an address and an incarnation on a queue."""

    def __init__(self, queue_: SeqQueue, address: int, incarnation: int) -> None:
        self.queue = queue_
        self.address = address
        self.incarnation = incarnation
        self.dropped = 0
        """Frames for which the network had no room."""
        readable = select.poll()
        readable.register(queue_, select.POLLIN)
        self._poll = readable.poll

    def send_all(self, outbox: Sequence[tuple[int, AnyMessage]]) -> None:
        """Send (target, message) pairs in as few frames as will do. What has no room is lost, as on any network."""
        if len(outbox) == 1:
            target, message = outbox[0]
            self._send((target,), (message,))
            return
        by_target: dict[int, list[AnyMessage]] = {}
        for target, message in outbox:
            if target in by_target:
                by_target[target].append(message)
            else:
                by_target[target] = [message]
        groups: list[tuple[list[int], list[AnyMessage]]] = []
        for target, messages in by_target.items():
            if groups and groups[-1][1] == messages:
                groups[-1][0].append(target)
            else:
                groups.append(([target], messages))
        for targets, messages in groups:
            self._send(targets, messages)

    def _send(self, targets: Sequence[int], messages: Sequence[AnyMessage]) -> None:
        for frame in encode_frames(self.address, self.incarnation, targets, messages):
            try:
                self.queue.send(frame)
            except BlockingIOError:
                self.dropped += 1
            except (BrokenPipeError, ConnectionResetError):
                raise EOFError("the network is gone") from None

    def report(self, *content: Any) -> None:
        """Tell the overseer; waits for room."""
        for frame in encode_frames(self.address, self.incarnation, (CONTROL_ADDRESS,), content):
            self.queue.put(frame)

    def receive_all(self, limit: int, timeout_ms: float | None = 0) -> list[bytes]:
        """Up to ``limit`` frames that are at hand; waits ``timeout_ms`` for the first (None: without end). Raises EOFError when
        the network is gone."""
        # Asking whether there is another frame takes a fifth of the time that an exception takes to say there is none. After a
        # wait there is hardly ever more than one.
        poll = self._poll
        waited = not poll(0)
        frames: list[bytes] = []
        if waited and (timeout_ms == 0 or not poll(timeout_ms)):
            return frames
        receive = self.queue.receive
        try:
            frames.append(receive())
            while not waited and len(frames) < limit and poll(0):
                frames.append(receive())
        except BlockingIOError:
            pass
        except EOFError:
            if not frames:
                raise
        return frames
