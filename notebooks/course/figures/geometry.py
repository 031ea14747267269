"""Samples as unit vectors on a circle, and what is measured on them. Colour is the sentiment, shape the modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from torch import Tensor

from course.figures.style import minus, row_of_panels
from dmdlite.config import SENTIMENT_RANGE
from dmdlite.training.figures import INK, MARKERS, MODEL, QUIET

ATTRACT, REPEL = {"color": INK, "linestyle": "solid"}, {"color": MODEL, "linestyle": "dashed"}
ARROW, SMALLEST_STEP = 2.0, 0.03  # radii for each unit of the gradient; a shorter arrow would be all head
RINGS = {"language": 1.0, "vision": 1.14, "audio": 0.86}  # radii where marks could hide each other
Samples = Mapping[str, Float[Tensor, "clip 2"]]  # modality -> one vector for each clip
Place = tuple[str, int]  # a sample: modality and clip


def on_circle(degrees: Sequence[int]) -> Float[Tensor, "sample 2"]:
    """Unit vectors at these angles, counter-clockwise from the right."""
    turn = torch.deg2rad(torch.tensor(degrees, dtype=torch.float32))
    return torch.stack([turn.cos(), turn.sin()], dim=1)


def sentiment_colour(label: float) -> tuple[float, ...]:
    """Purple where negative, white at zero, orange where positive; no modality has any of these colours."""
    lowest, highest = SENTIMENT_RANGE
    return colormaps["PuOr_r"](0.08 + 0.84 * (label - lowest) / (highest - lowest))


def signed(label: float) -> str:
    """+2, 0 or −1.5."""
    return "0" if label == 0 else minus(f"{label:+g}")


def draw_circle(
    axis: Axes, samples: Samples, labels: Float[Tensor, "clip"], size: int = 70, *, rings: bool = False
) -> None:
    """Each vector, whatever its length, as a point on the unit circle. rings: each modality gets its own radius."""
    axis.add_patch(Circle((0, 0), 1, fill=False, edgecolor=QUIET, linewidth=0.8, zorder=1))
    axis.plot(0, 0, "+", color=QUIET, markersize=6, zorder=1)
    for modality, x in samples.items():
        points = x / x.norm(dim=1, keepdim=True) * (RINGS[modality] if rings else 1.0)
        colours = [sentiment_colour(label) for label in labels.tolist()]
        style = {"marker": MARKERS[modality], "edgecolors": INK, "linewidths": 0.8, "zorder": 4}
        axis.scatter(*points.T.numpy(), s=size, c=colours, **style)
    axis.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
    axis.axis("off")


def draw_circles(panels: Mapping[str, Samples], labels: Float[Tensor, "clip"], title: str) -> Figure:
    """A row of circles with the same clips, each under its own name; vision lies just outside, audio just inside."""
    figure, axes = row_of_panels(len(panels), title, 2.2)
    for axis, (name, samples) in zip(axes, panels.items(), strict=True):
        draw_circle(axis, samples, labels, size=30, rings=True)
        axis.set_title(name, fontsize=9)
    _legend(figure, labels, list(samples))
    return figure


def draw_triplets(
    samples: Samples,
    labels: Float[Tensor, "clip"],
    anchor: Place,
    pairs: Sequence[tuple[Place, Place]],
    title: str,
    step: Float[Tensor, "2"] | None = None,
    *,
    angles: bool = False,
) -> Figure:
    """One sample, ringed, with lines to the positive and the negative of each pair; an arrow shows where it moves.

    step: minus the gradient of the loss with respect to the anchor's vector, drawn unless it is tiny.
    angles: writes each sample's angle beside it.
    """
    figure = Figure(figsize=(4.6, 4.8), layout="constrained")
    axis = figure.subplots()
    draw_circle(axis, samples, labels)
    start = samples[anchor[0]][anchor[1]]
    axis.scatter(*start.tolist(), s=240, facecolors="none", edgecolors=INK, linewidths=1.2, zorder=5)
    for pair in pairs:
        for (modality, clip), style in zip(pair, (ATTRACT, REPEL), strict=True):
            axis.plot(*zip(start.tolist(), samples[modality][clip].tolist()), **style, linewidth=1.3, zorder=2)
    if step is not None and float(step.norm()) > SMALLEST_STEP:
        arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
        axis.annotate("", (1.15 * start + ARROW * step).tolist(), (1.15 * start).tolist(), arrowprops=arrow, zorder=6)
    for x, y in torch.cat(list(samples.values())).tolist() if angles else []:
        turn = f"{np.degrees(np.arctan2(y, x)):.0f}°"
        axis.text(1.2 * x, 1.2 * y, turn, ha="center", va="center", fontsize=10)
    axis.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35))
    figure.suptitle(title, fontsize=11)
    _legend(figure, labels, list(samples), lines=True)
    return figure


def _legend(figure: Figure, labels: Float[Tensor, "clip"], modalities: Sequence[str], *, lines: bool = False) -> None:
    """Below the figure: what colours, shapes and, if there are any, lines mean."""
    outline = {"linestyle": "none", "markeredgecolor": INK}
    handles = [
        Line2D([], [], marker="o", color=sentiment_colour(label), label=f"label {signed(label)}", **outline)
        for label in sorted(set(labels.tolist()))
    ]
    handles += [Line2D([], [], marker=MARKERS[m], color=INK, label=m, **outline) for m in modalities]
    if lines:
        handles += [Line2D([], [], label="to a positive", **ATTRACT), Line2D([], [], label="to a negative", **REPEL)]
    columns = -(-len(handles) // (2 if lines else 1))
    style = {"fontsize": 8, "frameon": False, "handletextpad": 0.4, "columnspacing": 1.2}
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, **style)


def draw_floors(
    panels: Mapping[str, tuple[Float[Tensor, "pair"], Float[Tensor, "pair"], Float[Tensor, "pair"]]], title: str
) -> Figure:
    """For pairs of classes (label distance, cosine distance, margin): how far apart they are, and should be."""
    figure, axes = row_of_panels(len(panels), title, 3.1, sharey=True)
    for axis, (name, (apart, distances, margins)) in zip(axes, panels.items(), strict=True):
        axis.plot(apart, distances, "o", color=MODEL, alpha=0.45, markeredgewidth=0)
        order = apart.argsort()
        axis.plot(apart[order], margins[order], color=INK, linestyle="dashed", label="the margin")
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("distance of the labels")
        axis.set_ylim(0, 2)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("distance of the classes\n(1 − cosine)")
    axes[-1].legend(fontsize=8, frameon=False, loc="lower right")
    return figure


def draw_dots(groups: Mapping[str, Sequence[float]], title: str, ylabel: str) -> Figure:
    """One dot for each run of a group, and a line at their mean with its number."""
    figure = Figure(figsize=(7, 3.1), layout="constrained")
    axis = figure.subplots()
    axis.axhline(0, color=QUIET, linewidth=0.8)
    for place, values in enumerate(groups.values()):
        mean = float(np.mean(values))
        axis.plot(np.full(len(values), place), values, "o", color=MODEL, alpha=0.5, markeredgewidth=0)
        axis.plot([place - 0.18, place + 0.18], [mean, mean], color=INK, linewidth=2)
        axis.annotate(f"{mean:.2f}", (place + 0.22, mean), va="center", fontsize=9)
    axis.set_xticks(range(len(groups)), list(groups), fontsize=9)
    axis.set_xlim(-0.5, len(groups) - 0.4)
    axis.set_ylabel(ylabel)
    axis.set_title(title, fontsize=11)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.tick_params(bottom=False)
    return figure
