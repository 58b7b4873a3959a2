"""Validity: only what clients asked for is chosen, word for word, and not before they asked. No-ops are allowed, and batches
that are not longer than the plan lets them be.

Needs the whole history: a command that nobody asked for and a lost row of the history look alike.
"""

from __future__ import annotations

from harness.checkers.case import Call, Case, Chosen, brief, conclude
from harness.checkers.model import KNOWN, shown
from harness.record import Command
from harness.results import CheckResult, Violation

NAME = "validity"
ABOUT = "Only commands that a client requested are chosen, unaltered, and not before they were requested."


def check(case: Case) -> CheckResult:
    violations: list[Violation] = []
    commands = 0
    most = case.plan.limits.batch_commands
    for slot, chosen in case.log.items():
        if len(chosen.value) > most:
            violations.append(_too_long(slot, chosen, most))
        for command in chosen.value:
            if command.f not in KNOWN:
                continue
            commands += 1
            broken = _judge(case.call_of.get((command.process, command.seq)), command, chosen.time_ns)
            if broken is not None:
                violations.append(_violation(slot, chosen, command, *broken))
    summary = f"{commands} chosen commands were all requested before, as they were"
    return conclude(NAME, ABOUT, case, ("history",), violations, summary, {"commands": commands})


def _judge(call: Call | None, command: Command, chosen_ns: int) -> tuple[str, str] | None:
    if call is None:
        return "not-requested", "no client asked for it"
    if not asks_for(call, command):
        return "altered", f"the client asked for {call.f} {call.key} {shown(call.value)}"
    if chosen_ns < call.call_ns:
        return "too-early", f"it was asked for only {(call.call_ns - chosen_ns) / 1e6:.3f} ms later"
    return None


def asks_for(call: Call, command: Command) -> bool:
    """Whether the command is the one that the client's operation stands for."""
    if call.f != command.f or call.key != command.key:
        return False
    if call.f == "cas":
        return list(call.value) == [command.expected, command.value]
    return bool(call.value == command.value)


def _violation(slot: int, chosen: Chosen, command: Command, rule: str, why: str) -> Violation:
    return Violation(
        rule=f"validity/{rule}",
        sentence=f"slot {slot}: {brief((command,))} was chosen, but {why}",
        time_ns=chosen.time_ns,
        slot=slot,
        key=command.key,
        agents=(chosen.learner[0],),
        values=(brief((command,)),),
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
