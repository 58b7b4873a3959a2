"""Who is hit: a fault's target, resolved to agents at the moment the fault begins.

Rules
-----
* *Voters* are the agents that count for a quorum: replicas and acceptors. Minority and majority are counted over them:
  of 5 voters a minority is 2 and a majority 3, the sizes at the edge of a quorum.
* A replica plays every role, so ``role:acceptor`` finds replicas in the collapsed deployment.
* Random targets are drawn among the agents that are up as long as there are any: killing the dead is no fault. Agents
  named outright are taken as they are.
* Drawn from a stream of the fault's own, in the order of agent ids: the same plan in the same state hits the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from nemesis.draws import Draw, choice, sample
from nemesis.port import AgentView

VOTING_ROLES = frozenset({"replica", "acceptor"})
LEADING_ROLES = frozenset({"replica", "proposer"})


def voters(agents: Sequence[AgentView]) -> list[AgentView]:
    return [agent for agent in agents if agent.role in VOTING_ROLES]


def minority_size(voting: int) -> int:
    """The most voters that can fail while a majority is left: 3 -> 1, 4 -> 1, 5 -> 2."""
    return (voting - 1) // 2


def majority_size(voting: int) -> int:
    return voting // 2 + 1


def plays(agent: AgentView, role: str) -> bool:
    """Whether the agent plays that role; a replica plays all of them."""
    return agent.role in (role, "replica")


def resolve(
    target: str,
    agents: Sequence[AgentView],
    *,
    leader: int | None,
    it: int | None,
    draw: Draw,
) -> list[int]:
    """Agent ids that ``target`` (see ``faults.TARGETS``) means now, in rising order; empty if nobody fits.

    ``it``: the agent that triggered the fault. Raises ValueError for a target that the vocabulary does not know.
    """
    views = sorted(agents, key=lambda view: view.id)

    def some(of: Sequence[AgentView], count: int) -> list[int]:
        among = [view for view in of if view.up] or of
        return sorted(view.id for view in sample(draw, among, count))

    if target == "one":
        return some(views, 1)
    if target == "minority":
        return some(voters(views), minority_size(len(voters(views))))
    if target == "majority":
        return some(voters(views), majority_size(len(voters(views))))
    if target == "all":
        return [view.id for view in views]
    if target == "leader":
        return [leader] if leader is not None else some(_who_could_lead(views), 1)
    if target == "others":
        spared = it if it is not None else leader
        if spared is None and views:
            spared = choice(draw, _who_could_lead(views)).id
        return [view.id for view in views if view.id != spared]
    if target == "it":
        return [it] if it is not None else []
    kind, _, name = target.partition(":")
    if kind == "role":
        return some([view for view in views if plays(view, name)], 1)
    if kind == "agent":
        names = name.split(",")
        return [view.id for view in views if view.name in names]
    raise ValueError(f"unknown target {target!r}")


def _who_could_lead(views: Sequence[AgentView]) -> list[AgentView]:
    return [view for view in views if view.role in LEADING_ROLES] or list(views)
