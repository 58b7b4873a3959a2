"""What the loop and an agent's process say to each other: one order, its effects in the order they happened, one end.

An agent that comes to a watched moment says so and waits: the loop answers, or kills it right there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from paxos_impl.messages import AnyMessage, Ballot, Value


class Order(msgspec.Struct, array_like=True):
    """``what``: start, handle, wake, begin_sync, end_sync, fail_sync, stop; or go_on, at a watched moment."""

    what: str
    now_ns: int
    watched: tuple[str, ...] = ()
    full: bool = False
    """The disk is full: appends fail."""
    batch: Sequence[tuple[tuple[int, int], AnyMessage]] = ()


class Traced(msgspec.Struct, array_like=True, tag="t"):
    kind: str
    ballot: Ballot | None
    slot: int
    value: Value | None
    extra: Any


class FileChange(msgspec.Struct, array_like=True, tag="f"):
    """A call of the file port that changed something. ``other``: the new name of a rename."""

    what: str
    name: str
    other: str = ""
    data: bytes = b""
    size: int = 0


Effect = Traced | FileChange


class Answer(msgspec.Struct, array_like=True):
    """Effects since the last answer. ``done``: the order is carried out; else the agent waits at the last effect."""

    effects: list[Effect]
    done: bool
    outbox: list[tuple[int, AnyMessage]]
    deadline_ns: int | None
    wants_sync: bool
    applied: int
    error: tuple[str, str] | None
    """(type, text) of the exception that ended the agent."""


encode = msgspec.msgpack.Encoder().encode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
