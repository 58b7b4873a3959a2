"""Plans for Hypothesis: ``@given(plans())``. Every plan drawn is valid; they shrink towards few, short, early, simple faults.

Imported on its own, so that nobody else pays for Hypothesis. Example::

    @given(plans(kinds=("kill", "partition"), most_faults=5))
    def test_my_cluster_survives(plan): ...
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st

from nemesis.faults import KINDS, TARGETS, Fault, Parameter, ParameterSpec
from nemesis.plan import MILLISECOND, SECOND, Cluster, Plan, members
from nemesis.strategies.frame import cluster_of
from nemesis.strategies.moves import KINDS_AND_WEIGHTS, unit
from nemesis.triggers import WATCHABLE, ordinal


@st.composite
def plans(
    draw: st.DrawFn,
    *,
    base: Plan | None = None,
    kinds: Sequence[str] = tuple(KINDS_AND_WEIGHTS),
    most_faults: int = 12,
    longest_ns: int = 3 * SECOND,
    triggers: bool = True,
) -> Plan:
    """Valid plans. ``base`` gives what is not drawn (all but seed, cluster, length and faults); with ``base`` given, its
    cluster is kept too. ``triggers=False``: all faults begin at a time."""
    origin = base or Plan()
    drawn = draw(st.sampled_from([cluster_of("collapsed", 3), cluster_of("collapsed", 5), cluster_of("classic", 3)]))
    plan = msgspec.structs.replace(
        origin,
        seed=draw(st.integers(0, 2**32 - 1)),
        strategy="hypothesis",
        cluster=origin.cluster if base else drawn,
        duration_ns=draw(st.integers(SECOND // MILLISECOND, longest_ns // MILLISECOND)) * MILLISECOND,
    )
    one = faults(plan, kinds=kinds, triggers=triggers)
    return msgspec.structs.replace(plan, faults=tuple(draw(st.lists(one, max_size=most_faults))))


@st.composite
def faults(
    draw: st.DrawFn, plan: Plan, *, kinds: Sequence[str] = tuple(KINDS_AND_WEIGHTS), triggers: bool = True
) -> Fault:
    """Single faults that are valid in that plan; lengths up to eight election timeouts."""
    kind = KINDS[draw(st.sampled_from(list(kinds)))]
    triggered = triggers and draw(st.booleans())
    length_ms = draw(st.integers(1 if kind.lasts else 0, 8 * unit(plan) // MILLISECOND))
    return Fault(
        kind.name,
        draw(targets(plan.cluster, it=triggered)),
        at_ns=None if triggered else draw(st.integers(0, plan.duration_ns // MILLISECOND - 1)) * MILLISECOND,
        trigger=draw(trigger_texts(plan.cluster)) if triggered else None,
        duration_ns=length_ms * MILLISECOND,
        params=draw(st.fixed_dictionaries({}, optional=_parameters(plan, kind.params))),
    )


def targets(cluster: Cluster, *, it: bool = False) -> st.SearchStrategy[str]:
    """Targets that exist in the cluster; ``it`` only where a trigger makes sense of it."""
    names = [name for name, _ in members(cluster)]
    roles = sorted({role for _, role in members(cluster)})
    simple = [target for target in TARGETS if ":" not in target and (it or target != "it")]
    return st.sampled_from([*simple, *(f"agent:{name}" for name in names), *(f"role:{role}" for role in roles)])


def trigger_texts(cluster: Cluster, most: int = 100) -> st.SearchStrategy[str]:
    """Triggers in words: nth occurrence, by anybody, one agent or a role."""
    names = [name for name, _ in members(cluster)]
    roles = sorted({role for _, role in members(cluster)})
    who = st.sampled_from(["any", *(f"agent {name}" for name in names), *roles])
    return st.builds(
        lambda number, whom, what: f"{ordinal(number)} {whom} {what}",
        st.integers(1, most),
        who,
        st.sampled_from(list(WATCHABLE)),
    )


def _parameters(plan: Plan, specs: dict[str, ParameterSpec]) -> dict[str, st.SearchStrategy[Parameter]]:
    names = [name for name, _ in members(plan.cluster)]
    return {name: st.sampled_from(["", *names]) if name == "peer" else _parameter(spec) for name, spec in specs.items()}


def _parameter(spec: ParameterSpec) -> st.SearchStrategy[Parameter]:
    if spec.choices:
        return st.sampled_from(spec.choices)
    assert spec.lowest is not None and spec.highest is not None
    if isinstance(spec.default, int):
        return st.integers(int(spec.lowest), int(spec.highest))
    return st.floats(spec.lowest, spec.highest, allow_nan=False)
