"""Proposer: phase 1 in pages, which value it may propose, what counts as chosen, what it repeats and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemesis.plan import Cluster
from paxos_impl.messages import (
    MALFORMED,
    Accept,
    Command,
    HeartbeatReply,
    PastVote,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    Reply,
    Truncated,
)
from paxos_impl.proposer import PromiseBook

VALUE = (Command(1, 1, 1, "write", "k", "x" * 40),)


def page(start: int, slots: list[int], *, last: bool, floor: int = 0) -> Promise:
    votes = tuple(PastVote(slot, (1, 0), VALUE, False) for slot in slots)
    return Promise((2, 1), start, last, floor, votes)


# -- promises in pages ------------------------------------------------------------------------------------------------


def test_a_promise_counts_when_its_pages_tell_of_every_slot_asked_for() -> None:
    book = PromiseBook()
    book.first_slot = 5
    book.add(0, page(8, [8, 9], last=True))
    assert book.complete() == []
    book.add(0, page(5, [5, 7], last=False))
    assert book.complete() == [0]
    assert sorted(book.votes) == [5, 7, 8, 9]


def test_pages_of_two_answers_never_hide_a_slot() -> None:
    """Asked again, an acceptor that has cut its log meanwhile answers with other pages: slots 11 to 20 are still missing."""
    book = PromiseBook()
    book.add(0, page(1, list(range(1, 11)), last=False))
    book.add(0, page(21, list(range(21, 26)), last=True, floor=10))
    assert book.complete() == []
    book.add(0, page(1, list(range(11, 21)), last=False, floor=10))
    assert book.complete() == [0]
    assert sorted(book.votes) == list(range(1, 26))


def test_repeated_pages_add_nothing() -> None:
    book = PromiseBook()
    for _ in range(3):
        book.add(0, page(1, [1], last=False))
        book.add(1, page(1, [1], last=True))
    assert book.complete() == [1]
    assert len(book.votes[1]) == 2


@given(
    cuts=st.lists(st.lists(st.integers(1, 30), max_size=6), min_size=1, max_size=4),
    arrivals=st.lists(st.integers(0, 1000), max_size=30),
)
def test_a_complete_promise_tells_every_vote(cuts: list[list[int]], arrivals: list[int]) -> None:
    """Several answers, each cut into pages elsewhere, arrive in any order, some not at all."""
    voted = list(range(1, 31, 2))
    pages = []
    for cut in cuts:
        starts = [1]
        for at in sorted(set(cut)):
            below = [slot for slot in voted if starts[-1] <= slot <= at]
            if below:
                pages.append(page(starts[-1], below, last=False))
                starts.append(below[-1] + 1)
        pages.append(page(starts[-1], [slot for slot in voted if slot >= starts[-1]], last=True))
    book = PromiseBook()
    for arrival in arrivals:
        book.add(0, pages[arrival % len(pages)])
    if book.complete():
        assert sorted(book.votes) == voted


def test_a_new_leader_waits_for_all_pages(hand_cluster: Any) -> None:
    cluster = hand_cluster(page_bytes=200)
    cluster.start()
    for slot in range(1, 9):
        cluster.inject((0, 1, 1, Accept((1, 0), slot, VALUE, 0)))
    cluster.wire.clear()
    cluster.cut = {(1, 0), (0, 1)}
    cluster.now_ns += 300_000_000
    cluster.fire(2, "election")
    for kind in (PreVote, PreVoteReply, Prepare):
        cluster.deliver(kind=kind)
    cluster.kill(0)
    pages = cluster.lose(kind=Promise, source=1)
    assert len(pages) > 2 and [packet.message.last for packet in pages][-2:] == [False, True]
    cluster.lose(kind=Promise)
    proposer = cluster.agent(2).proposer
    proposer.promises.pages.pop(0, None)
    proposer.promises.last_page.pop(0, None)
    for packet in reversed(pages[1:]):
        cluster.inject(packet)
        assert proposer.state == "preparing"
    cluster.inject(pages[0])
    assert proposer.state == "leading"
    assert list(proposer.proposals) == list(range(1, 9))
    assert all(proposal.value == VALUE for proposal in proposer.proposals.values())


# -- slots that an acceptor has cut -----------------------------------------------------------------------------------


def test_no_more_slots_than_the_window_are_open_and_what_waits_shares_the_next_one(
    hand_cluster: Any, client: int
) -> None:
    """Pipelining and batching: slots are opened without waiting for the one before, until the window is full."""
    cluster = hand_cluster(window=2, batch_commands=3)
    cluster.start()
    cluster.elect(0)
    cluster.wire.clear()
    opened = [Command(client + number, 0, 0, "open", "") for number in range(6)]
    for command in opened:
        cluster.request(0, command)
    proposed = [packet.message for packet in cluster.under_way(kind=Accept, target=1)]
    assert [(one.slot, one.value) for one in proposed] == [(1, (opened[0],)), (2, (opened[1],))]
    cluster.quiet()
    values = {slot: value for agent, kind, _, slot, value, _ in cluster.trace if kind == "propose"}
    assert [len(value) for value in values.values()] == [1, 1, 3, 1]
    assert sum(values.values(), ()) == tuple(opened)
    assert cluster.agent(0).applied_slot() == 4


def test_a_late_accept_of_a_cut_slot_does_not_depose_the_leader(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster(snapshot_every=2, keep_slots=0)
    cluster.start()
    cluster.elect(0)
    session = cluster.open(0, client)
    cluster.request(0, Command(client, 1, session, "write", "k", "v"))
    late = cluster.under_way(kind=Accept, target=2)
    cluster.quiet()
    cluster.pass_time(40_000_000)
    assert cluster.agent(2).acceptor.floor == 2
    cluster.inject(late[0])
    assert [packet.message for packet in cluster.under_way(kind=Truncated)] == [Truncated((1, 0), 2)]
    cluster.quiet()
    assert cluster.agent(0).proposer.state == "leading"


def test_a_leader_that_proposes_in_a_slot_cut_elsewhere_starts_phase_1_anew(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.inject((2, 1, 0, Truncated((1, 0), 40)))
    proposer, learner = cluster.agent(0).proposer, cluster.agent(0).learner
    assert proposer.state == "following"
    assert (learner.known_commit, learner.commit_source) == (40, 2)


@pytest.mark.parametrize("told_by", ["acceptor", "learners"])
def test_a_proposer_that_lives_alone_leaves_slots_that_are_cut_to_the_learners(
    hand_cluster: Any, client: int, told_by: str
) -> None:
    cluster = hand_cluster(Cluster(deployment="classic", proposers=1, acceptors=3, learners=1))
    cluster.start()
    cluster.elect(0)
    cluster.quiet()
    proposer = cluster.agent(0)
    first = proposer.next_slot
    for number in range(3):
        cluster.request(0, Command(client + number, 0, 0, "open", ""))
        cluster.lose(kind=Accept)
    assert list(proposer.proposals) == [first, first + 1, first + 2]
    told = {
        "acceptor": (2, 1, 0, Truncated(proposer.ballot, first + 1)),
        "learners": (4, 1, 0, HeartbeatReply(proposer.ballot, proposer.beat, first + 1, first + 1)),
    }
    cluster.inject(told[told_by])
    assert proposer.state == "leading"
    assert list(proposer.proposals) == [first + 2] and proposer.commit == first + 1
    assert set(proposer.in_progress) == {client + 2}  # what the others asked for may be asked again
    assert not set(proposer.decided) & {first, first + 1}  # whose values they are it cannot tell
    cluster.inject((2, 1, 0, Truncated(proposer.ballot, first + 9)))
    assert proposer.next_slot == first + 10 and not proposer.proposals


def test_copies_of_two_commands_of_a_client_that_come_in_turns_add_nothing(hand_cluster: Any, client: int) -> None:
    """The later one is the one that its client waits for; a new leader learns of them by their next retries."""
    cluster = hand_cluster(Cluster(deployment="classic", proposers=1, acceptors=3, learners=1))
    cluster.start()
    cluster.elect(0)
    cluster.quiet()
    proposer = cluster.agent(0)
    first = proposer.next_slot
    for seq in (3, 3, 4, 3, 4, 4, 3):
        cluster.request(0, Command(client, seq, 7, "read", "k"))
    assert [[command.seq for command in one.value] for one in proposer.proposals.values()] == [[3], [4]]
    cluster.request(0, Command(client, 5, 7, "read", "k"))
    assert proposer.next_slot == first + 3


@pytest.mark.parametrize(("f", "value"), [("sum", "1"), ("write", {"a": "b"})])
def test_a_command_that_no_replica_could_execute_is_refused_at_the_door(
    hand_cluster: Any, client: int, f: str, value: Any
) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    session = cluster.open(0, client)
    slots = cluster.agent(0).proposer.next_slot
    cluster.request(0, Command(client, 1, session, f, "k", value))
    (reply,) = cluster.lose(kind=Reply)
    assert (reply.message.status, reply.message.seq) == (MALFORMED, 1)
    assert cluster.agent(0).proposer.next_slot == slots
    cluster.request(0, Command(client, 2, session, "write", "k", "v"))
    cluster.quiet()
    assert cluster.agent(0).learner.applied == slots


def test_the_log_of_a_proposer_alone_is_bounded_and_keeps_its_round(hand_cluster: Any) -> None:
    cluster = hand_cluster(Cluster(deployment="classic"))
    cluster.start()
    proposer = cluster.nodes[0].agent
    kept = proposer.config.rounds_kept
    for _ in range(3 * kept):
        proposer.begin_phase_1()
        proposer.step_down("tried")
        cluster.nodes[0].finish()
        while cluster.nodes[0].wants_sync:
            cluster.nodes[0].begin_sync()
            cluster.disks[0].end_sync()
            cluster.nodes[0].end_sync(cluster.now_ns)
    rounds = proposer.round
    assert sum(len(cluster.disks[0].read(name)) for name in cluster.disks[0].names()) < 100 * kept
    cluster.disks[0].power_cut("lost", lambda: 0.0)
    cluster.start(0)
    assert cluster.nodes[0].agent.next_ballot() > (rounds, 0)
