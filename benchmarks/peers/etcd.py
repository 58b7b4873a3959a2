"""etcd: Raft in Go, from the Debian package ``etcd-server``. Three processes on loopback ports, logs on disk with sync.

One client process talks gRPC to the leader over one connection, as a client library would.
"""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.children import Children
from benchmarks.measure import KEYS, VALUE_BYTES, WARM_UP_S, Load, Outcome, outcome
from benchmarks.peers import PeerFailed, free_ports
from benchmarks.peers.grpc_calls import CallFailed, Connection, bytes_field

NODES = 3
START_S = 20.0
ANSWER_S = 10.0
PUT = "/etcdserverpb.KV/Put"
KEY_FIELD, VALUE_FIELD = 1, 2


class Etcd:
    name = "etcd"

    def missing(self) -> str:
        return "" if shutil.which("etcd") else "apt-get install etcd-server"

    def remark(self, load: Load) -> str:
        return "etcd: clients in a process of their own, over gRPC to the leader"

    def measure(self, load: Load, directory: Path) -> Outcome:
        ports = free_ports(2 * NODES)
        clients, peers = ports[:NODES], ports[NODES:]
        cluster = ",".join(f"n{place}=http://127.0.0.1:{port}" for place, port in enumerate(peers))
        log = directory / "etcd.log"
        with Children() as children:
            for place in range(NODES):
                client, peer = (f"http://127.0.0.1:{port}" for port in (clients[place], peers[place]))
                options = {
                    "name": f"n{place}",
                    "data-dir": str(directory / f"n{place}"),
                    "listen-client-urls": client,
                    "advertise-client-urls": client,
                    "listen-peer-urls": peer,
                    "initial-advertise-peer-urls": peer,
                    "initial-cluster": cluster,
                    "logger": "zap",
                    "log-level": "error",
                }
                children.start(["etcd", *(f"--{name}={value}" for name, value in options.items())], log)
            try:
                return _closed_loop(_leader_port(clients), load)
            except (CallFailed, TimeoutError, OSError) as error:
                raise PeerFailed(f"etcd: {error}; {log.read_text()[-500:]}") from error


def _closed_loop(port: int, load: Load) -> Outcome:
    connection = Connection(port, PUT)
    connection.settimeout(ANSWER_S)
    asked: dict[int, int] = {}
    latencies: list[int] = []
    count = 0
    now_ns = time.perf_counter_ns()
    begin_ns = now_ns + int(WARM_UP_S * 1e9)
    end_ns = begin_ns + int(load.seconds * 1e9)

    def ask() -> None:
        nonlocal count
        count += 1
        key, value = f"key{count % KEYS}".encode(), str(count).ljust(VALUE_BYTES, ".").encode()
        asked[connection.call(bytes_field(KEY_FIELD, key) + bytes_field(VALUE_FIELD, value))] = now_ns

    try:
        for _ in range(load.outstanding):
            ask()
        while now_ns < end_ns:
            connection.flush()
            answered = connection.receive()
            now_ns = time.perf_counter_ns()
            for call in answered:
                asked_ns = asked.pop(call)
                if begin_ns <= now_ns < end_ns:
                    latencies.append(now_ns - asked_ns)
                ask()
    finally:
        connection.close()
    return outcome(latencies, load.seconds)


def _leader_port(ports: list[int]) -> int:
    """Client port of the node that leads. Raises TimeoutError."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        for port in ports:
            status = _status(port)
            if status and status.get("leader") and status["leader"] == status["header"]["member_id"]:
                return port
        time.sleep(0.1)
    raise TimeoutError(f"no leader within {START_S:g} s")


def _status(port: int) -> dict[str, Any] | None:
    """What a node says of itself; None if it does not answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v3/maintenance/status", b"{}")
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            status: dict[str, Any] = json.load(answer)
            return status
    except (urllib.error.URLError, OSError):
        return None
