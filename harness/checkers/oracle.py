"""What an online oracle is made of: handlers by the kind of traced step, and a sink for what they find.

``online.py`` puts the oracles together and tells what each of them judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.checkers.case import brief
from harness.record import Ballot
from harness.results import Violation

Handler = Callable[[int, int, int, Ballot, int, Any, Any], None]
"""(agent, incarnation, time_ns, ballot, slot, value, extra)"""

NO_BALLOT: Ballot = (-1, -1)
MOST_VIOLATIONS = 50
"""Kept per run; what follows a first violation is mostly its consequence."""


class Sink:
    """Where oracles put violations, and how they name agents."""

    def __init__(self, names: Mapping[int, str] | None) -> None:
        self.violations: list[Violation] = []
        self.names = names or {}

    def name(self, agent: int) -> str:
        return self.names.get(agent, f"agent {agent}")

    def add(
        self,
        rule: str,
        sentence: str,
        time_ns: int,
        agents: tuple[int, ...],
        slot: int | None = None,
        values: tuple[Any, ...] = (),
        **details: Any,
    ) -> None:
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(
                Violation(
                    rule,
                    sentence,
                    time_ns,
                    slot,
                    agents=tuple(self.name(agent) for agent in agents),
                    values=tuple(brief(value) for value in values),
                    details=details,
                )
            )


def show(ballot: Ballot | None) -> str:
    return "no ballot" if ballot is None or ballot == NO_BALLOT else f"ballot {ballot[0]}.{ballot[1]}"


def ignore(agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
    """Nobody listens."""


def in_turn(handlers: Sequence[Handler]) -> Handler:
    """All of them behind one call, in their order."""
    first, *others = handlers
    if not others:
        return first
    then = in_turn(others)

    def both(agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        first(agent, inc, time_ns, ballot, slot, value, extra)
        then(agent, inc, time_ns, ballot, slot, value, extra)

    return both
