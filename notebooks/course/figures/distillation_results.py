"""What distillation with a fixed direction did to small students: means over worlds, ± three standard errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from course.figures.style import minus, row_of_panels
from dmdlite.config import MODALITIES
from dmdlite.training.figures import COLOURS, INK, MARKERS, QUIET

ERRORS = 3  # standard errors on each side: what lies farther from zero counts as a difference
Curve = Float[Tensor, "point world"]
LINES = dict(zip(MODALITIES, ("solid", "dashed", "dotted"), strict=True))


def draw_label_curves(
    counts: Sequence[int], errors: dict[str, dict[str, Curve]], title: str, constant: float, teacher: str
) -> Figure:
    """One panel for each student: its test MAE against the number of labels, one line for each way to train it.

    errors: student -> way of training -> (number of labels, world). The last way is in the teacher's colour.
    """
    figure, axes = row_of_panels(len(errors), title, 3.2, sharey=True)
    places = range(len(counts))
    for axis, (student, ways) in zip(axes, errors.items(), strict=True):
        axis.axhline(constant, color=QUIET, linestyle="dotted", linewidth=1)
        axis.annotate("a constant", (places[-1], constant), (0, 2), textcoords="offset points", fontsize=7, ha="right")
        for way, curve in ways.items():
            last = way == list(ways)[-1]
            style = {"color": COLOURS[teacher] if last else QUIET, "linestyle": "solid" if last else "dashed"}
            _line(axis, places, curve, label=way, marker="o" if last else "s", **style)
        axis.set_xticks(places, counts)
        axis.set_xlabel(f"labelled clips for {student}")
        axis.legend(fontsize=8, frameon=False)
    axes[0].set_ylabel("test MAE")
    return figure


def draw_directions(changes: dict[str, dict[str, Float[Tensor, " world"]]], title: str) -> Figure:
    """A group of bars for each kind of world, a bar for each teacher, in its colour: the change in error."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axis = figure.subplots()
    for place, (world, teachers) in enumerate(changes.items()):
        for shift, (teacher, change) in zip((-0.27, 0, 0.27), teachers.items(), strict=True):
            right = {"edgecolor": INK, "linewidth": 1.8} if teacher == world else {}
            x, middle, around = place + shift, float(change.mean()), ERRORS * float(_standard_error(change))
            axis.bar(x, middle, 0.25, color=COLOURS[teacher], **right)
            axis.errorbar(x, middle, around, color=INK, linewidth=1, capsize=3)
    axis.axhline(0, color=INK, linewidth=0.8)
    axis.set_xticks(range(len(changes)), [f"{world} is strongest" for world in changes])
    axis.set_ylabel("change of test MAE\n(below zero: better)")
    figure.suptitle(title, fontsize=11)
    keys = [Patch(color=COLOURS[teacher], label=f"{teacher} → others") for teacher in teachers]
    figure.legend(handles=keys, fontsize=8, frameon=False, ncols=3, loc="outside lower center")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def draw_weight_curves(
    weights: Sequence[float], changes: dict[str, Float[Tensor, "weight world source target"]], title: str
) -> Figure:
    """A row for each kind of world, a column for each student: the effect of its two arrows, against their weight."""
    figure = Figure(figsize=(7, 1.4 + 1.9 * len(changes)), layout="constrained")
    axes = figure.subplots(len(changes), len(MODALITIES), sharex=True, sharey=True, squeeze=False)
    for row, (world, change) in zip(axes, changes.items(), strict=True):
        for j, axis in enumerate(row):
            axis.axhline(0, color=INK, linewidth=0.8)
            for i, source in enumerate(MODALITIES):
                if i != j:
                    style = {"color": COLOURS[source], "linestyle": LINES[source], "marker": MARKERS[source]}
                    _line(axis, weights, change[..., i, j], label=f"{source} teaches", **style)
            axis.set_xscale("log")
            axis.set_xticks(weights, [f"{weight:g}" for weight in weights])
        row[0].set_ylabel(f"{world} is strongest", fontsize=9)
    for j, student in enumerate(MODALITIES):
        axes[0, j].set_title(f"student: {student}", fontsize=10)
        axes[-1, j].set_xlabel("weight of the arrow", fontsize=9)
    figure.supylabel("change of the student's test MAE (below zero: better)", fontsize=9)
    figure.suptitle(title, fontsize=11)
    handles = {line.get_label(): line for axis in axes[0] for line in axis.lines if "teaches" in line.get_label()}
    names = [f"{source} teaches" for source in MODALITIES]
    legend = {"fontsize": 8, "frameon": False, "ncols": 3, "loc": "outside lower center"}
    figure.legend([handles[name] for name in names], names, **legend)
    return figure


def draw_visible_shares(shares: dict[str, dict[str, float]], title: str) -> Figure:
    """Two bars for each arrow "source → target": the share of the source's features, and of its outputs, that the
    target's features explain. shares: "features" and "outputs" -> arrow -> share."""
    figure = Figure(figsize=(7, 3.0), layout="constrained")
    axis = figure.subplots()
    for shift, (kind, values) in zip((-0.2, 0.2), shares.items(), strict=True):
        colours = [COLOURS[arrow.split()[0]] for arrow in values]
        style = {"hatch": "///", "alpha": 0.45} if kind == "features" else {}
        how = "hatched: share" if style else "plain: share"
        bars = axis.bar(np.arange(len(values)) + shift, list(values.values()), 0.38, color=colours, **style)
        axis.bar_label(
            bars, [minus(f"{round(value, 2) + 0.0:.2f}") for value in values.values()], fontsize=8, padding=2
        )
        axis.bar(0, 0, color=QUIET, label=f"{how} of the teacher's {kind}", **style)
    axis.axhline(0, color=INK, linewidth=0.8)
    axis.set_xticks(range(len(values)), [arrow.replace("→ ", "→\n") for arrow in values], fontsize=8)
    axis.set_ylabel("explained share (R²)")
    axis.margins(y=0.12)
    axis.set_title(title, fontsize=11)
    axis.legend(fontsize=8, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _line(axis: Axes, x: Sequence, curve: Curve, **style) -> None:
    middle, around = curve.mean(dim=1).numpy(), ERRORS * _standard_error(curve).numpy()
    axis.plot(x, middle, markersize=4, linewidth=1.6, **style)
    axis.fill_between(x, middle - around, middle + around, color=style["color"], alpha=0.15, linewidth=0)
    axis.spines[["top", "right"]].set_visible(False)


def _standard_error(values: Float[Tensor, "*point world"]) -> Float[Tensor, "*point"]:
    return values.std(dim=-1) / values.shape[-1] ** 0.5
