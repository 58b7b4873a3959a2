"""The parts of zones that are too large for brute force: chains of any length, in any order of their operations."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import pytest

from harness.checkers.linearizability.zones import CAS, RULE_ONE_IN, WRITE, Columns, _lined_up, check_columns


def followed(links: dict[int, int]) -> list[list[int]]:
    """Chains by their starts, each from its start on; circles have none."""
    chains = []
    for start in sorted(set(links) - set(links.values())):
        chain = [start]
        while chain[-1] in links:
            chain.append(links[chain[-1]])
        chains.append(chain)
    return chains


def random_links(random: Random) -> dict[int, int]:
    """Chains and circles over some numbers, none of which has two predecessors."""
    numbers = list(range(random.randrange(2, 3000)))
    random.shuffle(numbers)
    links = {}
    while len(numbers) > 1:
        part = [numbers.pop() for _ in range(min(len(numbers), random.choice((2, 3, 10, 500, 5000))))]
        links.update(itertools.pairwise(part))
        if random.random() < 0.2 and len(part) > 1:
            links[part[-1]] = part[0]
    return links


@pytest.mark.parametrize("seed", range(30))
def test_chains_are_lined_up_from_their_starts_and_circles_left_out(seed: int) -> None:
    random = Random(seed)
    links = random_links(random)
    pairs = list(links.items())
    random.shuffle(pairs)
    source, target = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    size = max(*links, *links.values()) + 1
    chain, depth = np.arange(size), np.zeros(size, np.int64)
    linked, fresh = _lined_up(source, target, chain, depth)
    expected = followed(links)
    parts = np.split(linked, np.flatnonzero(fresh))[1:]
    assert sorted(part.tolist() for part in parts) == expected
    for one in expected:
        assert chain[one].tolist() == [one[0]] * len(one)
        assert depth[one].tolist() == list(range(len(one)))


def one_chain(order: list[int], *, circle: bool = False) -> Columns:
    """Compare-and-sets i -> i + 1, all at once, in this order; the first value is written, or made by the last one."""
    kinds = [WRITE if at == 0 and not circle else CAS for at in order]
    sources = [-1 if kind == WRITE else (at - 1) % len(order) for at, kind in zip(order, kinds, strict=True)]
    clusters = len(order)
    return Columns(
        np.array(kinds, np.int8),
        np.array(order, np.int64),
        np.array(sources, np.int64),
        np.zeros(clusters, np.int64),
        np.full(clusters, 10, np.int64),
        np.zeros(clusters, np.int64),
        np.zeros(clusters, np.bool_),
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_long_chain_in_any_order_is_legal(seed: int) -> None:
    order = list(range(50 * RULE_ONE_IN))
    Random(seed).shuffle(order)
    found = check_columns(one_chain(order))
    assert found.finding is None
    assert found.columns.cluster[found.order()].tolist() == list(range(len(order)))


def test_a_circle_of_compare_and_sets_is_found_however_long() -> None:
    for length in (2, 3, 50 * RULE_ONE_IN):
        found = check_columns(one_chain(list(range(length)), circle=True)).finding
        assert found is not None
        assert found.rule == "source-cycle"
