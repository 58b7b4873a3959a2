"""Ctrl-C (or SIGTERM) while worker processes are at work: the first ends the work, the second the program.

A worker ignores Ctrl-C (its campaign decides) and may be in the middle of a long schedule: an executor that is merely shut
down waits for it, also at the exit of the interpreter, and an interrupt in that wait can leave it waiting for ever.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from types import FrameType

from harness.results import EXIT_INTERRUPTED

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """An interrupt that comes meanwhile comes behind the block. For forks: Python swallows what is raised by the hooks that run
    around one, and the interrupt would be lost. What is forked must ``let_through`` signals again."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_through() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def stop_workers(executor: Executor) -> None:
    """After an interrupt: nothing that was submitted is waited for. From now on another one ends the program at once."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _leave)
        signal.signal(signal.SIGTERM, _leave)
    executor.shutdown(wait=False, cancel_futures=True)
    for worker in multiprocessing.active_children():
        worker.kill()


def _leave(number: int, frame: FrameType | None) -> None:
    """Workers die with us; what was kept is on disk already."""
    os._exit(EXIT_INTERRUPTED)
