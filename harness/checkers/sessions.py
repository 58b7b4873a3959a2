"""Sessions: a command is turned away as expired only if its session may have gone, and executed only if it may be there; a
session is opened once.

At most ``limits.max_sessions`` sessions live; the one unused for longest goes, in the order of the log. So who counts the
sessions used since a client's last command knows whether its own must still be there, or must be gone, without asking any
agent. Uses are counted in the client's favour or against it, whichever excuses the system: a skipped command may or may not
count as a use. A command is held against the session its client used last, or the only one it opened.

Rules
-----
* sessions/opened-twice: a request for a session opens one.
* sessions/expired-early: a command whose session must still be there is not turned away.
* sessions/outlived: a command whose session must have gone is not executed.

Source: Ongaro's thesis, section 6.3.
"""

from __future__ import annotations

from harness.checkers.case import Case, Learner, conclude
from harness.record import AgentEvent, Command
from harness.results import CheckResult, Violation

NAME = "sessions"
ABOUT = (
    "A session lasts as long as fewer than the most that are kept were used since, and no longer; it is opened once."
)


class _Uses:
    """When each client's session was used last, as the position of a command in the log."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.named: dict[int, int] = {}
        """Client -> position of its last command, executed or not."""
        self.executed: dict[int, int] = {}
        """Client -> position of its last command that was executed."""

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
    named, executed = uses.named, uses.executed
    opened: dict[int, list[int]] = {}
    session_of: dict[int, int] = {}
    violations: list[Violation] = []
    for now, entry in enumerate(case.entries):
        if entry.applied is None:
            continue
        command, why = entry.command, entry.skip
        client = command.client
        if command.f == "open":
            if why is None:
                if uses.lasts(client):
                    before = opened.get(client, [entry.slot])[-1]
                    violations.append(_opened_twice(command, entry.slot, before, *entry.applied))
                opened.setdefault(client, []).append(entry.slot)
                session_of.pop(client, None)
        elif why is None:
            if len(executed) > uses.most and uses.is_gone(client):
                violations.append(_outlived(command, entry.slot, uses.most, *entry.applied))
            session_of[client] = command.session
        elif why == "expired" and uses.lasts(client):
            only = client not in session_of and len(opened.get(client, ())) == 1
            if only or session_of.get(client) == command.session:
                violations.append(_expired_early(command, entry.slot, uses.most, *entry.applied))
        named[client] = now
        if why is None:
            executed[client] = now
    summary = f"{len(opened)} sessions lasted as long as they had to"
    return conclude(NAME, ABOUT, case, ("decided",), violations, summary, {"sessions": len(opened)})


def _opened_twice(command: Command, slot: int, before: int, learner: Learner, row: AgentEvent) -> Violation:
    return Violation(
        rule="sessions/opened-twice",
        sentence=f"slot {slot}: {learner[0]} opened another session for client {command.client}, whose session of slot "
        f"{before} must still be there",
        time_ns=row.time_ns,
        slot=slot,
        agents=(learner[0],),
    )


def _expired_early(command: Command, slot: int, most: int, learner: Learner, row: AgentEvent) -> Violation:
    return Violation(
        rule="sessions/expired-early",
        sentence=f"slot {slot}: {learner[0]} turned operation {command.seq} of client {command.client} away as expired, though "
        f"fewer than {most} other sessions were used since its last one",
        time_ns=row.time_ns,
        slot=slot,
        agents=(learner[0],),
    )


def _outlived(command: Command, slot: int, most: int, learner: Learner, row: AgentEvent) -> Violation:
    return Violation(
        rule="sessions/outlived",
        sentence=f"slot {slot}: {learner[0]} executed operation {command.seq} of client {command.client}, though {most} other "
        "sessions were used since its last one: its own must be gone",
        time_ns=row.time_ns,
        slot=slot,
        key=command.key,
        agents=(learner[0],),
    )
