"""Heard: the promises that a leader counts have reached it, whole; its own is on its disk.

Rules
-----
* promise/not-heard: who leads has heard of each acceptor that it counts the promise of this very ballot (Paxos Made Simple 2.2,
  phase 1b), in pages that leave out no slot of its phase 1.
* promise/not-durable: an own promise counts, as any other, when a sync has ended that covers it (Part-Time Parliament 2.3).

That an acceptor did promise, as ``Promises`` sees it, is not enough: what it has voted for is in the promise that was heard.

Assumptions about the events
----------------------------
* Only a world that sees messages arrive can tell (``heard_promise``); a promise to oneself nobody sees.
* ``prepare`` tells the first slot of phase 1, ``leader`` whose promises were counted.
* A sync that has begun covers what was ``promised`` before it by that agent.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.oracle import NO_BALLOT, Handler, Sink, show
from harness.record import Ballot

BEHIND_ALL = 1 << 62
"""A last page tells of all slots up to this."""


class Heard:
    """Pages of promises by who heard them, and what of an agent's own promises is durable."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.first_slot: dict[int, int] = {}
        """Agent -> the first slot of its latest phase 1."""
        self.pages: dict[int, tuple[Ballot, dict[int, list[tuple[int, int]]]]] = {}
        """Agent -> the ballot that it prepares, and sender -> (first slot of a page, first slot behind it)."""
        self.written: dict[int, Ballot] = {}
        self.syncing: dict[int, Ballot] = {}
        self.durable: dict[int, Ballot] = {}
        """Agent -> its highest promise that was written, is covered by the sync under way, by one that has ended."""
        self.handlers: dict[str, Handler] = {
            "prepare": self.on_prepare,
            "heard_promise": self.on_heard_promise,
            "leader": self.on_leader,
            "promised": self.on_promised,
            "sync_begun": self.on_sync_begun,
            "sync_ended": self.on_sync_ended,
            "recovered": self.on_recovered,
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

    def on_promised(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        self.written[agent] = ballot

    def on_sync_begun(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.syncing[agent] = self.written.get(agent, NO_BALLOT)

    def on_sync_ended(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.durable[agent] = self.syncing.get(agent, NO_BALLOT)

    def on_recovered(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot | None, slot: int, value: Any, extra: Any
    ) -> None:
        self.written[agent] = ballot or NO_BALLOT
        self.durable[agent] = NO_BALLOT  # it may be in the page cache only

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        prepared, pages = self.pages.pop(agent, (NO_BALLOT, {}))
        if prepared != ballot:
            pages = {}
        first = self.first_slot.get(agent, 1)
        for source in extra or ():
            if source == agent:
                if self.durable.get(agent, NO_BALLOT) < ballot:
                    self.sink.add(
                        "promise/not-durable",
                        f"{self.sink.name(agent)} leads {show(ballot)} and counts its own promise, which no sync has covered "
                        "yet",
                        time_ns,
                        (agent,),
                        ballot=ballot,
                    )
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
