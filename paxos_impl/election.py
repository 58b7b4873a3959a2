"""Who leads: the part of a proposer that decides when to try, when to wait and when to give up.

Rules
* Try only after an election timeout without a leader, drawn anew each time (equal timeouts duel for ever).
* **Pre-vote**: ask a quorum whether it would promise before raising the round, so that a node that returns from a
  partition does not depose a healthy leader.
* **Backoff**: after each lost try wait longer, at random (Paxos Made Simple, section 2.4). A poll without a quorum is no lost
  try: it disturbs nobody, and who was cut off must not sleep on after the heal.
* **Next ballot**: a round above every one seen, own node; the round is durable before its Prepare leaves (lastTried).
* **Check-quorum**: a leader that no longer hears a quorum within an election timeout steps down.
* A leader or candidate that sees a higher ballot steps down, and never takes over somebody else's ballot.

States: following -> polling (pre-vote) -> preparing (phase 1) -> leading -> following.
"""

from __future__ import annotations

from paxos_impl.agent import Agent, Context
from paxos_impl.log import RoundRecord
from paxos_impl.messages import NO_BALLOT, Ballot, Heartbeat, HeartbeatReply, Nack, PreVote, PreVoteReply

FOLLOWING, POLLING, PREPARING, LEADING = "following", "polling", "preparing", "leading"
MAX_BACKOFF = 4
"""A wait is shorter than twice as many election timeouts: when messages arrive again, ten are enough to settle who leads."""


class Election(Agent):
    """Timers, pre-vote, backoff, check-quorum. ``Proposer`` adds what a candidate and a leader do."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.state = FOLLOWING
        self.ballot: Ballot = NO_BALLOT
        """Own ballot of the latest try."""
        self.round = 0
        """Highest round known: own tries (durable) and those seen."""
        self.leader: int = -1
        self.leader_ballot: Ballot = NO_BALLOT
        self.polled: Ballot = NO_BALLOT
        """The ballot the latest pre-vote asked about."""
        self.pre_votes: set[int] = set()
        self.failures = 0
        self.wait_ns = 0
        """The election timeout drawn last; every sign of life of the same leader starts it anew."""
        self.beat = 0
        self.heard_ns: dict[int, int] = {}
        self.handlers.update(
            {
                PreVoteReply: self.on_pre_vote_reply,
                Nack: self.on_nack,
                Heartbeat: self.on_heartbeat,
                HeartbeatReply: self.on_heartbeat_reply,
            }
        )
        self.on_timer("election", self.on_election_timeout)
        self.on_timer("heartbeat", self.on_heartbeat_due)

    def start(self) -> None:
        self.await_leader()

    # -- following ----------------------------------------------------------------------------------------------------

    def await_leader(self) -> None:
        self.wait_ns = self.election_wait_ns()
        self.set_timer("election", self.wait_ns)

    def election_wait_ns(self) -> int:
        """Randomised; longer after each failed try."""
        return self.randomised_ns(self.config.election_timeout_ns) * self.backoff_factor()

    def backoff_factor(self) -> int:
        """After lost tries wait longer, at random and bounded (Paxos Made Simple, section 2.4)."""
        if self.failures == 0:
            return 1
        return 1 + int(self.context.draw() * min(MAX_BACKOFF, 1 << min(self.failures, MAX_BACKOFF)))

    def on_heartbeat(self, source: int, message: Heartbeat) -> None:
        self.follow(message.ballot)

    def follow(self, ballot: Ballot) -> None:
        """A leader of ``ballot`` lives. Called for every Heartbeat, and for every Accept in a collapsed replica."""
        if ballot == self.leader_ballot:
            if self.state == FOLLOWING:
                self.set_timer("election", self.wait_ns)
            elif self.state == POLLING:
                self.step_down("the leader lives")
            return
        if self.precedes(ballot, self.leader_ballot):
            return
        if self.state != FOLLOWING and ballot[1] != self.node:
            if self.precedes(ballot, self.ballot) and self.state != POLLING:
                return
            self.step_down(f"ballot {ballot} leads")
        self.note_round(ballot)
        self.leader_ballot = ballot
        self.leader = ballot[1]
        if self.state == FOLLOWING:
            self.failures = 0
            self.await_leader()

    def note_round(self, ballot: Ballot) -> None:
        """Rounds seen count: the next ballot must lie above them."""
        if ballot[0] > self.round:
            self.round = ballot[0]

    # -- pre-vote -----------------------------------------------------------------------------------------------------

    def on_election_timeout(self) -> None:
        if self.state == LEADING:
            return
        if self.state == PREPARING:
            self.on_phase_1_timeout()
            return
        self.ask_for_pre_votes()

    def on_phase_1_timeout(self) -> None:
        """Give this ballot up; the next try takes a higher one."""
        self.step_down("phase 1 took an election timeout")

    def ask_for_pre_votes(self) -> None:
        """A node that was away must not raise its round before a quorum would promise (Ongaro's thesis, section 9.6)."""
        self.state = POLLING
        self.pre_votes = set()
        self.polled = self.next_ballot()
        for acceptor in self.config.acceptors:
            self.send(acceptor, PreVote(self.polled))
        self.await_leader()

    def on_pre_vote_reply(self, source: int, message: PreVoteReply) -> None:
        """A grant counts although it tells of a higher round: phase 1 then takes a round above that one."""
        self.note_round(message.promised)
        if not self.counts_pre_vote(message):
            return
        self.pre_votes.add(source)
        if self.is_quorum(self.pre_votes):
            self.begin_phase_1()

    def counts_pre_vote(self, message: PreVoteReply) -> bool:
        """A grant, and of the ballot asked about now: one of an earlier poll may be out of date."""
        return self.state == POLLING and message.granted and message.ballot == self.polled

    def next_ballot(self) -> Ballot:
        """Above every round seen and every round ever tried, and this node's own (PTP section 2.3, lastTried)."""
        return (self.round + 1, self.node)

    def log_round(self, ballot: Ballot) -> None:
        """The round is durable before its Prepare leaves, or a restart would use the ballot for another value."""
        self.context.log.append(RoundRecord(ballot[0]))

    def begin_phase_1(self) -> None:
        raise AssertionError("the proposer says how")

    # -- leading ------------------------------------------------------------------------------------------------------

    def on_heartbeat_due(self) -> None:
        if self.state != LEADING:
            return
        if not self.hears_quorum():
            self.step_down("no quorum heard for an election timeout")
            return
        self.send_heartbeat()

    def send_heartbeat(self) -> None:
        raise AssertionError("the proposer says what")

    def hears_quorum(self) -> bool:
        """Check-quorum: a leader that can send but not hear must go."""
        since_ns = self.context.now_ns - self.config.election_timeout_ns
        return self.is_quorum([node for node, heard_ns in self.heard_ns.items() if heard_ns >= since_ns])

    def on_clock_set_back(self, by_ns: int) -> None:
        """Who was heard "in the future" would count as heard until then, though it is gone."""
        self.heard_ns = {node: heard_ns - by_ns for node, heard_ns in self.heard_ns.items()}

    def hear(self, source: int) -> None:
        self.heard_ns[source] = self.context.now_ns

    def on_heartbeat_reply(self, source: int, message: HeartbeatReply) -> None:
        if self.is_sign_of_life(source, message):
            self.hear(source)

    def is_sign_of_life(self, source: int, message: HeartbeatReply) -> bool:
        """Check-quorum counts acceptors that follow this very ballot; learners answer too."""
        return self.state == LEADING and message.ballot == self.ballot and source in self.config.acceptors

    def on_nack(self, source: int, message: Nack) -> None:
        self.note_round(message.promised)
        if self.is_refused(message) and self.must_yield(message.promised):
            self.step_down(f"node {source} promised {message.promised}")

    def is_refused(self, message: Nack) -> bool:
        """The refusal is of the ballot this node tries or leads now, not of an earlier one."""
        return self.state in (PREPARING, LEADING) and message.ballot == self.ballot

    def must_yield(self, promised: Ballot) -> bool:
        """A higher ballot is about: this one cannot win any more."""
        return self.precedes(self.ballot, promised)

    def step_down(self, reason: str) -> None:
        """Lead no more, prepare nothing any more, and wait before the next try the longer the more tries have failed."""
        was = self.state
        self.state = FOLLOWING
        if was in (PREPARING, LEADING):
            self.trace("step_down", self.ballot, 0, None, reason)
            self.failures = min(self.failures + 1, 6)
            self.clear_timer("heartbeat")
            self.clear_timer("retransmit")
            self.on_stepped_down()
        if self.leader == self.node:
            self.leader = -1
        self.await_leader()

    def on_stepped_down(self) -> None:
        """Give up what only a leader or candidate holds."""

    # -- recovery -----------------------------------------------------------------------------------------------------

    def recover_round(self, round_: int) -> None:
        """Rounds tried before the restart count (PTP section 2.3, lastTried)."""
        self.round = max(self.round, round_)
