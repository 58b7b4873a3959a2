"""The loop's side of lockstep: the simulated world with ``RemoteNode`` in the place of ``Node``.

The disk's model (what is durable, what a power cut takes) is the simulator's, fed with the changes the process really made;
a power cut or corruption is written through to the real files, and before each recovery model and files are compared:
they must be the same, byte for byte.

What is not real here: time, the network, and SIGSTOP (a stopped agent simply gets no orders).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from harness.cluster_setup import AgentSpec
from harness.errors import HarnessFault
from harness.memory import memory_directory
from harness.worlds.lockstep.agent import run_in_child
from harness.worlds.lockstep.talk import Answer, FileChange, Order, decode_answer, encode
from harness.worlds.simulated.disk import SimulatedDisk
from harness.worlds.simulated.network import Sender
from harness.worlds.simulated.process import MakeTrace, SimulatedProcess
from harness.worlds.simulated.world import SimulatedRun, SimulatedWorld
from nemesis.plan import Plan
from paxos_impl.agent import Config, ProtocolViolation
from paxos_impl.log import LogCorrupted, StorageFault
from paxos_impl.messages import AnyMessage
from paxos_impl.parts import CORRECT, Parts
from paxos_impl.process.mailbox import SeqQueue


class LockstepDisk(SimulatedDisk):
    """The model of the disk, and the directory it is the model of."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory

    def apply(self, change: FileChange) -> None:
        """Do to the model what the process did to its files."""
        match change.what:
            case "create":
                self.create(change.name)
            case "append":
                self.append(change.name, change.data)
            case "append_half":
                self.files[change.name].data += change.data
            case "truncate":
                self.truncate(change.name, change.size)
            case "rename":
                self.rename(change.name, change.other)
            case "remove":
                self.remove(change.name)
            case "sync":
                self.sync(change.name)
            case "sync_directory":
                self.sync_directory()

    def end_sync(self) -> None:
        try:
            super().end_sync()
        except OSError:
            self.write_through()
            raise

    def power_cut(self, mode: str, draw: Callable[[], float]) -> dict[str, int]:
        counts = super().power_cut(mode, draw)
        self.write_through()
        return counts

    def corrupt(self, draw: Callable[[], float]) -> dict[str, int | str]:
        what = super().corrupt(draw)
        self.write_through()
        return what

    def write_through(self) -> None:
        """Make the real files what the model says."""
        if not self.directory.exists():
            return
        for path in self.directory.iterdir():
            if path.name not in self.files:
                path.unlink()
        for name, file in self.files.items():
            (self.directory / name).write_bytes(bytes(file.data))

    def compare(self) -> None:
        """Raises HarnessFault if model and files differ: then lockstep would prove nothing."""
        real = {path.name: path.read_bytes() for path in self.directory.iterdir()} if self.directory.exists() else {}
        model = {name: bytes(file.data) for name, file in self.files.items()}
        if real != model:
            names = sorted(name for name in {*real, *model} if real.get(name) != model.get(name))
            raise HarnessFault(f"{self.directory}: {', '.join(names)} differ from the disk's model")


class RemoteNode:
    """A node in a process of its own, with the interface of ``paxos_impl.node.Node`` that the simulated world uses."""

    def __init__(self, process: LockstepProcess, incarnation: int) -> None:
        self.process = process
        self.trace = process.make_trace(process, incarnation)
        self.agent = self
        self.timers: dict[str, int] = {}
        self.wants_sync = False
        self._applied = 0
        self._outbox: list[tuple[int, AnyMessage]] = []

    def start(self, now_ns: int) -> None:
        self._order(Order("start", now_ns))

    def handle(self, batch: Sequence[tuple[Sender, AnyMessage]], now_ns: int) -> None:
        self._order(Order("handle", now_ns, batch=batch))

    def wake(self, now_ns: int) -> None:
        self._order(Order("wake", now_ns))

    def finish(self) -> None:
        """The order that was carried out has finished its batch."""

    def take_outbox(self) -> list[tuple[int, AnyMessage]]:
        outbox, self._outbox = self._outbox, []
        return outbox

    def begin_sync(self) -> None:
        self._order(Order("begin_sync", 0))

    def end_sync(self, now_ns: int) -> None:
        self._order(Order("end_sync", now_ns))

    def fail_sync(self, error: OSError) -> None:
        self._order(Order("fail_sync", 0))

    def stop(self, now_ns: int) -> None:
        self._order(Order("stop", now_ns))

    def deadline_ns(self) -> int | None:
        return self.timers.get("next")

    def applied_slot(self) -> int:
        return self._applied

    def _order(self, order: Order) -> None:
        """Have it carried out, effect by effect; dies in the middle if a trigger strikes."""
        process = self.process
        answer = process.ask(order)
        while True:
            self._live_through(answer)
            if answer.done:
                break
            answer = process.ask(Order("go_on", 0))
        self.timers = {} if answer.deadline_ns is None else {"next": answer.deadline_ns}
        self.wants_sync = answer.wants_sync
        self._applied = answer.applied
        self._outbox.extend(answer.outbox)
        if answer.error is not None:
            raise _as_raised(*answer.error)

    def _live_through(self, answer: Answer) -> None:
        process = self.process
        for effect in answer.effects:
            if isinstance(effect, FileChange):
                process.lockstep_disk.apply(effect)
            else:
                self.trace(effect.kind, effect.ballot, effect.slot, effect.value, effect.extra)


class LockstepProcess(SimulatedProcess):
    """One agent over all its incarnations, each a real process."""

    def __init__(
        self,
        spec: AgentSpec,
        config: Config,
        parts: Parts,
        seed: int,
        make_trace: MakeTrace,
        directory: Path,
        world: LockstepWorld,
    ) -> None:
        super().__init__(spec, config, parts, seed, make_trace)
        self.lockstep_disk = LockstepDisk(directory / spec.name)
        self.disk = self.lockstep_disk
        self.world = world
        self.link: SeqQueue | None = None
        self.pid = 0

    def begin_incarnation(self) -> Any:
        super().begin_incarnation()
        self.lockstep_disk.compare()
        here, there = SeqQueue.pair()
        others = [here, *(other.link for other in self.world.lockstep_processes() if other.link is not None)]
        draw = Random(f"{self.seed}/agent/{self.id}/{self.incarnation}").random
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            run_in_child(
                parent, self.config, self.incarnation, self.parts, draw, self.lockstep_disk.directory, there, others
            )
        there.close()
        self.link = here
        self.world.forks += 1
        node: Any = RemoteNode(self, self.incarnation)
        self.node = node
        return node

    def die(self) -> None:
        self.kill()
        super().die()

    def kill(self) -> None:
        """SIGKILL the real process, if there is one."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        if self.link is not None:
            self.link.close()
            self.link = None

    def ask(self, order: Order) -> Answer:
        assert self.link is not None
        order.watched = tuple(sorted(self.world.watched_kinds))
        order.full = self.disk.full
        try:
            self.link.put(encode(order))
            return decode_answer(self.link.get())
        except (EOFError, OSError) as error:
            if self.parts is not CORRECT:
                raise self._ended_by_itself() from error
            raise HarnessFault(f"the process of {self.name} ended although nobody killed it") from error

    def _ended_by_itself(self) -> Exception:
        """With a bug planted it is the bug that ended the process. What it last did to its files, of which nobody was told, is
        undone."""
        os.kill(self.pid, signal.SIGKILL)  # nothing, if it has ended; else it has only let go of the link
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert found is not None
        self.kill()
        self.lockstep_disk.write_through()
        how = "exit code" if found.si_code == os.CLD_EXITED else "signal"
        return _as_raised("exit", f"its process ended by itself, {how} {found.si_status}")


class LockstepWorld(SimulatedWorld):
    """``directory``: where the real logs live, for instance on a memory-backed file system."""

    def __init__(self, plan: Plan, directory: Path, **options: Any) -> None:
        self.directory = directory
        self.forks = 0
        super().__init__(plan, **options)

    def make_process(self, spec: AgentSpec, config: Config, parts: Parts) -> SimulatedProcess:
        return LockstepProcess(spec, config, parts, self.plan.seed, self.make_trace, self.directory, self)

    def lockstep_processes(self) -> list[LockstepProcess]:
        return [process for process in self.processes if isinstance(process, LockstepProcess)]

    @property
    def watched_kinds(self) -> frozenset[str]:
        return self._watched

    def run(self) -> SimulatedRun:
        try:
            return super().run()
        finally:
            for process in self.lockstep_processes():
                process.kill()


def run_in_lockstep(plan: Plan, **options: Any) -> SimulatedRun:
    """Run a plan on real processes, stepped by the simulator. Options as for ``SimulatedWorld``."""
    with memory_directory() as directory:
        return LockstepWorld(plan, directory, **options).run()


def _as_raised(name: str, text: str) -> Exception:
    """The exception that ended the agent, as the simulated world knows it."""
    if name == "ProtocolViolation":
        return ProtocolViolation(text)
    if name == "LogCorrupted":
        return LogCorrupted(text)
    if name == "StorageFault":
        return StorageFault(text)
    made: Exception = type(name, (Exception,), {})(text)
    return made
