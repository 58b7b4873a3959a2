"""Catch-ups: who is asked for a chosen value that it holds gives it; who gets none asks somebody else.

Rules
-----
* catch-up/unanswered: a learner that is asked, twice, for the values from a slot on, and holds that slot's, sends them, or
  pages of a snapshot that covers the slot (Paxos Made Live 4.2, 5.5). Else who misses a value is served by luck.
* catch-up/one-peer: a learner that misses a slot's value and gets none from the one it asks does not go on asking that one
  alone, for it may be gone for good.

Assumptions about the events
----------------------------
* Only a world that sees messages arrive and leave can tell (``heard_catch_up``, ``told_catch_up``, ``told_learn``,
  ``told_page``): without them nothing is judged.
* ``extra`` of ``heard_catch_up`` is (who asks, is the agent free to answer at once). One that was stopped lately, or whose
  disk is slow, may have an answer under way.
* ``extra`` of ``told_catch_up`` is (who is asked, how often the teller of what is chosen has changed for the asker). Whoever
  told it last is asked first: with each change of the teller, and when the asker itself begins or ends to lead, the turns
  begin anew.
* A slot below the agent's cut is answered by a snapshot, and not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.checkers.decisions import Decisions
from harness.checkers.oracle import Handler, Sink

Question = tuple[int, int]
"""(who asks, from which slot on)"""

MOST_IN_A_ROW = 6
"""Questions to one peer, from one slot on. In turns no peer is asked twice in a row; the rest is for what was under way
when they began."""


class CatchUps:
    """Questions that wait for an answer. ``Decisions`` hears of each event first."""

    def __init__(self, sink: Sink, decisions: Decisions, learners: Sequence[int], election_timeout_ns: int) -> None:
        """``election_timeout_ns``: within half of it an answer must have left; 0: that is not judged."""
        self.sink = sink
        self.learners = learners
        self.decisions = decisions
        self.patience_ns = election_timeout_ns // 2
        self.floor: dict[int, int] = {}
        self.open: dict[int, dict[Question, int]] = {}
        """Agent -> question -> when it was asked first without having been answered since."""
        self.in_a_row: dict[int, tuple[tuple[int, int, int], int, int]] = {}
        """Learner -> ((slot, peer, changes of the teller), how often it asked that peer from that slot on, and nobody else;
        since when)."""
        self.handlers: dict[str, Handler] = {
            "told_catch_up": self.on_told_catch_up,
            "heard_catch_up": self.on_heard_catch_up,
            "told_learn": self.on_told_learn,
            "told_page": self.on_told_page,
            "started": self.on_started,
            "leader": self.on_turns,
            "step_down": self.on_turns,
            "installed": self.on_floor,
            "cut": self.on_floor,
        }

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.open.pop(agent, None)
        self.in_a_row.pop(agent, None)
        if isinstance(extra, dict):
            self.on_floor(agent, inc, time_ns, None, int(extra.get("commit", 0)), None, None)

    def on_turns(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        """A leader asks the one that has cut what it lacks."""
        self.in_a_row.pop(agent, None)

    def on_floor(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.floor[agent] = max(slot, self.floor.get(agent, 0))

    def on_told_learn(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        waiting = self.open.get(agent)
        if waiting:
            for question in [one for one in waiting if one[1] == slot]:
                del waiting[question]

    def on_told_page(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        """``slot``: what the snapshot covers; ``extra``: to whom the page goes."""
        waiting = self.open.get(agent)
        if waiting:
            for question in [one for one in waiting if one[0] == extra and one[1] <= slot]:
                del waiting[question]

    def on_told_catch_up(
        self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any
    ) -> None:
        peer, tellers = extra
        question = (slot, peer, tellers)
        before, times, since_ns = self.in_a_row.get(agent, (question, 0, time_ns))
        if before != question:
            times, since_ns = 0, time_ns
        self.in_a_row[agent] = (question, times + 1, since_ns)
        others = [one for one in self.learners if one not in (agent, peer)]
        if times + 1 == MOST_IN_A_ROW and others:
            self.sink.add(
                "catch-up/one-peer",
                f"{self.sink.name(agent)} has asked {self.sink.name(peer)} {times + 1} times for what was chosen from slot "
                f"{slot} on, and in these {(time_ns - since_ns) / 1e9:.3f} s nobody else",
                time_ns,
                (agent, peer),
                slot,
            )

    def on_heard_catch_up(
        self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any
    ) -> None:
        asker, is_free = extra
        waiting = self.open.setdefault(agent, {})
        question = (asker, slot)
        if not (is_free and self._holds(agent, inc, slot)):
            waiting.pop(question, None)
            return
        since_ns = waiting.setdefault(question, time_ns)
        if self.patience_ns and time_ns - since_ns > self.patience_ns:
            self.sink.add(
                "catch-up/unanswered",
                f"{self.sink.name(agent)} holds what was chosen in slot {slot}; {self.sink.name(asker)} has asked for it since "
                f"{(time_ns - since_ns) / 1e9:.3f} s, and got no answer",
                time_ns,
                (agent, asker),
                slot,
            )

    def _holds(self, agent: int, inc: int, slot: int) -> bool:
        standing = self.decisions.standings.get(agent)
        if standing is None or standing.life != inc or slot <= self.floor.get(agent, 0):
            return False
        return slot in standing.chosen or slot <= standing.covered
