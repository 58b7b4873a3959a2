"""Systems that are measured side by side: one file each, and what they have in common."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from benchmarks.measure import Load, Outcome


class System(Protocol):
    """A replicated store of three processes on this machine."""

    @property
    def name(self) -> str: ...

    def missing(self) -> str:
        """Empty if it can be measured here; else what to install."""

    def remark(self, load: Load) -> str:
        """What a reader must know to compare fairly; empty: nothing."""

    def measure(self, load: Load, directory: Path) -> Outcome:
        """Start it afresh, load it, stop it. ``directory``: empty, for its files. Raises PeerFailed."""


class PeerFailed(Exception):
    """A system could not be measured; the text says what happened and where its log is."""


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
