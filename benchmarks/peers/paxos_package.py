"""The PyPI package ``paxos`` 0.1: a demonstration of Paxos in Python, classic roles, each a process, multiprocessing queues.

It has no clients that wait: all requests are sent at once, and it is timed until a learner has told of all (open loop). A
request decides one instance. It keeps nothing on disk, and may hang, so its time is bounded.
"""

from __future__ import annotations

import importlib.util
import select
import sys
from pathlib import Path

import msgspec

from benchmarks.children import Children
from benchmarks.measure import Load, Outcome
from benchmarks.peers import PeerFailed

REQUESTS_PER_S = 1000
"""Requests sent for each second that the load shall last, about."""
BOUND_S = 20.0


class PaxosPackage:
    name = "paxos 0.1"

    def missing(self) -> str:
        return "" if importlib.util.find_spec("paxos") else f"{sys.executable} -m pip install paxos==0.1"

    def remark(self, load: Load) -> str:
        return "paxos 0.1: open loop, all requests sent at once; one command an instance, never a batch"

    def measure(self, load: Load, directory: Path) -> Outcome:
        requests = max(100, int(load.seconds * REQUESTS_PER_S))
        log = directory / "paxos.log"
        with Children() as children:
            process = children.start_module("benchmarks.peers.paxos_package_run", str(requests), log=log)
            assert process.stdout is not None
            bound_s = BOUND_S + 5 * load.seconds
            ready, _, _ = select.select([process.stdout], [], [], bound_s)
            line = process.stdout.readline() if ready else ""
        if not line:
            why = "ended without a result" if ready else f"hung for {bound_s:g} s"
            raise PeerFailed(f"paxos 0.1 {why}: {log.read_text()[-500:]}")
        return msgspec.json.decode(line, type=Outcome)
