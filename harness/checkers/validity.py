"""Validity: only what clients asked for is chosen, word for word, and not before they asked. No-ops are allowed, and batches
that are not longer than the plan lets them be.

Needs the whole history: a command that nobody asked for and a lost row of the history look alike.

Rules
-----
* validity/not-requested, validity/altered, validity/too-early: a chosen command was asked for by a client, in these words,
  and before (Paxos Made Simple 2.1).
* validity/batch-too-long: a value holds no more commands than a batch may.
"""

from __future__ import annotations

from harness.checkers.case import Call, Case, Chosen, Entry, brief, conclude
from harness.checkers.model import KNOWN, shown
from harness.record import Command
from harness.results import CheckResult, Violation

NAME = "validity"
ABOUT = "Only commands that a client requested are chosen, unaltered, and not before they were requested."


def check(case: Case) -> CheckResult:
    commands = 0
    most = case.plan.limits.batch_commands
    # With the slot, and the place of the command in it.
    broken: list[tuple[int, int, Violation]] = []
    for slot, chosen in case.log.items():
        if len(chosen.value) > most:
            broken.append((slot, -1, _too_long(slot, chosen, most)))
    for entry in case.entries:
        command, call = entry.command, entry.call
        if command.f not in KNOWN:
            continue
        commands += 1
        if call is None or not asks_for(call, command) or entry.chosen.time_ns < call.call_ns:
            broken.append((entry.slot, entry.place, _violation(entry, *_why(call, command, entry.chosen.time_ns))))
    violations = [violation for _, _, violation in sorted(broken, key=lambda one: one[:2])]
    summary = f"{commands} chosen commands were all requested before, as they were"
    return conclude(NAME, ABOUT, case, ("history",), violations, summary, {"commands": commands})


def _why(call: Call | None, command: Command, chosen_ns: int) -> tuple[str, str]:
    if call is None:
        return "not-requested", "no client asked for it"
    if not asks_for(call, command):
        return "altered", f"the client asked for {call.f} {call.key} {shown(call.value)}"
    return "too-early", f"it was asked for only {(call.call_ns - chosen_ns) / 1e6:.3f} ms later"


def asks_for(call: Call, command: Command) -> bool:
    """Whether the command is the one that the client's operation stands for."""
    if call.f != command.f or call.key != command.key:
        return False
    if call.f == "cas":
        return list(call.value) == [command.expected, command.value]
    return bool(call.value == command.value)


def _violation(entry: Entry, rule: str, why: str) -> Violation:
    text = brief((entry.command,))
    return Violation(
        rule=f"validity/{rule}",
        sentence=f"slot {entry.slot}: {text} was chosen, but {why}",
        time_ns=entry.chosen.time_ns,
        slot=entry.slot,
        key=entry.command.key,
        agents=(entry.chosen.learner[0],),
        values=(text,),
    )


def _too_long(slot: int, chosen: Chosen, most: int) -> Violation:
    return Violation(
        rule="validity/batch-too-long",
        sentence=f"slot {slot}: {len(chosen.value)} commands were chosen at once; a batch holds at most {most}",
        time_ns=chosen.time_ns,
        slot=slot,
        agents=(chosen.learner[0],),
        values=(brief(chosen.value),),
    )
