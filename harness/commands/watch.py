"""Progress as a line now and then, for commands that count up to a known number."""

from __future__ import annotations

import time

import click

PLAIN_EVERY_S = 5.0


class Counter:
    """``show(done, total)`` writes a line to standard error at most every few seconds."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._next_s = time.monotonic() + PLAIN_EVERY_S

    def show(self, done: int, total: int) -> None:
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + PLAIN_EVERY_S
        click.echo(f"  {done}/{total} {self._noun}", err=True)
