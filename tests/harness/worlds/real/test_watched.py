"""Real agents can be made to wait at the moments that triggers may name, but for those that must be foreseen."""

from __future__ import annotations

from nemesis.triggers import FORESEEN, WATCHABLE
from paxos_impl.process.panel import WATCHED_KINDS


def test_every_trigger_that_need_not_be_foreseen_can_be_waited_for_on_real_processes() -> None:
    assert sorted(WATCHED_KINDS) == sorted(WATCHABLE.keys() - FORESEEN)
