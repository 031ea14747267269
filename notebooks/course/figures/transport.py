"""Plans of optimal transport, similarities within a batch, and scores of several seeds."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy import ndarray

from course.figures.style import GROUND, row_of_panels
from dmdlite.training.figures import COLOURS, INK, MODEL, QUIET

FIRST, SECOND = COLOURS["language"], COLOURS["audio"]


def draw_transport(
    x: Float[ndarray, "n 2"], y: Float[ndarray, "m 2"], plan: Float[ndarray, "n m"], title: str
) -> Figure:
    """Two clouds in the plane with lines as wide as the mass that moves along them, and the plan as a matrix."""
    figure = Figure(figsize=(7, 3.3), layout="constrained")
    plane, matrix = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for i, start in enumerate(x):
        for j, end in enumerate(y):
            share = plan[i, j] * len(x)
            if share > 0.005:
                plane.plot(*zip(start, end), color=QUIET, linewidth=4 * share, alpha=0.6, zorder=1)
    for cloud, colour, letter, name in ((x, FIRST, "x", "first cloud"), (y, SECOND, "y", "second cloud")):
        plane.scatter(*cloud.T, s=160, color=colour, zorder=2, label=name)
        for place, point in enumerate(cloud, 1):
            plane.text(*point, f"{letter}{place}", color="white", fontsize=7, ha="center", va="center", zorder=3)
    plane.set(xlim=(-0.15, 1.15), ylim=(-0.15, 1.15), xticks=[], yticks=[], aspect="equal")
    plane.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, frameon=False, fontsize=8)
    draw_plan(matrix, plan)
    figure.suptitle(title, fontsize=11)
    return figure


def draw_plan(axis: Axes, plan: Float[ndarray, "n m"]) -> None:
    """The plan in percent of all mass, with the sums of its rows and columns beside them."""
    rows, columns = plan.shape
    axis.imshow(plan, cmap="Purples", vmin=0, vmax=1 / rows)
    for i in range(rows):
        for j in range(columns):
            dark = plan[i, j] > 0.6 / rows
            axis.text(j, i, f"{100 * plan[i, j]:.0f}", color="white" if dark else INK, ha="center", va="center")
        axis.text(columns - 0.35, i, f"{100 * plan[i].sum():.0f} %", va="center", fontsize=8)
    for j in range(columns):
        axis.text(j, rows - 0.3, f"{100 * plan[:, j].sum():.0f} %", ha="center", va="top", fontsize=8)
    axis.set_xticks(range(columns), [f"y{j}" for j in range(1, columns + 1)])
    axis.set_yticks(range(rows), [f"x{i}" for i in range(1, rows + 1)])
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title("plan, in % of the mass; sums beside it", fontsize=9)


def draw_similarities(
    matrices: dict[str, Float[ndarray, "batch batch"]], anchors: Int[ndarray, "batch anchor"], title: str
) -> Figure:
    """Similarity matrices side by side on one scale; the last panel marks the anchors of each row."""
    figure, axes = row_of_panels(len(matrices) + 1, title, 3.1)
    top = max(matrix.max() for matrix in matrices.values())
    for axis, (name, matrix) in zip(axes, matrices.items()):
        image = axis.imshow(matrix, cmap="Purples", vmin=0, vmax=top)
        axis.set_title(name, fontsize=9)
    chosen = np.zeros((len(anchors), len(anchors)))
    np.put_along_axis(chosen, anchors, 1.0, axis=1)
    axes[-1].imshow(chosen, cmap=ListedColormap([GROUND, COLOURS["audio"]]), vmin=0, vmax=1)
    axes[-1].set_title(f"the {anchors.shape[1]} anchors of each row", fontsize=9)
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.set_xlabel("clips, negative to positive", fontsize=8)
    axes[0].set_ylabel("clips, negative to positive", fontsize=8)
    bar = figure.colorbar(image, ax=axes[:-1], location="bottom", shrink=0.6, aspect=30)
    bar.set_label("shifted cosine similarity", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def draw_seeds(scores: dict[str, dict[str, Float[ndarray, "seed"]]], title: str) -> Figure:
    """One panel for each score -> model -> value of every seed: a line for each seed, a bar at the mean."""
    figure, axes = row_of_panels(len(scores), title, 3.2)
    for axis, (score, models) in zip(axes, scores.items()):
        values = np.array(list(models.values()))  # (model, seed)
        axis.plot(values, color=QUIET, linewidth=0.8, marker="o", markersize=3.5)
        axis.scatter(range(len(values)), values.mean(axis=1), marker="_", s=500, color=MODEL, linewidths=2.5, zorder=3)
        for place, mean in enumerate(values.mean(axis=1)):
            style = {"textcoords": "offset points", "fontsize": 8, "va": "center"}
            text = axis.annotate(f"{mean:.2f}", (place, mean), (13, 0), **style)
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5})  # lines pass below it
        axis.set_xticks(range(len(values)), [name.replace(" ", "\n", 1) for name in models], fontsize=8)
        axis.set_xlim(-0.5, len(values) - 0.3)
        axis.set_title(score, fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    return figure
