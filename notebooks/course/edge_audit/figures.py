"""Learned edges beside the truth: the means of every rule in every world, and what the students gain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course.edge_audit.audit import true_edges
from course.edge_audit.tables import OFF, Records, values, where
from dmdlite.config import MODALITIES
from dmdlite.data.toy import RELIABILITY
from dmdlite.training.figures import COLOURS, INK, QUIET

Shares = Float[np.ndarray, "3 3"]


def mean_shares(records: Records) -> Shares:
    """The edges as shares of all six, averaged over these runs."""
    shares = np.zeros((3, 3))
    for i, source in enumerate(MODALITIES):
        for j, target in enumerate(MODALITIES):
            if i != j:
                shares[i, j] = np.mean([float(record[f"{source}_to_{target}"]) for record in records])
    return shares


def draw_audit(records: Records, space: str, rules: Sequence[str], title: str) -> Figure:
    """One row for each world, the truth first, then each rule: 3 by 3 shares, row teaches column, as means over seeds.

    The row of the planted modality is framed: there the edges should be dark.
    """
    worlds = values(records, "planted")
    figure = Figure(figsize=(1.62 * (len(rules) + 1) + 0.9, 1.72 * len(worlds) + 0.8), layout="constrained")
    axes = figure.subplots(len(worlds), len(rules) + 1, squeeze=False)
    for axis, title_of_column in zip(axes[0], ["the truth", *rules], strict=True):
        axis.set_title(title_of_column, fontsize=9)
    for row, planted in zip(axes, worlds, strict=True):
        _matrix(row[0], np.array(true_edges(RELIABILITY[planted])), planted)
        row[0].set_ylabel(f"{planted} is planted", fontsize=9, color=COLOURS[planted])
        for axis, rule in zip(row[1:], rules, strict=True):
            found = mean_shares(where(records, planted=planted, rule=rule, space=space))
            _matrix(axis, found, planted)
            axis.set_yticks([])
    figure.suptitle(title, fontsize=11)
    return figure


def _matrix(axis: Axes, shares: Shares, planted: str) -> None:
    axis.imshow(shares, cmap="Greys", vmin=0, vmax=0.5)
    for i in range(3):
        for j in range(3):
            if i != j:
                colour = "white" if shares[i, j] > 0.3 else INK
                axis.text(j, i, f"{shares[i, j]:.2f}", ha="center", va="center", fontsize=8, color=colour)
    place = MODALITIES.index(planted)
    frame = {"facecolor": "none", "edgecolor": COLOURS[planted], "linewidth": 2.2, "clip_on": False}
    axis.add_patch(Rectangle((-0.5, place - 0.5), 3, 1, **frame))
    axis.set_xticks(range(3), [m[0].upper() for m in MODALITIES], fontsize=8)
    axis.set_yticks(range(3), [m[0].upper() for m in MODALITIES], fontsize=8)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def draw_gains(records: Records, space: str, rules: Sequence[str], title: str) -> Figure:
    """The error of the weak modalities' own heads, minus that without distillation: a dot per seed, a line at the mean.

    To the left of zero distillation helped.
    """
    worlds = values(records, "planted")
    figure = Figure(figsize=(2.5 * len(worlds) + 1.2, 0.9 + 0.36 * len(rules)), layout="constrained")
    for axis, planted in zip(figure.subplots(1, len(worlds), sharex=True, sharey=True), worlds, strict=True):
        found = where(records, planted=planted, space=space)
        control = {record["seed"]: float(record["error_weak"]) for record in where(found, rule=OFF)}
        for place, rule in enumerate(rules):
            runs = where(found, rule=rule)
            gains = [float(record["error_weak"]) - control[record["seed"]] for record in runs]
            axis.plot([np.mean(gains)] * 2, [place - 0.35, place + 0.35], color=INK, linewidth=2, zorder=1)
            style = {"color": COLOURS[planted], "markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.5}
            axis.plot(gains, [place] * len(gains), "o", **style)
        axis.axvline(0, color=QUIET, linestyle="dashed", linewidth=1)
        axis.set_yticks(range(len(rules)), rules, fontsize=8)
        axis.set_ylim(len(rules) - 0.5, -0.5)
        axis.tick_params(labelsize=8)
        axis.locator_params(axis="x", nbins=4)
        axis.set_title(f"{planted} is planted", fontsize=9, color=COLOURS[planted])
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("error of the weak heads, less that without distillation", fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure
