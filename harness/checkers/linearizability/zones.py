"""Zones: linearizability of registers in O(n log n), if each value of a key is produced at most once.

Theory (Gibbons and Korach, SIAM J. Comput. 26(4), 1997; here with pending operations and chains of compare-and-sets)
* The *cluster* of a value is its producer (a write, a delete, a successful compare-and-set) with all reads of it; the
  first value has a virtual producer before everything. Operations of a cluster stand together in every legal order.
* A compare-and-set a -> b must come directly behind the cluster of a, so clusters linked by them form a *chain*, which is
  one cluster for what follows; a value is consumed at most once.
* ``f`` = earliest return, ``s`` = latest call of a cluster. A must come before B iff f(A) < s(B). A *forward* zone (f < s)
  is [f, s]; a *backward* one [s, f].
* Linearizable iff no two forward zones of a key overlap, and no backward zone lies within a forward one: every cycle of
  "must come before" contains a cycle of two, and those are exactly the two cases.
* A pending write or compare-and-set whose value nobody read or consumed is left out (it may never have happened, and
  leaving it out removes constraints); one whose value was read took effect.

All keys in one pass over columns. Times are non-negative integers; ``a`` precedes ``b`` iff ``a.ret < b.call``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

READ, WRITE, CAS = 0, 1, 2
NEVER = 1 << 62
RULE_ONE_IN = 64


class Columns(msgspec.Struct, eq=False):
    """Operations as parallel columns. A *cluster* is the number of a (key, value) pair, dense from 0.

    Pending reads and failed operations are not in here; a failed compare-and-set that found a value is a read of it.
    """

    kind: NDArray[np.int8]
    cluster: Ints
    """The value read or produced."""
    source: Ints
    """The value a compare-and-set consumes; -1 for others."""
    call: Ints
    ret: Ints
    """NEVER: pending."""
    key_of: Ints
    """Cluster -> key number."""
    initial: Flags
    """Cluster -> whether it is the first value of its key."""


class Finding(msgspec.Struct):
    """A violation: its rule, the operations (positions) that force it, and why in edges ``(earlier, later, how)``."""

    rule: str
    key: int
    operations: tuple[int, ...]
    edges: tuple[tuple[int, int, str], ...] = ()
    clusters: tuple[int, ...] = ()


class Zones(msgspec.Struct, eq=False):
    """Legal iff ``finding`` is None; then ``order()`` is a certificate."""

    finding: Finding | None
    columns: Columns
    kept: Flags | None = None
    """Operation -> whether it takes effect."""
    chain: Ints | None = None
    """Cluster -> the cluster at the start of its chain."""
    depth: Ints | None = None
    """Cluster -> its place in the chain."""
    first: Ints | None = None
    """Chain -> earliest return."""
    last: Ints | None = None
    """Chain -> latest call."""

    def order(self) -> Ints:
        """Positions of the operations that take effect, in a legal order (each key's part is legal by itself).

        Chains by min(f, s), backward ones first among equals; within, clusters by place; in a cluster the producer, then
        the reads by call.
        """
        columns = self.columns
        assert self.kept is not None and self.chain is not None and self.depth is not None
        assert self.first is not None and self.last is not None
        positions = np.flatnonzero(self.kept)
        cluster = columns.cluster[positions]
        chain = self.chain[cluster]
        first, last = self.first[chain], self.last[chain]
        return positions[
            np.lexsort(
                (
                    columns.call[positions],
                    columns.kind[positions] == READ,
                    self.depth[cluster],
                    chain,
                    first < last,
                    np.minimum(first, last),
                )
            )
        ]


def ambiguous(columns: Columns) -> Ints:
    """Keys (numbers, sorted) that zones cannot judge: a value produced twice, or the first value produced again."""
    producing = columns.kind != READ
    produced = np.bincount(columns.cluster[producing], minlength=len(columns.key_of))
    bad = (produced > 1) | (columns.initial & (produced > 0))
    loops = columns.cluster[producing & (columns.cluster == columns.source)]
    return np.unique(np.concatenate((columns.key_of[bad], columns.key_of[loops])))


def check_columns(columns: Columns) -> Zones:
    """Judge all keys. The columns must not be ambiguous."""
    kind, cluster, call, ret = columns.kind, columns.cluster, columns.call, columns.ret
    clusters = len(columns.key_of)
    producing = kind != READ
    producer = np.full(clusters, -1, np.int64)
    producing_at = np.flatnonzero(producing)
    producer[cluster[producing_at]] = producing_at
    reading_at = np.flatnonzero(~producing)
    read_cluster = cluster[reading_at]

    orphan = (producer[read_cluster] < 0) & ~columns.initial[read_cluster]
    if orphan.any():
        at = _earliest(reading_at[orphan], ret)
        return Zones(_finding(columns, "phantom-read", (at,), clusters=(int(cluster[at]),)), columns)

    # What takes effect.
    done = ret < NEVER
    alive = columns.initial.copy()
    alive[read_cluster] = True
    alive[cluster[producing_at[done[producing_at]]]] = True
    cas_at = np.flatnonzero(kind == CAS)
    if len(cas_at):
        frontier = cas_at[alive[cluster[cas_at]]]
        asker = np.empty(clusters, np.int64)
        while len(frontier):
            sources = columns.source[frontier]
            sources = sources[~alive[sources]]
            asker[sources] = np.arange(len(sources))
            fresh = sources[asker[sources] == np.arange(len(sources))]  # each once
            alive[fresh] = True
            behind = producer[fresh]
            behind = behind[behind >= 0]
            frontier = behind[kind[behind] == CAS]
    kept = alive[cluster]
    result = Zones(None, columns, kept)

    # Producers before their reads.
    produced_at = producer[read_cluster]
    early = (produced_at >= 0) & (ret[reading_at] < call[produced_at])
    if early.any():
        at = _earliest(reading_at[early], ret)
        write = int(producer[cluster[at]])
        result.finding = _finding(
            columns, "read-from-future", (at, write), ((at, write, "real time"), (write, at, "value"))
        )
        return result

    # Earliest return and latest call of each cluster; the first value was written before everything.
    first = np.full(clusters, NEVER, np.int64)
    last = np.full(clusters, -1, np.int64)
    first[columns.initial] = -1
    np.minimum.at(first, read_cluster, ret[reading_at])
    np.maximum.at(last, read_cluster, call[reading_at])
    acting = np.flatnonzero(kept & producing)
    np.minimum.at(first, cluster[acting], ret[acting])
    np.maximum.at(last, cluster[acting], call[acting])

    chain = np.arange(clusters)
    depth = np.zeros(clusters, np.int64)
    if len(cas_at):
        finding = _chains(result, producer, first, last, chain, depth, cas_at[kept[cas_at]])
        if finding is not None:
            result.finding = finding
            return result
    result.chain, result.depth, result.first, result.last = chain, depth, first, last
    result.finding = _overlap(result, alive & (chain == np.arange(clusters)), producer)
    return result


def _earliest(positions: Ints, times: Ints) -> int:
    return int(positions[np.argmin(times[positions])])


def _finding(
    columns: Columns,
    rule: str,
    operations: tuple[int, ...],
    edges: tuple[tuple[int, int, str], ...] = (),
    clusters: tuple[int, ...] = (),
) -> Finding:
    unique = tuple(dict.fromkeys(at for at in operations if at >= 0))
    return Finding(rule, int(columns.key_of[columns.cluster[unique[0]]]), unique, edges, clusters)


def _chains(
    result: Zones, producer: Ints, first: Ints, last: Ints, chain: Ints, depth: Ints, cas_at: Ints
) -> Finding | None:
    """Link clusters by compare-and-set, check each chain's own order, and merge its zones into the first cluster's."""
    columns = result.columns
    if not len(cas_at):
        return None
    target, source = columns.cluster[cas_at], columns.source[cas_at]
    orphan = (producer[source] < 0) & ~columns.initial[source]
    if orphan.any():
        at = _earliest(cas_at[orphan], columns.ret)
        return _finding(columns, "phantom-source", (at,), clusters=(int(columns.source[at]),))
    consumers = np.bincount(source, minlength=len(columns.key_of))
    if (consumers > 1).any():
        twice = int(np.argmax(consumers > 1))
        pair = cas_at[source == twice][:2]
        return _finding(columns, "consumed-twice", (int(pair[0]), int(pair[1]), int(producer[twice])), (), (twice,))
    linked, fresh = _lined_up(source, target, chain, depth)
    if len(linked) < len(target) + np.count_nonzero(fresh):
        reached = np.zeros(len(columns.key_of), np.bool_)
        reached[linked] = True
        at = int(cas_at[np.argmin(reached[target])])
        maker = int(producer[columns.source[at]])
        return _finding(columns, "source-cycle", (at, maker), ((maker, at, "value"),))

    number = np.cumsum(fresh) - 1
    span = int(last[linked].max()) + 2
    latest = np.maximum.accumulate(number * span + last[linked] + 1) - number * span - 1
    before = np.concatenate(([-1], latest[:-1]))
    broken = ~fresh & (first[linked] < before)
    if broken.any():
        return _broken_chain(result, producer, first, last, linked, int(np.argmax(broken)), number)
    heads = linked[fresh]
    bounds = np.flatnonzero(fresh)
    first[heads] = np.minimum.reduceat(first[linked], bounds)
    last[heads] = np.maximum.reduceat(last[linked], bounds)
    return None


def _lined_up(source: Ints, target: Ints, chain: Ints, depth: Ints) -> tuple[Ints, Flags]:
    """The clusters of all chains, one chain after the other from its start on, and where a new one begins. Sets ``chain`` and
    ``depth`` of the links. What stands in a circle has no start and is left out.

    List ranking by a sparse set of rulers (Reid-Miller, ACM SPAA 1994): the starts and some links, drawn so that no order of
    the history can put them all in one place, walk side by side until each meets the next ruler; then the rulers alone are
    ranked, by pointer doubling. Linear in the links.
    """
    behind = np.full(len(chain), -1, np.int64)
    behind[source] = target
    starts = source[_missing(source, target, len(chain))]
    rules = np.zeros(len(chain), np.bool_)
    rules[starts] = True
    rules[target[np.random.default_rng(0).random(len(target)) < 1 / RULE_ONE_IN]] = True
    rulers = np.flatnonzero(rules)
    number = np.full(len(chain), -1, np.int64)
    """Cluster -> the ruler it was met by."""
    number[rulers] = np.arange(len(rulers))
    depth[rulers] = 0
    heir = np.full(len(rulers), -1, np.int64)
    """Ruler -> the next one of its chain."""
    steps = np.zeros(len(rulers), np.int64)
    walking, at = np.arange(len(rulers)), rulers
    for step in range(1, len(chain) + 1):
        at = behind[at]
        on = at >= 0
        met = on & rules[at]
        heir[walking[met]] = number[at[met]]
        steps[walking[met]] = step
        on &= ~met
        walking, at = walking[on], at[on]
        if not len(at):
            break
        number[at] = walking
        depth[at] = step
    root, offset = _ranked_rulers(heir, steps, number[starts])
    placed = number >= 0
    placed[placed] = root[number[placed]] >= 0
    clusters = np.flatnonzero(placed)
    ruler = number[clusters]
    depth[clusters] += offset[ruler]
    chain[clusters] = rulers[root[ruler]]
    # Chain after chain, by its start: each cluster's place follows from the lengths of the chains before.
    length = np.bincount(root[ruler], minlength=len(rulers))
    begins = np.cumsum(length) - length
    linked = np.empty(len(clusters), np.int64)
    linked[begins[root[ruler]] + depth[clusters]] = clusters
    fresh = np.zeros(len(clusters), np.bool_)
    fresh[begins[length > 0]] = True
    return linked, fresh


def _missing(source: Ints, target: Ints, clusters: int) -> Flags:
    """Which sources are no target."""
    made = np.zeros(clusters, np.bool_)
    made[target] = True
    return ~made[source]


def _ranked_rulers(heir: Ints, steps: Ints, starts: Ints) -> tuple[Ints, Ints]:
    """Ruler -> the start of its chain (-1: it stands in a circle), and how far from there it is."""
    above = np.arange(len(heir))
    offset = np.zeros(len(heir), np.int64)
    followed = np.flatnonzero(heir >= 0)
    above[heir[followed]] = followed
    offset[heir[followed]] = steps[followed]
    for _ in range(len(heir).bit_length() + 1):  # each pass doubles the distance covered
        further = above[above]
        offset += offset[above]
        if (further == above).all():
            break
        above = further
    begins = np.zeros(len(heir), np.bool_)
    begins[starts] = True
    return np.where(begins[above], above, -1), offset


def _broken_chain(
    result: Zones, producer: Ints, first: Ints, last: Ints, linked: Ints, at: int, number: Ints
) -> Finding:
    columns = result.columns
    late = int(linked[at])
    same = [int(c) for c in linked[:at][number[:at] == number[at]]]
    early = max(same, key=lambda one: int(last[one]))
    returned = _with_return(result, late, int(first[late]))
    called = _with_call(result, early, int(last[early]))
    makes_early, makes_late = int(producer[early]), int(producer[late])
    return _finding(
        columns,
        "chain-order",
        (returned, called, makes_late, makes_early),
        ((returned, called, "real time"), (called, returned, "chain")),
        (early, late),
    )


def _with_return(result: Zones, chain: int, time: int) -> int:
    """The operation of a cluster or chain that returned at that time; -1: the virtual first write."""
    return _locate(result, chain, result.columns.ret, time)


def _with_call(result: Zones, chain: int, time: int) -> int:
    return _locate(result, chain, result.columns.call, time)


def _locate(result: Zones, chain: int, times: Ints, time: int) -> int:
    columns = result.columns
    assert result.kept is not None
    owner = columns.cluster if result.chain is None else result.chain[columns.cluster]
    found = np.flatnonzero(result.kept & (owner == chain) & (times == time))
    return int(found[0]) if len(found) else -1


def _overlap(result: Zones, heads: Flags, producer: Ints) -> Finding | None:
    """The two forbidden pairs of zones."""
    columns = result.columns
    assert result.first is not None and result.last is not None
    zones = np.flatnonzero(heads)
    if not len(zones):
        return None
    first, last, key = result.first[zones], result.last[zones], columns.key_of[zones]
    # Times of all keys on one line, a key after the other.
    latest = int(last.max())
    width = max(latest, int(first[first < NEVER].max(initial=0))) + 3
    if (int(key.max()) + 1) * width >= NEVER:
        first, last, width = _ranked(first, last)
    start = key * width + 1
    low = start + np.minimum(first, width - 2)
    high = start + last
    forward = first < last
    at = np.flatnonzero(forward)
    at = at[np.argsort(low[at], kind="stable")]
    if len(at) > 1:
        clash = low[at[1:]] < high[at[:-1]]
        if clash.any():
            one = int(np.argmax(clash))
            return _pair(result, producer, int(zones[at[one]]), int(zones[at[one + 1]]), "overlapping-values")
    back = np.flatnonzero(~forward)
    if len(at) and len(back):
        before = np.searchsorted(low[at], high[back], side="left") - 1
        possible = before >= 0
        around = at[np.maximum(before, 0)]
        clash = possible & (low[back] < high[around])
        if clash.any():
            one = int(np.argmax(clash))
            return _pair(result, producer, int(zones[around[one]]), int(zones[back[one]]), "stale-value")
    return None


def _ranked(first: Ints, last: Ints) -> tuple[Ints, Ints, int]:
    """The same times by rank, where nanoseconds of many keys would not fit into 62 bits."""
    times = np.unique(np.concatenate((first, last)))
    return np.searchsorted(times, first), np.searchsorted(times, last), len(times) + 3


def _pair(result: Zones, producer: Ints, one: int, two: int, rule: str) -> Finding:
    """Two chains each of which must come before the other: an operation of ``one`` returned before one of ``two`` was
    called, and the other way round."""
    assert result.first is not None and result.last is not None
    ends_one = _with_return(result, one, int(result.first[one]))
    calls_two = _with_call(result, two, int(result.last[two]))
    ends_two = _with_return(result, two, int(result.first[two]))
    calls_one = _with_call(result, one, int(result.last[one]))
    edges = ((ends_one, calls_two, "real time"), (ends_two, calls_one, "real time"))
    operations = (int(producer[one]), int(producer[two]), ends_one, calls_two, ends_two, calls_one)
    return _finding(result.columns, rule, operations, edges, (one, two))
