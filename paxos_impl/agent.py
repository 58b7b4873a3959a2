"""Agent: what proposer, acceptor, learner and the collapsed replica have in common.

An agent takes one event (a message, a due timer) with the time, and records effects through its context: messages to send,
records to append, timers to set, trace events. It never reads a clock and draws only from the stream it was given.

Rules that stand here because all roles use them: the order of ballots, what a quorum is, which messages are stale.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

import msgspec

from paxos_impl.gate import Gate
from paxos_impl.log import AnyRecord, Checkpoint, Log
from paxos_impl.messages import AnyMessage, Ballot, Command, Value
from paxos_impl.sessions import Outcome


class ProtocolViolation(Exception):
    """An agent saw that safety is broken (two values chosen in one slot): it stops and says so, it never overwrites."""


class Config(msgspec.Struct, frozen=True):
    """What an agent knows of its cluster from the start. Agent ids are indices into ``names``; times in ns."""

    node: int
    role: str
    names: tuple[str, ...]
    proposers: tuple[int, ...]
    acceptors: tuple[int, ...]
    learners: tuple[int, ...]
    collapsed: bool
    heartbeat_ns: int = 20_000_000
    election_timeout_ns: int = 100_000_000
    retransmit_ns: int = 40_000_000
    window: int = 16
    batch_commands: int = 64
    batch_bytes: int = 65_536
    queue_commands: int = 4096
    snapshot_every: int = 500
    keep_slots: int = 100
    max_sessions: int = 4096
    page_bytes: int = 65_536
    rounds_kept: int = 256

    @property
    def quorum(self) -> int:
        """Size of a majority of the acceptors."""
        return len(self.acceptors) // 2 + 1


class Trace(Protocol):
    """Where an agent tells what it did. Kinds and fields: the table of events in the harness's record."""

    def __call__(
        self, kind: str, ballot: Ballot | None = None, slot: int = 0, value: Value | None = None, extra: Any = None, /
    ) -> None: ...


class Context:
    """What the roles of one process share: configuration, log, gate, timers, random stream, trace, the current time."""

    def __init__(
        self, config: Config, log: Log, gate: Gate, draw: Callable[[], float], trace: Trace, incarnation: int
    ) -> None:
        self.config = config
        self.log = log
        self.gate = gate
        self.draw = draw
        self.trace = trace
        self.incarnation = incarnation
        self.now_ns = 0
        self.timers: dict[str, int] = {}
        self.timer_handlers: dict[str, Callable[[], None]] = {}

    def next_deadline_ns(self) -> int | None:
        return min(self.timers.values()) if self.timers else None


class Household:
    """What a role may ask of the other roles in its own process. This base: it lives alone (classic deployment).

    Only what needs no durability passes this way; everything else is a message to the own node and waits at the gate.
    """

    def progress(self) -> tuple[int, int]:
        """(slots applied, slots covered by a durable snapshot) by the learner of this process."""
        return 0, 0

    def chosen_in_log(self) -> int:
        """Every slot up to this is chosen, and the log of this process holds its chosen value."""
        return 0

    def learned(self) -> int | None:
        """Every slot up to this was learned in this process; None: no learner lives here."""
        return None

    def learn(self, slot: int, ballot: Ballot | None, value: Value) -> bool:
        """Hand a chosen value to the learner of this process; False if there is none."""
        return False

    def outcome_of(self, command: Command) -> Outcome | None:
        """The outcome of a command that was executed already, if it is known here."""
        return None

    def behind(self, source: int, floor: int) -> None:
        """``source`` has cut its log up to ``floor``, above what is known here."""

    def news_ns(self) -> int:
        """When something last came that the learner of this process lacked, or when it began to ask for it."""
        return 0

    def answers_clients(self) -> bool:
        """Does the learner of this process answer clients? Alone it does (a client takes the first answer)."""
        return True


Handler = Callable[[int, Any], None]


class Agent:
    """Base of every role. A role that shares its process with others shares its context with them."""

    role = "agent"

    def __init__(self, context: Context) -> None:
        self.context = context
        self.config = context.config
        self.node = context.config.node
        self.send = context.gate.send
        self.trace = context.trace
        self.quorum_size = context.config.quorum
        self.handlers: dict[type, Handler] = {}
        self.incarnations: dict[int, int] = {}
        self.household = Household()

    # -- events -------------------------------------------------------------------------------------------------------

    def receive(self, source: int, incarnation: int, message: AnyMessage) -> None:
        """One message. Messages this role has no handler for are ignored (it was addressed by mistake)."""
        if self.is_stale(source, incarnation):
            self.trace("stale", None, 0, None, source)
            return
        handler = self.handlers.get(type(message))
        if handler is not None:
            handler(source, message)

    def fire_timers(self) -> None:
        """Run every timer that is due, in order of name."""
        now_ns = self.context.now_ns
        timers = self.context.timers
        for name in sorted(name for name, at_ns in timers.items() if at_ns <= now_ns):
            if timers.get(name, now_ns + 1) <= now_ns:
                del timers[name]
                self.context.timer_handlers[name]()

    def start(self) -> None:
        """Recovery is over: set the first timers."""

    def recover(self, checkpoint: Checkpoint, records: list[AnyRecord]) -> None:
        """Take up what earlier incarnations logged."""

    def flush(self) -> None:
        """All events that were at hand are handled: say now what is better said once."""

    def rest(self) -> None:
        """What was put off, since no other process waits for it."""

    def on_checkpoint_durable(self, slot: int) -> None:
        """A checkpoint that covers ``slot`` survives a power cut from now on."""

    def on_clock_set_back(self, by_ns: int) -> None:
        """The clock shows ``by_ns`` less than before: times noted move with it. (Timers have moved already.)"""

    # -- what can be seen from outside -------------------------------------------------------------------------------

    def applied_slot(self) -> int:
        """Every slot up to this was applied here; 0 for roles without state."""
        return 0

    def state_digest(self) -> int | None:
        """Checksum of state and sessions after ``applied_slot``; None for roles without state."""
        return None

    # -- effects ------------------------------------------------------------------------------------------------------

    def set_timer(self, name: str, delay_ns: int) -> None:
        self.context.timers[name] = self.context.now_ns + delay_ns

    def clear_timer(self, name: str) -> None:
        self.context.timers.pop(name, None)

    def on_timer(self, name: str, handler: Callable[[], None]) -> None:
        self.context.timer_handlers[name] = handler

    def randomised_ns(self, lowest_ns: int) -> int:
        """Uniform in [lowest, 2 × lowest): equal timeouts would duel for ever."""
        return lowest_ns + int(self.context.draw() * lowest_ns)

    # -- rules --------------------------------------------------------------------------------------------------------

    def precedes(self, first: Ballot, second: Ballot) -> bool:
        """Ballots are totally ordered: by round, then by the node that owns them (PTP section 2.1, B1)."""
        return first < second

    def is_quorum(self, members: Collection[int]) -> bool:
        """Any two quorums meet: a majority of the acceptors, each counted once (PTP section 2.1, B2)."""
        return len(members) >= self.quorum_size

    def is_stale(self, source: int, incarnation: int) -> bool:
        """A message of an earlier life of its sender is dead: what it promised may be forgotten since."""
        known = self.incarnations.get(source, 0)
        if incarnation < known:
            return True
        if incarnation > known:
            self.incarnations[source] = incarnation
        return False
