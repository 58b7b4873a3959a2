"""One node of PySyncObj. ``python -m benchmarks.peers.pysyncobj_node ORDER`` (JSON of ``NodeOrder``).

The node that leads loads the cluster and prints the outcome as JSON; the others serve until they are killed.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Any

import msgspec
from pysyncobj import SyncObj, SyncObjConf, replicated

from benchmarks.measure import KEYS, VALUE_BYTES, WARM_UP_S, outcome
from benchmarks.peers.pysyncobj_cluster import NodeOrder

TICK_S = 0.05
CONNECTED = 2
"""What PySyncObj's status calls a node that is connected."""


class Store(SyncObj):  # type: ignore[misc]
    """A key-value store."""

    def __init__(self, order: NodeOrder) -> None:
        conf = SyncObjConf(
            autoTick=False, appendEntriesUseBatch=False, journalFile=order.journal or None, connectionRetryTime=0.2
        )
        super().__init__(order.address, list(order.others), conf)
        self.data: dict[str, str] = {}

    @replicated  # type: ignore[untyped-decorator]
    def write(self, key: str, value: str) -> None:
        self.data[key] = value

    def leads_all(self, order: NodeOrder) -> bool:
        """Whether this node leads and is connected to all others."""
        status = self.getStatus()
        leads = str(status["leader"]) == order.address
        return leads and all(status[f"partner_node_status_server_{other}"] == CONNECTED for other in order.others)


class Clients:
    """``outstanding`` clients in a closed loop."""

    def __init__(self, store: Store, order: NodeOrder) -> None:
        self.store = store
        self.latencies: list[int] = []
        self.count = 0
        now_ns = time.perf_counter_ns()
        self.begin_ns = now_ns + int(WARM_UP_S * 1e9)
        self.end_ns = self.begin_ns + int(order.seconds * 1e9)
        for _ in range(order.outstanding):
            self.ask(now_ns)

    def ask(self, now_ns: int) -> None:
        self.count += 1
        value = str(self.count).ljust(VALUE_BYTES, ".")
        self.store.write(f"key{self.count % KEYS}", value, callback=partial(self.answered, now_ns))

    def answered(self, asked_ns: int, result: Any, failure: int) -> None:
        now_ns = time.perf_counter_ns()
        if failure:
            raise RuntimeError(f"a write failed for reason {failure}")
        if self.begin_ns <= now_ns < self.end_ns:
            self.latencies.append(now_ns - asked_ns)
        if now_ns < self.end_ns:
            self.ask(now_ns)


def main() -> None:
    order = msgspec.json.decode(sys.argv[1], type=NodeOrder)
    store = Store(order)
    while not store.leads_all(order):
        store.doTick(TICK_S)
    clients = Clients(store, order)
    while time.perf_counter_ns() < clients.end_ns:
        store.doTick(TICK_S)
    print(msgspec.json.encode(outcome(clients.latencies, order.seconds)).decode(), flush=True)
    while True:
        store.doTick(TICK_S)


if __name__ == "__main__":
    main()
