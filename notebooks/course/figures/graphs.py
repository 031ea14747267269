"""A distillation graph: three nodes, six arrows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from course.figures.style import row_of_panels
from dmdlite.config import MODALITIES
from dmdlite.training.figures import COLOURS, INK, QUIET

NODES = {"language": (0.0, 1.0), "vision": (1.3, -0.9), "audio": (-1.3, -0.9)}
RADIUS, BEND, THICKEST = 0.36, 0.17, 9.0

EDGES = [(i, j) for i in range(3) for j in range(3) if i != j]  # (source, target)
COUPLES = [(i, j) for i, j in EDGES if i < j]

Strengths = Float[np.ndarray, "3 3"]


def draw_graph(
    axis: Axes,
    strengths: Strengths,
    title: str = "",
    *,
    largest: float = 0.5,
    notes: Mapping[str, str] | None = None,
) -> None:
    """strengths[i, j] is how strongly i teaches j; its arrow leaves i in i's colour, as wide as it is strong.

    largest: the strength that gets the widest arrow; stronger ones get no wider. An edge that is exactly zero is a thin
    dotted line. Each arrow carries its number. notes: a few words below the name of each modality.
    """
    for i, source in enumerate(MODALITIES):
        for j, target in enumerate(MODALITIES):
            if i != j:
                _arrow(axis, source, target, float(strengths[i, j]), largest)
    for modality, (x, y) in NODES.items():
        colour = COLOURS[modality]
        axis.add_patch(Circle((x, y), RADIUS, facecolor="white", edgecolor=colour, linewidth=2.5, zorder=3))
        lift = 0.08 if notes else 0.0
        axis.text(x, y + lift, modality, ha="center", va="center", fontsize=8, color=colour, zorder=4)
        if notes:
            axis.text(x, y - 0.14, notes[modality], ha="center", va="center", fontsize=7, color=INK, zorder=4)
    axis.set(xlim=(-1.8, 1.8), ylim=(-1.45, 1.45), aspect="equal")
    axis.axis("off")
    axis.set_title(title, fontsize=10)


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


def _arrow(axis: Axes, source: str, target: str, strength: float, largest: float) -> None:
    """Bent to the left of its direction, so that the two arrows of a pair lie side by side."""
    start, end = np.array(NODES[source]), np.array(NODES[target])
    along = (end - start) / np.linalg.norm(end - start)
    side = np.array([-along[1], along[0]])
    start, end = start + 0.12 * side + (RADIUS + 0.03) * along, end + 0.12 * side - (RADIUS + 0.03) * along
    width = 0.8 + THICKEST * min(strength / largest, 1.0)
    style = f"simple,tail_width={width * 0.45:.2f},head_width={2 + width:.2f},head_length={2 + 0.8 * width:.2f}"
    patch = FancyArrowPatch(start, end, arrowstyle=style, connectionstyle=f"arc3,rad={-BEND}", color=COLOURS[source])
    if strength == 0:
        patch = FancyArrowPatch(start, end, arrowstyle="-", connectionstyle=f"arc3,rad={-BEND}", color=QUIET)
        patch.set(linestyle="dotted", linewidth=1)
    axis.add_patch(patch)
    bend = (start + end) / 2 + BEND * np.linalg.norm(end - start) * side  # the curve's control point
    nearer = 0.4  # the number is nearer to the source, where the three inner ones have room
    on_curve = (1 - nearer) ** 2 * start + 2 * nearer * (1 - nearer) * bend + nearer**2 * end
    place = on_curve + (0.17 + 0.008 * width) * side
    colour = COLOURS[source] if strength else QUIET
    axis.text(*place, f"{strength:.2f}", ha="center", va="center", fontsize=8, color=colour, zorder=5)
