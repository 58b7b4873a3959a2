"""Directories in memory, for logs that need not outlive their run: they are gone when it ends, or when the next one begins."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
PREFIX = "paxos-torture-"


@contextmanager
def memory_directory() -> Iterator[Path]:
    """A directory on a memory-backed file system (where there is none, on disk) that is removed afterwards. What killed runs
    have left behind is removed too."""
    base = MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    _sweep(base)
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=base, ignore_cleanup_errors=True) as made:
        yield Path(made)


def _sweep(base: Path) -> None:
    """Each directory names the process that made it."""
    for path in base.glob(f"{PREFIX}*"):
        owner = path.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(path, ignore_errors=True)
