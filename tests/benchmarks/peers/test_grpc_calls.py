"""The small gRPC client, against a socket that plays the server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from benchmarks.peers.grpc_calls import CallFailed, Connection, bytes_field

PREFACE_BYTES = 24
HEAD_BYTES = 9
END_STREAM, ACK = 1, 1
DATA, HEADERS, RESET, SETTINGS, PING = 0, 1, 3, 4, 6


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        connection = Connection(listener.getsockname()[1], "/package.Service/Method")
        server, _ = listener.accept()
    with closing(server), closing(connection):
        server.settimeout(5)
        connection.settimeout(5)
        yield connection, server


def frames_of(data: bytes) -> list[tuple[int, int, int, bytes]]:
    found = []
    while data:
        length = int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[HEAD_BYTES : HEAD_BYTES + length]))
        data = data[HEAD_BYTES + length :]
    return found


def test_a_call_is_a_stream_of_headers_and_one_message(ends: tuple[Connection, socket.socket]) -> None:
    connection, server = ends
    assert [connection.call(b"abc"), connection.call(b"d")] == [1, 3]
    connection.flush()
    sent = frames_of(server.recv(4096)[PREFACE_BYTES:])
    data = [(stream, flags, payload) for kind, flags, stream, payload in sent if kind == DATA]
    assert data == [(1, END_STREAM, b"\0\0\0\0\x03abc"), (3, END_STREAM, b"\0\0\0\0\x01d")]
    headers = next(payload for kind, _, stream, payload in sent if kind == HEADERS and stream == 1)
    assert b"/package.Service/Method" in headers and b"application/grpc" in headers


def test_an_answer_counts_when_its_stream_ends(ends: tuple[Connection, socket.socket]) -> None:
    connection, server = ends
    connection.call(b"x")
    connection.flush()
    answer = (
        frame(HEADERS, 4, 1, b"\x88") + frame(DATA, 0, 1, b"\0\0\0\0\0") + frame(HEADERS, 4 | END_STREAM, 1, b"\x88")
    )
    server.sendall(answer[:-5])
    assert connection.receive() == []
    server.sendall(answer[-5:])
    assert connection.receive() == [1]


def test_a_call_that_ends_without_a_message_failed(ends: tuple[Connection, socket.socket]) -> None:
    connection, server = ends
    connection.call(b"x")
    connection.flush()
    server.sendall(frame(HEADERS, 4 | END_STREAM, 1, b"\x88"))
    with pytest.raises(CallFailed, match="a call failed"):
        connection.receive()


def test_a_reset_and_a_hang_up_are_failures(ends: tuple[Connection, socket.socket]) -> None:
    connection, server = ends
    server.sendall(frame(RESET, 0, 1, b"\0\0\0\x08"))
    with pytest.raises(CallFailed, match="ended a call"):
        connection.receive()
    server.close()
    with pytest.raises(CallFailed, match="hung up"):
        connection.receive()


def test_settings_and_pings_are_acknowledged(ends: tuple[Connection, socket.socket]) -> None:
    connection, server = ends
    connection.flush()
    server.recv(4096)
    server.sendall(frame(SETTINGS, 0, 0, b"") + frame(PING, 0, 0, b"12345678"))
    assert connection.receive() == []
    connection.flush()
    assert frames_of(server.recv(4096)) == [(SETTINGS, ACK, 0, b""), (PING, ACK, 0, b"12345678")]


def test_a_long_field_has_a_length_of_several_bytes() -> None:
    assert bytes_field(2, b"x" * 300) == b"\x12\xac\x02" + b"x" * 300
