"""Heartbeats: what a leader says of itself and of the log, in its Heartbeats above all, is so.

Rules
-----
* commit/not-chosen: every slot up to the commit index that a leader tells is chosen (Paxos Made Simple 3; learners take it).
* stable/not-durable: slots up to what it tells as stable are in durable snapshots of a majority of the learners (Paxos Made
  Live 5.5: a log is cut only behind a snapshot). Judged where proposers live alone, for there acceptors cut their logs by it.
* cut/not-stable: where acceptors live alone they cut their logs by nothing else.
* leader/overtaken: who has been told that an acceptor has cut slots above its commit index, for they are chosen, leaves them
  alone or leads no more (Paxos Made Live 5.5): only a new phase 1 above them is safe.
* leader/deaf: who has heard no quorum of acceptors for long leads no more (check-quorum; Ongaro's thesis 6.2).

Assumptions about the events
----------------------------
* Only a world that sees what leaves an agent can tell (``told_heartbeat``, ``told_snapshot``): without them nothing is judged.
* ``heard_cut`` tells that a leader handles such word; ``extra`` of ``told_accept``, told from when it is in ``wanted``, is
  (whom it asks, the commit index in the Accept, or None if that may have been kept back).
* A slot is chosen when a quorum has voted for it, or a learner holds it.
* ``told_heartbeat`` names those of whom the leader handled any message within ``DEAF_TIMEOUTS`` election timeouts; or
  None, where a clock fault, a stop or a slow disk may have kept a heartbeat back, or its clock from telling the time.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.decisions import Decisions
from harness.checkers.leaderships import Snapshots
from harness.checkers.oracle import Handler, Sink, show
from harness.checkers.votes import Votes
from harness.record import Ballot

DEAF_TIMEOUTS = 2
"""Election timeouts without a quorum after which none may lead. The rule asks for one: the other is for what was under way."""


class Heartbeats:
    """What leaders tell of themselves. ``Votes``, ``Decisions`` and ``Told`` hear of each event first."""

    def __init__(
        self,
        sink: Sink,
        votes: Votes,
        decisions: Decisions,
        snapshots: Snapshots,
        election_timeout_ns: int,
        wanted: set[str],
    ) -> None:
        """``election_timeout_ns``: 0 if it is not known; then nobody is called deaf. ``wanted``: as for ``Retransmissions``."""
        self.wanted = wanted
        self.sink = sink
        self.votes = votes
        self.decisions = decisions
        self.snapshots = snapshots
        self.deaf_ns = DEAF_TIMEOUTS * election_timeout_ns
        self.prefix = 0
        """Every slot up to this is chosen."""
        self.overtaken: dict[int, tuple[Ballot, int, int]] = {}
        """Agent -> (its ballot, up to which slot it heard that a log was cut, when)."""
        self.leads_since: dict[int, tuple[Ballot, int]] = {}
        self.handlers: dict[str, Handler] = {
            "leader": self.on_leader,
            "told_heartbeat": self.on_told_heartbeat,
            "heard_cut": self.on_heard_cut,
            "told_accept": self.on_told_accept,
            "cut": self.on_cut,
        }

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        self.leads_since[agent] = (ballot, time_ns)

    def on_told_heartbeat(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        """``slot``: the commit index; ``extra``: what is stable, and of which acceptors anything was heard lately."""
        stable, heard = extra
        if slot > self.prefix:
            self._must_be_chosen(agent, time_ns, ballot, slot)
        if stable and agent not in self.snapshots.learners and stable > self.snapshots.by_majority():
            self.sink.add(
                "stable/not-durable",
                f"{self.sink.name(agent)} tells that a majority of the learners has durable snapshots up to slot {stable}; "
                f"they have told that of slot {self.snapshots.by_majority()}",
                time_ns,
                (agent,),
                stable,
                ballot=ballot,
            )
        if heard is not None and self.deaf_ns:
            self._must_hear(agent, time_ns, ballot, heard)

    def _must_be_chosen(self, agent: int, time_ns: int, ballot: Ballot, commit: int) -> None:
        chosen, votes = self.decisions.chosen, self.votes
        while self.prefix < commit:
            slot = self.prefix + 1
            if slot not in chosen and not votes.has_quorum(slot):
                self.sink.add(
                    "commit/not-chosen",
                    f"{self.sink.name(agent)} tells at {show(ballot)} that all slots up to {commit} are chosen, but slot "
                    f"{slot} is not: no quorum voted for one value in one ballot",
                    time_ns,
                    (agent,),
                    slot,
                    ballot=ballot,
                    commit=commit,
                )
                return
            self.prefix = slot

    def on_heard_cut(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        known = self.overtaken.get(agent)
        if known is None or known[0] != ballot or slot > known[1]:
            self.overtaken[agent] = (ballot, slot, time_ns)
            self.wanted.add("told_accept")

    def on_told_accept(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        """``extra``: (whom it asks, the commit index)."""
        _, commit = extra
        if commit is None or agent not in self.overtaken:
            return
        of, floor, since_ns = self.overtaken[agent]
        if of != ballot or commit >= floor:
            del self.overtaken[agent]
        elif time_ns > since_ns:
            self.sink.add(
                "leader/overtaken",
                f"{self.sink.name(agent)} still leads {show(ballot)} with commit index {commit}, "
                f"{(time_ns - since_ns) / 1e9:.3f} s after it heard that all slots up to {floor} are cut",
                time_ns,
                (agent,),
                floor,
                ballot=ballot,
            )

    def _must_hear(self, agent: int, time_ns: int, ballot: Ballot, heard: list[int]) -> None:
        led, since_ns = self.leads_since.get(agent, (ballot, time_ns))
        if led != ballot or time_ns - since_ns <= self.deaf_ns:
            return
        voters = self.votes.voters
        signs = {one for one in (*heard, agent) if one in voters}
        if len(signs) < self.votes.quorum:
            self.sink.add(
                "leader/deaf",
                f"{self.sink.name(agent)} still leads {show(ballot)}, though for {self.deaf_ns / 1e9:g} s it has heard "
                f"{len(signs)} of the {self.votes.quorum} acceptors that make a quorum",
                time_ns,
                (agent,),
                ballot=ballot,
                heard=sorted(signs),
            )

    def on_cut(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        snapshots = self.snapshots
        if snapshots.heard and agent not in snapshots.learners and slot > snapshots.by_majority():
            self.sink.add(
                "cut/not-stable",
                f"{self.sink.name(agent)} cuts its log up to slot {slot}; a majority of the learners has told durable "
                f"snapshots up to slot {snapshots.by_majority()} only",
                time_ns,
                (agent,),
                slot,
            )
