"""Planted bugs of the acceptor: what it promises, votes, remembers and tells."""

from __future__ import annotations

from paxos_impl.acceptor import Acceptor
from paxos_impl.messages import Ballot
from paxos_impl.mutants.registry import mutant


@mutant(
    "A01",
    "a promise is not written to the log",
    rule="a promise is durable before it is said",
    paper="The Part-Time Parliament, 2.3",
    breaks="A",
    source="Synod B3; the seed package",
    oracle="promise",
)
class PromiseNotLogged(Acceptor):
    def log_promise(self, ballot: Ballot) -> None:
        pass


@mutant(
    "A04",
    "accepting does not raise the promise",
    rule="accepting is promising",
    paper="Paxos Made Simple, 2.2",
    breaks="A",
    source="the seed package; cassandra PR 1327",
    oracle="promise",
)
class AcceptDoesNotPromise(Acceptor):
    def raise_promise(self, ballot: Ballot) -> None:
        pass
