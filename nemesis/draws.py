"""Draws built on ``random.Random.random`` alone, the only method whose sequence is the same in every Python version.

Every function takes ``draw``, a callable that returns a float in [0, 1), and calls it a number of times that depends on
the arguments only: a stream stays aligned whatever was drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")
Draw = Callable[[], float]


def stream(key: str) -> Draw:
    """The random stream of that name. Equal keys give equal draws, on every machine and Python version."""
    return random.Random(key).random


def below(draw: Draw, limit: int) -> int:
    """Uniform in 0 … limit - 1."""
    return min(int(draw() * limit), limit - 1)


def between(draw: Draw, lowest: int, highest: int) -> int:
    """Uniform in lowest … highest, both included."""
    return lowest + below(draw, highest - lowest + 1)


def choice(draw: Draw, items: Sequence[T]) -> T:
    """One of the items (at least one)."""
    return items[below(draw, len(items))]


def sample(draw: Draw, items: Sequence[T], count: int) -> list[T]:
    """``count`` different items, in random order (all of them if there are fewer)."""
    pool = list(items)
    count = min(count, len(pool))
    for place in range(count):
        other = place + below(draw, len(pool) - place)
        pool[place], pool[other] = pool[other], pool[place]
    return pool[:count]


def weighted(draw: Draw, weights: Mapping[T, float]) -> T:
    """One key, with a probability in proportion to its weight (in the order of the mapping; the sum is positive)."""
    point = draw() * sum(weights.values())
    chosen: T | None = None
    for item, weight in weights.items():
        if weight <= 0:
            continue
        chosen = item
        point -= weight
        if point < 0:
            break
    if chosen is None:
        raise ValueError("no weight is positive")
    return chosen
