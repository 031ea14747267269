"""A distillation graph: three nodes, six arrows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch

from dmdlite.config import MODALITIES
from dmdlite.training.figures import COLOURS, QUIET

NODES = {"language": (0.0, 0.9), "vision": (1.05, -0.8), "audio": (-1.05, -0.8)}
RADIUS, BEND, THICKEST = 0.3, 0.17, 9.0


def draw_graph(axis: Axes, strengths: Float[np.ndarray, "3 3"], title: str = "", *, largest: float = 0.5) -> None:
    """strengths[i, j] is how strongly i teaches j; its arrow leaves i in i's colour, as wide as it is strong.

    largest: the strength that gets the widest arrow; stronger ones get no wider. An edge that is exactly zero is a thin
    dotted line. Each arrow carries its number.
    """
    for i, source in enumerate(MODALITIES):
        for j, target in enumerate(MODALITIES):
            if i != j:
                _arrow(axis, source, target, float(strengths[i, j]), largest)
    for modality, centre in NODES.items():
        axis.add_patch(Circle(centre, RADIUS, facecolor="white", edgecolor=COLOURS[modality], linewidth=2.5, zorder=3))
        axis.text(*centre, modality, ha="center", va="center", fontsize=8, color=COLOURS[modality], zorder=4)
    axis.set(xlim=(-1.65, 1.65), ylim=(-1.35, 1.3), aspect="equal")
    axis.axis("off")
    axis.set_title(title, fontsize=10)


def _arrow(axis: Axes, source: str, target: str, strength: float, largest: float) -> None:
    """Bent to the left of its direction, so that the two arrows of a pair lie beside each other."""
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
    place = (start + end) / 2 + (BEND * np.linalg.norm(end - start) / 2 + 0.16) * side
    colour = COLOURS[source] if strength else QUIET
    axis.text(*place, f"{strength:.2f}", ha="center", va="center", fontsize=8, color=colour, zorder=5)
