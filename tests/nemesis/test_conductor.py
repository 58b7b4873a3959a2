"""The conductor against a world that only remembers what it was told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemesis.conductor import Conductor
from nemesis.faults import KINDS, Fault, Parameter
from nemesis.hypothesis_plans import plans
from nemesis.links import Links
from nemesis.plan import MILLISECOND, Cluster, Plan, members
from nemesis.port import AgentView, Evidence, LinkRule, NotSupported
from nemesis.triggers import WATCHABLE

MS = MILLISECOND


class ToyWorld:
    """Agents are flags; every call is written down; ``broken`` methods raise."""

    def __init__(self, cluster: Cluster) -> None:
        self.members = members(cluster)
        self.up = dict.fromkeys(range(len(self.members)), True)
        self.stopped: set[int] = set()
        self.lead: int | None = 0
        self.calls: list[tuple[Any, ...]] = []
        self.broken: dict[str, BaseException] = {}
        self.links = Links(seed=0)
        self.slowed: set[tuple[int, int]] = set()
        self.disk_faults: set[tuple[int, int]] = set()
        self.clock_faults: set[tuple[int, int]] = set()

    def _call(self, *call: Any) -> None:
        self.calls.append(call)
        if call[0] in self.broken:
            raise self.broken[call[0]]

    def now_ns(self) -> int:
        return 0

    def agents(self) -> list[AgentView]:
        return [AgentView(number, name, role, self.up[number]) for number, (name, role) in enumerate(self.members)]

    def leader(self) -> int | None:
        return self.lead if self.lead is not None and self.up[self.lead] else None

    def kill(self, agents: list[int]) -> Evidence:
        self._call("kill", agents)
        assert all(self.up[agent] for agent in agents), "a kill's target must be up"
        for agent in agents:
            self.up[agent] = False
            self.stopped.discard(agent)
        return {"dead": len(agents)}

    def restart(self, agents: list[int]) -> Evidence:
        self._call("restart", agents)
        for agent in agents:
            self.up[agent] = True
        return {"restarted": len(agents)}

    def pause(self, agents: list[int]) -> Evidence:
        self._call("pause", agents)
        self.stopped |= set(agents)
        return {"stopped": len(agents)}

    def resume(self, agents: list[int]) -> Evidence:
        self._call("resume", agents)
        self.stopped -= set(agents)
        return {}

    def slow(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter]) -> Evidence:
        self._call("slow", fault, kind, agents)
        self.slowed |= {(fault, agent) for agent in agents}
        return {}

    def unslow(self, fault: int, kind: str, agents: list[int]) -> Evidence:
        self._call("unslow", fault, kind, agents)
        self.slowed -= {(fault, agent) for agent in agents}
        return {}

    def power_cut(self, agents: list[int], unsynced: str, seed: int) -> Evidence:
        self._call("power_cut", agents, unsynced, seed)
        for agent in agents:
            self.up[agent] = False
            self.stopped.discard(agent)
        return {}

    def add_links(self, rules: list[LinkRule]) -> Evidence:
        self._call("add_links", rules)
        return self.links.add(rules)

    def remove_links(self, fault: int) -> Evidence:
        self._call("remove_links", fault)
        return self.links.remove(fault)

    def disk_fault(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter], seed: int) -> Evidence:
        self._call("disk_fault", fault, kind, agents)
        self.disk_faults |= {(fault, agent) for agent in agents}
        return {}

    def heal_disk(self, fault: int, kind: str, agents: list[int]) -> Evidence:
        self._call("heal_disk", fault, kind, agents)
        self.disk_faults -= {(fault, agent) for agent in agents}
        return {}

    def clock_fault(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter]) -> Evidence:
        self._call("clock_fault", fault, kind, agents)
        self.clock_faults |= {(fault, agent) for agent in agents}
        return {}

    def heal_clock(self, fault: int, kind: str, agents: list[int]) -> Evidence:
        self._call("heal_clock", fault, kind, agents)
        self.clock_faults -= {(fault, agent) for agent in agents}
        return {}

    def untouched(self) -> bool:
        return (
            all(self.up.values())
            and not self.stopped
            and not self.links.by_link
            and not self.slowed
            and not self.clock_faults
        )


class Stage:
    """A plan, a toy world and the rows that were recorded."""

    def __init__(self, *faults: Fault, cluster: Cluster | None = None, seed: int = 1) -> None:
        self.rows: list[tuple[str, int, str, tuple[str, ...], Evidence]] = []
        cluster = cluster or Cluster()
        self.world = ToyWorld(cluster)
        self.conductor = Conductor(
            Plan(seed=seed, faults=faults, cluster=cluster), self.world, lambda *row: self.rows.append(row)
        )

    def until(self, now_ns: int) -> None:
        while (due := self.conductor.next_time_ns()) is not None and due <= now_ns:
            self.conductor.advance(due)

    def calls(self, *names: str) -> list[tuple[Any, ...]]:
        return [call for call in self.world.calls if call[0] in names]

    def evidence(self, edge: str, index: int) -> Evidence:
        (found,) = [row[4] for row in self.rows if row[:2] == (edge, index)]
        return found


def test_a_plan_is_carried_out_in_the_order_of_time() -> None:
    stage = Stage(
        Fault("kill", "agent:r1", at_ns=30 * MS, duration_ns=50 * MS),
        Fault("pause", "agent:r2", at_ns=10 * MS, duration_ns=5 * MS),
    )
    assert stage.conductor.next_time_ns() == 10 * MS
    stage.until(1000 * MS)
    assert stage.world.calls == [("pause", [2]), ("resume", [2]), ("kill", [1]), ("restart", [1])]
    assert [row[:4] for row in stage.rows] == [
        ("begin", 1, "pause", ("r2",)),
        ("end", 1, "pause", ("r2",)),
        ("begin", 0, "kill", ("r1",)),
        ("end", 0, "kill", ("r1",)),
    ]
    assert stage.evidence("begin", 0) == {"dead": 1}
    assert stage.conductor.next_time_ns() is None


def test_nothing_happens_before_its_time() -> None:
    stage = Stage(Fault("kill", "agent:r1", at_ns=30 * MS, duration_ns=MS))
    stage.conductor.advance(30 * MS - 1)
    assert stage.world.calls == []


def test_overlapping_pauses_resume_once_when_the_last_one_ends() -> None:
    stage = Stage(
        Fault("pause", "agent:r0,r1", at_ns=0, duration_ns=20 * MS),
        Fault("pause", "agent:r1,r2", at_ns=10 * MS, duration_ns=20 * MS),
    )
    stage.until(25 * MS)
    assert stage.world.stopped == {1, 2}
    assert stage.evidence("begin", 1)["already_paused"] == ["r1"]
    assert stage.evidence("end", 0)["still_paused"] == ["r1"]
    stage.until(30 * MS)
    assert stage.calls("pause", "resume") == [("pause", [0, 1]), ("pause", [2]), ("resume", [0]), ("resume", [1, 2])]


def test_overlapping_kills_and_power_cuts_restart_when_the_last_one_ends() -> None:
    stage = Stage(
        Fault("kill", "agent:r1", at_ns=0, duration_ns=20 * MS),
        Fault("power", "agent:r1", at_ns=10 * MS, duration_ns=20 * MS),
        Fault("kill", "agent:r1", at_ns=15 * MS, duration_ns=2 * MS),
    )
    stage.until(29 * MS)
    assert not stage.world.up[1]
    assert stage.evidence("begin", 1)["already_down"] == ["r1"]
    assert stage.evidence("begin", 2) == {"already_down": ["r1"]}
    assert stage.evidence("end", 0) == {"still_down": ["r1"]}
    assert stage.calls("restart") == []
    stage.until(30 * MS)
    assert stage.calls("restart") == [("restart", [1])]


def test_a_kill_ends_the_pause_of_the_process_it_kills() -> None:
    stage = Stage(
        Fault("pause", "agent:r1", at_ns=0, duration_ns=50 * MS),
        Fault("kill", "agent:r1", at_ns=10 * MS, duration_ns=10 * MS),
        Fault("pause", "agent:r1", at_ns=30 * MS, duration_ns=50 * MS),
    )
    stage.until(60 * MS)
    assert stage.evidence("end", 0)["gone"] == ["r1"]
    assert stage.world.stopped == {1}, "the second pause holds the new process"
    stage.until(80 * MS)
    assert not stage.world.stopped


def test_a_kill_of_no_length_restarts_at_once() -> None:
    stage = Stage(Fault("kill", "agent:r1", at_ns=5 * MS))
    stage.until(5 * MS)
    assert stage.world.calls == [("kill", [1]), ("restart", [1])]


def test_random_targets_are_drawn_among_those_that_are_up() -> None:
    for seed in range(20):
        stage = Stage(
            Fault("kill", "agent:r0,r1", at_ns=0, duration_ns=-1),
            Fault("kill", "one", at_ns=MS, duration_ns=MS),
            seed=seed,
        )
        stage.until(MS)
        assert stage.rows[1][3] == ("r2",)


def test_random_targets_do_not_change_when_another_fault_leaves_the_plan() -> None:
    first = Fault("pause", "one", at_ns=MS, duration_ns=MS)
    second = Fault("kill", "one", at_ns=10 * MS, duration_ns=MS)
    for seed in range(10):
        both, alone = Stage(first, second, seed=seed), Stage(second, seed=seed)
        both.until(20 * MS)
        alone.until(20 * MS)
        assert [row[3] for row in both.rows if row[2] == "kill"] == [row[3] for row in alone.rows]


def test_a_trigger_hits_the_agent_that_did_it() -> None:
    stage = Stage(Fault("kill", "it", trigger="2nd acceptor promised", duration_ns=10 * MS))
    assert stage.conductor.watched_kinds == {"promised"}
    stage.conductor.observe(0, "replica", "promised", 0, 3 * MS)
    assert stage.world.calls == []
    stage.conductor.observe(2, "replica", "promised", 0, 4 * MS)
    assert stage.calls("kill") == [("kill", [2])]
    assert stage.evidence("begin", 0)["triggered_by"] == "r2"
    assert stage.conductor.watched_kinds == frozenset()
    assert stage.conductor.next_time_ns() == 14 * MS


def test_others_are_all_but_the_agent_that_triggered() -> None:
    stage = Stage(Fault("pause", "others", trigger="first leader", duration_ns=MS))
    stage.conductor.observe(1, "replica", "leader", 1, 0)
    assert stage.calls("pause") == [("pause", [0, 2])]


def test_a_fault_may_begin_some_time_after_its_trigger() -> None:
    stage = Stage(Fault("kill", "it", trigger="2nd acceptor promised", after_ns=5 * MS, duration_ns=10 * MS))
    stage.conductor.observe(0, "replica", "promised", 0, 3 * MS)
    stage.conductor.observe(2, "replica", "promised", 0, 4 * MS)
    assert stage.calls("kill") == []
    assert stage.conductor.next_time_ns() == 9 * MS
    stage.until(9 * MS)
    assert stage.calls("kill") == [("kill", [2])]
    assert stage.evidence("begin", 0)["triggered_by"] == "r2"


def test_a_trigger_that_came_too_late_is_noted() -> None:
    stage = Stage(Fault("kill", "it", trigger="leader", after_ns=5 * MS))
    stage.conductor.observe(0, "replica", "leader", 0, 3 * MS)
    stage.conductor.heal_all()
    assert [(row[0], row[4]) for row in stage.rows] == [("note", {"not_begun": "trigger 'leader' came too late"})]


def test_a_trigger_that_never_came_is_noted_once() -> None:
    stage = Stage(Fault("kill", "it", trigger="9th leader"))
    stage.conductor.heal_all()
    stage.conductor.heal_all()
    assert [(row[0], row[4]) for row in stage.rows] == [("note", {"not_begun": "trigger '9th leader' did not come"})]


def test_what_a_world_cannot_do_is_evidence() -> None:
    stage = Stage(Fault("disk_full", "agent:r1", at_ns=0, duration_ns=MS))
    stage.world.broken["disk_fault"] = NotSupported("no such disk here")
    stage.until(MS)
    assert stage.evidence("begin", 0) == {"unsupported": "no such disk here"}
    assert stage.conductor.errors == []


def test_an_unsupported_corruption_still_restarts_the_agent_it_killed() -> None:
    stage = Stage(Fault("corrupt", "agent:r1", at_ns=0, duration_ns=MS))
    stage.world.broken["disk_fault"] = NotSupported("cannot")
    stage.until(0)
    assert stage.world.up[1]


def test_an_agent_that_a_disk_error_stopped_comes_back_when_it_ends() -> None:
    stage = Stage(
        Fault("sync_error", "agent:r1,r2", at_ns=0, duration_ns=20 * MS),
        Fault("kill", "agent:r2", at_ns=10 * MS, duration_ns=-1),
    )
    stage.until(10 * MS)
    stage.world.up[1] = False
    stage.until(20 * MS)
    assert stage.world.up == {0: True, 1: True, 2: False}


def test_heal_all_undoes_everything_even_if_one_undoing_fails() -> None:
    stage = Stage(*(Fault(kind, "agent:r1", at_ns=0, duration_ns=-1) for kind in KINDS))
    stage.until(0)
    assert len(stage.conductor.active()) == len(KINDS)
    stage.world.broken["heal_disk"] = OSError("disk on fire")
    stage.conductor.heal_all()
    assert stage.world.untouched()
    assert "disk on fire" in stage.evidence("end", list(KINDS).index("slow_sync"))["error"]
    assert any("disk on fire" in error for error in stage.conductor.errors)
    rows = list(stage.rows)
    stage.conductor.heal_all()
    stage.conductor.advance(10**12)
    stage.conductor.observe(0, "replica", "leader", 0, 0)
    assert stage.rows == rows


def test_heal_all_goes_on_after_it_was_interrupted() -> None:
    stage = Stage(
        Fault("kill", "agent:r0", at_ns=0, duration_ns=-1), Fault("pause", "agent:r1", at_ns=0, duration_ns=-1)
    )
    stage.until(0)
    stage.world.broken["resume"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        stage.conductor.heal_all()
    del stage.world.broken["resume"]
    stage.conductor.heal_all()
    assert stage.world.untouched()


def test_a_fault_that_failed_to_begin_is_undone_all_the_same() -> None:
    stage = Stage(Fault("pause", "all", at_ns=0, duration_ns=MS))
    stage.world.broken["pause"] = OSError("no such process")
    stage.until(MS)
    assert "no such process" in stage.evidence("begin", 0)["error"]
    assert stage.calls("resume") == [("resume", [0, 1, 2])]
    assert len(stage.conductor.errors) == 1


def test_a_partition_records_its_groups_and_what_it_dropped() -> None:
    stage = Stage(Fault("partition", at_ns=0, duration_ns=MS, params={"shape": "halves"}), cluster=Cluster(nodes=5))
    stage.until(0)
    groups = stage.evidence("begin", 0)["groups"]
    assert sorted(name for group in groups for name in group) == ["r0", "r1", "r2", "r3", "r4"]
    near, far = (int(group[0][1:]) for group in groups)
    assert stage.world.links.fate(near, far, 0) == ()
    stage.until(MS)
    assert stage.evidence("end", 0) == {"links": 12, "messages": 1, "dropped": 1}


def test_client_links_are_touched_only_if_the_plan_says_so() -> None:
    fault = Fault("drop", "agent:r0", at_ns=0, duration_ns=MS)
    quiet = Stage(fault)
    quiet.until(0)
    assert (0, -1) not in quiet.world.links.by_link
    loud_world = ToyWorld(Cluster())
    Conductor(Plan(faults=(fault,), client_links_faulty=True), loud_world, lambda *row: None).advance(0)
    assert (0, -1) in loud_world.links.by_link


EVENTS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(list(WATCHABLE)), st.integers(0, 5)), max_size=60)


@settings(max_examples=150, deadline=None)
@given(plans(kinds=tuple(KINDS)), EVENTS)
def test_whatever_the_plan_all_that_began_ends_and_the_world_is_as_it_was(
    plan: Plan, events: list[tuple[int, str, int]]
) -> None:
    world = ToyWorld(plan.cluster)
    rows: list[tuple[str, int]] = []
    conductor = Conductor(plan, world, lambda edge, fault, *row: rows.append((edge, fault)))
    for number, (agent, kind, slot) in enumerate(events):
        now_ns = plan.duration_ns * number // len(events)
        conductor.advance(now_ns)
        conductor.observe(agent, world.members[agent][1], kind, slot, now_ns)
    conductor.advance(plan.duration_ns)
    assert not conductor.errors
    holding = {plan.faults[index].kind for index in conductor.active()}
    assert all(world.up.values()) or holding & {"kill", "power", "corrupt"}
    assert not world.stopped or "pause" in holding
    assert not world.links.by_link or holding & {kind.name for kind in KINDS.values() if kind.device == "link"}
    conductor.heal_all()
    assert world.untouched()
    assert not conductor.active()
    begun = [fault for edge, fault in rows if edge == "begin"]
    ended = [fault for edge, fault in rows if edge == "end"]
    noted = [fault for edge, fault in rows if edge == "note"]
    assert sorted(begun) == sorted(ended)
    assert sorted(begun + noted) == list(range(len(plan.faults)))


def test_a_minority_may_stay_broken_until_the_next_heal() -> None:
    faults = (
        Fault("kill", "agent:r0", at_ns=0, duration_ns=-1),
        Fault("pause", "agent:r0,r1", at_ns=0, duration_ns=-1),
        Fault("drop", "agent:r0", at_ns=0, duration_ns=-1),
        Fault("partition", "one", at_ns=0, duration_ns=-1, params={"shape": "halves"}),
    )
    plan = Plan(cluster=Cluster(nodes=3), faults=faults)
    world = ToyWorld(plan.cluster)
    conductor = Conductor(plan, world, lambda *row: None)
    conductor.advance(0)
    assert conductor.broken() == [1, 0]
    assert conductor.minority() == {1}
    conductor.heal_all(frozenset({0}))
    assert conductor.active() == [0] and not world.up[0] and not world.stopped
    conductor.heal_all()
    assert conductor.active() == [] and world.up[0]


@pytest.mark.parametrize(
    ("kinds", "left"),
    [
        ({"pause": "agent:r0", "partition": "agent:r1", "kill": "agent:r2"}, {1, 2}),
        ({"pause": "agent:r0", "corrupt": "agent:r4", "kill": "agent:r2"}, {2}),
        ({"drop": "agent:r0", "stutter": "agent:r1"}, set()),
    ],
    ids=["those hit last", "a damaged disk counts as lost", "the slow are of use"],
)
def test_never_more_stay_broken_than_the_others_can_do_without(kinds: dict[str, str], left: set[int]) -> None:
    faults = tuple(Fault(kind, target, at_ns=at, duration_ns=-1) for at, (kind, target) in enumerate(kinds.items()))
    plan = Plan(cluster=Cluster(nodes=5), faults=faults)
    conductor = Conductor(plan, ToyWorld(plan.cluster), lambda *row: None)
    conductor.advance(len(faults))
    assert conductor.minority() == left


CUT = {"probability": 1.0}


@pytest.mark.parametrize(
    ("target", "params", "left"),
    [
        ("agent:r0", {**CUT, "peer": "r1"}, {1}),
        ("agent:r0", {**CUT, "peer": "r1", "way": "in"}, {1}),
        ("agent:r0", {"peer": "r1", "probability": 0.9}, set()),
        ("agent:r0", {**CUT, "peer": "r1", "limit": 5}, set()),
        ("agent:r0", CUT, set()),
        ("agent:r0", {**CUT, "peer": "r0"}, set()),
        ("agent:r0", {**CUT, "peer": "clients"}, set()),
        ("others", {**CUT, "peer": "r1"}, set()),
    ],
    ids=["a link", "one way", "a poor link", "a few messages", "no peer", "itself", "clients", "many links"],
)
def test_a_link_stays_cut_if_the_others_can_do_without_its_peer(
    target: str, params: dict[str, Any], left: set[int]
) -> None:
    plan = Plan(cluster=Cluster(nodes=3), faults=(Fault("drop", target, at_ns=0, duration_ns=-1, params=params),))
    conductor = Conductor(plan, ToyWorld(plan.cluster), lambda *row: None)
    conductor.advance(0)
    assert conductor.minority() == left
    conductor.heal_all(conductor.minority())
    assert conductor.active() == ([0] if left else [])
    conductor.heal_all()
    assert not conductor.active()


@pytest.mark.parametrize(
    ("target", "peer", "left"),
    [
        ("agent:p0", "a1", ["a1"]),
        ("agent:a1", "p0", ["a1"]),
        ("agent:p0", "l1", ["l1"]),
        ("agent:l1", "p0", ["l1"]),
        ("agent:p0", "p1", ["p1"]),
        ("agent:a0,a1,a2", "p0", ["p0"]),
        ("agent:a0,a1", "p0", []),
        ("agent:l0,l1", "p0", []),
        ("agent:a0,a1,a2", "l0", []),
    ],
)
def test_a_proposer_that_may_lead_is_not_the_end_that_counts(target: str, peer: str, left: list[str]) -> None:
    """A leader that no learner hears leads for ever, and no learner that lacks a vote ever asks for the value."""
    faults = (Fault("drop", target, at_ns=0, duration_ns=-1, params={**CUT, "peer": peer}),)
    plan = Plan(cluster=Cluster(deployment="classic"), faults=faults)
    world = ToyWorld(plan.cluster)
    conductor = Conductor(plan, world, lambda *row: None)
    conductor.advance(0)
    assert [view.name for view in world.agents() if view.id in conductor.minority()] == left


def test_never_more_links_stay_cut_than_the_others_can_do_without() -> None:
    faults = tuple(
        Fault("drop", "agent:r0", at_ns=at, duration_ns=-1, params={**CUT, "peer": f"r{at}"}) for at in (1, 2, 3)
    )
    plan = Plan(cluster=Cluster(nodes=5), faults=faults)
    conductor = Conductor(plan, ToyWorld(plan.cluster), lambda *row: None)
    conductor.advance(3)
    assert conductor.minority() == {2, 3}, "those hit last"
    conductor.heal_all(conductor.minority())
    assert conductor.active() == [1, 2]


def test_half_of_those_that_do_not_vote_may_stay_broken() -> None:
    cluster = Cluster(deployment="classic", proposers=2, acceptors=3, learners=3)
    plan = Plan(cluster=cluster, faults=(Fault("pause", "all", at_ns=0, duration_ns=-1),))
    world = ToyWorld(plan.cluster)
    conductor = Conductor(plan, world, lambda *row: None)
    conductor.advance(0)
    roles = [view.role for view in world.agents() if view.id in conductor.minority()]
    assert sorted(roles) == ["acceptor", "learner", "proposer"]
