"""Our own cluster, as ``torture run`` runs it without faults: real processes, switchboard, client process, full record."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.measure import KEYS, VALUE_BYTES, WARM_UP_S, Load, Outcome, Place, outcome
from benchmarks.peers import PeerFailed
from harness.record import Operation, RecordedRun
from harness.run import run_real
from nemesis.plan import MILLISECOND, SECOND, Cluster, Deployment, Disk, Limits, Plan, Timing, Workload

TIMING = Timing(
    heartbeat_ns=100 * MILLISECOND,
    election_timeout_ns=500 * MILLISECOND,
    retransmit_ns=250 * MILLISECOND,
    client_retry_ns=500 * MILLISECOND,
    operation_timeout_ns=5 * SECOND,
)
"""As patient as the peers are by default (PySyncObj 0.4 to 1.4 s, etcd 1 s)."""
FIRST_ELECTION_S = 1.5
SNAPSHOT_EVERY = 5000


class Ours:
    """``batch``: commands a slot may carry."""

    def __init__(self, deployment: Deployment = "collapsed", batch: int = Limits().batch_commands) -> None:
        self.deployment: Deployment = deployment
        self.batch = batch
        self.name = "ours" if deployment == "collapsed" else f"ours, classic, batch {batch}"

    def missing(self) -> str:
        return ""

    def remark(self, load: Load) -> str:
        return "ours: clients in a process of their own; every operation and every step of every agent is recorded"

    def plan(self, place: Place, outstanding: int, seconds: float) -> Plan:
        return Plan(
            name="benchmark",
            duration_ns=int((seconds + WARM_UP_S + FIRST_ELECTION_S) * SECOND),
            final_power_cut=False,
            cluster=Cluster(deployment=self.deployment),
            timing=TIMING,
            limits=Limits(batch_commands=self.batch, snapshot_every=SNAPSHOT_EVERY),
            workload=Workload(clients=outstanding, rate=0.0, keys=KEYS, mix={"write": 1.0}, value_bytes=VALUE_BYTES),
            disk=Disk(kind=place),
        )

    def measure(self, load: Load, directory: Path) -> Outcome:
        ran = run_real(self.plan(load.place, load.outstanding, load.seconds), directory)
        if ran.errors or ran.interrupted:
            raise PeerFailed(
                f"our cluster: {'; '.join(ran.errors) or 'interrupted'}; its logs: {ran.directory / 'logs'}"
            )
        return outcome_of(RecordedRun(ran.directory).history(), load.seconds)


def outcome_of(history: Iterable[Operation], seconds: float) -> Outcome:
    """Of the ``seconds`` that follow the warm-up after the first answer."""
    asked: dict[tuple[int, int], int] = {}
    latencies: list[int] = []
    begin_ns = end_ns = 0
    for operation in history:
        if operation.type == "invoke":
            asked[operation.process, operation.seq] = operation.time_ns
        elif operation.type == "ok":
            if not begin_ns:
                begin_ns = operation.time_ns + int(WARM_UP_S * SECOND)
                end_ns = begin_ns + int(seconds * SECOND)
            if begin_ns <= operation.time_ns < end_ns:
                latencies.append(operation.time_ns - asked[operation.process, operation.seq])
    return outcome(latencies, seconds)
