"""The launcher: the parent of all processes of a run. Started first, one thread, small; forks on request and reaps.

Why a process of its own: the kernel's parent-death signal is tied to the *thread* that forked, so the parent must be one
that lives as long as the run; a fork of the big harness would be slow; and the harness keeps no child of its own that it
could forget to reap. When the harness dies, also by SIGKILL, the kernel kills the launcher, and then all its children, those
that are stopped too.

Run as ``python -m harness.worlds.real.launcher CONTROL_FD MEMORY_FD PARENT_PID``. The harness's side is ``Launcher``.
"""

from __future__ import annotations

import gc
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections import deque
from pathlib import Path

from harness.errors import HarnessFault
from harness.worlds.real import orders
from harness.worlds.real.orders import MESSAGE_BYTES_MAX, Exited, Failed, Notice, Order, Setup, Spawn, Started
from nemesis.plan import Plan, decode_plan
from paxos_impl.process.host import EXIT_CRASHED, die_with_parent
from paxos_impl.process.mailbox import SeqQueue


class _Server:
    """The launcher process."""

    def __init__(self, control: socket.socket, memory: memoryview) -> None:
        self.control = control
        self.memory = memory
        self.setup: Setup | None = None
        self.plan: Plan | None = None
        self.children: dict[int, Spawn] = {}
        self.attach, self.attach_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.wake, wake_far = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_far, warn_on_full_buffer=False)
        self.wake_far = wake_far

    def run(self) -> None:
        """Until the harness closes its end."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(self.wake, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == self.wake:
                    os.read(self.wake, 4096)
                    self._reap()
                    continue
                data = self._next_order()
                if not data:
                    self._kill_all()
                    return
                self._obey(orders.decode_order(data))

    def _next_order(self) -> bytes:
        """Empty when the harness is gone. (Notices that it did not read make the socket say so by an error first.)"""
        try:
            return self.control.recv(MESSAGE_BYTES_MAX)
        except ConnectionResetError:
            return b""

    def _obey(self, order: Order) -> None:
        if isinstance(order, Setup):
            self.setup, self.plan = order, decode_plan(order.plan)
            return
        try:
            self._spawn(order)
        except OSError as error:
            self._tell(Failed(f"cannot start {order.role} {order.address}: {error}"))

    def _tell(self, notice: Notice, fds: list[int] | None = None) -> None:
        try:
            socket.send_fds(self.control, [orders.encode(notice)], fds or [])
        except (BrokenPipeError, ConnectionResetError):
            return  # the harness is gone: the next recv says so

    def _spawn(self, order: Spawn) -> None:
        near, far = SeqQueue.pair()
        launcher = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = EXIT_CRASHED
            try:
                die_with_parent(launcher)
                near.close()
                code = self._child(order, far)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        far.close()
        self.children[pid] = order
        started = Started(order.role, order.address, order.incarnation, pid)
        if order.role == "switchboard":
            self._tell(started, [near.fileno()])
            self.attach_far.close()
        else:
            head = order.address.to_bytes(4, "little") + order.incarnation.to_bytes(4, "little")
            socket.send_fds(self.attach, [head], [near.fileno()])
            self._tell(started)
        near.close()

    def _child(self, order: Spawn, queue: SeqQueue) -> int:
        """In the child: become what was ordered; returns the exit code."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self.wake)
        os.close(self.wake_far)
        self.control.close()
        self.attach.close()
        if order.role != "switchboard":
            self.attach_far.close()
        plan = self.plan
        assert self.setup is not None and plan is not None, "Setup comes before the first Spawn"
        directory = Path(self.setup.directory)
        if order.role == "switchboard":
            _print_to(directory / "logs" / "switchboard.log")
            from harness.worlds.real.switchboard import Switchboard

            Switchboard(queue, self.attach_far, plan.seed).run()
            return 0
        from harness.worlds.real.agent_process import client_log, log_path, run_agent

        if order.role == "client":
            _print_to(client_log(directory, order.address))
            from harness.clients.process import run_client

            return run_client(plan, directory, queue, order.address, self.setup.client_processes)
        _print_to(log_path(plan, directory, order.address, order.incarnation))
        data = Path(self.setup.data_directory)
        return run_agent(plan, directory, data, queue, self.memory, order.address, order.incarnation)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            spawned = self.children.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            self._tell(Exited(spawned.role, spawned.address, spawned.incarnation, pid, code))

    def _kill_all(self) -> None:
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)
        for pid in self.children:
            os.waitpid(pid, 0)


def _print_to(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


class LauncherError(HarnessFault):
    """The processes of a run cannot be started; the text says why."""


class Launcher:
    """The harness's side. ``heard``: notices not yet taken."""

    def __init__(self, setup: Setup, memory_fd: int) -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = near
        self.heard: deque[Notice] = deque()
        self.process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, str(far.fileno()), str(memory_fd), str(os.getpid())],
            pass_fds=(far.fileno(), memory_fd),
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        far.close()
        self._tell(setup)

    def spawn(self, role: orders.Role, address: int, incarnation: int) -> None:
        self._tell(Spawn(role, address, incarnation))

    def start_switchboard(self, timeout_s: float) -> tuple[Started, SeqQueue]:
        """The switchboard's pid and the harness's queue to it. Raises LauncherError."""
        self.spawn("switchboard", orders.SWITCHBOARD_ADDRESS, 1)
        if not self._readable(timeout_s):
            raise LauncherError(f"the launcher did not start the switchboard within {timeout_s:g} s")
        data, fds, _, _ = socket.recv_fds(self.control, MESSAGE_BYTES_MAX, 1)
        notice = orders.decode_notice(data) if data else None
        if not isinstance(notice, Started) or not fds:
            raise LauncherError(f"the launcher did not start the switchboard: {self._last_words(notice)}")
        return notice, SeqQueue.from_fd(fds[0])

    def listen(self) -> None:
        """Move all notices that are at hand to ``heard``. Raises EOFError if the launcher is gone."""
        while self._readable(0):
            data = self.control.recv(MESSAGE_BYTES_MAX)
            if not data:
                raise EOFError(f"the launcher is gone: {self._last_words(None)}")
            self.heard.append(orders.decode_notice(data))

    def close(self) -> None:
        """Kill everything that is left and wait until it is gone."""
        self.control.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _tell(self, order: Order) -> None:
        try:
            self.control.send(orders.encode(order))
        except (BrokenPipeError, ConnectionResetError):
            raise LauncherError(f"the launcher is gone: {self._last_words(None)}") from None

    def _readable(self, timeout_s: float) -> bool:
        return bool(select.select([self.control], [], [], timeout_s)[0])

    def _last_words(self, notice: Notice | None) -> str:
        if isinstance(notice, Failed):
            return notice.text
        return f"its exit code is {self.process.poll()}"


def main() -> None:
    control_fd, memory_fd, parent = (int(word) for word in sys.argv[1:4])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory = memoryview(mmap.mmap(memory_fd, 0))
    os.close(memory_fd)
    import harness.clients.process
    import harness.worlds.real.agent_process
    import harness.worlds.real.switchboard  # noqa: F401 (so that a fork begins at once)

    gc.collect()
    gc.freeze()
    _Server(socket.socket(fileno=control_fd), memory).run()


if __name__ == "__main__":
    main()
