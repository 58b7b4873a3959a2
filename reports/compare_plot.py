"""compare.png: head against base, one line a metric: the ratio with its interval, every pair, the floor, the noise.

Rules
-----
* It stands alone: verdict, both versions, units and counts are in it; same comparison, same bytes.
* All ratios are of quantities of which less is better: right of the floor is worse. Shapes say what colours say.
"""

from __future__ import annotations

import textwrap

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from reports.gate import DECISION_WORDS, Comparison, Finding, GateResult
from reports.gate_text import title
from reports.palette import GRID, INK, QUIET, VERDICT_COLOURS, VERDICT_WORDS
from reports.plots import DPI, STYLE, WIDTH_INCHES, png_bytes
from reports.wording import ascii_shown, count

DECISION_COLOURS = {
    "same": VERDICT_COLOURS["PASS"],
    "better": VERDICT_COLOURS["PASS"],
    "worse": VERDICT_COLOURS["FAIL"],
    "unknown": VERDICT_COLOURS["INCONCLUSIVE"],
}
DECISION_MARKERS = {"same": "o", "better": "<", "worse": "X", "unknown": "s"}
TICKS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
FAR_TICKS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
LOWEST, HIGHEST = 0.25, 4.0
"""Ratios beyond are drawn at the edge."""
PAIRS_AT_MOST = 400
ROW_INCHES = 0.62


def compare_png(result: GateResult) -> bytes:
    """The picture of everything that was compared."""
    drawn = [one for one in result.comparisons if one.findings]
    lines = textwrap.wrap(ascii_shown(result.sentence, 330), 118)
    heights = [max(1, len(one.findings)) * ROW_INCHES for one in drawn] or [ROW_INCHES]
    header, gap, below = 0.95 + 0.2 * len(lines), 0.95, 0.62
    total = header + sum(heights) + gap * (len(heights) - 1) + below
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH_INCHES, total), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        left, width = 0.24, 0.5
        figure.text(0.02, 1 - 0.3 / total, VERDICT_WORDS_OF_A_GATE[result.verdict], fontsize=15, fontweight="bold",
                    color=VERDICT_COLOURS[result.verdict], va="center")  # fmt: skip
        about = f"head: {ascii_shown(result.head, 40)}  |  base: {ascii_shown(result.base, 40)}"
        figure.text(0.985, 1 - 0.3 / total, about, color=QUIET, va="center", ha="right")
        figure.text(0.02, 1 - 0.52 / total, "\n".join(lines), color=INK, va="top", linespacing=1.35)
        top = header
        for place, height in enumerate(heights):
            panel = figure.add_axes((left, 1 - (top + height) / total, width, height / total))
            if drawn:
                _draw(panel, drawn[place])
            else:
                panel.set_axis_off()
                panel.text(0.5, 0.5, "nothing was compared", ha="center", color=QUIET, transform=panel.transAxes)
            top += height + gap
        return png_bytes(figure)


VERDICT_WORDS_OF_A_GATE = VERDICT_WORDS | {"PASS": "No regression", "FAIL": "Worse than the base"}


def _draw(panel: Axes, comparison: Comparison) -> None:
    rows = comparison.findings
    panel.set_xscale("log")
    low, high = _reach(rows)
    panel.set_xlim(low, high)
    panel.xaxis.set_major_locator(
        FixedLocator([tick for tick in (FAR_TICKS if high / low > 1.8 else TICKS) if low <= tick <= high])
    )
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * (value - 1):+.0f} %"))
    panel.set_xlabel("head against base: more is worse")
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_yticks(range(len(rows)), [ascii_shown(row.metric, 34) for row in rows])
    panel.tick_params(axis="y", length=0)
    panel.grid(False, axis="y")
    panel.axvline(1.0, color=INK, linewidth=1.0)
    for place, row in enumerate(rows):
        _draw_row(panel, place, row, low, high)
    unit = f"{title(comparison)}; a dot is a {comparison.unit}"
    panel.set_title(unit, loc="left", fontsize=8.5, color=QUIET, pad=5)
    handles = [
        Line2D([], [], color=INK, marker="o", label="ratio and interval"),
        Line2D([], [], color=INK, linestyle=":", label="floor"),
    ]
    if any(row.noise is not None for row in rows):
        handles.append(Patch(facecolor=GRID, edgecolor=QUIET, hatch="////", label="base against base"))  # type: ignore[arg-type]
    panel.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.49, 1.0), ncols=len(handles), borderaxespad=0.15)


def _reach(rows: tuple[Finding, ...]) -> tuple[float, float]:
    """Limits that hold every interval, at least 0.8 to 1.35."""
    ends = [end for row in rows for part in (row.interval, row.noise) if part for end in (part.low, part.high)]
    return max(LOWEST, min([0.8, *(end * 0.95 for end in ends)])), min(
        HIGHEST, max([1.35, *(end * 1.05 for end in ends)])
    )


def _draw_row(panel: Axes, place: int, row: Finding, low: float, high: float) -> None:
    colour = DECISION_COLOURS[row.decision]
    words = f"{ascii_shown(row.base, 16)} -> {ascii_shown(row.head, 16)}\n{DECISION_WORDS[row.decision]}"
    if row.pairs:
        words += f" ({count(len(row.pairs), 'pair')})"
    panel.text(1.02, place, words, transform=panel.get_yaxis_transform(), va="center", color=colour, fontsize=8.5)
    if row.noise is not None:
        panel.barh(place, row.noise.high - row.noise.low, left=row.noise.low, height=0.62, facecolor=GRID,
                   edgecolor=QUIET, hatch="////", linewidth=0.5)  # fmt: skip
    shown = row.pairs[:PAIRS_AT_MOST]
    inside = [min(max(ratio, low), high) for ratio in shown]
    heights = [place + 0.3 * (((number * 7) % 11) / 5 - 1) * 0.8 for number in range(len(shown))]
    panel.plot(inside, heights, linestyle="", marker=".", markersize=3.5, color=QUIET, alpha=0.45)
    if row.interval is None:
        return
    ends = [min(max(end, low), high) for end in (row.interval.low, row.interval.ratio, row.interval.high)]
    floor = 1.0 + row.interval.floor
    panel.plot([floor, floor], [place - 0.42, place + 0.42], color=INK, linestyle=":", linewidth=1.6)
    panel.plot([ends[0], ends[2]], [place, place], color=colour, linewidth=3, solid_capstyle="butt")
    panel.plot([ends[1]], [place], marker=DECISION_MARKERS[row.decision], markersize=8, color=colour,
               markeredgecolor="white")  # fmt: skip
