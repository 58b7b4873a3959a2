"""Shrinking: the smallest plan that still breaks the same rule.

Rules
* A candidate counts only if it breaks the *same rule* as the plan began with.
* With a planted bug, every accepted plan must also *pass on the unmodified code*, else it would show something else.
* Each kind of simplification is tried until none of them helps any more: then nothing can be left out.
* Random streams are one for each link and fault, so leaving a fault out disturbs the rest as little as possible.

Order: what comes after the violation is cut off; faults are left out (delta debugging); cluster, clients, operations and
keys get smaller; faults get shorter, simpler targets and default parameters; times become triggers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from harness.worlds.simulated.world import SimulatedWorld
from nemesis.describe import describe
from nemesis.faults import Fault
from nemesis.plan import MILLISECOND, Plan, encode_plan
from nemesis.triggers import WATCHABLE
from paxos_impl.parts import CORRECT

replace = msgspec.structs.replace
TRIGGER_KINDS = ("leader", "prepare", "promised", "propose", "accepted", "chosen", "applied", "snapshot", "installed")
"""Events worth naming in a trigger, the most telling first."""
FEW_FAULTS = 3
RESEEDS = 8


class ShrinkResult(msgspec.Struct, frozen=True):
    """``plan`` is the smallest found; ``rule`` None: the plan does not fail at all."""

    plan: Plan
    rule: str | None
    sentence: str
    faults_before: int
    faults_after: int
    replays: int
    wall_s: float
    minimal: bool
    """Nothing more can be left out (else the budget of replays ended)."""
    sentences: tuple[str, ...]
    """One for each fault that is left."""

    @property
    def exit_code(self) -> int:
        return 3 if self.rule is None else 0


class Attempt(msgspec.Struct):
    """What a candidate did: the rule it broke first (empty: none), when, and whom each fault hit."""

    rule: str
    sentence: str
    time_ns: int
    healed_ns: int
    targets: dict[int, tuple[str, ...]]
    begun_ns: dict[int, int]


class _BudgetSpent(Exception):
    pass


class Shrinker:
    """One shrink. ``budget``: most replays."""

    def __init__(self, plan: Plan, budget: int, progress: Callable[[Plan, int], None] | None = None) -> None:
        self.plan = plan
        self.budget = budget
        self.progress = progress
        self.replays = 0
        self.rule = ""
        self.last: Attempt | None = None
        self._tried: dict[bytes, bool] = {}

    def shrink(self) -> ShrinkResult:
        began_s = time.monotonic()
        before = len(self.plan.faults)
        first = self._attempt(self.plan)
        if not first.rule:
            return ShrinkResult(self.plan, None, "", before, before, self.replays, 0.0, False, ())
        self.rule, self.last = first.rule, first
        minimal = True
        try:
            self._until_nothing_helps()
        except _BudgetSpent:
            minimal = False
        assert self.last is not None
        return ShrinkResult(
            self.plan,
            self.rule,
            self.last.sentence,
            before,
            len(self.plan.faults),
            self.replays,
            time.monotonic() - began_s,
            minimal,
            tuple(
                describe(fault, index, self.last.targets.get(index, ())) for index, fault in enumerate(self.plan.faults)
            ),
        )

    def _until_nothing_helps(self) -> None:
        self._cut_after_violation()
        self._leave_out_faults()
        self._leave_out_by_reseeding()
        self._cut_after_violation()
        while True:
            size = encode_plan(self.plan)
            for candidates in (
                self._smaller_runs,
                self._without_one_fault,
                self._simpler_faults,
                self._triggers,
            ):
                self._take_first_that_works(candidates)
            self._cut_after_violation()
            if encode_plan(self.plan) == size:
                return

    # -- one step -----------------------------------------------------------------------------------------------------

    def _attempt(self, plan: Plan, *, clean: bool = False) -> Attempt:
        if self.replays >= self.budget:
            raise _BudgetSpent
        self.replays += 1
        world = SimulatedWorld(plan, stop_at_first=True, parts=CORRECT if clean else None)
        run = world.run()
        first = run.violations[0] if run.violations else None
        begins = [row for row in run.faults if row.edge == "begin" and row.fault >= 0]
        return Attempt(
            first.rule if first else "",
            first.sentence if first else "",
            first.time_ns if first else 0,
            run.healed_ns,
            {row.fault: row.targets for row in begins},
            {row.fault: row.time_ns for row in begins},
        )

    def _works(self, candidate: Plan) -> bool:
        """Take ``candidate`` if it still breaks the rule, and the unmodified code does not."""
        key = encode_plan(candidate)
        if key in self._tried:
            return False
        self._tried[key] = False
        attempt = self._attempt(candidate)
        if attempt.rule != self.rule:
            return False
        if candidate.mutant is not None and self._attempt(candidate, clean=True).rule:
            return False
        self.plan, self.last = candidate, attempt
        if self.progress is not None:
            self.progress(candidate, self.replays)
        return True

    def _take_first_that_works(self, candidates: Callable[[], Iterator[Plan]]) -> None:
        """Take candidates, made anew after each success, until none works."""
        again = True
        while again:
            again = any(self._works(candidate) for candidate in candidates())

    # -- simplifications ----------------------------------------------------------------------------------------------

    def _cut_after_violation(self) -> None:
        """What comes after the violation cannot have caused it."""
        assert self.last is not None
        plan, at_ns = self.plan, self.last.time_ns
        if self.rule.startswith("liveness/"):
            return
        if at_ns and not self.last.healed_ns:
            kept = tuple(
                fault for index, fault in enumerate(plan.faults) if self.last.begun_ns.get(index, at_ns + 1) <= at_ns
            )
            end_ns = (at_ns // MILLISECOND + 1) * MILLISECOND
            candidate = replace(
                plan, faults=kept, duration_ns=min(end_ns, plan.duration_ns), settle_ns=0, final_power_cut=False
            )
            if self._works(candidate):
                return
            candidate = replace(plan, duration_ns=min(end_ns, plan.duration_ns), settle_ns=0, final_power_cut=False)
            if self._works(candidate):
                return
        if plan.final_power_cut:
            self._works(replace(plan, final_power_cut=False))

    def _leave_out_faults(self) -> None:
        """Delta debugging: leave out ever smaller pieces."""
        pieces = 2
        while len(self.plan.faults) >= 1:
            faults = self.plan.faults
            size = max(1, (len(faults) + pieces - 1) // pieces)
            for start in range(0, len(faults), size):
                if self._works(replace(self.plan, faults=faults[:start] + faults[start + size :])):
                    pieces = max(2, pieces - 1)
                    break
            else:
                if size == 1:
                    return
                pieces = min(len(faults), pieces * 2)

    def _leave_out_by_reseeding(self) -> None:
        """A bug that needs luck moves away when anything changes: look for it again under other seeds, with only the
        faults right before the violation."""
        if len(self.plan.faults) <= FEW_FAULTS:
            return
        for keep in (1, 2, 3, 4, 6):
            for step in range(1, RESEEDS + 1):
                faults = self.plan.faults
                if keep < len(faults):
                    candidate = replace(self.plan, faults=faults[-keep:], seed=self.plan.seed + step)
                    if self._works(candidate):
                        return
        again = True
        while again and len(self.plan.faults) > FEW_FAULTS:
            again = any(
                self._works(replace(candidate, seed=candidate.seed + step))
                for candidate in list(self._without_one_fault())
                for step in range(1, 3)
            )

    def _without_one_fault(self) -> Iterator[Plan]:
        faults = self.plan.faults
        for index in range(len(faults)):
            yield replace(self.plan, faults=faults[:index] + faults[index + 1 :])

    def _smaller_runs(self) -> Iterator[Plan]:
        plan = self.plan
        cluster, workload = plan.cluster, plan.workload
        if cluster.deployment == "collapsed" and cluster.nodes > 3:
            yield replace(plan, cluster=replace(cluster, nodes=3))
        if cluster.deployment == "classic":
            if cluster.acceptors > 3:
                yield replace(plan, cluster=replace(cluster, acceptors=3))
            if cluster.learners > 1:
                yield replace(plan, cluster=replace(cluster, learners=1))
        for clients in (1, 2):
            if clients < workload.clients:
                yield replace(plan, workload=replace(workload, clients=clients))
        if workload.keys > 1:
            yield replace(plan, workload=replace(workload, keys=1))
        for f in ("write", "read", "append"):
            if f in workload.mix and len(workload.mix) > 1:
                yield replace(plan, workload=replace(workload, mix={f: 1.0}))
        for operations in (1, 2, 3, 5, 10, 20):
            if not workload.operations or operations < workload.operations:
                yield replace(plan, workload=replace(workload, operations=operations))
        if plan.client_links_faulty:
            yield replace(plan, client_links_faulty=False)

    def _simpler_faults(self) -> Iterator[Plan]:
        assert self.last is not None
        for index, fault in enumerate(self.plan.faults):
            for simpler in self._simpler(index, fault):
                faults = self.plan.faults
                yield replace(self.plan, faults=(*faults[:index], simpler, *faults[index + 1 :]))

    def _simpler(self, index: int, fault: Fault) -> Iterator[Fault]:
        assert self.last is not None
        hit = self.last.targets.get(index, ())
        if hit and not fault.target.startswith("agent:"):
            yield replace(fault, target="agent:" + ",".join(hit))
        if fault.target.startswith("agent:") and "," in fault.target:
            names = fault.target.removeprefix("agent:").split(",")
            for name in names:
                yield replace(fault, target=f"agent:{name}")
        if fault.duration_ns > 2 * MILLISECOND:
            yield replace(fault, duration_ns=fault.duration_ns // 2 // MILLISECOND * MILLISECOND)
        for name in fault.params:
            if name not in ("shape", "limit"):
                yield replace(fault, params={key: value for key, value in fault.params.items() if key != name})

    def _triggers(self) -> Iterator[Plan]:
        """Times become triggers: what happened just before the fault began."""
        if not any(fault.at_ns is not None for fault in self.plan.faults):
            return
        happened = self._events()
        assert self.last is not None
        for index, fault in enumerate(self.plan.faults):
            begun_ns = self.last.begun_ns.get(index)
            if fault.at_ns is None or begun_ns is None:
                continue
            before = [event for event in happened if event[0] <= begun_ns]
            for trigger in _telling(before)[:3]:
                faults = self.plan.faults
                aimed = replace(fault, at_ns=None, trigger=trigger)
                yield replace(self.plan, faults=(*faults[:index], aimed, *faults[index + 1 :]))

    def _events(self) -> list[tuple[int, str, str]]:
        """(time, kind, agent) of everything a trigger could name, in order."""
        if self.replays >= self.budget:
            raise _BudgetSpent
        self.replays += 1
        run = SimulatedWorld(self.plan, record=True, stop_at_first=True).run()
        assert run.recording is not None
        events = [
            (row.time_ns, row.kind, agent)
            for (agent, _), rows in run.recording.events.items()
            for row in rows
            if row.kind in WATCHABLE
        ]
        return sorted(events, key=lambda event: event[0])


def _telling(before: list[tuple[int, str, str]]) -> list[str]:
    """Triggers that name the latest event before a fault, the rarest kinds first."""
    found = []
    latest = before[-12:]
    for kind in TRIGGER_KINDS:
        match = next((event for event in reversed(latest) if event[1] == kind), None)
        if match is not None:
            count = sum(event[1] == kind and event[2] == match[2] for event in before)
            found.append((count, f"{ordinal(count)} agent {match[2]} {kind}"))
    return [text for _, text in sorted(found, key=lambda item: item[0])]


def ordinal(number: int) -> str:
    """1 -> first, 2 -> 2nd, 3 -> 3rd, 11 -> 11th."""
    if number == 1:
        return "first"
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def shrink(plan: Plan, *, budget: int = 400, progress: Callable[[Plan, int], None] | None = None) -> ShrinkResult:
    """The smallest plan found that breaks the rule ``plan`` breaks."""
    return Shrinker(plan, budget, progress).shrink()


def write_shrunk(result: ShrinkResult, directory: Path) -> tuple[Path, Path]:
    """Store the plan, and a pytest test that fails as long as the bug is there."""
    plan_path = directory / "shrunk.json"
    test_path = directory / "test_shrunk.py"
    plan_path.write_bytes(encode_plan(result.plan))
    test_path.write_text(regression_test(result, plan_path.name))
    return plan_path, test_path


def regression_test(result: ShrinkResult, plan_name: str) -> str:
    """The text of a test beside the plan: fails while the rule is broken."""
    story = "\n".join(f"    * {sentence}" for sentence in result.sentences) or "    * no fault is needed"
    return f'''"""Fails as long as this plan breaks {result.rule}.

{result.sentence}
"""

from pathlib import Path

from harness.worlds.simulated.world import simulate
from nemesis.plan import load_plan


def test_plan_breaks_no_rule() -> None:
    """
{story}
    """
    run = simulate(load_plan(Path(__file__).with_name("{plan_name}")))
    assert [violation.sentence for violation in run.violations] == []
'''
