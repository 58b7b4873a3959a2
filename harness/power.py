"""Power: events to a kill, of the portfolio against a Jepsen-style nemesis, over the same mutants and oracles.

The nemesis is measured twice: on the clusters and loads that the portfolio draws, where only the faults differ, and on one
usual cluster with one usual load, as such tests are commonly run.

For each mutant and strategy the mean of events to a kill is estimated from all trials: events run, divided by kills (the
maximum-likelihood estimate of a memoryless search; trials that ended without a kill count in with their events). Where
the Jepsen-style nemesis never killed, its events are taken as if the last of them had: a lower bound, and said so.
The figure is the geometric mean of the ratios; its interval comes from a bootstrap over mutants and, within each, trials.
With a single lower bound among the ratios both are lower bounds too: that they do not lie above 1 tells nothing then.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from random import Random
from statistics import fmean

import msgspec

from harness.matrix import Trial, is_equivalent
from paxos_impl.mutants.registry import all_mutants, find
from paxos_impl.mutants.waiting import PAIRS

PORTFOLIO = "portfolio"
RIVALS = {
    "jepsen": "The same clusters and loads, only the faults differ",
    "jepsen_fixed": "As commonly run: one usual cluster, one usual load, sixty election timeouts a run",
}
"""Strategy -> what is compared."""
RESAMPLES = 2000


class Ratio(msgspec.Struct, frozen=True):
    """One mutant: mean events to a kill, and how many times more the rival needs."""

    mutant: str
    portfolio_events: float
    rival_events: float
    ratio: float
    rival_kills: int
    rival_trials: int

    @property
    def at_least(self) -> bool:
        """The rival never killed it: the ratio is a lower bound."""
        return self.rival_kills == 0


class PowerResult(msgspec.Struct, frozen=True):
    rival: str
    """Strategy the portfolio was compared with."""
    ratios: tuple[Ratio, ...]
    mean: float
    """Geometric mean of the ratios."""
    low: float
    high: float
    """Interval of 95 %."""
    bounds: int
    """Ratios that are lower bounds."""
    left_out: tuple[str, ...]
    """Mutants the portfolio did not kill, or that one of both was not run on."""
    budget: int = 0
    """Most schedules of a trial of the portfolio."""
    rival_budget: int = 0
    """Most schedules of a trial of the rival."""
    trials: int = 0
    """Of each mutant and side, at least."""

    @property
    def exit_code(self) -> int:
        """0: the interval lies above 1. 1: it does not. 3: nothing to compare, or it need not lie there, since it is a lower
        bound."""
        if self.ratios and self.low > 1:
            return 0
        return 3 if self.bounds or not self.ratios else 1


def compare_all(trials: Sequence[Trial]) -> tuple[PowerResult, ...]:
    """With each of the ``RIVALS``."""
    return tuple(compare(trials, rival) for rival in RIVALS)


def _most(usable: dict[str, dict[str, list[Trial]]], strategy: str) -> int:
    """Budget of the longest trial."""
    return max(trial.budget for both in usable.values() for trial in both[strategy])


def exit_code(results: Sequence[PowerResult]) -> int:
    """1: some interval does not lie above 1. 3: else, if somewhere nobody can tell. 0: it is as it should be."""
    codes = {result.exit_code for result in results}
    return next((code for code in (1, 3) if code in codes), 0)


def compare(trials: Sequence[Trial], rival: str, resamples: int = RESAMPLES, seed: int = 0) -> PowerResult:
    """The portfolio and ``rival`` over the mutants that have trials of both; equivalent mutants do not count."""
    by_mutant: dict[str, dict[str, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        if trial.mutant and trial.strategy in (PORTFOLIO, rival) and not trial.unsteady:
            by_mutant[trial.mutant][trial.strategy].append(trial)
    usable, left_out = {}, []
    for mutant, both in by_mutant.items():
        if is_equivalent(find(mutant)):
            continue
        if both[rival] and any(trial.killed for trial in both[PORTFOLIO]):
            usable[mutant] = both
        else:
            left_out.append(mutant)
    ratios = tuple(_ratio(mutant, both, rival) for mutant, both in sorted(usable.items()))
    if not ratios:
        return PowerResult(rival, (), math.nan, math.nan, math.nan, 0, tuple(left_out))
    low, high = _interval(list(usable.values()), rival, resamples, Random(seed))
    mean = math.exp(fmean(math.log(ratio.ratio) for ratio in ratios))
    used = [side for both in usable.values() for side in (both[PORTFOLIO], both[rival])]
    return PowerResult(
        rival, ratios, mean, low, high, sum(ratio.at_least for ratio in ratios), tuple(left_out),
        _most(usable, PORTFOLIO), _most(usable, rival), min(map(len, used)),
    )  # fmt: skip


def _events_to_kill(trials: Sequence[Trial]) -> float:
    return sum(trial.events for trial in trials) / max(1, sum(trial.killed for trial in trials))


def _ratio(mutant: str, both: dict[str, list[Trial]], rival: str) -> Ratio:
    ours, theirs = _events_to_kill(both[PORTFOLIO]), _events_to_kill(both[rival])
    kills = sum(trial.killed for trial in both[rival])
    return Ratio(mutant, ours, theirs, theirs / ours, kills, len(both[rival]))


def _interval(mutants: list[dict[str, list[Trial]]], rival: str, resamples: int, random: Random) -> tuple[float, float]:
    """Percentiles 2.5 and 97.5 of the geometric mean over resampled mutants with resampled trials."""

    def resampled(trials: list[Trial]) -> float:
        return _events_to_kill([trials[int(random.random() * len(trials))] for _ in trials])

    means = []
    for _ in range(resamples):
        logs = []
        for _ in mutants:
            both = mutants[int(random.random() * len(mutants))]
            logs.append(math.log(resampled(both[rival]) / resampled(both[PORTFOLIO])))
        means.append(math.exp(fmean(logs)))
    means.sort()
    return means[int(0.025 * resamples)], means[min(resamples - 1, int(0.975 * resamples))]


def table(result: PowerResult) -> str:
    """Markdown: one line a mutant, the largest ratios first."""
    left_out = ", ".join(result.left_out) or "none"
    names = [*all_mutants(), *(pair.ids for pair in PAIRS)]
    planted = sum(not is_equivalent(find(name)) for name in names)
    measured = len(result.ratios) + len(result.left_out)
    trials = "one trial" if result.trials == 1 else f"{result.trials} trials"
    at_least = "at least " if result.bounds else ""
    lines = [
        f"Geometric mean of the ratios: {at_least}{_number(result.mean)} (95 %: {at_least}{_number(result.low)} to "
        f"{_number(result.high)}) over "
        f"{len(result.ratios)} bugs; {result.bounds} ratios are lower bounds (the Jepsen-style nemesis never killed).",
        "",
        f"{measured} of {planted} planted bugs and pairs were measured, at least {trials} of each bug and side, of at most "
        f"{result.budget:,} schedules of the portfolio and {result.rival_budget:,} of the other; left out, since the "
        f"portfolio did not kill them in that: {left_out}.",
        "",
        "| id | events to a kill, portfolio | Jepsen-style | ratio |",
        "|---|---:|---:|---:|",
    ]
    for ratio in sorted(result.ratios, key=lambda one: -one.ratio):
        bound = "≥ " if ratio.at_least else ""
        lines.append(
            f"| {ratio.mutant} | {ratio.portfolio_events:,.0f} | {bound}{ratio.rival_events:,.0f} | "
            f"{bound}{_number(ratio.ratio)} |"
        )
    return "\n".join(lines) + "\n"


def _number(ratio: float) -> str:
    """Below 1 two digits that tell something, wherever they stand: half a percent is not nothing."""
    if not 0 < ratio < 1:
        return f"{ratio:,.1f}"
    return f"{ratio:.{1 - math.floor(math.log10(ratio))}f}"
