"""The gate: no message leaves before the log is durable as far as the message relies on it.

**Durability rule.** Every message, also one to oneself, and also a duplicate answered from memory, waits for all records
appended before it by this agent in *any* step. One sync lets go all that waits (group commit).

**Exemption.** A leader's Accept may leave before the leader's own vote is durable: phase 2a promises nothing about the
sender's disk; its ballot was made durable before its Prepare left, and its own vote counts only as an Accepted to itself,
which waits like any other. (Paxos Made Simple, section 2.3; Paxos Made Live, section 4.1.)
"""

from __future__ import annotations

from collections import deque

from paxos_impl.log import Log
from paxos_impl.messages import Accept, AnyMessage


class Gate:
    """Outgoing messages of one agent, in order. ``outbox`` may leave, ``loopback`` is for the agent itself."""

    def __init__(self, node: int, log: Log) -> None:
        self.node = node
        self.log = log
        self.outbox: list[tuple[int, AnyMessage]] = []
        self.loopback: deque[AnyMessage] = deque()
        self.held: deque[tuple[int, int, AnyMessage]] = deque()

    def send(self, target: int, message: AnyMessage) -> None:
        log = self.log
        if log.end > log.durable and not self.may_leave(message, log.end):
            self.held.append((log.end, target, message))
        elif target == self.node:
            self.loopback.append(message)
        else:
            self.outbox.append((target, message))

    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        """``offset``: end of all records the message may rely on."""
        return offset <= self.durable_offset() or type(message) is Accept

    def durable_offset(self) -> int:
        """Up to here the log has been synced."""
        return self.log.durable

    def release_durable(self) -> None:
        """A sync has finished: let go what waited for it."""
        durable = self.durable_offset()
        held = self.held
        while held and held[0][0] <= durable:
            _, target, message = held.popleft()
            self._release(target, message)

    def _release(self, target: int, message: AnyMessage) -> None:
        if target == self.node:
            self.loopback.append(message)
        else:
            self.outbox.append((target, message))
