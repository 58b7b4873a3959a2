"""The moments at which a real agent can be made to wait are those that triggers may name."""

from __future__ import annotations

from nemesis.triggers import WATCHABLE
from paxos_impl.process.panel import WATCHED_KINDS


def test_every_trigger_can_be_waited_for_on_real_processes() -> None:
    assert sorted(WATCHED_KINDS) == sorted(WATCHABLE)
