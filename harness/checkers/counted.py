"""Counted: who holds a value chosen because of votes has heard them, or has cast its own as the leader says.

Rules (Paxos Made Simple 2.2 and 2.3)
-------------------------------------
* decision/not-heard: the leader of a ballot, and a learner that lives alone, holds a value chosen in it when it has heard a
  quorum's votes of this very ballot and slot; an own vote counts when it is durable.
* decision/not-voted: another replica takes for chosen what the leader of a ballot says is chosen only if it has voted for it in
  that ballot; a vote of another ballot may be for another value.

That a quorum did vote, as ``Votes`` sees it, is not enough: who counts wrongly will count wrongly when none did.

Assumptions about the events
----------------------------
* Only a world that sees messages arrive can tell (``heard_vote``): without them nothing is judged. A vote that is told to
  oneself nobody sees.
* ``chosen`` names a ballot unless the value came from another learner, a promise or the log.
* ``Votes`` and ``DurableVotes`` hear of every event first.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.case import brief
from harness.checkers.oracle import NO_BALLOT, Handler, Sink, show
from harness.checkers.votes import Votes
from harness.record import Ballot


class Counted:
    """Votes by who heard them."""

    def __init__(self, sink: Sink, votes: Votes) -> None:
        self.sink = sink
        self.votes = votes
        self.sees_votes = False
        self.heard: dict[int, dict[tuple[Ballot, int], int]] = {}
        """Agent -> (ballot, slot) -> acceptors (bits) whose vote it has heard in this life, until it holds the slot chosen."""
        self.handlers: dict[str, Handler] = {
            "heard_vote": self.on_heard_vote,
            "chosen": self.on_chosen,
            "started": self.on_started,
        }

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.heard[agent] = {}

    def on_heard_vote(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        """``extra``: the acceptor's id."""
        self.sees_votes = True
        heard = self.heard[agent]
        vote = (ballot, slot)
        heard[vote] = heard.get(vote, 0) | 1 << extra

    def on_chosen(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if ballot is None or ballot == NO_BALLOT or not self.sees_votes:
            return
        tally = self.votes.slots.get(slot, {}).get(ballot)
        if agent == ballot[1] or agent not in self.votes.voters:
            heard = self.heard[agent].pop((ballot, slot), 0)
            if tally is not None:
                heard |= tally.durable & 1 << agent
            if heard.bit_count() < self.votes.quorum:
                self._not_heard(agent, time_ns, ballot, slot, value, heard.bit_count())
        elif tally is None or not tally.ever >> agent & 1 or (tally.value is not value and tally.value != value):
            self.sink.add(
                "decision/not-voted",
                f"{self.sink.name(agent)} holds {brief(value)} chosen in slot {slot} at {show(ballot)}, but has not voted for "
                "it in that ballot",
                time_ns,
                (agent,),
                slot,
                (value,),
                ballot=ballot,
            )

    def _not_heard(self, agent: int, time_ns: int, ballot: Ballot, slot: int, value: Any, heard: int) -> None:
        self.sink.add(
            "decision/not-heard",
            f"{self.sink.name(agent)} holds {brief(value)} chosen in slot {slot} at {show(ballot)} and has heard {heard} "
            f"{'vote' if heard == 1 else 'votes'} for it; a quorum is {self.votes.quorum}",
            time_ns,
            (agent,),
            slot,
            (value,),
            ballot=ballot,
        )
