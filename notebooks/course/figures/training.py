"""Training curves: which epochs were the best so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from course.figures.style import tidy
from dmdlite.training.figures import INK, MODEL, QUIET


def draw_validation(errors: Sequence[float], early: int, title: str) -> Figure:
    """The validation error after each epoch, with a dot wherever it beats all epochs before.

    early: a short run ends after this many epochs; a dashed line marks its end.
    """
    epochs = np.arange(1, len(errors) + 1)
    best_before = np.minimum.accumulate([np.inf, *errors[:-1]])
    better = np.asarray(errors) < best_before
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axis = figure.subplots()
    axis.plot(epochs, errors, color=QUIET, linewidth=1.2)
    axis.plot(epochs[better], np.asarray(errors)[better], "o", color=MODEL, label="better than every epoch before")
    axis.axvline(early + 0.5, color=INK, linestyle="dashed", linewidth=1)
    axis.text(early + 0.8, max(errors), f"end of a run of {early} epochs", fontsize=8, va="top", color=INK)
    axis.set(xlabel="epoch", ylabel="validation error (MAE)", ylim=(0, None))
    axis.set_title(title, fontsize=11)
    axis.legend(fontsize=8, frameon=False, loc="lower left")
    tidy(axis)
    return figure
