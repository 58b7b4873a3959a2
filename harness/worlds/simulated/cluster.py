"""Agents and clients in virtual time: their steps, messages and syncs, and what is noted of all that.

Here is neither a fault (``faults.py``) nor an end (``world.py``). Agents, clients and oracles are the same as on real
processes; nothing here knows what a ballot is. A digest over every delivery and every traced step tells two runs apart.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, TypedDict

import msgspec

from harness.checkers import endgame
from harness.checkers.online import OnlineOracles
from harness.checkers.oracle import Handler, ignore, in_turn
from harness.clients.open_loop import OpenLoop
from harness.cluster_setup import AgentSpec, agent_specs, agents_playing, make_client_config, make_config, make_parts
from harness.errors import HarnessFault
from harness.record import AgentEvent, FaultEvent, Operation
from harness.results import Violation
from harness.workloads.mixed import MixedWorkload
from harness.worlds.simulated.hearsay import Hearsay, long_sync_ns
from harness.worlds.simulated.loop import EventLoop
from harness.worlds.simulated.network import Sender, SimulatedNetwork
from harness.worlds.simulated.process import Died, SimulatedProcess
from harness.worlds.simulated.rehearsal import Rehearsals
from nemesis.plan import Plan
from paxos_impl.agent import Config, ProtocolViolation, Trace
from paxos_impl.log import LogCorrupted, StorageFault
from paxos_impl.messages import (
    FIRST_CLIENT_ADDRESS,
    NO_BALLOT,
    Accept,
    Accepted,
    AnyMessage,
    Prepare,
    Promise,
)
from paxos_impl.node import Node
from paxos_impl.parts import Parts

DIGEST_BLOCK = 64
"""Entries that are hashed together, at least."""
UNRECORDED = frozenset({"sync_begun", "sync_ended", "power_lost"})
"""Kinds of events that real processes do not record, beside what is told and heard (``hearsay.py``)."""
NETWORK = ("network", 0)
"""Where the messages of a recorded run are traced, beside the agents and their incarnations."""
SENT_KINDS: dict[type, str] = {
    Prepare: "sent_prepare",
    Promise: "sent_promise",
    Accept: "sent_accept",
    Accepted: "sent_accepted",
}


class Recording(msgspec.Struct):
    """The record of a simulated run, in memory: rows as they would stand in the run directory."""

    history: list[Operation] = []
    faults: list[FaultEvent] = []
    events: dict[tuple[str, int], list[AgentEvent]] = {}
    clients: dict[int, int] = {}
    """Process number of the history -> logical client."""


Event = Callable[[Any, int], None]
"""What happens to an agent: (what is handed over, the time on its clock)."""


class Stopped(BaseException):
    """Raised through the agents' code to end a run at its first violation."""


class Options(TypedDict, total=False):
    """What a simulated world can be asked for beside its plan."""

    record: bool
    """Keep the rows of the run directory."""
    oracles: bool
    """Judge every traced step; so it is if nothing is said."""
    as_recorded: bool
    """Judge by what the record of a run on real processes would show. As there, a trigger that looks ahead never comes."""
    parts: Parts | None
    """Agents and clients made of these; None: what the plan names."""
    stop_at_first: bool
    """End at the first violation."""
    keep_notes: bool
    """Keep what goes into the digest, to tell where two runs part."""


def _make_oracles(
    plan: Plan, names: Mapping[int, str], ledger: endgame.Ledger, *, as_recorded: bool = False
) -> OnlineOracles:
    """All of them, with what they must know of the plan; ``ledger`` hears of what is chosen and applied first."""
    voters = frozenset(agents_playing(plan, "acceptor"))
    if as_recorded:
        return OnlineOracles(voters, len(voters) // 2 + 1, names, ledger.first)
    return OnlineOracles(
        voters,
        len(voters) // 2 + 1,
        names,
        ledger.first,
        window=plan.limits.window if plan.cluster.deployment == "collapsed" else 0,
        learners=agents_playing(plan, "learner"),
        election_timeout_ns=plan.timing.election_timeout_ns,
        retransmit_ns=plan.timing.retransmit_ns,
        blocked_ns=long_sync_ns(plan) if plan.disk.sync_blocks else 0,
    )


class SimulatedCluster:
    """One cluster and its clients. Subclasses bring the nemesis."""

    def __init__(
        self,
        plan: Plan,
        *,
        record: bool = False,
        oracles: bool = True,
        as_recorded: bool = False,
        parts: Parts | None = None,
        stop_at_first: bool = False,
        keep_notes: bool = False,
    ) -> None:
        self.plan = plan
        self.stop_at_first = stop_at_first
        self.notes: list[Any] | None = [] if keep_notes else None
        self.loop = EventLoop()
        self.network = SimulatedNetwork(plan, self.loop, self._deliver)
        self.steps = 0
        self.last_leader: int | None = None
        self.recording = Recording() if record else None
        self.crashes: list[Violation] = []
        self.history: list[Operation] = [] if self.recording is None else self.recording.history
        self._digest = hashlib.blake2b(digest_size=16)
        self._block: list[Any] = []
        self._encode = msgspec.msgpack.Encoder(enc_hook=self._unsendable).encode
        parts = make_parts(plan) if parts is None else parts
        specs = agent_specs(plan)
        self.processes: list[SimulatedProcess] = []
        for spec in specs:
            self.processes.append(self.make_process(spec, make_config(plan, spec.id), parts))
        names = {spec.id: spec.name for spec in specs}
        self.ledger = endgame.Ledger(names, frozenset(agents_playing(plan, "learner")))
        self.oracles = _make_oracles(plan, names, self.ledger, as_recorded=as_recorded)
        self._judges = oracles
        self.rehearsals = Rehearsals(plan.seed, self.oracles.recall)
        listeners: dict[str, Handler] = {"leader": self._on_leader, "step_down": self._on_step_down}
        self._handlers: Mapping[str, Handler] = listeners
        if oracles:
            self.oracles.add(self.ledger.handlers)
            self.oracles.add(listeners)
            if any(fault.trigger is not None and "would_forget" in fault.trigger for fault in plan.faults):
                self.oracles.add(self.rehearsals.handlers)
            told = {kind: in_turn(handlers) for kind, handlers in self.oracles.handlers.items()}
            self._handlers = {kind: told[kind] for kind in told if not (as_recorded and kind in UNRECORDED)}
        self._on_sync_begun, self._on_sync_ended = self._observer("sync_begun"), self._observer("sync_ended")
        self._on_power_lost = self._observer("power_lost")
        self.hearsay = Hearsay(
            plan,
            self.loop,
            self.processes,
            self._handlers,
            self._observer,
            self._found,
            self.oracles.wanted,
            judges=oracles and not as_recorded,
            records=record,
        )
        draw = Random(f"{plan.seed}/clients").random
        workload = MixedWorkload(plan.workload, Random(f"{plan.seed}/workload").random, "v")
        self.clients = OpenLoop(
            FIRST_CLIENT_ADDRESS,
            plan.workload,
            workload,
            make_client_config(plan),
            draw,
            self._record_operation,
            parts.client,
        )
        self._client_wake_ns: int | None = None
        self._clients_up = True
        self.commands = 0
        if record:
            self.network.on_message = self._record_message
        self._disk_faults: dict[int, set[int]] = {}
        self._watched: frozenset[str] = frozenset()
        """Kinds of events that somebody waits for."""
        for process in self.processes:
            process.disk.on_append = self._append_hook(process)

    def make_process(self, spec: AgentSpec, config: Config, parts: Parts) -> SimulatedProcess:
        """One agent's process; another world may make other ones."""
        return SimulatedProcess(spec, config, parts, self.plan.seed, self.make_trace)

    # -- processes ------------------------------------------------------------------------------------------------------

    def _start(self, process: SimulatedProcess) -> None:
        try:
            node = process.begin_incarnation()
        except Exception as error:
            self._ended_by(process, error)
            return
        self._step(process, lambda _, now_ns: node.start(now_ns), None)

    def _step(self, process: SimulatedProcess, event: Event, what: Any) -> None:
        """Run one event of an agent and carry out its effects; it may die in the middle, or stop by itself."""
        if process.in_a_step:
            self.loop.at(self.loop.now_ns, self._step_after, process, process.node, (event, what))
            return
        self.steps += 1
        node, now_ns = process.node, self.loop.now_ns
        assert node is not None
        try:
            event(what, now_ns if process.clock_is_true else process.clock.read_ns(now_ns))
            if process.node is node:
                self._carry_out(process, node)
        except Died:
            pass
        except (Exception, SystemExit) as error:
            self._ended_by(process, error)

    def _step_after(self, process: SimulatedProcess, node: Node, step: tuple[Event, Any]) -> None:
        """A step that had to wait for the end of another one of the same agent."""
        if process.node is not node:
            return
        if process.paused:
            process.defer(lambda: self._step(process, *step))
        else:
            self._step(process, *step)

    def _carry_out(self, process: SimulatedProcess, node: Node) -> None:
        if process.paused:
            return
        outbox = node.take_outbox()
        if outbox:
            self._send(process, outbox)
        if node.wants_sync:
            self._begin_sync(process, node)
        timers = node.timers
        if timers:
            deadline_ns = min(timers.values())
            at_ns = deadline_ns if process.clock_is_true else process.clock.when_ns(deadline_ns)
            if process.wake_ns is None or at_ns < process.wake_ns:
                at_ns = max(at_ns, self.loop.now_ns)
                process.wake_ns = at_ns
                self.loop.at(at_ns, self._wake, process, process.incarnation, at_ns)

    def _send(self, process: SimulatedProcess, outbox: list[tuple[int, AnyMessage]]) -> None:
        send, sender = self.network.send, process.sender
        leaves = self.hearsay.leaves
        watched = self._watched
        for target, message in outbox:
            if watched:
                kind = SENT_KINDS.get(type(message))
                if kind is not None and kind in watched:
                    self._trigger(process, kind, getattr(message, "slot", 0))
                    watched = self._watched
            tell = leaves.get(type(message))
            if tell is not None:
                tell(process, target, message)
            send(sender, target, message)

    def _begin_sync(self, process: SimulatedProcess, node: Node) -> None:
        node.begin_sync()
        disk = self.plan.disk
        latency_ns = disk.sync_ns + int(process.disk_draw() * disk.jitter_ns)
        if process.sync_extras_ns:
            latency_ns += sum(process.sync_extras_ns.values())
        process.blocked = disk.sync_blocks
        now_ns = self.loop.now_ns
        if latency_ns > self.hearsay.long_sync_ns:
            process.hold(now_ns + latency_ns)
        self._on_sync_begun(process.id, process.incarnation, now_ns, NO_BALLOT, 0, None, None)
        self.loop.at(now_ns + latency_ns, self._end_sync, process, process.incarnation)

    def _observer(self, kind: str) -> Handler:
        """Told of what an agent did, as the world sees it: for the oracles and the record. The digest has it from elsewhere."""
        judge: Handler = self._handlers.get(kind, ignore)
        recording = self.recording
        if recording is None:
            return judge

        def observed(agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
            judge(agent, inc, time_ns, ballot, slot, value, extra)
            rows = recording.events.setdefault((self.processes[agent].name, inc), [])
            rows.append(AgentEvent(time_ns, kind, None if ballot == NO_BALLOT else ballot, slot, value, extra))

        return observed

    def _wake(self, process: SimulatedProcess, incarnation: int, at_ns: int) -> None:
        if process.incarnation != incarnation or not process.up or process.wake_ns != at_ns:
            return
        process.wake_ns = None
        if process.paused:
            process.defer(lambda: self._on_wake(process))
            return
        self._on_wake(process)

    def _on_wake(self, process: SimulatedProcess) -> None:
        if process.blocked:
            process.overslept = True
            return
        node = process.node
        assert node is not None
        deadline_ns = node.deadline_ns()
        if deadline_ns is None:
            return
        if deadline_ns > process.clock.read_ns(self.loop.now_ns):
            at_ns = max(process.clock.when_ns(deadline_ns), self.loop.now_ns)
            process.wake_ns = at_ns
            self.loop.at(at_ns, self._wake, process, process.incarnation, at_ns)
            return
        self._step(process, self._fire_timers, node)

    def _fire_timers(self, node: Node, now_ns: int) -> None:
        node.wake(now_ns)
        node.finish()

    def _end_sync(self, process: SimulatedProcess, incarnation: int, _c: Any) -> None:
        if process.incarnation != incarnation or not process.up:
            return
        if process.paused:
            process.defer(lambda: self._end_sync(process, incarnation, None))
            return
        self._step(process, self._sync_done, process)

    def _sync_done(self, process: SimulatedProcess, now_ns: int) -> None:
        node = process.node
        assert node is not None
        try:
            process.disk.end_sync()
        except OSError as error:
            node.fail_sync(error)
        else:
            self._on_sync_ended(process.id, process.incarnation, self.loop.now_ns, NO_BALLOT, 0, None, None)
        if "synced" in self._watched:
            self._trigger(process, "synced", 0)
        node.end_sync(now_ns)
        if process.blocked:
            self._unblock(process, node, now_ns)
        if "would_forget" in self._watched and self.rehearsals.is_due(process):
            # Behind the messages that this sync lets go: what they tell counts.
            self.loop.at(self.loop.now_ns, self._rehearse, process, process.incarnation)

    def _rehearse(self, process: SimulatedProcess, incarnation: int, _c: Any) -> None:
        """Look whether the power had better not fail now; if so, let it."""
        if "would_forget" not in self._watched or not process.up or process.incarnation != incarnation:
            return
        now_ns = self.loop.now_ns
        if self.rehearsals.would_forget(process, process.clock.read_ns(now_ns)):
            with contextlib.suppress(Died):
                self._trigger(process, "would_forget", 0)

    def _unblock(self, process: SimulatedProcess, node: Node, now_ns: int) -> None:
        """Catch up with what came while the process waited for its sync, before it begins another one."""
        process.blocked = False
        overslept, process.overslept = process.overslept, False
        batch, process.inbox = process.inbox, []
        if overslept or batch:
            self._send(process, node.take_outbox())
        if overslept:
            self.steps += 1
            self._fire_timers(node, now_ns)
        if batch:
            self.steps += len(batch)
            for sender, message in batch:
                self.hearsay.arrived(process, sender, message)
            node.handle(batch, now_ns)

    def _deliver(self, target: int, sender: Sender, message: AnyMessage) -> None:
        now_ns = self.loop.now_ns
        if target >= FIRST_CLIENT_ADDRESS:
            self._block.append((now_ns, target, sender, message))
            if self._clients_up:
                self._step_clients(self.clients.on_message, sender[0], message, now_ns)
            return
        if not 0 <= target < len(self.processes):
            self._misaddressed(target, sender[0], message)
            return
        process = self.processes[target]
        if not process.up:
            return
        if process.paused:
            process.defer(lambda: self._deliver(target, sender, message))
            return
        if process.step_costs_ns:
            if process.free_ns > now_ns:
                self.loop.at(process.free_ns, self._deliver, target, sender, message)
                return
            process.free_ns = now_ns + max(process.step_costs_ns.values())
        block = self._block
        block.append((now_ns, target, sender, message))
        if len(block) >= DIGEST_BLOCK:
            self._close_digest()
        if process.blocked:
            process.inbox.append((sender, message))
        else:
            assert process.node is not None
            self.hearsay.arrived(process, sender, message)
            self._step(process, process.node.handle, ((sender, message),))

    def _ended_by(self, process: SimulatedProcess, error: BaseException) -> None:
        """An agent's code raised: its disk failed, it saw that safety is broken, or it has a bug. Ours are raised again."""
        if isinstance(error, HarnessFault):
            raise error
        if isinstance(error, StorageFault):
            self._stopped_by_disk(process, error)
            return
        self._record_end(process, error)
        if isinstance(error, ProtocolViolation):
            self._crash(process, "crash/protocol-violation", str(error))
        else:
            self._crash(process, f"crash/{type(error).__name__}", f"{type(error).__name__}: {error}")

    def _stopped_by_disk(self, process: SimulatedProcess, fault: StorageFault) -> None:
        """An agent stops when its disk fails: right if the disk was made to fail, a violation if not."""
        self._record_end(process, fault)
        if self._disk_faults.get(process.id) or process.disk_was_damaged:
            process.die()
            process.crashed = f"disk: {fault}"
            return
        rule = "crash/log-corrupted" if isinstance(fault, LogCorrupted) else "crash/storage"
        self._crash(process, rule, str(fault))

    def _record_end(self, process: SimulatedProcess, error: BaseException) -> None:
        """The last row of an incarnation that stopped by itself."""
        if self.recording is not None:
            row = AgentEvent(
                self.loop.now_ns, "stopped", None, 0, None, {"type": type(error).__name__, "error": str(error)}
            )
            self.recording.events.setdefault((process.name, process.incarnation), []).append(row)

    def _crash(self, process: SimulatedProcess, rule: str, text: str) -> None:
        process.die()
        process.crashed = text
        sentence = f"{process.name} (incarnation {process.incarnation}) stopped by itself: {text}"
        self._found(rule, sentence, (process.name,))

    def _misaddressed(self, target: int, source: int, message: AnyMessage) -> None:
        sender = self.processes[source].name if source < FIRST_CLIENT_ADDRESS else "a client"
        self._found("crash/no-such-node", f"{sender} sent {type(message).__name__} to node {target}: there is none", ())

    def _unsendable(self, message: object) -> Any:
        """Called for what no wire could carry, when the digest meets it."""
        name = type(message).__name__
        self._found("crash/unsendable", f"an agent sent an object of type {name}, which cannot travel", ())
        return name

    def _found(self, rule: str, sentence: str, agents: tuple[str, ...]) -> None:
        """Something that the tested code cannot go on from."""
        self.crashes.append(Violation(rule, sentence, self.loop.now_ns, agents=agents))
        if self.stop_at_first:
            raise Stopped

    # -- clients --------------------------------------------------------------------------------------------------------

    def _start_clients(self, _a: Any, _b: Any, _c: Any) -> None:
        self._step_clients(self.clients.start, self.loop.now_ns)

    def _step_clients(self, event: Callable[..., None], *arguments: Any) -> None:
        """One event of the clients. Their sessions are code under test too: if it raises, that is a finding."""
        try:
            event(*arguments)
            self._after_clients()
        except (Exception, SystemExit) as error:
            if isinstance(error, HarnessFault):
                raise
            self._clients_up = False
            self.clients.stop()
            self._found(
                f"crash/{type(error).__name__}", f"a client's session raised {type(error).__name__}: {error}", ()
            )

    def _after_clients(self) -> None:
        clients = self.clients
        if clients.outbox:
            outbox, clients.outbox = clients.outbox, []
            for target, message in outbox:
                self.network.send((clients.address, 0), target, message)
        deadline_ns = clients.deadline_ns()
        if deadline_ns is not None and (self._client_wake_ns is None or deadline_ns < self._client_wake_ns):
            self._client_wake_ns = max(deadline_ns, self.loop.now_ns)
            self.loop.at(self._client_wake_ns, self._wake_clients, self._client_wake_ns)

    def _wake_clients(self, at_ns: int, _b: Any, _c: Any) -> None:
        if self._client_wake_ns != at_ns:
            return
        self._client_wake_ns = None
        self.steps += 1
        if self._clients_up:
            self._step_clients(self.clients.on_time, self.loop.now_ns)

    # -- observing ------------------------------------------------------------------------------------------------------

    def make_trace(self, process: SimulatedProcess, incarnation: int) -> Trace:
        """Where one incarnation tells what it did: oracles, digest, record, triggers, in this order."""
        loop, agent, name = self.loop, process.id, process.name
        handler_of, note = self._handlers.get, self._block.append
        stop_at = self.oracles.violations if self.stop_at_first else []
        recording = self.recording
        rows = None if recording is None else recording.events.setdefault((name, incarnation), [])

        def trace(kind: str, ballot: Any = None, slot: int = 0, value: Any = None, extra: Any = None, /) -> None:
            handler = handler_of(kind)
            if handler is not None:
                handler(agent, incarnation, loop.now_ns, ballot, slot, value, extra)
                if stop_at:
                    raise Stopped
            note((kind, agent, ballot, slot))
            if rows is not None:
                rows.append(AgentEvent(loop.now_ns, kind, None if ballot == NO_BALLOT else ballot, slot, value, extra))
            if kind in self._watched:
                self._trigger(process, kind, slot)

        return trace

    def _on_leader(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.last_leader = agent

    def _on_step_down(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if self.last_leader == agent:
            self.last_leader = None

    def _append_hook(self, process: SimulatedProcess) -> Callable[[], None]:
        def appended() -> None:
            if "appended" in self._watched and process.up:
                self._trigger(process, "appended", 0)

        return appended

    def _close_digest(self) -> None:
        self._digest.update(self._encode(self._block))
        if self.notes is not None:
            self.notes.extend(msgspec.to_builtins(self._block))
        self._block.clear()

    def _record_operation(self, operation: Operation) -> None:
        if operation.type == "ok":
            self.commands += 1
        self.history.append(operation)

    def _record_message(self, source: int, target: int, message: AnyMessage, arrivals: Sequence[int]) -> None:
        """One row for each copy that arrives, or for the loss; clients' messages are in the history."""
        if self.recording is None or max(source, target) >= FIRST_CLIENT_ADDRESS:
            return
        rows = self.recording.events.setdefault(NETWORK, [])
        now_ns = self.loop.now_ns
        extra = {
            "name": type(message).__name__,
            "source": self.processes[source].name,
            "target": self.processes[target].name,
            "sent_ns": now_ns,
            "fate": "delivered" if arrivals else "lost",
        }
        ballot, slot = getattr(message, "ballot", None), getattr(message, "slot", 0)
        for at_ns in arrivals or (now_ns + self.plan.network.latency_ns,):
            rows.append(AgentEvent(at_ns, "message", None if ballot == NO_BALLOT else ballot, slot, None, extra))

    def _trigger(self, process: SimulatedProcess, kind: str, slot: int) -> None:
        """Something that is waited for happens. What is made of it may kill the agent: raises ``Died`` then."""
        raise NotImplementedError
