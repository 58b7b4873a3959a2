"""The conductor carries out a plan: what begins when, to whom, and what is undone. The same for every world.

It does no I/O and knows no clock: the host calls ``advance`` when ``next_time_ns`` has come, ``observe`` when an agent
did something a trigger waits for, and ``heal_all`` at the end; the world behind the port (``port.py``) acts.

Rules
-----
* *Targets* are resolved when the fault begins; random ones among the agents that are up (nobody kills the dead).
* *Holds are counted*: an agent runs again when the last pause on it ends, and is restarted when the last kill, power
  cut or corruption on it ends, in whatever order they began. A kill ends the pauses of the process it kills.
* *Evidence*: every begin and every end is recorded with what the world saw, also that an agent was down already or that
  nobody fits the target. ``{"unsupported": …}`` is undone at once, in case a part of it took place; ``{"error": …}`` is
  undone when its time is over.
* *Healing*: ``heal_all`` undoes what is on, newest first; one undoing that fails is recorded and the rest goes on. It
  may be called again, also after it was interrupted. Afterwards nothing begins any more; triggers that never came are
  noted.
* *Healing a majority*: what keeps a minority down, stopped or cut off stays. So does a link that loses everything (``drop``,
  probability 1, with a ``peer``) if one of its ends counts among that minority: all others hear each other, so they have a
  quorum, and pre-vote keeps the two ends from disturbing it. Which end: see ``_of_no_use``.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from nemesis.draws import Draw, below, stream
from nemesis.faults import KINDS, Fault, Parameter, fault_params, ignores_target
from nemesis.links import link_rules
from nemesis.plan import Plan, fault_key
from nemesis.port import Evidence, NotSupported, World
from nemesis.targets import VOTING_ROLES, resolve
from nemesis.triggers import Triggers

Edge = Literal["begin", "end", "note"]
Record = Callable[[Edge, int, str, tuple[str, ...], Evidence], None]
"""(edge, index of the fault, kind, names of the targets, evidence)"""

STAYS_BROKEN = frozenset({"kill", "power", "pause", "partition"})
"""Kinds that leave an agent of no use; one that is merely slow may lead, and then nobody owes progress."""

_BEGIN, _END = 1, 0  # at equal times what ends makes room for what begins


class _Active(msgspec.Struct):
    """A fault that is on."""

    index: int
    fault: Fault
    params: dict[str, Parameter]
    targets: list[int]
    names: tuple[str, ...]
    draw: Draw
    key: str


class Conductor:
    """Executes one plan once. Times are those of the run (``World.now_ns``)."""

    def __init__(self, plan: Plan, world: World, record: Record) -> None:
        """Raises ``triggers.TriggerError`` for a trigger that cannot be read."""
        self.plan = plan
        self.world = world
        self.errors: list[str] = []
        """What went wrong inside the world's methods: each makes the run's verdict ERROR at best."""
        self.healed = False
        self._record = record
        self._due: list[tuple[int, int, int]] = []
        self._triggered_by: dict[int, int] = {}
        """Who triggered a fault that is still to begin, by its index."""
        self._active: dict[int, _Active] = {}
        self._down: dict[int, set[int]] = {}
        """Faults that hold an agent down, by agent."""
        self._paused: dict[int, set[int]] = {}
        self._damaged: set[int] = set()
        """Agents whose disk was corrupted: they may never come back."""
        self._triggers = Triggers(
            {index: fault.trigger for index, fault in enumerate(plan.faults) if fault.trigger is not None},
            {view.id: view.name for view in world.agents()},
        )
        for index, fault in enumerate(plan.faults):
            if fault.at_ns is not None:
                heapq.heappush(self._due, (fault.at_ns, _BEGIN, index))

    @property
    def watched_kinds(self) -> frozenset[str]:
        """Kinds of event that ``observe`` must hear of; shrinks after an ``observe`` that fired, none are left after a heal."""
        return frozenset() if self.healed else self._triggers.watched_kinds

    def next_time_ns(self) -> int | None:
        """When ``advance`` has work to do; None: never. Ask again after every ``advance`` and ``observe``."""
        return self._due[0][0] if self._due else None

    def advance(self, now_ns: int) -> None:
        """Begin and end all that is due."""
        while self._due and self._due[0][0] <= now_ns:
            _, edge, index = heapq.heappop(self._due)
            if edge == _BEGIN:
                self._begin(index, now_ns, self._triggered_by.pop(index, None))
            else:
                self._end(index)

    def observe(self, agent: int, role: str, kind: str, slot: int, now_ns: int) -> None:
        """Agent did ``kind`` (see ``triggers.WATCHABLE``): begin the faults that waited for it, at once or when their
        ``after_ns`` has passed."""
        if self.healed:
            return
        for index in self._triggers.observe(agent, role, kind, slot):
            after_ns = self.plan.faults[index].after_ns
            if after_ns:
                self._triggered_by[index] = agent
                heapq.heappush(self._due, (now_ns + after_ns, _BEGIN, index))
            else:
                self._begin(index, now_ns, agent)

    def heal_all(self, broken: frozenset[int] = frozenset()) -> None:
        """Undo everything; nothing begins after it. May be called again.

        ``broken``: agents that stay down, stopped or cut off (from all, or from some), as far as the faults on them hit
        nobody else, until the next call.
        """
        self._due.clear()
        for index in reversed(list(self._active)):
            if not self._stays(self._active[index], broken):
                self._end(index)
        if not self.healed:
            self.healed = True
            late = [(index, "came too late") for index in sorted(self._triggered_by)]
            for index, why in [*((index, "did not come") for index in self._triggers.waiting()), *late]:
                fault = self.plan.faults[index]
                self._record("note", index, fault.kind, (), {"not_begun": f"trigger {fault.trigger!r} {why}"})

    def _stays(self, active: _Active, broken: frozenset[int]) -> bool:
        hit = self._of_no_use(active)
        return bool(hit) and broken.issuperset(hit)

    def _of_no_use(self, active: _Active) -> list[int]:
        """Whom the others must do without for this fault to stay; nobody: it does not.

        Of a link that loses everything it is the peer. A proposer, though, may lead as long as it reaches acceptors, and a
        learner that it does not reach learns nothing of the commit index: so of its link the other end counts, unless it is
        cut off from all acceptors.
        """
        if active.fault.kind in STAYS_BROKEN:
            return active.targets
        roles = {view.id: view.role for view in self.world.agents()}
        peer = next((view for view in self.world.agents() if view.name == active.params.get("peer")), None)
        if active.fault.kind != "drop" or peer is None or active.params["probability"] != 1 or active.params["limit"]:
            return []
        if active.targets == [peer.id]:
            return []  # no link at all
        if len(active.targets) == 1:
            may_lead = peer.role == "proposer" and roles[active.targets[0]] != "proposer"
            return active.targets if may_lead else [peer.id]
        acceptors = {one for one, role in roles.items() if role == "acceptor"}
        return [peer.id] if peer.role == "proposer" and acceptors.issubset(active.targets) else []

    def broken(self) -> list[int]:
        """Agents that a fault makes of no use to the others, the last one hit first."""
        hit = [one for active in self._active.values() for one in self._of_no_use(active)]
        return list(dict.fromkeys(reversed(hit)))

    def minority(self) -> frozenset[int]:
        """The agents that stay broken when only a majority is healed: those hit last, as many of each role as the others can
        do without (fewer than half of the voters that have their disks, half of those that do not vote)."""
        roles = {view.id: view.role for view in self.world.agents()}
        spare = {
            role: (count - 1) // 2 if role in VOTING_ROLES else count // 2
            for role, count in Counter(roles.values()).items()
        }
        for agent in self._damaged:
            spare[roles[agent]] -= 1
        left = set()
        for agent in self.broken():
            if spare[roles[agent]] > 0:
                spare[roles[agent]] -= 1
                left.add(agent)
        return frozenset(left)

    def active(self) -> list[int]:
        """Indexes of the faults that are on, in the order they began."""
        return list(self._active)

    # Begin and end of one fault.

    def _begin(self, index: int, now_ns: int, it: int | None) -> None:
        fault = self.plan.faults[index]
        key = fault_key(self.plan, index)
        draw = stream(f"{self.plan.seed}/fault/{key}")
        views = self.world.agents()
        whole = ignores_target(fault)
        targets = [] if whole else resolve(fault.target, views, leader=self.world.leader(), it=it, draw=draw)
        named = {view.id: view.name for view in views}
        names = tuple(named[one] for one in targets)
        active = _Active(index, fault, fault_params(fault), targets, names, draw, key)
        self._active[index] = active
        evidence: Evidence = {} if fault.trigger is None else {"trigger": fault.trigger}
        if it is not None:
            evidence["triggered_by"] = named[it]
        if not targets and not whole:
            evidence["nobody"] = f"no agent fits target {fault.target!r}"
        try:
            evidence |= self._inject(active)
        except NotSupported as reason:
            self._record("begin", index, fault.kind, names, evidence | {"unsupported": str(reason)})
            self._end(index)
            return
        except Exception as error:
            evidence["error"] = self._failed(f"faults[{index}] ({fault.kind}) did not begin", error)
        self._record("begin", index, fault.kind, names, evidence)
        if fault.duration_ns == 0:
            self._end(index)
        elif fault.duration_ns > 0:
            heapq.heappush(self._due, (now_ns + fault.duration_ns, _END, index))

    def _end(self, index: int) -> None:
        active = self._active.get(index)
        if active is None:
            return
        try:
            evidence = self._undo(active)
        except Exception as error:
            evidence = {"error": self._failed(f"faults[{index}] ({active.fault.kind}) could not be undone", error)}
        self._active.pop(index, None)
        self._forget(active)
        self._record("end", index, active.fault.kind, active.names, evidence)

    def _failed(self, what: str, error: Exception) -> str:
        text = f"{what}: {type(error).__name__}: {error}"
        self.errors.append(text)
        return text

    def _inject(self, active: _Active) -> Evidence:
        kind, targets = active.fault.kind, active.targets
        match kind:
            case "kill" | "power" | "corrupt":
                return self._take_down(active)
            case "pause":
                return self._pause(active)
            case "stutter" | "hog":
                return self.world.slow(active.index, kind, targets, active.params)
        match KINDS[kind].device:
            case "link":
                return self._touch_links(active)
            case "disk":
                return self.world.disk_fault(active.index, kind, targets, active.params, self._seed(active))
            case "clock":
                return self.world.clock_fault(active.index, kind, targets, active.params)
        raise NotSupported(f"nobody knows how to inject {kind!r}")

    def _undo(self, active: _Active) -> Evidence:
        kind, targets, index = active.fault.kind, active.targets, active.index
        match kind:
            case "kill" | "power" | "corrupt":
                return self._bring_up(self._released(self._down, active), active)
            case "pause":
                released = self._released(self._paused, active)
                evidence = self.world.resume(released)
                held = self._names(set(targets) - set(released) - self._gone(active))
                gone = self._names(self._gone(active))
                return evidence | ({"still_paused": held} if held else {}) | ({"gone": gone} if gone else {})
            case "stutter" | "hog":
                return self.world.unslow(index, kind, targets)
        match KINDS[kind].device:
            case "link":
                return self.world.remove_links(index)
            case "disk":
                evidence = self.world.heal_disk(index, kind, targets)
                # A disk error stops an agent: it comes back with its disk.
                stopped = [view.id for view in self.world.agents() if view.id in targets and not view.up]
                return evidence | self._bring_up([one for one in stopped if not self._down.get(one)], active)
            case _:
                return self.world.heal_clock(index, kind, targets)

    # What takes agents down, and up again.

    def _take_down(self, active: _Active) -> Evidence:
        kind, targets = active.fault.kind, active.targets
        up = {view.id for view in self.world.agents() if view.up}
        alive = [one for one in targets if one in up]
        evidence: Evidence = {}
        if len(alive) < len(targets):
            evidence["already_down"] = self._names(set(targets) - set(alive))
        for one in targets:
            self._down.setdefault(one, set()).add(active.index)
            self._paused.pop(one, None)
        if kind == "power":
            return evidence | self.world.power_cut(targets, str(active.params["unsynced"]), self._seed(active))
        if alive:
            evidence |= self.world.kill(alive)
        if kind == "corrupt":
            self._damaged.update(targets)
            evidence |= self.world.disk_fault(active.index, kind, targets, active.params, self._seed(active))
        return evidence

    def _bring_up(self, agents: Sequence[int], active: _Active) -> Evidence:
        evidence: Evidence = self.world.restart(list(agents)) if agents else {}
        held = [one for one in active.targets if self._down.get(one, set()) - {active.index}]
        return evidence | ({"still_down": self._names(held)} if held else {})

    def _pause(self, active: _Active) -> Evidence:
        up = {view.id for view in self.world.agents() if view.up}
        alive = [one for one in active.targets if one in up]
        fresh = [one for one in alive if not self._paused.get(one)]
        evidence: Evidence = {}
        if len(alive) < len(active.targets):
            evidence["already_down"] = self._names(set(active.targets) - set(alive))
        if len(fresh) < len(alive):
            evidence["already_paused"] = self._names(set(alive) - set(fresh))
        for one in alive:
            self._paused.setdefault(one, set()).add(active.index)
        return evidence | (self.world.pause(fresh) if fresh else {})

    def _touch_links(self, active: _Active) -> Evidence:
        rules, groups = link_rules(
            active.index,
            active.fault.kind,
            active.params,
            self.world.agents(),
            active.targets,
            leader=self.world.leader(),
            draw=active.draw,
            clients=self.plan.client_links_faulty,
            stream_key=active.key,
        )
        evidence = self.world.add_links(rules)
        return evidence | ({"groups": [self._names(group) for group in groups]} if groups else {})

    # Holds.

    def _released(self, holds: dict[int, set[int]], active: _Active) -> list[int]:
        """Agents that only this fault holds."""
        return [one for one in active.targets if holds.get(one) == {active.index}]

    def _gone(self, active: _Active) -> set[int]:
        """Agents that were paused by this fault no more: they have been killed since, or were down when it began."""
        return {one for one in active.targets if active.index not in self._paused.get(one, set())}

    def _forget(self, active: _Active) -> None:
        for holds in (self._down, self._paused):
            for one in active.targets:
                if one in holds:
                    holds[one].discard(active.index)
                    if not holds[one]:
                        del holds[one]

    def _seed(self, active: _Active) -> int:
        return below(active.draw, 2**48)

    def _names(self, agents: Iterable[int]) -> list[str]:
        wanted = set(agents)
        return [view.name for view in self.world.agents() if view.id in wanted]
