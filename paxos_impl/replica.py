"""Replica: the collapsed deployment. One process plays all roles, with the same role code and one log.

The roles talk to each other by messages to the own node, which wait at the gate like all others. Only what needs no
durability passes directly, through the household: the learner takes what the proposer counted as chosen, the acceptor's
votes tell the learner which values a leader's commit index confirms, and chosen values go into the acceptor's promises.
"""

from __future__ import annotations

from paxos_impl.acceptor import Acceptor
from paxos_impl.agent import Agent, Context, Household
from paxos_impl.election import LEADING
from paxos_impl.learner import Learner
from paxos_impl.log import AnyRecord, Checkpoint
from paxos_impl.messages import Accept, Ballot, Command, Heartbeat, Value
from paxos_impl.proposer import Proposer
from paxos_impl.sessions import Outcome


class Replica(Agent, Household):
    role = "replica"

    def __init__(self, context: Context, acceptor: Acceptor, proposer: Proposer, learner: Learner) -> None:
        super().__init__(context)
        self.acceptor = acceptor
        self.proposer = proposer
        self.learner = learner
        self.noted: dict[tuple[int, Ballot], int] = {}
        """(leader, ballot) -> commit index of its last Accept, not yet made use of."""
        acceptor.household = proposer.household = learner.household = self
        learner.votes = acceptor.votes
        acceptor.decided = learner.decided
        self.handlers = {**acceptor.handlers, **learner.handlers, **proposer.handlers}
        self.handlers[Accept] = self.on_accept
        self.handlers[Heartbeat] = self.on_heartbeat

    def start(self) -> None:
        self.proposer.start()

    def applied_slot(self) -> int:
        return self.learner.applied

    def state_digest(self) -> int | None:
        return self.learner.state_digest()

    # -- messages that concern several roles --------------------------------------------------------------------------

    def on_accept(self, source: int, message: Accept) -> None:
        self.acceptor.on_accept(source, message)
        if self.acceptor.promised == message.ballot:
            self.proposer.follow(message.ballot)
        if source != self.node:
            self.noted[source, message.ballot] = message.commit

    def rest(self) -> None:
        """Learn what the leaders' Accepts say is chosen: only now, since the leader waits for the vote, and nobody for this."""
        if self.noted:
            noted, self.noted = self.noted, {}
            for (source, ballot), commit in noted.items():
                self.learner.note_commit(source, ballot, commit)

    def on_heartbeat(self, source: int, message: Heartbeat) -> None:
        self.acceptor.on_heartbeat(source, message)
        self.proposer.on_heartbeat(source, message)
        self.learner.on_heartbeat(source, message)

    def flush(self) -> None:
        self.proposer.flush()
        if self.learner.checkpoint_wanted and not self.context.log.checkpointing:
            self.learner.checkpoint_wanted = False
            self.context.log.start_checkpoint(self.checkpoint())

    # -- bounded log --------------------------------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """State, promise, round, live votes and what is chosen behind the snapshot: all this process must know."""
        learner = self.learner
        slot = learner.snapshot_slot
        chosen = tuple((at, value) for at, value in sorted(learner.decided.items()) if at > slot)
        return self.acceptor.checkpoint(slot, learner.snapshot_data, self.proposer.round, chosen)

    def on_checkpoint_durable(self, slot: int) -> None:
        """The learner cuts behind its durable snapshot, and the acceptor as far as the learner."""
        self.learner.on_checkpoint_durable(slot)
        self.acceptor.cut(self.learner.floor)

    def on_clock_set_back(self, by_ns: int) -> None:
        for role in (self.acceptor, self.proposer, self.learner):
            role.on_clock_set_back(by_ns)

    # -- household ----------------------------------------------------------------------------------------------------

    def progress(self) -> tuple[int, int]:
        """(slots applied, slots covered by a durable snapshot)"""
        return self.learner.applied, self.learner.durable_slot

    def chosen_in_log(self) -> int:
        """The learner knows up to which slot all is chosen and stands in the log they share."""
        return self.learner.chosen_in_log()

    def learned(self) -> int | None:
        """Every slot up to this was learned here: phase 1 may leave these out."""
        return self.learner.learned

    def learn(self, slot: int, ballot: Ballot | None, value: Value) -> bool:
        self.learner.learn(slot, ballot, value)
        return True

    def outcome_of(self, command: Command) -> Outcome | None:
        """What the learner's sessions remember of a command that was executed already."""
        return self.learner.machine.cached(command)

    def behind(self, source: int, floor: int) -> None:
        self.learner.hear_commit(source, floor)

    def news_ns(self) -> int:
        return self.learner.news_ns

    def answers_clients(self) -> bool:
        """While it leads: the others apply the same, and say nothing."""
        return self.proposer.state == LEADING

    # -- recovery -----------------------------------------------------------------------------------------------------

    def recover(self, checkpoint: Checkpoint, records: list[AnyRecord]) -> None:
        self.acceptor.recover(checkpoint, records)
        self.proposer.recover(checkpoint, records)
        self.learner.recover(checkpoint, records)
