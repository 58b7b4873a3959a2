"""A limit in real time on work that should end by itself: a schedule that loops for ever must become a finding."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Hang(BaseException):
    """What ran did not end in time. No Exception: the worlds take those for crashes of the agent that raised them."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Hang in the block after so much real time. By a signal, which also ends waiting calls; outside the main thread (the
    workers of a cluster are threads) as an exception thrown into the thread, which ends Python code only."""
    if threading.current_thread() is threading.main_thread():
        previous = signal.signal(signal.SIGALRM, _on_alarm)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        return
    thread = ctypes.c_ulong(threading.get_ident())
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    timer = threading.Timer(seconds, throw, (thread, ctypes.py_object(Hang)))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        throw(thread, None)


def _on_alarm(signum: int, frame: FrameType | None) -> None:
    raise Hang
