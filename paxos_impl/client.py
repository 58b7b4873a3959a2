"""Client session: one operation in flight, retried until it is answered or given up.

Rules
* A retry repeats the command word for word, under the same session and seq: the sessions execute it once.
* A client id is never used twice, also not by the next life of the client's process.
* **Definite failure**: ``fail`` says that the operation surely did not happen. "Not leader" says so only if no attempt of
  it was ever sent that got another answer or none, and only if links cannot duplicate requests; "malformed" says so always, for
  no server proposes such a command. Everything else that is not
  an answer ends in ``info``: it may have happened, or may happen later.

A session is opened by a command of its own before the first operation; that costs one decree a client. After it expired the
next operation opens another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from paxos_impl.messages import (
    BUSY,
    EXPIRED,
    MALFORMED,
    NOT_LEADER,
    OK,
    AnyMessage,
    Command,
    LocalRead,
    LocalValue,
    Reply,
    Request,
)

LOCAL_READ = "local-read"
"""A function of the client alone: read what some learner holds, not older than what this client saw."""

OutcomeType = Literal["ok", "fail", "info"]


class ClientConfig(msgspec.Struct, frozen=True):
    """Times in ns. ``servers``: the agents that take requests (replicas, or proposers)."""

    servers: tuple[int, ...]
    readers: tuple[int, ...] = ()
    """The agents that answer local reads (replicas, or learners)."""
    retry_ns: int = 60_000_000
    timeout_ns: int = 500_000_000
    pause_ns: int = 5_000_000
    """Wait before asking the next server after a refusal without a hint."""
    links_may_duplicate: bool = False


class Finished(msgspec.Struct, frozen=True):
    """How an operation ended."""

    type: OutcomeType
    result: Any
    node: int
    error: str | None


class ClientSession:
    """A logical client. The host takes ``outbox``, hands in replies, and calls ``on_time`` at ``deadline_ns``."""

    def __init__(self, client: int, config: ClientConfig, draw: Callable[[], float]) -> None:
        self.client = client
        self.config = config
        self.session = 0
        self.seq = 0
        self.outbox: list[tuple[int, AnyMessage]] = []
        self.deadline_ns: int | None = None
        self.server = self._turn = config.servers[int(draw() * len(config.servers))]
        self.version = 0
        """Highest slot that answered a local read: the next one must not be older."""
        self._draw = draw
        self._operation: Command | None = None
        self._give_up_ns = 0
        self._unanswered = 0
        self._refused = 0
        self._pointed = False
        """The server to ask next was named by a refusal, and was not asked since."""

    @property
    def busy(self) -> bool:
        return self._operation is not None

    def invoke(self, now_ns: int, f: str, key: str, value: Any = None, expected: Any = None) -> int:
        """Begin an operation; returns its seq. Only one at a time."""
        assert self._operation is None, "one operation in flight per client"
        self.seq = self.next_seq()
        self._operation = Command(self.client, self.seq, self.session, f, key, value, expected)
        self._give_up_ns = now_ns + self.config.timeout_ns
        self._unanswered = self._refused = 0
        self._attempt(now_ns)
        return self.seq

    def next_seq(self) -> int:
        """Every operation of a session has a seq of its own; only its retries share it."""
        return self.seq + 1

    # -- events -------------------------------------------------------------------------------------------------------

    def on_reply(self, now_ns: int, source: int, reply: Reply) -> Finished | None:
        """An answer; returns how the operation ended, or None if it goes on (or the answer is an old one)."""
        operation = self._operation
        if operation is None or reply.client != self.client:
            return None
        if reply.seq == 0 and self.session == 0 and reply.status == OK:
            self.session = reply.result
            self._operation = Command(
                operation.client,
                operation.seq,
                self.session,
                operation.f,
                operation.key,
                operation.value,
                operation.expected,
            )
            self.server = source if source in self.config.servers else self.server
            self._unanswered = self._refused = 0
            self._attempt(now_ns)
            return None
        if not self.answers(reply, operation):
            return None
        if reply.status == OK:
            self.server = source if source in self.config.servers else self.server
            return self._finish("ok", reply.result, source, None)
        if reply.status == EXPIRED:
            self.session = 0
            return self._finish(self.outcome_of_expiry(), None, source, "session expired")
        if reply.status == MALFORMED:
            return self._finish("fail", None, source, reply.result)
        if reply.status in (NOT_LEADER, BUSY):
            self._refused += 1
            hinted = reply.leader in self.config.servers and reply.status == NOT_LEADER
            if operation.f != LOCAL_READ:
                self.server = reply.leader if hinted else self.next_in_turn(source)
            self._pointed = True
            if self._unanswered > self._refused:
                return None
            self.deadline_ns = now_ns + (0 if hinted and self._refused < 3 else self.config.pause_ns)
        return None

    def answers(self, reply: Reply, operation: Command) -> bool:
        """An answer to this very operation (or to the opening of the session), not to one before."""
        return reply.seq == (operation.seq if self.session or operation.f == LOCAL_READ else 0)

    def on_local_value(self, source: int, message: LocalValue) -> Finished | None:
        """An answer to a local read; None if it is an old one."""
        operation = self._operation
        if operation is None or operation.f != LOCAL_READ or message.seq != operation.seq:
            return None
        self.note_version(message.version)
        return self._finish("ok", [message.value, message.version], source, None)

    def note_version(self, version: int) -> None:
        """What was read once is never unread: the next local read must not be older (PTP section 3.3.4)."""
        self.version = max(self.version, version)

    def on_time(self, now_ns: int) -> Finished | None:
        """The deadline has come: try again, or give up."""
        if self._operation is None:
            self.deadline_ns = None
            return None
        if now_ns >= self._give_up_ns:
            if self.is_definite_failure():
                return self._finish("fail", None, -1, "no leader took it")
            return self._finish("info", None, -1, "timeout")
        if self.must_turn_away():
            self.server = self.next_in_turn(self.server)
        self._attempt(now_ns)
        return None

    def outcome_of_expiry(self) -> OutcomeType:
        """An earlier attempt may have been executed before the session went: nobody knows any more."""
        return "info"

    def must_turn_away(self) -> bool:
        """After silence the next server is asked; after a refusal the one it pointed to, whatever was silent before."""
        return self._unanswered > self._refused and not self._pointed

    def is_definite_failure(self) -> bool:
        """No attempt of the operation itself was sent, or every one was refused and none could be duplicated on its way."""
        if self.session == 0 or self._operation is None or self._operation.f == LOCAL_READ:
            return True
        return self._unanswered == self._refused and not self.config.links_may_duplicate

    def next_in_turn(self, asked: int) -> int:
        """Servers are tried in turn, whatever hints led to meanwhile: two that are cut off may point at each other for ever.
        ``asked``: the one that was of no use just now."""
        for _ in range(2):
            self._turn = self.next_server(self._turn)
            if self._turn != asked:
                break
        return self._turn

    def next_server(self, server: int) -> int:
        """In turn, so that each is asked before one is asked again."""
        servers = self.config.servers
        return servers[(servers.index(server) + 1) % len(servers)] if server in servers else servers[0]

    # -- attempts -----------------------------------------------------------------------------------------------------

    def _attempt(self, now_ns: int) -> None:
        assert self._operation is not None
        if self._operation.f == LOCAL_READ:
            self._ask_reader(self._operation, now_ns)
            return
        command = self._operation if self.session else Command(self.client, 0, 0, "open", "")
        self._unanswered += 1
        self._pointed = False
        self.outbox.append((self.server, Request(command)))
        self.deadline_ns = min(self._give_up_ns, now_ns + self.config.retry_ns)

    def _ask_reader(self, operation: Command, now_ns: int) -> None:
        """A local read needs no session and no leader: any reader will do, another one after a refusal or silence."""
        reader = self.config.readers[int(self._draw() * len(self.config.readers))]
        self._unanswered += 1
        self.outbox.append((reader, LocalRead(self.client, operation.seq, operation.key, self.version)))
        self.deadline_ns = min(self._give_up_ns, now_ns + self.config.retry_ns)

    def _finish(self, type_: OutcomeType, result: Any, node: int, error: str | None) -> Finished:
        self._operation = None
        self.deadline_ns = None
        return Finished(type_, result, node, error)
