"""Planted bugs between agents: stale messages, shared objects, messages that wait too long."""

from __future__ import annotations

from paxos_impl.gate import Gate
from paxos_impl.messages import Value
from paxos_impl.mutants.registry import mutant
from paxos_impl.proposer import Proposer
from paxos_impl.replica import Replica


@mutant(
    "T03",
    "the batch of a proposal is one list that is filled again for the next",
    rule="a message in flight does not change",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    source="an upstream implementation mutates Proposal.value after sending",
    oracle="decision, crash",
    seen_in="simulated",
    difficulty="easy",
)
class SharesTheBatch(Proposer):
    def next_batch(self) -> Value:
        shared: list[object] = self.__dict__.setdefault("batch", [])
        shared[:] = super().next_batch()
        return shared  # type: ignore[return-value]


@mutant(
    "T20",
    "each sync lets one waiting message go",
    rule="one sync lets go all that waits",
    paper="Paxos Made Live, 4.1",
    breaks="P",
    oracle="liveness",
)
class ReleasesOne(Gate):
    def release_durable(self) -> None:
        if self.held and self.held[0][0] <= self.durable_offset():
            _, target, message = self.held.popleft()
            self._release(target, message)


@mutant(
    "T21",
    "a node takes every message of another incarnation for stale",
    rule="a message of an earlier life is dead",
    breaks="P",
    oracle="liveness",
    difficulty="easy",
    paper="Paxos Made Live, 4.1",
    deployments=("collapsed",),
)
class TakesNewForStale(Replica):
    def is_stale(self, source: int, incarnation: int) -> bool:
        return self.incarnations.setdefault(source, incarnation) != incarnation


@mutant(
    "T22",
    "who restarted less often than another is taken for stale",
    rule="a message of an earlier life is dead",
    paper="Paxos Made Live, 4.1",
    breaks="P",
    oracle="liveness",
    difficulty="easy",
    deployments=("collapsed",),
)
class ComparesIncarnationsOfOthers(Replica):
    def is_stale(self, source: int, incarnation: int) -> bool:
        return super().is_stale(source, incarnation) or incarnation < max(self.incarnations.values(), default=0)


@mutant(
    "TQ1",
    "messages of an earlier incarnation are accepted",
    rule="a message of an earlier life of its sender is dead",
    breaks="",
    source="the seed package",
    equivalent="a message leaves only when all it says is durable, so it is still true after a restart",
    paper="Paxos Made Live, 4.1",
    deployments=("collapsed",),
)
class AcceptsStale(Replica):
    def is_stale(self, source: int, incarnation: int) -> bool:
        return False
