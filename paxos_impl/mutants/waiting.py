"""Known bugs that cannot be planted yet, each with the feature it waits for; and pairs of mutants that bite together."""

from __future__ import annotations

from typing import NamedTuple


class Waiting(NamedTuple):
    """A bug of a real system whose rule does not exist in this code."""

    id: str
    about: str
    source: str
    waits_for: str


class Pair(NamedTuple):
    """Mutants planted together. ``ids``: joined by ``+``; ``why`` they bite."""

    ids: str
    why: str


LEASES = "leader leases"
READ_INDEX = "reads by read index"
MEMBERS = "membership by decree"

WAITING: tuple[Waiting, ...] = (
    Waiting(
        "A14",
        "promise and vote in two files, crash in between",
        "etcd PR 13967",
        "a second file of state: one log holds both",
    ),
    Waiting("L06", "recovery replays the log over live state", "etcd PR 13967", "a store that keeps its state on disk"),
    Waiting("E03", "read index served before the quorum round", "d-engine #381", READ_INDEX),
    Waiting("E05", "read index taken, answer from state not yet applied", "tikv PR 9239", READ_INDEX),
    Waiting("E06", "lease counted from the acknowledgement, not from the send", "contrast yugabyte #16", LEASES),
    Waiting("E08", "lease without drift margin", "etcd #6005; tikv PR 1127", LEASES),
    Waiting("E09", "grantor accepts a Prepare during its lease", "Paxos Made Live, 5.2", LEASES),
    Waiting("E10", "grantor forgets its grant at a restart", "Paxos Made Live", LEASES),
    Waiting("E12", "step-down timer coarser than the lease", "sofa-jraft PR 34", LEASES),
    Waiting("C08", "a restarted client uses its number again", "own", "faults that restart client processes"),
    Waiting(
        "S01",
        "torn tail taken as a record",
        "etcd #14098, #5230",
        "records without a length: here a torn one is too short",
    ),
    Waiting(
        "S04",
        "a wiped disk rejoins as a voter",
        "rethinkdb #5289; atlasdb #1504",
        "a fault that wipes, and rejoining without a vote",
    ),
    Waiting(
        "S12",
        "state file overwritten in place",
        "ROCm/spur PR 635",
        "a state file: only logs and renamed checkpoints here",
    ),
    Waiting("N06", "members missing or stale in the snapshot", "pikiwidb-raft #385; canonical/raft #250", MEMBERS),
    Waiting("M01", "new members used when proposed, not at slot + alpha", "etcd #5004", MEMBERS),
    Waiting("M03", "several members swapped at once", "own", MEMBERS),
    Waiting("M04", "a removed member still votes", "own", MEMBERS),
    Waiting(
        "M05", "members changed before an entry of the own ballot is chosen", "raft-dev 2015; baidu/braft #182", MEMBERS
    ),
    Waiting("M07", "a replaced node uses its id again with an empty log", "rethinkdb #5289", MEMBERS),
    Waiting("M08", "weights changed at learners only", "the seed package", "weighted quorums"),
    Waiting("M09", "state of a new member's acceptor not transferred", "scylladb #5251", MEMBERS),
    Waiting(
        "T02",
        "a killed process keeps a shared queue's lock",
        "measured",
        "a shared queue: agents talk by sockets of their own",
    ),
    Waiting("T05", "unbounded buffer to a dead peer", "own", "buffers for each peer inside the agent"),
)

PAIRS: tuple[Pair, ...] = (
    Pair("LQ1+P28", "the second value replaces the first without a word: agreement must be seen from outside"),
    Pair("TQ1+A03", "what an earlier life said without having it on disk is believed"),
    Pair("E14+P03", "without pre-vote a ballot used before the restart is prepared again"),
    Pair("AQ2+EQ4", "a promise that was lost is never given again, and the ballot is never given up"),
)
