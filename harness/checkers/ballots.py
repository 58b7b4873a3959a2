"""Ballots belong to one node, to one of its incarnations once others have seen them, and to who has ended phase 1.

Rules
-----
* ballot/not-owner: prepare, leader and propose come from the ballot's own node (Part-Time Parliament 2.1, B1).
* ballot/reused: a ballot that an earlier incarnation has shown to others is not used again. (A ballot whose Prepare never
  left, because its round was not yet durable, may be.)
* ballot/not-led, ballot/below-phase-1: a proposal needs the end of phase 1 of its ballot, for that slot (Paxos Made Simple 3).
* ballot/forgotten: a proposer that restarts has tried no round below one whose ballot others know (PTP 2.3, lastTried).

Assumptions about the events
----------------------------
* A ballot is known outside its node when another has promised or voted it (``Promises`` tells), or when it leads.
* ``prepare`` tells the first slot that phase 1 covers.

Does not judge whether phase 1 was ended rightly: ``Promises`` does.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.case import brief
from harness.checkers.oracle import Handler, Sink, show
from harness.record import Ballot


class Ballots:
    """Ballots belong to one node, and to one of its incarnations once others have seen them."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.shown: set[Ballot] = set()
        """Ballots that left their node."""
        self.highest_shown: dict[int, int] = {}
        """Node -> the highest round of its own that left it."""
        self.user: dict[Ballot, tuple[int, int]] = {}
        self.first_slot: dict[Ballot, int] = {}
        self.led: dict[Ballot, tuple[int, int]] = {}
        self.handlers: dict[str, Handler] = {
            "prepare": self.on_prepare,
            "leader": self.on_leader,
            "propose": self.on_propose,
            "recovered_round": self.on_recovered_round,
        }

    def show(self, ballot: Ballot) -> None:
        """The ballot is known outside its node: ``Promises`` tells of those that others promised or voted."""
        if ballot not in self.shown:
            self.shown.add(ballot)
            self.highest_shown[ballot[1]] = max(ballot[0], self.highest_shown.get(ballot[1], -1))

    def on_recovered_round(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        highest = self.highest_shown.get(agent, -1)
        if ballot[0] < highest:
            self.sink.add(
                "ballot/forgotten",
                f"{self.sink.name(agent)} (incarnation {inc}) restarts as if it had tried no round above {ballot[0]}, "
                f"though others know its {show((highest, agent))}",
                time_ns,
                (agent,),
                ballot=(highest, agent),
                recovered=ballot[0],
            )

    def _use(self, agent: int, incarnation: int, time_ns: int, ballot: Ballot, what: str) -> None:
        who = (agent, incarnation)
        if agent != ballot[1]:
            self.sink.add(
                "ballot/not-owner",
                f"{self.sink.name(agent)} {what} {show(ballot)}, which belongs to {self.sink.name(ballot[1])}",
                time_ns,
                (agent, ballot[1]),
                ballot=ballot,
            )
        known = self.user.setdefault(ballot, who)
        if known != who:
            if ballot in self.shown and known[0] == agent:
                self.sink.add(
                    "ballot/reused",
                    f"{self.sink.name(agent)} (incarnation {incarnation}) {what} {show(ballot)}, "
                    f"which its incarnation {known[1]} used before it restarted",
                    time_ns,
                    (agent,),
                    ballot=ballot,
                )
            self.user[ballot] = who

    def on_prepare(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self._use(agent, inc, time_ns, ballot, "prepares")
        self.first_slot[ballot] = slot

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self._use(agent, inc, time_ns, ballot, "leads")
        self.led[ballot] = (agent, inc)
        self.show(ballot)

    def on_propose(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        leads = self.led.get(ballot)
        if leads is None or leads[0] != agent or leads[1] != inc:
            self._use(agent, inc, time_ns, ballot, "proposes in")
            self.sink.add(
                "ballot/not-led",
                f"{self.sink.name(agent)} proposes {brief(value)} in slot {slot} at {show(ballot)} "
                "without having ended phase 1",
                time_ns,
                (agent,),
                slot,
                (value,),
                ballot=ballot,
            )
        elif slot < self.first_slot.get(ballot, slot):
            self.sink.add(
                "ballot/below-phase-1",
                f"{self.sink.name(agent)} proposes {brief(value)} in slot {slot} at {show(ballot)}, "
                f"whose phase 1 covers slots from {self.first_slot[ballot]} on",
                time_ns,
                (agent,),
                slot,
                (value,),
                ballot=ballot,
            )
