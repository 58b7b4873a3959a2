"""Triggers: faults that begin when the cluster does something, instead of at a time.

Grammar (words separated by blanks; parts in brackets may be left out)::

    trigger = [which] [who] what ["slot" NUMBER]
    which   = "first" | "1st" | "2nd" | "3rd" | "4th" …          default: first
    who     = "any" | "agent" NAME | a role                      default: any
    what    = a kind of event, see WATCHABLE

    first leader                     the first time anybody becomes leader
    2nd acceptor promised            the second promise given by acceptors, all of them counted together
    agent r1 applied slot 5          r1 applies slot 5
    3rd agent r0 appended            r0 has appended for the third time and has not synced yet

A replica plays every role. ``which`` counts the events that fit the rest of the sentence, from the start of the run.
Each trigger fires once.

An event is observed at the moment it happens: before the messages it sends leave the host, and before the next effect
of the same step. A fault aimed at one message (``limit: 1``) at ``sent_accept`` therefore meets that very message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from nemesis.suggest import did_you_mean

ROLES = ("replica", "proposer", "acceptor", "learner")

WATCHABLE: dict[str, str] = {
    "started": "an incarnation begins",
    "stopped": "an agent stops in good order",
    "chosen": "a learner learns what a slot decided",
    "applied": "a learner applies a slot",
    "installed": "a learner replaces its state by a snapshot",
    "snapshot": "a learner takes a snapshot",
    "promised": "an acceptor raises its promise",
    "accepted": "an acceptor votes",
    "recovered": "an acceptor has read its log",
    "recovered_round": "a proposer has read its log",
    "restored": "a learner restarts from its own snapshot",
    "prepare": "a proposer begins phase 1",
    "leader": "a proposer ends phase 1 and leads",
    "propose": "a leader proposes a value for a slot",
    "step_down": "a leader or candidate gives up",
    "cut": "a log is cut below a snapshot",
    "stale": "a message of an earlier incarnation is rejected",
    "bounded": "a trace is cut from here on",
    "appended": "records are appended and not synced yet",
    "synced": "a sync has returned; the messages that waited for it have not left",
    "would_forget": "an agent's disk would not bring back what it has told if its power failed now (looked at behind some"
    " syncs; never seen on free processes)",
    "sent_prepare": "a Prepare leaves (each receiver counts)",
    "sent_promise": "a Promise leaves",
    "sent_accept": "an Accept leaves (each receiver counts)",
    "sent_accepted": "a vote (Accepted) leaves (each receiver counts)",
}
"""Kinds of event a trigger may name: those of the trace, and the moments of the log and of sending."""

FORESEEN = frozenset({"would_forget"})
"""Of these, what only a world that looks ahead can tell: the simulated one and lockstep. On free processes they never come, and
the record says so of the faults that waited for them."""

_ORDINAL = re.compile(r"(\d+)(st|nd|rd|th)")


class TriggerError(ValueError):
    """A trigger that cannot be read; the text says which word, and what is allowed."""


class Trigger(msgspec.Struct, frozen=True):
    """A trigger, read."""

    kind: str
    nth: int = 1
    role: str = ""
    agent: str = ""
    slot: int | None = None


def parse_trigger(text: str) -> Trigger:
    """Read a trigger; raises TriggerError."""
    words = text.split()
    slot: int | None = None
    if len(words) >= 2 and words[-2] == "slot":
        if not words[-1].isdigit():
            raise TriggerError(f"trigger {text!r}: after 'slot' comes a number, not {words[-1]!r}")
        slot = int(words[-1])
        words = words[:-2]
    if not words:
        raise TriggerError(f"trigger {text!r}: names no event; allowed: {', '.join(WATCHABLE)}")
    kind = words.pop()
    if kind not in WATCHABLE:
        raise TriggerError(
            f"trigger {text!r}: unknown event {kind!r}{did_you_mean(kind, WATCHABLE)}; allowed: {', '.join(WATCHABLE)}"
        )
    nth = 1
    if words and words[0] == "first":
        words.pop(0)
    elif words and (ordinal := _ORDINAL.fullmatch(words[0])):
        nth = int(ordinal[1])
        words.pop(0)
        if nth < 1:
            raise TriggerError(f"trigger {text!r}: counting starts at 1st")
    if words in ([], ["any"]):
        return Trigger(kind, nth, slot=slot)
    if len(words) == 2 and words[0] == "agent":
        return Trigger(kind, nth, agent=words[1], slot=slot)
    if len(words) == 1 and words[0] in ROLES:
        return Trigger(kind, nth, role=words[0], slot=slot)
    raise TriggerError(
        f"trigger {text!r}: cannot read {' '.join(words)!r} before {kind!r};"
        f" allowed: [first | 2nd | 3rd …] [any | agent NAME | {' | '.join(ROLES)}]"
    )


def ordinal(number: int) -> str:
    """1 -> 1st, 2 -> 2nd, 11 -> 11th, as triggers are written."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


class Triggers:
    """The triggers of one run. A caller skips kinds that are not in ``watched_kinds``: nothing waits for them."""

    def __init__(self, triggers: Mapping[int, str], names: Mapping[int, str]) -> None:
        """``triggers``: trigger by fault index; ``names``: agent name by id. Raises TriggerError."""
        self._names = dict(names)
        self._waiting: dict[str, dict[int, Trigger]] = {}
        self._left: dict[int, int] = {}
        """How many fitting events are still missing, by fault index."""
        for fault, text in triggers.items():
            trigger = parse_trigger(text)
            self._waiting.setdefault(trigger.kind, {})[fault] = trigger
            self._left[fault] = trigger.nth
        self.watched_kinds = frozenset(self._waiting)
        """Kinds some trigger still waits for; shrinks as triggers fire."""

    def observe(self, agent: int, role: str, kind: str, slot: int) -> list[int]:
        """Count the event; indexes of the faults that begin now, in the order of the plan."""
        if kind not in self.watched_kinds:
            return []
        fired: list[int] = []
        waiting = self._waiting[kind]
        for fault, trigger in waiting.items():
            if trigger.slot is not None and trigger.slot != slot:
                continue
            if trigger.role and role not in (trigger.role, "replica"):
                continue
            if trigger.agent and trigger.agent != self._names.get(agent):
                continue
            self._left[fault] -= 1
            if self._left[fault] == 0:
                fired.append(fault)
        for fault in fired:
            del waiting[fault]
        if not waiting:
            self.watched_kinds -= {kind}
            del self._waiting[kind]
        return fired

    def waiting(self) -> list[int]:
        """Faults whose trigger has not come, in the order of the plan."""
        return sorted(fault for faults in self._waiting.values() for fault in faults)
