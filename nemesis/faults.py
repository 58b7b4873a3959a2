"""The vocabulary of faults: what can be done to a cluster, as data.

A fault is a record: kind, target, a time *or* a trigger, a length, parameters. It drives the simulator, lockstep and real
processes alike. Each kind stands once in ``KINDS`` with its parameters, their defaults and bounds, and the sentence a
report prints; a new kind is one row here and one method of the port (``port.py``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Device = Literal["process", "link", "disk", "clock"]
Parameter = int | float | str


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fault of a plan. Exactly one of ``at_ns`` and ``trigger`` is set.

    ``duration_ns`` counts from the moment it begins; 0 = undone at once where that makes sense (kill: restarts at once;
    power cut likewise), -1 = lasts until the final heal.
    """

    kind: str
    target: str = "one"
    at_ns: int | None = None
    trigger: str | None = None
    duration_ns: int = 0
    params: dict[str, Parameter] = {}


class ParameterSpec(msgspec.Struct, frozen=True):
    default: Parameter
    lowest: float | None = None
    highest: float | None = None
    choices: tuple[str, ...] = ()
    about: str = ""


class Kind(msgspec.Struct, frozen=True):
    name: str
    device: Device
    about: str
    """What it does, and what it does not."""
    sentence: str
    """Template for reports: {targets}, {duration} and the parameters by name."""
    params: dict[str, ParameterSpec] = {}


_PROBABILITY = ParameterSpec(0.3, 0.0, 1.0, about="share of messages")
_JITTER = ParameterSpec(5_000_000, 0, 10_000_000_000, about="highest further delay, uniform, ns")
_CUT = ParameterSpec(
    "lost",
    choices=("lost", "torn", "garbled", "kept"),
    about="what becomes of bytes not yet synced: all lost, a random prefix kept, kept prefix with garbage after it, all kept",
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("kill", "process", "SIGKILL; restarted when the fault ends.", "kill {targets}, restart after {duration}"),
        Kind("pause", "process", "SIGSTOP; SIGCONT when it ends.", "stop {targets} for {duration}"),
        Kind(
            "stutter",
            "process",
            "Short stops at a duty cycle: the process is slow, not silent.",
            "slow {targets} to {running:.0%} of the time for {duration}",
            {
                "running": ParameterSpec(0.3, 0.01, 0.99, about="share of time it runs"),
                "period_ns": ParameterSpec(40_000_000, 1_000_000, 10_000_000_000, about="stop + run"),
            },
        ),
        Kind(
            "hog",
            "process",
            "CPU affinity: the process shares one core with busy loops.",
            "make {targets} share a core with {hogs} busy loops for {duration}",
            {"hogs": ParameterSpec(2, 1, 16, about="busy processes on the same core")},
        ),
        Kind(
            "power",
            "process",
            "Power cut: killed, and bytes of its files that were not synced are treated as `unsynced` says.",
            "cut the power of {targets} (unsynced bytes {unsynced}) for {duration}",
            {"unsynced": _CUT},
        ),
        Kind(
            "partition",
            "link",
            "Messages between the groups are dropped. The shape decides the groups; the target is ignored unless shape is isolate or one_way.",
            "partition ({shape}) {targets} for {duration}",
            {
                "shape": ParameterSpec(
                    "isolate",
                    choices=("isolate", "halves", "majority", "ring", "bridge", "one_way"),
                    about="isolate the target; random halves; random minority off; majorities-ring; bridge; target can send but not hear or the other way",
                ),
                "direction": ParameterSpec("deaf", choices=("deaf", "mute"), about="one_way: the target hears nothing, or is not heard"),
            },
        ),
        Kind(
            "delay",
            "link",
            "Messages to and from the target arrive later.",
            "delay messages of {targets} by {delay_ns} ns + up to {jitter_ns} ns for {duration}",
            {"delay_ns": ParameterSpec(20_000_000, 0, 10_000_000_000, about="added to each message"), "jitter_ns": _JITTER},
        ),
        Kind("drop", "link", "Messages to and from the target are lost at random.", "lose {probability:.0%} of the messages of {targets} for {duration}", {"probability": _PROBABILITY}),
        Kind(
            "duplicate",
            "link",
            "Messages to and from the target arrive twice, the copy later.",
            "duplicate {probability:.0%} of the messages of {targets} for {duration}",
            {"probability": _PROBABILITY, "jitter_ns": _JITTER},
        ),
        Kind(
            "reorder",
            "link",
            "A share of the messages is held back while later ones overtake them.",
            "hold back {probability:.0%} of the messages of {targets} by up to {jitter_ns} ns for {duration}",
            {"probability": _PROBABILITY, "jitter_ns": ParameterSpec(30_000_000, 0, 10_000_000_000, about="highest hold, ns")},
        ),
        Kind(
            "throttle",
            "link",
            "At most so many messages a second pass each link of the target; the rest queue, beyond a bound they are lost.",
            "throttle links of {targets} to {per_second} messages/s for {duration}",
            {"per_second": ParameterSpec(200, 1, 1_000_000, about="messages a second and link")},
        ),
        Kind(
            "corrupt",
            "disk",
            "Flips one byte of a synced record while the target is down: killed, changed, restarted when it ends.",
            "flip a byte in the log of {targets}",
        ),
        Kind("disk_full", "disk", "Appends fail with ENOSPC.", "fill the disk of {targets} for {duration}"),
        Kind("sync_error", "disk", "The next sync fails with EIO and loses what it covered.", "fail the next sync of {targets}"),
        Kind(
            "slow_sync",
            "disk",
            "Every sync takes longer.",
            "slow the syncs of {targets} by {delay_ns} ns for {duration}",
            {"delay_ns": ParameterSpec(50_000_000, 0, 10_000_000_000, about="added to each sync")},
        ),
        Kind(
            "clock_jump",
            "clock",
            "The target's clock jumps, and jumps back when it ends.",
            "jump the clock of {targets} by {offset_ns} ns for {duration}",
            {"offset_ns": ParameterSpec(200_000_000, -10_000_000_000, 10_000_000_000, about="added to its clock")},
        ),
        Kind(
            "clock_drift",
            "clock",
            "The target's clock runs at another rate.",
            "run the clock of {targets} at {rate} for {duration}",
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
