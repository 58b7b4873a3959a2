"""Every picture of a run, by name, and how they get into the run directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reports.model import RunModel
from reports.plots import availability_png, latency_png, timeline_png
from reports.spacetime_plot import spacetime_png

PICTURES: dict[str, Callable[[RunModel], bytes | None]] = {
    "timeline.png": timeline_png,
    "latency.png": latency_png,
    "availability.png": availability_png,
    "spacetime.png": spacetime_png,
}
"""Name -> the picture, or None for a run that has no such picture."""


def draw_all(model: RunModel) -> tuple[list[Path], list[str]]:
    """Write every picture into the run directory: the paths written, and a warning for each that could not be drawn.

    A picture that this run no longer has is removed.
    """
    written, warnings = [], []
    for name, draw in PICTURES.items():
        path = model.directory / name
        try:
            picture = draw(model)
            if picture is None:
                path.unlink(missing_ok=True)
                continue
            path.write_bytes(picture)
        except Exception as error:
            warnings.append(
                f"{name} could not be drawn ({type(error).__name__}: {error}); the verdict does not depend on it"
            )
        else:
            written.append(path)
    return written, warnings
