"""Snapshots on their way to a peer that lags behind the cut: pages, loss, duplicates, two senders, newer snapshots."""

from __future__ import annotations

from typing import Any

import pytest

from paxos_impl.learner import PAGES_ON_THE_WAY
from paxos_impl.messages import CatchUp, Command, FetchPage, Heartbeat, Learn, SnapshotPage

RETRANSMIT_NS = 40_000_000
PAGE = 8


@pytest.fixture
def lagging(hand_cluster: Any, client: int) -> Any:
    """Replica 2 missed everything; 0 leads; the others have cut their logs up to slot 20."""
    cluster = hand_cluster(snapshot_every=20, keep_slots=0, page_bytes=PAGE)
    cluster.start(0, 1)
    cluster.elect(0)
    session = cluster.open(0, client)
    for seq in range(1, 25):
        cluster.request(0, Command(client, seq, session, "write", f"k{seq % 7}", f"value {seq}"))
        cluster.quiet()
    cluster.start(2)
    cluster.wire.clear()
    return cluster


def tell_commit(cluster: Any, source: int = 0) -> None:
    cluster.inject((source, 1, 2, Heartbeat((1, 0), 99, 25, 0)))
    cluster.lose()
    cluster.now_ns = cluster.node(2).timers["catch_up"]
    cluster.wake(2)


def states(cluster: Any) -> set[int]:
    return {cluster.agent(agent).state_digest() for agent in (0, 2)}


def test_a_peer_behind_the_cut_gets_a_snapshot_in_pages_and_then_the_rest(lagging: Any) -> None:
    tell_commit(lagging)
    seen = 0
    while lagging.wire:
        seen += len(lagging.under_way(kind=SnapshotPage))
        lagging.deliver()
    assert seen > 5
    assert lagging.agent(2).applied_slot() == 25
    assert len(states(lagging)) == 1
    assert not lagging.violations


def test_several_pages_are_on_the_way_at_once_but_never_many(lagging: Any) -> None:
    tell_commit(lagging)
    on_the_way = []
    while lagging.wire:
        on_the_way.append(len(lagging.under_way(kind=FetchPage)) + len(lagging.under_way(kind=SnapshotPage)))
        lagging.deliver()
    pages = -(-len(lagging.agent(0).learner.snapshot_data) // PAGE)
    assert max(on_the_way) == PAGES_ON_THE_WAY < pages
    assert lagging.agent(2).applied_slot() == 25


def test_pages_may_come_in_any_order(lagging: Any) -> None:
    tell_commit(lagging)
    for _ in range(400):
        for packet in reversed(lagging.under_way()):
            lagging.wire.remove(packet)
            lagging.inject(packet)
    assert len(states(lagging)) == 1


def test_an_installed_snapshot_survives_a_power_cut(lagging: Any) -> None:
    tell_commit(lagging)
    lagging.quiet()
    lagging.power_cut(2)
    lagging.start(2)
    assert lagging.agent(2).applied_slot() >= 20


def test_a_crash_between_install_and_checkpoint_loses_nothing_that_was_told(lagging: Any) -> None:
    """Until its checkpoint is durable the log does not vouch for the slots the snapshot covers."""
    tell_commit(lagging)
    while lagging.agent(2).learner.installed_slot == 0:
        lagging.deliver(sync=False)
    assert lagging.agent(2).learner.chosen_in_log() == 0
    lagging.power_cut(2)
    lagging.start(2)
    assert lagging.agent(2).applied_slot() == 0
    tell_commit(lagging)
    lagging.quiet()
    assert len(states(lagging)) == 1


def test_duplicated_pages_do_not_breed_requests(lagging: Any) -> None:
    tell_commit(lagging)
    asked = 0
    for _ in range(200):
        asked += len(lagging.under_way(kind=FetchPage))
        for packet in lagging.under_way():
            lagging.wire.remove(packet)
            for _ in range(3):
                lagging.inject(packet)
    pages = -(-len(lagging.agent(0).learner.snapshot_data) // PAGE)
    assert lagging.agent(2).applied_slot() == 25
    assert asked <= 4 * pages


def test_a_lost_page_is_asked_for_again_from_the_same_peer(lagging: Any) -> None:
    tell_commit(lagging)
    lagging.deliver(kind=CatchUp)
    lagging.deliver(kind=SnapshotPage)
    lagging.deliver(kind=FetchPage)
    assert lagging.lose(kind=SnapshotPage)
    lagging.now_ns += RETRANSMIT_NS
    lagging.wake(2)
    lost = [(p.target, p.message) for p in lagging.lose(kind=FetchPage)]
    assert lost == [(0, FetchPage(20, page)) for page in range(1, 1 + PAGES_ON_THE_WAY)]
    lagging.now_ns += RETRANSMIT_NS
    lagging.wake(2)
    lagging.quiet()
    assert lagging.agent(2).applied_slot() == 25


def test_a_peer_that_falls_silent_is_left_for_the_next(lagging: Any) -> None:
    tell_commit(lagging)
    lagging.deliver(kind=CatchUp)
    lagging.cut = {(2, 0)}
    for _ in range(8):
        lagging.deliver()
        lagging.now_ns += RETRANSMIT_NS
        lagging.wake(2)
        lagging.quiet()
    assert lagging.agent(2).applied_slot() == 25


def test_two_senders_at_once_do_not_hinder_each_other(lagging: Any) -> None:
    tell_commit(lagging)
    lagging.inject((2, 1, 1, CatchUp(1)))
    for _ in range(400):
        lagging.deliver()
    assert lagging.agent(2).applied_slot() >= 24


def test_a_transfer_ends_though_newer_snapshots_are_taken_all_the_time(lagging: Any, client: int) -> None:
    """The sender keeps the snapshot it began to send."""
    leader = lagging.agent(0)
    session = leader.learner.machine.sessions[client].id
    tell_commit(lagging)
    lagging.cut = {(0, 2), (1, 2)}
    seq = 24
    lagging.deliver(kind=CatchUp)
    for _ in range(100):
        pages = lagging.lose(kind=SnapshotPage)
        for _ in range(20):
            seq += 1
            lagging.request(0, Command(client, seq, session, "write", "k", f"value {seq}"))
            lagging.quiet()
        lagging.cut = set()
        for packet in pages:
            lagging.inject(packet)
        lagging.deliver(kind=FetchPage)
        lagging.cut = {(0, 2), (1, 2)}
        if lagging.agent(2).applied_slot() > 0:
            break
    assert lagging.agent(2).applied_slot() == 20


def test_an_older_snapshot_is_never_installed_over_newer_state(lagging: Any) -> None:
    tell_commit(lagging)
    lagging.deliver(kind=CatchUp)
    first = lagging.under_way(kind=SnapshotPage)[0]
    lagging.quiet()
    learner = lagging.agent(2).learner
    before = lagging.agent(2).state_digest()
    data = lagging.agent(0).learner.snapshot_data
    for page in range(first.message.pages):
        lagging.inject(
            (0, 1, 2, SnapshotPage(20, page, first.message.pages, data[page * PAGE : (page + 1) * PAGE])),
        )
    assert learner.applied == 25 and lagging.agent(2).state_digest() == before


def test_a_restarted_sender_begins_the_transfer_anew(lagging: Any) -> None:
    tell_commit(lagging)
    lagging.deliver(kind=CatchUp)
    lagging.deliver(kind=SnapshotPage)
    lagging.kill(0)
    lagging.start(0)
    lagging.quiet()
    lagging.now_ns += RETRANSMIT_NS
    lagging.wake(2)
    lagging.quiet()
    assert lagging.agent(2).applied_slot() >= 20


def test_catching_up_in_small_pages(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster(snapshot_every=0, page_bytes=100)
    cluster.start(0, 1)
    cluster.elect(0)
    session = cluster.open(0, client)
    for seq in range(1, 12):
        cluster.request(0, Command(client, seq, session, "write", "k", f"value {seq}"))
        cluster.quiet()
    cluster.start(2)
    cluster.wire.clear()
    cluster.inject((0, 1, 2, Heartbeat((1, 0), 99, 12, 0)))
    cluster.now_ns = cluster.node(2).timers["catch_up"]
    cluster.wake(2)
    answers = 0
    while cluster.wire:
        answers += len(cluster.under_way(kind=Learn))
        cluster.deliver()
    assert answers > 3
    assert cluster.agent(2).applied_slot() == 12
