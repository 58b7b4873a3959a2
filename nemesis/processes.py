"""Faults of real processes, by psutil: kill, stop, stutter, hog. Each is seen to have happened, and can be undone.

Injected: SIGKILL; SIGSTOP and SIGCONT; short stops at a duty cycle; one CPU shared with busy loops.
Not injected: anything inside the process, memory pressure, priorities.

Rules
-----
* A victim is known by pid *and* start time, so that a number given to another process is never signalled.
* Nothing is reaped here: the victims belong to whoever started them.
* Signals go to all victims first, then each is watched until it shows the effect, at most ``CONFIRM_S``: a stop takes
  effect when the victim is next scheduled, some milliseconds later on a busy machine.
* Undoing is idempotent, and does nothing to a victim that is gone.
* Stutterers and hogs are processes of their own that end by themselves when the harness dies (``stutterer.py`` tells
  why), so that nobody is left stopped and no core is left busy.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil

from nemesis.port import Evidence, NotSupported

CONFIRM_S = 2.0
"""Longest wait for an effect to be seen, for all victims of one call together."""
_POLL_S = 0.0005
_STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)  # a traced process stops as the latter
_DEAD = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
GONE = "gone"
_STUTTERER = str(Path(__file__).with_name("stutterer.py"))
_HOG = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(100000): pass\n"

Identity = tuple[int, float]


class Victim:
    """A process to be faulted; made when it reports in, while its pid is surely its own. ``name`` is the agent's."""

    def __init__(self, name: str, pid: int) -> None:
        """Raises psutil.NoSuchProcess if it is gone already."""
        self.name = name
        self.process = psutil.Process(pid)
        self.identity: Identity = (pid, self.process.create_time())

    def state(self) -> str:
        """As psutil names it (running, sleeping, stopped, …); ``gone`` for a dead one, reaped or not."""
        try:
            status = self.process.status() if self.process.is_running() else GONE
        except psutil.NoSuchProcess:
            return GONE
        return GONE if status in _DEAD else status

    def signal(self, send: Callable[[psutil.Process], None]) -> None:
        """Send unless it is gone; raises NotSupported if the system forbids it."""
        try:
            send(self.process)
        except psutil.NoSuchProcess:
            return
        except psutil.AccessDenied as error:
            raise NotSupported(f"may not signal {self.name} (pid {self.process.pid}): {error}") from None


class ProcessFaults:
    """The faults that are on. One of these for a run; not for use by several threads."""

    def __init__(self) -> None:
        self._paused: dict[Identity, Victim] = {}
        self._stutters: dict[int, list[_Stutter]] = {}
        self._hogs: dict[int, _Hogs] = {}
        self._pins: dict[Identity, _Pin] = {}

    # Kill, stop, continue.

    def kill(self, victims: Sequence[Victim]) -> Evidence:
        """SIGKILL. Evidence by name: {state: gone, ms: …} once seen dead."""
        for victim in victims:
            victim.signal(psutil.Process.kill)
            self._paused.pop(victim.identity, None)
        return _watch(victims, lambda state: state == GONE)

    def pause(self, victims: Sequence[Victim]) -> Evidence:
        """SIGSTOP. Evidence by name: {state: stopped (or tracing-stop), ms: until it was seen}."""
        for victim in victims:
            for stutter in self._stutters_of(victim):
                stutter.hold()
            if victim.state() != GONE:
                self._paused[victim.identity] = victim
            victim.signal(psutil.Process.suspend)
        return _watch(victims, lambda state: state in (*_STOPPED, GONE))

    def resume(self, victims: Sequence[Victim]) -> Evidence:
        """SIGCONT. Evidence by name: {state: what it was seen doing, ms: …}."""
        for victim in victims:
            victim.signal(psutil.Process.resume)
        evidence = _watch(victims, lambda state: state not in _STOPPED)
        for victim in victims:
            self._paused.pop(victim.identity, None)
            for stutter in self._stutters_of(victim):
                stutter.go_on()
        return evidence

    # Stutter.

    def stutter(self, fault: int, victims: Sequence[Victim], running: float, period_ns: int) -> Evidence:
        """Stop each victim for a share of every period, until ``end_stutter``. Does not wait for the first stop."""
        started = self._stutters.setdefault(fault, [])
        evidence: Evidence = {}
        for victim in victims:
            if victim.state() == GONE:
                evidence[victim.name] = {"state": GONE}
                continue
            stutter = _Stutter(victim, running, period_ns)
            started.append(stutter)
            if victim.identity in self._paused:
                stutter.hold()
            evidence[victim.name] = {"stutterer_pid": stutter.pid}
        return evidence

    def end_stutter(self, fault: int) -> Evidence:
        """Evidence by name: stops made, how many were seen, ms stopped of ms in all."""
        return {
            stutter.victim.name: stutter.end(held=stutter.victim.identity in self._paused)
            for stutter in self._stutters.pop(fault, [])
        }

    def _stutters_of(self, victim: Victim) -> list[_Stutter]:
        return [one for group in self._stutters.values() for one in group if one.victim.identity == victim.identity]

    # Hog.

    def hog(self, fault: int, victims: Sequence[Victim], hogs: int) -> Evidence:
        """Pin all victims to one CPU, together with ``hogs`` busy loops, until ``end_hog``."""
        if not hasattr(os, "sched_setaffinity"):
            raise NotSupported("this system does not let a process be pinned to a CPU; Linux does")
        alive = [victim for victim in victims if victim.state() != GONE]
        cpu = max(os.sched_getaffinity(0))
        self._hogs[fault] = group = _Hogs(cpu, alive)
        for victim in alive:
            self._pins.setdefault(victim.identity, _Pin(victim)).add(fault, cpu)
        group.start(hogs)
        gone = {victim.name: {"state": GONE} for victim in victims if victim not in alive}
        return {"cpu": cpu, "hogs": hogs, "pinned": [victim.name for victim in alive], **gone}

    def end_hog(self, fault: int) -> Evidence:
        """Evidence: CPU seconds of the busy loops; by name: CPU seconds and how often it was preempted meanwhile."""
        group = self._hogs.pop(fault, None)
        if group is None:
            return {}
        evidence = group.end()
        for victim in group.victims:
            pin = self._pins.get(victim.identity)
            if pin is not None and pin.remove(fault):
                del self._pins[victim.identity]
        return evidence

    def heal(self, but: Iterable[Victim] = ()) -> Evidence:
        """Undo everything that is on; the victims ``but`` stay stopped if they are."""
        evidence: Evidence = {}
        for fault in list(self._stutters):
            evidence |= self.end_stutter(fault)
        for fault in list(self._hogs):
            evidence |= self.end_hog(fault)
        left = {victim.identity for victim in but}
        return evidence | self.resume([victim for key, victim in self._paused.items() if key not in left])


def _watch(victims: Iterable[Victim], shows: Callable[[str], bool]) -> Evidence:
    """Wait until every victim shows the effect; who does not in time is reported with ``confirmed: false``."""
    began = time.monotonic()
    waiting = list(victims)
    evidence: Evidence = {}
    while waiting:
        late = time.monotonic() - began > CONFIRM_S
        for victim in list(waiting):
            state = victim.state()
            if shows(state) or late:
                seen = {"state": state, "ms": round((time.monotonic() - began) * 1000, 2)}
                evidence[victim.name] = seen if shows(state) else {**seen, "confirmed": False}
                waiting.remove(victim)
        if waiting:
            time.sleep(_POLL_S)
    return evidence


class _Stutter:
    """One stutterer process and its victim."""

    def __init__(self, victim: Victim, running: float, period_ns: int) -> None:
        self.victim = victim
        pid = victim.process.pid
        try:
            start = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
        except FileNotFoundError:
            raise NotSupported("stutter reads /proc, which is not here; Linux has it") from None
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", _STUTTERER, str(pid), start, str(running), str(period_ns), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            process_group=0,
        )
        self.pid = self._child.pid
        self._output = b""
        """All it has said: a byte for each command obeyed, and its report when it ended."""

    def hold(self) -> None:
        """Returns when the stutterer will not continue its victim any more."""
        if not self._ask(b"h"):
            self._child.kill()

    def go_on(self) -> None:
        self._ask(b"g")

    def _ask(self, command: bytes) -> bool:
        """Whether the stutterer has obeyed, or has ended."""
        heard = len(self._output)
        return not self._tell(command) or self._listen(lambda: len(self._output) > heard)

    def _tell(self, command: bytes) -> bool:
        """Whether it was still there to be told."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(command)
        except BrokenPipeError:
            return False
        return True

    def _listen(self, enough: Callable[[], bool]) -> bool:
        """Hear its output until that is enough or it has ended; False if that takes too long."""
        assert self._child.stdout is not None
        until = time.monotonic() + CONFIRM_S
        while not enough():
            ready, _, _ = select.select([self._child.stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return False
            more = os.read(self._child.stdout.fileno(), 4096)
            if not more:
                return True
            self._output += more
        return True

    def end(self, held: bool) -> Evidence:
        """Quit, and make sure that the victim runs unless somebody else holds it stopped."""
        assert self._child.stdin is not None and self._child.stdout is not None
        self._tell(b"q")
        if not self._listen(lambda: self._output.endswith(b"}\n")):
            self._child.kill()
        self._child.wait()
        self._child.stdin.close()
        self._child.stdout.close()
        if not held:
            self.victim.signal(psutil.Process.resume)
        report = self._output.strip().rpartition(b"\n")[2]
        evidence: Evidence = json.loads(report) if report.startswith(b"{") else {"ended": "lost", "confirmed": False}
        return evidence


class _Hogs:
    """Busy loops on one CPU, and what their victims had used when they began."""

    def __init__(self, cpu: int, victims: list[Victim]) -> None:
        self.cpu = cpu
        self.victims = victims
        self._children: list[subprocess.Popen[bytes]] = []
        self._before = {victim.identity: _usage(victim) for victim in victims}
        self._began = time.monotonic()

    def start(self, count: int) -> None:
        for _ in range(count):
            child = subprocess.Popen([sys.executable, "-I", "-S", "-c", _HOG, str(os.getpid())], process_group=0)
            self._children.append(child)
            os.sched_setaffinity(child.pid, {self.cpu})

    def end(self) -> Evidence:
        cpu_s = 0.0
        for child in self._children:
            try:
                times = psutil.Process(child.pid).cpu_times()
                cpu_s += times.user + times.system
            except psutil.NoSuchProcess:
                pass  # killed from outside: it has used what it has used
            child.kill()
            child.wait()
        evidence: Evidence = {
            "hog_cpu_ms": round(cpu_s * 1000),
            "total_ms": round((time.monotonic() - self._began) * 1000),
        }
        for victim in self.victims:
            after, before = _usage(victim), self._before[victim.identity]
            if after is None or before is None:
                evidence[victim.name] = {"state": GONE}
            else:
                evidence[victim.name] = {
                    "cpu_ms": round((after[0] - before[0]) * 1000),
                    "preempted": after[1] - before[1],
                }
        return evidence


def _usage(victim: Victim) -> tuple[float, int] | None:
    """(CPU seconds, involuntary context switches); None if it is gone."""
    try:
        times = victim.process.cpu_times()
        return times.user + times.system, victim.process.num_ctx_switches().involuntary
    except psutil.NoSuchProcess:
        return None


class _Pin:
    """A victim's threads on one CPU, and where they were allowed before anybody pinned them."""

    def __init__(self, victim: Victim) -> None:
        self.victim = victim
        self._faults: list[int] = []
        self._before = {thread: allowed for thread in self._threads() if (allowed := _allowed(thread))}

    def _threads(self) -> list[int]:
        try:
            return [thread.id for thread in self.victim.process.threads()]
        except psutil.NoSuchProcess:
            return []

    def add(self, fault: int, cpu: int) -> None:
        self._faults.append(fault)
        for thread in self._threads():
            _allow(thread, {cpu})

    def remove(self, fault: int) -> bool:
        """Give the threads back what they had when the last pin goes; whether that is now."""
        if fault in self._faults:
            self._faults.remove(fault)
        if self._faults:
            return False
        main = self._before.get(self.victim.process.pid)
        if self.victim.state() != GONE:
            for thread in self._threads():
                if allowed := self._before.get(thread, main):  # a thread born meanwhile gets what the main one had
                    _allow(thread, allowed)
        return True


def _allowed(thread: int) -> set[int]:
    try:
        return os.sched_getaffinity(thread)
    except ProcessLookupError:
        return set()


def _allow(thread: int, cpus: set[int]) -> None:
    try:
        os.sched_setaffinity(thread, cpus)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise NotSupported(f"may not pin a thread of another process: {error}") from None
