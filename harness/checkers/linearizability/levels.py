"""Levels: linearizability of sets that only grow, in O(n log n), whatever is in flight.

Theory
* All that was read must be a chain: L0 (what the set began with) within L1 within L2 … An element has the level of the
  smallest Li that contains it; an element that nobody read is above all levels.
* Between the reads of lower levels and those of level i there is a time span [p_i, q_i] in which what is new in Li is added.
  So: every read of a lower level was called by p_i; every read of level i returned at q_i or later; every add of a new
  element returned at p_i or later, and some add of it was called by q_i. Adds of what nobody read return after all reads.
* These are bounds on p_1 <= q_1 <= p_2 <= …, from below by calls and from above by returns. There is a solution iff the
  smallest one fits, so one pass decides; where it does not fit, the operations that gave the two bounds are the proof.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from harness.checkers.linearizability.history import UNKNOWN, Op, show_value


class SetFinding(msgspec.Struct):
    """A violation: its rule, the operations that force it, and why in prose."""

    rule: str
    ops: tuple[Op, ...]
    because: tuple[str, ...]


class _Level(msgspec.Struct):
    """What bounds the time span before the reads of a level, each by one operation."""

    returned_first: Op | None = None
    """The read of this level, or a higher one, that returned first."""
    called_last: Op | None = None
    """The read of this level, or a lower one, that was called last."""
    added_first: Op | None = None
    """The add of a new element that returned first."""
    needed_last: Op | None = None
    """Of the first adds of the new elements, the one that was called last."""


def check_set(ops: Iterable[Op], init: frozenset[Any]) -> SetFinding | None:
    """Judge the operations (``add``, ``read``) of one set that began as ``init``; None: there is a legal order."""
    reads = [op for op in ops if op.f == "read" and op.result is not UNKNOWN]
    adds = [op for op in ops if op.f == "add" and op.value not in init]
    content = {id(read): frozenset(read.result or ()) for read in reads}
    for read in reads:
        if len(content[id(read)]) < len(read.result or ()):
            return SetFinding("twice-in-set", (read,), ())
    reads.sort(key=lambda read: len(content[id(read)]))
    chain = [init]
    numbered: list[tuple[int, Op]] = []
    for read in reads:
        if not chain[-1] <= content[id(read)]:
            return _no_chain(read, chain[-1], numbered, content)
        if len(chain[-1]) < len(content[id(read)]):
            chain.append(content[id(read)])
        numbered.append((len(chain) - 1, read))
    level_of = dict.fromkeys(init, 0)
    for number in range(1, len(chain)):
        level_of |= dict.fromkeys(chain[number] - chain[number - 1], number)
    phantom = set(level_of) - init - {op.value for op in adds}
    if phantom:
        element = min(phantom, key=repr)
        read = next(read for read in reads if element in content[id(read)])
        return SetFinding("phantom-read", (read,), (f"nobody added {show_value(element)}",))
    return _spans(_levels(numbered, adds, level_of, len(chain)), content)


def _levels(numbered: list[tuple[int, Op]], adds: list[Op], level_of: dict[Any, int], count: int) -> list[_Level]:
    """The bounds of each level; the last one is of what nobody read."""
    levels = [_Level() for _ in range(count + 1)]
    for number, read in numbered:
        level = levels[number]
        if level.returned_first is None or read.ret < level.returned_first.ret:
            level.returned_first = read
        if level.called_last is None or read.call > level.called_last.call:
            level.called_last = read
    first: dict[Any, Op] = {}
    for op in adds:
        level = levels[level_of.get(op.value, count)]
        if not op.pending and (level.added_first is None or op.ret < level.added_first.ret):
            level.added_first = op
        if op.value in level_of and (op.value not in first or op.call < first[op.value].call):
            first[op.value] = op
    for op in first.values():
        level = levels[level_of[op.value]]
        if level.needed_last is None or op.call > level.needed_last.call:
            level.needed_last = op
    return levels


def _spans(levels: list[_Level], content: dict[int, frozenset[Any]]) -> SetFinding | None:
    """Give each span the earliest place that its bounds allow."""
    latest: Op | None = None
    for level in levels:
        if _precedes(level.added_first, latest):
            return _explain(level.added_first, latest, levels, content)
        latest = _later(latest, level.needed_last)
        if _precedes(level.returned_first, latest):
            return _explain(level.returned_first, latest, levels, content)
        latest = _later(latest, level.called_last)
    return None


def _precedes(early: Op | None, late: Op | None) -> bool:
    return early is not None and late is not None and early.ret < late.call


def _later(one: Op | None, other: Op | None) -> Op | None:
    """The one that was called later."""
    if one is None or other is None:
        return one or other
    return other if other.call > one.call else one


def _explain(early: Op | None, late: Op | None, levels: list[_Level], content: dict[int, frozenset[Any]]) -> SetFinding:
    """``early`` returned before ``late`` was called, yet what was read puts ``late`` first."""
    assert early is not None
    assert late is not None
    if late.f == "read" and early.f == "add":
        missing = show_value(early.value)
        return SetFinding(
            "lost-element", (early, late), (f"{missing} had been added before the read began, which lacks it",)
        )
    if late.f == "read":
        missing = _one_of(content[id(early)] - content[id(late)])
        return SetFinding("lost-element", (early, late), (f"{missing} was read before, and is gone in the later read",))
    if early.f == "read":
        return SetFinding(
            "read-from-future", (early, late), (f"{show_value(late.value)} was read before it was added",)
        )
    between = next(
        level.returned_first
        for level in levels
        if level.returned_first is not None
        and late.value in content[id(level.returned_first)]
        and early.value not in content[id(level.returned_first)]
    )
    told = f"{show_value(late.value)} was added only after {show_value(early.value)} had been, and was read without it"
    return SetFinding("lost-element", (early, late, between), (told,))


def _no_chain(
    read: Op, below: frozenset[Any], numbered: list[tuple[int, Op]], content: dict[int, frozenset[Any]]
) -> SetFinding:
    missing = _one_of(below - content[id(read)])
    if not numbered:
        return SetFinding("lost-element", (read,), (f"the set began with {missing}, which the read lacks",))
    other = next(other for _, other in reversed(numbered) if not content[id(other)] <= content[id(read)])
    more = _one_of(content[id(read)] - content[id(other)])
    missing = _one_of(content[id(other)] - content[id(read)])
    return SetFinding(
        "forked-sets", (other, read), (f"the first has {missing} and not {more}, the second {more} and not {missing}",)
    )


def _one_of(elements: frozenset[Any]) -> str:
    return show_value(min(elements, key=repr)) if elements else "nothing"
