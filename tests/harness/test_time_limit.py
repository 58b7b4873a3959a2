"""A limit in real time: what takes too long is stopped, what is done in time is not."""

from __future__ import annotations

import signal
import threading

import pytest

from harness.time_limit import Hang, time_limit


def test_what_never_ends_is_stopped() -> None:
    with pytest.raises(Hang), time_limit(0.05):
        while True:
            pass


def test_afterwards_nothing_is_armed() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(50.0):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_what_runs_in_another_thread_is_stopped_too() -> None:
    stopped = []

    def work() -> None:
        try:
            with time_limit(0.05):
                while True:
                    pass
        except Hang:
            stopped.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert stopped


def test_code_that_survives_its_own_errors_does_not_survive_the_limit() -> None:
    with pytest.raises(Hang), time_limit(0.05):
        while True:
            try:
                pass
            except Exception:
                continue
