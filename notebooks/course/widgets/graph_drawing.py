"""One large distillation graph as SVG text: quick enough to follow a slider, which matplotlib is not."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from math import hypot

from jaxtyping import Float
from torch import Tensor

from course.widgets.graph_state import PAIRS
from dmdlite.config import MODALITIES
from dmdlite.training.figures import COLOURS, INK, NODES, QUIET, VISIBLE

WIDE, HIGH = 420, 340  # of the view box, which is as large on the page, in pixels
RADIUS, APART, WIDEST = 40, 13, 17  # of a node; of the two arrows of a pair from their middle; width of strength 1
CENTRES = {m: (WIDE / 2 + 120 * x, 192 - 100 * y) for m, (x, y) in NODES.items()}
HEAD = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDE} {HIGH}' font-family='sans-serif'>"


def graph_svg(strengths: Float[Tensor, "3 3"], title: str, message: str, notes: Mapping[str, str]) -> bytes:
    """As wide as it is strong, each arrow leaves its teacher in the teacher's colour and carries its number.

    An arrow whose number is 0.00 is only outlined.
    message: what to see, below the title; notes: a few words below the name of each modality.
    """
    words = [_text(WIDE / 2, 17.0, title, 14.0, weight="bold"), _text(WIDE / 2, 37.0, message, 12.5, QUIET)]
    arrows = [_arrow(MODALITIES[i], MODALITIES[j], strengths[i, j].item()) for i, j in PAIRS]
    nodes = [_node(m, notes[m]) for m in MODALITIES]
    return f"{HEAD}{''.join(words + arrows + nodes)}</svg>".encode()


def _text(x: float, y: float, text: str, size: float, colour: str = INK, weight: str = "normal") -> str:
    look = f"font-size='{size}' font-weight='{weight}' fill='{colour}' text-anchor='middle'"
    return f"<text x='{x:.1f}' y='{y:.1f}' {look}>{escape(text)}</text>"


def _node(modality: str, note: str) -> str:
    (x, y), colour = CENTRES[modality], COLOURS[modality]
    disc = f"<circle cx='{x}' cy='{y}' r='{RADIUS}' fill='white' stroke='{colour}' stroke-width='3'/>"
    return disc + _text(x, y - 2, modality, 13.0, colour, "bold") + _text(x, y + 16, note, 12.0)


def _arrow(source: str, target: str, strength: float) -> str:
    (x, y), (to_x, to_y) = CENTRES[source], CENTRES[target]
    distance = hypot(to_x - x, to_y - y)
    dx, dy = (to_x - x) / distance, (to_y - y) / distance
    length, half = distance - 2 * RADIUS - 8, 0.6 + WIDEST * min(strength, 1.0) / 2

    def point(along: float, across: float) -> str:
        """Across to the left of the direction, so that the two arrows of a pair lie side by side."""
        along += RADIUS + 4
        return f"{x + dx * along + dy * (across + APART):.1f},{y + dy * along - dx * (across + APART):.1f}"

    neck = length - 9 - half
    side = [(0.0, half), (neck, half), (neck, half + 5), (length, 0.0)]
    outline = " ".join([point(*corner) for corner in side] + [point(a, -b) for a, b in side[2::-1]])
    colour = COLOURS[source]
    visible = strength >= VISIBLE
    look = f"fill='{colour}'" if visible else "fill='none' stroke='#b5bac4' stroke-dasharray='3 3'"
    number = [float(part) for part in point(0.4 * length, 0.0).split(",")]
    pill = (
        f"<rect x='{number[0] - 17}' y='{number[1] - 9}' width='34' height='18' rx='9' fill='white' stroke='{colour}'/>"
    )
    label = _text(number[0], number[1] + 4.5, f"{strength:.2f}" if strength else "off", 12.0, INK if visible else QUIET)
    return f"<polygon points='{outline}' {look}/>{pill}{label}"
