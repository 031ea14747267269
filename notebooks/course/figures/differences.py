"""What notebook 17 draws: paired differences, seed by seed, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t

from course.figures.style import tidy
from dmdlite.training.figures import INK, MODEL, QUIET


def draw_differences(differences: Mapping[str, Sequence[float]], title: str, xlabel: str) -> Figure:
    """A row for each name: a dot for each seed, the mean as a line across, and its 95 % interval (of two or more)."""
    figure = Figure(figsize=(7, 1.7 + 0.5 * len(differences)), layout="constrained")
    axis = figure.subplots()
    axis.axvline(0, color=QUIET, linestyle="dashed", linewidth=1, zorder=0)
    for place, row in enumerate(differences.values()):
        values = np.asarray(row, dtype=float)
        mean, n = values.mean(), len(values)
        if n > 1:
            half = t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5
            axis.plot([mean - half, mean + half], [place] * 2, color=MODEL, lw=6, alpha=0.25, label="95 % interval")
        axis.plot([mean, mean], [place - 0.25, place + 0.25], color=MODEL, lw=2, label="mean")
        axis.plot(values, [place] * n, "o", color=INK, markersize=5, label="one seed")
    named = dict(zip(*reversed(axis.get_legend_handles_labels())))
    figure.legend(named.values(), named, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    axis.set_yticks(range(len(differences)), list(differences), fontsize=9)
    axis.set_ylim(len(differences) - 0.5, -0.5)
    axis.set_xlabel(xlabel, fontsize=9)
    axis.set_title(title, fontsize=11, loc="left")
    tidy(axis)
    axis.tick_params(axis="y", labelsize=9)
    return figure
