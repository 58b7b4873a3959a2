"""Counting votes: a value is chosen when a quorum accepted it *in one ballot*.

Votes are collected by sender (a duplicate counts once) and keyed by slot and ballot (votes of different ballots are never
added up, not even for the same value). Paxos Made Simple, section 2.3: learning a chosen value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from paxos_impl.messages import Ballot, Value

QuorumTest = Callable[[Collection[int]], bool]


class Tally:
    """Votes by slot and ballot, for a learner that counts for itself."""

    def __init__(self, is_quorum: QuorumTest) -> None:
        self.is_quorum = is_quorum
        self.slots: dict[int, dict[Ballot, tuple[Value, set[int]]]] = {}

    def add(self, source: int, ballot: Ballot, slot: int, value: Value) -> Value | None:
        """Count one vote; the chosen value if a quorum stands behind it now."""
        chosen, voters = self.slots.setdefault(slot, {}).setdefault(self.counted_under(ballot, value), (value, set()))
        voters.add(source)
        return chosen if self.is_quorum(voters) else None

    def counted_under(self, ballot: Ballot, value: Value) -> Ballot:
        """Votes are added up within one ballot only."""
        return ballot

    def forget(self, floor: int) -> None:
        """Slots <= floor are known chosen."""
        for slot in [slot for slot in self.slots if slot <= floor]:
            del self.slots[slot]
