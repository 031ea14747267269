"""A temporal convolution at work, and the chain of stages that it begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from course.figures.style import tidy
from dmdlite.training.figures import INK, MODEL, QUIET

BOX_WIDTH, BOX_HEIGHT, STRIDE = 1.5, 0.7, 2.3


def draw_chain(stages: Sequence[tuple[str, str]], title: str, colour: str = INK) -> Figure:
    """Boxes from left to right. stages: (what happens, the shape that leaves), the shape written on the arrow."""
    figure = Figure(figsize=(7, 1.2), layout="constrained")
    axis = figure.subplots()
    for place, (what, shape) in enumerate(stages):
        x = place * STRIDE
        style = {"boxstyle": "round,pad=0.02,rounding_size=0.1", "facecolor": "white", "edgecolor": colour}
        axis.add_patch(FancyBboxPatch((x - BOX_WIDTH / 2, -BOX_HEIGHT / 2), BOX_WIDTH, BOX_HEIGHT, **style))
        axis.text(x, 0, what, ha="center", va="center", fontsize=7, color=INK)
        start, end = x + BOX_WIDTH / 2 + 0.03, x + STRIDE - BOX_WIDTH / 2 - 0.03
        axis.annotate("", (end, 0), (start, 0), arrowprops={"arrowstyle": "-|>", "color": QUIET, "linewidth": 1})
        axis.text((start + end) / 2, 0.42, shape, ha="center", va="bottom", fontsize=7, color=INK)
    last = (len(stages) - 1) * STRIDE
    axis.set(xlim=(-BOX_WIDTH / 2 - 0.05, last + STRIDE - BOX_WIDTH / 2), ylim=(-0.5, 0.85), aspect="equal")
    axis.axis("off")
    axis.set_title(title, fontsize=11, loc="left")
    return figure


def draw_kernel(
    stream: Float[np.ndarray, "time"],
    kernel: Float[np.ndarray, "kernel"],
    length: int,
    what: str,
    title: str,
    colour: str,
) -> Figure:
    """One channel above and its "valid" convolution with `kernel` below, each output under its window.

    The first and the strongest output are shown with their windows; the steps that are lost are hatched. From `length`
    on the stream is padding.
    """
    kept = np.correlate(stream, kernel, mode="valid")
    before = (len(kernel) - 1) // 2
    middles = before + np.arange(len(kept))
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.bar(np.arange(len(stream)), stream, color=colour, width=0.8)
    below.bar(middles, kept, color=INK, width=0.8)
    below.axhline(0, color=QUIET, linewidth=0.8)
    above.set_ylim(0, 1.4 * stream.max())
    above.text((length + len(stream)) / 2, 0.1 * stream.max(), "padding: zeros", fontsize=8, ha="center", color=QUIET)
    _lost_steps(below, len(stream), before, len(kernel) - 1 - before)
    for start, name in ((0, "first window"), (int(kept.argmax()), "the largest answer")):
        _window(above, start, len(kernel), 0.0, 1.1 * stream.max())
        _window(below, start + before, 1, 0.0, kept[start])
        above.text(start - 0.4, 1.15 * stream.max(), name, fontsize=8, color=MODEL)
    above.set_ylabel(f"input:\n{what}", fontsize=9)
    below.set_ylabel("output", fontsize=9)
    below.set_xlabel(f"frame ({len(stream)} come in, {len(kept)} are left)", fontsize=9)
    for axis in (above, below):
        tidy(axis)
    figure.suptitle(title, fontsize=11)
    return figure


def _window(axis: Axes, start: int, size: int, low: float, high: float) -> None:
    """A frame around `size` steps from `start` on."""
    style = {"fill": False, "edgecolor": MODEL, "linewidth": 1.8, "zorder": 3}
    axis.add_patch(Rectangle((start - 0.5, low), size, high - low, **style))


def _lost_steps(axis: Axes, time: int, before: int, after: int) -> None:
    for start, size in ((-0.5, before), (time - 0.5 - after, after)):
        axis.axvspan(start, start + size, facecolor="#EEEEEE", hatch="////", edgecolor=QUIET, linewidth=0, zorder=0)
