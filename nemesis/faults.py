"""The vocabulary of faults: what can be done to a cluster, as data.

A fault is a record: kind, target, a time *or* a trigger, a length, parameters. It drives the simulator, lockstep and
real processes alike. Each kind stands once in ``KINDS`` with its parameters, their defaults and bounds, and the
sentence a report prints; a new kind is one row here and one method of the port (``port.py``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Device = Literal["process", "link", "disk", "clock"]
Parameter = int | float | str


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fault of a plan. Exactly one of ``at_ns`` and ``trigger`` is set.

    ``after_ns``: how long after its trigger it begins. ``duration_ns`` counts from the moment it begins; 0 = undone at once
    where that makes sense (kill: restarts at once; power cut likewise), -1 = lasts until the final heal.
    """

    kind: str
    target: str = "one"
    at_ns: int | None = None
    trigger: str | None = None
    after_ns: int = 0
    duration_ns: int = 0
    params: dict[str, Parameter] = {}


class ParameterSpec(msgspec.Struct, frozen=True):
    """A parameter of a kind. Its type is that of ``default`` (a whole number also counts as a float)."""

    default: Parameter
    lowest: float | None = None
    highest: float | None = None
    choices: tuple[str, ...] = ()
    """Allowed texts; empty: any."""
    about: str = ""


class Kind(msgspec.Struct, frozen=True):
    name: str
    device: Device
    about: str
    """What it does, and what it does not."""
    sentence: str
    """Template for reports: {targets} and the parameters by name (times are put in as text, such as 120 ms)."""
    params: dict[str, ParameterSpec] = {}
    lasts: bool = True
    """Without a duration it has no effect (a plan must give one); else it may be undone at once, or undoes itself."""


_LONGEST_NS = 10_000_000_000
_PROBABILITY = ParameterSpec(0.3, 0.0, 1.0, about="share of messages")
_JITTER = ParameterSpec(5_000_000, 0, _LONGEST_NS, about="highest further delay, uniform, ns")
_UNSYNCED = ParameterSpec(
    "lost",
    choices=("lost", "torn", "garbled", "scattered", "kept"),
    about="bytes not yet synced: all lost; a random prefix kept; a kept prefix with garbage in it or after it; any of the"
    " writes or sectors kept, the first ones or not; all kept",
)
ALL_CLIENTS = "clients"
"""As the peer of a link fault: the links to and from all clients."""
_LINKS: dict[str, ParameterSpec] = {
    "way": ParameterSpec(
        "both", choices=("both", "in", "out"), about="messages to the target, from the target, or both"
    ),
    "peer": ParameterSpec(
        "",
        about="only messages between the target and this one: name of an agent, or `clients`, which needs"
        " client_links_faulty in the plan",
    ),
}
_LIMIT = ParameterSpec(0, 0, 1_000_000, about="only the first so many messages, over all its links; 0 = no limit")
_FEW_LINKS = {**_LINKS, "limit": _LIMIT}

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("kill", "process", "SIGKILL; restarted when the fault ends.", "kill {targets}", lasts=False),
        Kind("pause", "process", "SIGSTOP; SIGCONT when it ends.", "stop {targets}", lasts=False),
        Kind(
            "stutter",
            "process",
            "Short stops at a duty cycle: the process is slow, not silent.",
            "slow {targets} to {running:.0%} of the time, in steps of {period_ns},",
            {
                "running": ParameterSpec(0.3, 0.01, 0.99, about="share of time it runs"),
                "period_ns": ParameterSpec(40_000_000, 1_000_000, _LONGEST_NS, about="stop + run"),
            },
        ),
        Kind(
            "hog",
            "process",
            "CPU affinity: the process shares one core with busy loops.",
            "make {targets} share a core with {hogs} busy loops",
            {"hogs": ParameterSpec(2, 1, 16, about="busy processes on the same core")},
        ),
        Kind(
            "power",
            "process",
            "Power cut: killed, and bytes of its files that were not synced are treated as `unsynced` says.",
            "cut the power of {targets} (unsynced bytes {unsynced})",
            {"unsynced": _UNSYNCED},
            lasts=False,
        ),
        Kind(
            "partition",
            "link",
            "Messages between the groups are dropped. The shape decides the groups; the target is ignored unless the"
            " shape is isolate or one_way.",
            "partition ({shape}) {targets}",
            {
                "shape": ParameterSpec(
                    "isolate",
                    choices=("isolate", "halves", "majority", "ring", "bridge", "one_way", "holes"),
                    about="the target off; random halves; a random minority off; each voter hears another majority;"
                    " halves joined by one voter; the target can send but not hear, or the other way;"
                    " each directed link on its own",
                ),
                "direction": ParameterSpec(
                    "deaf", choices=("deaf", "mute"), about="one_way: the target hears nothing, or is not heard"
                ),
                "share": ParameterSpec(0.3, 0.0, 1.0, about="holes: share of the directed links that are cut"),
            },
        ),
        Kind(
            "delay",
            "link",
            "Messages to and from the target arrive later.",
            "delay messages of {targets} by {delay_ns} and up to {jitter_ns} more",
            {
                "delay_ns": ParameterSpec(20_000_000, 0, _LONGEST_NS, about="added to each message"),
                "jitter_ns": _JITTER,
                **_FEW_LINKS,
            },
        ),
        Kind(
            "drop",
            "link",
            "Messages to and from the target are lost at random.",
            "lose {probability:.0%} of the messages of {targets}",
            {"probability": _PROBABILITY, **_FEW_LINKS},
        ),
        Kind(
            "duplicate",
            "link",
            "Messages to and from the target arrive twice, the copy later.",
            "duplicate {probability:.0%} of the messages of {targets}, the copy up to {jitter_ns} later,",
            {"probability": _PROBABILITY, "jitter_ns": _JITTER, **_FEW_LINKS},
        ),
        Kind(
            "reorder",
            "link",
            "A share of the messages is held back while later ones overtake them.",
            "hold back {probability:.0%} of the messages of {targets} by up to {jitter_ns}",
            {
                "probability": _PROBABILITY,
                "jitter_ns": ParameterSpec(30_000_000, 0, _LONGEST_NS, about="highest hold, ns"),
                **_FEW_LINKS,
            },
        ),
        Kind(
            "throttle",
            "link",
            "At most so many messages a second pass each link of the target; the rest queue, or are lost where the queue is"
            " too long.",
            "throttle the links of {targets} to {per_second} messages/s",
            {
                "per_second": ParameterSpec(200, 1, 1_000_000, about="messages a second and link"),
                "queue_ns": ParameterSpec(
                    200_000_000, 0, _LONGEST_NS, about="longest wait; what would wait longer is lost"
                ),
                **_LINKS,
            },
        ),
        Kind(
            "corrupt",
            "disk",
            "Flips one byte of a synced record while the target is down: killed, changed, restarted when it ends.",
            "flip a byte in the log of {targets}",
            lasts=False,
        ),
        Kind("disk_full", "disk", "Appends fail with ENOSPC.", "fill the disk of {targets}"),
        Kind(
            "sync_error",
            "disk",
            "The next sync fails with EIO and loses what it covered; the agent stops, and is restarted when it ends.",
            "fail the next sync of {targets}",
        ),
        Kind(
            "slow_sync",
            "disk",
            "Every sync takes longer.",
            "slow the syncs of {targets} by {delay_ns}",
            {"delay_ns": ParameterSpec(50_000_000, 0, _LONGEST_NS, about="added to each sync")},
        ),
        Kind(
            "clock_jump",
            "clock",
            "The target's clock jumps, and jumps back when it ends.",
            "jump the clock of {targets} by {offset_ns}",
            {"offset_ns": ParameterSpec(200_000_000, -_LONGEST_NS, _LONGEST_NS, about="added to its clock")},
        ),
        Kind(
            "clock_drift",
            "clock",
            "The target's clock runs at another rate.",
            "run the clock of {targets} at {rate} times its rate",
            {"rate": ParameterSpec(1.2, 0.1, 10.0, about="seconds of its clock a second")},
        ),
    )
}

TARGETS: dict[str, str] = {
    "one": "one agent at random",
    "minority": "a random minority of the voters",
    "majority": "a random majority of the voters",
    "all": "every agent",
    "leader": "the agent that leads when the fault begins (one at random if none leads)",
    "others": "all agents but the leader (with a trigger: all but the one that triggered it)",
    "it": "the agent that triggered the fault",
    "role:proposer": "one agent of that role at random (also acceptor, learner, replica)",
    "agent:NAME": "that agent; several are joined by commas: agent:r0,r2",
}


def fault_params(fault: Fault) -> dict[str, Parameter]:
    """The fault's parameters, complete: defaults of its kind where it says nothing."""
    return {name: spec.default for name, spec in KINDS[fault.kind].params.items()} | fault.params


TARGET_CLASSES = ("one", "minority", "majority", "all", "leader", "others", "it", "role", "agent", "cluster")
"""What ``target_class`` says: the targets without the names that they bear, and ``cluster`` for what divides all of it."""


def target_class(fault: Fault) -> str:
    """Whom a fault is aimed at, for counting: one of TARGET_CLASSES."""
    return "cluster" if ignores_target(fault) else fault.target.partition(":")[0]


def ignores_target(fault: Fault) -> bool:
    """Whether the fault decides by itself whom it hits: partitions that divide the whole cluster."""
    return fault.kind == "partition" and fault_params(fault)["shape"] not in ("isolate", "one_way")
