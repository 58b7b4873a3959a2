"""Endgame: what can be judged only when a simulated run is over, from what is in memory, at almost no cost.

The online oracles see each step; these see the whole: clients' answers against the agreed log (witness, local reads),
commands executed once (exactly-once) under sessions that last (sessions), only requested ones chosen (validity), acknowledged
writes back after the last power cut (durability), progress of every logical client, logs that were cut and a settled leadership
after the heal (liveness). The cores are those of the offline checkers; here they get a ``Case`` that was never on disk. It
keeps the first learner of each slot only: that the others agree is seen online.

Does not judge: the black-box view of the history (``linearizability``), evidence of faults (a schedule need not have any).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.checkers import durability, exactly_once, liveness, local_reads, sessions, validity, witness
from harness.checkers.case import Case, Chosen, Learner, rule_of_problem
from harness.record import AgentEvent, FaultEvent, Operation, RecordedRun
from harness.results import Violation
from nemesis.plan import Plan

CHECKS = (
    validity.check, exactly_once.check, sessions.check, durability.check, witness.check, local_reads.check, liveness.check,
)  # fmt: skip


class Ledger:
    """What the end needs to know of the agents. Its ``handlers`` stand beside those of the online oracles, who tell it the
    first events of each slot (``first``) and know the agents' positions better than it (they hear of every slot)."""

    def __init__(self, names: Mapping[int, str], learners: frozenset[int]) -> None:
        self.names = names
        self.learners = learners
        self.log: dict[int, Chosen] = {}
        self.applied: dict[int, list[tuple[Learner, AgentEvent]]] = {}
        """Slot -> who applied it first, as ``Case.applied_rows`` has it."""
        self.position: dict[int, tuple[int, int]] = {}
        """Agent -> (incarnation, slot its state covers)."""
        self.before_cut: dict[int, int] = {}
        """``position`` when the final power cut began."""
        self.floor: dict[int, int] = {}
        """Agent -> slots up to this are cut from its log."""
        self.floor_before_cut: dict[int, int] = {}
        self.leaders: list[tuple[int, int]] = []
        """(time, agent) of each beginning leadership."""
        self.first = {"chosen": self.on_chosen, "applied": self.on_applied}
        self.handlers = {
            "installed": self.on_installed,
            "started": self.on_started,
            "leader": self.on_leader,
            "cut": self.on_cut,
            "recovered": self.on_recovered,
        }

    def mark_cut(self) -> None:
        """The final power cut is about to begin."""
        self.before_cut = {agent: slot for agent, (_, slot) in self.learner_positions()}
        self.floor_before_cut = dict(self.floor)

    def learner_positions(self) -> list[tuple[int, tuple[int, int]]]:
        return [(agent, where) for agent, where in self.position.items() if agent in self.learners]

    def on_chosen(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if slot not in self.log:
            self.log[slot] = Chosen(value, (self.names[agent], inc), time_ns, ballot)

    def on_applied(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.position[agent] = (inc, slot)
        if slot not in self.applied:
            row = AgentEvent(time_ns, "applied", None, slot, value, extra)
            self.applied[slot] = [((self.names[agent], inc), row)]

    def on_installed(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.position[agent] = (inc, slot)

    def on_started(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        if agent in self.learners:
            self.position[agent] = (inc, int(extra["commit"]))
            self.floor[agent] = int(extra["commit"])

    def on_leader(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.leaders.append((time_ns, agent))

    def on_cut(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.floor[agent] = max(slot, self.floor.get(agent, 0))

    def on_recovered(self, agent: int, inc: int, time_ns: int, ballot: Any, slot: int, value: Any, extra: Any) -> None:
        self.floor[agent] = slot


class _Memory(RecordedRun):
    """A record that was never written."""

    in_memory = True

    def __init__(self, history: list[Operation], faults: list[FaultEvent]) -> None:
        super().__init__(Path())
        self._history = history
        self._faults = faults

    def history(self) -> list[Operation]:
        return self._history

    def faults(self) -> list[FaultEvent]:
        return self._faults


def case_of(
    plan: Plan, ledger: Ledger, history: list[Operation], faults: list[FaultEvent], places: Mapping[int, int]
) -> Case:
    """``places``: process number of the history -> logical client."""
    case = Case(_Memory(history, faults), plan)
    case.deterministic = True
    case.places = places
    case.positions_before_cut = {ledger.names[agent]: slot for agent, slot in ledger.before_cut.items()}
    case.floors_before_cut = {ledger.names[agent]: slot for agent, slot in ledger.floor_before_cut.items()}
    # The agents' own commands: those of a record bear the same names.
    case.log = {slot: ledger.log[slot] for slot in sorted(ledger.log)}
    case.applied_rows = ledger.applied
    case.trace = {
        (name, 0): [AgentEvent(time_ns, "leader") for time_ns, agent in ledger.leaders if ledger.names[agent] == name]
        for name in ledger.names.values()
    }
    case.decided = {
        (ledger.names[agent], inc): [AgentEvent(0, "started", extra={"commit": slot})]
        for agent, (inc, slot) in ledger.learner_positions()
    }
    return case


def judge(case: Case) -> list[Violation]:
    """All violations that the end of a run shows. In memory nothing is ever lost, so what is missing was never there."""
    found: list[Violation] = []
    for check in CHECKS:
        found.extend(check(case).violations)
    for part, problems in case.problems.items():
        found.extend(Violation(rule_of_problem(part, problem), problem) for problem in problems)
    return found
