"""Learners agree, apply in order, and come to the same outcomes and states.

Rules
-----
* decision/two-values, decision/not-chosen: learners agree; what is applied is what is chosen (Paxos Made Simple 2.1).
* decision/forgotten: what a learner holds chosen it does not lose (PMS 2.3), so it learns a slot once a life. A value that is
  learned again was lost in between: whoever asked for it then was told nothing, and a leader there took the slot for open.
* decision/order: slots are applied in order (PMS 3), and no snapshot takes a state back.
* decision/outcomes, decision/states: equal slots give equal outcomes and states (PMS 3).

Assumptions about the events
----------------------------
* A state stands where ``started`` says (``commit``), else where the first ``applied`` or ``installed`` of its life shows it.
* ``chosen`` tells that a learner did not hold the value and does now, also when it reads it from its log.
* ``snapshot``, ``restored``, ``installed`` and ``stopped`` tell a digest of the state, or none: then nothing is compared.

Does not judge what is lost and not learned again (it shows when others ask for it: liveness), nor whether what is learned was
chosen: ``Votes`` and ``DurableVotes`` do, and hear of it from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.checkers.case import brief
from harness.checkers.durable_votes import DurableVotes
from harness.checkers.oracle import Handler, Sink, ignore
from harness.checkers.votes import Votes


class Standing:
    """What one learner holds: also for ``OpenSlots``, kept by who hears of each step anyway."""

    __slots__ = ("chosen", "covered", "incarnation", "life", "open", "slot")

    def __init__(self, life: int = -1) -> None:
        self.life = life
        """The incarnation that holds ``chosen`` and ``covered``; -1: none was heard of."""
        self.incarnation = -1
        """Of which ``slot`` is known; -1: of none."""
        self.slot = 0
        """What its state covers."""
        self.chosen: set[int] = set()
        """Slots above ``covered`` that it holds chosen."""
        self.covered = 0
        """Slots up to this were applied or installed since it started, as far as is known; 0: none."""
        self.open: set[int] | None = None
        """While it leads: slots that it proposed and does not yet hold chosen."""

    def cover(self, slot: int) -> None:
        """Its state covers ``slot`` from now on."""
        self.covered = slot
        for slots in (self.chosen, self.open):
            if slots:
                slots -= {one for one in slots if one <= slot}


class Decisions:
    """Learners agree, apply in order, and come to the same outcomes and states.

    ``first``: handlers by kind, for who wants to hear only of the first ``chosen`` and the first ``applied`` of each slot.
    """

    def __init__(self, sink: Sink, votes: Votes, durable: DurableVotes, first: Mapping[str, Handler]) -> None:
        self.sink = sink
        self.durable = durable
        self.unjudged = durable.unjudged
        self.first_chosen: Handler = first.get("chosen", ignore)
        self.first_applied: Handler = first.get("applied", ignore)
        self.votes = votes
        self.chosen: dict[int, tuple[Any, int, int]] = {}
        """Slot -> (value, agent, incarnation) that learned it first."""
        self.outcome: dict[int, tuple[Any, int]] = {}
        self.state: dict[int, tuple[Any, int]] = {}
        self.standings: dict[int, Standing] = {}
        self.handlers: dict[str, Handler] = {
            "chosen": self.on_chosen,
            "applied": self.on_applied,
            "installed": self.on_installed,
            "snapshot": self.on_snapshot,
            "restored": self.on_snapshot,
            "started": self.on_started,
            "stopped": self.on_stopped,
        }

    def standing(self, agent: int) -> Standing:
        standing = self.standings.get(agent)
        if standing is None:
            standing = self.standings[agent] = Standing()
        return standing

    def on_chosen(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        known = self.chosen.get(slot)
        if known is None:
            self.chosen[slot] = (value, agent, inc)
            self.votes.learned(agent, time_ns, ballot, slot, value)
            self.first_chosen(agent, inc, time_ns, ballot, slot, value, extra)
            self.durable.learned(agent, time_ns, ballot, slot, value)
        elif known[0] is not value or slot in self.unjudged:
            self._chosen_again(agent, inc, time_ns, ballot, slot, value, known)
        standing = self.standings.get(agent) or self.standing(agent)
        if standing.life != inc:
            standing.life, standing.chosen, standing.covered = inc, set(), 0
        held = standing.chosen
        if slot <= standing.covered or slot in held:
            self._forgotten(agent, time_ns, slot, value)
        held.add(slot)
        if standing.open:
            standing.open.discard(slot)

    def _forgotten(self, agent: int, time_ns: int, slot: int, value: Any) -> None:
        self.sink.add(
            "decision/forgotten",
            f"{self.sink.name(agent)} learns {brief(value)} in slot {slot} for the second time in one life: it had lost what "
            "was chosen",
            time_ns,
            (agent,),
            slot,
            (value,),
        )

    def _chosen_again(
        self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, known: tuple[Any, int, int]
    ) -> None:
        if slot in self.unjudged:
            self.durable.learned(agent, time_ns, ballot, slot, value)
        if known[0] is not value and known[0] != value:
            self.votes.learned(agent, time_ns, ballot, slot, value)
            self._differs("decision/two-values", "learns", agent, inc, time_ns, slot, value, known)

    def on_applied(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        known = self.chosen.get(slot)
        if known is not None and known[0] is not value and value is not None and known[0] != value:
            self._differs("decision/not-chosen", "applies", agent, inc, time_ns, slot, value, known)
        standing = self.standings.get(agent) or self.standing(agent)
        if standing.slot + 1 == slot and standing.incarnation == inc:
            standing.slot = slot
        else:
            self._out_of_turn(standing, agent, inc, time_ns, slot)
        if standing.covered + 1 == slot:  # as ``cover`` has it
            standing.covered = slot
            standing.chosen.discard(slot)
        else:
            standing.cover(slot)
        if extra is not None:
            first = self.outcome.get(slot)
            if first is None:
                self.outcome[slot] = (extra, agent)
                self.first_applied(agent, inc, time_ns, ballot, slot, value, extra)
            elif first[0] != extra:
                self.sink.add(
                    "decision/outcomes",
                    f"{self.sink.name(agent)} and {self.sink.name(first[1])} apply slot {slot} with different outcomes",
                    time_ns,
                    (first[1], agent),
                    slot,
                    outcomes=[first[0], extra],
                )

    def _out_of_turn(self, standing: Standing, agent: int, inc: int, time_ns: int, slot: int) -> None:
        if standing.incarnation == inc:
            self.sink.add(
                "decision/order",
                f"{self.sink.name(agent)} (incarnation {inc}) applies slot {slot}, its state is of slot {standing.slot}",
                time_ns,
                (agent,),
                slot,
            )
        standing.incarnation, standing.slot = inc, slot

    def on_installed(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        standing = self.standing(agent)
        if standing.incarnation == inc and slot < standing.slot:
            self.sink.add(
                "decision/order",
                f"{self.sink.name(agent)} (incarnation {inc}) installs a snapshot up to slot {slot} "
                f"over its state of slot {standing.slot}",
                time_ns,
                (agent,),
                slot,
            )
        standing.incarnation, standing.slot = inc, slot
        standing.cover(slot)
        self._compare_state(agent, time_ns, slot, extra)

    def on_snapshot(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self._compare_state(agent, time_ns, slot, extra)

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        before, standing = self.standing(agent), Standing(inc)
        self.standings[agent] = standing
        standing.incarnation, standing.slot = before.incarnation, before.slot
        if before.incarnation != inc and isinstance(extra, dict) and "commit" in extra:
            standing.incarnation, standing.slot = inc, int(extra["commit"])

    def on_stopped(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if isinstance(extra, dict):
            self._compare_state(agent, time_ns, int(extra.get("commit", 0)), extra.get("state_digest"))

    def _compare_state(self, agent: int, time_ns: int, slot: int, digest: Any) -> None:
        if digest is None:
            return
        first = self.state.setdefault(slot, (digest, agent))
        if first[0] != digest:
            self.sink.add(
                "decision/states",
                f"after slot {slot} the states of {self.sink.name(agent)} and {self.sink.name(first[1])} differ",
                time_ns,
                (first[1], agent),
                slot,
                digests=[first[0], digest],
            )

    def _differs(
        self,
        rule: str,
        verb: str,
        agent: int,
        inc: int,
        time_ns: int,
        slot: int,
        value: Any,
        known: tuple[Any, int, int],
    ) -> None:
        self.sink.add(
            rule,
            f"{self.sink.name(agent)} (incarnation {inc}) {verb} {brief(value)} in slot {slot}; "
            f"{self.sink.name(known[1])} (incarnation {known[2]}) learned {brief(known[0])}",
            time_ns,
            (known[1], agent),
            slot,
            (known[0], value),
        )
