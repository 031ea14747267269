"""Predicted against true sentiment, with all that the scores count."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course.figures.style import HIGHLIGHT
from dmdlite.training.figures import INK, MODEL, QUIET

EDGE = 4.2  # of both axes; predictions beyond are drawn on the rim


def draw_scores(
    predictions: Float[np.ndarray, "clips"], labels: Float[np.ndarray, "clips"], title: str, colour: str = MODEL
) -> Figure:
    """Each clip is a point; the regions behind the points are what the scores count.

    On the dashed diagonal the error is zero; in a square along it the class of seven is right; in the shaded quarters
    the sign is wrong, and these clips are crosses.
    """
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    axis = figure.subplots()
    for corner in ((-EDGE, 0), (0, -EDGE)):
        axis.add_patch(Rectangle(corner, EDGE, EDGE, facecolor=HIGHLIGHT, linewidth=0, zorder=0))
    edges = [-EDGE, *np.arange(-2.5, 3), EDGE]
    for low, high in zip(edges, edges[1:]):
        axis.add_patch(Rectangle((low, low), high - low, high - low, fill=False, edgecolor=QUIET, zorder=1))
    axis.plot([-EDGE, EDGE], [-EDGE, EDGE], color=QUIET, linestyle="dashed", linewidth=1, zorder=1)
    shown = np.clip(predictions, -EDGE, EDGE)
    wrong = wrong_side(predictions, labels)
    axis.scatter(labels[~wrong], shown[~wrong], s=9, color=colour, alpha=0.6, linewidths=0, clip_on=False, zorder=2)
    axis.scatter(labels[wrong], shown[wrong], s=14, marker="x", color=INK, linewidths=0.8, clip_on=False, zorder=3)
    axis.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal", xticks=range(-3, 4), yticks=range(-4, 5))
    axis.set(xlabel="true sentiment", ylabel="predicted sentiment")
    axis.set_title(title, fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def wrong_side(predictions: Float[np.ndarray, "clips"], labels: Float[np.ndarray, "clips"]) -> np.ndarray:
    """True for the clips that ACC2 counts as wrong: the label is not zero, and only one of the two is above zero."""
    return (labels != 0) & ((predictions > 0) != (labels > 0))
