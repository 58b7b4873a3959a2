"""Situations: rare things that a schedule may bring about. A search that never meets one says nothing of what breaks there.

No oracle: nothing here is right or wrong, and all of it happens to a correct cluster. A campaign counts in how many of its
schedules each situation came up, beside its verdict: that nothing was broken in a thousand schedules means the more, the more
of them have been where it is hard.

Assumptions about the events: as for the oracles (``online.py``), whose knowledge is read here. What is told and heard
(``told_promise``, ``heard_cut``, ``told_catch_up``) and a power cut only a world tells that sees it: of a run on real processes
some situations stay unknown.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.decisions import Decisions
from harness.checkers.durable_votes import DurableVotes
from harness.checkers.oracle import NO_BALLOT, Handler
from harness.record import Ballot

SITUATIONS = {
    "phase 1 lost": "who runs phase 1 does not become leader, and tries again",
    "same round": "two nodes run phase 1 of one round: only their ids order these ballots",
    "candidate restarts": "an agent restarts in the middle of its phase 1",
    "leader restarts": "an agent restarts that has not stepped down",
    "leader follows itself": "a node leads again, and nobody has led in between",
    "late leader": "a leader proposes though a higher ballot is led already",
    "two ballots told": "the promises of one phase 1 tell of votes of different ballots in one slot",
    "two values told": "the promises of one phase 1 tell of votes for different values in one slot",
    "value inherited": "a leader proposes what phase 1 told it of",
    "gap filled": "a leader proposes a no-op, for phase 1 told it of no vote in a slot, or of one for a no-op",
    "vote in vain": "a value gets a vote, and another one is chosen in its slot",
    "chosen twice": "quorums of two ballots vote for the value of one slot",
    "vote cut off": "the power of an acceptor fails while a vote waits for its sync",
    "cut undone": "an agent restarts with less covered than before: a cut, or an installed snapshot, was not durable yet",
    "stale vote back": "an acceptor restarts with a vote for a value, and another one was chosen in its slot",
    "snapshot restored": "an agent restarts from a snapshot",
    "snapshot installed": "a learner installs the snapshot of another one",
    "installed over a vote": "a learner installs a snapshot over a slot in which it has voted, and that it did not hold chosen",
    "leader behind a cut": "a leader hears that slots are cut which it has not applied, or inherited if it applies nothing",
    "catch-up": "a learner asks another one for what was chosen",
    "command twice": "a command is chosen twice, and executed once",
    "session gone": "a command is chosen whose session has expired",
}
"""Name -> what happens."""


class Situations:
    """Those that one run has ``reached``. Hears of each event before the oracles do."""

    def __init__(self, decisions: Decisions, durable: DurableVotes) -> None:
        self.reached: set[str] = set()
        self.votes = durable.votes
        self._decisions = decisions
        self._durable = durable
        self._prepares: dict[int, Ballot] = {}
        """Agent -> the ballot of its phase 1, until it leads or gives up."""
        self._gave_up: set[int] = set()
        """Agents whose last phase 1 made them no leader."""
        self._prepared: dict[int, int] = {}
        """Round -> the node that ran phase 1 of it first."""
        self._leads: dict[int, tuple[Ballot, int]] = {}
        """Agent -> the ballot that it leads, and its first own slot."""
        self._alone: set[int] = set()
        """Proposers that live alone: they apply nothing."""
        self._led_last = -1
        self._highest_led: Ballot = NO_BALLOT
        self._told: tuple[Ballot, dict[int, Ballot]] = (NO_BALLOT, {})
        """The highest ballot promised, and slot -> ballot of a vote that its promises told of."""
        self.handlers: dict[str, Handler] = {
            "prepare": self.on_prepare,
            "leader": self.on_leader,
            "step_down": self.on_step_down,
            "started": self.on_started,
            "propose": self.on_propose,
            "told_promise": self.on_told_promise,
            "power_lost": self.on_power_lost,
            "recovered": self.on_recovered,
            "restored": self.on_restored,
            "installed": self.on_installed,
            "heard_cut": self.on_heard_cut,
            "told_catch_up": self.on_told_catch_up,
        }

    # -- who leads ------------------------------------------------------------------------------------------------------

    def on_prepare(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        if agent in self._prepares or agent in self._gave_up:
            self.reached.add("phase 1 lost")
        self._prepares[agent] = ballot
        if self._prepared.setdefault(ballot[0], agent) != agent:
            self.reached.add("same round")

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self._prepares.pop(agent, None)
        self._gave_up.discard(agent)
        self._leads[agent] = ballot, slot
        self._highest_led = max(ballot, self._highest_led)
        if agent == self._led_last:
            self.reached.add("leader follows itself")
        self._led_last = agent

    def on_step_down(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self._leads.pop(agent, None)
        if self._prepares.pop(agent, None) is not None:
            self._gave_up.add(agent)

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self._gave_up.discard(agent)
        if isinstance(extra, dict) and extra.get("role") == "proposer":
            self._alone.add(agent)
        if self._prepares.pop(agent, None) is not None:
            self.reached.add("candidate restarts")
        if self._leads.pop(agent, None) is not None:
            self.reached.add("leader restarts")

    # -- what it proposes -----------------------------------------------------------------------------------------------

    def on_told_promise(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        promised, told = self._told
        if ballot > promised:
            self._told = (ballot, told) = (ballot, {})
        elif ballot < promised:
            return
        for at, (round_, node), chosen in extra[1] if extra else ():
            voted = (round_, node)
            # A Prepare that comes twice is answered with votes of this very ballot too.
            if not chosen and voted < ballot and told.setdefault(at, voted) != voted:
                self._two_told(at, told[at], voted)

    def _two_told(self, slot: int, one: Ballot, other: Ballot) -> None:
        self.reached.add("two ballots told")
        tallies = self.votes.slots.get(slot, {})
        if one in tallies and other in tallies and tallies[one].value != tallies[other].value:
            self.reached.add("two values told")

    def on_propose(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        if ballot is not self._highest_led and ballot < self._highest_led:
            self.reached.add("late leader")
        if agent in self._leads and slot < self._leads[agent][1]:
            self.reached.add("value inherited" if value else "gap filled")

    # -- what is lost and what is left ------------------------------------------------------------------------------------

    def on_power_lost(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if self._durable.written.get(agent) or self._durable.syncing.get(agent):
            self.reached.add("vote cut off")

    def on_recovered(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if slot < self.votes.floor.get(agent, 0):
            self.reached.add("cut undone")
        chosen = self.votes.chosen
        for at, (round_, node) in extra or ():
            tally = self.votes.slots.get(at, {}).get((round_, node))
            if tally is not None and at in chosen and tally.value is not chosen[at] and tally.value != chosen[at]:
                self.reached.add("stale vote back")

    def on_restored(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.reached.add("snapshot restored")

    def on_installed(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.reached.add("snapshot installed")
        standing = self._decisions.standings.get(agent)
        for at in self.votes.latest.get(agent, ()):
            if at <= slot and standing is not None and at > standing.covered and at not in standing.chosen:
                self.reached.add("installed over a vote")

    def on_heard_cut(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        led, first_own = self._leads.get(agent, (NO_BALLOT, 0))
        standing = self._decisions.standings.get(agent)
        known = first_own - 1 if agent in self._alone or standing is None else max(standing.covered, standing.slot)
        if led == ballot and slot > known:
            self.reached.add("leader behind a cut")

    def on_told_catch_up(
        self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any
    ) -> None:
        self.reached.add("catch-up")

    # -- what is chosen ---------------------------------------------------------------------------------------------------

    def on_first_applied(
        self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any
    ) -> None:
        _, skipped = extra if isinstance(extra, (list, tuple)) and len(extra) == 2 else (None, ())
        for _, how in skipped:
            self.reached.add("session gone" if how == "expired" else "command twice")

    def all_reached(self) -> tuple[str, ...]:
        """Up to now, in the order of ``SITUATIONS``."""
        votes = self.votes
        for slot, value in votes.chosen.items():
            tallies = votes.slots.get(slot, {})
            if len(tallies) < 2:
                continue
            if any(tally.ever and tally.value != value for tally in tallies.values()):
                self.reached.add("vote in vain")
            if sum(tally.ever.bit_count() >= votes.quorum for tally in tallies.values()) > 1:
                self.reached.add("chosen twice")
        return tuple(name for name in SITUATIONS if name in self.reached)
