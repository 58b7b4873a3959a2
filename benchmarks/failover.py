"""Failover: how long clients wait when the leader of three replicas is killed (SIGKILL), in units of election timeouts.

From the last answer of the killed leader to the first answer of its successor, as the clients saw them. The election timeout
is the lowest one: each wait is drawn from [1, 2) times it.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import Report, Table, busy_share
from benchmarks.peers import PeerFailed
from harness.record import FaultEvent, Operation, RecordedRun
from harness.replay import in_real_time
from harness.run import run_real
from nemesis.faults import Fault
from nemesis.plan import SECOND, Plan, Workload

KILLS, QUICK_KILLS = 20, 3
FIRST_NS = 1 * SECOND
PERIOD_NS = 1_250_000_000
DOWN_NS = 600_000_000
"""In virtual time; real time is longer by ``timing.scale``."""
GOAL = 3.0


def report(quick: bool, say: Callable[[str], None]) -> Report:
    plan = in_real_time(kill_plan(QUICK_KILLS if quick else KILLS))
    timeout_ns = round(plan.timing.election_timeout_ns * plan.timing.scale)
    busy = busy_share(0.5)
    with tempfile.TemporaryDirectory(prefix="paxos-benchmark-", ignore_cleanup_errors=True) as store:
        ran = run_real(plan, Path(store))
        if ran.errors or ran.interrupted:
            raise PeerFailed(f"failover: {'; '.join(ran.errors) or 'interrupted'}")
        record = RecordedRun(ran.directory)
        names = [f"r{node}" for node in range(plan.cluster.nodes)]
        waits_ns = outages_ns(record.faults(), record.history(), names)
    if not waits_ns:
        raise PeerFailed("failover: no kill hit a leader that had answered")
    units = sorted(wait_ns / timeout_ns for wait_ns in waits_ns)
    median = statistics.median(units)
    say(f"failover: median {median:.2f} election timeouts over {len(units)} kills")
    row = (
        str(len(units)),
        f"{timeout_ns / 1e6:.0f} ms",
        f"{median:.2f}",
        f"≤ {GOAL:g}",
        "yes" if median <= GOAL else "no",
        f"{units[0]:.2f}",
        f"{units[-1]:.2f}",
        f"{statistics.median(waits_ns) / 1e6:.0f} ms",
        f"{busy:.0%}",
    )
    columns = (
        "kills",
        "election timeout",
        "median (timeouts)",
        "goal",
        "reached",
        "least",
        "most",
        "median",
        "CPUs busy before",
    )
    note = "From the last answer of the leader that was killed to the first answer of another one; logs on disk, with sync."
    return Report((Table("Failover", columns, (row,), (note,)),), {"election_timeouts": units})


def kill_plan(kills: int) -> Plan:
    """``kills`` kills of whoever leads, far enough apart that the cluster is whole again before each."""
    return Plan(
        name="failover",
        duration_ns=FIRST_NS + kills * PERIOD_NS,
        final_power_cut=False,
        workload=Workload(clients=16, rate=400.0, keys=16, mix={"write": 1.0}),
        faults=tuple(
            Fault("kill", "leader", at_ns=FIRST_NS + number * PERIOD_NS, duration_ns=DOWN_NS) for number in range(kills)
        ),
    )


def outages_ns(faults: Sequence[FaultEvent], history: Sequence[Operation], names: Sequence[str]) -> list[int]:
    """For each kill: the time from the victim's last answer to the first one of another agent."""
    answers = [(operation.time_ns, operation.node) for operation in history if operation.type == "ok"]
    waits: list[int] = []
    for fault in faults:
        if fault.kind != "kill" or fault.edge != "begin" or len(fault.targets) != 1:
            continue
        victim = names.index(fault.targets[0])
        last = max((time_ns for time_ns, node in answers if node == victim and time_ns <= fault.time_ns), default=None)
        if last is None:
            continue
        following = [time_ns for time_ns, node in answers if time_ns > last and node != victim]
        if following:
            waits.append(min(following) - last)
    return waits
