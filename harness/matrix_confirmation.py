"""Confirmation of the kill matrix: does what killed a mutant in the simulator kill it on real processes too?

Rules
* The plan of a trial's kill is shrunk; the shrunk plan is run *in lockstep* once: same rule, same digest, or it is not
  confirmed.
* *Free-running* it has some tries, a shrunk plan and the whole one in turn, each time under another seed. What killed may have
  been a rule that no record shows; so the plan is one that breaks a rule which a record does show, from the same trial. A try
  counts if a rule is broken, whichever, and a run of the same plan on the unmodified code breaks none; but want of progress,
  which a busy machine shows as well, counts only for bugs that the simulator saw by it.
* Mutants that show in the simulator only (``seen_in``) have no tries, and say so.
* Results are appended to a state file; what stands there for the same source is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.matrix import Trial, common_deployments, first_violation, is_equivalent, plan_of
from harness.replay import Try, free, lockstep, simulated
from harness.shrink import ShrinkResult, shrink
from harness.state_file import append
from nemesis.plan import SECOND, Plan, Plant
from paxos_impl.mutants.registry import find, plant

FREE_TRIES = 20
SHRINK_BUDGET = 200
RECORDED_SCHEDULES = 100
"""Looked through for one that breaks a rule which a record shows."""
FREE_DURATION_NS = 2 * SECOND
"""A shrunk plan may end before a real cluster has elected its first leader."""


class Confirmation(msgspec.Struct, frozen=True):
    """What became of one mutant's killing plan."""

    mutant: str
    source_hash: str
    rule: str
    """Broken in the simulator; empty: the matrix holds no kill of it."""
    plan: Plan | None
    """Shrunk."""
    faults_before: int
    faults: int
    lockstep: bool
    free_tries: int
    """Made; the last one showed it if ``free_rule`` is not empty."""
    free_rule: str = ""
    not_free: str = ""
    """Why real processes under real signals cannot show it."""


Progress = Callable[[Confirmation, int, int], None]
Runner = Callable[[Plan], Try]


def killing_plan(trial: Trial) -> Plan:
    """The plan of the schedule that killed, with the bug planted in it."""
    plan = plan_of(trial.strategy, trial.seed, common_deployments(find(trial.mutant)))
    return msgspec.structs.replace(plan, mutant=Plant(trial.mutant, trial.source_hash))


def confirm(
    trial: Trial, *, tries: int = FREE_TRIES, in_lockstep: Runner = lockstep, freely: Runner = free
) -> Confirmation:
    """Shrink what killed, and run it on real processes."""
    whole = killing_plan(trial)
    shrunk = shrink(whole, budget=SHRINK_BUDGET)
    if shrunk.rule is None:
        raise UserError(f"{trial.mutant}: seed {trial.seed} does not kill it any more; run the matrix anew")
    here, there = simulated(shrunk.plan), in_lockstep(shrunk.plan)
    why_not = not_free(trial.mutant)
    made, rule = (0, "") if why_not or not tries else _freely(*plan_for_free(trial, shrunk), tries, freely)
    return Confirmation(
        trial.mutant, trial.source_hash, shrunk.rule, shrunk.plan, shrunk.faults_before, shrunk.faults_after,
        here.rule == there.rule and here.digest == there.digest, made, rule, why_not,
    )  # fmt: skip


def not_free(ids: str) -> str:
    """Why no try on free processes is made; empty if there is no reason."""
    hidden = [
        one for one in find(ids) if "free" not in one.seen_in and one.seen_in.startswith(("simulated", "lockstep"))
    ]
    return "; ".join(f"{one.id} is seen in {one.seen_in}" for one in hidden)


def plan_for_free(trial: Trial, shrunk: ShrinkResult) -> tuple[Plan, Plan, str]:
    """(shrunk plan, whole plan, rule) of the first schedule, from the one that killed on, in which a record would show the bug;
    if there is none, those of the kill."""
    parts = plant(find(trial.mutant))
    for seed in range(trial.seed, trial.seed + RECORDED_SCHEDULES):
        whole = killing_plan(msgspec.structs.replace(trial, seed=seed))
        found, _ = first_violation(whole, parts, as_recorded=True)
        if found is not None and not found.rule.startswith("harness/"):
            recorded = shrink(whole, budget=SHRINK_BUDGET, as_recorded=True)
            if recorded.rule is not None:
                return recorded.plan, whole, recorded.rule
    return shrunk.plan, killing_plan(trial), shrunk.rule or ""


def _freely(shrunk: Plan, whole: Plan, rule: str, tries: int, run: Runner) -> tuple[int, str]:
    stuck = rule.startswith("liveness/")
    longer = msgspec.structs.replace(
        shrunk,
        duration_ns=max(shrunk.duration_ns, FREE_DURATION_NS),
        settle_ns=whole.settle_ns,
        final_power_cut=whole.final_power_cut,
        workload=msgspec.structs.replace(shrunk.workload, operations=0),
    )
    for number in range(1, tries + 1):
        plan = longer if number % 2 else whole
        plan = msgspec.structs.replace(plan, seed=plan.seed + number)
        shown = next((one for one in run(plan).rules if stuck or not one.startswith("liveness/")), "")
        if shown and not run(msgspec.structs.replace(plan, mutant=None)).rules:
            return number, shown
    return tries, ""


def first_kills(trials: Sequence[Trial]) -> list[Trial]:
    """Of each mutant that must die and did: what is to be confirmed."""
    first: dict[str, Trial] = {}
    for trial in trials:
        if trial.mutant and trial.killed and not is_equivalent(find(trial.mutant)):
            first.setdefault(trial.mutant, trial)
    return list(first.values())


def confirm_all(
    trials: Sequence[Trial],
    *,
    tries: int = FREE_TRIES,
    state: Path | None = None,
    progress: Progress | None = None,
    one: Callable[..., Confirmation] = confirm,
) -> list[Confirmation]:
    """Each killed mutant once, by its first kill; an interrupt ends it, and what was finished stands in ``state``."""
    first = first_kills(trials)
    known = {done.mutant: done for done in read_confirmations(state)} if state is not None else {}
    found: list[Confirmation] = []
    for trial in first:
        done = known.get(trial.mutant)
        if done is None or done.source_hash != trial.source_hash or _tried_less(done, tries):
            try:
                done = one(trial, tries=tries)
            except KeyboardInterrupt:
                return found
            if state is not None:
                append(state, done)
        found.append(done)
        if progress is not None:
            progress(done, len(found), len(first))
    return found


def _tried_less(done: Confirmation, tries: int) -> bool:
    """Whether it was not seen on free processes, and more tries are wanted than were made."""
    return not done.free_rule and not done.not_free and done.free_tries < tries


def read_confirmations(state: Path) -> list[Confirmation]:
    """Those of a state file; a line torn at its end is left out."""
    if not state.exists():
        return []
    whole = [line for line in state.read_bytes().split(b"\n")[:-1] if line]
    return [msgspec.json.decode(line, type=Confirmation) for line in whole]


def table(confirmations: Sequence[Confirmation]) -> str:
    """Markdown: the shares first, then one line a mutant."""
    tried = [one for one in confirmations if one.free_tries]
    lockstep_share = sum(one.lockstep for one in confirmations) / max(1, len(confirmations))
    free_share = sum(bool(one.free_rule) for one in tried) / max(1, len(tried))
    most = max((one.free_tries for one in tried), default=0)
    freely = f"of the {len(tried)} tried on free processes {free_share:.0%} kill there too, in at most {most} tries"
    lines = [
        f"{lockstep_share:.0%} of {len(confirmations)} shrunk plans give the same violation and digest in lockstep, at the "
        f"first try; {freely if tried else 'none was tried on free processes'}.",
        "",
        "| id | rule | faults: drawn | shrunk | lockstep | free: tries | free: rule |",
        "|---|---|---:|---:|---|---:|---|",
    ]
    for one in sorted(confirmations, key=lambda one: one.mutant):
        free_rule = one.free_rule or one.not_free or ("not seen" if one.free_tries else "not tried")
        same = "yes" if one.lockstep else "no"
        lines.append(
            f"| {one.mutant} | {one.rule} | {one.faults_before} | {one.faults} | {same} | {one.free_tries or '-'} | "
            f"{free_rule} |"
        )
    return "\n".join(lines) + "\n"
