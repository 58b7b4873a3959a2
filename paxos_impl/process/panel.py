"""Panel: a small piece of memory that an agent's process shares with its overseer. It outlives the process.

It carries what a message could not, because the agent may be stopped or dead: its clock's offset and rate, the state of its
disk, what it shall wait for, how far it came, and which bytes of its files are durable (so that a power cut can be
emulated after SIGKILL, which alone never loses what was written).

Every word is a signed 64-bit number, read and written in one step; the record of the disk is written twice, in turn, so
that a process killed in the middle leaves the one before.
"""

from __future__ import annotations

import struct
import time

WATCHED_KINDS = (
    "started",
    "stopped",
    "chosen",
    "applied",
    "installed",
    "snapshot",
    "promised",
    "accepted",
    "recovered",
    "recovered_round",
    "restored",
    "prepare",
    "leader",
    "propose",
    "step_down",
    "cut",
    "stale",
    "bounded",
    "appended",
    "synced",
    "sent_prepare",
    "sent_promise",
    "sent_accept",
    "sent_accepted",
)
"""Moments at which an agent can be made to wait: each has a bit in ``Word.WATCHED``."""
WATCH_BITS = {kind: 1 << place for place, kind in enumerate(WATCHED_KINDS)}
RATE_ONE = 1_000_000_000


class Word:
    """Places of the words. The overseer writes the first group, the agent the second.

    Plain numbers: a member of an enumeration takes five times as long to look up, and every step looks up a dozen.
    """

    CLOCK_VERSION = 0
    """0: never set; odd: being changed."""
    CLOCK_SINCE_NS = 1
    CLOCK_READ_NS = 2
    """What the clock showed at CLOCK_SINCE_NS."""
    CLOCK_RATE = 3
    """Nanoseconds of the agent's clock in RATE_ONE real ones."""
    DISK_FULL = 4
    SLOW_SYNC_NS = 5
    FAIL_SYNCS = 6
    """How many syncs shall have failed in all."""
    WATCHED = 7
    """Bits of the moments at which the agent reports and waits."""
    GO = 8
    """The agent may go on behind the report of that number."""

    REPORTS = 16
    """Number of the last report."""
    LED_NS = 17
    """When it became leader last (real time); 0: never in this incarnation."""
    APPLIED = 18
    """The slot applied last in this incarnation."""
    CHOSEN = 19
    """The highest slot it learned in this incarnation."""
    SYNCS = 20
    SYNCS_FAILED = 21
    SYNCS_SLOWED = 22
    APPENDS_REFUSED = 23
    DISK_RECORD = 24
    """Which of the two records of the disk holds: 0 or 1."""
    SYNCED_INODE = 25
    """The file synced last, and how much of it is durable: newer than what the record of the disk says of it."""
    SYNCED_BYTES = 26


_WORDS_BYTES = 512
_RECORD_BYTES = 16_128
_LENGTH = struct.Struct("<I")
PANEL_BYTES = _WORDS_BYTES + 2 * _RECORD_BYTES


class Panel:
    """One agent's panel. ``memory``: PANEL_BYTES of shared, writable memory."""

    def __init__(self, memory: memoryview) -> None:
        self.words = memory[:_WORDS_BYTES].cast("q")
        self._records = memory[_WORDS_BYTES:PANEL_BYTES]

    def publish_disk(self, record: bytes) -> None:
        """Replace the record of the disk."""
        if len(record) + _LENGTH.size > _RECORD_BYTES:
            raise ValueError(f"the record of the disk takes {len(record)} bytes, more than there is room for")
        other = 1 - self.words[Word.DISK_RECORD]
        start = other * _RECORD_BYTES
        _LENGTH.pack_into(self._records, start, len(record))
        start += _LENGTH.size
        self._records[start : start + len(record)] = record
        self.words[Word.DISK_RECORD] = other

    def disk(self) -> bytes:
        """The record published last; empty if there is none."""
        start = self.words[Word.DISK_RECORD] * _RECORD_BYTES
        (length,) = _LENGTH.unpack_from(self._records, start)
        start += _LENGTH.size
        return bytes(self._records[start : start + length])

    # -- clock --------------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """The agent's clock: CLOCK_MONOTONIC, changed as the overseer says."""
        words = self.words
        while True:
            version = words[Word.CLOCK_VERSION]
            real_ns = time.monotonic_ns()
            if not version:
                return real_ns
            since_ns, read_ns, rate = words[Word.CLOCK_SINCE_NS], words[Word.CLOCK_READ_NS], words[Word.CLOCK_RATE]
            if not version & 1 and words[Word.CLOCK_VERSION] == version:
                return read_ns + (real_ns - since_ns) * rate // RATE_ONE

    def real_ns(self, duration_ns: int) -> int:
        """How long a time of the agent's clock lasts."""
        rate = self.words[Word.CLOCK_RATE]
        return duration_ns * RATE_ONE // rate if self.words[Word.CLOCK_VERSION] else duration_ns

    def set_clock(self, *, jump_ns: int, rate: float) -> None:
        """From now on the clock is ahead by ``jump_ns`` more and runs at ``rate``."""
        words = self.words
        read_ns = self.now_ns()
        words[Word.CLOCK_VERSION] += 1
        words[Word.CLOCK_SINCE_NS] = time.monotonic_ns()
        words[Word.CLOCK_READ_NS] = read_ns + jump_ns
        words[Word.CLOCK_RATE] = round(rate * RATE_ONE)
        words[Word.CLOCK_VERSION] += 1
