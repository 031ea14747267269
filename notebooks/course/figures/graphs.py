"""A distillation graph: three nodes, six arrows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from course.figures.style import row_of_panels, tidy
from dmdlite.config import MODALITIES
from dmdlite.training.figures import COLOURS, INK, QUIET, draw_graph

EDGES = [(i, j) for i in range(3) for j in range(3) if i != j]  # (source, target)
COUPLES = [(i, j) for i, j in EDGES if i < j]

Strengths = Float[np.ndarray, "3 3"]


def draw_graphs(
    graphs: Mapping[str, Strengths],
    title: str,
    *,
    columns: int = 2,
    largest: float = 0.5,
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """Several graphs side by side, each under its name; `title` says what to see in them."""
    rows = -(-len(graphs) // columns)
    figure = Figure(figsize=(3.5 * columns, 0.4 + 2.7 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (name, strengths) in zip(axes, graphs.items(), strict=False):
        draw_graph(axis, np.asarray(strengths), name, largest=largest, notes=notes)
    for axis in axes[len(graphs) :]:
        axis.remove()
    figure.suptitle(title, fontsize=11)
    return figure


def draw_opinions(logits: Float[np.ndarray, " 3"], truth: float, title: str) -> Figure:
    """What each modality's head predicts for one clip, and how far apart each pair of predictions is."""
    figure = Figure(figsize=(7, 2.3), layout="constrained")
    axis = figure.subplots()
    axis.axhline(0, color=QUIET, linewidth=1)
    axis.plot([truth, truth], [-1.2, 0.68], color=INK, linestyle="dashed", linewidth=1)
    axis.text(truth, 0.72, f"truth {truth:+.1f}", ha="center", va="bottom", fontsize=8, color=INK)
    for m, logit in zip(MODALITIES, logits, strict=True):
        axis.plot(logit, 0, "o", color=COLOURS[m], markersize=11)
        axis.text(logit, 0.2, f"{m}\n{logit:+.2f}", ha="center", va="bottom", fontsize=8, color=COLOURS[m])
    nearest_first = sorted(COUPLES, key=lambda pair: abs(logits[pair[0]] - logits[pair[1]]))
    for height, (i, j) in zip((-0.3, -0.62, -0.94), nearest_first):
        axis.annotate("", (logits[i], height), (logits[j], height), arrowprops={"arrowstyle": "<->", "color": QUIET})
        middle, apart = (logits[i] + logits[j]) / 2, abs(logits[i] - logits[j])
        axis.text(middle, height, f" {apart:.2f} ", ha="center", va="center", fontsize=8, backgroundcolor="white")
    axis.set(xlim=(-3.2, 3.2), ylim=(-1.2, 1.0), xlabel="predicted sentiment", yticks=[], xticks=range(-3, 4))
    axis.spines[["left", "top", "right"]].set_visible(False)
    axis.set_title(title, fontsize=11)
    return figure


def draw_edge_spread(graphs: Mapping[str, tuple[Float[np.ndarray, "clips 3 3"], Strengths]], title: str) -> Figure:
    """Each edge on every clip (dots), its mean (line) and its prior (ring). graphs: name -> (edges, prior)."""
    figure, axes = row_of_panels(len(graphs), title, 2.9, sharey=True)
    scatter = np.random.default_rng(0)
    for axis, (name, (edges, prior)) in zip(axes, graphs.items(), strict=True):
        for row, (i, j) in enumerate(EDGES):
            colour, values = COLOURS[MODALITIES[i]], edges[:, i, j]
            places = row + scatter.uniform(-0.28, 0.28, len(values))
            axis.scatter(values, places, s=3, color=colour, alpha=0.35, linewidths=0)
            axis.plot([values.mean()] * 2, [row - 0.38, row + 0.38], color=INK, linewidth=2)
            axis.plot(prior[i, j], row, "o", markersize=8, markerfacecolor="none", markeredgecolor=INK)
        axis.set_yticks(range(len(EDGES)), [f"{MODALITIES[i]} → {MODALITIES[j]}" for i, j in EDGES], fontsize=8)
        axis.set(xlabel="learned edge", ylim=(len(EDGES) - 0.5, -0.5), xlim=(-0.03, 0.8))
        axis.set_title(name, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def draw_changes(outcomes: Mapping[str, Any], control: Any, before: Any, space: str, title: str) -> Figure:
    """How the editor's lessons change the errors of three heads: a dot for each order of batches, a line is the mean.

    outcomes: name of the graph -> its `Outcome`. Changes are from the control, order by order; dashed: before.
    """
    figure, axes = row_of_panels(len(MODALITIES), title, 1.2 + 0.4 * len(outcomes), sharex=True, sharey=True)
    for axis, m in zip(axes, MODALITIES, strict=True):
        head = f"{space}_{m}"
        axis.axvline(0, color=INK, linewidth=1)
        start = before.errors[head] - control.errors[head]
        axis.axvline(start, color=QUIET, linestyle="dashed", linewidth=1)
        if m == MODALITIES[0]:  # the others' lines lie too close to zero for a word
            place = {"xytext": (3, 0), "textcoords": "offset points", "va": "center"}
            axis.annotate("before", (start, (len(outcomes) - 1) / 2), fontsize=7, color=QUIET, **place)
        for row, (name, outcome) in enumerate(outcomes.items()):
            changes, colour = outcome.changes(control, head), COLOURS.get(name.split()[0], INK)
            axis.plot(changes, [row] * len(changes), "o", color=colour, markersize=5, alpha=0.7)
            axis.plot([np.mean(changes)] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=2)
        axis.set_title(f"{m}'s head", fontsize=9, color=COLOURS[m])
        axis.set_yticks(range(len(outcomes)), list(outcomes), fontsize=8)
        tidy(axis, 8)
    axes[0].set_ylim(len(outcomes) - 0.5, -0.5)
    figure.supxlabel("change of the error (MAE) from the control", fontsize=8)
    return figure
