"""Targets are resolved from what is known of the cluster at that moment."""

from __future__ import annotations

import pytest

from nemesis.draws import stream
from nemesis.plan import Cluster, members
from nemesis.port import AgentView
from nemesis.targets import majority_size, minority_size, resolve

CLASSIC = Cluster(deployment="classic", proposers=2, acceptors=5, learners=2)


def views(cluster: Cluster, down: tuple[str, ...] = ()) -> list[AgentView]:
    return [AgentView(number, name, role, name not in down) for number, (name, role) in enumerate(members(cluster))]


def names(
    target: str,
    cluster: Cluster,
    seed: int = 0,
    down: tuple[str, ...] = (),
    leader: int | None = None,
    it: int | None = None,
) -> list[str]:
    agents = views(cluster, down)
    return [agents[one].name for one in resolve(target, agents, leader=leader, it=it, draw=stream(str(seed)))]


def test_a_minority_leaves_a_bare_majority() -> None:
    assert [(minority_size(n), majority_size(n)) for n in (1, 2, 3, 4, 5)] == [
        (0, 1),
        (0, 2),
        (1, 2),
        (1, 3),
        (2, 3),
    ]


@pytest.mark.parametrize(("target", "count"), [("minority", 2), ("majority", 3)])
def test_minorities_and_majorities_are_counted_over_voters(target: str, count: int) -> None:
    for seed in range(20):
        found = names(target, CLASSIC, seed)
        assert len(found) == count
        assert all(name.startswith("a") for name in found)


def test_every_agent_can_be_the_one() -> None:
    assert {names("one", CLASSIC, seed)[0] for seed in range(200)} == {name for name, _ in members(CLASSIC)}


def test_random_targets_avoid_the_dead_and_named_ones_do_not() -> None:
    down = ("r0", "r1")
    assert all(names("one", Cluster(), seed, down) == ["r2"] for seed in range(20))
    assert names("agent:r0,r2", Cluster(), down=down) == ["r0", "r2"]
    assert names("all", Cluster(), down=down) == ["r0", "r1", "r2"]


def test_if_all_are_down_one_of_them_is_taken() -> None:
    assert names("one", Cluster(), down=("r0", "r1", "r2"))


def test_without_a_leader_somebody_who_could_lead_is_taken() -> None:
    assert names("leader", CLASSIC, leader=1) == ["p1"]
    assert {names("leader", CLASSIC, seed)[0] for seed in range(50)} == {"p0", "p1"}


def test_others_spare_the_leader_or_the_one_that_triggered() -> None:
    assert names("others", Cluster(), leader=1) == ["r0", "r2"]
    assert names("others", Cluster(), leader=1, it=2) == ["r0", "r1"]
    assert len(names("others", Cluster())) == 2


def test_it_is_nobody_without_a_trigger() -> None:
    assert names("it", Cluster(), it=2) == ["r2"]
    assert names("it", Cluster()) == []


def test_a_replica_plays_every_role() -> None:
    assert names("role:acceptor", Cluster())[0].startswith("r")
    assert names("role:acceptor", CLASSIC)[0].startswith("a")
    assert names("role:replica", CLASSIC) == []


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ValueError, match="somebody"):
        names("somebody", Cluster())
