"""Who takes part in a run, by the plan alone: agent ids, names, voters, learners.

Agent ids are ``0 … n-1`` in the order replicas, or proposers, acceptors, learners; names are ``r0``, ``p0``, ``a0``,
``l0``, … as in the file names of the record. A ballot's node is the agent id of its proposer.
"""

from __future__ import annotations

import msgspec

from harness.record import CLIENT_SERIAL_BITS
from nemesis.plan import Cluster


class Roster(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    """Name of each agent; its id is the position."""
    voters: frozenset[int]
    learners: frozenset[int]
    proposers: frozenset[int]

    @property
    def quorum(self) -> int:
        """Votes that choose a value."""
        return len(self.voters) // 2 + 1

    @property
    def learner_names(self) -> tuple[str, ...]:
        return tuple(self.names[one] for one in sorted(self.learners))

    @property
    def learner_majority(self) -> int:
        return len(self.learners) // 2 + 1


def roster_of(cluster: Cluster) -> Roster:
    if cluster.deployment == "collapsed":
        everyone = frozenset(range(cluster.nodes))
        return Roster(tuple(f"r{i}" for i in range(cluster.nodes)), everyone, everyone, everyone)
    names = (
        *(f"p{i}" for i in range(cluster.proposers)),
        *(f"a{i}" for i in range(cluster.acceptors)),
        *(f"l{i}" for i in range(cluster.learners)),
    )
    first_acceptor, first_learner = cluster.proposers, cluster.proposers + cluster.acceptors
    return Roster(
        names,
        voters=frozenset(range(first_acceptor, first_learner)),
        learners=frozenset(range(first_learner, len(names))),
        proposers=frozenset(range(first_acceptor)),
    )


def client_of(process: int) -> int:
    """The logical client behind a process number of the history.

    A client whose operation ended in ``info`` goes on under a new process number ``address << 32 | serial``; small
    numbers, as other tools write them, stand for themselves.
    """
    return process >> CLIENT_SERIAL_BITS or process
