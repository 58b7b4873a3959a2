"""From a plan to the configuration of its agents and clients. The same for every world."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec

from nemesis.plan import Plan
from paxos_impl.agent import Config
from paxos_impl.client import ClientConfig
from paxos_impl.parts import CORRECT, Parts


class AgentSpec(msgspec.Struct, frozen=True):
    """One agent of the cluster: ``id`` is its place in the list and its address."""

    id: int
    name: str
    role: str


def agent_specs(plan: Plan) -> list[AgentSpec]:
    """Replicas r0…; or proposers p0…, acceptors a0…, learners l0…"""
    cluster = plan.cluster
    if cluster.deployment == "collapsed":
        groups = [("replica", "r", cluster.nodes)]
    else:
        groups = [
            ("proposer", "p", cluster.proposers),
            ("acceptor", "a", cluster.acceptors),
            ("learner", "l", cluster.learners),
        ]
    names = [(f"{letter}{number}", role) for role, letter, count in groups for number in range(count)]
    return [AgentSpec(agent, name, role) for agent, (name, role) in enumerate(names)]


def agents_playing(plan: Plan, role: str) -> tuple[int, ...]:
    """Ids of the agents that play ``role``; replicas play every role."""
    return tuple(spec.id for spec in agent_specs(plan) if spec.role in (role, "replica"))


def make_config(plan: Plan, agent: int) -> Config:
    """What that agent knows of its cluster. Times are taken as the plan says; scale the plan before, for real time."""
    specs = agent_specs(plan)
    timing, limits = plan.timing, plan.limits
    return Config(
        node=agent,
        role=specs[agent].role,
        names=tuple(spec.name for spec in specs),
        proposers=agents_playing(plan, "proposer"),
        acceptors=agents_playing(plan, "acceptor"),
        learners=agents_playing(plan, "learner"),
        collapsed=plan.cluster.deployment == "collapsed",
        heartbeat_ns=timing.heartbeat_ns,
        election_timeout_ns=timing.election_timeout_ns,
        retransmit_ns=timing.retransmit_ns,
        window=limits.window,
        batch_commands=limits.batch_commands,
        batch_bytes=limits.batch_bytes,
        snapshot_every=limits.snapshot_every,
        keep_slots=limits.keep_slots,
        max_sessions=limits.max_sessions,
        page_bytes=limits.page_bytes,
        queue_commands=limits.queue_commands,
        rounds_kept=limits.rounds_kept,
    )


def make_client_config(plan: Plan) -> ClientConfig:
    return ClientConfig(
        servers=agents_playing(plan, "proposer"),
        readers=agents_playing(plan, "learner"),
        retry_ns=plan.timing.client_retry_ns,
        timeout_ns=plan.timing.operation_timeout_ns,
        links_may_duplicate=plan.client_links_faulty,
    )


def make_parts(plan: Plan) -> Parts:
    """The classes to run: the correct ones, or those of the plan's planted bug (checked by id and source hash). A bug of a file
    is read from the text in the plan, if it is there. Raises MutantError."""
    if plan.mutant is None:
        return CORRECT
    from paxos_impl.mutants.registry import MutantError, find, plant

    shown, name = {}, []
    for one in plan.mutant.id.split("+"):
        path, _, bug = one.rpartition(":")
        text = plan.mutant.texts.get(path)
        name.append(one if text is None else f"{_carried(path, text)}:{bug}")
        shown[name[-1]] = one
    try:
        return plant(find("+".join(name), plan.mutant.source_hash))
    except MutantError as error:
        told = str(error)
        for carried, one in shown.items():
            told = told.replace(carried, one)
        raise MutantError(told) from error


def _carried(path: str, text: str) -> str:
    """The name under which the registry now finds this text: another one for each text, so that runs do not mix them up."""
    from paxos_impl.mutants.registry import carry

    name = str(Path(f"{path}@{sha256(text.encode()).hexdigest()[:8]}"))
    carry(name, text)
    return name
