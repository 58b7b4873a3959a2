"""Finished work, one line of JSON each, so that what was interrupted goes on where it stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec


def append(state: Path, row: Any) -> None:
    """Add a row. A line that was torn when another one was added is cut off first, or this one would be lost with it."""
    with state.open("a+b") as file:
        if size := file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.truncate(state.read_bytes().rfind(b"\n", 0, size) + 1)
        file.write(msgspec.json.encode(row) + b"\n")
