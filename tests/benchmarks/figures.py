"""The picture of a run: how many times better each case is than the published code, and how many were aimed at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dmdlite.training.figures import INK, MODEL

MISSED = "#BBBBBB"


def draw_ratios(rows: Sequence[Any], caption: str) -> Figure:
    """Bars from 1 to the right where ours is better, with a mark at the target; rows without a ratio are left out."""
    shown = [row for row in rows if row.ratio]
    figure = Figure(figsize=(9, 1.3 + 0.42 * len(shown)), layout="constrained")
    axis = figure.subplots()
    for place, row in enumerate(shown):
        _bar(axis, place, row)
    axis.set_yticks(range(len(shown)), [row.case for row in shown], fontsize=9)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    _scale(axis, [times_better(row, value) for row in shown for value in (row.ratio, row.target) if value])
    axis.set_xlabel("times faster, or times less memory, than the published code (black mark: target)", fontsize=9)
    aimed = [row.met for row in shown if row.met is not None]
    answer = f": {sum(aimed)} of {len(aimed)} targets reached" if aimed else ""
    figure.suptitle(f"dmdlite against the published code{answer}", fontsize=13)
    figure.supxlabel(caption, fontsize=8, color="#666666")
    return figure


def times_better(row: Any, value: float) -> float:
    """Memory is told as a fraction, which is turned round."""
    return 1 / value if row.target_of == "fraction" else value


def _bar(axis: Axes, place: int, row: Any) -> None:
    better = times_better(row, row.ratio)
    reached = better >= 1 if row.met is None else row.met
    axis.barh(place, better - 1, left=1, height=0.62, color=MODEL if reached else MISSED)
    if row.target:
        target = times_better(row, row.target)
        axis.plot([target] * 2, [place - 0.42, place + 0.42], color=INK, linewidth=2, solid_capstyle="butt")
    at = {"xycoords": ("axes fraction", "data"), "xytext": (6, 0), "textcoords": "offset points"}
    axis.annotate(f"{better:.3g}×", (1, place), **at, va="center", fontsize=9, color=INK)


def _scale(axis: Axes, values: list[float]) -> None:
    axis.set_xscale("log")
    axis.set_xlim(min(*values, 1) / 1.1, max(*values, 1) * 1.1)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()
    axis.axvline(1, color=INK, linewidth=0.8)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="x", labelsize=8)
    axis.tick_params(axis="y", length=0)
