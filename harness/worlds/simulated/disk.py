"""The simulated disk of one agent: files that forget what was not synced when the power goes.

Injects: loss of unsynced bytes (all, a suffix, a suffix replaced by garbage), loss of unsynced directory changes (a
suffix of them, in order), a flipped bit in old synced data, a full disk (an append leaves half of its bytes), an error at sync
(its bytes are lost), a truncation undone because it was not synced, also behind bytes appended since; unsynced writes that
reach the disk in any order, of which the power cut leaves some (whole writes, or sectors of 512 bytes; what is missing between
them reads as what stood there before, or as zeros). Syncs take time (the world schedules their end); what is appended meanwhile
is not covered.
Does not inject: changes of names out of order, lost synced data, wrong data returned by a read.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable

UNSYNCED_MODES = ("lost", "torn", "garbled", "scattered", "kept")

SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""

SYNCS_TO_SETTLE = 3
"""Bytes are old when so many later syncs have added to their file: what follows them tells that they were durable."""


class _File:
    __slots__ = ("cut", "cut_at", "data", "durable", "earlier", "writes")

    def __init__(self) -> None:
        self.data = bytearray()
        self.durable = 0
        """Bytes that survive a power cut."""
        self.cut: bytes | None = None
        """What stood here before it was truncated, until that is durable."""
        self.cut_at = 0
        """The shortest it was truncated to since then."""
        self.writes: list[int] = []
        """Where each write ends that is not durable."""
        self.earlier: deque[int] = deque([0] * SYNCS_TO_SETTLE, SYNCS_TO_SETTLE)
        """``durable`` as it was before each of the last syncs."""

    @property
    def settled(self) -> int:
        """Bytes old enough to rot: damage to the newest cannot be told from a torn tail by any log."""
        return min(self.earlier[0], self.durable)


class SimulatedDisk:
    """Implements ``paxos_impl.files.Files``."""

    def __init__(self) -> None:
        self.files: dict[str, _File] = {}
        self.full = False
        self.fail_next_sync = False
        self.on_append: Callable[[], None] | None = None
        """Called after bytes were appended, before anything else happens: where a trigger may strike."""
        self.syncs = 0
        self.name_syncs = 0
        """Syncs that made a change of names durable: what a power cut leaves is of another shape since."""
        self._durable_names: dict[str, _File] = {}
        self._directory_changes: list[tuple[str, str, _File | None]] = []
        self._syncing: list[tuple[_File, int]] = []
        self._syncing_changes = 0

    # -- the port -----------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return sorted(self.files)

    def read(self, name: str) -> bytes:
        return bytes(self.files[name].data)

    def create(self, name: str) -> None:
        self._check_space()
        self.files[name] = made = _File()
        self._directory_changes.append(("put", name, made))

    def append(self, name: str, data: bytes) -> None:
        file = self.files[name]
        if self.full:
            file.data += data[: len(data) // 2]
            self._check_space()
        file.data += data
        file.writes.append(len(file.data))
        if self.on_append is not None:
            self.on_append()

    def truncate(self, name: str, size: int) -> None:
        file = self.files[name]
        if file.cut is None:
            file.cut, file.cut_at = bytes(file.data), size
        file.cut_at = min(file.cut_at, size)
        file.writes = [end for end in file.writes if end < size]
        del file.data[size:]
        file.durable = min(file.durable, size)

    def rename(self, old: str, new: str) -> None:
        file = self.files.pop(old)
        self.files[new] = file
        self._directory_changes.append(("move", f"{old}\0{new}", file))

    def remove(self, name: str) -> None:
        del self.files[name]
        self._directory_changes.append(("drop", name, None))

    def sync(self, name: str) -> None:
        file = self.files[name]
        self._syncing.append((file, len(file.data)))

    def sync_directory(self) -> None:
        self._syncing_changes = len(self._directory_changes)

    # -- the world ----------------------------------------------------------------------------------------------------

    def end_sync(self) -> None:
        """The flush that was begun is finished. Raises OSError, with its bytes lost, if it was told to fail."""
        syncing, self._syncing = self._syncing, []
        changes, self._syncing_changes = self._syncing_changes, 0
        self.syncs += 1
        if self.fail_next_sync:
            self.fail_next_sync = False
            for file, _ in syncing:
                del file.data[file.durable :]
            raise OSError(errno.EIO, "input/output error (injected)")
        for file, size in syncing:
            file.cut = None
            durable = min(size, len(file.data))
            if durable > file.durable:
                file.earlier.append(file.durable)
                file.durable = durable
                file.writes = [end for end in file.writes if end > durable]
        if changes:
            for change in self._directory_changes[:changes]:
                _apply(self._durable_names, change)
            del self._directory_changes[:changes]
            self.name_syncs += 1

    def after_power_cut(self) -> SimulatedDisk:
        """A disk of its own with what would be left if the power failed now and all that is not synced were lost."""
        left = SimulatedDisk()
        copies: dict[int, _File] = {}
        for name, file in self._durable_names.items():
            copy = copies.get(id(file))
            if copy is None:
                copy = copies[id(file)] = _File()
                copy.data = file.data[: file.durable]
                if file.cut is not None:
                    copy.data += file.cut[len(copy.data) :]
                copy.durable = len(copy.data)
            left.files[name] = left._durable_names[name] = copy
        return left

    def power_cut(self, mode: str, draw: Callable[[], float]) -> dict[str, int]:
        """Lose what was not synced, as ``mode`` says; returns counts for the evidence."""
        unsynced = sum(len(file.data) - file.durable for file in self.files.values())
        kept_changes = {"lost": 0, "kept": len(self._directory_changes)}.get(
            mode, int(draw() * (len(self._directory_changes) + 1))
        )
        lost_changes = len(self._directory_changes) - kept_changes
        for change in self._directory_changes[:kept_changes]:
            _apply(self._durable_names, change)
        lost = garbled = 0
        for file in {id(file): file for file in self._durable_names.values()}.values():
            tail = len(file.data) - file.durable
            if mode == "scattered":
                kept = _scatter(file, draw)
            else:
                kept = {"lost": 0, "kept": tail}.get(mode, int(draw() * (tail + 1)))
                del file.data[file.durable + kept :]
                if mode == "garbled" and tail:
                    garbled += _garble(file, file.durable, kept, tail, draw)
                if file.cut is not None and mode != "kept":
                    file.data += file.cut[len(file.data) :]
            file.cut = None
            file.writes = []
            file.durable = len(file.data)
            lost += tail - kept
        self.files = dict(self._durable_names)
        self._directory_changes = []
        self._syncing = []
        self._syncing_changes = 0
        return {
            "unsynced_bytes": unsynced, "lost_bytes": lost, "garbled_bytes": garbled, "lost_names": lost_changes,
        }  # fmt: skip

    def process_died(self) -> None:
        """What the operating system was handed stays; a flush in progress says nothing any more."""
        self._syncing = []
        self._syncing_changes = 0

    def corrupt(self, draw: Callable[[], float]) -> dict[str, int | str]:
        """Flip one bit of old synced data; {} if there is none."""
        names = [name for name, file in sorted(self.files.items()) if file.settled > 0]
        if not names:
            return {}
        name = names[int(draw() * len(names))]
        file = self.files[name]
        at = int(draw() * file.settled)
        file.data[at] ^= 1 << int(draw() * 8)
        return {"file": name, "byte": at}

    def _check_space(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device (injected)")


def _garble(file: _File, start: int, kept: int, tail: int, draw: Callable[[], float]) -> int:
    """Damage what is kept of an unsynced tail: one flipped bit, or noise over its end and beyond. Returns the bytes hit."""
    if kept and draw() < 0.5:
        file.data[start + int(draw() * kept)] ^= 1 << int(draw() * 8)
        return 1
    noise = bytes(int(draw() * 256) for _ in range(min(64, tail)))
    at = start + int(draw() * (kept + 1))
    file.data[at : at + len(noise)] = noise
    return len(noise)


def _scatter(file: _File, draw: Callable[[], float]) -> int:
    """Of the unsynced writes, and of a truncation before them, any may have reached the disk: whole writes or single sectors.
    Returns how many unsynced bytes are kept."""
    by_sectors, cut_lost, share = draw() < 0.35, draw() < 0.5, draw()
    start, size = file.durable, len(file.data)
    disk = bytearray(file.data[:start] if file.cut is None else file.cut if cut_lost else file.cut[: file.cut_at])
    ends = [*range(start - start % SECTOR_BYTES + SECTOR_BYTES, size, SECTOR_BYTES)] if by_sectors else file.writes
    kept = 0
    for end in sorted({end for end in (*ends, size) if start < end <= size}):
        written = bytes(file.data[start:end])
        if draw() < share:
            if by_sectors:
                rest = -end % SECTOR_BYTES  # beyond the end of a file its last sector holds zeros
                written += bytes(max(0, min(rest, len(disk) - end)))
            disk.extend(bytes(max(0, start - len(disk))))
            disk[start : start + len(written)] = written
        kept += end - start if disk[start:end] == file.data[start:end] else 0
        start = end
    file.data[:] = disk
    return kept


def _apply(names: dict[str, _File], change: tuple[str, str, _File | None]) -> None:
    what, name, file = change
    if what == "drop":
        names.pop(name, None)
        return
    assert file is not None
    if what == "move":
        old, _, name = name.partition("\0")
        names.pop(old, None)
    names[name] = file
