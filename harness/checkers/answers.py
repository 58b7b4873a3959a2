"""Answers: a command is called done only when it is, and refused only by who never proposed it.

Rules
-----
* answer/not-executed: a client is told "ok" only when its command is chosen and applied (Paxos Made Simple 3).
* answer/refused: of the requests for a command that reached an agent each is proposed or refused, not both. A refusal says
  that nothing will come of the request: a client that asked once takes the command for undone.
* proposal/twice: what a leader has in flight it does not propose once more, however often it is asked (Ongaro's thesis 6.3):
  the copies of impatient clients would crowd out everything else.

Assumptions about the events
----------------------------
* Only a world that sees requests arrive and answers leave can tell (``request``, ``told_answer``): without them nothing is
  judged.
* A leader's own slots begin where ``leader`` says; what it proposes below them it inherited, and owes to no request.
* A slot is in flight until a learner holds it chosen or a quorum has voted in it. Not judged are late copies of a command
  whose client has gone on to another one meanwhile, and commands that the leader inherited too: when it knows that these are
  chosen, it may be asked again before they are applied.
* ``applied`` is heard of whoever applies a slot first, with the value.
"""

from __future__ import annotations

from typing import Any

from harness.checkers.oracle import Handler, Sink, show
from harness.checkers.votes import Votes
from harness.record import Ballot

Key = tuple[int, int]
"""(client, seq)"""


class _Desk:
    """What one incarnation was asked for, and what became of it."""

    __slots__ = ("first_own", "incarnation", "inherited", "latest", "proposed", "refused", "requests", "slot_of")

    def __init__(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self.first_own = 0
        self.requests: dict[Key, int] = {}
        self.proposed: dict[Key, int] = {}
        self.refused: dict[Key, int] = {}
        self.inherited: set[Key] = set()
        """What its present leadership inherited."""
        self.slot_of: dict[Key, int] = {}
        """Where its present leadership proposed a command last."""
        self.latest: dict[int, int] = {}
        """Client -> highest seq that its present leadership proposed."""


class Answers:
    """Requests, and what became of them."""

    def __init__(self, sink: Sink, votes: Votes) -> None:
        self.sink = sink
        self.votes = votes
        self.executed: set[Key] = set()
        self.desks: dict[int, _Desk] = {}
        self.handlers: dict[str, Handler] = {
            "request": self.on_request,
            "told_answer": self.on_told_answer,
            "leader": self.on_leader,
            "propose": self.on_propose,
        }

    def _desk(self, agent: int, inc: int) -> _Desk:
        desk = self.desks.get(agent)
        if desk is None or desk.incarnation != inc:
            desk = self.desks[agent] = _Desk(inc)
        return desk

    def on_first_applied(
        self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any
    ) -> None:
        for command in value or ():
            self.executed.add((command.client, command.seq))

    def on_request(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        """``extra``: (client, seq)."""
        requests = self._desk(agent, inc).requests
        requests[extra] = requests.get(extra, 0) + 1

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        desk = self._desk(agent, inc)
        desk.first_own, desk.inherited, desk.slot_of, desk.latest = slot, set(), {}, {}

    def on_propose(self, agent: int, inc: int, time_ns: int, ballot: Ballot, slot: int, value: Any, extra: Any) -> None:
        desk = self._desk(agent, inc)
        if slot < desk.first_own:
            desk.inherited.update((command.client, command.seq) for command in value)
            return
        proposed, slot_of, latest = desk.proposed, desk.slot_of, desk.latest
        for command in value:
            client, seq = key = (command.client, command.seq)
            if key in slot_of and seq == latest[client] and key not in desk.inherited:
                self._not_twice(agent, time_ns, ballot, slot, key, slot_of[key])
            slot_of[key] = slot
            latest[client] = max(seq, latest.get(client, seq))
            proposed[key] = proposed.get(key, 0) + 1
            if key in desk.refused:
                self._each_once(desk, agent, time_ns, key, f"proposes it in slot {slot} at {show(ballot)}")

    def _not_twice(self, agent: int, time_ns: int, ballot: Ballot, slot: int, key: Key, before: int) -> None:
        if before not in self.votes.chosen and not self.votes.has_quorum(before):
            self.sink.add(
                "proposal/twice",
                f"{self.sink.name(agent)} proposes command {key[1]} of client {key[0]} in slot {slot} at {show(ballot)}; it "
                f"has it in flight in slot {before} already",
                time_ns,
                (agent,),
                slot,
                ballot=ballot,
            )

    def on_told_answer(
        self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any
    ) -> None:
        """``value``: the status; ``extra``: (client, seq)."""
        if value == "ok":
            if extra not in self.executed:
                self.sink.add(
                    "answer/not-executed",
                    f"{self.sink.name(agent)} answers that command {extra[1]} of client {extra[0]} is done, but nobody has "
                    "applied it",
                    time_ns,
                    (agent,),
                )
        elif value != "expired":
            desk = self._desk(agent, inc)
            desk.refused[extra] = desk.refused.get(extra, 0) + 1
            if extra in desk.proposed:
                self._each_once(desk, agent, time_ns, extra, f'refuses it ("{value}")')

    def _each_once(self, desk: _Desk, agent: int, time_ns: int, key: Key, what: str) -> None:
        requests, proposed, refused = desk.requests.get(key, 0), desk.proposed[key], desk.refused[key]
        if proposed + refused > requests:
            self.sink.add(
                "answer/refused",
                f"{self.sink.name(agent)} was asked {requests} times for command {key[1]} of client {key[0]}, proposed it "
                f"{proposed} times and refused it {refused} times: now it {what}",
                time_ns,
                (agent,),
            )
