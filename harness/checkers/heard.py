"""Heard: the promises that a leader counts have reached it, whole.

Rule
----
* promise/not-heard: who leads has heard of each acceptor that it counts the promise of this very ballot (Paxos Made Simple 2.2,
  phase 1b), in pages that leave out no slot of its phase 1.

That an acceptor did promise, as ``Promises`` sees it, is not enough: what it has voted for is in the promise that was heard.

Assumptions about the events
----------------------------
* Only a world that sees messages arrive can tell (``heard_promise``); a promise to oneself nobody sees (``DurablePromises``
  judges that one).
* ``prepare`` tells the first slot of phase 1, ``leader`` whose promises were counted.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.oracle import NO_BALLOT, Handler, Sink, show
from harness.record import Ballot

BEHIND_ALL = 1 << 62
"""A last page tells of all slots up to this."""


class Heard:
    """Pages of promises by who heard them."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.first_slot: dict[int, int] = {}
        """Agent -> the first slot of its latest phase 1."""
        self.pages: dict[int, tuple[Ballot, dict[int, list[tuple[int, int]]]]] = {}
        """Agent -> the ballot that it prepares, and sender -> (first slot of a page, first slot behind it)."""
        self.handlers: dict[str, Handler] = {
            "prepare": self.on_prepare,
            "heard_promise": self.on_heard_promise,
            "leader": self.on_leader,
        }

    def on_prepare(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self.first_slot[agent] = slot
        self.pages[agent] = (ballot, {})

    def on_heard_promise(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        """``slot``: the first of the page; ``extra``: (sender, first slot behind the page, None: it is the last one)."""
        source, behind = extra
        prepared, pages = self.pages.get(agent, (NO_BALLOT, {}))
        if ballot == prepared:
            told = pages.setdefault(source, [])
            told.append((slot, BEHIND_ALL if behind is None else behind))

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        prepared, pages = self.pages.pop(agent, (NO_BALLOT, {}))
        if prepared != ballot:
            pages = {}
        first = self.first_slot.get(agent, 1)
        for source in extra or ():
            if source == agent:
                continue
            told = first
            for start, behind in sorted(pages.get(source, ())):
                if start <= told:
                    told = max(told, behind)
            if told < BEHIND_ALL:
                what = f"no page that tells of slot {told}" if source in pages else "none"
                self.sink.add(
                    "promise/not-heard",
                    f"{self.sink.name(agent)} leads {show(ballot)} and counts the promise of {self.sink.name(source)}, of "
                    f"which it has heard {what}",
                    time_ns,
                    (agent, source),
                    ballot=ballot,
                )
