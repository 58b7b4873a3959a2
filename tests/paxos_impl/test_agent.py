"""What all roles share: the order of ballots, quorums, stale messages, timers, the counting of votes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.worlds.simulated.disk import SimulatedDisk
from paxos_impl.agent import Config
from paxos_impl.messages import NO_OP, Accept, Accepted, Nack, Prepare, Promise
from paxos_impl.parts import CORRECT
from paxos_impl.tally import Tally

ballots = st.tuples(st.integers(0, 3), st.integers(0, 2))


def config(members: int, role: str = "replica") -> Config:
    ids = tuple(range(members))
    return Config(0, role, tuple(f"r{number}" for number in ids), ids, ids, ids, collapsed=True)


@given(ballots, ballots, ballots)
def test_ballots_are_totally_ordered(a: Any, b: Any, c: Any) -> None:
    precedes = make_agent(config(3)).precedes
    assert precedes(a, b) + precedes(b, a) + (a == b) == 1
    assert not (precedes(a, b) and precedes(b, c)) or precedes(a, c)


def make_agent(with_config: Config) -> Any:
    context = CORRECT.make_context(with_config, SimulatedDisk(), lambda: 0.0, lambda *event: None, 1)
    return CORRECT.make_agent(context)


@pytest.mark.parametrize(("members", "smallest"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)])
def test_two_quorums_always_meet(members: int, smallest: int) -> None:
    agent = make_agent(config(members))
    assert agent.is_quorum(range(smallest)) and not agent.is_quorum(range(smallest - 1))
    assert 2 * smallest > members


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(ValueError, match="no such role: 'king'"):
        make_agent(config(3, "king"))


def test_messages_of_an_earlier_life_are_dead(hand_cluster: Any) -> None:
    """Also if the network delivers them last. The network does not compare lives: the agent does."""
    cluster = hand_cluster()
    cluster.start()
    cluster.inject((0, 2, 2, Prepare((3, 0), 1)))
    assert type(cluster.lose(source=2)[-1].message) is Promise
    cluster.inject((0, 1, 2, Prepare((9, 0), 1)))
    assert cluster.lose(source=2) == []
    assert cluster.agent(2).acceptor.promised == (3, 0)
    assert cluster.trace[-1][:2] == (2, "stale")
    cluster.inject((1, 1, 2, Accept((2, 1), 1, NO_OP, 0)))
    assert cluster.lose(source=2)[-1].message == Nack((2, 1), (3, 0))


def test_votes_of_an_earlier_life_of_an_acceptor_do_not_count(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.inject((1, 2, 0, Nack((0, 0), (0, 0))))
    cluster.agent(0).proposer.propose(1, NO_OP)
    cluster.inject((1, 1, 0, Accepted((1, 0), 1)), sync=False)
    assert cluster.agent(0).proposer.proposals[1].accepted_by <= {0}


def test_timers_run_in_order_of_name_and_only_when_due(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    agent, seen = cluster.agent(0), []
    agent.context.timers.clear()
    for name, delay_ns in (("b", 10), ("a", 10), ("later", 11)):
        agent.on_timer(name, lambda name=name: seen.append(name))
        agent.set_timer(name, delay_ns)
    cluster.node(0).wake(cluster.now_ns + 10)
    assert seen == ["a", "b"]
    assert list(agent.context.timers) == ["later"]


def test_a_timer_cleared_by_another_does_not_run(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    agent, seen = cluster.agent(0), []
    agent.context.timers.clear()
    agent.on_timer("a", lambda: agent.clear_timer("b"))
    agent.on_timer("b", lambda: seen.append("b"))
    for name in ("a", "b"):
        agent.set_timer(name, 0)
    cluster.node(0).wake(cluster.now_ns)
    assert seen == []


# -- counting votes ---------------------------------------------------------------------------------------------------


def majority(voters: Any) -> bool:
    return len(voters) >= 2


X, Y = ("x",), ("y",)


def test_a_duplicate_vote_counts_once() -> None:
    tally = Tally(majority)
    assert tally.add(1, (1, 0), 5, X) is None  # type: ignore[arg-type]
    assert tally.add(1, (1, 0), 5, X) is None  # type: ignore[arg-type]
    assert tally.add(2, (1, 0), 5, X) == X  # type: ignore[arg-type]


def test_votes_of_different_ballots_are_never_added_up_not_even_for_one_value() -> None:
    tally = Tally(majority)
    assert tally.add(1, (1, 0), 5, X) is None  # type: ignore[arg-type]
    assert tally.add(2, (2, 1), 5, X) is None  # type: ignore[arg-type]
    assert tally.add(2, (1, 0), 6, X) is None  # type: ignore[arg-type]
    assert tally.add(3, (2, 1), 5, X) == X  # type: ignore[arg-type]


def test_what_is_known_chosen_is_forgotten() -> None:
    tally = Tally(majority)
    for slot in range(1, 6):
        tally.add(1, (1, 0), slot, Y)  # type: ignore[arg-type]
    tally.forget(3)
    assert sorted(tally.slots) == [4, 5]
