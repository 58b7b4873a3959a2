"""A client process: some of the plan's logical clients behind one address, over a mailbox.

Orders, ``[word, number]``: ``start``; ``mark`` (count progress from here); ``read_back`` (the first process reads every
key once, beside or without load);
``stop`` (no new operations; those in flight end by themselves); ``finish`` (give up what is in flight, and end).
Reports, ten a second: ``["progress", {...}]``, see ``ClientProcess.progress``.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import msgspec

from harness.clients.open_loop import OpenLoop
from harness.cluster_setup import make_client_config, make_parts
from harness.record import Operation, RowWriter
from harness.workloads.mixed import MixedWorkload
from nemesis.draws import stream
from nemesis.plan import Plan, Workload
from paxos_impl.messages import FIRST_CLIENT_ADDRESS
from paxos_impl.process.host import EXIT_RECORD, EXIT_STOPPED, say
from paxos_impl.process.mailbox import Mailbox, SeqQueue, decode_control, decode_frame, is_order

FRAMES_AT_ONCE = 64
REPORT_NS = 100_000_000


def share_of(workload: Workload, place: int, processes: int) -> Workload:
    """The part of the load that the ``place``-th of ``processes`` client processes carries."""
    clients = workload.clients // processes + (place < workload.clients % processes)
    part = clients / workload.clients
    operations = workload.operations and max(1, round(workload.operations * part))
    return msgspec.structs.replace(workload, clients=clients, rate=workload.rate * part, operations=operations)


class ClientProcess:
    """The loop of one client process."""

    def __init__(self, plan: Plan, directory: Path, mailbox: Mailbox, processes: int) -> None:
        place = mailbox.address - FIRST_CLIENT_ADDRESS
        workload = share_of(plan.workload, place, processes)
        self.mailbox = mailbox
        self.writer = RowWriter(directory / "history" / f"client{place}.rows")
        self.rows: list[Operation] = []
        self.counts = {"invoke": 0, "ok": 0, "fail": 0, "info": 0}
        draw = stream(f"{plan.seed}/client/{place}")
        intents = MixedWorkload(workload, stream(f"{plan.seed}/workload/{place}"), f"{place}-")
        self.loop = OpenLoop(
            mailbox.address, workload, intents, make_client_config(plan), draw, self._record, make_parts(plan).client
        )
        self.marked: list[int] = [0] * len(self.loop.clients)
        self.obeyed = 0
        self.finished = False
        self._report_ns = 0

    def run(self) -> int:
        """Until the network is gone; returns the exit code."""
        try:
            while not self.finished:
                frames = self.mailbox.receive_all(FRAMES_AT_ONCE, self._timeout_ms())
                self._step(frames, time.monotonic_ns())
        except EOFError:
            pass
        self.loop.give_up(time.monotonic_ns())
        self.writer.write(self.rows)
        return EXIT_STOPPED

    def _timeout_ms(self) -> float:
        now_ns = time.monotonic_ns()
        deadline_ns = self.loop.deadline_ns()
        wait_ns = self._report_ns - now_ns
        if deadline_ns is not None and deadline_ns - now_ns < wait_ns:
            wait_ns = deadline_ns - now_ns
        return max(0.0, wait_ns / 1e6)

    def _step(self, frames: list[bytes], now_ns: int) -> None:
        loop = self.loop
        for frame in frames:
            if is_order(frame):
                self._obey(decode_control(frame), now_ns)
                continue
            source, _, messages = decode_frame(frame)
            for message in messages:
                loop.on_message(source, message, now_ns)
        deadline_ns = loop.deadline_ns()
        if deadline_ns is not None and deadline_ns <= now_ns:
            loop.on_time(now_ns)
        if self.rows:
            self.writer.write(self.rows)
            self.rows.clear()
        if loop.outbox:
            self.mailbox.send_all(loop.outbox)
            loop.outbox.clear()
        if now_ns >= self._report_ns:
            self._report_ns = now_ns + REPORT_NS
            self.mailbox.report("progress", self.progress())

    def progress(self) -> dict[str, Any]:
        """Operations by type; ``shed``, ``in_flight``; ``clients``, and how many ``progressed`` since the last mark;
        ``order``: number of the order obeyed last."""
        return {
            "order": self.obeyed,
            **self.counts,
            "shed": self.loop.shed,
            "in_flight": self.loop.in_flight,
            "clients": len(self.loop.clients),
            "progressed": sum(
                client.ok_count > before for client, before in zip(self.loop.clients, self.marked, strict=True)
            ),
        }

    def _obey(self, order: list[Any], now_ns: int) -> None:
        word, self.obeyed = order
        if word == "start":
            self.loop.start(now_ns)
        elif word == "mark":
            self.marked = [client.ok_count for client in self.loop.clients]
        elif word == "stop":
            self.loop.stop()
        elif word == "read_back" and self.mailbox.address == FIRST_CLIENT_ADDRESS:
            self.loop.read_back(now_ns)
        elif word == "finish":
            self.finished = True
        self._report_ns = now_ns

    def _record(self, operation: Operation) -> None:
        self.counts[operation.type] += 1
        self.rows.append(operation)


def run_client(plan: Plan, directory: Path, queue: SeqQueue, address: int, processes: int) -> int:
    """What the launcher's child becomes; returns the exit code."""
    gc.set_threshold(50_000, 20, 50)
    try:
        return ClientProcess(plan, directory, Mailbox(queue, address, 1), processes).run()
    except OSError as error:
        say(f"the history cannot be written: {error}; free space where the runs are stored")
        return EXIT_RECORD
