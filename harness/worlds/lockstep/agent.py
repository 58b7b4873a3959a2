"""The agent's side of lockstep: a process that runs one incarnation of a node over real files, order by order."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.worlds.lockstep.talk import Answer, Effect, FileChange, Order, Traced, decode_order, encode
from paxos_impl.agent import Config
from paxos_impl.node import Node
from paxos_impl.parts import Parts
from paxos_impl.process.host import die_with_parent
from paxos_impl.process.mailbox import SeqQueue


class ReportedFiles:
    """The file port on a real directory; every change is an effect the loop hears of."""

    def __init__(self, directory: Path, report: Callable[[FileChange], None]) -> None:
        self.directory = directory
        self.report = report
        self.full = False
        self._open: dict[str, int] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def read(self, name: str) -> bytes:
        return (self.directory / name).read_bytes()

    def create(self, name: str) -> None:
        self._check_space()
        self._close(name)
        (self.directory / name).write_bytes(b"")
        self.report(FileChange("create", name))

    def append(self, name: str, data: bytes) -> None:
        if self.full:
            half = data[: len(data) // 2]
            os.write(self._fd(name), half)
            self.report(FileChange("append_half", name, data=half))
            self._check_space()
        os.write(self._fd(name), data)
        self.report(FileChange("append", name, data=data))

    def truncate(self, name: str, size: int) -> None:
        os.truncate(self.directory / name, size)
        self.report(FileChange("truncate", name, size=size))

    def rename(self, old: str, new: str) -> None:
        self._close(old)
        self._close(new)
        (self.directory / old).replace(self.directory / new)
        self.report(FileChange("rename", old, new))

    def remove(self, name: str) -> None:
        self._close(name)
        (self.directory / name).unlink()
        self.report(FileChange("remove", name))

    def sync(self, name: str) -> None:
        os.fdatasync(self._fd(name))
        self.report(FileChange("sync", name))

    def sync_directory(self) -> None:
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        self.report(FileChange("sync_directory", ""))

    def _fd(self, name: str) -> int:
        fd = self._open.get(name)
        if fd is None:
            fd = self._open[name] = os.open(self.directory / name, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        return fd

    def _close(self, name: str) -> None:
        fd = self._open.pop(name, None)
        if fd is not None:
            os.close(fd)

    def _check_space(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device (injected)")


class LockstepAgent:
    """Runs orders until the loop is gone."""

    def __init__(
        self, config: Config, incarnation: int, parts: Parts, draw: Callable[[], float], directory: Path, link: SeqQueue
    ) -> None:
        self.link = link
        self.effects: list[Effect] = []
        self.watched: frozenset[str] = frozenset()
        self.files = ReportedFiles(directory, self._changed)
        self.node = Node(config, incarnation, self.files, draw, self._traced, parts)

    def run(self) -> None:
        while True:
            try:
                order = decode_order(self.link.get())
            except EOFError:
                return
            error = None
            try:
                self._carry_out(order)
            except (Exception, SystemExit) as raised:
                error = (type(raised).__name__, str(raised))
            self._answer(done=True, error=error)

    def _carry_out(self, order: Order) -> None:
        node = self.node
        self._obey(order)
        match order.what:
            case "start":
                node.start(order.now_ns)
            case "handle":
                node.handle(order.batch, order.now_ns)
            case "wake":
                node.wake(order.now_ns)
                node.finish()
            case "begin_sync":
                node.begin_sync()
            case "end_sync":
                node.end_sync(order.now_ns)
            case "fail_sync":
                node.fail_sync(OSError(errno.EIO, "input/output error (injected)"))
            case "stop":
                node.stop(order.now_ns)

    def _obey(self, order: Order) -> None:
        self.watched = frozenset(order.watched)
        self.files.full = order.full

    def _traced(self, kind: str, ballot: Any = None, slot: int = 0, value: Any = None, extra: Any = None, /) -> None:
        self.effects.append(Traced(kind, ballot, slot, value, extra))
        if kind in self.watched:
            self._wait_for_leave()

    def _changed(self, change: FileChange) -> None:
        self.effects.append(change)
        if change.what == "append" and "appended" in self.watched:
            self._wait_for_leave()

    def _wait_for_leave(self) -> None:
        """A watched moment: the loop decides whether this agent lives on."""
        self._answer(done=False, error=None)
        self._obey(decode_order(self.link.get()))

    def _answer(self, *, done: bool, error: tuple[str, str] | None) -> None:
        effects, self.effects = self.effects, []
        node = self.node
        outbox = node.take_outbox() if done and error is None else []
        answer = Answer(effects, done, outbox, node.deadline_ns(), node.wants_sync, node.agent.applied_slot(), error)
        self.link.put(encode(answer))


def run_in_child(
    parent: int,
    config: Config,
    incarnation: int,
    parts: Parts,
    draw: Callable[[], float],
    directory: Path,
    link: SeqQueue,
    others: list[SeqQueue],
) -> None:
    """The life of a forked child; never returns."""
    try:
        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for other in others:
            other.close()
        LockstepAgent(config, incarnation, parts, draw, directory, link).run()
    finally:
        os._exit(0)
