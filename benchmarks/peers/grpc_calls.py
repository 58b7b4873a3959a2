"""As much of gRPC as etcd's ``Put`` needs: unary calls over one HTTP/2 connection without encryption.

HTTP/2 (RFC 9113): frames ``length u24 | type u8 | flags u8 | stream u32``, a stream for each call. gRPC: a message is
``compressed u8 | length u32 | protobuf``; a call that failed answers without a message. Headers are sent as literals that
change no table (RFC 7541), so sending needs no state; headers received are skipped, since a message tells enough.

A client library would do the same at several times the cost to the CPU, which here the servers need.
"""

from __future__ import annotations

import socket
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_LARGEST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 65_535
_READ_BYTES = 1 << 16


class CallFailed(Exception):
    """The server refused a call or hung up."""


class Connection:
    """One connection that calls one method. ``send`` starts a call; ``receive`` tells which calls were answered."""

    def __init__(self, port: int, method: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = _header_block(f"127.0.0.1:{port}", method)
        self._stream = -1
        self._received = bytearray()
        self._answered: set[int] = set()
        self._outgoing: list[bytes] = [
            _PREFACE,
            _frame(_SETTINGS, 0, 0, b""),
            _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW)),
        ]

    def call(self, message: bytes) -> int:
        """Queue a call; returns its number. ``flush`` sends what is queued."""
        self._stream += 2
        body = b"\0" + struct.pack(">I", len(message)) + message
        self._outgoing.append(_frame(_HEADERS, _END_HEADERS, self._stream, self._headers))
        self._outgoing.append(_frame(_DATA, _END_STREAM, self._stream, body))
        return self._stream

    def flush(self) -> None:
        self._socket.sendall(b"".join(self._outgoing))
        self._outgoing.clear()

    def receive(self) -> list[int]:
        """Wait for something to come; the calls that are answered. Raises CallFailed."""
        data = self._socket.recv(_READ_BYTES)
        if not data:
            raise CallFailed("the server hung up")
        received = self._received
        received += data
        done: list[int] = []
        at = 0
        while len(received) - at >= 9:
            length = int.from_bytes(received[at : at + 3], "big")
            if len(received) - at < 9 + length:
                break
            kind, flags = received[at + 3], received[at + 4]
            stream = int.from_bytes(received[at + 5 : at + 9], "big")
            self._take(kind, flags, stream, bytes(received[at + 9 : at + 9 + length]), done)
            at += 9 + length
        del received[:at]
        return done

    def _take(self, kind: int, flags: int, stream: int, payload: bytes, done: list[int]) -> None:
        if kind == _DATA:
            if payload:
                self._answered.add(stream)
        elif kind == _SETTINGS and not flags & _ACK:
            self._outgoing.append(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._outgoing.append(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RESET, _GO_AWAY):
            raise CallFailed(f"the server ended {'a call' if kind == _RESET else 'the connection'}: {payload!r}")
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            if stream not in self._answered:
                raise CallFailed(f"a call failed: {payload!r}")
            self._answered.remove(stream)
            done.append(stream)

    def settimeout(self, seconds: float) -> None:
        self._socket.settimeout(seconds)

    def close(self) -> None:
        self._socket.close()


def bytes_field(number: int, value: bytes) -> bytes:
    """A protobuf field of that number that holds bytes."""
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    coded = bytearray()
    while value >= 128:
        coded.append(value & 127 | 128)
        value >>= 7
    coded.append(value)
    return bytes(coded)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _header_block(authority: str, path: str) -> bytes:
    """POST over http: method and scheme stand in HPACK's fixed table (3, 6), as do most names (4, 1, 31)."""
    return b"".join(
        [
            b"\x83\x86",
            b"\x04" + _text(path),
            b"\x01" + _text(authority),
            b"\x0f\x10" + _text("application/grpc"),
            b"\x00" + _text("te") + _text("trailers"),
        ]
    )


def _text(value: str) -> bytes:
    """A literal that is not compressed, shorter than 127 bytes."""
    return bytes([len(value)]) + value.encode()
