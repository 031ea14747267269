"""What the figures share: light colours, markers, rows of panels, quiet axes, numbers written into a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmdlite.training.figures import INK

HIGHLIGHT, GROUND = "#FBE3EC", "#F3F3F3"  # a light tint of the model's colour; a light grey


def row_of_panels(count: int, title: str, height: float | int, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure 7 inches wide with its title and a row of panels. shared: keywords of `Figure.subplots`."""
    figure = Figure(figsize=(7, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure, list(figure.subplots(1, count, squeeze=False, **shared)[0])


def tidy(axis: Axes, labelsize: int = 8) -> None:
    """Hides the frame above and to the right, and makes the tick labels small."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=labelsize)


def write_numbers(
    axis: Axes, values: Float[np.ndarray, "row column"], dark: float = np.inf, fontsize: int = 8, sign: str = "−"
) -> None:
    """Writes each value of a heat map into its cell, in white where it exceeds `dark`. sign: of negative values."""
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value > dark else INK
        text = f"{round(float(value), 2) + 0.0:.2f}".replace("-", sign)  # + 0.0: no minus before zero
        axis.text(column, row, text, ha="center", va="center", fontsize=fontsize, color=colour)


def minus(text: str) -> str:
    """The text with a typographic minus for every hyphen."""
    return text.replace("-", "−")
