"""Hearsay: what agents say and hear, told to the oracles as it leaves and arrives.

Most of it is told online only. What an agent must not forget (promises, votes, durable snapshots) is observed by the caller's
``observed``, which may record it too. The digest has all of this from elsewhere.

What leaves may have been meant before: it waits for syncs, and for an agent that is stopped. Oracles that judge by time are
told None where that may be long ago, or where the agent's clock is wrong (``SimulatedProcess.hold``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from harness.checkers.heartbeats import DEAF_TIMEOUTS
from harness.checkers.oracle import Handler, ignore
from harness.worlds.simulated.loop import EventLoop
from harness.worlds.simulated.network import Sender
from harness.worlds.simulated.pages import PAGED, excess
from harness.worlds.simulated.process import SimulatedProcess
from nemesis.plan import Plan
from paxos_impl.messages import (
    NO_BALLOT,
    Accept,
    Accepted,
    AnyMessage,
    CatchUp,
    Heartbeat,
    HeartbeatReply,
    Learn,
    Prepare,
    PreVote,
    PreVoteReply,
    Promise,
    Reply,
    Request,
    SnapshotPage,
    Truncated,
    Vote,
)

LONG_SYNC = 8
"""A sync that takes more than this part of what counts as long ago holds back what an agent says."""


def recent_ns(plan: Plan) -> int:
    """What a leader heard is of interest for so long; and what held an agent back, or moved its clock, excuses it for so long
    afterwards."""
    return DEAF_TIMEOUTS * plan.timing.election_timeout_ns


def long_sync_ns(plan: Plan) -> int:
    """The longest that a sync may take and hold nothing back."""
    return recent_ns(plan) // LONG_SYNC


Said = Callable[[SimulatedProcess, int, Any], None]
"""(who says it, to whom, what)"""
Heard = Callable[[SimulatedProcess, Sender, Any], None]
Found = Callable[[str, str, tuple[str, ...]], None]
"""(rule, sentence, names of agents)"""


class Hearsay:
    """That of one run. ``leaves``: what to call, by the type of a message, when one leaves an agent."""

    def __init__(
        self,
        plan: Plan,
        loop: EventLoop,
        processes: Sequence[SimulatedProcess],
        handlers: Mapping[str, Handler],
        observed: Callable[[str], Handler],
        found: Found,
        wanted: Set[str],
        *,
        judges: bool,
        records: bool,
    ) -> None:
        """``handlers``: the oracles', by kind of event; ``observed``: the same for one kind, which is recorded if anything is;
        ``found``: told of what no page can hold; ``wanted``: kinds told of only from when they are in it. Unless it ``judges``
        only what is recorded is told."""
        self.loop = loop
        self.processes = processes
        self.page_bytes = plan.limits.page_bytes
        self.recent_ns = recent_ns(plan)
        self.long_sync_ns = long_sync_ns(plan)
        self._handlers = handlers
        self._judges = judges
        self._found = found
        self._wanted = wanted
        self._on_promise, self._on_vote = observed("told_promise"), observed("told_vote")
        self._on_snapshot = observed("told_snapshot")
        self._on_heard_vote: Handler = handlers.get("heard_vote", ignore)
        self.leaves: dict[type, Said] = {}
        self._arrives: dict[type, Heard] = {}
        if judges or records:
            self.leaves |= {
                Promise: self._tell_promise,
                Accepted: self._tell_vote,
                Vote: self._tell_vote,
                HeartbeatReply: self._tell_snapshot,
            }
        if judges:
            self.leaves |= {
                Heartbeat: self._tell_heartbeat,
                Prepare: self._tell_prepare,
                PreVote: self._tell_pre_vote,
                PreVoteReply: self._tell_grant,
                Reply: self._tell_answer,
                Learn: self._tell_learn,
                SnapshotPage: self._tell_page,
                CatchUp: self._tell_catch_up,
            }
            self._arrives |= {
                Accept: self._hear_leader,
                Heartbeat: self._hear_leader,
                Learn: self._hear_teller,
                Request: self._hear_request,
                Promise: self._hear_promise,
                Accepted: self._hear_vote,
                Vote: self._hear_vote,
                CatchUp: self._hear_catch_up,
                Truncated: self._hear_cut,
            }

    def _tell(
        self,
        kind: str,
        process: SimulatedProcess,
        ballot: Any = NO_BALLOT,
        slot: int = 0,
        value: Any = None,
        extra: Any = None,
    ) -> None:
        handler: Handler = self._handlers.get(kind, ignore)
        handler(process.id, process.incarnation, self.loop.now_ns, ballot, slot, value, extra)

    def _means_it_now(self, process: SimulatedProcess) -> bool:
        """What it says it meant a moment ago at most, and by a clock that has run as clocks should for long enough."""
        runs_true = process.clock_is_true or process.clock.rate == 1.0
        return runs_true and self.loop.now_ns > process.held_until_ns + self.recent_ns

    # -- what leaves ----------------------------------------------------------------------------------------------------

    def _tell_promise(self, process: SimulatedProcess, target: int, message: Promise) -> None:
        """From now on the agent must not forget it."""
        if self._judges:
            self._must_fit(process, target, message)
        told = [(vote.slot, vote.ballot, vote.chosen) for vote in message.votes]
        extra = [message.last, told]
        now_ns = self.loop.now_ns
        self._on_promise(process.id, process.incarnation, now_ns, message.ballot, message.start, None, extra)

    def _tell_vote(self, process: SimulatedProcess, target: int, message: Accepted | Vote) -> None:
        now_ns = self.loop.now_ns
        self._on_vote(process.id, process.incarnation, now_ns, message.ballot, message.slot, None, None)

    def _tell_snapshot(self, process: SimulatedProcess, target: int, message: HeartbeatReply) -> None:
        now_ns = self.loop.now_ns
        self._on_snapshot(process.id, process.incarnation, now_ns, message.ballot, message.durable, None, None)

    def _tell_heartbeat(self, process: SimulatedProcess, target: int, message: Heartbeat) -> None:
        if message is process.said:
            return  # the same, to somebody else
        process.said = message
        heard: list[int] | None = None
        if self._means_it_now(process):
            since_ns = self.loop.now_ns - self.recent_ns
            heard = [source for source, at_ns in process.heard_ns.items() if at_ns >= since_ns]
        self._tell("told_heartbeat", process, message.ballot, message.commit, None, [message.stable, heard])
        self._tell_what_is_wanted()

    def _tell_what_is_wanted(self) -> None:
        """Accepts are what is sent most often: they are told from when an oracle wants them."""
        if "told_accept" in self._wanted:
            self.leaves[Accept] = self._tell_accept

    def _tell_prepare(self, process: SimulatedProcess, target: int, message: Prepare) -> None:
        self._tell("told_prepare", process, message.ballot, message.slot)

    def _tell_pre_vote(self, process: SimulatedProcess, target: int, message: PreVote) -> None:
        heard_ns = max(process.led_ns, process.held_until_ns) if self._means_it_now(process) else None
        self._tell("told_pre_vote", process, message.ballot, extra=heard_ns)

    def _tell_grant(self, process: SimulatedProcess, target: int, message: PreVoteReply) -> None:
        if message.granted:
            led_by = process.led_by if self._means_it_now(process) else None
            self._tell("told_grant", process, message.ballot, extra=led_by)

    def _tell_accept(self, process: SimulatedProcess, target: int, message: Accept) -> None:
        kept_back = self.loop.now_ns <= process.held_until_ns  # by a stop, in the middle of a step
        extra = (target, None if kept_back else message.commit)
        self._tell("told_accept", process, message.ballot, message.slot, extra=extra)

    def _tell_catch_up(self, process: SimulatedProcess, target: int, message: CatchUp) -> None:
        self._tell("told_catch_up", process, slot=message.slot, extra=(target, process.tellers))

    def _tell_learn(self, process: SimulatedProcess, target: int, message: Learn) -> None:
        self._must_fit(process, target, message)
        self._tell("told_learn", process, slot=message.slot)

    def _tell_page(self, process: SimulatedProcess, target: int, message: SnapshotPage) -> None:
        self._must_fit(process, target, message)
        self._tell("told_page", process, slot=message.slot, extra=target)

    def _tell_answer(self, process: SimulatedProcess, target: int, message: Reply) -> None:
        self._tell("told_answer", process, value=message.status, extra=(message.client, message.seq))

    def _must_fit(self, process: SimulatedProcess, target: int, message: PAGED) -> None:
        bytes_over = excess(message, self.page_bytes)
        if bytes_over:
            what = f"a {type(message).__name__} that is {bytes_over} bytes longer than a page"
            self._found("crash/page-too-long", f"{process.name} sent {what} may be", (process.name,))

    # -- what arrives ---------------------------------------------------------------------------------------------------

    def arrived(self, process: SimulatedProcess, sender: Sender, message: AnyMessage) -> None:
        """The agent is about to handle it."""
        process.heard_ns[sender[0]] = self.loop.now_ns
        hear = self._arrives.get(type(message))
        if hear is not None:
            hear(process, sender, message)

    def _is_of_this_life(self, sender: Sender) -> bool:
        """Who has heard a later life of the sender takes an earlier one for dead, and heeds nothing that it said."""
        return sender[1] == self.processes[sender[0]].incarnation

    def _hear_leader(self, process: SimulatedProcess, sender: Sender, message: Accept | Heartbeat) -> None:
        process.led_ns = self.loop.now_ns
        self._hear_teller(process, sender, message)
        if self._is_of_this_life(sender):
            process.led_by = (message.ballot, process.led_ns)

    def _hear_teller(self, process: SimulatedProcess, sender: Sender, message: Accept | Heartbeat | Learn) -> None:
        """Whom it asks first for what it lacks may be another one now."""
        if sender[0] != process.teller:
            process.teller = sender[0]
            process.tellers += 1

    def _hear_request(self, process: SimulatedProcess, sender: Sender, message: Request) -> None:
        self._tell("request", process, extra=(message.command.client, message.command.seq))

    def _hear_promise(self, process: SimulatedProcess, sender: Sender, message: Promise) -> None:
        behind = None if message.last or not message.votes else message.votes[-1].slot + 1
        self._tell("heard_promise", process, message.ballot, message.start, None, (sender[0], behind))

    def _hear_vote(self, process: SimulatedProcess, sender: Sender, message: Accepted | Vote) -> None:
        self._on_heard_vote(
            process.id, process.incarnation, self.loop.now_ns, message.ballot, message.slot, None, sender[0]
        )

    def _hear_catch_up(self, process: SimulatedProcess, sender: Sender, message: CatchUp) -> None:
        if self._is_of_this_life(sender):
            self._tell("heard_catch_up", process, slot=message.slot, extra=(sender[0], self._means_it_now(process)))

    def _hear_cut(self, process: SimulatedProcess, sender: Sender, message: Truncated) -> None:
        if self._is_of_this_life(sender):
            self._tell("heard_cut", process, message.ballot, message.floor)
            self._tell_what_is_wanted()
