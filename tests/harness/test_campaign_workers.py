"""A campaign's workers do not outlive it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
import pytest


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killing_the_campaign_kills_its_workers(how: signal.Signals) -> None:
    program = (
        "import os, time\n"
        "from harness.campaign import local_executor\n"
        "executor = local_executor(2)\n"
        "executor.submit(os.getpid).result()\n"
        "print(*executor._processes, flush=True)\n"
        "time.sleep(60)\n"
    )
    campaign = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert campaign.stdout is not None
    workers = [psutil.Process(int(pid)) for pid in campaign.stdout.readline().split()]
    assert workers
    campaign.send_signal(how)
    campaign.wait()
    campaign.stdout.close()
    deadline_s = time.monotonic() + 20
    while any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers):
        assert time.monotonic() < deadline_s, "workers live on without their campaign"
        time.sleep(0.05)
