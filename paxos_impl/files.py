"""The file port: the only door of the protocol code to a disk.

A file is append-only between ``create`` and ``remove``. What a power cut may undo:

* bytes appended and not covered by a finished ``sync`` of that file: any of them, also earlier ones without later ones;
* a truncation that no finished ``sync`` of that file covers, though bytes appended after it are kept;
* names created, renamed or removed and not covered by a finished ``sync_directory``, in order: a later change never
  survives an earlier one that was lost.

``sync`` and ``sync_directory`` *begin* the flush of what was appended before the call; the host tells the node when all it
began is finished (``Node.end_sync``). On real files both block, so they are finished when they return.
Every method may raise OSError; after a failed sync nothing may be assumed of the bytes it covered.
"""

from __future__ import annotations

from typing import Protocol


class Files(Protocol):
    """Files of one agent, by plain name."""

    def names(self) -> list[str]:
        """Names there are, sorted."""

    def read(self, name: str) -> bytes: ...

    def create(self, name: str) -> None:
        """Make an empty file; an old one of that name is emptied."""

    def append(self, name: str, data: bytes) -> None:
        """Hand bytes to the operating system: they survive the death of the process, not a power cut."""

    def truncate(self, name: str, size: int) -> None: ...

    def rename(self, old: str, new: str) -> None:
        """Atomic; replaces ``new``."""

    def remove(self, name: str) -> None: ...

    def sync(self, name: str) -> None: ...

    def sync_directory(self) -> None: ...
