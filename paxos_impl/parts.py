"""The classes an agent is made of. A planted bug is another class in one of these places; nothing else knows of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from paxos_impl.acceptor import Acceptor
from paxos_impl.agent import Agent, Config, Context, Trace
from paxos_impl.client import ClientSession
from paxos_impl.files import Files
from paxos_impl.gate import Gate
from paxos_impl.kv import KeyValueStore
from paxos_impl.learner import Learner
from paxos_impl.log import Log
from paxos_impl.proposer import PromiseBook, Proposer
from paxos_impl.replica import Replica
from paxos_impl.sessions import StateMachine
from paxos_impl.tally import Tally


@dataclasses.dataclass(frozen=True)
class Parts:
    """One class for each place."""

    acceptor: type[Acceptor] = Acceptor
    proposer: type[Proposer] = Proposer
    promise_book: type[PromiseBook] = PromiseBook
    learner: type[Learner] = Learner
    replica: type[Replica] = Replica
    tally: type[Tally] = Tally
    state_machine: type[StateMachine] = StateMachine
    store: type[KeyValueStore] = KeyValueStore
    log: type[Log] = Log
    gate: type[Gate] = Gate
    client: type[ClientSession] = ClientSession

    def make_learner(self, context: Context) -> Learner:
        machine = self.state_machine(self.store(), context.config.max_sessions)
        return self.learner(context, machine, self.tally)

    def make_proposer(self, context: Context) -> Proposer:
        return self.proposer(context, self.promise_book)

    def make_agent(self, context: Context) -> Agent:
        """The agent for the role its configuration names."""
        role = context.config.role
        if role == "replica":
            return self.replica(
                context, self.acceptor(context), self.make_proposer(context), self.make_learner(context)
            )
        if role == "acceptor":
            return self.acceptor(context)
        if role == "proposer":
            return self.make_proposer(context)
        if role == "learner":
            return self.make_learner(context)
        raise ValueError(f"no such role: {role!r}")

    def make_context(
        self, config: Config, files: Files, draw: Callable[[], float], trace: Trace, incarnation: int
    ) -> Context:
        log = self.log(files)
        return Context(config, log, self.gate(config.node, log), draw, trace, incarnation)


CORRECT = Parts()
