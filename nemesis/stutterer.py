"""Stops and continues one process at a duty cycle, in a process of its own (run by ``processes.py``, not imported).

Why a process: a thread in the harness would be late whenever the harness is busy and would die with it, leaving its
victim stopped. This one learns of the harness's death by its standard input, which that closes (or by finding itself
with another parent), and continues the victim. Standard library only, so that it starts in a few milliseconds.

Arguments: pid, start time (field 22 of /proc/PID/stat), share of time running, period in ns, pid of the harness.
Commands, one byte each: ``h`` hold (leave the victim to somebody else who stops it), ``g`` go on, ``q`` quit; ``h`` and
``g`` are answered by the same byte. At the end one line of JSON says what was done; quitting continues the victim
unless it is held.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

LOOK_S = 0.2
"""How often it looks whether the harness is still there."""


class Over(Exception):
    """No more stuttering. The text says why: told (``q``), orphaned (the harness is gone), gone (the victim is)."""


class Stutterer:
    def __init__(self, pid: int, start: str, running: float, period_ns: int, parent: int) -> None:
        self.parent = parent
        self.pid = pid
        self.start = start
        self.run_s = period_ns * running / 1e9
        self.stop_s = period_ns * (1 - running) / 1e9
        self.held = False
        self.stops = 0
        self.seen_stopped = 0
        self.stopped_s = 0.0
        self.held_s = 0.0
        self.since = time.monotonic()

    def state(self) -> str:
        """The victim's state letter of /proc; raises Over if it is gone (or its pid belongs to another one)."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="utf-8", errors="replace") as stat:  # noqa: PTH123
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            raise Over("gone") from None
        if fields[0] in "ZX" or fields[19] != self.start:
            raise Over("gone")
        return fields[0]

    def signal(self, number: int) -> None:
        self.state()
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            raise Over("gone") from None

    def wait(self, seconds: float) -> None:
        """Let time pass, obeying commands; while held, time stands still."""
        left = seconds
        while self.held or left > 0:
            began = time.monotonic()
            ready, _, _ = select.select([0], [], [], LOOK_S if self.held else min(left, LOOK_S))
            if self.held:
                self.held_s += time.monotonic() - began
            else:
                left -= time.monotonic() - began
            if os.getppid() != self.parent:
                raise Over("orphaned")
            if not ready:
                continue
            command = os.read(0, 1)
            if not command:
                raise Over("orphaned")
            if command == b"q":
                raise Over("told")
            self.held = command == b"h"
            os.write(1, command)

    def cycle(self) -> None:
        self.wait(self.run_s)
        self.signal(signal.SIGSTOP)
        began, held_s = time.monotonic(), self.held_s
        self.stops += 1
        try:
            self.wait(self.stop_s)
            self.seen_stopped += self.state() in "Tt"
        finally:
            self.stopped_s += time.monotonic() - began - (self.held_s - held_s)
        self.signal(signal.SIGCONT)

    def run(self) -> str:
        """Stutter until told otherwise; returns why it ended."""
        try:
            while True:
                self.cycle()
        except Over as reason:
            why = str(reason)
        if why != "gone" and not (self.held and why == "told"):
            try:
                self.signal(signal.SIGCONT)
            except Over:
                why = "gone"
        return why

    def report(self, why: str) -> str:
        total = time.monotonic() - self.since - self.held_s
        return json.dumps(
            {
                "ended": why,
                "stops": self.stops,
                "seen_stopped": self.seen_stopped,
                "stopped_ms": round(self.stopped_s * 1000, 1),
                "total_ms": round(total * 1000, 1),
            }
        )


if __name__ == "__main__":
    stutterer = Stutterer(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    line = "\n" + stutterer.report(stutterer.run()) + "\n"
    try:
        os.write(1, line.encode())
    except BrokenPipeError:
        sys.exit(0)
