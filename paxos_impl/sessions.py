"""Client sessions: a retry is executed once, however often it is chosen.

Rules (Ongaro's thesis, section 6.3, for a log of commands; The Part-Time Parliament leaves it to the application)
* ``open`` is a command like any other; the session's id is the place in the log where it was executed, so an id is never
  used twice.
* A session remembers the last command and its result. The same seq again is answered from there; a lower seq is not executed.
* At most ``max_sessions``; the one unused for longest goes, *decided by the log*, never by a clock. A command of a session
  that is gone is not executed, and its client is told.
* Sessions are part of the state: they are in every snapshot.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from paxos_impl.kv import KeyValueStore
from paxos_impl.messages import EXPIRED, OK, Command

APPLIED, DUPLICATE = "applied", "duplicate"
PLACES_IN_VALUE = 1 << 16


class Outcome(msgspec.Struct, array_like=True, gc=False):
    """What executing one command came to. ``how``: applied, duplicate or expired; ``status`` goes to the client."""

    how: str
    status: str
    result: Any


class Session(msgspec.Struct, array_like=True):
    id: int
    seq: int
    result: Any


class StateImage(msgspec.Struct, array_like=True):
    """The state machine's whole state after ``slot``: what a snapshot holds."""

    slot: int
    outcomes: int
    """Rolling digest of all outcomes so far."""
    data: dict[str, Any]
    sessions: dict[int, Session]


class StateMachine:
    """The store behind its sessions."""

    def __init__(self, store: KeyValueStore, max_sessions: int) -> None:
        self.store = store
        self.sessions: dict[int, Session] = {}
        """client -> session, the least recently used first."""
        self.max_sessions = max_sessions

    def execute(self, slot: int, place: int, command: Command) -> Outcome:
        """Run one chosen command, the ``place``-th of ``slot``'s value."""
        if command.f == "open":
            return self.open(slot, place, command)
        session = self.session_of(command)
        if session is None:
            return self.without_session(command)
        if self.is_duplicate(session, command):
            return self.answer_again(session, command)
        result = self.store.execute(command)
        self.remember(session, command, result)
        return Outcome(APPLIED, OK, result)

    def open(self, slot: int, place: int, command: Command) -> Outcome:
        """A session of its own for each client, named by its place in the log; opened once, however often it is asked for."""
        session = self.sessions.get(command.client)
        if session is not None:
            return Outcome(DUPLICATE, OK, session.id)
        session = Session(slot * PLACES_IN_VALUE + place, 0, None)
        self.sessions[command.client] = session
        while len(self.sessions) > self.max_sessions:
            del self.sessions[self.session_to_evict()]
        return Outcome(APPLIED, OK, session.id)

    def session_of(self, command: Command) -> Session | None:
        """The session the command names, if it is the one its client has now."""
        session = self.sessions.get(command.client)
        return session if session is not None and session.id == command.session else None

    def without_session(self, command: Command) -> Outcome:
        """The session is gone: whether an earlier attempt was executed is not known any more, so this one is not."""
        return Outcome(EXPIRED, EXPIRED, None)

    def is_duplicate(self, session: Session, command: Command) -> bool:
        """A seq is executed once, and none below one that was."""
        return command.seq <= session.seq

    def answer_again(self, session: Session, command: Command) -> Outcome:
        """The result of the first execution; that of an older command is not kept."""
        if command.seq == session.seq:
            return Outcome(DUPLICATE, OK, session.result)
        return Outcome(DUPLICATE, EXPIRED, None)

    def remember(self, session: Session, command: Command, result: Any) -> None:
        """The result goes into the state with its effect, so that every replica answers a retry alike."""
        session.seq = command.seq
        session.result = result
        self.sessions[command.client] = self.sessions.pop(command.client)

    def session_to_evict(self) -> int:
        """The client whose session was unused for longest, in order of the log."""
        return next(iter(self.sessions))

    def cached(self, command: Command) -> Outcome | None:
        """The outcome of a command already executed, for a leader that is asked again."""
        session = self.sessions.get(command.client)
        if session is None or session.id != command.session or command.seq != session.seq:
            return None
        return Outcome(DUPLICATE, OK, session.result)

    def digest(self) -> int:
        """Checksum of the whole state, the order of the sessions included. Taken from the state itself, not from an image of
        it: what a snapshot left out shows after it was restored."""
        return zlib.crc32(_encode([sorted(self.store.data.items()), self.sessions]))

    def image(self, slot: int, outcomes: int) -> bytes:
        """The content of a snapshot that covers slots <= ``slot``."""
        return _encode(StateImage(slot, outcomes, self.store.snapshot(), self.sessions))

    def restore(self, data: bytes) -> StateImage:
        """Become the state of a snapshot. Returns its header fields with it."""
        image = _decode(data)
        self.store.restore(image.data)
        self.sessions = image.sessions
        return image


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StateImage).decode
