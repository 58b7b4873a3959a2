"""Learned once: chosen is for ever, so one life of a learner learns a slot once.

Rule
----
* decision/forgotten: what a learner holds chosen it does not lose (Paxos Made Simple 2.3). A value that is learned again was
  lost in between: whoever asked for it then was told nothing, and a leader there took the slot for open. (A snapshot that
  covers the slot stands in for its value.)

Assumptions about the events
----------------------------
* ``chosen`` tells that a learner did not hold the value and does now, also when it reads it from its log.
* Slots at or below ``cut`` or ``installed`` are covered by a snapshot, and not looked at any more.

Does not judge what is lost and not learned again: it shows when others ask for it (liveness).
"""

from __future__ import annotations

from typing import Any

from harness.checkers.case import brief
from harness.checkers.oracle import Handler, Sink


class LearnedOnce:
    """Slots each life of a learner holds chosen."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.held: dict[int, tuple[int, set[int]]] = {}
        """Agent -> (incarnation, slots above what was cut)."""
        self.handlers: dict[str, Handler] = {"chosen": self.on_chosen, "cut": self.on_cut, "installed": self.on_cut}

    def on_chosen(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        life = self.held.get(agent)
        if life is None or life[0] != inc:
            life = self.held[agent] = inc, set()
        if slot not in life[1]:
            life[1].add(slot)
            return
        self.sink.add(
            "decision/forgotten",
            f"{self.sink.name(agent)} learns {brief(value)} in slot {slot} for the second time in one life: it had lost what "
            "was chosen",
            time_ns,
            (agent,),
            slot,
            (value,),
        )

    def on_cut(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        life = self.held.get(agent)
        if life is not None and life[0] == inc:
            self.held[agent] = inc, {at for at in life[1] if at > slot}
