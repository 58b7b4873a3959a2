"""The file port on a real directory, with what a power cut would undo published in the panel.

Rules
* Bytes count as durable when fdatasync has returned *and* the new size is published, before anything that relies on it is said.
* A change of names is published before it is made, and what it destroys is kept aside (``.limbo``) until the next finished
  sync of the directory: until then it can be undone.
* Sizes are kept by inode, since a file keeps its bytes when it is renamed.

Injected on demand (``Word``): no space (an append leaves half of its bytes), a failing sync (what it covered is gone),
slow syncs.
On a memory-backed file system the same code runs; its syncs cost nothing.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec

from paxos_impl.process.panel import Panel, Word

LIMBO = ".limbo"


class NameChange(msgspec.Struct, frozen=True, array_like=True):
    """A change of names not yet durable. create: ``name``; rename: ``name`` to ``new``; remove: ``name``."""

    what: str
    name: str
    new: str
    aside: str
    """Where in the limbo the file is that stood in the way; empty: none did."""


class DiskRecord(msgspec.Struct, array_like=True):
    """What would survive a power cut."""

    durable: dict[int, int]
    """inode -> bytes that are durable"""
    pending: list[NameChange]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(DiskRecord).decode


def read_disk_record(panel: Panel) -> DiskRecord:
    data = panel.disk()
    record = _decode(data) if data else DiskRecord({}, [])
    if panel.words[Word.SYNCED_INODE]:
        record.durable[panel.words[Word.SYNCED_INODE]] = panel.words[Word.SYNCED_BYTES]
    return record


def publish(panel: Panel, record: DiskRecord) -> None:
    """The whole record; the words of the last sync agree with it, until they are not needed any more."""
    words = panel.words
    if words[Word.SYNCED_INODE]:
        words[Word.SYNCED_BYTES] = record.durable.get(words[Word.SYNCED_INODE], 0)
    panel.publish_disk(_encode(record))
    words[Word.SYNCED_INODE] = 0


def publish_sync(panel: Panel, record: DiskRecord, inode: int) -> None:
    """One file has more durable bytes than before. The same file again costs one word."""
    words = panel.words
    if words[Word.SYNCED_INODE] == inode:
        words[Word.SYNCED_BYTES] = record.durable[inode]
        return
    publish(panel, record)
    words[Word.SYNCED_BYTES] = record.durable[inode]
    words[Word.SYNCED_INODE] = inode


class RealFiles:
    """Implements ``paxos_impl.files.Files``. Takes up the record of the incarnation before."""

    def __init__(self, directory: Path, panel: Panel, on_append: Callable[[], None] | None = None) -> None:
        self.directory = directory
        self.panel = panel
        self.on_append = on_append
        """Called after bytes were appended, before anything else happens."""
        self.limbo = directory / LIMBO
        self.limbo.mkdir(parents=True, exist_ok=True)
        self.record = read_disk_record(panel)
        self._directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._inodes: dict[str, int] = {}
        self._aside = max((int(path.name) for path in self.limbo.iterdir()), default=0)
        for name in self.names():
            self._open_file(name)

    def _path(self, name: str) -> Path:
        return self.directory / name

    def _open_file(self, name: str, flags: int = 0) -> None:
        fd = os.open(self._path(name), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o644)
        status = os.fstat(fd)
        self._open[name] = fd
        self._sizes[name] = status.st_size
        self._inodes[name] = status.st_ino

    # -- the port -----------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir() if not path.name.startswith("."))

    def read(self, name: str) -> bytes:
        return self._path(name).read_bytes()

    def create(self, name: str) -> None:
        self._check_space()
        self._change("create", name, in_the_way=name)
        if name in self._open:
            self._forget(name)
        self._open_file(name, os.O_CREAT | os.O_EXCL)
        self.record.durable[self._inodes[name]] = 0
        publish(self.panel, self.record)

    def append(self, name: str, data: bytes) -> None:
        fd = self._open[name]
        if self.panel.words[Word.DISK_FULL]:
            self._sizes[name] += os.write(fd, data[: len(data) // 2])
            self._refuse()
        written = os.write(fd, data)
        while written < len(data):
            written += os.write(fd, data[written:])
        self._sizes[name] += len(data)
        if self.on_append is not None:
            self.on_append()

    def truncate(self, name: str, size: int) -> None:
        os.ftruncate(self._open[name], size)
        self._sizes[name] = size
        inode = self._inodes[name]
        self.record.durable[inode] = min(size, self.record.durable.get(inode, 0))
        publish(self.panel, self.record)

    def rename(self, old: str, new: str) -> None:
        self._change("rename", old, new, in_the_way=new)
        self._path(old).rename(self._path(new))
        if new in self._open:
            self._forget(new)
        for table in (self._open, self._sizes, self._inodes):
            table[new] = table.pop(old)

    def remove(self, name: str) -> None:
        self._change("remove", name, in_the_way=name)
        self._forget(name)

    def sync(self, name: str) -> None:
        words = self.panel.words
        size, fd = self._sizes[name], self._open[name]
        slow_ns = words[Word.SLOW_SYNC_NS]
        if slow_ns:
            time.sleep(slow_ns / 1e9)
            words[Word.SYNCS_SLOWED] += 1
        if words[Word.FAIL_SYNCS] > words[Word.SYNCS_FAILED]:
            words[Word.SYNCS_FAILED] += 1
            os.ftruncate(fd, min(size, self.record.durable.get(self._inodes[name], 0)))
            raise OSError(errno.EIO, "input/output error (injected)")
        os.fdatasync(fd)
        words[Word.SYNCS] += 1
        inode = self._inodes[name]
        self.record.durable[inode] = size
        publish_sync(self.panel, self.record, inode)

    def sync_directory(self) -> None:
        os.fsync(self._directory_fd)
        if self.record.pending:
            self.record.pending = []
            publish(self.panel, self.record)
        gone = list(self.limbo.iterdir())
        for path in gone:
            self.record.durable.pop(path.stat().st_ino, None)
            path.unlink()
        if gone:
            publish(self.panel, self.record)

    def close(self) -> None:
        for fd in self._open.values():
            os.close(fd)
        os.close(self._directory_fd)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _change(self, what: str, name: str, new: str = "", *, in_the_way: str) -> None:
        """Publish a change of names, then move aside what it destroys. (A link first: the change itself stays atomic.)"""
        aside = ""
        if in_the_way in self._open:
            self._aside += 1
            aside = str(self._aside)
        self.record.pending.append(NameChange(what, name, new, aside))
        publish(self.panel, self.record)
        if not aside:
            return
        if what == "rename":
            (self.limbo / aside).hardlink_to(self._path(in_the_way))
        else:
            self._path(in_the_way).rename(self.limbo / aside)

    def _forget(self, name: str) -> None:
        os.close(self._open.pop(name))
        del self._sizes[name], self._inodes[name]

    def _check_space(self) -> None:
        if self.panel.words[Word.DISK_FULL]:
            self._refuse()

    def _refuse(self) -> NoReturn:
        """Whatever the panel says by now: the overseer may have freed the disk since it was looked at."""
        self.panel.words[Word.APPENDS_REFUSED] += 1
        raise OSError(errno.ENOSPC, "no space left on device (injected)")
