"""For tests to bend: a small legal run of three replicas, written as a run directory, and steps fed to the online oracles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.checkers.case import Case
from harness.checkers.online import OnlineOracles
from harness.record import AgentEvent, Command, FaultEvent, Operation, RecordedRun, RowWriter
from nemesis.faults import Fault
from nemesis.plan import Cluster, Plan

MS = 1_000_000
NODES = ("r0", "r1", "r2")

X = (Command(1, 1, 1, "write", "k", "x"),)
Y = (Command(2, 1, 1, "write", "k", "y"),)
Z = (Command(3, 1, 1, "write", "k", "z"),)


class RunBuilder:
    """Lists of rows to change freely; ``case()`` writes them to disk and opens the record.

    ``operate`` plays one client operation through the whole protocol: invoked, proposed by r0 at ballot (1, 0), accepted
    by all, chosen, applied and answered. Times rise by a millisecond a step.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 0
        self.slot = 0
        self.seq: dict[int, int] = {}
        self.incarnation = dict.fromkeys(NODES, 0)
        self.ballot = (1, 0)
        self.history: list[Operation] = []
        self.faults: list[FaultEvent] = []
        self.decided: dict[tuple[str, int], list[AgentEvent]] = {}
        self.trace: dict[tuple[str, int], list[AgentEvent]] = {}
        self.plan = Plan(cluster=Cluster(nodes=3), duration_ns=1000 * MS, settle_ns=1000 * MS)
        for name in NODES:
            self.on(name, "started", extra={"role": "replica", "commit": 0})
        self.lead((1, 0))

    def tick(self) -> int:
        self.now += MS
        return self.now

    def on(self, name: str, kind: str, **fields: Any) -> None:
        part = self.decided if kind in ("chosen", "applied", "installed", "started", "stopped") else self.trace
        part.setdefault((name, self.incarnation[name]), []).append(AgentEvent(self.tick(), kind, **fields))

    def lead(self, ballot: tuple[int, int]) -> None:
        leader = NODES[ballot[1]]
        self.ballot = ballot
        self.on(leader, "prepare", ballot=ballot, slot=self.slot + 1)
        for name in NODES:
            self.on(name, "promised", ballot=ballot)
        self.on(leader, "leader", ballot=ballot, slot=self.slot + 1)

    def choose(self, *commands: Command, skips: list[Any] | None = None, by: tuple[str, ...] = NODES) -> int:
        """Agree on a value and apply it."""
        self.slot += 1
        self.on(NODES[self.ballot[1]], "propose", ballot=self.ballot, slot=self.slot, value=commands)
        for name in by:
            self.on(name, "accepted", ballot=self.ballot, slot=self.slot, value=commands)
        for name in by:
            self.on(name, "chosen", ballot=self.ballot, slot=self.slot, value=commands)
        for name in by:
            self.on(name, "applied", slot=self.slot, value=commands, extra=[self.slot * 7, skips or []])
        return self.slot

    def invoke(self, process: int, f: str, key: str, asked: Any = None) -> Command:
        seq = self.seq[process] = self.seq.get(process, 0) + 1
        now = self.tick()
        self.history.append(Operation("invoke", now, process, seq, f, key, asked, intended_ns=now))
        new, expected = (asked[1], asked[0]) if f == "cas" else (asked, None)
        return Command(process, seq, 1, f, key, new, expected)

    def complete(self, command: Command, type_: str = "ok", **fields: Any) -> None:
        value = fields.pop("value", command.value)
        self.history.append(
            Operation(type_, self.tick(), command.client, command.seq, command.f, command.key, value, **fields)  # type: ignore[arg-type]
        )

    def operate(self, process: int, f: str, key: str, asked: Any = None, **answer: Any) -> Command:
        command = self.invoke(process, f, key, asked)
        self.choose(command)
        self.complete(command, **({"value": asked} | answer))
        return command

    def restart(self, name: str, commit: int | None = None) -> None:
        """A new incarnation of a replica, with all it ever promised, voted and applied."""
        votes = [[at, self.ballot] for at in range(1, self.slot + 1)]
        self.incarnation[name] += 1
        self.on(name, "recovered", ballot=self.ballot, extra=votes)
        self.on(name, "started", extra={"role": "replica", "commit": self.slot if commit is None else commit})

    def heal(self) -> None:
        self.faults.append(FaultEvent(self.tick(), "end", -1, "heal", (), {}))

    def finish(self) -> None:
        """Final power cut and restart of all, then the answer that shows progress after the heal."""
        self.heal()
        self.operate(7, "write", "last", "z")
        self.faults.append(FaultEvent(self.tick(), "begin", -1, "power", NODES, {"cut": 3}))
        for name in NODES:
            self.restart(name)
        self.faults.append(FaultEvent(self.tick(), "end", -1, "power", NODES, {}))
        self.end()

    def end(self) -> None:
        """The note that a run which came to its end writes last."""
        self.faults.append(FaultEvent(self.tick(), "note", -1, "network", (), {}))

    def with_faults(self, *faults: Fault) -> None:
        self.plan = Plan(cluster=Cluster(nodes=3), settle_ns=1000 * MS, faults=faults)

    def write(self) -> Path:
        for folder, part in (("decided", self.decided), ("trace", self.trace)):
            for (name, incarnation), rows in part.items():
                _write(self.directory / folder / f"{name}.{incarnation}.rows", rows)
        _write(self.directory / "history" / "clients.rows", self.history)
        _write(self.directory / "faults" / "nemesis.rows", self.faults)
        return self.directory

    def case(self) -> Case:
        self.write()
        return Case(RecordedRun(self.directory), self.plan)


def _write(path: Path, rows: list[Any]) -> None:
    writer = RowWriter(path)
    writer.write(rows)
    writer.close()


class Trace:
    """Feeds events in the order they are called; time is the number of the event."""

    def __init__(
        self,
        voters: int = 3,
        window: int = 0,
        learners: tuple[int, ...] = (),
        election_timeout_ns: int = 0,
        retransmit_ns: int = 0,
        blocked_ns: int = 0,
    ) -> None:
        self.oracles = OnlineOracles(
            frozenset(range(voters)),
            voters // 2 + 1,
            window=window,
            learners=learners,
            election_timeout_ns=election_timeout_ns,
            retransmit_ns=retransmit_ns,
            blocked_ns=blocked_ns,
        )
        self.voters = voters
        self.time = 0
        self.incarnation: dict[int, int] = {}

    def __call__(
        self, agent: int, kind: str, ballot: Any = None, slot: int = 0, value: Any = None, extra: Any = None
    ) -> None:
        self.time += 1
        self.oracles.observe(agent, self.incarnation.get(agent, 0), self.time, kind, ballot, slot, value, extra)

    def lead(self, ballot: tuple[int, int], *promisers: int, slot: int = 1, counted: list[int] | None = None) -> None:
        self.prepare(ballot, slot, *promisers)
        for agent in promisers:
            self(agent, "promised", ballot)
        self(ballot[1], "leader", ballot, slot, None, counted)

    def prepare(self, ballot: tuple[int, int], slot: int, *granters: int) -> None:
        """Phase 1 begins, after a pre-vote that these granted; all voters, if none is named."""
        self(ballot[1], "told_pre_vote", ballot)
        for agent in granters or range(self.voters):
            self(agent, "told_grant", ballot)
        self(ballot[1], "prepare", ballot, slot)

    def vote(self, ballot: tuple[int, int], slot: int, value: Any, *voters: int) -> None:
        for agent in voters:
            self(agent, "accepted", ballot, slot, value)

    def propose(self, ballot: tuple[int, int], slot: int, value: Any) -> None:
        self(ballot[1], "propose", ballot, slot, value)

    def restart(self, agent: int, promise: Any, votes: list[Any], floor: int = 0) -> None:
        self.incarnation[agent] = self.incarnation.get(agent, 0) + 1
        self(agent, "recovered", promise, floor, None, votes)

    @property
    def rules(self) -> list[str]:
        return [violation.rule for violation in self.oracles.violations]


@pytest.fixture
def trace() -> Trace:
    return Trace()


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    return RunBuilder(tmp_path / "run")


@pytest.fixture
def good(builder: RunBuilder) -> RunBuilder:
    """Four operations of two clients, then heal, a last write, power cut and restart of everybody."""
    builder.operate(1, "write", "k", "a")
    builder.operate(2, "cas", "k", ["a", "b"], applied=True, seen="a")
    builder.operate(1, "read", "k", None, value="b")
    builder.operate(2, "append", "l", "x", seen=1)
    builder.finish()
    return builder


@pytest.fixture
def replace_row() -> Callable[..., None]:
    def replace(rows: list[AgentEvent], kind: str, at: int, **fields: Any) -> None:
        position = next(i for i, row in enumerate(rows) if row.kind == kind and row.slot == at)
        rows[position] = AgentEvent(
            **({name: getattr(rows[position], name) for name in AgentEvent.__struct_fields__} | fields)
        )

    return replace
