"""The decoupling as a picture, and what probes read from its parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from course.figures.style import GROUND, row_of_panels, write_numbers
from dmdlite.config import MODALITIES
from dmdlite.training.figures import COLOURS, INK, MARKERS, MODEL, QUIET

# Name -> (x, y, label, what it is). "stream" and "module" come three times, one for each modality; "shared" once.
TOP, MIDDLE, BOTTOM = 4.9, 3.05, 0.75
BOXES = {
    "X": (0.9, MIDDLE, r"$\tilde{X}_m$", "stream"),
    "E com": (3.5, TOP, r"$E^{com}$", "shared"),
    "E prt": (3.5, BOTTOM, r"$E_m^{prt}$", "module"),
    "com": (6.1, TOP, r"$X_m^{com}$", "stream"),
    "prt": (6.1, BOTTOM, r"$X_m^{prt}$", "stream"),
    "D": (8.8, MIDDLE, r"$D_m$", "module"),
    "back": (12.4, MIDDLE, r"$\hat{X}_m$", "stream"),
    "E again": (12.4, BOTTOM, r"$E_m^{prt}$", "module"),
    "again": (9.8, BOTTOM, r"$X_m^{prt}$", "stream"),
}
ARROWS = [
    *(("X", "E com"), ("X", "E prt"), ("E com", "com"), ("E prt", "prt"), ("com", "D"), ("prt", "D"), ("D", "back")),
    *(("back", "E again"), ("E again", "again")),
]
# Loss -> (the corners of its dashed line, the position of its label, the label).
LOSSES = {
    "reconstruction": (
        [(0.9, MIDDLE + 0.62), (0.9, 6.25), (12.4, 6.25), (12.4, MIDDLE + 0.62)],
        (9.2, 6.25),
        r"$\mathcal{L}_{rec}$ (2)",
    ),
    "cycle": ([(6.85, BOTTOM), (9.15, BOTTOM)], (8.0, BOTTOM), r"$\mathcal{L}_{cyc}$ (3)"),
    "orthogonality": ([(6.1, TOP - 0.5), (6.1, BOTTOM + 0.62)], (6.1, MIDDLE), r"$\mathcal{L}_{ort}$ (5)"),
    "margin": ([(6.85, TOP), (8.2, TOP)], (8.9, TOP), r"$\mathcal{L}_{mar}$ (4)"),
}
HALF_WIDTH, HALF_HEIGHT, STEP = 0.62, 0.42, 0.09


def draw_decoupling(lit: Collection[str] = tuple(LOSSES)) -> Figure:
    """One modality on its way through the decoupling, and the place of each loss.

    A stack in the colours of language, vision and audio exists once per modality. Losses in `lit` are dark.
    """
    if unknown := set(lit) - set(LOSSES):
        raise ValueError(f"unknown loss {sorted(unknown)[0]!r}; a loss is one of {', '.join(LOSSES)}")
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axis = figure.subplots()
    for start, end in ARROWS:
        _arrow(axis, start, end)
    for name, (corners, place, label) in LOSSES.items():
        colour = INK if name in lit else "#CCCCCC"
        axis.plot(*zip(*corners, strict=True), color=colour, linestyle=(0, (4, 2)), linewidth=1.2, zorder=1)
        frame = {"facecolor": "white", "edgecolor": colour, "boxstyle": "round,pad=0.25", "linewidth": 0.8}
        axis.text(*place, label, ha="center", va="center", fontsize=8.5, color=colour, bbox=frame, zorder=5)
    for x, y, label, kind in BOXES.values():
        _box(axis, x, y, label, kind)
    _words(axis)
    axis.set(xlim=(-0.2, 13.5), ylim=(-0.85, 6.75), aspect="equal")
    axis.axis("off")
    axis.set_title("Each stream is split in two; together the halves must give it back", fontsize=11, loc="left")
    return figure


def _box(axis: Axes, x: float, y: float, label: str, kind: str) -> None:
    """Features have square corners, modules round ones; a stack means one for each modality."""
    corners = "square,pad=0" if kind == "stream" else "round,pad=0,rounding_size=0.25"
    colours = [MODEL] if kind == "shared" else [COLOURS[m] for m in reversed(MODALITIES)]
    for place, colour in enumerate(colours):
        shift = STEP * (len(colours) - 1 - place)
        corner = (x - HALF_WIDTH + shift, y - HALF_HEIGHT + shift)
        face = "white" if kind == "stream" else GROUND
        style = {"facecolor": face, "edgecolor": colour, "linewidth": 1.6, "boxstyle": corners}
        axis.add_patch(FancyBboxPatch(corner, 2 * HALF_WIDTH, 2 * HALF_HEIGHT, zorder=3, **style))
    axis.text(x, y, label, ha="center", va="center", fontsize=9, color=INK, zorder=4, linespacing=0.9)


def _arrow(axis: Axes, start: str, end: str) -> None:
    (x0, y0), (x1, y1) = BOXES[start][:2], BOXES[end][:2]
    if x0 == x1:
        tail, head = (x0, y0 - HALF_HEIGHT), (x1, y1 + HALF_HEIGHT + 2 * STEP)
    else:
        way = 1 if x1 > x0 else -1
        tail, head = (x0 + way * (HALF_WIDTH + STEP), y0), (x1 - way * (HALF_WIDTH + 0.05), y1)
    axis.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": QUIET, "linewidth": 1.1}, zorder=1)


def _words(axis: Axes) -> None:
    quiet = {"ha": "center", "va": "center", "fontsize": 7.5, "color": QUIET}
    axis.text(3.5, TOP + 0.72, "one encoder for all three", **quiet)
    axis.text(3.5, BOTTOM - 0.78, "one for each modality", **quiet)
    axis.text(9.8, BOTTOM - 0.78, "private again", **quiet)
    axis.text(12.4, BOTTOM - 0.78, "the same encoder", **quiet)
    axis.text(8.9, TOP - 0.6, "compares clips", **quiet)
    for place, m in enumerate(MODALITIES):
        axis.text(0.9, MIDDLE - 0.85 - 0.42 * place, m, ha="center", va="center", fontsize=7.5, color=COLOURS[m])


def draw_readings(
    values: Float[np.ndarray, "row column"],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    *,
    blocks: Sequence[int] = (),
    lines: Sequence[int] = (),
    own_scale: Sequence[int] = (),
) -> Figure:
    """A table of numbers from 0 (white) to 1 (dark), with a gap before each column in `blocks` and row in `lines`.

    A column in `own_scale` is shaded from 0 to its own largest value.
    """
    figure = Figure(figsize=(7, 1.25 + 0.27 * len(rows)), layout="constrained")
    axis = figure.subplots()
    shades = np.array(values, dtype=float)
    for column in own_scale:
        shades[:, column] /= max(shades[:, column].max(), 1e-12)
    axis.imshow(np.clip(shades, 0, 1), cmap="Purples", aspect="auto", vmin=0, vmax=1.15)
    write_numbers(axis, values, sign="-")
    for text, shade in zip(axis.texts, shades.flat, strict=True):
        text.set_color("white" if shade > 0.6 else INK)
    for column in blocks:
        axis.axvline(column - 0.5, color="white", linewidth=8)
    for row in lines:
        axis.axhline(row - 0.5, color="white", linewidth=4)
    axis.set_xticks(range(len(columns)), columns, fontsize=8)
    axis.set_yticks(range(len(rows)), rows, fontsize=8)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def draw_runs(measures: Mapping[str, Mapping[str, Mapping[str, float]]], title: str) -> Figure:
    """measures[what][run][modality]: one panel for each measure, one line for each run, one dot for each modality."""
    figure, axes = row_of_panels(len(measures), title, 1.1 + 0.3 * len(next(iter(measures.values()))), sharey=True)
    for axis, (what, runs) in zip(axes, measures.items(), strict=True):
        for row, values in enumerate(runs.values()):
            for place, m in enumerate(MODALITIES):  # above each other, so that no dot hides another
                label = m if row == 0 else None
                axis.plot(
                    values[m],
                    row + 0.13 * (place - 1),
                    MARKERS[m],
                    color=COLOURS[m],
                    markersize=7,
                    alpha=0.8,
                    label=label,
                )
        axis.axvline(0, color=QUIET, linewidth=1)
        axis.set_xlabel(what, fontsize=8)
        axis.set_yticks(range(len(runs)), list(runs), fontsize=8)
        axis.margins(y=0.15)
        axis.tick_params(labelsize=8)
        axis.grid(axis="y", color="#EEEEEE")
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
    return figure
