"""The map of the model that opens every notebook."""

from __future__ import annotations

from collections.abc import Collection
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from course.figures.style import HIGHLIGHT
from dmdlite.training.figures import INK, MODEL, QUIET

# Stage -> (column, row, label). Rows count from the top; the map reads from left to right, as Fig. 2 of the paper does.
STAGES = {
    "streams": (0, 1.0, "three streams\n(L, V, A)"),
    "convolutions": (1, 1.0, "temporal\nconvolutions"),
    "decoupling": (2, 1.0, "decoupling\ncommon | private"),
    "margin": (3, -0.35, "margin loss on\ncommon features"),
    "homogeneous graph": (3, 0.5, "homogeneous\ngraph (GD-Unit)"),
    "attention": (3, 1.5, "cross-modal\nattention"),
    "heterogeneous graph": (3, 2.35, "heterogeneous\ngraph (GD-Unit)"),
    "fusion": (4, 1.0, "adaptive fusion\n→ sentiment"),
}
ARROWS = [
    *(("streams", "convolutions"), ("convolutions", "decoupling"), ("decoupling", "homogeneous graph")),
    *(("decoupling", "margin"), ("decoupling", "attention"), ("attention", "heterogeneous graph")),
    *(("decoupling", "fusion"), ("attention", "fusion")),
]
BOX_WIDTH, BOX_HEIGHT, COLUMN, ROW = 1.75, 0.62, 2.25, 0.95
WIDEST_TITLE = 76  # characters; what is longer goes on in a second line


def model_map(lit: Collection[str] = ()) -> Figure:
    """The stages of DMD from left to right; those in `lit` are today's."""
    if unknown := set(lit) - set(STAGES):
        raise ValueError(f"unknown stage {sorted(unknown)[0]!r}; a stage is one of {', '.join(STAGES)}")
    figure = Figure(figsize=(7, 2.7), layout="constrained")
    axis = figure.subplots()
    for start, end in ARROWS:
        _arrow(axis, _centre(start), _centre(end))
    for stage, (_, _, label) in STAGES.items():
        _box(axis, _centre(stage), label, stage in lit)
    axis.set(xlim=(-1.0, 4 * COLUMN + 1.0), ylim=(-2.75, 0.8), aspect="equal")
    axis.axis("off")
    place = "the whole model" if set(lit) == set(STAGES) else ", ".join(lit)
    title = f"You are here: {place}" if lit else "The whole of DMD"
    axis.set_title(fill(title, WIDEST_TITLE), fontsize=11, loc="left")
    return figure


def _centre(stage: str) -> tuple[float, float]:
    column, row, _ = STAGES[stage]
    return column * COLUMN, -row * ROW


def _box(axis: Axes, centre: tuple[float, float], label: str, lit: bool) -> None:
    x, y = centre
    corner = (x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2)
    face, edge = (HIGHLIGHT, MODEL) if lit else ("white", QUIET)
    style = {"boxstyle": "round,pad=0.02,rounding_size=0.1", "facecolor": face, "edgecolor": edge}
    axis.add_patch(FancyBboxPatch(corner, BOX_WIDTH, BOX_HEIGHT, linewidth=2 if lit else 1, zorder=2, **style))
    axis.text(x, y, label, ha="center", va="center", fontsize=7, color=INK, zorder=3)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    vertical = start[0] == end[0]
    tail = (start[0], start[1] - BOX_HEIGHT / 2) if vertical else (start[0] + BOX_WIDTH / 2, start[1])
    head = (end[0], end[1] + BOX_HEIGHT / 2) if vertical else (end[0] - BOX_WIDTH / 2, end[1])
    axis.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": QUIET, "linewidth": 1}, zorder=1)
