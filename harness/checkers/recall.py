"""Recall: would an agent that restarted now know what it has told? Asked before it restarts, so that it can be made to.

No oracle: what is found here is no violation, but a good moment for a power cut. The oracles judge what comes of it.

Sources: The Part-Time Parliament, 2.2 (the ledger); Paxos Made Live, 5.1 and 5.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.checkers.ballots import Ballots
from harness.checkers.decisions import Decisions
from harness.checkers.told import Told

Step = tuple[str, Any, int, Any, Any]
"""(kind, ballot, slot, value, extra), as an agent traces it."""

HEARD = frozenset({"started", "recovered", "recovered_round", "restored", "chosen", "applied"})
"""Kinds of steps that tell what an agent knows."""


class Recall:
    """Holds the first steps of an incarnation against what the oracles know of the agent and of what is chosen."""

    def __init__(self, ballots: Ballots, decisions: Decisions, told: Told) -> None:
        self.ballots = ballots
        self.decisions = decisions
        self.told = told

    def would_forget(self, agent: int, steps: Iterable[Step]) -> bool:
        """``steps``: what the agent traces while it reads what a power cut would leave, of the kinds in ``HEARD``."""
        return any(self._is_wrong(agent, *step) for step in steps)

    def _is_wrong(self, agent: int, kind: str, ballot: Any, slot: int, value: Any, extra: Any) -> bool:
        match kind:
            case "started":
                return bool(extra["commit"] < self.told.snapshots.get(agent, 0))
            case "recovered":
                return self.told.is_missing(agent, ballot, slot, dict(extra or ()))
            case "recovered_round":
                return bool(ballot[0] < self.ballots.highest_shown.get(agent, -1))
            case "chosen" | "applied":
                known = self.decisions.chosen.get(slot)
                return known is not None and value is not None and known[0] is not value and known[0] != value
            case "restored":
                state = self.decisions.state.get(slot)
                return state is not None and extra is not None and state[0] != extra
        return False
