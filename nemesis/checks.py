"""What makes a plan impossible to carry out: each rule a plan must keep, and the sentence that says it was broken.

Each problem is one line: where (a path such as ``faults[3].at_ns``), what is wrong, what is allowed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from nemesis.faults import ALL_CLIENTS, KINDS, TARGETS, Fault, Parameter, ParameterSpec
from nemesis.suggest import did_you_mean
from nemesis.triggers import ROLES, TriggerError, parse_trigger

if TYPE_CHECKING:
    from nemesis.plan import Plan

HIGHEST_NODES = 25
LONGEST_NS = 7 * 24 * 3600 * 1_000_000_000
"""A week: what lasts longer is a slip of the pen."""
HIGHEST_MESSAGE_BYTES = 131_072
"""A message must stay below: one frame of the switchboard."""

_POSITIVE = (
    "duration_ns",
    "cluster.nodes",
    "cluster.proposers",
    "cluster.acceptors",
    "cluster.learners",
    "timing.scale",
    "timing.heartbeat_ns",
    "timing.election_timeout_ns",
    "timing.retransmit_ns",
    "timing.client_retry_ns",
    "timing.operation_timeout_ns",
    "limits.window",
    "limits.batch_commands",
    "limits.batch_bytes",
    "limits.max_sessions",
    "limits.page_bytes",
    "limits.queue_commands",
    "limits.rounds_kept",
    "workload.clients",
    "workload.keys",
    "workload.value_bytes",
    "workload.settle_rate",
)
_NOT_NEGATIVE = (
    "settle_ns",
    "limits.snapshot_every",
    "limits.keep_slots",
    "workload.operations",
    "workload.rate",
    "network.latency_ns",
    "network.jitter_ns",
    "disk.sync_ns",
    "disk.jitter_ns",
)
_AT_MOST = {
    "cluster.nodes": HIGHEST_NODES,
    "cluster.proposers": HIGHEST_NODES,
    "cluster.acceptors": HIGHEST_NODES,
    "cluster.learners": HIGHEST_NODES,
    "limits.batch_bytes": HIGHEST_MESSAGE_BYTES,
    "limits.page_bytes": HIGHEST_MESSAGE_BYTES,
    "workload.value_bytes": HIGHEST_MESSAGE_BYTES // 2,
    "workload.clients": 10_000,
    "workload.keys": 100_000,
    "duration_ns": LONGEST_NS,
    "settle_ns": LONGEST_NS,
    "timing.scale": 10_000,
}
_NAME = re.compile(r"\w[\w.-]*")
"""A name becomes a directory of the store, and nothing outside of it."""


def problems(plan: Plan, members: list[tuple[str, str]], functions: Iterable[str]) -> Iterator[str]:
    """All problems of a plan. ``members``: (name, role) of its agents; ``functions``: those a workload may ask for."""
    if not is_name(plan.name):
        yield f"name: {plan.name!r} cannot name a directory; use letters, digits, '.', '_' and '-'"
    for path in _POSITIVE:
        if not _value(plan, path) > 0:
            yield f"{path}: must be positive, not {_value(plan, path)}"
    for path in _NOT_NEGATIVE:
        if _value(plan, path) < 0:
            yield f"{path}: must not be negative: {_value(plan, path)}"
    if not math.isfinite(plan.workload.rate):
        yield f"workload.rate: must be a finite number, not {plan.workload.rate}"
    for path, highest in _AT_MOST.items():
        if _value(plan, path) > highest:
            yield f"{path}: must be at most {highest}, not {_value(plan, path)}"
    if plan.timing.heartbeat_ns >= plan.timing.election_timeout_ns:
        yield (
            f"timing.heartbeat_ns: {plan.timing.heartbeat_ns} must be less than election_timeout_ns"
            f" ({plan.timing.election_timeout_ns}), or no leader lasts"
        )
    yield from _mix(plan.workload.mix, list(functions))
    if plan.mutant is not None and not plan.mutant.id:
        yield "mutant.id: names no planted bug"
    for index, fault in enumerate(plan.faults):
        yield from _fault(f"faults[{index}]", fault, plan.duration_ns, members)
        if fault.params.get("peer") == ALL_CLIENTS and not plan.client_links_faulty:
            yield f"faults[{index}].params.peer: no fault touches the links of clients; set client_links_faulty to true"


def is_name(text: str) -> bool:
    """Whether runs may be kept under that name."""
    return _NAME.fullmatch(text) is not None


def _value(plan: Plan, path: str) -> float:
    found: object = plan
    for name in path.split("."):
        found = getattr(found, name)
    assert isinstance(found, (int, float))
    return found


def _mix(mix: dict[str, float], functions: list[str]) -> Iterator[str]:
    for name, weight in mix.items():
        if name not in functions:
            yield f"workload.mix: unknown function {name!r}{did_you_mean(name, functions)}; allowed: {_list(functions)}"
        elif not 0 <= weight < math.inf:
            yield f"workload.mix.{name}: must be finite and not negative: {weight}"
    if not any(weight > 0 for weight in mix.values()):
        yield "workload.mix: asks for nothing; give one function a positive weight"


def _fault(where: str, fault: Fault, plan_ns: int, members: list[tuple[str, str]]) -> Iterator[str]:
    kind = KINDS.get(fault.kind)
    if kind is None:
        yield f"{where}.kind: unknown fault {fault.kind!r}{did_you_mean(fault.kind, KINDS)}; allowed: {_list(KINDS)}"
    if fault.at_ns is not None and fault.trigger is not None:
        yield f"{where}: has both at_ns and trigger; a fault begins at a time or at a trigger, leave one out"
    elif fault.at_ns is not None:
        if fault.at_ns < 0:
            yield f"{where}.at_ns: must not be negative: {fault.at_ns}"
        elif fault.at_ns >= plan_ns > 0:
            yield f"{where}.at_ns: {fault.at_ns} is not before the end of the plan (duration_ns {plan_ns})"
    elif fault.trigger is not None:
        yield from _trigger(f"{where}.trigger", fault.trigger, members)
    else:
        yield f"{where}: has neither at_ns nor trigger; say when it begins"
    if fault.after_ns < 0:
        yield f"{where}.after_ns: must not be negative: {fault.after_ns}"
    elif fault.after_ns > 0 and fault.trigger is None:
        yield f"{where}.after_ns: counts from a trigger, and this fault begins at a time; add it to at_ns"
    if fault.duration_ns < -1:
        yield f"{where}.duration_ns: must be at least 0, or -1 (until the final heal), not {fault.duration_ns}"
    elif fault.duration_ns == 0 and kind is not None and kind.lasts:
        yield f"{where}.duration_ns: a {kind.name} of no length does nothing; give a length, or -1 (until the end)"
    yield from _target(f"{where}.target", fault, members)
    if kind is not None:
        for name, value in fault.params.items():
            spec = kind.params.get(name)
            if spec is None:
                allowed = _list(kind.params) or "none"
                suggestion = did_you_mean(name, kind.params)
                yield f"{where}.params: {kind.name} has no parameter {name!r}{suggestion}; allowed: {allowed}"
            else:
                yield from _parameter(f"{where}.params.{name}", spec, value)
                if name == "peer" and value not in ("", ALL_CLIENTS, *dict(members)):
                    yield _no_agent(f"{where}.params.peer", str(value), members)


def _parameter(where: str, spec: ParameterSpec, value: Parameter) -> Iterator[str]:
    if isinstance(spec.default, str):
        if not isinstance(value, str):
            yield f"{where}: expected a text, got {value!r}"
        elif spec.choices and value not in spec.choices:
            yield f"{where}: unknown value {value!r}{did_you_mean(value, spec.choices)}; allowed: {_list(spec.choices)}"
        return
    if isinstance(value, str) or (isinstance(spec.default, int) and not isinstance(value, int)):
        wanted = "a whole number" if isinstance(spec.default, int) else "a number"
        yield f"{where}: expected {wanted}, got {value!r}"
        return
    if spec.lowest is not None and value < spec.lowest:
        yield f"{where}: must be at least {spec.lowest:.15g}, not {value}"
    if spec.highest is not None and value > spec.highest:
        yield f"{where}: must be at most {spec.highest:.15g}, not {value}"


def _target(where: str, fault: Fault, members: list[tuple[str, str]]) -> Iterator[str]:
    kind, colon, name = fault.target.partition(":")
    simple = [target for target in TARGETS if ":" not in target]
    if colon and kind == "role":
        yield from _role(where, name, members)
    elif colon and kind == "agent":
        for one in name.split(","):
            if one not in dict(members):
                yield _no_agent(where, one, members)
    elif fault.target not in simple:
        suggestion = did_you_mean(fault.target, simple)
        yield f"{where}: unknown target {fault.target!r}{suggestion}; allowed: {_list(simple)}, role:ROLE, agent:NAME"
    elif fault.target == "it" and fault.trigger is None:
        yield f"{where}: 'it' is the agent that triggered the fault, and this one begins at a time; use a trigger"


def _trigger(where: str, text: str, members: list[tuple[str, str]]) -> Iterator[str]:
    try:
        trigger = parse_trigger(text)
    except TriggerError as error:
        yield f"{where}: {error}"
        return
    if trigger.role:
        yield from _role(where, trigger.role, members)
    if trigger.agent and trigger.agent not in dict(members):
        yield _no_agent(where, trigger.agent, members)


def _role(where: str, role: str, members: list[tuple[str, str]]) -> Iterator[str]:
    if role not in ROLES:
        yield f"{where}: unknown role {role!r}{did_you_mean(role, ROLES)}; allowed: {_list(ROLES)}"
    elif not any(played in (role, "replica") for _, played in members):
        yield f"{where}: no agent of this cluster is a {role}; its agents: {_list(dict(members))}"


def _no_agent(where: str, name: str, members: list[tuple[str, str]]) -> str:
    return f"{where}: no agent is named {name!r}; the cluster's agents: {_list(dict(members))}"


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)
