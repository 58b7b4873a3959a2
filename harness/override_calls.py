"""How often the code of a planted bug was called: one that survives because no schedule reaches it was never tried.

Counted are the methods that the bug's classes define over those of the protocol code, each time by a wrapper that stands in
its place while a trial runs. What is neither a function (of the instance, the class or none) nor a property is left out, and
so is what a rehearsed restart calls: it happens to no agent of the run.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FunctionType
from typing import Any

import msgspec

from harness.pure_rules import pure_rule
from paxos_impl.mutants.registry import Mutant
from paxos_impl.parts import CORRECT


class MethodCalls(msgspec.Struct, frozen=True):
    """Of one method."""

    method: str
    calls: int
    schedules: int
    """In which it was called."""
    of: int
    """Schedules that were run."""
    otherwise: int | None = None
    """Calls that the rule would have answered otherwise; None: it cannot be asked without an effect (``pure_rules``)."""


class CallCounter:
    """Counts for one trial; a schedule at a time. ``rules``: method -> the rule to compare its answers with. ``aside``: whether
    what is called now is to be left out."""

    def __init__(self, methods: Iterable[str], rules: dict[str, Callable[..., Any]], aside: Callable[[], bool]) -> None:
        self._calls = dict.fromkeys(methods, 0)
        self._before = dict(self._calls)
        self._schedules = dict(self._calls)
        self._rules = rules
        self._aside = aside
        self._otherwise = dict.fromkeys(rules, 0)
        self._run = 0

    def wrap(self, method: str, function: Callable[..., Any]) -> Callable[..., Any]:
        calls, otherwise, aside = self._calls, self._otherwise, self._aside

        @functools.wraps(function)
        def counted(*args: Any, **options: Any) -> Any:
            if not aside():
                calls[method] += 1
            return function(*args, **options)

        rule = self._rules.get(method)
        if rule is None:
            return counted

        @functools.wraps(function)
        def compared(*args: Any, **options: Any) -> Any:
            answer = counted(*args, **options)
            if not aside():
                otherwise[method] += _differs(answer, rule, args, options)
            return answer

        return compared

    def end_schedule(self) -> None:
        self._run += 1
        for method, calls in self._calls.items():
            self._schedules[method] += calls > self._before[method]
        self._before.update(self._calls)

    def result(self) -> tuple[MethodCalls, ...]:
        return tuple(
            MethodCalls(method, calls, self._schedules[method], self._run, self._otherwise.get(method))
            for method, calls in self._calls.items()
        )


def _differs(answer: Any, rule: Callable[..., Any], args: Any, options: Any) -> bool:
    try:
        asked = rule(*args, **options)
    except Exception:
        return True
    return bool(bool(answer) != asked if isinstance(asked, bool) else answer != asked)


@contextlib.contextmanager
def counting(mutants: Sequence[Mutant]) -> Iterator[CallCounter]:
    """Count what is called of these bugs while the block runs."""
    from harness.worlds.simulated.rehearsal import Rehearsals

    methods = _methods(mutants)
    counter = CallCounter(methods, _rules(mutants), lambda: Rehearsals.under_way)
    try:
        for method, (class_, name, found) in methods.items():
            _put(class_, name, _counted(found, functools.partial(counter.wrap, method)))
        yield counter
    finally:
        for class_, name, found in methods.values():
            _put(class_, name, found)


def _rules(mutants: Sequence[Mutant]) -> dict[str, Callable[..., Any]]:
    """Of one bug of one class alone: two of them may meet in what they leave behind."""
    classes = [each for one in mutants for each in one.classes]
    found = [pure_rule(class_, getattr(CORRECT, place)) for place, class_ in classes] if len(classes) == 1 else []
    return dict(one for one in found if one is not None)


def _put(class_: type, name: str, value: Any) -> None:
    """As ``setattr``, but past whatever a metaclass makes of that."""
    type.__setattr__(class_, name, value)


def _methods(mutants: Sequence[Mutant]) -> dict[str, tuple[type, str, Any]]:
    """Method as it is told -> class, name and what stands there. ``__init__`` counts where nothing else is overridden."""
    found: dict[tuple[type, str], Any] = {}
    for one in mutants:
        for place, class_ in one.classes:
            base = getattr(CORRECT, place)
            above = class_.__mro__[: class_.__mro__.index(base)]
            for its in [each for each in above if each.__module__ == class_.__module__]:
                found |= {(its, name): value for name, value in vars(its).items() if hasattr(base, name)}
    kept = {key: value for key, value in found.items() if _can_count(value)}
    plain = {key: value for key, value in kept.items() if key[1][:2] != "__"}
    kept = plain or {key: value for key, value in kept.items() if key[1] == "__init__"}
    times = Counter(name for _, name in kept)
    return {
        name if times[name] == 1 else f"{class_.__name__}.{name}": (class_, name, value)
        for (class_, name), value in kept.items()
    }


def _can_count(found: Any) -> bool:
    return type(found) in (FunctionType, staticmethod, classmethod) or (
        type(found) is property and found.fget is not None
    )


def _counted(found: Any, wrap: Callable[[Any], Any]) -> Any:
    if type(found) is property:
        return property(wrap(found.fget), found.fset, found.fdel, found.__doc__)
    if type(found) in (staticmethod, classmethod):
        return type(found)(wrap(found.__func__))
    return wrap(found)


def total(many: Iterable[tuple[MethodCalls, ...]]) -> tuple[MethodCalls, ...]:
    """Those of several trials together."""
    by_method: dict[str, list[MethodCalls]] = {}
    for one in (one for calls in many for one in calls):
        by_method.setdefault(one.method, []).append(one)
    return tuple(_sum(method, each) for method, each in by_method.items())


def _sum(method: str, each: Sequence[MethodCalls]) -> MethodCalls:
    compared = [one.otherwise for one in each if one.otherwise is not None]
    return MethodCalls(
        method,
        sum(one.calls for one in each),
        sum(one.schedules for one in each),
        sum(one.of for one in each),
        sum(compared) if len(compared) == len(each) else None,
    )


def sentence(calls: Sequence[MethodCalls]) -> str:
    """What became of a bug that survived; empty if nothing was counted."""
    if not calls:
        return ""
    told = [f"{one.method} was called in {one.schedules} of them ({_times(one)})" for one in calls if one.calls]
    never = [one.method for one in calls if not one.calls]
    if never:
        verb = "was" if len(never) == 1 else "were"
        told.append(
            f"{', '.join(never)} {verb} never called: no schedule reaches it (is the option it needs on? which deployment?)"
        )
    return f"{calls[0].of} schedules; {', '.join(told)}"


def _times(one: MethodCalls) -> str:
    times = "once" if one.calls == 1 else f"{one.calls} times"
    return (
        times if one.otherwise is None else f"{times}, {one.otherwise or 'never'} with another answer than the rule's"
    )
