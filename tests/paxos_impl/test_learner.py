"""Learner: what it may take as chosen, in what order it applies, how it catches up, what it gives and takes as a snapshot."""

from __future__ import annotations

from typing import Any

from paxos_impl.messages import NO_OP, Accept, Command, Learn


def write(client: int, seq: int, session: int = 1) -> tuple[Command, ...]:
    return (Command(client, seq, session, "write", "k", f"v{seq}"),)


def test_a_vote_after_the_decision_is_not_taken_for_the_decision(hand_cluster: Any, client: int) -> None:
    """The slot is chosen with the value voted for first; a late Accept of a ballot in between overwrites that vote, as it
    may. Recovery must come to the chosen value, not to the vote cast last."""
    cluster = hand_cluster()
    cluster.start()
    cluster.inject((0, 1, 2, Accept((2, 0), 1, NO_OP, 0)))
    cluster.inject((1, 1, 2, Learn(1, (NO_OP,), 1)))
    cluster.inject((1, 1, 2, Accept((4, 1), 1, write(client, 1), 0)))
    assert cluster.agent(2).acceptor.votes[1] == ((4, 1), write(client, 1))
    cluster.kill(2)
    cluster.start(2)
    assert cluster.agent(2).learner.decided == {1: NO_OP}
    assert cluster.agent(2).acceptor.votes[1] == ((4, 1), write(client, 1))


def test_the_chosen_value_of_a_slot_behind_a_gap_outlives_a_later_vote_too(hand_cluster: Any, client: int) -> None:
    """As above, but slot 2 was learned while slot 1 was missing, so no commit index had covered it before the late vote."""
    cluster = hand_cluster()
    cluster.start()
    cluster.inject((0, 1, 2, Accept((2, 0), 2, NO_OP, 0)))
    cluster.inject((1, 1, 2, Learn(2, (NO_OP,), 2)))
    cluster.inject((1, 1, 2, Accept((4, 1), 2, write(client, 1), 0)))
    cluster.inject((1, 1, 2, Learn(1, (NO_OP,), 2)))
    cluster.inject((1, 1, 2, Accept((4, 1), 3, NO_OP, 2)))
    cluster.kill(2)
    cluster.start(2)
    assert cluster.agent(2).learner.decided == {1: NO_OP, 2: NO_OP}
