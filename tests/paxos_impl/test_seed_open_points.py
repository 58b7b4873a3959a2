"""What the package this project grew from left open, closed; and the shortest schedules that break it, harmless here.

The points stand in its own list of things to do; the schedules were found by running it. Each is moved by hand, so that a
failure shows the very message that breaks the rule.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest

from nemesis.plan import Cluster
from paxos_impl.agent import ProtocolViolation
from paxos_impl.messages import (
    NO_OP,
    Accept,
    Accepted,
    CatchUp,
    Command,
    Heartbeat,
    Nack,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    Vote,
)

MILLISECOND = 1_000_000
ELECTION_NS = 100 * MILLISECOND
RETRANSMIT_NS = 40 * MILLISECOND
CLASSIC = Cluster("classic", proposers=2, acceptors=3, learners=2)
LEARNERS = (5, 6)


def write(client: int, seq: int, session: int, value: str) -> Command:
    return Command(client, seq, session, "write", "k", value)


# -- the open points --------------------------------------------------------------------------------------------------


def test_collapsed_roles_every_process_plays_all_of_them(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(1)
    session = cluster.open(1, client)
    cluster.request(1, write(client, 1, session, "v"))
    cluster.quiet()
    cluster.pass_time(ELECTION_NS)
    for agent in range(3):
        replica = cluster.agent(agent)
        assert replica.acceptor.promised == (1, 1)
        assert replica.learner.machine.store.data == {"k": "v"}
        assert replica.proposer.leader == 1


def test_the_leader_retries_an_undecided_slot_with_the_same_value_and_ballot(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.request(0, Command(client, 0, 0, "open", ""))
    first = cluster.lose(kind=Accept)
    assert len(first) == 2
    cluster.now_ns += RETRANSMIT_NS
    cluster.fire(0, "retransmit")
    assert [packet.message for packet in cluster.lose(kind=Accept)] == [packet.message for packet in first]
    cluster.now_ns += RETRANSMIT_NS
    cluster.fire(0, "retransmit")
    cluster.quiet()
    assert cluster.agent(0).applied_slot() == 1


def test_a_clients_retry_of_an_undecided_command_adds_nothing(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    for _ in range(3):
        cluster.request(0, Command(client, 0, 0, "open", ""))
    assert {packet.message.slot for packet in cluster.under_way(kind=Accept)} == {1}


@pytest.mark.parametrize("shape", [Cluster(), CLASSIC], ids=["collapsed", "classic"])
def test_a_learner_can_tell_that_it_misses_the_last_value_and_gets_it(
    hand_cluster: Any, client: int, shape: Cluster
) -> None:
    """No later message would tell: nothing is proposed any more. The commit index of a heartbeat does."""
    cluster = hand_cluster(shape)
    cluster.start()
    cluster.elect(0)
    last = len(cluster.nodes) - 1
    cluster.request(0, Command(client, 0, 0, "open", ""))
    while cluster.wire:
        cluster.lose(target=last, kind=Vote)
        cluster.lose(target=last, kind=Accept)
        cluster.deliver()
    assert cluster.agent(last).applied_slot() == 0
    learner = getattr(cluster.agent(last), "learner", cluster.agent(last))
    cluster.inject((0, 1, last, Heartbeat((1, 0), 50, 1, 0)))
    assert (learner.known_commit, learner.learned) == (1, 0)
    cluster.fire(last, "catch_up")
    assert [packet.message for packet in cluster.under_way(kind=CatchUp)] == [CatchUp(1)]
    cluster.quiet()
    assert cluster.agent(last).applied_slot() == 1


def test_catching_up_is_asked_for_at_a_limited_rate(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    for beat in range(50):
        cluster.inject((0, 1, 2, Heartbeat((1, 0), beat, 10, 0)))
    asked = []
    for _ in range(10):
        cluster.now_ns = cluster.node(2).timers["catch_up"]
        cluster.wake(2)
        asked += [(cluster.now_ns, packet.target) for packet in cluster.lose(kind=CatchUp)]
        for beat in range(5):
            cluster.inject((0, 1, 2, Heartbeat((1, 0), beat, 10, 0)))
    times = [time for time, _ in asked]
    assert all(later - earlier >= RETRANSMIT_NS for earlier, later in pairwise(times))
    assert {target for _, target in asked} == {0, 1}


def test_a_retried_slot_never_proposes_nothing(hand_cluster: Any, client: int) -> None:
    """A new leader finds the command in one promise and proposes it again; only a slot nobody voted in gets a no-op."""
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    command = Command(client, 0, 0, "open", "")
    cluster.inject((0, 1, 1, Accept((1, 0), 2, (command,), 0)))
    cluster.kill(0)
    cluster.elect(2)
    proposed = {slot: value for _, kind, _, slot, value, _ in cluster.trace if kind == "propose"}
    assert proposed == {1: NO_OP, 2: (command,)}


def test_a_retry_does_not_raise_the_ballot(hand_cluster: Any, client: int) -> None:
    """Learners that miss a value and clients that ask again make nobody raise a number: no race, so agreement is reached."""
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.cut = {(0, 1), (0, 2)}
    cluster.request(0, Command(client, 0, 0, "open", ""))
    cluster.request(0, Command(client, 0, 0, "open", ""))
    cluster.now_ns += RETRANSMIT_NS
    cluster.fire(0, "retransmit")
    cluster.inject((1, 1, 0, CatchUp(1)))
    cluster.wire.clear()
    assert not [row for row in cluster.trace if row[1] == "prepare" and row[2] != (1, 0)]
    cluster.cut = set()
    cluster.now_ns += RETRANSMIT_NS
    cluster.fire(0, "retransmit")
    cluster.quiet()
    assert cluster.agent(0).applied_slot() == 1


def test_retransmission_is_limited_in_rate(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.cut = {(0, 1), (0, 2)}
    cluster.request(0, Command(client, 0, 0, "open", ""))
    cluster.wire.clear()
    for _ in range(9):
        cluster.now_ns += RETRANSMIT_NS // 10
        cluster.wake(0)
        assert not cluster.lose(kind=Accept)
        cluster.wire.clear()
    cluster.now_ns += RETRANSMIT_NS // 10
    cluster.wake(0)
    assert len(cluster.lose(kind=Accept)) == 2


@pytest.mark.parametrize("shape", [Cluster(), CLASSIC], ids=["collapsed", "classic"])
def test_a_stable_leader_runs_phase_1_once(hand_cluster: Any, client: int, shape: Cluster) -> None:
    cluster = hand_cluster(shape)
    cluster.start()
    cluster.elect(0)
    session = cluster.open(0, client)
    for seq in range(1, 30):
        cluster.request(0, write(client, seq, session, f"v{seq}"))
        cluster.quiet()
        cluster.pass_time(ELECTION_NS)
    assert [row[:3] for row in cluster.trace if row[1] == "prepare"] == [(0, "prepare", (1, 0))]
    assert cluster.agent(len(cluster.nodes) - 1).applied_slot() == 30


def test_numbers_of_different_proposers_never_collide_whatever_their_process_ids(hand_cluster: Any) -> None:
    """Ballots are pairs (round, node). The seed's numbers, own process id plus a multiple of n, collided at the first start."""
    cluster = hand_cluster()
    cluster.start()
    rounds: list[Any] = []
    for _ in range(4):
        for node in range(3):
            proposer = cluster.agent(node).proposer
            rounds.append(proposer.next_ballot())
            proposer.begin_phase_1()
            proposer.step_down("again")
    assert len(set(rounds)) == 12


# -- the shortest schedules -------------------------------------------------------------------------------------------


def prepare(cluster: Any, node: int, *acceptors: int) -> None:
    """Node ``node`` runs phase 1 with these acceptors only; its Accepts stay on the wire."""
    proposer = getattr(cluster.agent(node), "proposer", cluster.agent(node))
    cluster.now_ns += 2 * ELECTION_NS
    cluster.fire(node, "election")
    for acceptor in acceptors:
        proposer.on_pre_vote_reply(acceptor, PreVoteReply(proposer.polled, True, (-1, -1)))
    cluster.sync(node)
    for packet in cluster.lose(kind=Prepare, source=node):
        if packet.target in acceptors:
            cluster.inject(packet)
    for packet in cluster.lose(kind=Promise, target=node):
        cluster.inject(packet)
    for kind in (PreVote, PreVoteReply, Heartbeat, Nack):
        cluster.lose(kind=kind)


def test_s1_an_accept_that_did_not_raise_the_promise_let_an_older_one_overwrite_it(
    hand_cluster: Any, client: int
) -> None:
    """P0 prepares at A, B, its Accept is late; P1 prepares at A, B and gets y chosen at B, C, where C never promised; the late
    Accept reaches C. There the seed overwrote y; here C refuses, and P2 can only propose y again."""
    cluster = hand_cluster(Cluster("classic", proposers=3, acceptors=3, learners=2))
    cluster.start()
    a, b, c = cluster.configs[0].acceptors
    y = (Command(client + 1, 0, 0, "open", ""),)
    prepare(cluster, 0, a, b)
    cluster.request(0, Command(client, 0, 0, "open", ""))
    late = cluster.lose(kind=Accept)
    prepare(cluster, 1, a, b)
    ballot = cluster.agent(1).ballot
    assert ballot > cluster.agent(0).ballot
    cluster.request(1, *y)
    for packet in cluster.lose(kind=Accept, source=1):
        if packet.target != a:
            cluster.inject(packet)
    assert [cluster.agent(acceptor).votes.get(1) for acceptor in (a, b, c)] == [None, (ballot, y), (ballot, y)]
    cluster.wire.clear()
    cluster.inject(next(packet for packet in late if packet.target == c))
    assert [packet.message for packet in cluster.lose(kind=Nack)] == [Nack((1, 0), ballot)]
    assert cluster.agent(c).votes == {1: (ballot, y)}
    prepare(cluster, 2, a, c)
    assert {packet.message.value for packet in cluster.under_way(kind=Accept, source=2)} == {y}
    assert not cluster.violations


def test_s2_a_chosen_no_op_is_not_taken_for_a_free_slot(hand_cluster: Any, client: int) -> None:
    """Slot 1 is chosen as "nothing"; the seed's next proposer took that for "nothing accepted" and chose again."""
    cluster = hand_cluster()
    cluster.start()
    for acceptor in (0, 1):
        cluster.inject((0, 1, acceptor, Accept((1, 0), 1, NO_OP, 0)))
    cluster.wire.clear()
    prepare(cluster, 2, 1, 2)
    cluster.request(2, Command(client, 0, 0, "open", ""))
    proposed = {packet.message.slot: packet.message.value for packet in cluster.under_way(kind=Accept, source=2)}
    assert proposed == {1: NO_OP, 2: (Command(client, 0, 0, "open", ""),)}


def test_s3_quorums_of_all_roles_meet(hand_cluster: Any) -> None:
    """The seed's learners followed weights its proposers never heard of. Here all count the same members, and every quorum of
    a learner meets every quorum of a proposer."""
    cluster = hand_cluster(CLASSIC)
    cluster.start()
    acceptors = cluster.configs[0].acceptors
    subsets = [set(some) for size in range(4) for some in combinations(acceptors, size)]
    for proposer in (0, 1):
        for learner in LEARNERS:
            first = [some for some in subsets if cluster.agent(proposer).is_quorum(some)]
            second = [some for some in subsets if cluster.agent(learner).is_quorum(some)]
            assert first and second and all(one & two for one in first for two in second)


@pytest.mark.parametrize("death", ["killed", "lost"])
def test_s4_an_acceptor_that_comes_back_has_not_forgotten_its_vote(hand_cluster: Any, client: int, death: str) -> None:
    """A, B accept x: chosen. B dies and comes back (the seed's came back empty). P2 prepares at B, C."""
    cluster = hand_cluster()
    cluster.start()
    x = (Command(client, 0, 0, "open", ""),)
    for acceptor in (0, 1):
        cluster.inject((0, 1, acceptor, Accept((1, 0), 1, x, 0)))
    cluster.wire.clear()
    cluster.kill(1) if death == "killed" else cluster.power_cut(1)
    cluster.start(1)
    prepare(cluster, 2, 1, 2)
    assert {packet.message.value for packet in cluster.under_way(kind=Accept, source=2)} == {x}


@pytest.mark.parametrize("death", ["killed", "lost"])
def test_s5_a_proposer_that_comes_back_never_uses_a_ballot_again(hand_cluster: Any, client: int, death: str) -> None:
    """P0's promises are duplicated; A, C accept x: chosen. P0 dies; its next life hears the duplicates. In the seed they made
    it propose y in the same ballot; here they are of a ballot it has used already."""
    cluster = hand_cluster()
    cluster.start()
    proposer = cluster.agent(0).proposer
    cluster.now_ns += 2 * ELECTION_NS
    cluster.fire(0, "election")
    for acceptor in (0, 1):
        proposer.on_pre_vote_reply(acceptor, PreVoteReply(proposer.polled, True, (-1, -1)))
    cluster.sync(0)
    cluster.deliver(kind=Prepare)
    duplicates = cluster.lose(kind=Promise)
    for packet in duplicates:
        cluster.inject(packet)
    cluster.wire.clear()
    cluster.request(0, Command(client, 0, 0, "open", ""))
    for packet in cluster.lose(kind=Accept):
        if packet.target == 2:
            cluster.inject(packet)
    assert [row[3] for row in cluster.trace if row[1] == "accepted"] == [1, 1]
    cluster.wire.clear()
    cluster.kill(0) if death == "killed" else cluster.power_cut(0)
    cluster.start(0)
    assert cluster.agent(0).proposer.next_ballot() > (1, 0)
    cluster.now_ns += 2 * ELECTION_NS
    cluster.fire(0, "election")
    again = cluster.agent(0).proposer
    for acceptor in (1, 2):
        again.on_pre_vote_reply(acceptor, PreVoteReply(again.polled, True, (-1, -1)))
    cluster.sync(0)
    for packet in duplicates:
        cluster.inject(packet)
    assert again.state == "preparing"
    cluster.request(0, Command(client + 1, 0, 0, "open", ""))
    assert not cluster.under_way(kind=Accept)
    assert not cluster.violations


def test_a_second_value_for_a_decided_slot_is_a_crash_not_an_overwrite(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster(CLASSIC)
    cluster.start()
    x, y = (Command(client, 0, 0, "open", ""),), (Command(client + 1, 0, 0, "open", ""),)
    for acceptor in (2, 3):
        cluster.inject((acceptor, 1, 5, Vote((1, 0), 2, x)))
    with pytest.raises(ProtocolViolation, match=r"slot 2: open .* is chosen, and now open .* too"):
        for acceptor in (2, 3):
            cluster.inject((acceptor, 1, 5, Vote((2, 1), 2, y)))
    assert cluster.agent(5).decided == {2: x}


def test_duplicates_are_counted_once(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster(CLASSIC)
    cluster.start()
    cluster.elect(0)
    cluster.request(0, Command(client, 0, 0, "open", ""))
    for _ in range(5):
        cluster.inject((2, 1, 0, Accepted((1, 0), 1)))
        cluster.inject((2, 1, 5, Vote((1, 0), 1, (Command(client, 0, 0, "open", ""),))))
    assert cluster.agent(0).commit == 0 and cluster.agent(5).learned == 0
