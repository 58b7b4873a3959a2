"""Strategies: ways to make a plan from a seed. None dominates, so there is a portfolio.

Each strategy is one file with a function ``generate(seed, frame) -> Plan`` and one row in ``STRATEGIES``. Its module is
imported when first used. Equal seeds and frames give equal plans, on every machine and Python version.
"""

from __future__ import annotations

from importlib import import_module

import msgspec

from nemesis.plan import Plan, validate
from nemesis.strategies.frame import Frame, as_can_be_served, room_for
from nemesis.suggest import did_you_mean


class Strategy(msgspec.Struct, frozen=True):
    name: str
    about: str
    module: str
    weight: float
    """Share in the portfolio; 0: only when asked for by name."""


STRATEGIES: dict[str, Strategy] = {
    name: Strategy(name, about, f"nemesis.strategies.{name}", weight)
    for name, about, weight in (
        ("calm", "no fault at all: what fails here fails by itself", 0.02),
        ("fast_uniform", "a fault about every election timeout, of any kind, length and target", 0.1),
        ("swarm", "as fast_uniform, each plan with a random subset of the kinds and its own pace", 0.1),
        ("aimed", "at the leader, at the quorum's edge, between append and sync, by triggers", 0.2),
        ("usurp", "leaders are replaced while they are at work; some of what they said arrives long after", 0.09),
        ("succession", "leader after leader is heard by few: lost, late, one-sided messages at each takeover", 0.08),
        ("scatter", "of what each leader sends much is lost, message by message, and soon another one leads", 0.1),
        ("relay", "each in turn is away, and who returns must learn from those who were away before", 0.1),
        ("islands", "who hears whom is drawn anew every moment, each direction of each link on its own", 0.1),
        ("brink", "just a quorum is left, with slow disks: crashes, and second crashes soon after the first", 0.12),
        ("relapse", "crashes in chains: an agent goes down again while it still recovers", 0.08),
        ("laggard", "somebody falls behind the others' cut logs and is disturbed while it catches up", 0.1),
        ("castaway", "a leader cut off votes on alone, and is then told that all was decided otherwise", 0.12),
        ("molasses", "slow, lost and one-sided until the very heal: then it must run again", 0.1),
        ("untimely", "few faults, each on one message: lost, held back long, or arriving again late", 0.08),
        ("pct", "links slowed by random priorities that change a few times: causal chains overtake each other", 0.03),
        (
            "margins",
            "as one of the others, with sizes at the margin: even clusters, tiny pages, queues, lists",
            0.15,
        ),
        ("doubt", "clients lose their answers, lose patience, and their requests come again, late, elsewhere", 0.1),
        ("echo", "who was away hears again, late, what it was told on its return, and must hand it on", 0.06),
        ("palimpsest", "an agent's log is written over by life after life, each cut off before its first sync", 0.1),
        ("coup", "who leads next and who elects it is drawn, again and again; each leader is heard by few", 0.08),
        ("twins", "two lead with the same round, one after the other, each heard by others", 0.12),
        ("legacy", "one alone knows what is chosen, tells part of it, and goes for good", 0.06),
        ("gaps", "one value is lost to all, the next is heard by one; who closes the gap is heard by others", 0.12),
        ("schism", "two leaders left different values in one slot, each at one voter; the next must hear both", 0.12),
        ("hangover", "elections lost until the heal, clocks set back when the leader goes: it must bind nobody", 0.08),
        (
            "heir",
            "one knows what is chosen and has cut it; who does not know leads next, among lost words and crashes",
            0.09,
        ),
        ("power_sweep", "one power cut at one append or sync of one agent, lost or torn", 0.05),
        ("portfolio", "all of the above, by their weights, most plans with a blow at the first leader besides", 0.0),
        ("jepsen", "for comparison: one kind at a time, a fault every five election timeouts or slower", 0.0),
        ("jepsen_fixed", "for comparison: as jepsen, on one usual cluster with one usual load, a longer run", 0.0),
        ("takeover", "for the regression gate: only who leads is hit, and a successor has time to stand up", 0.0),
        ("torture", "for real processes: about a minute, all kinds and target classes, gaps to recover in", 0.0),
    )
}


class UnknownStrategy(ValueError):
    """No strategy has that name; the text lists them."""


def generate(name: str, seed: int, frame: Frame | None = None) -> Plan:
    """The plan that strategy makes from the seed, within the frame. It is valid; raises UnknownStrategy."""
    strategy = STRATEGIES.get(name)
    if strategy is None:
        raise UnknownStrategy(
            f"unknown strategy {name!r}{did_you_mean(name, STRATEGIES)}; there are: {', '.join(STRATEGIES)}"
        )
    frame = frame or Frame()
    plan: Plan = import_module(strategy.module).generate(seed, frame)
    if frame.limits is None:
        plan = msgspec.structs.replace(plan, limits=room_for(plan.workload, plan.limits))
    if frame.workload is None:
        plan = msgspec.structs.replace(plan, workload=as_can_be_served(plan))
    validate(plan, f"the plan of strategy {name!r}, seed {seed}")
    return plan
