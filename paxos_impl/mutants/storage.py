"""Planted bugs of the log, the gate and recovery."""

from __future__ import annotations

from paxos_impl.gate import Gate
from paxos_impl.messages import AnyMessage
from paxos_impl.mutants.registry import mutant


@mutant(
    "A03",
    "messages leave before the sync they rely on",
    rule="durability rule",
    paper="Paxos Made Live, 4.1",
    breaks="AD",
    source="PySyncObj #84; efficient/epaxos #28",
    oracle="vote, promise, durability",
    seen_in="worlds with power cuts",
)
class AnswerBeforeSync(Gate):
    def may_leave(self, message: AnyMessage, offset: int) -> bool:
        return True
