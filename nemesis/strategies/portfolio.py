"""Portfolio: one of the other strategies, drawn by its weight. The plan bears the name of the one that made it."""

from __future__ import annotations

from nemesis.draws import stream, weighted
from nemesis.plan import Plan
from nemesis.strategies import STRATEGIES
from nemesis.strategies import generate as generate_by_name
from nemesis.strategies.frame import Frame


def generate(seed: int, frame: Frame) -> Plan:
    weights = {name: strategy.weight for name, strategy in STRATEGIES.items()}
    return generate_by_name(weighted(stream(f"{seed}/portfolio"), weights), seed, frame)
