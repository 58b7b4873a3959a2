"""One run of the PyPI package ``paxos``. ``python -m benchmarks.peers.paxos_package_run REQUESTS`` prints the outcome.

It is not stopped in order (that takes it seconds, and may hang): whoever started it kills it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec
from paxos import SystemConfig
from paxos.messages import ClientRequestMsg
from paxos.sim import System

from benchmarks.measure import VALUE_BYTES, Outcome

PROPOSERS, ACCEPTORS, LEARNERS = 1, 3, 2
SETTLE_S = 1.0


def main() -> None:
    requests = int(sys.argv[1])
    answer = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # it prints every message
    system = System(SystemConfig(PROPOSERS, ACCEPTORS, LEARNERS, num_test_requests=requests))
    system.start()
    time.sleep(SETTLE_S)
    learned = system.logger.results[system.config.learner_ids[0]]
    began = time.perf_counter()
    for number in range(requests):
        system.mailbox.send(0, ClientRequestMsg(None, str(number).ljust(VALUE_BYTES, ".")))
    while len(learned) < requests:
        time.sleep(0.005)
    outcome = Outcome(requests / (time.perf_counter() - began), None, None)
    os.write(answer, msgspec.json.encode(outcome) + b"\n")
    system.join()


if __name__ == "__main__":
    main()
