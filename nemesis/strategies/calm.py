"""Calm: no fault at all."""

from __future__ import annotations

from nemesis.plan import Plan
from nemesis.strategies.frame import Frame, framed


def generate(seed: int, frame: Frame) -> Plan:
    """A plan without faults; what fails here fails by itself."""
    return framed(seed, "calm", frame)
