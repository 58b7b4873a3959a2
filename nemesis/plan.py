"""A plan: everything a run does, as data. It is the reproducer; a seed only generates one.

All times are nanoseconds of the run's own time (virtual in the simulator). A plan made for the simulator runs free
after its timing is multiplied by ``timing.scale`` (real pauses err by ±10 ms, virtual ones do not).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_type_hints

import msgspec

from nemesis.checks import problems
from nemesis.faults import KINDS, Fault, Parameter
from nemesis.suggest import did_you_mean

PLAN_VERSION = 1
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
DEFAULT_MIX = {"read": 0.35, "local-read": 0.05, "write": 0.3, "cas": 0.15, "delete": 0.05, "append": 0.1}

Deployment = Literal["collapsed", "classic"]
Heal = Literal["all", "majority"]


class Plant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A planted bug that travels with the plan."""

    id: str
    """As in the registry, ``A01``; several joined by ``+`` are planted together; ``FILE.py:ID`` comes from a file."""
    source_hash: str = ""
    """SHA-256 of its source; a mismatch when run is an error, since the plan would reproduce something else."""
    texts: dict[str, str] = {}
    """File, as ``id`` names it -> its text, which is run wherever the file is or whatever became of it."""


class Cluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes part. collapsed: ``nodes`` replicas r0, r1, …; classic: proposers p0…, acceptors a0…, learners l0…"""

    deployment: Deployment = "collapsed"
    nodes: int = 3
    proposers: int = 2
    acceptors: int = 3
    learners: int = 2


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Timeouts of the protocol and the client, in ns of virtual time; real time = virtual × ``scale``."""

    scale: float = 1.0
    heartbeat_ns: int = 20 * MILLISECOND
    election_timeout_ns: int = 100 * MILLISECOND
    """Lowest; each wait is drawn from [1, 2) times this."""
    retransmit_ns: int = 40 * MILLISECOND
    client_retry_ns: int = 60 * MILLISECOND
    """A client sends its request again, to another node, after this."""
    operation_timeout_ns: int = 500 * MILLISECOND
    """After this the client gives up and records ``info``."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of the protocol."""

    window: int = 16
    """Slots in flight."""
    batch_commands: int = 64
    batch_bytes: int = 65_536
    snapshot_every: int = 500
    """Slots applied between snapshots; 0 = never."""
    keep_slots: int = 100
    """Decided values kept below the snapshot, for those a little behind."""
    max_sessions: int = 4096
    """Of clients, kept by each learner. Fewer than clients that ask at the same time: they push out each other's."""
    page_bytes: int = 65_536
    queue_commands: int = 4096
    """Commands that may wait at a leader; what comes then is refused."""
    rounds_kept: int = 256
    """Rounds in the log of a proposer that lives alone, before a checkpoint replaces them."""


class Workload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the clients ask for. Open loop: operations start by the clock, not when the last one ended."""

    clients: int = 8
    """Logical clients; each has at most one operation in flight, the rest of the backlog waits (bounded) or is shed."""
    rate: float = 200.0
    """Operations a second intended, all clients together; 0: each client asks again as soon as it is answered."""
    settle_rate: float = 1.0
    """Simulated: share of ``rate`` that goes on after the heal, where clients need progress, not load."""
    keys: int = 5
    mix: dict[str, float] = msgspec.field(default_factory=lambda: dict(DEFAULT_MIX))
    """Weights of the functions."""
    lists_apart: bool = True
    """Appends have keys of their own; else every function meets every key, and a list may be deleted or written over."""
    value_bytes: int = 16
    operations: int = 0
    """Stop after so many operations; 0 = until the end of the plan."""


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The simulated network when no fault is on. Ignored on real processes, which have a network of their own."""

    latency_ns: int = 1 * MILLISECOND
    jitter_ns: int = 1 * MILLISECOND


class Disk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The disk when no fault is on."""

    sync_ns: int = 500_000
    """Simulated latency of a sync."""
    jitter_ns: int = 500_000
    sync_blocks: bool = False
    """Simulated: an agent waits for its sync, as a real process does, and then takes all that came meanwhile as one batch;
    else it goes on with other events while the sync is under way."""
    kind: Literal["disk", "memory"] = "disk"
    """Real runs: where the logs live (memory: a memory-backed file system; syncs cost nothing)."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int = PLAN_VERSION
    name: str = "torture"
    seed: int = 0
    """Of the random streams drawn while the plan runs (each is named, so removing a fault shifts the rest little)."""
    strategy: str = ""
    """Which strategy generated it; for reading only."""
    duration_ns: int = 4 * SECOND
    """Load and faults end here; everything is healed; then the liveness check begins."""
    settle_ns: int = 2 * SECOND
    """Bound within which, after the heal, every client must make progress and all learners must converge."""
    heal: Heal = "all"
    """What is undone at ``duration_ns``. majority: what keeps a minority down, stopped or cut off stays until every client has
    made progress, which the others must do without it. So does a link that loses all messages (``drop`` with a ``peer``) if
    the others can do without one of its ends: its own leader may be the other one."""
    final_power_cut: bool = True
    """Cut the power of all nodes at the end: what was acknowledged must come back."""
    cluster: Cluster = Cluster()
    timing: Timing = Timing()
    limits: Limits = Limits()
    workload: Workload = Workload()
    network: Network = Network()
    disk: Disk = Disk()
    faults: tuple[Fault, ...] = ()
    mutant: Plant | None = None
    client_links_faulty: bool = False
    """Let link faults also touch the links of clients; then "not leader" is never a definite failure."""


def members(cluster: Cluster) -> list[tuple[str, str]]:
    """(name, role) of every agent of the cluster, in the order of their ids."""
    if cluster.deployment == "collapsed":
        return [(f"r{number}", "replica") for number in range(cluster.nodes)]
    return [
        (f"{role[0]}{number}", role)
        for role, count in (
            ("proposer", cluster.proposers),
            ("acceptor", cluster.acceptors),
            ("learner", cluster.learners),
        )
        for number in range(count)
    ]


def playing(cluster: Cluster, role: str) -> list[str]:
    """Names of the agents that play a role, in the order of their ids; a replica plays all of them."""
    return [name for name, played in members(cluster) if played in (role, "replica")]


def fault_key(plan: Plan, index: int) -> str:
    """Names a fault in the keys of random streams. It stays the same when other faults leave the plan, or when its own
    target, length or parameters are made simpler."""
    keys = [_key(fault) for fault in plan.faults[: index + 1]]
    twins = keys[:-1].count(keys[-1])
    return f"{keys[-1]}#{twins}" if twins else keys[-1]


def _key(fault: Fault) -> str:
    if fault.trigger is None:
        return f"{fault.kind}@{fault.at_ns}"
    return f"{fault.kind}@{fault.trigger}+{fault.after_ns}" if fault.after_ns else f"{fault.kind}@{fault.trigger}"


class PlanError(ValueError):
    """A plan that cannot be run, by its author's mistake. ``problems``: one line each, where and what."""

    def __init__(self, where: str, problems: list[str]) -> None:
        super().__init__("\n  ".join([f"{where} is not a plan that can be run:", *problems]))
        self.where = where
        self.problems = problems


def validate(plan: Plan, where: str = "the plan") -> None:
    """Check everything that a type does not say; raises PlanError with all problems found."""
    if plan.version != PLAN_VERSION:
        raise PlanError(where, [_version_problem(plan.version)])
    found = list(problems(plan, members(plan.cluster), DEFAULT_MIX))
    if found:
        raise PlanError(where, found)


def load_plan(path: Path) -> Plan:
    """The plan in that file, checked. Raises PlanError, or OSError if it cannot be read."""
    return decode_plan(path.read_bytes(), str(path))


def decode_plan(data: bytes, where: str = "the plan") -> Plan:
    """A plan from its JSON text, checked; ``where`` names it in errors. Raises PlanError."""
    try:
        plan = msgspec.json.decode(data, type=Plan)
    except msgspec.ValidationError as error:
        raise PlanError(where, [_newer_version(data) or _type_problem(str(error))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PlanError(where, [_json_problem(str(error), data)]) from None
    validate(plan, where)
    return plan


def _version_problem(version: int) -> str:
    return f"version: this is version {version}; this program reads {PLAN_VERSION}: use the one that wrote it"


def _newer_version(data: bytes) -> str:
    """A plan of a newer version may have fields that this one does not know: then its version is the problem."""
    try:
        plan = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return ""
    version = plan.get("version") if isinstance(plan, dict) else None
    return _version_problem(version) if isinstance(version, int) and version > PLAN_VERSION else ""


def _type_problem(text: str) -> str:
    """``Expected `int`, got `str` - at `$.faults[3].at_ns` `` becomes ``faults[3].at_ns: expected int, got str``."""
    what, _, path = text.partition(" - at `")
    path = path.rstrip("`").removeprefix("$").removeprefix(".")
    what = what.replace("`", "")
    unknown = re.fullmatch(r"Object contains unknown field (\S+)", what)
    if unknown:
        fields = _fields_at(path)
        allowed = ", ".join(fields)
        what = f"unknown field {unknown[1]!r}{did_you_mean(unknown[1], fields)}; allowed: {allowed}"
    choice = re.fullmatch(r"Invalid enum value '(.*)'", what)
    if choice:
        choices = _choices_at(path)
        what = f"unknown value {choice[1]!r}{did_you_mean(choice[1], choices)}; allowed: {', '.join(choices)}"
    return f"{path or 'top level'}: {what[0].lower()}{what[1:]}"


def _fields_at(path: str) -> tuple[str, ...]:
    record: Any = Plan
    for name in re.findall(r"[a-z_]+", path):
        record = {"faults": Fault, "mutant": Plant}.get(name) or type(getattr(Plan(), name))
    return tuple(record.__struct_fields__)


def _choices_at(path: str) -> tuple[str, ...]:
    """The texts that the field at ``path`` may hold."""
    parent, _, name = path.rpartition(".")
    record: Any = type(getattr(Plan(), parent)) if parent else Plan
    return get_args(get_type_hints(record)[name])


def _json_problem(text: str, data: bytes) -> str:
    if not data.strip():
        return "not JSON: the file is empty"
    place = re.search(r"\(byte (\d+)\)", text)
    if place is None and "truncated" not in text:
        return f"not JSON: {text}"
    before = data[: int(place[1])] if place else data
    text = text if place else "the text ends too early"
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return f"line {line}, column {column}: not JSON: {text}"


def scaled(plan: Plan, factor: float) -> Plan:
    """The same plan in a time that runs ``factor`` times slower: times, lengths and timeouts × factor, rates ÷ factor.

    ``timing.scale`` is divided by the factor, so ``scaled(plan, plan.timing.scale)`` is the plan for real processes and
    needs no further scaling. Parameters stay within the bounds of their kind. Raises ValueError unless factor > 0.
    """
    if not factor > 0:
        raise ValueError(f"factor must be positive, not {factor}")
    return msgspec.structs.replace(
        plan,
        duration_ns=round(plan.duration_ns * factor),
        settle_ns=round(plan.settle_ns * factor),
        timing=msgspec.structs.replace(_stretched(plan.timing, factor), scale=plan.timing.scale / factor),
        workload=msgspec.structs.replace(plan.workload, rate=plan.workload.rate / factor),
        network=_stretched(plan.network, factor),
        disk=_stretched(plan.disk, factor),
        faults=tuple(_slower(fault, factor) for fault in plan.faults),
    )


Timed = TypeVar("Timed", Timing, Network, Disk)


def _stretched(record: Timed, factor: float) -> Timed:
    times = {name: getattr(record, name) for name in record.__struct_fields__ if name.endswith("_ns")}
    return msgspec.structs.replace(record, **{name: round(value * factor) for name, value in times.items()})


def _slower(fault: Fault, factor: float) -> Fault:
    params: dict[str, Parameter] = dict(fault.params)
    for name, spec in KINDS[fault.kind].params.items():
        value = params.get(name, spec.default)
        if isinstance(value, str) or not name.endswith(("_ns", "per_second")):
            continue
        stretched = value * factor if name.endswith("_ns") else value / factor
        low = spec.lowest if spec.lowest is not None else stretched
        high = spec.highest if spec.highest is not None else stretched
        params[name] = round(min(max(stretched, low), high))
    return msgspec.structs.replace(
        fault,
        at_ns=None if fault.at_ns is None else round(fault.at_ns * factor),
        after_ns=round(fault.after_ns * factor),
        duration_ns=fault.duration_ns if fault.duration_ns < 0 else round(fault.duration_ns * factor),
        params=params,
    )


def encode_plan(plan: Plan) -> bytes:
    """The plan as JSON text for ``decode_plan``, complete with defaults, so that it means the same when they change."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"
