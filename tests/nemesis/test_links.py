"""Link faults: which links, and the fate of each message on them."""

from __future__ import annotations

from itertools import permutations

import pytest

from nemesis.draws import stream
from nemesis.faults import KINDS, Fault, Parameter, fault_params
from nemesis.links import CLIENTS, LOST, UNTOUCHED, Links, holes, link_rules, partition, touched
from nemesis.plan import MILLISECOND, SECOND, Cluster, members
from nemesis.port import AgentView, LinkRule

MS = MILLISECOND
CLASSIC = Cluster(deployment="classic", proposers=2, acceptors=5, learners=3)


def views(cluster: Cluster) -> list[AgentView]:
    return [AgentView(number, name, role, True) for number, (name, role) in enumerate(members(cluster))]


def rule(kind: str, fault: int = 0, source: int = 0, target: int = 1, **params: Parameter) -> LinkRule:
    return LinkRule(fault, kind, source, target, fault_params(Fault(kind, params=params)), f"key{fault}")


def fates(links: Links, count: int, gap_ns: int = MS) -> list[tuple[int, ...]]:
    return [links.fate(0, 1, number * gap_ns) for number in range(count)]


def test_a_link_without_rules_is_no_key_at_all() -> None:
    links = Links(seed=1)
    assert not links.by_link
    assert links.fate(0, 1, 0) == UNTOUCHED
    links.add([rule("partition")])
    assert list(links.by_link) == [(0, 1)]
    assert links.fate(0, 1, 0) == LOST
    assert links.fate(1, 0, 0) == UNTOUCHED
    assert links.remove(0) == {"links": 1, "messages": 1, "dropped": 1}
    assert not links.by_link


def test_removing_twice_says_nothing() -> None:
    links = Links(seed=1)
    links.add([rule("drop")])
    assert links.remove(0)["messages"] == 0
    assert links.remove(0) == {}


def test_drop_loses_about_its_share() -> None:
    links = Links(seed=1)
    links.add([rule("drop", probability=0.25)])
    lost = fates(links, 4000).count(LOST)
    assert 800 < lost < 1200
    assert links.remove(0) == {"links": 1, "messages": 4000, "dropped": lost}


def test_delay_adds_its_delay_and_some_jitter() -> None:
    links = Links(seed=1)
    links.add([rule("delay", delay_ns=10 * MS, jitter_ns=5 * MS)])
    extras = [extra for (extra,) in fates(links, 1000)]
    assert 10 * MS <= min(extras) < 11 * MS
    assert 14 * MS < max(extras) <= 15 * MS


def test_duplicate_sends_a_later_copy() -> None:
    links = Links(seed=1)
    links.add([rule("duplicate", probability=1.0, jitter_ns=5 * MS)])
    assert all(first == 0 < copy <= 5 * MS for first, copy in fates(links, 100))


def test_reorder_holds_a_share_back() -> None:
    links = Links(seed=1)
    links.add([rule("reorder", probability=0.5)])
    held = [extra for (extra,) in fates(links, 1000) if extra]
    assert 400 < len(held) < 600
    assert links.remove(0)["reordered"] == len(held)


def test_throttle_lets_messages_through_at_its_rate_and_bounds_the_queue() -> None:
    links = Links(seed=1)
    links.add([rule("throttle", per_second=100, queue_ns=30 * MS)])
    burst = [links.fate(0, 1, 0) for _ in range(6)]
    assert burst == [(0,), (10 * MS,), (20 * MS,), (30 * MS,), LOST, LOST]
    assert links.fate(0, 1, 10 * SECOND) == UNTOUCHED
    evidence = links.remove(0)
    assert (evidence["throttled"], evidence["dropped"]) == (3, 2)


def test_a_limit_counts_over_all_links_of_the_fault() -> None:
    links = Links(seed=1)
    links.add([rule("delay", limit=2, jitter_ns=0), rule("delay", source=0, target=2, limit=2, jitter_ns=0)])
    assert [links.fate(0, 1 + number % 2, 0) for number in range(4)] == [(20 * MS,), (20 * MS,), (0,), (0,)]


def test_rules_of_several_faults_add_up_and_leave_one_by_one() -> None:
    links = Links(seed=1)
    links.add([rule("delay", fault=0, delay_ns=MS, jitter_ns=0)])
    links.add([rule("delay", fault=1, delay_ns=2 * MS, jitter_ns=0)])
    assert links.fate(0, 1, 0) == (3 * MS,)
    links.remove(0)
    assert links.fate(0, 1, 0) == (2 * MS,)


def test_a_cut_comes_before_all_else() -> None:
    links = Links(seed=1)
    links.add([rule("throttle", fault=0), rule("partition", fault=1)])
    assert links.fate(0, 1, 0) == LOST
    told = {"taken_first": 1, "taken_by": [1], "untouched": "0 messages met it: fault 1 had taken them"}
    assert links.remove(0) == {"links": 1, "messages": 0, "throttled": 0, **told}


def test_a_fault_that_touched_nothing_says_why() -> None:
    def why(*rules: LinkRule, messages: int = 8) -> object:
        links = Links(seed=1)
        links.add(rules)
        fates(links, messages)
        return links.remove(0).get("untouched")

    assert why(rule("drop"), messages=0) == "no message was sent on its links"
    assert why(rule("drop", probability=0.0)) == "chance spared all messages that met it: 8"
    assert why(rule("throttle", per_second=1_000_000)) == "its links were never full: 8 messages met it"
    assert why(rule("drop", probability=1.0)) is None
    first, second = rule("partition", fault=3), rule("drop", fault=5, probability=1.0)
    assert why(first, rule("throttle", fault=0)) == "0 messages met it: fault 3 had taken them"
    assert why(second, first, rule("throttle", fault=0)) == "0 messages met it: fault 3 had taken them"
    assert why(first, rule("partition", fault=0)) == "0 messages met it: fault 3 had taken them", "the same kind too"
    assert Links(seed=1).add([]) == {"links": 0, "untouched": "it found no link"}


def test_what_others_took_is_told_apart_from_what_met_the_fault() -> None:
    links = Links(seed=1)
    links.add([rule("drop", fault=1, probability=0.5), rule("drop", fault=2, source=2, probability=1.0)])
    links.add([rule("reorder", probability=1.0), rule("reorder", source=2, probability=1.0)])
    lost = fates(links, 100).count(LOST)
    assert links.fate(2, 1, 0) == LOST
    told = {"taken_first": lost + 1, "taken_by": [1, 2]}
    assert links.remove(0) == {"links": 2, "messages": 100 - lost, "reordered": 100 - lost, **told}
    links.add([rule("reorder", fault=4, probability=0.0)])
    links.add([rule("drop", fault=3, probability=1.0)])
    links.remove(1)
    fates(links, 3)
    links.remove(3)
    fates(links, 2)
    assert links.remove(4)["untouched"] == "chance spared all messages that met it: 2; fault 3 had taken 3 more"


def test_draws_of_a_fault_do_not_move_when_another_one_leaves() -> None:
    both, alone = Links(seed=1), Links(seed=1)
    both.add([rule("drop", fault=0, probability=0.5)])
    fates(both, 100)
    both.remove(0)
    for links in (both, alone):
        links.add([rule("reorder", fault=1)])
    assert fates(both, 100) == fates(alone, 100)


def test_links_draw_from_streams_of_their_own() -> None:
    links = Links(seed=1)
    links.add([rule("drop", source=0, target=1), rule("drop", source=1, target=0)])
    there = [links.fate(0, 1, 0) for _ in range(64)]
    back = [links.fate(1, 0, 0) for _ in range(64)]
    assert there != back


def test_streams_are_the_ones_every_python_version_draws() -> None:
    assert (stream("paxos")(), stream("made simple")()) == (0.1074996377836327, 0.16463980267580536)


@pytest.mark.parametrize("way", ["in", "out", "both"])
def test_way_and_peer_choose_the_links(way: str) -> None:
    agents = views(Cluster(nodes=3))
    inward, outward = {(1, 0), (2, 0)}, {(0, 1), (0, 2)}
    expected = {"in": inward, "out": outward, "both": inward | outward}[way]
    assert set(touched(agents, [0], way=way, peer="", clients=False)) == expected
    assert touched(agents, [0], way=way, peer="clients", clients=False) == []
    with_clients = touched(agents, [0], way=way, peer="clients", clients=True)
    assert set(with_clients) == {(a and CLIENTS, b and CLIENTS) for a, b in expected}
    assert set(touched(agents, [0], way=way, peer="r2", clients=True)) == {link for link in expected if 2 in link}
    assert set(touched(agents, [0], way=way, peer="", clients=True)) == expected | {
        link for link in {(CLIENTS, 0), (0, CLIENTS)} if (link[0] == 0) == (way == "out") or way == "both"
    }


def cut(shape: str, cluster: Cluster, targets: list[int], seed: int = 0, **more: object) -> set[tuple[int, int]]:
    direction = str(more.get("direction", "deaf"))
    links, _ = partition(
        shape,
        direction,
        views(cluster),
        targets,
        leader=0,
        draw=stream(str(seed)),
        clients=bool(more.get("clients")),
    )
    assert len(links) == len(set(links))
    return set(links)


def test_isolate_cuts_a_group_off_and_leaves_it_together() -> None:
    assert cut("isolate", Cluster(nodes=4), [0, 1]) == {
        (0, 2), (0, 3), (1, 2), (1, 3), (2, 0), (3, 0), (2, 1), (3, 1)
    }  # fmt: skip
    assert cut("isolate", Cluster(nodes=3), [0, 1, 2]) == set(permutations(range(3), 2))
    assert cut("isolate", Cluster(nodes=2), [0], clients=True) == {(0, 1), (1, 0), (0, CLIENTS), (CLIENTS, 0)}


def test_one_way_makes_a_node_deaf_or_mute() -> None:
    assert cut("one_way", Cluster(nodes=3), [0], direction="deaf") == {(1, 0), (2, 0)}
    assert cut("one_way", Cluster(nodes=3), [0], direction="mute") == {(0, 1), (0, 2)}


def components(links: set[tuple[int, int]], members: list[int]) -> list[set[int]]:
    left, found = set(members), []
    while left:
        grown = {left.pop()}
        while more := {one for one in left if any((one, other) not in links for other in grown)}:
            grown |= more
            left -= more
        found.append(grown)
    return sorted(found, key=len)


@pytest.mark.parametrize("nodes", [3, 4, 5, 7])
@pytest.mark.parametrize("seed", range(8))
def test_the_shapes_of_partitions(nodes: int, seed: int) -> None:
    cluster, everyone = Cluster(nodes=nodes), list(range(nodes))
    halves = components(cut("halves", cluster, [], seed), everyone)
    assert [len(half) for half in halves] == [nodes // 2, nodes - nodes // 2]
    off, rest = components(cut("majority", cluster, [], seed), everyone)
    assert len(off) < nodes / 2 < len(rest)
    bridge = cut("bridge", cluster, [], seed)
    (joint,) = [one for one in everyone if all(one not in link for link in bridge)]
    assert len(components(bridge, [one for one in everyone if one != joint])) == 2
    ring = cut("ring", cluster, [], seed)
    heard = [frozenset(far for far in everyone if (far, near) not in ring) for near in everyone]
    assert all(near in heard[near] and len(heard[near]) == nodes // 2 + 1 for near in everyone)
    assert len(set(heard)) == nodes


def test_holes_cut_each_directed_link_on_its_own() -> None:
    agents = views(CLASSIC)
    links = set(permutations(range(len(agents)), 2))
    cuts = [set(holes(agents, 0.4, stream(f"holes {seed}"))) for seed in range(20)]
    assert all(cut <= links for cut in cuts)
    assert 0.35 < sum(map(len, cuts)) / (20 * len(links)) < 0.45
    assert any((a, b) in cut and (b, a) not in cut for cut in cuts for a, b in links)
    assert holes(agents, 0.0, stream("none")) == [] and set(holes(agents, 1.0, stream("all"))) == links


@pytest.mark.parametrize("shape", ["halves", "majority", "ring", "bridge"])
def test_agents_that_do_not_vote_stand_beside_a_voter(shape: str) -> None:
    for seed in range(10):
        links = cut(shape, CLASSIC, [], seed)
        acceptors = range(2, 7)
        for other in (0, 1, 7, 8, 9):
            assert any(
                all(((far, other) in links) == ((far, near) in links) for far in acceptors if far != near)
                and (near, other) not in links
                for near in acceptors
            )


def test_every_link_kind_of_the_vocabulary_makes_rules_that_work() -> None:
    for kind in KINDS.values():
        if kind.device == "link":
            links = Links(seed=0)
            rules, _ = link_rules(
                0,
                kind.name,
                fault_params(Fault(kind.name)),
                views(Cluster()),
                [0],
                leader=None,
                draw=stream("x"),
                clients=False,
                stream_key="k",
            )
            links.add(rules)
            links.fate(0, 1, 0)
            assert links.remove(0)["messages"] == 1


@pytest.mark.parametrize("cluster", [Cluster(nodes=3), Cluster(nodes=5), CLASSIC])
def test_a_bridge_cuts_the_leader_off_from_some_voters(cluster: Cluster) -> None:
    voting = [number for number, (_, role) in enumerate(members(cluster)) if role in ("replica", "acceptor")]
    for seed in range(30):
        links = cut("bridge", cluster, [], seed)
        assert any((0, voter) in links for voter in voting)
