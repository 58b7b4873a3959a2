"""What agents and clients say to each other. Immutable, so that a message in flight cannot change.

* A *ballot* is ``(round, node)``; ``NO_BALLOT`` sorts below every real one and means "none yet".
* A *slot* (an instance in the seed) starts at 1.
* A *value* of a slot is a tuple of commands: a batch. ``NO_OP`` (the empty batch) fills gaps. "Nothing accepted" is the
  absence of an entry, never a value, so that a chosen no-op cannot be taken for a free slot.
* Addresses are integers: agents ``0 … n-1``, clients from ``FIRST_CLIENT_ADDRESS``.

Messages stay under 128 kB: promises, catch-up and snapshots come in pages.
"""

from __future__ import annotations

from typing import Any

import msgspec

Ballot = tuple[int, int]
NO_BALLOT: Ballot = (-1, -1)

FIRST_CLIENT_ADDRESS = 1000
CLIENT_SERIAL_BITS = 32


def client_address(client: int) -> int:
    """The address of a logical client: client ids are ``address << 32 | serial`` and never used twice."""
    return client >> CLIENT_SERIAL_BITS


def client_name(client: int) -> str:
    """A client id for readers: ``3``, or ``3b`` behind the second address, as in the reports."""
    place = client_address(client) - FIRST_CLIENT_ADDRESS
    if not 0 <= place < 26:
        return str(client)
    return f"{client & ((1 << CLIENT_SERIAL_BITS) - 1)}{chr(ord('a') + place) if place else ''}"


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One client command. ``(client, seq)`` is unique and names the operation; ``session`` makes a retry harmless."""

    client: int
    seq: int
    session: int
    f: str
    key: str
    value: Any = None
    expected: Any = None


Value = tuple[Command, ...]
NO_OP: Value = ()


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of all messages."""


# -- clients ------------------------------------------------------------------------------------------------------


class Request(Message, frozen=True, tag=1):
    """A client asks for a command. A retry repeats it word for word."""

    command: Command


OK = "ok"
NOT_LEADER = "not_leader"
EXPIRED = "expired"
BUSY = "busy"
MALFORMED = "malformed"


class Reply(Message, frozen=True, tag=2):
    """The answer to a request.

    ``ok``: executed, ``result`` holds what the state machine returned. ``not_leader``: this node did not and will not
    propose it; ``leader`` is its guess who would. ``expired``: the session is unknown, the command was not executed by
    this attempt. ``busy``: shed before it was proposed. ``malformed``: no node ever proposes it; ``result`` says why.
    """

    client: int
    seq: int
    status: str
    result: Any = None
    leader: int = -1


class LocalRead(Message, frozen=True, tag=18):
    """A client asks one learner for what it holds, not through the log: old perhaps, but never older than ``at_least``
    (The Part-Time Parliament, section 3.3.4: learning the law, monotonic reads)."""

    client: int
    seq: int
    key: str
    at_least: int


class LocalValue(Message, frozen=True, tag=19):
    """The answer: ``value`` after slot ``version``. A learner that has not applied ``at_least`` refuses with ``busy``."""

    client: int
    seq: int
    value: Any
    version: int


# -- election -----------------------------------------------------------------------------------------------------


class PreVote(Message, frozen=True, tag=3):
    """Would you promise ``ballot``? Nobody changes state, so a returning node cannot depose a healthy leader."""

    ballot: Ballot


class PreVoteReply(Message, frozen=True, tag=4):
    ballot: Ballot
    granted: bool
    promised: Ballot


class Heartbeat(Message, frozen=True, tag=5):
    """The leader lives. ``commit``: every slot up to it is chosen, at latest at ``ballot``, so a learner can tell that it
    misses even the last value. ``stable``: slots up to it are in durable snapshots of a majority of the learners."""

    ballot: Ballot
    beat: int
    commit: int
    stable: int


class HeartbeatReply(Message, frozen=True, tag=6):
    """``applied``, ``durable``: slots applied, and covered by a durable snapshot, at the sender."""

    ballot: Ballot
    beat: int
    applied: int
    durable: int


# -- Synod --------------------------------------------------------------------------------------------------------


class Prepare(Message, frozen=True, tag=7):
    """Phase 1a for all slots >= ``slot`` at once (The Part-Time Parliament, section 3.1: NextBallot)."""

    ballot: Ballot
    slot: int


class PastVote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of a promise: the vote this acceptor cast last in that slot, or the chosen value if it knows it."""

    slot: int
    ballot: Ballot
    value: Value
    chosen: bool


class Promise(Message, frozen=True, tag=8):
    """Phase 1b, in pages. A page tells of all slots from ``start`` to that of its last vote, the ``last`` one of all slots
    from ``start`` on; so pages of several answers fit together. ``floor``: slots up to it are chosen but their values are
    cut from this acceptor's log."""

    ballot: Ballot
    start: int
    last: bool
    floor: int
    votes: tuple[PastVote, ...]


class Accept(Message, frozen=True, tag=9):
    """Phase 2a. ``commit`` as in Heartbeat."""

    ballot: Ballot
    slot: int
    value: Value
    commit: int


class Accepted(Message, frozen=True, tag=10):
    """Phase 2b, to the proposer."""

    ballot: Ballot
    slot: int


class Vote(Message, frozen=True, tag=11):
    """Phase 2b, to learners that count for themselves (classic deployment)."""

    ballot: Ballot
    slot: int
    value: Value


class Nack(Message, frozen=True, tag=12):
    """Refusal of ``ballot``: a higher one, ``promised``, was promised. An optimisation (Paxos Made Simple, section 2.3)."""

    ballot: Ballot
    promised: Ballot


class Truncated(Message, frozen=True, tag=13):
    """The slots up to ``floor`` are chosen and cut here; learn them by catch-up."""

    ballot: Ballot
    floor: int


# -- catch-up -----------------------------------------------------------------------------------------------------


class CatchUp(Message, frozen=True, tag=14):
    """What was chosen from ``slot`` on?"""

    slot: int


class Learn(Message, frozen=True, tag=15):
    """Chosen values of the slots ``slot``, ``slot + 1``, …; ``commit``: the sender has learned that far."""

    slot: int
    values: tuple[Value, ...]
    commit: int


class FetchPage(Message, frozen=True, tag=16):
    """Send page ``page`` of your snapshot that covers ``slot``."""

    slot: int
    page: int


class SnapshotPage(Message, frozen=True, tag=17):
    """Bytes of page ``page`` of ``pages`` of the snapshot that covers all slots <= ``slot``."""

    slot: int
    page: int
    pages: int
    data: bytes


AnyMessage = (
    Request
    | Reply
    | LocalRead
    | LocalValue
    | PreVote
    | PreVoteReply
    | Heartbeat
    | HeartbeatReply
    | Prepare
    | Promise
    | Accept
    | Accepted
    | Vote
    | Nack
    | Truncated
    | CatchUp
    | Learn
    | FetchPage
    | SnapshotPage
)


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message on the wire. The *receiving agent* compares ``incarnation`` with what it saw; the network never does."""

    source: int
    incarnation: int
    target: int
    message: AnyMessage


def value_bytes(value: Value) -> int:
    """At least about how many bytes a value takes on the wire; only for bounds."""
    return sum(
        48 + _text_bytes(command.key) + _text_bytes(command.value) + _text_bytes(command.expected) for command in value
    )


def _text_bytes(text: Any) -> int:
    if text is None:
        return 0
    if not isinstance(text, str):
        text = str(text)
    return len(text) if text.isascii() else 4 * len(text)
