"""Conventional distillation beside DMD's, after Fig. 1 (b) and (c) of the paper."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dmdlite.training.figures import INK, MODEL, QUIET, draw_graph

Strengths = Float[np.ndarray, "source target"]


def draw_schemes(conventional: Strengths) -> Figure:
    """Left one graph on raw features, its arrows set by hand; right DMD's two graphs, whose weights are still unknown.

    conventional: strengths[i, j], how strongly i teaches j.
    """
    figure = Figure(figsize=(7, 6.0))
    _graph(figure, conventional, (0.0, 0.26, 0.45, 0.43), "on raw features")
    for place, nodes in ((0.475, "on common features"), (0.025, "on private features, after cross-modal attention")):
        _graph(figure, np.full((3, 3), 0.5), (0.52, place, 0.46, 0.42), nodes, number="?")
    _heading(figure, 0.22, "Conventional", "arrows and weights set by hand", INK)
    _heading(figure, 0.75, "DMD", "decoupled first, then two graphs with six learned edges each", MODEL)
    figure.add_artist(Line2D([0.46, 0.46], [0.03, 0.97], color=QUIET, linewidth=0.8, transform=figure.transFigure))
    return figure


def _graph(
    figure: Figure, strengths: Strengths, place: tuple[float, float, float, float], nodes: str, **options: str
) -> None:
    axis = figure.add_axes(place)
    draw_graph(axis, strengths, largest=2.5, **options)  # slimmer arrows leave room for the numbers
    axis.text(0.5, -0.03, nodes, transform=axis.transAxes, ha="center", va="center", fontsize=8, color=INK)


def _heading(figure: Figure, x: float, title: str, below: str, colour: str) -> None:
    figure.text(x, 0.955, title, ha="center", va="center", fontsize=11, color=colour)
    figure.text(x, 0.91, below, ha="center", va="center", fontsize=8, color=QUIET)
