"""Sessions: a command is turned away as expired only if its session may have gone, and executed only if it may be there; a
session is opened once.

At most ``limits.max_sessions`` sessions live; the one unused for longest goes, in the order of the log. So who counts the
sessions used since a client's last command knows whether its own must still be there, or must be gone, without asking any
agent. Uses are counted in the client's favour or against it, whichever excuses the system: a skipped command may or may not
count as a use. A command is held against the session its client used last, or the only one it opened.

Source: Ongaro's thesis, section 6.3.
"""

from __future__ import annotations

from harness.checkers.case import Case, conclude, skipped
from harness.record import Command
from harness.results import CheckResult, Violation

NAME = "sessions"
ABOUT = (
    "A session lasts as long as fewer than the most that are kept were used since, and no longer; it is opened once."
)


class _Uses:
    """When each client's session was used last, as a running number of commands of the log."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = 0
        self.named: dict[int, int] = {}
        """Client -> number of its last command, executed or not."""
        self.executed: dict[int, int] = {}
        """Client -> number of its last command that was executed."""

    def lasts(self, client: int) -> bool:
        """Surely its session is there: too few others were named since its last command was executed."""
        since = self.executed.get(client)
        if since is None:
            return False
        return sum(number > since for other, number in self.named.items() if other != client) < self.most

    def is_gone(self, client: int) -> bool:
        """Surely its session is not there: as many others as there may be were used since its last command."""
        since = self.named.get(client)
        if since is None or len(self.executed) <= self.most:
            return False
        return sum(number > since for other, number in self.executed.items() if other != client) >= self.most


def check(case: Case) -> CheckResult:
    uses = _Uses(case.plan.limits.max_sessions)
    executed = uses.executed
    opened: dict[int, list[int]] = {}
    session_of: dict[int, int] = {}
    violations: list[Violation] = []
    for slot, chosen in case.log.items():
        rows = case.applied_rows.get(slot)
        if not rows:
            continue
        (agent, _), row = rows[0]
        skips = skipped(row)
        for place, command in enumerate(chosen.value):
            client = command.process
            uses.now += 1
            why = skips.get(place)
            if command.f == "open":
                if why is None:
                    if uses.lasts(client):
                        violations.append(
                            _opened_twice(command, agent, slot, opened.get(client, [slot])[-1], row.time_ns)
                        )
                    opened.setdefault(client, []).append(slot)
                    session_of.pop(client, None)
            elif why is None:
                if len(executed) > uses.most and uses.is_gone(client):
                    violations.append(_outlived(command, agent, slot, uses.most, row.time_ns))
                session_of[client] = command.session
            elif why == "expired" and uses.lasts(client):
                only = client not in session_of and len(opened.get(client, ())) == 1
                if only or session_of.get(client) == command.session:
                    violations.append(_expired_early(command, agent, slot, uses.most, row.time_ns))
            uses.named[client] = uses.now
            if why is None:
                executed[client] = uses.now
    summary = f"{len(opened)} sessions lasted as long as they had to"
    return conclude(NAME, ABOUT, case, ("decided",), violations, summary, {"sessions": len(opened)})


def _opened_twice(command: Command, agent: str, slot: int, before: int, time_ns: int) -> Violation:
    return Violation(
        rule="sessions/opened-twice",
        sentence=f"slot {slot}: {agent} opened another session for client {command.process}, whose session of slot {before} "
        "must still be there",
        time_ns=time_ns,
        slot=slot,
        agents=(agent,),
    )


def _expired_early(command: Command, agent: str, slot: int, most: int, time_ns: int) -> Violation:
    return Violation(
        rule="sessions/expired-early",
        sentence=f"slot {slot}: {agent} turned operation {command.seq} of client {command.process} away as expired, though "
        f"fewer than {most} other sessions were used since its last one",
        time_ns=time_ns,
        slot=slot,
        agents=(agent,),
    )


def _outlived(command: Command, agent: str, slot: int, most: int, time_ns: int) -> Violation:
    return Violation(
        rule="sessions/outlived",
        sentence=f"slot {slot}: {agent} executed operation {command.seq} of client {command.process}, though {most} other "
        "sessions were used since its last one: its own must be gone",
        time_ns=time_ns,
        slot=slot,
        key=command.key,
        agents=(agent,),
    )
