"""Writing a report so that whoever looks sees the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replace the file. Raises OSError, with nothing left behind, if there is no room."""
    scratch = path.with_name(f"{path.name}.tmp")
    try:
        scratch.write_text(text, encoding="utf-8", newline="\n")
        scratch.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise
