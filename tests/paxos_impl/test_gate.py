"""The gate: no message leaves before what it relies on is durable."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from harness.worlds.simulated.disk import SimulatedDisk
from paxos_impl.gate import Gate
from paxos_impl.log import Log, RoundRecord
from paxos_impl.messages import NO_OP, Accept, Accepted, AnyMessage, Command, Nack, Prepare, Promise, Request

KINDS = get_args(AnyMessage)


def example(kind: type) -> Any:
    """Some message of that kind."""
    made = {int: 1, str: "x", bool: True, bytes: b"", tuple: (), Any: None, Command: Command(1, 1, 1, "read", "k")}
    types = [field.type for field in msgspec.structs.fields(kind)]
    return kind(*((1, 0) if t == tuple[int, int] else made.get(getattr(t, "__origin__", t), ()) for t in types))


@pytest.fixture
def gate() -> Gate:
    disk = SimulatedDisk()
    log = Log(disk)
    log.recover()
    made = Gate(0, log)
    sync(made)
    return made


def sync(gate: Gate) -> None:
    gate.log.flush()
    gate.log.begin_sync()
    gate.log.files.end_sync()  # type: ignore[attr-defined]
    gate.log.end_sync()
    gate.release_durable()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not Accept])
@pytest.mark.parametrize("target", [0, 1], ids=["to itself", "to another"])
def test_every_message_waits_for_records_appended_before_it(gate: Gate, kind: type, target: int) -> None:
    gate.log.append(RoundRecord(1))
    gate.send(target, example(kind))
    assert not gate.outbox and not gate.loopback
    sync(gate)
    assert len(gate.outbox) + len(gate.loopback) == 1


def test_the_gate_holds_records_of_earlier_steps_against_a_message_too(gate: Gate) -> None:
    gate.log.append(RoundRecord(1))
    gate.log.flush()
    gate.log.begin_sync()
    gate.log.append(RoundRecord(2))
    gate.send(1, Nack((1, 0), (2, 0)))
    gate.log.flush()
    gate.log.files.end_sync()  # type: ignore[attr-defined]
    gate.log.end_sync()
    gate.release_durable()
    assert gate.outbox == []
    sync(gate)
    assert gate.outbox == [(1, Nack((1, 0), (2, 0)))]


def test_a_message_leaves_at_once_if_all_is_durable(gate: Gate) -> None:
    gate.send(1, Nack((1, 0), (2, 0)))
    assert gate.outbox == [(1, Nack((1, 0), (2, 0)))]


def test_an_accept_is_exempt(gate: Gate) -> None:
    gate.log.append(RoundRecord(1))
    accept = Accept((1, 0), 1, NO_OP, 0)
    gate.send(0, accept)
    gate.send(1, accept)
    assert (list(gate.loopback), gate.outbox) == ([accept], [(1, accept)])


def test_one_sync_lets_go_all_that_waits_in_order(gate: Gate) -> None:
    gate.log.append(RoundRecord(1))
    messages = [Nack((number, 0), (9, 9)) for number in range(5)]
    for message in messages:
        gate.send(1, message)
    sync(gate)
    assert [message for _, message in gate.outbox] == messages


def test_a_duplicate_answered_from_memory_waits_as_well(hand_cluster: Any) -> None:
    """A second Prepare or Accept arrives before the first answer is durable: the answer is known, but not yet safe to give."""
    cluster = hand_cluster()
    cluster.start()
    cluster.inject((0, 1, 1, Prepare((1, 0), 1)), sync=False)
    cluster.inject((0, 1, 1, Prepare((1, 0), 1)), sync=False)
    assert not cluster.under_way(kind=Promise)
    cluster.sync(1)
    assert len(cluster.under_way(kind=Promise)) == 2
    cluster.inject((0, 1, 1, Accept((1, 0), 1, NO_OP, 0)), sync=False)
    cluster.inject((0, 1, 1, Accept((1, 0), 1, NO_OP, 0)), sync=False)
    assert not cluster.under_way(kind=Accepted)
    cluster.sync(1)
    assert len(cluster.under_way(kind=Accepted)) == 2


def test_a_leaders_own_vote_counts_only_when_it_is_durable(hand_cluster: Any, client: int) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.elect(0)
    cluster.request(0, Command(client, 0, 0, "open", ""), sync=False)
    assert len(cluster.under_way(kind=Accept)) == 2
    cluster.deliver(kind=Accept, target=1)
    cluster.deliver(kind=Accepted, sync=False)
    assert cluster.agent(0).applied_slot() == 0
    cluster.sync(0)
    assert cluster.agent(0).applied_slot() == 1


def test_after_recovery_nothing_leaves_before_a_sync(hand_cluster: Any) -> None:
    cluster = hand_cluster()
    cluster.start()
    cluster.inject((0, 1, 1, Prepare((1, 0), 1)))
    cluster.wire.clear()
    cluster.kill(1)
    cluster.start(1, sync=False)
    cluster.inject((0, 1, 1, Prepare((1, 0), 1)), sync=False)
    assert not cluster.under_way(source=1)
    cluster.sync(1)
    assert cluster.under_way(kind=Promise)


def test_requests_are_messages_too() -> None:
    """The examples above name every kind there is."""
    assert Request in KINDS and all(isinstance(example(kind), kind) for kind in KINDS)
