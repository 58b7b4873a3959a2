"""Planted bugs of the client sessions: what is executed once, and what a client may call a failure."""

from __future__ import annotations

from typing import Any

from paxos_impl.client import ClientSession, OutcomeType
from paxos_impl.learner import Learner
from paxos_impl.messages import Command, Reply
from paxos_impl.mutants.registry import mutant
from paxos_impl.sessions import Outcome, Session, StateMachine


@mutant(
    "C01",
    "a retry that is chosen again is executed again",
    rule="a command is executed once",
    paper="Ongaro's thesis, 6.3",
    breaks="X",
    oracle="exactly-once",
    difficulty="easy",
)
class NoDeduplication(StateMachine):
    def remember(self, session: Session, command: Command, result: Any) -> None:
        pass


@mutant(
    "C02",
    "only the leader's memory knows which commands were executed: what is chosen twice is executed twice",
    rule="sessions are part of the replicated state",
    paper="Ongaro's thesis, 6.3",
    breaks="X",
    source="curvine #676",
    oracle="exactly-once",
    difficulty="easy",
)
class DeduplicatesAtTheLeader(StateMachine):
    def is_duplicate(self, session: Session, command: Command) -> bool:
        return False


@mutant(
    "C05",
    "a command whose session was evicted is executed all the same",
    rule="a command of a session that is gone is not executed",
    paper="Ongaro's thesis, 6.3",
    breaks="X",
    source="apache/iggy PR 3934",
    oracle="exactly-once",
    difficulty="hard",
)
class ExecutesWithoutSession(StateMachine):
    def without_session(self, command: Command) -> Outcome:
        return Outcome("applied", "ok", self.store.execute(command))


@mutant(
    "C07",
    "a timeout is reported as a failure",
    rule="fail = it surely did not happen",
    paper="Jepsen's histories; design of the client session",
    breaks="L",
    source="phantom entries, Kongfy blog on Paxos ghost entries",
    oracle="witness, linearizability",
    difficulty="easy",
)
class TimeoutIsFailure(ClientSession):
    def is_definite_failure(self) -> bool:
        return True


@mutant(
    "C11",
    "a session ends after a time on the applying node's clock",
    rule="sessions end by the log, never by a clock",
    paper="Ongaro's thesis, 6.3",
    breaks="RX",
    oracle="decision",
)
class ExpiresByClock(Learner):
    def apply(self, slot: int) -> None:
        used: dict[int, int] = self.__dict__.setdefault("used_ns", {})
        for command in self.decided[slot]:
            if self.context.now_ns - used.get(command.client, self.context.now_ns) > 300_000_000:
                self.machine.sessions.pop(command.client, None)
            used[command.client] = self.context.now_ns
        super().apply(slot)


@mutant(
    "C20",
    "an answer to an earlier operation is taken for the present one's",
    rule="an answer names the operation it is for",
    paper="Ongaro's thesis, 6.3",
    breaks="L",
    oracle="witness, linearizability",
)
class TakesAnyAnswer(ClientSession):
    def answers(self, reply: Reply, operation: Command) -> bool:
        return self.session > 0


@mutant(
    "C21",
    "operations are numbered anew after eight",
    rule="every operation of a session has a seq of its own",
    paper="Ongaro's thesis, 6.3",
    breaks="IX",
    source="sequence numbers that wrap",
    oracle="exactly-once, witness",
    difficulty="easy",
)
class NumbersWrap(ClientSession):
    def next_seq(self) -> int:
        return self.seq % 8 + 1


@mutant(
    "C22",
    "the session remembers that a command was executed, not what it returned",
    rule="a retry gets the same answer",
    paper="Ongaro's thesis, 6.3",
    breaks="L",
    oracle="witness, linearizability",
    difficulty="easy",
)
class ForgetsTheResult(StateMachine):
    def remember(self, session: Session, command: Command, result: Any) -> None:
        super().remember(session, command, None if command.f == "read" else result)


@mutant(
    "C23",
    "a compare-and-set that failed is not remembered, so its retry may succeed",
    rule="a command is executed once, also one without effect",
    paper="Ongaro's thesis, 6.3",
    breaks="X",
    oracle="exactly-once",
)
class FailedCasNotRemembered(StateMachine):
    def remember(self, session: Session, command: Command, result: Any) -> None:
        if command.f != "cas" or result[0]:
            super().remember(session, command, result)


@mutant(
    "C24",
    "a leader answers a new command with the result of the one before",
    rule="only the same seq is answered from the session",
    paper="Ongaro's thesis, 6.3",
    breaks="L",
    oracle="witness, linearizability",
    difficulty="easy",
    deployments=("collapsed",),
)
class AnswersFromTheSession(StateMachine):
    def cached(self, command: Command) -> Outcome | None:
        session = self.sessions.get(command.client)
        return None if session is None or not session.seq else Outcome("duplicate", "ok", session.result)


@mutant(
    "C25",
    "the session that was used last is the one evicted",
    rule="the session unused for longest goes",
    paper="Ongaro's thesis, 6.3",
    breaks="P",
    oracle="liveness",
    difficulty="hard",
)
class EvictsTheNewest(StateMachine):
    def session_to_evict(self) -> int:
        return next(reversed(self.sessions))


@mutant(
    "C26",
    "a retry after silence opens another session",
    rule="a retry repeats the command under the same session",
    paper="Ongaro's thesis, 6.3",
    breaks="X",
    oracle="witness, exactly-once",
    difficulty="easy",
)
class RetriesUnderAnotherSession(ClientSession):
    def must_turn_away(self) -> bool:
        self.session = 0
        return super().must_turn_away()


@mutant(
    "C27",
    "an expired session is reported as a failure",
    rule="fail = it surely did not happen",
    paper="Ongaro's thesis, 6.3",
    breaks="L",
    oracle="witness, linearizability",
    difficulty="hard",
)
class ExpiryIsFailure(ClientSession):
    def outcome_of_expiry(self) -> OutcomeType:
        return "fail"


@mutant(
    "C28",
    "a client forgets which version it read last",
    rule="local reads never sink",
    paper="The Part-Time Parliament, 3.3.4",
    breaks="L",
    oracle="local-reads",
)
class ForgetsTheVersion(ClientSession):
    def note_version(self, version: int) -> None:
        pass


@mutant(
    "CQ1",
    "a seq below the last one is answered with the last result",
    rule="only the same seq is answered from the session",
    breaks="",
    equivalent="a client has one operation in flight and knows to which one an answer belongs",
    paper="Ongaro's thesis, 6.3",
)
class AnswersLowerSeq(StateMachine):
    def answer_again(self, session: Session, command: Command) -> Outcome:
        return Outcome("duplicate", "ok", session.result)
