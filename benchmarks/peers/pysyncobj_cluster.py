"""PySyncObj: Raft in Python, https://github.com/bakwc/PySyncObj. Three processes over TCP on this machine.

``appendEntriesUseBatch=False``: its default waits up to 100 ms for a batch and would be no fair peer. It has no client
protocol; the load comes from within the leader's process, which spares it the way of a request.
"""

from __future__ import annotations

import importlib.util
import select
import sys
from pathlib import Path

import msgspec

from benchmarks.children import Children
from benchmarks.measure import WARM_UP_S, Load, Outcome
from benchmarks.peers import PeerFailed, free_ports

NODES = 3
START_S = 20.0


class NodeOrder(msgspec.Struct, frozen=True):
    """What one node's process is to do. ``journal``: its file; empty: in memory."""

    address: str
    others: tuple[str, ...]
    journal: str
    outstanding: int
    seconds: float


class PySyncObjCluster:
    name = "PySyncObj"

    def missing(self) -> str:
        return "" if importlib.util.find_spec("pysyncobj") else f"{sys.executable} -m pip install pysyncobj==0.3.17"

    def remark(self, load: Load) -> str:
        inside = "PySyncObj 0.3.17: clients inside the leader's process, nothing recorded"
        return (
            inside
            if load.place == "memory"
            else inside + "; its journal is a mapped file, never synced before an answer"
        )

    def measure(self, load: Load, directory: Path) -> Outcome:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(NODES)]
        log = directory / "pysyncobj.log"
        with Children() as children:
            for place, address in enumerate(addresses):
                order = NodeOrder(
                    address,
                    tuple(other for other in addresses if other != address),
                    "" if load.place == "memory" else str(directory / f"journal{place}"),
                    load.outstanding,
                    load.seconds,
                )
                children.start_module("benchmarks.peers.pysyncobj_node", msgspec.json.encode(order).decode(), log=log)
            outputs = [process.stdout for process in children.processes if process.stdout is not None]
            ready, _, _ = select.select(outputs, [], [], START_S + WARM_UP_S + load.seconds)
            line = ready[0].readline() if ready else ""
        if not line:
            raise PeerFailed(f"PySyncObj gave no result: {log.read_text()[-500:]}")
        return msgspec.json.decode(line, type=Outcome)
