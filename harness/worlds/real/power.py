"""Power loss and damage on the files of an agent that does not run.

SIGKILL alone loses nothing that was written: the page cache lives on. So the bytes and names that were not synced, as the
agent's file port published them in its panel, are taken away by hand.
Emulated: loss of unsynced bytes, at the end or sector by sector, and of unsynced changes of names (the later ones first).
Not emulated: a truncation that is undone, and the loss of bytes behind a sync that the port never asked for but believes in.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from nemesis.draws import Draw, below
from nemesis.port import Evidence
from paxos_impl.process.files import LIMBO, DiskRecord, NameChange, publish, read_disk_record
from paxos_impl.process.panel import Panel

GARBAGE_BYTES_MAX = 64

SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""


def cut_power(directory: Path, panel: Panel, unsynced: str, draw: Draw) -> Evidence:
    """Take away what was not synced, as ``unsynced`` says (lost, torn, garbled, scattered, kept). The agent must be dead."""
    record = read_disk_record(panel)
    keep = _kept(unsynced, len(record.pending), draw)
    for change in reversed(record.pending[keep:]):
        _undo(directory, change)
    for path in _limbo(directory):
        path.unlink()
    survived: dict[int, int] = {}
    in_doubt = lost = garbled = 0
    for path in _files(directory):
        status = path.stat()
        durable = min(record.durable.get(status.st_ino, 0), status.st_size)
        tail = status.st_size - durable
        kept = tail if unsynced == "scattered" else _kept(unsynced, tail, draw)
        with path.open("r+b") as file:
            file.truncate(durable + kept)
            if unsynced == "scattered":
                kept = _scatter(file, durable, status.st_size, draw)
            if unsynced == "garbled" and tail:
                noise = bytes(below(draw, 256) for _ in range(min(GARBAGE_BYTES_MAX, tail)))
                file.seek(durable + below(draw, kept + 1))
                file.write(noise)
                garbled += len(noise)
        survived[status.st_ino] = path.stat().st_size
        in_doubt += tail
        lost += tail - kept
    publish(panel, DiskRecord(survived, []))
    return {
        "unsynced_bytes": in_doubt,
        "lost_bytes": lost,
        "garbled_bytes": garbled,
        "lost_names": len(record.pending) - keep,
    }


def flip_byte(directory: Path, panel: Panel, draw: Draw) -> Evidence:
    """Flip one bit of a synced byte; ``nothing_to_damage`` if there is none. The agent must be dead."""
    durable = read_disk_record(panel).durable
    files = [(path, durable.get(path.stat().st_ino, 0)) for path in _files(directory)]
    files = [(path, size) for path, size in files if 0 < size <= path.stat().st_size]
    if not files:
        return {"nothing_to_damage": True}
    path, size = files[below(draw, len(files))]
    at = below(draw, size)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << below(draw, 8)]))
    return {"file": path.name, "byte": at}


def _kept(unsynced: str, of: int, draw: Draw) -> int:
    """How much of what was not synced survives."""
    if unsynced == "lost":
        return 0
    return of if unsynced == "kept" else below(draw, of + 1)


def _scatter(file: BinaryIO, durable: int, size: int, draw: Draw) -> int:
    """Of the unsynced sectors any may be lost: they read as zeros, or the file ends before them. Returns the bytes kept."""
    share, start, end, kept = draw(), durable, durable, 0
    while start < size:
        behind = min(size, start - start % SECTOR_BYTES + SECTOR_BYTES)
        if draw() < share:
            kept, end = kept + behind - start, behind
        else:
            file.seek(start)
            file.write(bytes(behind - start))
        start = behind
    file.truncate(end)
    return kept


def _undo(directory: Path, change: NameChange) -> None:
    """Take back one change of names. It may not have been made at all, if the agent died before it."""
    aside = directory / LIMBO / change.aside if change.aside else None
    if change.what == "rename":
        if (directory / change.new).exists() and not (directory / change.name).exists():
            (directory / change.new).rename(directory / change.name)
        if aside is not None and aside.exists():
            aside.replace(directory / change.new)
        return
    if change.what == "create" and (aside is None or aside.exists()):
        (directory / change.name).unlink(missing_ok=True)
    if aside is not None and aside.exists():
        aside.replace(directory / change.name)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if not path.name.startswith("."))


def _limbo(directory: Path) -> list[Path]:
    limbo = directory / LIMBO
    return sorted(limbo.iterdir()) if limbo.is_dir() else []
