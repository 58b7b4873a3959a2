"""Rehearsed restarts: what an agent would read if its power failed now, without its power failing.

A bug in what is logged, kept in a checkpoint or read back shows when the power fails in the right moment, and most moments
are wrong. So recovery is tried on a copy of the disk, after syncs that changed which files there are and now and then after
others. Nothing of the run is touched: no stream is drawn from that the run draws from, nothing is sent or noted. If the
agent would come back without what it has told, a fault with the trigger ``would_forget`` strikes it there and then, and the
oracles judge a real restart.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from harness.checkers.oracle import Handler
from harness.checkers.recall import HEARD, Recall, Step
from harness.errors import HarnessFault
from harness.worlds.simulated.process import SimulatedProcess
from paxos_impl.node import Node

BEHIND = {"installed": 3, "restored": 1}
"""Steps behind which what an agent must know and what its files say may part -> how many syncs are looked behind."""
ALL_UP_TO = 6
"""Of the syncs of an agent that changed which files there are: so many are looked behind, then fewer and fewer."""
ONE_SYNC_IN = 64
"""Of those that follow nothing in particular."""


class Rehearsals:
    """Those of one run. Each costs the reading of a log."""

    under_way = False
    """Whether one is, of whichever run: what the agents' code does meanwhile is not done in the run."""

    def __init__(self, seed: int, recall: Recall) -> None:
        self.seed = seed
        self.recall = recall
        self.made = 0
        self._draw = Random(f"{seed}/rehearsals").random
        self._changes: dict[int, int] = {}
        self._moved: dict[int, int] = {}
        """Agent -> how many of its next syncs are looked behind."""
        self.handlers: dict[str, Handler] = {kind: self._listener(syncs) for kind, syncs in BEHIND.items()}

    def _listener(self, syncs: int) -> Handler:
        def on_step(agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
            self._moved[agent] = syncs

        return on_step

    def is_due(self, process: SimulatedProcess) -> bool:
        """Asked after each sync."""
        if process.disk_was_damaged:
            return False
        agent, changes = process.id, process.disk.name_syncs
        if self._moved.get(agent, 0):
            self._moved[agent] -= 1
            return True
        changed = self._changes.get(agent) != changes
        self._changes[agent] = changes
        return self._draw() * (changes / ALL_UP_TO if changed else ONE_SYNC_IN) < 1.0

    def would_forget(self, process: SimulatedProcess, now_ns: int) -> bool:
        """Whether the agent, its power cut now, would not know what it has told, or could not start."""
        self.made += 1
        steps: list[Step] = []

        def trace(kind: str, ballot: Any = None, slot: int = 0, value: Any = None, extra: Any = None, /) -> None:
            if kind in HEARD:
                steps.append((kind, ballot, slot, value, extra))

        draw: Callable[[], float] = Random(f"{self.seed}/rehearsals/{self.made}").random
        disk = process.disk.after_power_cut()
        Rehearsals.under_way = True
        try:
            node = Node(process.config, process.incarnation + 1, disk, draw, trace, process.parts)
            node.start(now_ns)
        except HarnessFault:
            raise
        except (Exception, SystemExit):
            return True
        finally:
            Rehearsals.under_way = False
        return self.recall.would_forget(process.id, steps)
