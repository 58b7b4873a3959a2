"""The port: what can be faulted in a running cluster. Both worlds, simulated and real, stand behind it.

The nemesis (``nemesis/conductor.py``) decides what happens when and to whom; a world carries it out and says what
it saw. Every method returns evidence, a JSON-able dict, or raises ``NotSupported`` (this machine cannot; the run
becomes INCONCLUSIVE, never a silent pass). Undoing is idempotent and never raises for an agent that is gone.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from nemesis.faults import Parameter

Evidence = dict[str, Any]


class NotSupported(Exception):
    """This world or machine cannot inject that fault; the text says why and what would help."""


class AgentView(msgspec.Struct, frozen=True):
    """What the nemesis may know of an agent."""

    id: int
    name: str
    role: str
    """replica, proposer, acceptor or learner"""
    up: bool
    """Its process runs (perhaps stopped) and has reported in."""


class LinkRule(msgspec.Struct, frozen=True):
    """One link fault in force, on the directed link source -> target. Parameters as in ``faults.KINDS``."""

    fault: int
    """Index in the plan: evidence is counted by it."""
    kind: str
    source: int
    target: int
    params: dict[str, Parameter]
    """Complete: defaults are filled in."""
    stream: str = ""
    """Names the fault in the keys of random streams; stays the same when other faults leave the plan."""


class World(Protocol):
    """What a world offers to the nemesis. Agent ids are those of ``agents()``."""

    def now_ns(self) -> int:
        """Time of the run."""

    def agents(self) -> list[AgentView]: ...

    def leader(self) -> int | None:
        """Id of the agent that most recently became leader, if it is up."""

    def kill(self, agents: list[int]) -> Evidence:
        """SIGKILL; returns when they are seen dead."""

    def restart(self, agents: list[int]) -> Evidence:
        """Start those that are down, a new incarnation each; nothing for one that is up."""

    def pause(self, agents: list[int]) -> Evidence:
        """SIGSTOP; a stutter on the same agent must not wake it."""

    def resume(self, agents: list[int]) -> Evidence:
        """SIGCONT; nothing for one that is gone or runs."""

    def slow(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter]) -> Evidence:
        """kind: stutter or hog."""

    def unslow(self, fault: int, kind: str, agents: list[int]) -> Evidence: ...

    def power_cut(self, agents: list[int], unsynced: str, seed: int) -> Evidence:
        """Kill and treat the unsynced bytes; ``seed`` draws how much is kept. ``restart`` brings them back.

        Some may be down already: their unsynced bytes are treated all the same.
        """

    def add_links(self, rules: list[LinkRule]) -> Evidence: ...

    def remove_links(self, fault: int) -> Evidence:
        """Take away all rules of that fault; the evidence counts what they did: {"dropped": …, "delayed": …, …}."""

    def disk_fault(
        self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter], seed: int
    ) -> Evidence: ...

    def heal_disk(self, fault: int, kind: str, agents: list[int]) -> Evidence: ...

    def clock_fault(self, fault: int, kind: str, agents: list[int], params: dict[str, Parameter]) -> Evidence: ...

    def heal_clock(self, fault: int, kind: str, agents: list[int]) -> Evidence: ...
