"""Protocol invariants, fed event by event: in the simulator while it runs, or from a recorded trace merged by time.

What is assumed of the events
-----------------------------
* An event is observed before any message that follows from it is received: of one clock, with links slower than its tick.
* ``promised`` and ``accepted`` tell that the record was *appended*. It may be lost in a power cut as long as it is not
  synced, and nothing was told to anybody until then. So a vote or promise that is missing after a restart is no
  violation by itself. ``recovered`` is the truth about what the acceptor holds from then on, also when it shows *more*
  than was traced (killed between the append and its trace).

Rules (``oracle/rule``), by the file that judges them and tells their sources
-----------------------------------------------------------------------------
* ``ballots.py``: ballot/not-owner, ballot/reused, ballot/not-led, ballot/below-phase-1, ballot/forgotten
* ``promises.py``: promise/lowered, promise/broken, promise/no-quorum, promise/forgotten
* ``votes.py``: vote/two-values, vote/unsafe-value, vote/contradicts-quorum, vote/forgotten, decision/no-quorum
* ``decisions.py``: decision/two-values, decision/not-chosen, decision/order, decision/forgotten, decision/outcomes,
  decision/states
* ``told.py``, where it is seen what leaves an acceptor: promise/forgotten, promise/incomplete, vote/forgotten,
  snapshot/forgotten
* ``durable_votes.py``, where syncs are seen: decision/not-durable, vote/not-durable
* ``durable_promises.py``, where syncs are seen, and what leaves an agent: promise/not-durable, ballot/not-durable
* ``returned_votes.py``, where syncs are seen: vote/returned
* ``open_slots.py``, where leaders are learners, online: proposal/window
* ``leaderships.py``, online: phase-1/uncovered, proposal/gap
* ``heartbeats.py``, online, where it is seen what leaves a leader: commit/not-chosen, stable/not-durable, cut/not-stable,
  leader/deaf, leader/overtaken
* ``catch_ups.py``, online, where messages are seen to arrive and leave: catch-up/unanswered,
  catch-up/one-peer
* ``retransmissions.py``, online, where messages are seen to arrive and leave: proposal/not-repeated
* ``heard.py``, online, where messages are seen to arrive: promise/not-heard
* ``counted.py``, online, where messages are seen to arrive: decision/not-heard, decision/not-voted
* ``elections.py``, online, where it is seen what leaves an agent: election/no-pre-vote, election/granted-too-soon,
  election/idle
* ``answers.py``, online, where requests and answers are seen: answer/not-executed, answer/refused,
  proposal/twice

Cost: little, since values are compared by identity first; the last ``benchmarks/checkers.py`` stands in docs/benchmarks.md.
State grows with the number of slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.checkers.answers import Answers
from harness.checkers.ballots import Ballots
from harness.checkers.catch_ups import CatchUps
from harness.checkers.counted import Counted
from harness.checkers.decisions import Decisions
from harness.checkers.durable_promises import DurablePromises
from harness.checkers.durable_votes import DurableVotes
from harness.checkers.elections import Elections
from harness.checkers.heard import Heard
from harness.checkers.heartbeats import Heartbeats
from harness.checkers.leaderships import Leaderships, Snapshots
from harness.checkers.open_slots import OpenSlots
from harness.checkers.oracle import Handler, Sink, in_turn
from harness.checkers.promises import Promises
from harness.checkers.recall import Recall
from harness.checkers.retransmissions import Retransmissions
from harness.checkers.returned_votes import ReturnedVotes
from harness.checkers.situations import Situations
from harness.checkers.told import Told
from harness.checkers.votes import Votes


class OnlineOracles:
    """All protocol oracles behind one call. ``violations`` grows as they fire (bounded, the first come first)."""

    def __init__(
        self,
        voters: frozenset[int],
        quorum: int,
        names: Mapping[int, str] | None = None,
        first: Mapping[str, Handler] | None = None,
        window: int = 0,
        learners: Sequence[int] = (),
        election_timeout_ns: int = 0,
        retransmit_ns: int = 0,
        blocked_ns: int = 0,
    ) -> None:
        """``voters``: ids of the acceptors; ``quorum``: votes that choose; ``names``: agent id -> name, for sentences;
        ``first``: as for ``Decisions``; ``window``: as for ``OpenSlots``, 0: not judged; ``learners``: ids of those.
        Without them nothing is judged that needs the very order of the steps of one moment, as it is seen online only;
        ``election_timeout_ns``: as for ``Heartbeats``; ``retransmit_ns``, ``blocked_ns``: as for
        ``Retransmissions``."""
        sink = Sink(names)
        self.violations = sink.violations
        ballots = Ballots(sink)
        promises = Promises(sink, voters, quorum, ballots)
        votes = Votes(sink, voters, quorum, promises)
        durable = DurableVotes(sink, votes)
        decisions = Decisions(sink, votes, durable, first or {})
        self._standings = decisions.standings
        self.situations, answers = Situations(decisions, durable), Answers(sink, votes)
        hear_first = (self.situations.on_first_applied, decisions.first_applied)
        decisions.first_applied = in_turn((answers.on_first_applied, *hear_first) if learners else hear_first)
        self.handlers: dict[str, tuple[Handler, ...]] = {}
        self.wanted: set[str] = set()
        """Kinds of events that are told only from when somebody wants them, for there are many."""
        returned, told = ReturnedVotes(sink, promises, votes, durable), Told(sink, votes)
        self.recall = Recall(ballots, decisions, told)
        self.add(self.situations.handlers)
        for oracle in (returned, ballots, promises, votes, told, decisions, durable):
            self.add(oracle.handlers)
        if learners:
            snapshots = Snapshots(learners, told)
            leaderships = Leaderships(sink, votes, decisions, snapshots)
            heartbeats = Heartbeats(sink, votes, decisions, snapshots, election_timeout_ns, self.wanted)
            elections = Elections(sink, promises, election_timeout_ns)
            catch_ups = CatchUps(sink, decisions, learners, election_timeout_ns)
            heard, counted, told_first = Heard(sink), Counted(sink, votes), DurablePromises(sink, promises)
            repeats = Retransmissions(sink, counted, decisions, retransmit_ns, blocked_ns, self.wanted)
            for late in (leaderships, heartbeats, elections, answers, told_first, heard, counted, catch_ups, repeats):
                self.add(late.handlers)
        if window:
            self.add(OpenSlots(sink, window, decisions).handlers)

    def add(self, handlers: Mapping[str, Handler]) -> None:
        """Let somebody else hear of traced steps, behind those that are here already."""
        for kind, handler in handlers.items():
            self.handlers[kind] = (*self.handlers.get(kind, ()), handler)

    def positions(self) -> dict[int, tuple[int, int]]:
        """Agent -> (incarnation, slot its state covers)."""
        standings = self._standings.items()
        return {agent: (one.incarnation, one.slot) for agent, one in standings if one.incarnation >= 0}

    def observe(
        self,
        agent: int,
        incarnation: int,
        time_ns: int,
        kind: str,
        ballot: Any = None,
        slot: int = 0,
        value: Any = None,
        extra: Any = None,
    ) -> None:
        """One traced step, in the order of time. Kinds that no oracle wants cost one look-up."""
        for handler in self.handlers.get(kind, ()):
            handler(agent, incarnation, time_ns, ballot, slot, value, extra)
