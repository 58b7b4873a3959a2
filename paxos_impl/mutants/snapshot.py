"""Planted bugs of snapshots and checkpoints: what they hold, when they count, how they travel."""

from __future__ import annotations

import msgspec

from paxos_impl.kv import KeyValueStore
from paxos_impl.learner import Learner
from paxos_impl.log import Log
from paxos_impl.mutants.registry import mutant
from paxos_impl.sessions import Session, StateImage, StateMachine


@mutant(
    "C03",
    "snapshots leave out the sessions",
    rule="sessions are part of every snapshot",
    paper="Ongaro's thesis, 6.3; Paxos Made Live, 5.5",
    breaks="X",
    source="atomix PR 1101",
    oracle="exactly-once, decision",
)
class SnapshotWithoutSessions(StateMachine):
    def image(self, slot: int, outcomes: int) -> bytes:
        return msgspec.msgpack.encode(StateImage(slot, outcomes, self.store.snapshot(), {}))


@mutant(
    "S07",
    "the checkpoint gets its name before its content is synced",
    rule="content before name",
    paper="All File Systems Are Not Created Equal (OSDI 2014)",
    breaks="D",
    source="NoKV #138; hashicorp/consul #3362",
    oracle="crash",
    seen_in="worlds with power cuts",
    difficulty="hard",
)
class NameBeforeContent(Log):
    def checkpoint_order(self) -> list[str]:
        return ["rename", "sync_name", "cut"]


@mutant(
    "S08",
    "the log is cut before the checkpoint is durable",
    rule="the name is synced before the old goes",
    paper="Paxos Made Live, 5.5",
    breaks="D",
    oracle="vote, promise",
    seen_in="worlds with kills",
    difficulty="hard",
)
class CutsBeforeCheckpoint(Log):
    def checkpoint_order(self) -> list[str]:
        return ["cut", "sync_content", "rename", "sync_name"]


@mutant(
    "S27",
    "the old segments go before the checkpoint's name is synced",
    rule="the name is synced before the old goes",
    paper="All File Systems Are Not Created Equal (OSDI 2014)",
    breaks="",
    equivalent="changes of a directory reach the disk in order: the old is gone only if the new name is there",
)
class CutsBeforeName(Log):
    def checkpoint_order(self) -> list[str]:
        return ["sync_content", "rename", "cut", "sync_name"]


@mutant(
    "N01",
    "a snapshot says that it covers one slot less than it holds",
    rule="a snapshot covers exactly the slots it says",
    paper="Paxos Made Live, 5.5",
    breaks="XI",
    source="d-engine #418",
    oracle="decision",
)
class LabelTooLow(Learner):
    def snapshot_content(self) -> bytes:
        return self.machine.image(self.applied - 1, self.outcomes)


@mutant(
    "N02",
    "a snapshot says that it covers one slot more than it holds",
    rule="a snapshot covers exactly the slots it says",
    paper="Paxos Made Live, 5.5",
    breaks="XI",
    oracle="decision",
)
class LabelTooHigh(Learner):
    def snapshot_content(self) -> bytes:
        return self.machine.image(self.applied + 1, self.outcomes)


@mutant(
    "N03",
    "an older snapshot is installed over newer state",
    rule="only a snapshot that covers more is installed",
    paper="Paxos Made Live, 5.5",
    breaks="DR",
    source="openraft PR 543; etcd PR 1763",
    oracle="decision",
    difficulty="hard",
)
class InstallsOlder(Learner):
    def may_install(self, slot: int) -> bool:
        return True


@mutant(
    "N04",
    "installing a snapshot merges its sessions into those there are",
    rule="installing replaces everything",
    paper="Paxos Made Live, 5.5",
    breaks="R",
    source="jgroups-raft #301",
    oracle="decision",
)
class MergesSessions(StateMachine):
    def restore(self, data: bytes) -> StateImage:
        before = self.sessions
        image = super().restore(data)
        self.sessions = before | self.sessions
        return image


@mutant(
    "N07",
    "installing a snapshot moves the index, the data is not loaded",
    rule="installing replaces everything",
    paper="Paxos Made Live, 5.5",
    breaks="R",
    source="nodedb #162",
    oracle="decision",
    difficulty="easy",
)
class DataNotLoaded(KeyValueStore):
    def restore(self, snapshot: dict[str, object]) -> None:
        pass


@mutant(
    "N08",
    "pages of two snapshots are put together",
    rule="pages of one snapshot of one peer make a whole",
    paper="Paxos Made Live, 5.5",
    breaks="R",
    oracle="decision, crash",
    difficulty="deep",
)
class MixesPages(Learner):
    def same_snapshot(self, source: int, slot: int) -> bool:
        return self.pages_of != (-1, 0)


@mutant(
    "N09",
    "the values a snapshot covers are cut as soon as it is taken, durable or not",
    rule="values go when a durable snapshot covers them",
    paper="Paxos Made Live, 5.5",
    breaks="D",
    oracle="decision, liveness",
    deployments=("collapsed",),
    difficulty="deep",
)
class CutsWhenTaken(Learner):
    def take_snapshot(self) -> None:
        super().take_snapshot()
        self.durable_slot = self.snapshot_slot
        self.cut(self.snapshot_slot)


@mutant(
    "N10",
    "a learner that lags behind the cut gets no snapshot",
    rule="below the cut the snapshot stands in",
    paper="Paxos Made Live, 5.5",
    breaks="P",
    oracle="liveness",
)
class SendsNoSnapshot(Learner):
    def send_page(self, target: int, slot: int, page: int) -> None:
        pass


@mutant(
    "N11",
    "what was learned above an installed snapshot is taken for applied",
    rule="slot s is applied when every lower slot is",
    paper="Paxos Made Live, 5.5",
    breaks="R",
    oracle="decision",
)
class SkipsBehindSnapshot(Learner):
    def restore(self, data: bytes) -> None:
        super().restore(data)
        self.applied = self.learned


@mutant(
    "N12",
    "a restored store keeps only the keys it had before",
    rule="installing replaces everything",
    paper="Paxos Made Live, 5.5",
    breaks="R",
    oracle="decision",
)
class RestoresKnownKeys(KeyValueStore):
    def restore(self, snapshot: dict[str, object]) -> None:
        known = self.data
        super().restore({key: value for key, value in snapshot.items() if not known or key in known})


@mutant(
    "N13",
    "snapshots leave out tombstones",
    rule="a snapshot holds the whole state",
    paper="Paxos Made Live, 5.5",
    breaks="RL",
    oracle="decision",
    difficulty="easy",
)
class SnapshotWithoutTombstones(KeyValueStore):
    def snapshot(self) -> dict[str, object]:
        return {key: value for key, value in super().snapshot().items() if not isinstance(value, dict)}


@mutant(
    "N14",
    "snapshots sort the sessions: which was unused for longest is forgotten",
    rule="sessions are part of every snapshot",
    paper="Ongaro's thesis, 6.3",
    breaks="R",
    oracle="decision",
)
class SnapshotSortsSessions(StateMachine):
    def image(self, slot: int, outcomes: int) -> bytes:
        return msgspec.msgpack.encode(
            StateImage(slot, outcomes, self.store.snapshot(), dict(sorted(self.sessions.items())))
        )


@mutant(
    "N15",
    "snapshots keep sessions without their results",
    rule="sessions are part of every snapshot",
    paper="Ongaro's thesis, 6.3",
    breaks="LX",
    oracle="decision",
)
class SnapshotWithoutResults(StateMachine):
    def image(self, slot: int, outcomes: int) -> bytes:
        bare = {client: Session(one.id, one.seq, None) for client, one in self.sessions.items()}
        return msgspec.msgpack.encode(StateImage(slot, outcomes, self.store.snapshot(), bare))


@mutant(
    "N16",
    "pages of a snapshot are put together in the order they came",
    rule="pages in order of their numbers",
    paper="Paxos Made Live, 5.5",
    breaks="R",
    oracle="decision, crash",
    difficulty="hard",
)
class PagesAsTheyCame(Learner):
    def assemble(self, pages: int) -> bytes:
        return b"".join(self.pages.values())


@mutant(
    "NQ1",
    "installing a snapshot merges its keys into those there are",
    rule="installing replaces everything",
    breaks="",
    source="jgroups-raft #301",
    equivalent="keys never go: a delete leaves a tombstone, so every key there is stands in the newer snapshot too",
    paper="Paxos Made Live, 5.5",
)
class MergesKeys(KeyValueStore):
    def restore(self, snapshot: dict[str, object]) -> None:
        super().restore({**self.data, **snapshot})


@mutant(
    "NQ3",
    "all missing pages of a snapshot are asked for at once",
    rule="the first few pages that are missing",
    breaks="",
    equivalent="pages are put together by their numbers, whenever they come",
    paper="Paxos Made Live, 5.5",
)
class FetchesAllPages(Learner):
    def pages_to_fetch(self, pages: int) -> list[int]:
        return [page for page in range(pages) if page not in self.pages]
