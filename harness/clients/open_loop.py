"""Open-loop load without I/O: operations start by the clock, not when the last one ended.

Rules
* Each operation has the time at which the schedule wanted it (``intended_ns``: latency counts from there) and the time just
  before its first send (``time_ns``: checking counts from there).
* A logical client has one operation in flight. If none is idle the operation waits; the backlog is bounded, what does not
  fit is shed and counted, never silently dropped.
* The invocation is recorded before its first message leaves.
* A client whose operation ended in ``info`` goes on under a new client id: the old one may still take effect.
* ``rate`` 0 is a closed loop: every client asks again at once (for benchmarks).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

from harness.record import Operation
from harness.workloads.mixed import Intent, MixedWorkload
from nemesis.plan import Workload
from paxos_impl.client import LOCAL_READ, ClientConfig, ClientSession, Finished
from paxos_impl.messages import CLIENT_SERIAL_BITS, AnyMessage, LocalValue, Reply

BACKLOG_PER_CLIENT = 10
_ANSWERS = (Reply, LocalValue)
Draw = Callable[[], float]


class LogicalClient:
    """A place in the load: its present session and the operation in flight."""

    __slots__ = ("index", "intended_ns", "intent", "ok_count", "seq", "session")

    def __init__(self, index: int, session: ClientSession) -> None:
        self.index = index
        self.session = session
        self.intent: Intent | None = None
        self.seq = 0
        """Of the operation in flight, as it was invoked: what the session makes of it later is not the history's."""
        self.intended_ns = 0
        self.ok_count = 0


class OpenLoop:
    """All logical clients behind one address. The host takes ``outbox``, hands in replies, calls ``on_time`` at
    ``deadline_ns()``."""

    def __init__(
        self,
        address: int,
        workload: Workload,
        intents: MixedWorkload,
        config: ClientConfig,
        draw: Draw,
        record: Callable[[Operation], None],
        make_session: Callable[[int, ClientConfig, Draw], ClientSession] = ClientSession,
        first_serial: int = 0,
    ) -> None:
        self.address = address
        self.workload = workload
        self.intents = intents
        self.config = config
        self.draw = draw
        self.record = record
        self.make_session = make_session
        self.outbox: list[tuple[int, AnyMessage]] = []
        self.shed = 0
        self.started = 0
        self.in_flight = 0
        self._serial = first_serial
        self._interval_ns = 1e9 / workload.rate if workload.rate > 0 else 0.0
        self._next_ns: int | None = None
        self._backlog: deque[int] = deque()
        self._errands: deque[Intent] = deque()
        self._deadlines: list[tuple[int, int]] = []
        self._by_client: dict[int, LogicalClient] = {}
        self.places: dict[int, int] = {}
        """Client id -> the logical client that bears or bore it."""
        self.clients = [LogicalClient(index, self._new_session()) for index in range(workload.clients)]
        for client in self.clients:
            self._adopt(client)
        self._idle = deque(self.clients)

    # -- host side ------------------------------------------------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """Begin the schedule."""
        if self._interval_ns:
            self._next_ns = now_ns + int(self._interval_ns * self.draw())
            return
        while self._idle and not self._spent():
            self._begin(self._idle.popleft(), now_ns, now_ns)

    def slow_down(self, share: float) -> None:
        """From now on only that share of the rate."""
        self._interval_ns /= share

    def stop(self) -> None:
        """No new operations; those in flight end by themselves."""
        self._next_ns = None
        self._interval_ns = 1.0
        self._backlog.clear()

    def read_back(self, now_ns: int) -> None:
        """Read every key once, before anything else that is wanted."""
        self._errands.extend(self.intents.reads())
        while self._idle and self._errands:
            self._begin(self._idle.popleft(), now_ns, now_ns)

    def deadline_ns(self) -> int | None:
        deadlines = self._deadlines
        while deadlines:
            at_ns, index = deadlines[0]
            if self.clients[index].session.deadline_ns == at_ns:
                break
            heapq.heappop(deadlines)
        first = deadlines[0][0] if deadlines else None
        if self._next_ns is None:
            return first
        return self._next_ns if first is None or self._next_ns < first else first

    def on_time(self, now_ns: int) -> None:
        while self._next_ns is not None and self._next_ns <= now_ns:
            intended_ns = self._next_ns
            self._next_ns = intended_ns + int(self._interval_ns * (0.5 + self.draw()))
            if self._spent():
                self._next_ns = None
            elif self._idle:
                self._begin(self._idle.popleft(), intended_ns, now_ns)
            elif len(self._backlog) < BACKLOG_PER_CLIENT * len(self.clients):
                self._backlog.append(intended_ns)
            else:
                self.shed += 1
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now_ns:
            at_ns, index = heapq.heappop(deadlines)
            client = self.clients[index]
            if client.session.deadline_ns == at_ns:
                self._after(client, client.session.on_time(now_ns), now_ns)

    def on_message(self, source: int, message: AnyMessage, now_ns: int) -> None:
        """An answer from an agent; other messages, and answers to clients that gave up, are ignored."""
        if not isinstance(message, _ANSWERS):
            return
        client = self._by_client.get(message.client)
        if client is None:
            return
        if isinstance(message, Reply):
            finished = client.session.on_reply(now_ns, source, message)
        else:
            finished = client.session.on_local_value(source, message)
        self._after(client, finished, now_ns)

    def give_up(self, now_ns: int) -> None:
        """The run ends: what is still in flight may have happened."""
        for client in self.clients:
            if client.intent is not None:
                self._complete(client, Finished("info", None, -1, "run ended"), now_ns)

    # -- inside ---------------------------------------------------------------------------------------------------------

    def _spent(self) -> bool:
        return 0 < self.workload.operations <= self.started

    def _new_session(self) -> ClientSession:
        self._serial += 1
        return self.make_session(self.address << CLIENT_SERIAL_BITS | self._serial, self.config, self.draw)

    def _adopt(self, client: LogicalClient) -> None:
        self._by_client[client.session.client] = client
        self.places[client.session.client] = client.index

    def _begin(self, client: LogicalClient, intended_ns: int, now_ns: int) -> None:
        intent = self._errands.popleft() if self._errands else self.intents.next()
        client.intent = intent
        client.intended_ns = intended_ns
        session = client.session
        seq = client.seq = session.invoke(now_ns, intent.f, intent.key, intent.value, intent.expected)
        self.started += 1
        self.in_flight += 1
        self.record(
            Operation(
                "invoke", now_ns, session.client, seq, intent.f, intent.key, _asked(intent), min(intended_ns, now_ns)
            )
        )
        self._after(client, None, now_ns)

    def _after(self, client: LogicalClient, finished: Finished | None, now_ns: int) -> None:
        session = client.session
        if session.outbox:
            self.outbox.extend(session.outbox)
            session.outbox.clear()
        if finished is not None:
            self._complete(client, finished, now_ns)
            if self._errands:
                self._begin(client, now_ns, now_ns)
            elif self._backlog:
                self._begin(client, self._backlog.popleft(), now_ns)
            elif self._interval_ns or self._spent():
                self._idle.append(client)
            else:
                self._begin(client, now_ns, now_ns)
        elif session.deadline_ns is not None:
            heapq.heappush(self._deadlines, (session.deadline_ns, client.index))

    def _complete(self, client: LogicalClient, finished: Finished, now_ns: int) -> None:
        intent, session = client.intent, client.session
        assert intent is not None
        value, applied, seen = _asked(intent), None, None
        if finished.type == "ok":
            client.ok_count += 1
            if intent.f == "read":
                value = finished.result
                self.intents.saw(intent.key, value)
            elif intent.f == "cas":
                applied, seen = _cas_answer(finished.result)
                self.intents.saw(intent.key, intent.value if applied else seen)
            elif intent.f == LOCAL_READ:
                value, seen = finished.result
            elif intent.f == "append":
                seen = finished.result
            elif intent.f == "write":
                self.intents.saw(intent.key, intent.value)
        self.record(
            Operation(
                finished.type,
                now_ns,
                session.client,
                client.seq,
                intent.f,
                intent.key,
                value,
                0,
                finished.node,
                applied,
                seen,
                finished.error,
            )
        )
        client.intent = None
        self.in_flight -= 1
        if finished.type == "info":
            del self._by_client[session.client]
            client.session = self._new_session()
            self._adopt(client)


def _cas_answer(result: Any) -> tuple[Any, Any]:
    """(took place, value found). What is no such pair is recorded as it came, for the checkers to see."""
    return tuple(result) if isinstance(result, list | tuple) and len(result) == 2 else (None, result)


def _asked(intent: Intent) -> object:
    return [intent.expected, intent.value] if intent.f == "cas" else intent.value
