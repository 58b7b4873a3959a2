"""spacetime.png: the first counterexample of a run, as the page draws it, for a pull request."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from reports.model import RunModel
from reports.palette import DEVICE_COLOURS, GRID, INK, LETTER_COLOURS, OUTAGE, QUIET
from reports.plots import DPI, STYLE, WIDTH_INCHES, figure_with_header, png_bytes
from reports.spacetime import Diagram, Step, first_diagram
from reports.wording import ascii_shown, instant

CONFLICTS_AT_MOST = 4
_MARKERS: dict[str, Any] = {
    "triangle": "^",
    "diamond": "D",
    "star": "*",
    "arrow": [(-1, -1), (0.3, -1), (1.2, 0), (0.3, 1), (-1, 1), (-1, -1)],
    "square": "s",
    "circle": "o",
    "ring": "o",
    "cross": "x",
    "bolt": "v",
    "pentagon": "p",
    "burst": "*",
}
_HOLLOW = frozenset({"triangle", "diamond", "ring"})


def spacetime_png(model: RunModel) -> bytes | None:
    """None if no violation of the run can be drawn."""
    found = first_diagram(model)
    if found is None:
        return None
    lines = _words(found)
    height = found.height / DPI + 0.25
    below = 0.3 + 0.19 * len(lines)
    with matplotlib.style.context(["default", STYLE]):
        figure, (panel,) = figure_with_header(model, (height,), shared=False, below=below)
        panel.set_axis_off()
        panel.set_xlim(0, max(found.width, WIDTH_INCHES * DPI * 0.855))
        panel.set_ylim(found.height, 0)
        _draw(panel, found)
        total = figure.get_figheight()
        figure.text(0.13, (below - 0.05) / total, "\n".join(lines), color=INK, va="top", linespacing=1.4, fontsize=9)
        return png_bytes(figure)


def _draw(panel: Axes, found: Diagram) -> None:
    for step in found.steps:
        if step.conflict:
            panel.add_patch(Rectangle((0, step.y - 16), found.width, 32, facecolor="#fdeee7", edgecolor="none"))
    for band in found.bands:
        colour = DEVICE_COLOURS[band.device]
        size = (found.lane_width - 8, band.height)
        panel.add_patch(Rectangle((band.x, band.y), *size, facecolor=colour, alpha=0.1, edgecolor="none"))
        panel.add_patch(
            Rectangle((band.x, band.y), *size, fill=False, edgecolor=colour, linewidth=0.6, alpha=0.35, hatch="//")
        )
        panel.text(band.x + 2, band.y - 3, ascii_shown(band.label, 14), color=colour, fontsize=8, fontweight="bold")
    for name, x in found.lanes:
        panel.plot([x, x], [34, found.height], color=GRID, linewidth=1.5, zorder=0.5)
        panel.text(x, 22, ascii_shown(name, 14), ha="center", fontweight="bold")
    for arrow in found.arrows:
        line = "--" if arrow.lost else "-"
        panel.annotate(
            "",
            (arrow.x2, arrow.y2),
            (arrow.x1, arrow.y1),
            arrowprops={"arrowstyle": "-" if arrow.lost else "->", "linestyle": line, "color": QUIET, "linewidth": 0.9},
        )
        if arrow.lost:
            panel.plot([arrow.x2], [arrow.y2], marker="x", color=OUTAGE, markersize=6)
    for item in found.durable:
        panel.text(item.x - 15, item.y, ascii_shown(item.text, 24), ha="right", va="center", fontsize=7.5, color=QUIET,
                   bbox={"facecolor": "#f1f3f5", "edgecolor": GRID, "pad": 1.5, "linewidth": 0.6})  # fmt: skip
    for step in found.steps:
        _draw_step(panel, step, found.width)


def _draw_step(panel: Axes, step: Step, width: float) -> None:
    colour = LETTER_COLOURS[step.hue] if step.letter else DEVICE_COLOURS["process"]
    panel.text(76, step.y, ascii_shown(step.when, 14), ha="right", va="center", color=QUIET, fontsize=8.5)
    if step.pause:
        panel.plot([84, width], [step.y - 27, step.y - 27], color=GRID, linestyle=":", linewidth=1.5)
    panel.plot(
        [step.x],
        [step.y],
        linestyle="",
        marker=_MARKERS[step.mark],
        markersize=11,
        markerfacecolor="white" if step.mark in _HOLLOW else colour,
        markeredgecolor=OUTAGE if step.conflict else colour,
        markeredgewidth=1.6,
        zorder=3,
    )
    if step.letter:
        panel.text(step.x, step.y + 0.5, step.letter, color="white", ha="center", va="center", fontsize=7.5,
                   fontweight="bold", zorder=4)  # fmt: skip
    panel.text(
        step.x + 14,
        step.y,
        ascii_shown(step.label, 40) + (" !" if step.conflict else ""),
        va="center",
        fontsize=8.5,
        color=OUTAGE if step.conflict else INK,
        fontweight="bold" if step.conflict else "normal",
        path_effects=[withStroke(linewidth=2.5, foreground="#fdeee7" if step.conflict else "white")],
        zorder=4,
    )


def _words(found: Diagram) -> list[str]:
    """What the letters stand for, how much is drawn, and the steps that break a rule."""
    drawn = f"{len(found.steps)} of {found.total}" if len(found.steps) < found.total else f"{found.total}"
    lines = [f"{drawn} steps from {instant(found.begins_ns)}, one lane a process, time downwards, not to scale"]
    if found.durable:
        lines.append("disk = from here on this must be on the agent's disk, since a message that tells of it has left")
    lines += [ascii_shown(f"{letter} = {text}", 130) for letter, text in found.letters[:4]]
    conflicts = [step for step in found.steps if step.conflict]
    for step in conflicts[:CONFLICTS_AT_MOST]:
        lines += textwrap.wrap(ascii_shown(f"! {step.when}: {step.sentence}", 400), 130, subsequent_indent="   ")
    return lines
