"""What was told lasts: durable before it is said, and so there after every restart. A vote is a promise too.

Rules (Part-Time Parliament 2.3; Paxos Made Live 4.1)
-----------------------------------------------------
* promise/forgotten: each promise that was told lasts, and so does the one that a told vote is (Paxos Made Simple 2.2, 2.5).
* promise/incomplete: a promise tells every vote below its ballot in the slots it covers, with the ballot it was cast in, or
  that the slot is chosen (PMS 2.2, phase 1b).
* vote/forgotten: each vote that was told lasts, or a later one in its slot does (PTP 2.3, prevVote).
* snapshot/forgotten: a snapshot that was told to be durable is there after a restart (Paxos Made Live 5.5).

Assumptions about the events
----------------------------
* Only a world that sees what leaves an acceptor can tell (``told_promise``, ``told_vote``, ``told_snapshot``): without them
  nothing is judged.
* ``Votes`` hears of every event first: it keeps what each acceptor holds, and up to which slot all is known chosen there.

Does not judge whether what is told is durable already: it shows when it is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.checkers.oracle import NO_BALLOT, Handler, Sink, show
from harness.checkers.votes import Votes
from harness.record import Ballot


class Told:
    """What each acceptor has told, held against what comes back."""

    def __init__(self, sink: Sink, votes: Votes) -> None:
        self.sink = sink
        self.floor = votes.floor
        """Acceptor -> slots up to this are known chosen there. ``Votes`` keeps it, and is asked first."""
        self.latest = votes.latest
        self.pages: dict[int, tuple[int, dict[int, Ballot | None]]] = {}
        """Acceptor -> first slot of the answer it is giving, and what it told so far: slot -> ballot, None: chosen."""
        self.promises: dict[int, Ballot] = {}
        self.votes: dict[int, dict[Ballot, list[int]]] = {}
        """Acceptor -> ballot -> slots in which it told a vote at that ballot, as often as it told it."""
        self.speaks: dict[int, tuple[Ballot, list[int]]] = {}
        """The ballot of which an acceptor told a vote last, with its slots: the next one is mostly of the same."""
        self.snapshots: dict[int, int] = {}
        """Agent -> slots up to this are in a durable snapshot that it told of."""
        self.handlers: dict[str, Handler] = {
            "told_promise": self.on_told_promise,
            "told_vote": self.on_told_vote,
            "told_snapshot": self.on_told_snapshot,
            "recovered": self.on_recovered,
            "started": self.on_started,
        }

    def on_told_promise(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        if ballot > self.promises.get(agent, NO_BALLOT):
            self.promises[agent] = ballot
        if extra is None:
            return
        last, votes = extra
        first, told = self.pages.setdefault(agent, (slot, {}))
        told.update((at, None if chosen else (voted[0], voted[1])) for at, voted, chosen in votes)
        if last:
            del self.pages[agent]
            self._must_be_complete(agent, time_ns, ballot, first, told)

    def _must_be_complete(
        self, agent: int, time_ns: int, ballot: Ballot, first: int, told: dict[int, Ballot | None]
    ) -> None:
        """Votes at the promised ballot or above were cast later. (The promise forbids others meanwhile.)"""
        for slot, voted in self.latest.get(agent, {}).items():
            if slot >= first and voted < ballot and told.get(slot, NO_BALLOT) not in (None, voted):
                what = f"a vote at {show(told[slot])}" if slot in told else "nothing"
                self.sink.add(
                    "promise/incomplete",
                    f"{self.sink.name(agent)} promises {show(ballot)} and tells {what} of slot {slot}, where it voted at "
                    f"{show(voted)}",
                    time_ns,
                    (agent,),
                    slot,
                    ballot=ballot,
                    voted=voted,
                )
                return

    def on_told_vote(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any
    ) -> None:
        spoken, slots = self.speaks.get(agent, NOTHING_TOLD)
        if spoken is ballot:
            slots.append(slot)
            return
        if ballot > self.promises.get(agent, NO_BALLOT):
            self.promises[agent] = ballot
        slots = self.votes.setdefault(agent, {}).setdefault(ballot, [])
        slots.append(slot)
        self.speaks[agent] = (ballot, slots)

    def on_told_snapshot(
        self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any
    ) -> None:
        if slot > self.snapshots.get(agent, -1):
            self.snapshots[agent] = slot

    def on_recovered(
        self, agent: int, inc: int, time_ns: int, ballot: Ballot | None, slot: int, value: Any, extra: Any
    ) -> None:
        self.pages.pop(agent, None)
        told = self.promises.get(agent, NO_BALLOT)
        if (ballot or NO_BALLOT) < told:
            self.sink.add(
                "promise/forgotten",
                f"{self.sink.name(agent)} restarts with a promise of {show(ballot)}; it has told its promise of {show(told)}",
                time_ns,
                (agent,),
                ballot=told,
                recovered=ballot,
            )
        floor = self.floor.get(agent, 0)
        votes = {voted: [at for at in slots if at > floor] for voted, slots in self.votes.get(agent, {}).items()}
        self.votes[agent] = votes
        self.speaks.pop(agent, None)
        back = self.latest.get(agent, {})
        forgotten = [(at, voted) for voted in votes for at in votes[voted] if back.get(at, NO_BALLOT) < voted]
        if forgotten:
            first = min(forgotten)[0]
            voted = max(voted for at, voted in forgotten if at == first)
            self.sink.add(
                "vote/forgotten",
                f"{self.sink.name(agent)} restarts with {_vote_at(back.get(first))} in slot {first}; it has told its vote at "
                f"{show(voted)}",
                time_ns,
                (agent,),
                first,
                ballot=voted,
                recovered=back.get(first),
            )

    def is_missing(self, agent: int, promise: Ballot | None, floor: int, votes: Mapping[int, Ballot]) -> bool:
        """Whether something told is not in this memory of an acceptor: a promise, and votes in slots above ``floor``."""
        if (promise or NO_BALLOT) < self.promises.get(agent, NO_BALLOT):
            return True
        return any(
            at > floor and votes.get(at, NO_BALLOT) < voted
            for voted, slots in self.votes.get(agent, {}).items()
            for at in slots
        )

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        told = self.snapshots.get(agent, 0)
        if isinstance(extra, dict) and int(extra.get("commit", told)) < told:
            self.sink.add(
                "snapshot/forgotten",
                f"{self.sink.name(agent)} restarts from a snapshot of slot {extra['commit']}; it has told that one of slot "
                f"{told} is durable",
                time_ns,
                (agent,),
                told,
            )


NOTHING_TOLD: tuple[Ballot, list[int]] = (NO_BALLOT, [])
"""Never added to: nobody votes at no ballot."""


def _vote_at(ballot: Ballot | None) -> str:
    return "no vote" if ballot is None else f"a vote at {show(ballot)}"
