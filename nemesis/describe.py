"""Faults in words: one sentence each, times in units a human reads."""

from __future__ import annotations

from collections.abc import Sequence

from nemesis.faults import KINDS, Fault, fault_params, ignores_target

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
_TARGETS = {
    "one": "one agent",
    "minority": "a minority",
    "majority": "a majority",
    "all": "all agents",
    "leader": "the leader",
    "others": "all others",
    "it": "the agent that did it",
}


def human_ns(time_ns: int) -> str:
    """120_000_000 -> ``120 ms``; four digits are kept."""
    for size, unit in _UNITS:
        if abs(time_ns) >= size:
            return f"{float(f'{time_ns / size:.4g}'):g} {unit}"
    return "0 s"


def describe(fault: Fault, index: int, targets: Sequence[str] = ()) -> str:
    """One sentence: ``#3 at 120 ms: stop r1 for 250 ms``.

    ``targets``: the names of those it hit, once they are known; else the target is put in words. Parameters that differ
    from their defaults and have no place in the kind's sentence follow in brackets.
    """
    kind = KINDS[fault.kind]
    when = f"at {human_ns(fault.at_ns)}" if fault.at_ns is not None else f"when {fault.trigger}"
    if fault.after_ns:
        when = f"{human_ns(fault.after_ns)} after {fault.trigger}"
    whom = "" if ignores_target(fault) else ", ".join(targets) or _in_words(fault.target)
    shown = {
        name: human_ns(int(value)) if name.endswith("_ns") else value for name, value in fault_params(fault).items()
    }
    parts = [kind.sentence.format(targets=whom, **shown).strip()]
    if fault.duration_ns > 0:
        parts.append(f"for {human_ns(fault.duration_ns)}")
    else:
        parts.append("until the end" if fault.duration_ns < 0 else "(undone at once)")
    more = [
        f"{name} {shown[name]}"
        for name, value in fault.params.items()
        if f"{{{name}" not in kind.sentence and value != kind.params[name].default
    ]
    if more:
        parts.append(f"[{', '.join(more)}]")
    return f"#{index} {when}: {' '.join(parts)}"


def _in_words(target: str) -> str:
    kind, _, name = target.partition(":")
    if kind == "role":
        return f"one {name}"
    if kind == "agent":
        return name.replace(",", ", ")
    return _TARGETS[target]
