"""Shrinking: the smallest plan that still breaks the same rule.

Rules
* A candidate counts only if the first rule it breaks is the *same* as the plan broke to begin with.
* With a planted bug, every accepted plan must also *pass on the unmodified code*, else it would show something else.
* A candidate that hangs, or that cannot be run, breaks no rule; a plan that does so to begin with is refused.
* It ends when no fault can be left out any more. The other moves are tried in rounds, at most ``ROUNDS``.

Order: what comes after the violation is cut off; *leaps* keep only the latest few faults; a plan that still has many is
*searched* for few of them that do it under another seed; faults are left out (delta debugging); the run moves towards its
beginning; cluster, clients, operations and keys get smaller; faults get simpler; times become triggers.

Random streams are one for each link and fault. Even so a fault that is left out moves everything after it, since whoever
leads then is another; a bug that needs luck goes away, and only other seeds bring it back. Hence leaps and search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from harness.errors import HarnessFault, UserError
from harness.time_limit import Hang, time_limit
from harness.worlds.simulated.world import SimulatedWorld
from nemesis.describe import describe
from nemesis.draws import Draw, below, between, choice, sample, stream
from nemesis.faults import ALL_CLIENTS, Fault
from nemesis.plan import MILLISECOND, Plan, encode_plan, members
from nemesis.port import Evidence
from nemesis.triggers import FORESEEN, WATCHABLE, ordinal, parse_trigger
from paxos_impl.mutants.registry import MutantError
from paxos_impl.parts import CORRECT

replace = msgspec.structs.replace
TRIGGER_KINDS = ("leader", "prepare", "promised", "propose", "accepted", "chosen", "applied", "snapshot", "installed")
"""Events worth naming in a trigger, the most telling first."""
TRIGGER_COUNT_MAX = 20
""""84th applied" says no more than a time."""
FEW_FAULTS = 3
MANY_FAULTS = 5
"""With more than that left, few others are searched for."""
SEEDS = 3
"""Under how many seeds a candidate is tried where leaving out needs luck."""
LEAVE_OUT_REPLAYS = 30
"""Most replays of delta debugging; what is left then is tried one by one at the end."""
SEARCH_REPLAYS = 20
PATIENT_REPLAYS = 150
"""The same for what leaving out could not shrink: rare bugs, on which more time is well spent."""
SEARCHED_FAULTS = 8
"""The latest so many faults are searched."""
ROUNDS = 2
"""Each smaller plan is another run, in which something else can be simplified: a third round gains hardly anything, and
with more than a few faults even the second one costs more than it gains."""
SHORT_NS = 2 * MILLISECOND
HANG_S = 60.0
"""What the first replay may take in real time."""
CANDIDATE_S = 5.0
"""What each of the others may take at least; more if the first one took long (``CANDIDATE_TIMES``), for it ended early."""
CANDIDATE_TIMES = 20


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
    """No fault can be left out any more (else the budget of replays ended)."""
    sentences: tuple[str, ...]
    """One for each fault that is left."""

    @property
    def exit_code(self) -> int:
        return 3 if self.rule is None else 0


class Begun(msgspec.Struct, frozen=True):
    """How a fault began in a run."""

    time_ns: int
    targets: tuple[str, ...]
    leader: str
    """Who led at that moment; empty: nobody."""


class Attempt(msgspec.Struct, frozen=True):
    """What a candidate did: the rule it broke first (empty: none), when, and how its faults began, by index."""

    rule: str
    sentence: str
    time_ns: int
    healed_ns: int
    operations: int
    """Invoked by clients until the end."""
    begun: dict[int, Begun]


class _BudgetSpent(Exception):
    pass


class _Observed(SimulatedWorld):
    """Notes who led when each fault began."""

    def __init__(self, plan: Plan, **options: Any) -> None:
        self.begun: dict[int, Begun] = {}
        super().__init__(plan, stop_at_first=True, **options)

    def _record_fault(self, edge: Any, fault: int, kind: str, targets: tuple[str, ...], evidence: Evidence) -> None:
        super()._record_fault(edge, fault, kind, targets, evidence)
        if edge == "begin" and fault >= 0:
            leader = self.leader()
            name = "" if leader is None else self.processes[leader].name
            self.begun[fault] = Begun(self.loop.now_ns, targets, name)


Move = tuple[str, Plan]
"""A simplification: a name that stays the same while the plan changes, and the candidate."""


class Shrinker:
    """One shrink. ``budget``: most replays, those of the unmodified code included; ``as_recorded``: judge by what a record
    would show."""

    def __init__(
        self,
        plan: Plan,
        budget: int,
        progress: Callable[[Plan, int], None] | None = None,
        *,
        as_recorded: bool = False,
    ) -> None:
        self.plan = plan
        self._as_recorded = as_recorded
        self.budget = budget
        self.progress = progress
        self.replays = 0
        self.rule = ""
        self.last = Attempt("", "", 0, 0, 0, {})
        self._limit_s = HANG_S
        self._tried: set[bytes] = set()

    def shrink(self) -> ShrinkResult:
        """Raises UserError if the plan cannot be run to an end."""
        began_s = time.monotonic()
        before = len(self.plan.faults)
        self.last = self._attempt(self.plan)
        self._limit_s = min(HANG_S, CANDIDATE_S + CANDIDATE_TIMES * (time.monotonic() - began_s))
        self.rule = self.last.rule
        must_be_runnable(self.rule, self.last.sentence)
        if not self.rule:
            return ShrinkResult(self.plan, None, "", before, before, self.replays, 0.0, False, ())
        minimal = True
        try:
            self._until_nothing_helps()
        except _BudgetSpent:
            minimal = False
        begun = self.last.begun
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
                describe(fault, index, begun[index].targets if index in begun else ())
                for index, fault in enumerate(self.plan.faults)
            ),
        )

    def _until_nothing_helps(self) -> None:
        self._sweep(self._cut_after_violation)
        self._leap()
        draw = stream(f"{self.plan.seed}/shrink")
        self._search(draw, SEARCH_REPLAYS)
        self._leave_out_faults()
        self._search(draw, PATIENT_REPLAYS)
        self._sweep(self._cut_after_violation)
        sweeps = (
            self._without_one_fault, self._smaller_runs, self._simpler_faults, self._foresight, self._triggers,
        )  # fmt: skip
        for _ in range(ROUNDS):
            helped = [self._sweep(moves) for moves in sweeps]
            self._sweep(self._cut_after_violation)
            if not any(helped):
                return
            if len(self.plan.faults) > FEW_FAULTS:
                break
        self._sweep(self._without_one_fault)

    # -- one step -----------------------------------------------------------------------------------------------------

    def _attempt(self, plan: Plan, *, clean: bool = False) -> Attempt:
        self._count_replay()
        try:
            with time_limit(self._limit_s):
                world = _Observed(plan, parts=CORRECT if clean else None, as_recorded=self._as_recorded)
                run = world.run()
        except Hang:
            return _not_run("harness/hang", f"the schedule did not end within {self._limit_s:g} s of real time")
        except (HarnessFault, MutantError):
            raise
        except (Exception, SystemExit) as error:
            if clean or plan.mutant is None:
                raise
            return _not_run("harness/raised", f"{type(error).__name__}: {error}")
        first = run.violations[0] if run.violations else None
        return Attempt(
            first.rule if first else "",
            first.sentence if first else "",
            first.time_ns if first else 0,
            run.healed_ns,
            sum(row.type == "invoke" for row in world.history),
            world.begun,
        )

    def _count_replay(self) -> None:
        if self.replays >= self.budget:
            raise _BudgetSpent
        self.replays += 1

    def _works(self, candidate: Plan) -> bool:
        """Take ``candidate`` if it still breaks the rule, and the unmodified code does not."""
        key = encode_plan(candidate)
        if key in self._tried or candidate == self.plan:
            return False
        self._tried.add(key)
        attempt = self._attempt(candidate)
        if attempt.rule != self.rule:
            return False
        if candidate.mutant is not None and self._attempt(candidate, clean=True).rule:
            return False
        self.plan, self.last = candidate, attempt
        if self.progress is not None:
            self.progress(candidate, self.replays)
        return True

    def _sweep(self, moves: Callable[[], Iterator[Move]]) -> bool:
        """Try every move once; after each that works the rest is made anew from the smaller plan."""
        failed: set[str] = set()
        helped = False
        while True:
            for name, candidate in moves():
                if name in failed:
                    continue
                if self._works(candidate):
                    helped = True
                    break
                failed.add(name)
            else:
                return helped

    # -- fewer faults -------------------------------------------------------------------------------------------------

    def _in_order(self) -> list[int]:
        """Indexes of the faults that began, in the order they did."""
        begun = self.last.begun
        return sorted((i for i in range(len(self.plan.faults)) if i in begun), key=lambda i: begun[i].time_ns)

    def _cut_after_violation(self) -> Iterator[Move]:
        """What comes after the violation cannot have caused it."""
        plan, last = self.plan, self.last
        if self.rule.startswith("liveness/"):
            quiet_ns = self._faults_end_ns() + plan.timing.election_timeout_ns
            if quiet_ns < plan.duration_ns:
                yield "short", replace(plan, duration_ns=quiet_ns)
        elif last.time_ns:
            end_ns = min((last.time_ns // MILLISECOND + 1) * MILLISECOND, plan.duration_ns)
            kept = tuple(
                fault
                for index, fault in enumerate(plan.faults)
                if index in last.begun and last.begun[index].time_ns <= last.time_ns
            )
            ended = replace(plan, duration_ns=end_ns, final_power_cut=False)
            if not last.healed_ns:
                yield "all", replace(ended, faults=kept, settle_ns=0)
                yield "end", replace(ended, settle_ns=0)
            else:
                settle_ns = min(plan.settle_ns, 5 * plan.timing.election_timeout_ns)
                yield "all", replace(ended, faults=kept, settle_ns=settle_ns)
                yield "faults", replace(plan, faults=kept)
                yield "end", replace(plan, duration_ns=end_ns, settle_ns=settle_ns)
        if plan.final_power_cut:
            yield "power", replace(plan, final_power_cut=False)

    def _faults_end_ns(self) -> int:
        """When the last fault is over by itself."""
        begun = self.last.begun
        return max(
            (
                begun[index].time_ns + max(fault.duration_ns, 0)
                for index, fault in enumerate(self.plan.faults)
                if index in begun
            ),
            default=0,
        )

    def _leap(self) -> None:
        """Only the latest few faults; else the later half, three quarters, …, under a few seeds each."""
        for keep in range(FEW_FAULTS + 1):
            if self._keep_latest(keep, seeds=1):
                return
        again = True
        while again and len(self.plan.faults) > FEW_FAULTS:
            count = len(self.plan.faults)
            keeps = sorted({count // 2, count - count // 4, count - count // 8} - {count})
            again = any(self._keep_latest(keep, seeds=SEEDS) for keep in keeps)

    def _keep_latest(self, keep: int, *, seeds: int) -> bool:
        latest = self._in_order()
        if keep >= len(self.plan.faults):
            return False
        faults = tuple(self.plan.faults[index] for index in sorted(latest[len(latest) - keep :]))
        return any(self._works(replace(self.plan, faults=faults, seed=self.plan.seed + step)) for step in range(seeds))

    def _leave_out_faults(self) -> None:
        """Delta debugging: leave out ever smaller pieces, the earliest first; single ones under a few seeds."""
        pieces = 2
        last_replay = self.replays + LEAVE_OUT_REPLAYS
        while len(self.plan.faults) > 1:
            faults = self.plan.faults
            size = max(1, (len(faults) + pieces - 1) // pieces)
            seeds = SEEDS if size == 1 and len(faults) > FEW_FAULTS else 1
            for start in range(0, len(faults), size):
                if self.replays >= last_replay:
                    return
                left = faults[:start] + faults[start + size :]
                if any(
                    self._works(replace(self.plan, faults=left, seed=self.plan.seed + step)) for step in range(seeds)
                ):
                    pieces = max(2, pieces - 1)
                    break
            else:
                if size == 1:
                    return
                pieces = min(len(faults), pieces * 2)

    def _search(self, draw: Draw, replays: int) -> None:
        """Few of the latest faults, soon after the start and under other seeds, until one such plan fails too; in between,
        all but a few under other seeds."""
        last_replay = self.replays + replays
        while len(self.plan.faults) > MANY_FAULTS and self.replays < last_replay:
            latest = self._in_order()[-SEARCHED_FAULTS:]
            if len(latest) < 2:
                return
            count = between(draw, 1, min(FEW_FAULTS, len(latest) - 1))
            if draw() < 0.4:
                self._works(self._thinned(draw))
                continue
            # Half of the time just the latest: what broke the rule is more often near.
            chosen = latest[-count:] if draw() < 0.5 else sorted(sample(draw, latest, count))
            self._works(self._early(chosen, draw))

    def _thinned(self, draw: Draw) -> Plan:
        """Without one to three of the faults."""
        faults = self.plan.faults
        out = sample(draw, range(len(faults)), between(draw, 1, 3))
        kept = tuple(fault for index, fault in enumerate(faults) if index not in out)
        return replace(self.plan, faults=kept, seed=self.plan.seed + 1 + below(draw, 1_000_000))

    def _early(self, chosen: list[int], draw: Draw) -> Plan:
        """The chosen faults alone, moved to soon after the first election, aimed at whoever plays the same part then."""
        plan, begun = self.plan, self.last.begun
        unit_ns = plan.timing.election_timeout_ns
        first_ns = min(begun[index].time_ns for index in chosen)
        shift_ns = max(0, first_ns - between(draw, 2, 5) * unit_ns)
        faults = []
        for index in chosen:
            fault = plan.faults[index]
            at_ns = begun[index].time_ns - shift_ns
            aimed = self._aimed(fault, begun[index], draw)
            faults.append(replace(aimed, at_ns=at_ns // MILLISECOND * MILLISECOND, trigger=None))
        end_ns = plan.duration_ns - shift_ns + 2 * unit_ns
        seed = plan.seed + 1 + below(draw, 1_000_000)
        return replace(plan, faults=tuple(faults), duration_ns=end_ns, seed=seed)

    def _aimed(self, fault: Fault, begun: Begun, draw: Draw) -> Fault:
        if not begun.targets or fault.target in ("leader", "one", "minority", "majority", "all", "others"):
            return fault
        if begun.targets == (begun.leader,):
            return replace(fault, target="leader")
        if fault.target == "it":
            role = dict(members(self.plan.cluster))[begun.targets[0]]
            return replace(fault, target=choice(draw, ("leader", f"role:{role}")))
        return fault

    def _without_one_fault(self) -> Iterator[Move]:
        faults = self.plan.faults
        for index, fault in enumerate(faults):
            yield repr(fault), replace(self.plan, faults=faults[:index] + faults[index + 1 :])

    # -- smaller and simpler ------------------------------------------------------------------------------------------

    def _smaller_runs(self) -> Iterator[Move]:
        plan = self.plan
        cluster, workload = plan.cluster, plan.workload
        least = replace(workload, clients=1, keys=1)
        if workload != least:
            yield "least", replace(plan, workload=least)
        yield from self._earlier()
        if cluster.deployment == "collapsed" and cluster.nodes > 3:
            yield "nodes", replace(plan, cluster=replace(cluster, nodes=3))
        if cluster.deployment == "classic":
            if cluster.acceptors > 3:
                yield "acceptors", replace(plan, cluster=replace(cluster, acceptors=3))
            if cluster.learners > 1:
                yield "learners", replace(plan, cluster=replace(cluster, learners=1))
        for clients in (1, 2):
            if clients < workload.clients:
                yield f"clients {clients}", replace(plan, workload=replace(workload, clients=clients))
        if workload.keys > 1:
            yield "keys", replace(plan, workload=replace(workload, keys=1))
        for f in ("write", "read", "append"):
            if f in workload.mix and len(workload.mix) > 1:
                yield f"only {f}", replace(plan, workload=replace(workload, mix={f: 1.0}))
        for operations in (1, 3, 10, self.last.operations):
            if not workload.operations or operations < workload.operations:
                yield f"operations {operations}", replace(plan, workload=replace(workload, operations=operations))
        if plan.client_links_faulty and all(fault.params.get("peer") != ALL_CLIENTS for fault in plan.faults):
            yield "clients' links", replace(plan, client_links_faulty=False)

    def _earlier(self) -> Iterator[Move]:
        """A quiet beginning is cut."""
        plan = self.plan
        times = [fault.at_ns for fault in plan.faults if fault.at_ns is not None]
        if not times or len(times) < len(plan.faults):
            return
        for timeouts in (2, 4):
            shift_ns = min(times) - timeouts * plan.timing.election_timeout_ns
            if shift_ns > 0:
                moved = tuple(replace(fault, at_ns=(fault.at_ns or 0) - shift_ns) for fault in plan.faults)
                for step in (0, 1):
                    yield (
                        f"earlier {timeouts}/{step}",
                        replace(plan, faults=moved, duration_ns=plan.duration_ns - shift_ns, seed=plan.seed + step),
                    )

    def _simpler_faults(self) -> Iterator[Move]:
        for index, fault in enumerate(self.plan.faults):
            for name, simpler in self._simpler(index, fault):
                faults = self.plan.faults
                yield f"{index} {name}", replace(self.plan, faults=(*faults[:index], simpler, *faults[index + 1 :]))

    def _simpler(self, index: int, fault: Fault) -> Iterator[tuple[str, Fault]]:
        hit = self.last.begun[index].targets if index in self.last.begun else ()
        if hit and not fault.target.startswith("agent:"):
            yield "named", replace(fault, target="agent:" + ",".join(hit))
        if fault.target.startswith("agent:") and "," in fault.target:
            for name in fault.target.removeprefix("agent:").split(","):
                yield name, replace(fault, target=f"agent:{name}")
        for name in fault.params:
            if name not in ("shape", "limit"):
                yield name, replace(fault, params={key: value for key, value in fault.params.items() if key != name})
        for length_ns in (SHORT_NS, fault.duration_ns // 4, fault.duration_ns // 2):
            if SHORT_NS <= length_ns < fault.duration_ns:
                shorter = replace(fault, duration_ns=length_ns // MILLISECOND * MILLISECOND)
                yield f"length {length_ns}", shorter

    # -- triggers -----------------------------------------------------------------------------------------------------

    def _foresight(self) -> Iterator[Move]:
        """What begins where an agent would forget begins at that time: no free process tells when it would."""
        for index, fault in enumerate(self.plan.faults):
            begun = self.last.begun.get(index)
            if fault.trigger is None or begun is None or parse_trigger(fault.trigger).kind not in FORESEEN:
                continue
            # A moment later: at that very time it would come before the sync behind which the agent was looked at.
            target = f"agent:{','.join(begun.targets)}" if fault.target == "it" else fault.target
            timed = replace(fault, trigger=None, at_ns=begun.time_ns + 1, target=target)
            yield (
                str(index),
                replace(self.plan, faults=(*self.plan.faults[:index], timed, *self.plan.faults[index + 1 :])),
            )

    def _triggers(self) -> Iterator[Move]:
        """Times become triggers: what happened just before the fault began."""
        if not any(fault.at_ns is not None for fault in self.plan.faults):
            return
        happened = self._events()
        for index, fault in enumerate(self.plan.faults):
            if fault.at_ns is None or index not in self.last.begun:
                continue
            before = [event for event in happened if event[0] <= self.last.begun[index].time_ns]
            for trigger in _telling(before)[:2]:
                faults = self.plan.faults
                aimed = replace(fault, at_ns=None, trigger=trigger)
                yield f"{index} {trigger}", replace(self.plan, faults=(*faults[:index], aimed, *faults[index + 1 :]))

    def _events(self) -> list[tuple[int, str, str]]:
        """(time, kind, agent) of everything a trigger could name, in order."""
        self._count_replay()
        try:
            with time_limit(self._limit_s):
                run = SimulatedWorld(self.plan, record=True, stop_at_first=True).run()
        except Hang:
            return []
        assert run.recording is not None
        events = [
            (row.time_ns, row.kind, agent)
            for (agent, _), rows in run.recording.events.items()
            for row in rows
            if row.kind in WATCHABLE
        ]
        return sorted(events, key=lambda event: event[0])


def must_be_runnable(rule: str, sentence: str) -> None:
    """Raises UserError if that is what became of a plan which could not be run to an end: it has no rule to be kept."""
    if rule.startswith("harness/"):
        raise UserError(
            f"{rule}: {sentence}; what cannot be run to an end cannot be shrunk: `torture replay` repeats it, in a process "
            "of its own"
        )


def _not_run(rule: str, sentence: str) -> Attempt:
    return Attempt(rule, sentence, 0, 0, 0, {})


def _telling(before: list[tuple[int, str, str]]) -> list[str]:
    """Triggers that name the latest event before a fault, the rarest first."""
    found = []
    latest = before[-12:]
    for kind in TRIGGER_KINDS:
        match = next((event for event in reversed(latest) if event[1] == kind), None)
        if match is not None:
            count = sum(event[1] == kind and event[2] == match[2] for event in before)
            if count <= TRIGGER_COUNT_MAX:
                found.append((count, f"{'first' if count == 1 else ordinal(count)} agent {match[2]} {kind}"))
    return [text for _, text in sorted(found, key=lambda item: item[0])]


def shrink(
    plan: Plan,
    *,
    budget: int = 400,
    progress: Callable[[Plan, int], None] | None = None,
    as_recorded: bool = False,
) -> ShrinkResult:
    """The smallest plan found that breaks the rule ``plan`` breaks; ``as_recorded``: the first that a record would show."""
    return Shrinker(plan, budget, progress, as_recorded=as_recorded).shrink()
