"""What a sequential model is: the object as it answers when operations come one after the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar

from harness.checkers.linearizability.history import Op, show_value

State = Hashable


class Illegal:
    """Why a state cannot answer as recorded."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why


class Model:
    """Base of all models: ``init``, the first state, and ``step``."""

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    keyed: ClassVar[bool] = False
    queries: ClassVar[frozenset[str]] = frozenset({"read"})
    overwrites: ClassVar[frozenset[str]] = frozenset()
    functions: ClassVar[frozenset[str]] = frozenset()
    """What it knows; empty: anything."""
    takes_any_first: ClassVar[bool] = False
    """Whether ``init`` may be UNKNOWN: the first answers then tell what it was."""
    init: State = None

    def __init__(self, init: Any = None) -> None:
        if init is not None:
            self.init = init

    def step(self, state: Any, op: Op) -> Any:
        raise NotImplementedError

    def is_query(self, op: Op) -> bool:
        """Whether this operation, with the answer it got, never changes the state."""
        return op.f in self.queries

    def describe(self, state: Any) -> str:
        """A state for readers."""
        return show_value(state)

    def dead_ends(self, ops: Sequence[Op]) -> Callable[[Any], bool] | None:
        """Which states no legal order of all these operations can pass through, as far as is easily told."""
        return None

    def hopeless(self, state: Any, op: Op) -> bool:
        return False
