"""Trials and rows of a kill matrix that nobody ran."""

from __future__ import annotations

from msgspec.structs import replace

from harness.matrix import MatrixRow, Trial
from paxos_impl.mutants.registry import find, hash_of


def trial(mutant: str, base: int = 0, schedules: int = 3, killed: bool = True, **fields: object) -> Trial:
    made = Trial(mutant, hash_of(find(mutant)), "portfolio", base, 10, killed, schedules, schedules * 100)
    return replace(made, **({"rule": "vote/two-values", "seed": 5} | fields if killed else fields))


def row(mutant: str, mean: float = 2.0) -> MatrixRow:
    return MatrixRow(mutant, "portfolio", 1, 1, mean, mean, mean, 100.0, 100.0, {"vote/two-values": 1}, 0, int(mean))
