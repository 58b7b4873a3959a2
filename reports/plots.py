"""The pictures of a run over time: timeline.png, latency.png, availability.png. Each stands alone in a pull request.

Rules
-----
* matplotlib's object interface only, no global figure. Same run, same bytes: no date, no version inside.
* The title tells verdict, name and seed; axes have units; legends have counts; windows scale with the run.
* Text from outside is ASCII with escapes: the bundled font has few letters.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from harness.availability import window_width_ns
from harness.results import FaultResult
from reports.lanes import Lane, fault_lanes, shaded
from reports.model import OUTCOME_WORDS, OUTCOMES, RunModel
from reports.palette import (
    DEVICE_COLOURS,
    GRID,
    INK,
    OUTAGE,
    OUTCOME_COLOURS,
    OUTCOME_MARKERS,
    QUANTILE_COLOURS,
    QUIET,
    VERDICT_COLOURS,
    VERDICT_WORDS,
)
from reports.statistics import (
    windowed_counts,
    windowed_quantiles,
)
from reports.wording import ascii_shown, count, share, span

DPI = 110
COLOURS = 256
WIDTH_INCHES = 11.0
RECOVERY_ROWS_AT_MOST = 30
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": "#9aa2ad",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "text.parse_math": False,
}


def timeline_png(model: RunModel) -> bytes:
    """Fault lanes, latency of every operation by outcome, throughput and availability over one time axis."""
    lanes = fault_lanes((*model.faults, *model.final_faults), model.duration_ns)
    with matplotlib.style.context(["default", STYLE]):
        lane_height = 0.5 + 0.24 * max(1, len(lanes))
        figure, panels = figure_with_header(model, (lane_height, 2.9, 1.5, 0.55), shared=True)
        _draw_lanes(panels[0], lanes)
        _draw_scatter(panels[1], model)
        _draw_throughput(panels[2], model)
        _draw_availability_strip(panels[3], model)
        for panel in panels[1:3]:
            _shade(panel, lanes)
        _time_axis(panels[-1], model)
        return png_bytes(figure)


def latency_png(model: RunModel) -> bytes:
    """Latency quantiles of successful operations over time, and their distribution over the whole run."""
    lanes = fault_lanes((*model.faults, *model.final_faults), model.duration_ns)
    with matplotlib.style.context(["default", STYLE]):
        figure, panels = figure_with_header(model, (2.6, 2.4), shared=False)
        _draw_quantiles(panels[0], model)
        _shade(panels[0], lanes)
        _time_axis(panels[0], model)
        _draw_distribution(panels[1], model)
        return png_bytes(figure)


def availability_png(model: RunModel) -> bytes:
    """Share of operations that succeeded in each window, outages, and how long the service took after each fault."""
    lanes = fault_lanes((*model.faults, *model.final_faults), model.duration_ns)
    begun = [fault for fault in model.faults if fault.begin_ns is not None]
    rows = min(len(begun), RECOVERY_ROWS_AT_MOST)
    with matplotlib.style.context(["default", STYLE]):
        figure, panels = figure_with_header(model, (2.2, 0.55 + 0.34 * max(1, rows)), shared=False)
        _draw_success_share(panels[0], model)
        _shade(panels[0], lanes)
        _time_axis(panels[0], model)
        _draw_recovery(panels[1], model)
        return png_bytes(figure)


def figure_with_header(
    model: RunModel, heights: tuple[float, ...], *, shared: bool, below: float = 0.62
) -> tuple[Figure, list[Axes]]:
    """A figure with its header, and the panels below each other; heights in inches, ``below`` is left free at the bottom."""
    sentence = model.results.sentence if model.results else "No verdict: results.json is missing."
    lines = textwrap.wrap(ascii_shown(sentence, 330), 118)
    header = 0.92 + 0.2 * len(lines)
    gaps = 0.22 if shared else 0.62
    total = header + sum(heights) + gaps * (len(heights) - 1) + below
    figure = Figure(figsize=(WIDTH_INCHES, total), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    verdict = str(model.verdict or "NONE")
    left = 0.13
    figure.text(left, 1 - 0.3 / total, VERDICT_WORDS[verdict], fontsize=15, fontweight="bold",
                color=VERDICT_COLOURS[verdict], va="center")  # fmt: skip
    about = f"{ascii_shown(model.name, 40)}  |  seed {model.seed if model.seed is not None else 'unknown'}"
    if model.results:
        about += f"  |  {ascii_shown(model.results.world, 20)}, {ascii_shown(model.results.deployment, 20)}"
        about += f"  |  bug planted: {ascii_shown(model.results.mutant, 30)}" if model.results.mutant else ""
    figure.text(0.985, 1 - 0.3 / total, about, color=QUIET, va="center", ha="right")
    figure.text(left, 1 - 0.52 / total, "\n".join(lines), color=INK, va="top", linespacing=1.35)
    top = header
    panels: list[Axes] = []
    for height in heights:
        rect = (left, 1 - (top + height) / total, 0.985 - left, height / total)
        panels.append(figure.add_axes(rect, sharex=panels[0] if shared and panels else None))
        top += height + gaps
    if shared:
        for panel in panels[:-1]:
            panel.tick_params(labelbottom=False, bottom=False)
    return figure, panels


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG with a palette of its own: a third of the size, and no date or version inside.

    Maximum coverage keeps rare colours, such as those of the few operations that failed.
    """
    pixels, target = io.BytesIO(), io.BytesIO()
    figure.savefig(pixels, format="raw", dpi=DPI)
    size = figure.canvas.get_width_height()
    picture = Image.frombuffer("RGBA", size, pixels.getvalue()).convert("RGB")
    indexed = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    indexed.save(target, "PNG", optimize=True, dpi=(DPI, DPI))
    return target.getvalue()


def _time_axis(panel: Axes, model: RunModel) -> None:
    panel.set_xlim(0, model.duration_ns / 1e9)
    panel.set_xlabel("time since the run began (s)")


def _draw_lanes(panel: Axes, lanes: list[Lane]) -> None:
    panel.grid(False)
    panel.spines["bottom"].set_visible(False)
    panel.spines["left"].set_visible(False)
    panel.set_ylim(max(1, len(lanes)) - 0.4, -0.6)
    panel.set_yticks(range(len(lanes)), _lane_names([lane.kind for lane in lanes]))
    panel.tick_params(axis="y", length=0)
    for place, lane in enumerate(lanes):
        panel.axhline(place, color=GRID, linewidth=0.8, zorder=0)
        for bar in lane.bars:
            begin, width = bar.begin_ns / 1e9, max(bar.end_ns - bar.begin_ns, 1) / 1e9
            panel.barh(
                place,
                width,
                left=begin,
                height=0.62,
                color=DEVICE_COLOURS[bar.device] if bar.landed else "white",
                edgecolor=DEVICE_COLOURS[bar.device],
                hatch=None if bar.landed else "////",
                linewidth=0.8,
            )
    if not lanes:
        _empty(panel, "no faults")
        return
    devices = sorted({lane.device for lane in lanes})
    handles = [Patch(color=DEVICE_COLOURS[name], label=f"{name} faults") for name in devices]
    missed = sum(not bar.landed for lane in lanes for bar in lane.bars)
    if missed:
        handles.append(Patch(facecolor="white", edgecolor=QUIET, hatch="////", label=f"did not land ({missed})"))
    total = sum(bar.fault >= 0 for lane in lanes for bar in lane.bars)
    _legend(panel, handles, f"{count(total, 'fault')}")


def _draw_scatter(panel: Axes, model: RunModel) -> None:
    table = model.operations
    panel.set_ylabel("latency (ms)")
    if table.empty:
        _empty(panel, "no operations on record")
        return
    panel.set_yscale("log")
    _label_decades(panel.yaxis, _plain_number)
    for outcome in OUTCOMES:
        chosen = table["outcome"] == outcome
        panel.plot(
            table.loc[chosen, "intended_ns"].to_numpy() / 1e9,
            np.maximum(table.loc[chosen, "latency_ns"].to_numpy(), 1_000) / 1e6,
            linestyle="",
            marker=OUTCOME_MARKERS[outcome],
            markersize=2.0 if outcome == "ok" else 4.0,
            markeredgewidth=0 if outcome == "ok" else 0.8,
            markerfacecolor=OUTCOME_COLOURS[outcome] if outcome == "ok" else "none",
            markeredgecolor=OUTCOME_COLOURS[outcome],
            alpha=0.5 if outcome == "ok" else 0.9,
            zorder=2 if outcome == "ok" else 3,
            label=f"{OUTCOME_WORDS[outcome]} ({count(int(chosen.sum()))})",
        )
    _legend(panel, None, count(len(table), "operation"))


def _draw_throughput(panel: Axes, model: RunModel) -> None:
    table = model.operations
    width = window_width_ns(model.duration_ns)
    panel.set_ylabel("operations\nended per s")
    if table.empty:
        _empty(panel, "no operations on record")
        return
    base: Any = None
    for outcome in OUTCOMES:
        ends = table.loc[(table["outcome"] == outcome) & table["answered"], "end_ns"].to_numpy(np.int64)
        rate = windowed_counts(ends, model.duration_ns, width) / (width / 1e9)
        edges = np.append(np.arange(len(rate)) * width, model.duration_ns) / 1e9
        base = np.zeros(len(rate)) if base is None else base
        panel.stairs(
            base + rate,
            edges,
            baseline=base,
            fill=True,
            color=OUTCOME_COLOURS[outcome],
            alpha=0.85,
            label=f"{OUTCOME_WORDS[outcome]} ({count(len(ends))})",
        )
        base = base + rate
    panel.set_ylim(bottom=0)
    panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    panel.yaxis.set_major_formatter(FuncFormatter(_plain_number))
    _legend(panel, None, f"windows of {_ascii_span(width)}")


def _draw_availability_strip(panel: Axes, model: RunModel) -> None:
    found = model.availability
    panel.grid(False)
    panel.set_ylim(0, 1)
    panel.set_yticks([0.5], ["available"])
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    for place, (tried, succeeded) in enumerate(zip(found.tried, found.succeeded, strict=True)):
        begin = place * found.width_ns / 1e9
        end = min((place + 1) * found.width_ns, model.duration_ns) / 1e9
        if succeeded:
            panel.axvspan(begin, end, 0.2, 0.8, color=OUTCOME_COLOURS["ok"], linewidth=0)
        elif tried:
            panel.axvspan(begin, end, 0.2, 0.8, facecolor="white", edgecolor=OUTAGE, hatch="xxxx", linewidth=0)
    handles = [
        Patch(color=OUTCOME_COLOURS["ok"], label="some operation succeeded"),
        Patch(facecolor="white", edgecolor=OUTAGE, hatch="xxxx", label=f"outage ({len(found.outages)})"),
    ]
    _legend(panel, handles, f"{share(found.share)} of windows")


def _draw_quantiles(panel: Axes, model: RunModel) -> None:
    table = model.operations[model.operations["outcome"] == "ok"]
    width = window_width_ns(model.duration_ns)
    panel.set_ylabel("latency (ms)")
    if table.empty:
        _empty(panel, "no operation succeeded")
        return
    values = np.maximum(table["latency_ns"].to_numpy(np.float64), 1_000) / 1e6
    found = windowed_quantiles(
        table["intended_ns"].to_numpy(np.int64), values, model.duration_ns, width, list(QUANTILE_COLOURS)
    )
    middle = (np.arange(found.shape[1]) + 0.5) * width / 1e9
    overall = np.quantile(values, list(QUANTILE_COLOURS))
    panel.set_yscale("log")
    _label_decades(panel.yaxis, _plain_number)
    for row, (quantile, colour) in enumerate(QUANTILE_COLOURS.items()):
        panel.plot(
            middle,
            found[row],
            color=colour,
            linestyle=("-", "--", ":")[row],
            linewidth=1.8,
            marker="so^"[row],
            markersize=2.6,
            label=f"p{quantile * 100:g} (whole run {_ascii_span(overall[row] * 1e6)})",
        )
    _legend(panel, None, f"{count(len(table), 'successful operation')}, windows of {_ascii_span(width)}")


def _draw_distribution(panel: Axes, model: RunModel) -> None:
    table = model.operations[model.operations["outcome"] == "ok"]
    panel.set_xlabel("latency (ms)")
    panel.set_ylabel("share of operations\nthat took longer")
    if table.empty:
        _empty(panel, "no operation succeeded")
        return
    values = np.sort(np.maximum(table["latency_ns"].to_numpy(np.float64), 1_000) / 1e6)
    longer = 1.0 - np.arange(len(values)) / len(values)
    panel.loglog(values, longer, drawstyle="steps-post", color=OUTCOME_COLOURS["ok"], linewidth=1.6)
    _label_decades(panel.xaxis, _plain_number)
    _label_decades(panel.yaxis, lambda value, _: f"{100 * value:g} %")
    panel.set_ylim(0.7 / len(values), 1.3)
    low, high = panel.transScale.transform([(limit, 1) for limit in panel.get_xlim()])[:, 0]
    roomy_until = low + 0.85 * (high - low)
    for quantile in (0.5, 0.9, 0.99, 0.999):
        if (1 - quantile) * len(values) < 1:
            continue
        at = float(np.quantile(values, quantile))
        panel.plot([at], [1 - quantile], marker="o", markersize=5, color=OUTCOME_COLOURS["ok"])
        to_the_left = quantile >= 0.99 or panel.transScale.transform((at, 1))[0] > roomy_until
        panel.annotate(
            f"p{quantile * 100:g}  {_ascii_span(at * 1e6)}",
            (at, 1 - quantile),
            xytext=(-8, -4) if to_the_left else (8, 5),
            textcoords="offset points",
            ha="right" if to_the_left else "left",
            color=INK,
            fontsize=9,
        )
    _legend(panel, [], f"distribution over the whole run: {count(len(values), 'successful operation')}")


def _draw_success_share(panel: Axes, model: RunModel) -> None:
    table = model.operations
    panel.set_ylabel("operations that\nsucceeded (%)")
    panel.set_ylim(0, 105)
    if table.empty:
        _empty(panel, "no operations on record")
        return
    found = model.availability
    width = found.width_ns
    ended = table["end_ns"].to_numpy(np.int64)
    good = windowed_counts(ended[(table["outcome"] == "ok").to_numpy()], model.duration_ns, width)
    total = windowed_counts(ended, model.duration_ns, width)
    part = np.divide(100.0 * good, total, out=np.zeros(len(total)), where=total > 0)
    edges = np.append(np.arange(len(part)) * width, model.duration_ns) / 1e9
    panel.stairs(part, edges, fill=True, color=OUTCOME_COLOURS["ok"], alpha=0.85, zorder=2)
    for begin, end in found.outages:
        panel.axvspan(begin / 1e9, end / 1e9, facecolor="white", edgecolor=OUTAGE, hatch="xxxx", linewidth=0, zorder=3)
    down = sum(end - begin for begin, end in found.outages)
    handles = [
        Patch(color=OUTCOME_COLOURS["ok"], label="succeeded, of those that ended"),
        Patch(
            facecolor="white",
            edgecolor=OUTAGE,
            hatch="xxxx",
            label=f"outage: none succeeded ({len(found.outages)}, {_ascii_span(down)} in all)",
        ),
    ]
    _legend(panel, handles, f"available in {share(found.share)} of windows of {_ascii_span(width)}")


def _draw_recovery(panel: Axes, model: RunModel) -> None:
    begun = [fault for fault in model.faults if fault.begin_ns is not None]
    faults = begun[:RECOVERY_ROWS_AT_MOST]
    panel.set_xlabel("time to the first success (ms)")
    if not faults:
        _empty(panel, "no faults")
        return
    known = [
        wait / 1e6
        for fault in faults
        for wait in (fault.first_ok_after_begin_ns, fault.first_ok_after_heal_ns)
        if wait is not None
    ]
    limit = max([*known, 1.0]) * 1.18
    panel.set_xlim(0, limit)
    panel.set_ylim(len(faults) - 0.45, -0.55)
    panel.grid(False, axis="y")
    panel.set_yticks(range(len(faults)), [_fault_name(fault) for fault in faults])
    panel.tick_params(axis="y", length=0)
    for row, fault in enumerate(faults):
        sides = ((-0.19, fault.first_ok_after_begin_ns, "#0072b2"), (0.19, fault.first_ok_after_heal_ns, "#e08a00"))
        for shift, wait, colour in sides:
            if wait is None:
                panel.barh(
                    row + shift, limit, height=0.32, facecolor="white", edgecolor=colour, hatch="////", linewidth=0
                )
                panel.text(limit * 0.004, row + shift, " never before the end ", va="center", fontsize=8,
                           color=INK, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
            else:
                panel.barh(row + shift, wait / 1e6, height=0.32, color=colour)
                panel.text(
                    wait / 1e6 + limit * 0.006, row + shift, _ascii_span(wait), va="center", fontsize=8, color=INK
                )
    never = sum(fault.first_ok_after_heal_ns is None for fault in faults)
    handles = [
        Patch(color="#0072b2", label="after the fault began"),
        Patch(color="#e08a00", label=f"after it was healed ({never} never)"),
    ]
    _legend(panel, handles, f"recovery: {len(faults)} of {count(len(begun), 'fault')}")


def _lane_names(kinds: list[str]) -> list[str]:
    """A kind is named at its first lane; those below it, for faults that overlap, bear no name."""
    return [ascii_shown(kind, 14) if place == 0 or kinds[place - 1] != kind else "" for place, kind in enumerate(kinds)]


def _fault_name(fault: FaultResult) -> str:
    who = " ".join(fault.targets) if len(fault.targets) < 3 else f"{len(fault.targets)} agents"
    return textwrap.shorten(ascii_shown(f"{fault.kind} {who}", 40), 20, placeholder=" ..")


def _shade(panel: Axes, lanes: list[Lane]) -> None:
    """Once for each device, however many faults overlap: more faults are not darker."""
    for name, spans in shaded(lanes).items():
        for begin, end in spans:
            panel.axvspan(begin / 1e9, end / 1e9, color=DEVICE_COLOURS[name], alpha=0.11, linewidth=0, zorder=0.5)


def _legend(panel: Axes, handles: list[Any] | None, title: str) -> None:
    """Above the panel: what it counts on the left, the legend on the right."""
    panel.set_title(title, loc="left", fontsize=8.5, color=QUIET, pad=5)
    found = panel.get_legend_handles_labels()[0] if handles is None else handles
    if found:
        legend = panel.legend(
            handles=found, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(found), borderaxespad=0.15,
            handlelength=1.3, columnspacing=1.4, handletextpad=0.5,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_color(INK)


def _empty(panel: Axes, words: str) -> None:
    panel.set_yticks([])
    panel.text(0.5, 0.5, words, transform=panel.transAxes, ha="center", va="center", color=QUIET)


def _label_decades(axis: Axis, label: Callable[[float, object], str]) -> None:
    """Ticks of an axis of logarithms: powers of ten; in fewer than two decades also 2 and 5, in half a decade all between."""

    def between(value: float, place: object) -> str:
        low, high = sorted(axis.get_view_interval())
        wanted = (2, 5) if high > 3 * low else range(2, 10)
        shown = high < 100 * low and round(value / 10 ** math.floor(math.log10(value * 1.001))) in wanted
        return label(value, place) if shown else ""

    axis.set_major_formatter(FuncFormatter(label))
    axis.set_minor_formatter(FuncFormatter(between))


def _plain_number(value: float, _: object) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _ascii_span(ns: float) -> str:
    return span(ns).replace("µ", "u")
