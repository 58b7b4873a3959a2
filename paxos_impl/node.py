"""Node: one incarnation of an agent, as a host runs it. The same in every world.

A host hands in events and carries out effects::

    node.receive(source, incarnation, message, now_ns)   any number of messages that are at hand
    node.finish()                                        batches what waits, hands the log to the operating system
    node.handle([((source, incarnation), message), …], now_ns)   both at once
    node.take_outbox()                                   messages that may leave
    if node.wants_sync: node.begin_sync(); …; node.end_sync(now_ns)
    node.wake(now_ns)                                    at node.deadline_ns()

A host in a hurry takes ``finish`` apart, into ``flush``, ``settle`` and ``rest``, and sends between them what may leave.

Any of them may raise ``StorageFault`` or ``ProtocolViolation``: the agent is finished, its process must stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from paxos_impl.agent import Config, Trace
from paxos_impl.files import Files
from paxos_impl.log import StorageFault
from paxos_impl.messages import AnyMessage
from paxos_impl.parts import CORRECT, Parts

T = TypeVar("T")


class Node:
    """``draw``: a stream of floats in [0, 1) of this node's own. Times are readings of this node's clock, in ns."""

    def __init__(
        self,
        config: Config,
        incarnation: int,
        files: Files,
        draw: Callable[[], float],
        trace: Trace,
        parts: Parts = CORRECT,
    ) -> None:
        self.incarnation = incarnation
        self.id = config.node
        self.context = parts.make_context(config, files, draw, trace, incarnation)
        self.agent = parts.make_agent(self.context)
        self.gate = self.context.gate
        self.log = self.context.log
        self.timers = self.context.timers

    def start(self, now_ns: int) -> None:
        """Recover from the log. Nothing leaves before what was recovered has been synced."""
        self.context.now_ns = now_ns
        checkpoint, records = self._guarded(self.log.recover)
        self.context.trace("started", None, 0, None, {"role": self.agent.role, "commit": checkpoint.slot})
        self.agent.recover(checkpoint, records)
        self.agent.start()
        self.finish()

    def receive(self, source: int, incarnation: int, message: AnyMessage, now_ns: int) -> None:
        if now_ns < self.context.now_ns:
            self._clock_set_back(now_ns)
        self.context.now_ns = now_ns
        self.agent.receive(source, incarnation, message)
        if self.gate.loopback:
            self._loop_back()

    def handle(self, batch: Iterable[tuple[tuple[int, int], AnyMessage]], now_ns: int) -> None:
        """All messages that are at hand, each with its sender and the sender's incarnation."""
        if now_ns < self.context.now_ns:
            self._clock_set_back(now_ns)
        self.context.now_ns = now_ns
        receive, gate = self.agent.receive, self.gate
        for (source, incarnation), message in batch:
            receive(source, incarnation, message)
            if gate.loopback:
                self._loop_back()
        self.finish()

    def wake(self, now_ns: int) -> None:
        if now_ns < self.context.now_ns:
            self._clock_set_back(now_ns)
        self.context.now_ns = now_ns
        self.agent.fire_timers()
        if self.gate.loopback:
            self._loop_back()

    def finish(self) -> None:
        """The end of a batch of events."""
        self.agent.flush()
        self.agent.rest()
        self.settle()

    def flush(self) -> None:
        """All events at hand are handled: say what is better said once, a leader's Accepts above all."""
        self.agent.flush()

    def rest(self) -> None:
        """Do what nobody waits for."""
        self.agent.rest()

    def settle(self) -> None:
        """Take in what the agent told itself, and hand the log to the operating system."""
        if self.gate.loopback:
            self._loop_back()
        if self.log.pending:
            self._guarded(self.log.flush)

    def take_outbox(self) -> list[tuple[int, AnyMessage]]:
        """(target, message) pairs that may leave now, in order."""
        outbox = self.gate.outbox
        if outbox:
            self.gate.outbox = []
        return outbox

    @property
    def wants_sync(self) -> bool:
        return self.log.wants_sync

    def begin_sync(self) -> None:
        self._guarded(self.log.begin_sync)

    def end_sync(self, now_ns: int) -> None:
        """The sync is finished: what waited for it goes, and the agent goes on."""
        if now_ns < self.context.now_ns:
            self._clock_set_back(now_ns)
        self.context.now_ns = now_ns
        slot = self._guarded(self.log.end_sync)
        if slot is not None:
            self.agent.on_checkpoint_durable(slot)
        self.gate.release_durable()
        if self.gate.loopback:
            self._loop_back()
        self.agent.flush()
        self.settle()

    def fail_sync(self, error: OSError) -> None:
        """The sync that was begun has failed."""
        self.log.on_failed_sync(error)

    def stop(self, now_ns: int) -> None:
        """Tell what was reached; nothing is sent any more."""
        self.context.now_ns = now_ns
        self.context.trace(
            "stopped", None, 0, None, {"commit": self.agent.applied_slot(), "state_digest": self.agent.state_digest()}
        )

    def deadline_ns(self) -> int | None:
        """When to call ``wake``, on this node's clock; None = no timer is set."""
        return min(self.timers.values()) if self.timers else None

    def _loop_back(self) -> None:
        """Messages to oneself, after their log records."""
        loopback = self.gate.loopback
        while loopback:
            self.agent.receive(self.id, self.incarnation, loopback.popleft())

    def _clock_set_back(self, now_ns: int) -> None:
        """Deadlines and times kept move with the clock: nothing may wait until it shows again what it showed before."""
        by_ns = self.context.now_ns - now_ns
        for name in self.timers:
            self.timers[name] -= by_ns
        self.agent.on_clock_set_back(by_ns)

    def _guarded(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except OSError as error:
            raise StorageFault(f"{error}; repair the disk, then restart the agent") from error
