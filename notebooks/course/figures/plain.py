"""Shows a figure on the page, and draws the two kinds that any notebook may need: bars and a heat map."""

from __future__ import annotations

import io

import numpy as np
from IPython.display import Image, display
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dmdlite.training.figures import COLOURS, MODEL, QUIET


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a picture."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110, pil_kwargs={"optimize": True})
    return picture.getvalue()


def show(figure: Figure) -> None:
    """Shows a figure below a notebook cell."""
    display(Image(png(figure)))


def draw_bars(
    values: dict[str, float], title: str, ylabel: str, baseline: tuple[str, float] | None = None, xlabel: str = ""
) -> Figure:
    """One bar for each name, in its modality's colour if it has one; `baseline` is a dashed line with a name."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axis = figure.subplots()
    colours = [COLOURS.get(name.split()[0], MODEL) for name in values]
    bars = axis.bar(list(values), list(values.values()), color=colours, width=0.6)
    axis.bar_label(bars, fmt="%.2f", fontsize=9, color="white", label_type="center")
    if baseline is not None:
        axis.axhline(baseline[1], color=QUIET, linestyle="dashed", linewidth=1)
        label = {"xycoords": ("axes fraction", "data"), "xytext": (0, 2), "textcoords": "offset points"}
        axis.annotate(baseline[0], (1, baseline[1]), **label, fontsize=8, ha="right", va="bottom")
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.set_title(title, fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def draw_table(values: np.ndarray, rows: list[str], columns: list[str], title: str, what: str) -> Figure:
    """A heat map of numbers from 0 up on a logarithmic scale, dark where large; an empty field is exactly zero."""
    figure = Figure(figsize=(7, max(2.2, 0.9 + 0.27 * len(rows))), layout="constrained")
    axis = figure.subplots()
    scale = LogNorm(vmin=1e-5, vmax=10, clip=True)
    image = axis.imshow(np.where(values > 0, values, np.nan), cmap="Purples", aspect="auto", norm=scale)
    figure.colorbar(image, label=what)
    axis.set_xticks(range(len(columns)), columns, rotation=35, ha="right", fontsize=8)
    axis.set_yticks(range(len(rows)), rows, fontsize=8)
    axis.set_title(title, fontsize=11)
    return figure
