"""The real world: agents as operating-system processes behind the nemesis's port.

Rules
* Only agents that have reported in are up, and only those are faulted.
* Waiting for one thing never loses another: what is heard meanwhile stays in ``events`` until it is taken.
* Evidence is what was seen: exit codes from the launcher that reaped, states from /proc, counts from the switchboard, the file
  port's own counters.
* An agent that stopped by itself stays down until somebody restarts it, and its end is noted in the record.
"""

from __future__ import annotations

import mmap
import os
import queue
import select
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import msgspec
import psutil

from harness.cluster_setup import agent_specs
from harness.errors import HarnessFault
from harness.worlds.real.agent_process import client_log, log_path, panel_of
from harness.worlds.real.launcher import Launcher
from harness.worlds.real.orders import Exited, Failed, Setup, Started
from harness.worlds.real.power import cut_power, flip_byte
from harness.worlds.real.switchboard import Line
from nemesis.draws import stream
from nemesis.faults import Parameter
from nemesis.plan import Plan, encode_plan
from nemesis.port import AgentView, Evidence, LinkRule, NotSupported
from nemesis.processes import ProcessFaults, Victim
from nemesis.triggers import FORESEEN
from paxos_impl.messages import FIRST_CLIENT_ADDRESS
from paxos_impl.process.host import EXIT_MEANINGS, EXIT_RECORD, EXIT_STOPPED, EXIT_STORAGE, EXIT_VIOLATION
from paxos_impl.process.panel import PANEL_BYTES, WATCH_BITS, Word

START_S = 15.0
"""Longest wait for a process to start and report in."""
DEATH_S = 5.0
"""Longest wait for a killed process to be reaped."""

Note = Callable[[str, tuple[str, ...], Evidence], None]
"""(kind, names, evidence) of something nobody asked for."""


class WorldError(HarnessFault):
    """The harness's own processes failed; the run cannot go on. The text says which one and where to look."""


class WatchedEvent(msgspec.Struct, frozen=True):
    """An agent has come to a watched moment, and waits there until ``go_on``."""

    agent: int
    kind: str
    slot: int
    number: int


class _Member:
    """One agent over all its incarnations."""

    def __init__(self, id_: int, name: str, role: str) -> None:
        self.id = id_
        self.name = name
        self.role = role
        self.incarnation = 0
        self.alive = False
        """Its process was ordered and has not been reaped."""
        self.victim: Victim | None = None
        self.ready = False
        self.expected_to_die = False
        self.exit_code: int | None = None

    @property
    def up(self) -> bool:
        """Alive, and it has reported in."""
        return self.ready and self.alive


class RealWorld:
    """Implements ``nemesis.port.World``. ``plan``: in real time; ``data``: where the agents keep their logs."""

    def __init__(self, plan: Plan, directory: Path, data: Path, client_processes: int, note: Note) -> None:
        self.plan = plan
        self.directory = directory
        self.data = data
        self.note = note
        self.events: deque[WatchedEvent] = deque()
        self.progress: dict[int, dict[str, Any]] = {}
        """Client address -> what it reported last."""
        self.client_addresses = tuple(FIRST_CLIENT_ADDRESS + place for place in range(client_processes))
        self.started_ns = time.monotonic_ns()
        self._members = [_Member(spec.id, spec.name, spec.role) for spec in agent_specs(plan)]
        self._faults = ProcessFaults()
        self._watched = 0
        self._clocks: dict[int, dict[int, tuple[int, float]]] = {}
        self._disks: dict[int, dict[int, tuple[str, int]]] = {}
        self._damaged: set[int] = set()
        """Agents whose disk was corrupted."""
        self._links_on: set[int] = set()
        self._clients_alive: set[int] = set()
        self._orders = 0
        size = PANEL_BYTES * len(self._members)
        self._memory_fd = os.memfd_create("panels")
        os.ftruncate(self._memory_fd, size)
        memory = memoryview(mmap.mmap(self._memory_fd, size))
        self._panels = [panel_of(memory, member.id) for member in self._members]
        self._launcher: Launcher | None = None
        self._line: Line | None = None

    # -- life of the run ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all processes and wait until every agent has reported in. Raises WorldError."""
        for member in self._members:
            (self.data / member.name).mkdir(parents=True, exist_ok=True)
        for folder in ("history", "decided", "trace", "logs"):
            (self.directory / folder).mkdir(exist_ok=True)
        setup = Setup(encode_plan(self.plan), str(self.directory), str(self.data), len(self.client_addresses))
        self._launcher = Launcher(setup, self._memory_fd)
        _, line = self._launcher.start_switchboard(START_S)
        self._line = Line(line)
        for address in self.client_addresses:
            self._launcher.spawn("client", address, 1)
        evidence = self.restart([member.id for member in self._members])
        failed = [name for name, seen in evidence.items() if "exit_code" in seen or "error" in seen]
        if failed:
            raise WorldError(
                f"{failed[0]} did not start: {evidence[failed[0]]}; see its file in {self.directory / 'logs'}"
            )

    def close(self) -> None:
        """Kill what is left and wait until all processes are gone. Idempotent."""
        self._faults.heal()
        if self._line is not None:
            self._line.queue.close()
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None
        if self._memory_fd >= 0:
            os.close(self._memory_fd)
            self._memory_fd = -1

    def listen(self, timeout_s: float = 0.0) -> None:
        """Take in all that is reported, waiting up to ``timeout_s`` for the first report. Raises WorldError."""
        if self._launcher is None or self._line is None:
            return
        if timeout_s > 0:
            _wait_readable((self._launcher.control, self._line.queue), timeout_s)
        try:
            self._line.listen()
            self._launcher.listen()
        except EOFError as error:
            raise WorldError(f"{error}; see {self.directory / 'logs'}") from error
        while self._launcher.heard:
            notice = self._launcher.heard.popleft()
            if isinstance(notice, Started):
                self._on_started(notice)
            elif isinstance(notice, Exited):
                self._on_exited(notice)
            elif isinstance(notice, Failed):
                raise WorldError(notice.text)
        while self._line.heard:
            source, incarnation, content = self._line.heard.popleft()
            self._on_report(source, incarnation, content)

    def _on_started(self, notice: Started) -> None:
        if notice.role == "client":
            self._clients_alive.add(notice.address)
            return
        member = self._members[notice.address]
        if notice.incarnation == member.incarnation:
            try:
                member.victim = Victim(member.name, notice.pid)
            except psutil.NoSuchProcess:
                return  # it died at once; the notice of that follows

    def _on_exited(self, notice: Exited) -> None:
        if notice.role == "switchboard":
            raise WorldError(f"the switchboard died ({_meaning(notice.code)}); see {self.directory / 'logs'}")
        if notice.role == "client":
            self._clients_alive.discard(notice.address)
            if notice.code != EXIT_STOPPED:
                said = _how_it_ended(notice.code, client_log(self.directory, notice.address))
                raise WorldError(f"client process {notice.address} {said}")
            return
        member = self._members[notice.address]
        if notice.incarnation != member.incarnation:
            return
        member.alive, member.ready, member.victim, member.exit_code = False, False, None, notice.code
        if notice.code == EXIT_RECORD:
            path = log_path(self.plan, self.directory, member.id, member.incarnation)
            raise WorldError(f"{member.name} {_how_it_ended(notice.code, path)}")
        if not member.expected_to_die:
            words = self._last_words(member)
            self.note("exit", (member.name,), {"code": notice.code, "meaning": _meaning(notice.code), "said": words})

    def _on_report(self, source: int, incarnation: int, content: list[Any]) -> None:
        if content[0] == "progress":
            self.progress[source] = content[1]
            return
        member = self._members[source]
        if incarnation != member.incarnation:
            return
        member.ready = True
        if content[0] == "event":
            _, kind, slot, number = content
            self.events.append(WatchedEvent(source, kind, slot, number))

    def _last_words(self, member: _Member) -> str:
        return _last_line(log_path(self.plan, self.directory, member.id, member.incarnation))

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        until = time.monotonic() + timeout_s
        while not done():
            left = until - time.monotonic()
            if left <= 0:
                return False
            self.listen(min(left, 0.1))
        return True

    # -- clients ------------------------------------------------------------------------------------------------------

    def order_clients(self, word: str) -> None:
        """start, mark, stop, read_back or finish."""
        self._orders += 1
        for address in self.client_addresses:
            self._order(address, word, self._orders)
        if word == "finish":
            self._wait(lambda: not self._clients_alive, DEATH_S)

    def client_totals(self) -> dict[str, int] | None:
        """Sums over the client processes; None until each has reported since it obeyed the last order."""
        reports = [self.progress.get(address, {}) for address in self.client_addresses]
        if any(report.get("order") != self._orders for report in reports):
            return None
        totals: dict[str, int] = {}
        for report in reports:
            for name, count in report.items():
                totals[name] = totals.get(name, 0) + count
        return totals

    # -- what agents tell ---------------------------------------------------------------------------------------------

    def watch(self, kinds: Iterable[str]) -> None:
        """Make agents report and wait at these moments, and no others. Nobody foresees anything here."""
        bits = sum(WATCH_BITS[kind] for kind in frozenset(kinds) - FORESEEN)
        for panel in self._panels:
            panel.words[Word.WATCHED] = bits

    def go_on(self, event: WatchedEvent) -> None:
        self._panels[event.agent].words[Word.GO] = event.number

    def applied(self) -> dict[str, int]:
        """Learner -> the slot its state covers, as far as its present incarnation has told (0 if it is down). Those that
        rightly refuse to start, since their disk was damaged, are left out."""
        return {
            member.name: self._panels[member.id].words[Word.APPLIED] if member.up else 0
            for member in self._members
            if member.role in ("replica", "learner") and not self._is_lost(member)
        }

    def _is_lost(self, member: _Member) -> bool:
        return member.id in self._damaged and not member.alive and member.exit_code == EXIT_STORAGE

    def stop_agents(self) -> None:
        """Ask all agents to stop in good order, and wait."""
        for member in self._members:
            if member.up:
                member.expected_to_die = True
                self._order(member.id, "stop")
        self._wait(lambda: not any(member.up for member in self._members), DEATH_S)

    def network(self) -> Evidence:
        """What the switchboard counted so far."""
        return self._call("counters")

    # -- the port -----------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        return time.monotonic_ns() - self.started_ns

    def agents(self) -> list[AgentView]:
        self.listen()
        return [AgentView(member.id, member.name, member.role, member.up) for member in self._members]

    def leader(self) -> int | None:
        led = [(self._panels[member.id].words[Word.LED_NS], member.id) for member in self._members if member.up]
        led_ns, agent = max(led, default=(0, -1))
        return agent if led_ns else None

    def kill(self, agents: list[int]) -> Evidence:
        members = [self._members[one] for one in agents if self._members[one].alive]
        self._wait(lambda: all(member.victim or not member.alive for member in members), DEATH_S)
        victims = [member.victim for member in members if member.victim is not None]
        for member in members:
            member.expected_to_die = True
        evidence = self._faults.kill(victims)
        if not self._wait(lambda: not any(member.alive for member in members), DEATH_S):
            left = [member.name for member in members if member.alive]
            raise WorldError(f"killed, but not reaped within {DEATH_S:g} s: {', '.join(left)}")
        return evidence

    def restart(self, agents: list[int]) -> Evidence:
        assert self._launcher is not None
        down = [self._members[one] for one in agents if not self._members[one].alive]
        began = time.monotonic()
        for member in down:
            member.incarnation += 1
            member.alive = True
            member.expected_to_die = False
            member.exit_code = None
            words = self._panels[member.id].words
            words[Word.GO] = words[Word.REPORTS]
            self._launcher.spawn("agent", member.id, member.incarnation)
        evidence: Evidence = {}
        waiting = list(down)

        def settled() -> bool:
            for member in list(waiting):
                if member.up or not member.alive:
                    waiting.remove(member)
                    evidence[member.name] = self._how_it_started(member, began)
            return not waiting

        self._wait(settled, START_S)
        for member in waiting:
            evidence[member.name] = {"incarnation": member.incarnation, "error": f"not ready within {START_S:g} s"}
        return evidence

    def _how_it_started(self, member: _Member, began: float) -> Evidence:
        seen: Evidence = {"incarnation": member.incarnation, "ms": round((time.monotonic() - began) * 1000, 1)}
        if not member.alive:
            return {**seen, "exit_code": member.exit_code, "said": self._last_words(member)}
        return {**seen, "pid": member.victim.process.pid if member.victim else None}

    def pause(self, agents: list[int]) -> Evidence:
        return self._faults.pause(self._victims(agents))

    def resume(self, agents: list[int]) -> Evidence:
        return self._faults.resume(self._victims(agents))

    def _victims(self, agents: Iterable[int]) -> list[Victim]:
        self.listen()
        return [victim for one in agents if (victim := self._members[one].victim) is not None]

    def slow(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter]) -> Evidence:
        victims = self._victims(agents)
        if kind == "stutter":
            return self._faults.stutter(fault, victims, float(params["running"]), int(params["period_ns"]))
        return self._faults.hog(fault, victims, int(params["hogs"]))

    def unslow(self, fault: int, kind: str, agents: list[int]) -> Evidence:
        return self._faults.end_stutter(fault) if kind == "stutter" else self._faults.end_hog(fault)

    def power_cut(self, agents: list[int], unsynced: str, seed: int) -> Evidence:
        self.listen()
        killed = self.kill(agents)
        evidence: Evidence = {}
        for one in agents:
            member = self._members[one]
            draw = stream(f"{seed}/{member.name}")
            lost = cut_power(self.data / member.name, self._panels[one], unsynced, draw)
            evidence[member.name] = {**killed.get(member.name, {"state": "gone"}), **lost}
        return evidence

    # -- links --------------------------------------------------------------------------------------------------------

    def add_links(self, rules: list[LinkRule]) -> Evidence:
        self._links_on.update(rule.fault for rule in rules)
        return self._call("add_links", rules)

    def remove_links(self, fault: int) -> Evidence:
        evidence = self._call("remove_links", fault)
        self._links_on.discard(fault)
        return evidence

    def _order(self, address: int, *content: Any) -> None:
        assert self._line is not None
        try:
            self._line.order(address, *content)
        except (queue.Full, EOFError):
            raise WorldError(f"the switchboard is gone or stuck; see {self.directory / 'logs'}") from None

    def _call(self, word: str, *arguments: Any) -> Evidence:
        assert self._line is not None
        try:
            answer: Evidence = self._line.call(word, *arguments)
        except (TimeoutError, EOFError) as error:
            raise WorldError(f"{error}; see {self.directory / 'logs' / 'switchboard.log'}") from error
        return answer

    # -- disks --------------------------------------------------------------------------------------------------------

    def disk_fault(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter], seed: int) -> Evidence:
        evidence: Evidence = {}
        for one in agents:
            member, panel = self._members[one], self._panels[one]
            if kind == "corrupt":
                self._damaged.add(one)
                evidence[member.name] = flip_byte(self.data / member.name, panel, stream(f"{seed}/{member.name}"))
                continue
            words = panel.words
            counter = {
                "disk_full": Word.APPENDS_REFUSED,
                "sync_error": Word.SYNCS_FAILED,
                "slow_sync": Word.SYNCS_SLOWED,
            }[kind]
            self._disks.setdefault(one, {})[fault] = (kind, int(params.get("delay_ns", 0)))
            evidence[member.name] = {"armed": kind, "so_far": words[counter]}
            if kind == "sync_error":
                words[Word.FAIL_SYNCS] = words[Word.SYNCS_FAILED] + 1
            self._set_disk(one)
        return evidence

    def heal_disk(self, fault: int, kind: str, agents: list[int]) -> Evidence:
        evidence: Evidence = {}
        for one in agents:
            words = self._panels[one].words
            self._disks.get(one, {}).pop(fault, None)
            self._set_disk(one)
            evidence[self._members[one].name] = {
                "appends_refused": words[Word.APPENDS_REFUSED],
                "syncs_failed": words[Word.SYNCS_FAILED],
                "syncs_slowed": words[Word.SYNCS_SLOWED],
            }
        self.listen()
        return evidence

    def _set_disk(self, agent: int) -> None:
        words, faults = self._panels[agent].words, self._disks.get(agent, {}).values()
        words[Word.DISK_FULL] = any(kind == "disk_full" for kind, _ in faults)
        words[Word.SLOW_SYNC_NS] = sum(delay_ns for kind, delay_ns in faults if kind == "slow_sync")
        if not any(kind == "sync_error" for kind, _ in faults):
            words[Word.FAIL_SYNCS] = words[Word.SYNCS_FAILED]

    # -- clocks -------------------------------------------------------------------------------------------------------

    def clock_fault(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter]) -> Evidence:
        jump_ns = int(params.get("offset_ns", 0)) if kind == "clock_jump" else 0
        rate = float(params.get("rate", 1.0)) if kind == "clock_drift" else 1.0
        evidence: Evidence = {}
        for one in agents:
            self._clocks.setdefault(one, {})[fault] = (jump_ns, rate)
            evidence[self._members[one].name] = self._set_clock(one, jump_ns)
        return evidence

    def heal_clock(self, fault: int, kind: str, agents: list[int]) -> Evidence:
        evidence: Evidence = {}
        for one in agents:
            known = self._clocks.get(one, {}).pop(fault, None)
            if known is not None:
                evidence[self._members[one].name] = self._set_clock(one, -known[0])
        return evidence

    def _set_clock(self, agent: int, jump_ns: int) -> Evidence:
        """Jump, and run at the product of the rates that are on. What a drift gained stays when it ends."""
        rate = 1.0
        for _, one in self._clocks[agent].values():
            rate *= one
        panel = self._panels[agent]
        panel.set_clock(jump_ns=jump_ns, rate=rate)
        return {"ahead_ms": round((panel.now_ns() - time.monotonic_ns()) / 1e6, 3), "rate": rate}

    # -- healing ------------------------------------------------------------------------------------------------------

    def heal_everything(self, broken: frozenset[int] = frozenset(), faults: Collection[int] = frozenset()) -> Evidence:
        """Undo whatever may still be on, whoever began it, and start all agents that are down (but those that saw that
        safety is broken). ``broken``: agents that stay stopped or down; ``faults``: those whose link faults stay. Every step
        is tried; raises WorldError with the first that failed."""
        evidence: Evidence = {}
        failures: list[str] = []

        def step(name: str, action: Callable[[], Evidence]) -> None:
            try:
                seen = action()
                if seen:
                    evidence[name] = seen
            except (WorldError, NotSupported, OSError) as error:
                failures.append(f"{name}: {error}")

        self.watch(())
        for event in self.events:
            self.go_on(event)
        self.events.clear()
        step("processes", lambda: self._faults.heal(but=self._victims(broken)))
        for fault in sorted(self._links_on.difference(faults)):
            step(f"links of faults[{fault}]", lambda fault=fault: self.remove_links(fault))  # type: ignore[misc]
        for agent in range(len(self._members)):
            self._disks.pop(agent, None)
            self._set_disk(agent)
            for fault in list(self._clocks.get(agent, {})):
                self.heal_clock(fault, "clock", [agent])
        step("restarted", lambda: self.restart([agent for agent in self._down() if agent not in broken]))
        if failures:
            raise WorldError("not everything could be healed: " + "; ".join(failures))
        return evidence

    def _down(self) -> list[int]:
        self.listen()
        return [member.id for member in self._members if not member.alive and member.exit_code != EXIT_VIOLATION]


def _meaning(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else EXIT_MEANINGS.get(code, f"exit code {code}")


def _how_it_ended(code: int, path: Path) -> str:
    """What the exit code means and, if it said anything, its last words and where they stand."""
    words = _last_line(path)
    return f"{_meaning(code)}: {words} ({path})" if words else _meaning(code)


def _last_line(path: Path) -> str:
    lines = path.read_text("utf-8", "replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else ""


def _wait_readable(sources: tuple[Any, ...], timeout_s: float) -> None:
    poll = select.poll()
    for source in sources:
        poll.register(source, select.POLLIN)
    poll.poll(timeout_s * 1000)
