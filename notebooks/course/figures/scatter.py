"""Dots in panels side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from course.figures.style import row_of_panels, tidy
from dmdlite.training.figures import INK, QUIET

Dots = Float[np.ndarray, "dot"]


def draw_scatters(
    panels: dict[str, tuple[Dots, Dots, str]],
    title: str,
    labels: Sequence[str],
    *,
    marked: tuple[str, Bool[np.ndarray, "dot"]] | None = None,
) -> Figure:
    """One panel for each entry title -> (x, y, colour), all on the same scale, with the diagonal x = y.

    labels: of the x axis and the y axis. marked: a name, and which dots to draw as crosses, in front of the others.
    """
    height = (1.0 if marked is None else 1.3) + 6.2 / len(panels)
    figure, axes = row_of_panels(len(panels), title, height, sharex=True, sharey=True)
    edge = 1.05 * max(np.abs(values).max() for x, y, _ in panels.values() for values in (x, y))
    for axis, (name, (x, y, colour)) in zip(axes, panels.items()):
        plain = np.ones(len(x), bool) if marked is None else ~marked[1]
        axis.plot([-edge, edge], [-edge, edge], color=QUIET, linestyle="dashed", linewidth=1)
        axis.scatter(x[plain], y[plain], s=7, color=colour, alpha=0.5, linewidths=0)
        if marked is not None:
            axis.scatter(x[~plain], y[~plain], s=14, marker="x", color=INK, linewidths=0.9, label=marked[0])
        axis.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal", xlabel=labels[0])
        axis.set_title(name, fontsize=9)
        tidy(axis)
    axes[0].set_ylabel(labels[1])
    if marked is not None:
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=8, handletextpad=0
        )
    figure.get_layout_engine().set(h_pad=0.06)
    return figure
