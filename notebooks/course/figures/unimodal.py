"""Single modalities compared: how they learn, and how well they do in the end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from course.figures.style import row_of_panels, tidy
from dmdlite.training.figures import COLOURS, INK, QUIET

Records = list[dict[str, Any]]
SEED = {"marker": "o", "markersize": 3.5, "color": "white", "markeredgecolor": INK}


def draw_learning(runs: Mapping[str, Records], constant: float, title: str) -> Figure:
    """One panel for each run: training loss, validation error and its best epoch, beside a constant's error.

    A run with the name of a modality has its colour.
    """
    figure, axes = row_of_panels(len(runs), title, 2.6, sharey=True)
    for axis, (name, records) in zip(axes, runs.items(), strict=True):
        colour = COLOURS.get(name, INK)
        epochs = [record["epoch"] for record in records]
        best = min(records, key=lambda record: record["valid_error"])
        axis.plot(epochs, [record["losses"]["total"] for record in records], color=colour, linestyle="dashed")
        axis.plot(epochs, [record["valid_error"] for record in records], color=colour)
        axis.plot(best["epoch"], best["valid_error"], "o", color=colour)
        axis.axhline(constant, color=QUIET, linestyle="dotted")
        axis.set_title(name, fontsize=9, color=colour)
        axis.set_xlabel("epoch", fontsize=9)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        tidy(axis)
    axes[0].set_ylabel("MAE", fontsize=9)
    styles = {"training": "dashed", "validation": "solid", "a constant": "dotted"}
    keys = {name: {"color": QUIET if style == "dotted" else INK, "linestyle": style} for name, style in styles.items()}
    _legend(figure, keys | {"best epoch": {"color": INK, "marker": "o", "linestyle": ""}})
    return figure


def draw_accuracies(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    title: str,
    *,
    chance: Mapping[str, float],
    views: Mapping[str, Mapping[str, float]],
    by_eye: Collection[str] = (),
) -> Figure:
    """The accuracy of each modality alone, one panel for each world or paper, as in the paper's Fig. 1 (a).

    panels: name -> modality -> one accuracy for each seed; the bar is their mean, each seed a dot.
    chance: name -> the accuracy of a constant, a dashed line. views: name -> modality -> the accuracy of the sign of
    the modality's view, a black mark. by_eye: panels read from a printed figure; their bars are hatched.
    """
    figure, axes = row_of_panels(len(panels), title, 3.2, sharey=True)
    constant = {"color": INK, "linestyle": "dashed", "linewidth": 1}
    view = {"color": INK, "linewidth": 2.5}
    for axis, (name, accuracies) in zip(axes, panels.items(), strict=True):
        _bars(axis, accuracies, "≈ {:.3g}" if name in by_eye else "{:.2f}", "//" if name in by_eye else "")
        if name in chance:
            axis.axhline(chance[name], **constant)
        for place, modality in enumerate(accuracies if name in views else ()):
            axis.hlines(views[name][modality], place - 0.36, place + 0.36, **view)
        axis.set_title(name, fontsize=9)
        tidy(axis, 9)
    axes[0].set(ylim=(0, 1), ylabel="accuracy")
    _legend(
        figure, {"one seed": {**SEED, "linestyle": ""}, "sign of the modality's own view": view, "a constant": constant}
    )
    return figure


def draw_score_panels(
    scores: Mapping[str, Mapping[str, float]], constant: Mapping[str, float], names: Mapping[str, str], title: str
) -> Figure:
    """One panel for each score, one bar in it for each modality, dashed the score of a constant.

    scores: modality -> score -> value. names: score -> its label, in the order of the panels.
    """
    figure, axes = row_of_panels(len(names), title, 2.4)
    for axis, (score, label) in zip(axes, names.items(), strict=True):
        values = [scores[modality][score] for modality in scores]
        axis.bar(list(scores), values, color=[COLOURS[modality] for modality in scores])
        for place, value in enumerate(values):
            axis.text(place, 0.03, f"{value:.2f}", fontsize=7, color="white", ha="center")
        axis.axhline(constant[score], color=INK, linestyle="dashed", linewidth=1)
        axis.set_title(label, fontsize=9)
        axis.set_xticks(range(len(scores)), [modality[0].upper() for modality in scores])
        axis.set_ylim(-0.03, max(1.0, 1.1 * max(*values, constant[score])))
        tidy(axis)
    _legend(figure, {"a constant": {"color": INK, "linestyle": "dashed", "linewidth": 1}})
    return figure


def _bars(axis: Axes, accuracies: Mapping[str, Sequence[float]], form: str, hatch: str) -> None:
    for place, (modality, seeds) in enumerate(accuracies.items()):
        axis.bar(
            place, np.mean(seeds), color=COLOURS[modality], width=0.66, hatch=hatch, edgecolor="white", linewidth=0
        )
        box = {"facecolor": COLOURS[modality], "edgecolor": "none", "pad": 1.5}
        axis.text(place, 0.2, form.format(np.mean(seeds)), ha="center", fontsize=9, color="white", bbox=box)
        if len(seeds) > 1:
            axis.plot(place + np.linspace(-0.12, 0.12, len(seeds)), seeds, linestyle="", zorder=5, **SEED)
    axis.set_xticks(range(len(accuracies)), list(accuracies))


def _legend(figure: Figure, styles: Mapping[str, dict[str, Any]]) -> None:
    """Below the panels; name -> the style of its line or dot."""
    lines = [Line2D([], [], **style) for style in styles.values()]
    figure.legend(lines, list(styles), loc="outside lower center", ncols=len(lines), fontsize=8, frameon=False)
