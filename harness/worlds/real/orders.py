"""What the harness and its launcher say to each other, over one SOCK_SEQPACKET pair; and where the processes meet.

The switchboard's end of the harness comes as a descriptor with its ``Started``. Orders to agents and clients, and their
reports, pass through the switchboard as frames from and to ``CONTROL_ADDRESS``: lists that begin with a word.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SWITCHBOARD_ADDRESS = 0xFFFF_FFFE

Role = Literal["switchboard", "agent", "client"]


class Setup(msgspec.Struct, frozen=True, tag=True):
    """The first order: what all children of this run have in common. ``plan``: JSON, in real time."""

    plan: bytes
    directory: str
    data_directory: str
    client_processes: int


class Spawn(msgspec.Struct, frozen=True, tag=True):
    role: Role
    address: int
    incarnation: int


class Started(msgspec.Struct, frozen=True, tag=True):
    role: Role
    address: int
    incarnation: int
    pid: int


class Exited(msgspec.Struct, frozen=True, tag=True):
    """A child is dead and reaped. ``code``: its exit code, or minus the signal that killed it."""

    role: Role
    address: int
    incarnation: int
    pid: int
    code: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The launcher could not do what was asked."""

    text: str


Order = Setup | Spawn
Notice = Started | Exited | Failed
encode = msgspec.msgpack.Encoder().encode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_notice = msgspec.msgpack.Decoder(Notice).decode
MESSAGE_BYTES_MAX = 1 << 18
