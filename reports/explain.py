"""Reads a trace as a person would, with paper and pencil: what each step means, and which rule it breaks.

Rules it knows (Lamport, "Paxos Made Simple", 2001, sections 2.2 and 2.5)
-----
* promises only rise, also across a crash (phase 1b);
* an acceptor votes for nothing below its promise (phase 2b);
* a ballot has one value for each slot;
* a leader proposes the value of the highest ballot that its quorum reported, so nothing else once a majority voted (2a);
* a slot has one value, for ever (agreement);
* what an agent has told, a promise or a vote, is on its disk before, and survives a crash;
* replicas execute the slots in order with equal outcomes, and each command once (state machine replication).

It explains; it does not judge. The verdict is that of the checkers, which know more than a trace cut to a few steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import msgspec

from harness.record import Ballot, Command
from reports.model import ProtocolEvent
from reports.wording import ballot_name, command_text, shown, value_text

FAULT = "fault"
"""Kind of the steps that a diagram makes of the faults: extra = {kind, word: begins or ends, fault: its sentence}."""
VERDICT = "verdict"
"""Kind of the step at which a checker saw the violation: extra = its sentence."""


class Remark(msgspec.Struct, frozen=True):
    """What one step means, in a sentence, and whether the trace so far shows it to break a rule."""

    sentence: str
    conflict: bool = False


class Letters:
    """A letter for each value, in the order of appearance, so that values are told apart without colour."""

    def __init__(self) -> None:
        self._letters: dict[bytes, str] = {}
        self.legend: list[tuple[str, str]] = []
        """(letter, what the value is)"""

    def of(self, value: tuple[Command, ...] | None) -> str:
        """The letter of a value; empty for a step that has none."""
        if value is None:
            return ""
        key = msgspec.msgpack.encode(value)
        if key not in self._letters:
            place = len(self.legend)
            self._letters[key] = chr(ord("A") + place) if place < 26 else f"V{place}"
            self.legend.append((self._letters[key], value_text(value)))
        return self._letters[key]

    def hue(self, value: tuple[Command, ...] | None) -> int:
        """Place of the value's colour, 0 to 3; 0 for a step that has none."""
        letter = self.of(value)
        return next((place % 4 for place, (name, _) in enumerate(self.legend) if name == letter), 0)


@dataclass
class _Slot:
    """What is known of one slot."""

    proposed: dict[Ballot, str] = field(default_factory=dict)
    votes: dict[tuple[Ballot, str], set[str]] = field(default_factory=dict)
    learned: dict[str, tuple[str, Ballot | None]] = field(default_factory=dict)
    """letter -> who learned it first, and at which ballot"""
    outcome: tuple[str, object] | None = None
    """who executed it first, and the digest of its outcomes"""


class Reader:
    """Reads steps in the order of time. ``read`` only takes note; ``remark`` also says what the step means.

    ``told``: (agent, ballot, slot) of every promise (slot 0) and vote that a message or a decision shows to have been told;
    None if the record does not say.
    """

    def __init__(self, acceptors: int, told: Collection[tuple[str, Ballot, int]] | None = None) -> None:
        self.letters = Letters()
        self._majority = acceptors // 2 + 1
        self._told = told
        self._promised: dict[str, Ballot] = {}
        self._slots: dict[int, _Slot] = {}
        self._voted: dict[tuple[str, int], tuple[Ballot, str]] = {}
        self._executed: dict[tuple[str, int, int], int] = {}
        """(agent, process, seq) -> the slot in which it executed that command"""

    def read(self, item: ProtocolEvent) -> None:
        """A step that is not shown: only the promises that it implies matter later."""
        ballot = item.event.ballot
        if ballot is not None and item.event.kind in ("promised", "accepted"):
            self._promised[item.agent] = max(self._promised.get(item.agent, ballot), ballot)

    def remark(self, item: ProtocolEvent) -> Remark:
        return _REMARKS[item.event.kind](self, item)

    def _slot(self, item: ProtocolEvent) -> _Slot:
        return self._slots.setdefault(item.event.slot, _Slot())

    def prepare(self, item: ProtocolEvent) -> Remark:
        return Remark(
            f"{item.agent} begins phase 1 with ballot {ballot_name(item.event.ballot)} for slots from {item.event.slot} "
            "on: it asks the acceptors for promises. The ballot must be higher than any that it has used or seen."
        )

    def promised(self, item: ProtocolEvent) -> Remark:
        ballot, before = item.event.ballot, self._promised.get(item.agent)
        text = f"{item.agent} promises ballot {ballot_name(ballot)}"
        self.read(item)
        if ballot is not None and before is not None and ballot < before:
            return Remark(
                f"{text}, lower than {ballot_name(before)}, which it had promised. This breaks the rule that promises "
                "only rise (phase 1b).",
                conflict=True,
            )
        return Remark(f"{text}: from now on it votes for nothing lower (phase 1b).")

    def leader(self, item: ProtocolEvent) -> Remark:
        return Remark(
            f"{item.agent} has the promises of a majority for ballot {ballot_name(item.event.ballot)} and leads. In each "
            "slot it must propose the value of the highest ballot that its quorum reported (phase 2a)."
        )

    def propose(self, item: ProtocolEvent) -> Remark:
        slot, ballot, letter = self._slot(item), item.event.ballot, self.letters.of(item.event.value)
        text = f"{item.agent} proposes {_value(letter)} in slot {item.event.slot} at ballot {ballot_name(ballot)}"
        if ballot is None or not letter:
            return Remark(f"{text} (phase 2a).")
        before = slot.proposed.setdefault(ballot, letter)
        if before != letter:
            return Remark(
                f"{text}, but {before} was proposed there. A ballot has one value for each slot.", conflict=True
            )
        for (earlier, other), voters in sorted(slot.votes.items()):
            if earlier < ballot and other != letter and len(voters) >= self._majority:
                return Remark(
                    f"{text}, although a majority had voted for {other} at ballot {ballot_name(earlier)}. This breaks the "
                    "rule to propose the value of the highest ballot that the quorum reported (phase 2a).",
                    conflict=True,
                )
        return Remark(f"{text} (phase 2a).")

    def accepted(self, item: ProtocolEvent) -> Remark:
        slot, ballot, letter = self._slot(item), item.event.ballot, self.letters.of(item.event.value)
        text = f"{item.agent} votes for {_value(letter)} in slot {item.event.slot} at ballot {ballot_name(ballot)}"
        if ballot is None or not letter:
            return Remark(f"{text} (phase 2b).")
        promise = self._promised.get(item.agent)
        self.read(item)
        self._voted[item.agent, item.event.slot] = (ballot, letter)
        voters = slot.votes.setdefault((ballot, letter), set())
        voters.add(item.agent)
        if promise is not None and ballot < promise:
            return Remark(
                f"{text}, although it had promised {ballot_name(promise)}. This breaks the promise (phase 2b).",
                conflict=True,
            )
        rivals = [other for at, other in slot.votes if at == ballot and other != letter]
        if rivals:
            return Remark(
                f"{text}, where {rivals[0]} has votes at the same ballot. A ballot has one value for each slot.",
                conflict=True,
            )
        if len(voters) == self._majority:
            return Remark(f"{text}. That makes a majority: {letter} is chosen at this moment (phase 2b).")
        return Remark(f"{text}; it has promised nothing higher (phase 2b).")

    def chosen(self, item: ProtocolEvent) -> Remark:
        slot, ballot, letter = self._slot(item), item.event.ballot, self.letters.of(item.event.value)
        how = "by catching up" if ballot is None else f"at ballot {ballot_name(ballot)}"
        text = f"{item.agent} learns {how} that {_value(letter)} is chosen in slot {item.event.slot}"
        others = [(other, *first) for other, first in slot.learned.items() if other != letter]
        slot.learned.setdefault(letter, (item.agent, ballot))
        if others:
            other, who, at = others[0]
            when = "" if at is None else f" at ballot {ballot_name(at)}"
            return Remark(
                f"{text}, but {who} had learned {_value(other)} there{when}. This breaks agreement: a slot has one "
                "value, for ever.",
                conflict=True,
            )
        why = "what one knows to be chosen it may tell all" if ballot is None else "a majority has voted for it there"
        return Remark(f"{text}: {why} (learning).")

    def recovered(self, item: ProtocolEvent) -> Remark:
        ballot, before = item.event.ballot, self._promised.get(item.agent)
        text = f"{item.agent} recovers from its log with {'promise ' + ballot_name(ballot) if _real(ballot) else 'no promise'}"
        if before is not None and (ballot is None or ballot < before):
            del self._promised[item.agent]
            if self._was_told(item.agent, before, 0):
                return Remark(
                    f"{text}, though it had promised {ballot_name(before)} before. A promise must survive a crash "
                    "(phase 1b).",
                    conflict=True,
                )
        kept = votes_recovered(item)
        for (agent, slot), (at, letter) in self._voted.items():
            if agent != item.agent or slot in kept or slot <= item.event.slot:
                continue
            if self._told is not None and (agent, at, slot) in self._told:
                return Remark(
                    f"{text} and without the vote for {letter} in slot {slot} at ballot {ballot_name(at)}, of which it had "
                    "told. A vote must survive a crash (phase 2b).",
                    conflict=True,
                )
        return Remark(f"{text}: whatever it has told of must be there (phases 1b and 2b).")

    def _was_told(self, agent: str, ballot: Ballot, slot: int) -> bool:
        """Whether others may rely on it; taken for granted if no promise of anybody is on record."""
        if self._told is None or not any(of == 0 for _, _, of in self._told):
            return True
        return (agent, ballot, slot) in self._told

    def applied(self, item: ProtocolEvent) -> Remark:
        slot, letter = self._slot(item), self.letters.of(item.event.value)
        digest, skipped = _outcome(item)
        text = f"{item.agent} executes {_value(letter)} of slot {item.event.slot}"
        for place, command in enumerate(item.event.value or ()):
            name = (item.agent, command.client, command.seq)
            if place in skipped:
                text += f", skipping {command_text(command)} as executed before"
                continue
            earlier = self._executed.setdefault(name, item.event.slot)
            if earlier != item.event.slot:
                return Remark(
                    f"{text}, though it had executed {command_text(command)} in slot {earlier}. A command that is chosen "
                    "twice is executed once.",
                    conflict=True,
                )
        first, slot.outcome = slot.outcome, slot.outcome or (item.agent, digest)
        if first is not None and first[1] != digest:
            return Remark(
                f"{text} with another outcome than {first[0]}. Replicas that execute the same slots in order are in the same "
                "state.",
                conflict=True,
            )
        return Remark(f"{text}: replicas execute slot by slot, in the same order (state machine replication).")

    def started(self, item: ProtocolEvent) -> Remark:
        return Remark(f"{item.agent} starts (incarnation {item.incarnation}).")

    def stopped(self, item: ProtocolEvent) -> Remark:
        return Remark(f"{item.agent} stops in good order.")

    def step_down(self, item: ProtocolEvent) -> Remark:
        reason = f": {shown(item.event.extra, 60)}" if item.event.extra else ""
        return Remark(f"{item.agent} gives up ballot {ballot_name(item.event.ballot)}{reason}.")

    def fault(self, item: ProtocolEvent) -> Remark:
        name, _, what = item.event.extra["fault"].partition(": ")
        if not what or not name.startswith("#"):
            return Remark(f"The fault {item.event.extra['word']}: {shown(item.event.extra['fault'], 120)}.")
        return Remark(f"Fault {shown(name.split()[0], 8)} {item.event.extra['word']}: {shown(what, 120)}.")

    def verdict(self, item: ProtocolEvent) -> Remark:
        return Remark(f"Here it shows: {shown(item.event.extra, 400)}.", conflict=True)


def _value(letter: str) -> str:
    return letter or "a value"


def _real(ballot: Ballot | None) -> bool:
    return ballot is not None and ballot[0] >= 0


def votes_recovered(item: ProtocolEvent) -> dict[int, Ballot]:
    """slot -> ballot of the votes that a log gave back."""
    return {
        pair[0]: tuple(pair[1])
        for pair in item.event.extra or ()
        if isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[1], list | tuple)
    }


def _outcome(item: ProtocolEvent) -> tuple[object, set[int]]:
    """(digest of the outcomes, places of the commands skipped) of a slot that was executed."""
    extra = item.event.extra
    if not isinstance(extra, list | tuple) or len(extra) != 2:
        return None, set()
    return extra[0], {pair[0] for pair in extra[1] or ()}


_REMARKS: dict[str, Callable[[Reader, ProtocolEvent], Remark]] = {
    "prepare": Reader.prepare,
    "promised": Reader.promised,
    "leader": Reader.leader,
    "propose": Reader.propose,
    "accepted": Reader.accepted,
    "chosen": Reader.chosen,
    "recovered": Reader.recovered,
    "started": Reader.started,
    "stopped": Reader.stopped,
    "step_down": Reader.step_down,
    "applied": Reader.applied,
    FAULT: Reader.fault,
    VERDICT: Reader.verdict,
}
EXPLAINED = frozenset(_REMARKS)
"""Kinds of events that have a sentence."""
