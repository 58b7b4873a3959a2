"""An interrupt is never lost, and workers are left able to be ended."""

from __future__ import annotations

import signal
import subprocess
import sys

from harness.campaign import local_executor

DURING_A_FORK = """
import os, signal
from harness.campaign import local_executor

os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    with local_executor(1) as executor:
        executor.submit(int)
except KeyboardInterrupt:
    print("heard")
"""


def test_an_interrupt_during_a_fork_comes_behind_it() -> None:
    run = subprocess.run([sys.executable, "-c", DURING_A_FORK], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.stderr) == ("heard\n", "")


def test_workers_have_no_signal_held_back() -> None:
    with local_executor(1) as executor:
        assert executor.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result() == set()
