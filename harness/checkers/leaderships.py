"""Leaderships: where phase 1 begins, and that no slot below a new one is left open.

Rules
-----
* phase-1/uncovered: phase 1 covers every slot that is not known chosen where it is run (Paxos Made Simple 3). Known is what
  the learner of that agent holds; where proposers live alone, what a majority of the learners has in durable snapshots.
* proposal/gap: a leader begins a slot of its own only if each slot below, from the first of its phase 1 on, was proposed by
  it or is chosen: a gap would block the log for ever (PMS 3).

Assumptions about the events
----------------------------
* ``prepare`` tells the first slot that phase 1 covers; ``leader`` the first that is the leader's own.
* Durable snapshots are judged where it is seen what learners tell of them (``told_snapshot``): elsewhere proposers that live
  alone are not judged.
* A slot that some learner holds chosen, or a quorum has voted for, leaves no gap, whether the leader knows it or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.checkers.decisions import Decisions
from harness.checkers.oracle import Handler, Sink, show
from harness.checkers.told import Told
from harness.checkers.votes import Votes
from harness.record import Ballot


class Snapshots:
    """Which slots the learners say are in their durable snapshots. ``Told`` keeps what each of them said."""

    def __init__(self, learners: Sequence[int], told: Told) -> None:
        self.learners = learners
        self._told = told.snapshots

    @property
    def heard(self) -> bool:
        """Whether anything was told: if not, this world does not see it."""
        return bool(self._told)

    def by_majority(self) -> int:
        """Slots up to this are in durable snapshots of a majority of the learners, as far as these have said so."""
        return sorted((self._told.get(one, 0) for one in self.learners), reverse=True)[len(self.learners) // 2]


class _Leadership:
    __slots__ = ("ballot", "first_own", "inherited", "next_own")

    def __init__(self, ballot: Ballot, first_own: int) -> None:
        self.ballot = ballot
        self.first_own = self.next_own = first_own
        self.inherited: set[int] = set()


class Leaderships:
    """The slots of each leadership, from its phase 1 on. ``Decisions`` and ``Votes`` hear of each event first."""

    def __init__(self, sink: Sink, votes: Votes, decisions: Decisions, snapshots: Snapshots) -> None:
        self.sink = sink
        self.votes = votes
        self.decisions = decisions
        self.snapshots = snapshots
        self.prepared: dict[int, int] = {}
        """Agent -> first slot of its latest phase 1."""
        self.leads: dict[int, _Leadership] = {}
        self.handlers: dict[str, Handler] = {
            "prepare": self.on_prepare,
            "leader": self.on_leader,
            "propose": self.on_propose,
        }

    def on_prepare(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self.prepared[agent] = slot
        known = self._known(agent, inc)
        if known is not None and slot > known + 1:
            self.sink.add(
                "phase-1/uncovered",
                f"{self.sink.name(agent)} runs phase 1 of {show(ballot)} from slot {slot} on; nothing says that the slots "
                f"behind {known} are chosen",
                time_ns,
                (agent,),
                slot,
                ballot=ballot,
                known=known,
            )

    def _known(self, agent: int, inc: int) -> int | None:
        """Slots up to this may be left out of its phase 1; None: it cannot be told."""
        if agent not in self.snapshots.learners:
            return self.snapshots.by_majority() if self.snapshots.heard else None
        standing = self.decisions.standings.get(agent)
        if standing is None or standing.incarnation != inc:
            return None
        slot = max(standing.slot, standing.covered)
        while slot + 1 in standing.chosen:
            slot += 1
        return slot

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self.leads[agent] = _Leadership(ballot, slot)

    def on_propose(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        leads = self.leads.get(agent)
        if leads is None or leads.ballot != ballot:
            return  # ballot/not-led has told it
        if slot < leads.first_own:
            leads.inherited.add(slot)
            return
        if slot == leads.next_own and slot != leads.first_own:
            leads.next_own = slot + 1
            return
        below = range(leads.next_own, slot)
        if leads.next_own == leads.first_own:
            below = range(self.prepared.get(agent, leads.first_own), slot)
        leads.next_own = max(leads.next_own, slot + 1)
        for at in below:
            if at not in leads.inherited and not self._is_chosen(at):
                self.sink.add(
                    "proposal/gap",
                    f"{self.sink.name(agent)} begins slot {slot} at {show(ballot)} before slot {at}, which it has not "
                    "proposed and nobody knows as chosen",
                    time_ns,
                    (agent,),
                    at,
                    (value,),
                    ballot=ballot,
                )
                return

    def _is_chosen(self, slot: int) -> bool:
        return slot in self.decisions.chosen or self.votes.has_quorum(slot)
