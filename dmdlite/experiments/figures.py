"""The two pictures of a comparison: who misses by how much, and what is left without a modality."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmdlite.experiments.missing import SUBSETS, name_of
from dmdlite.experiments.names import title_of
from dmdlite.experiments.rows import REFERENCE, Comparison, Row
from dmdlite.models.registry import GROUPS
from dmdlite.training.figures import COLOURS, INK, MODEL, QUIET

ABLATION, WEAKEST = "#66779A", "cividis"  # both told apart without colour, too: by an open marker, by the numbers


def draw_comparison(found: Comparison) -> Figure:
    """The test error of every model, the best on top: a dot for each seed, mean ± standard deviation as a bar."""
    rows = sorted((row for row in found.rows if row.results and row.kind != "constant"), key=lambda row: row.error()[0])
    figure = Figure(figsize=(9.0, 1.7 + 0.32 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for place, row in enumerate(rows):
        _draw_row(axis, place, row)
    _draw_references(axis, found)
    axis.set_yticks(range(len(rows)), [title_of(row.name) for row in rows], fontsize=9)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlabel(f"test {found.error_title} (a dot is one seed; bar: mean ± standard deviation)")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#EEEEEE", zorder=0)
    axis.set_axisbelow(True)
    figure.suptitle(_comparison_title(rows), fontsize=13)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw_row(axis: Axes, place: int, row: Row) -> None:
    colour = _colour(row)
    mean, deviation = row.error()
    if deviation is not None:
        axis.plot([mean - deviation, mean + deviation], [place, place], color=colour, linewidth=2, zorder=2)
    inside = "white" if row.name in GROUPS["ablations"] else colour
    shape = {"model": "o", "linear": "D"}[row.kind]
    axis.plot(mean, place, shape, markersize=8, markerfacecolor=inside, markeredgecolor=colour, zorder=3)
    if len(row.results) > 1:
        seeds = list(row.errors.values())
        axis.scatter(seeds, [place] * len(seeds), s=10, color=INK, alpha=0.7, linewidths=0, zorder=4)


def _colour(row: Row) -> str:
    if row.kind == "linear":
        return QUIET
    if row.name in GROUPS["ablations"]:
        return ABLATION
    return MODEL if row.name == REFERENCE else COLOURS.get(row.name, INK)


def _draw_references(axis: Axes, found: Comparison) -> None:
    """DMD as a line, what has no seed broken."""
    lines = {REFERENCE: (MODEL, "solid"), "linear": (QUIET, "dashed"), "constant": (QUIET, "dotted")}
    for name, (colour, style) in lines.items():
        if name in found and (value := found[name].error()) is not None:
            label = f"{title_of(name)}: {value[0]:.3f}"
            axis.axvline(value[0], color=colour, linestyle=style, linewidth=1.2, zorder=1, label=label)


def _comparison_title(rows: list[Row]) -> str:
    best = rows[0]
    others = [row for row in rows if row.name == REFERENCE and row is not best]
    beside = "".join(f" ({title_of(row.name)}: {row.error()[0]:.3f})" for row in others)
    return f"Lowest error: {title_of(best.name)}, {best.error()[0]:.3f} on average" + beside


def draw_missing(found: Comparison) -> Figure:
    """The test error of every model with each subset of the modalities present; the lightest is a constant's."""
    rows = [row for row in found.rows if row.subsets]
    subsets = [name_of(subset) for subset in SUBSETS]
    errors = [[row.score_with(present)[0] for present in subsets] for row in rows]
    worst = found["constant"].error()[0]
    figure = Figure(figsize=(9.5, 2.2 + 0.32 * len(rows)), layout="constrained")
    axis = figure.subplots()
    lowest = min(0.99 * worst, *map(min, errors))  # also where no model is better than a constant
    axis.imshow(errors, cmap=WEAKEST, vmin=lowest, vmax=worst, aspect="auto")
    for i, numbers in enumerate(errors):
        for j, number in enumerate(numbers):
            light = number > (lowest + worst) / 2
            axis.text(j, i, f"{number:.2f}", ha="center", va="center", fontsize=8, color=INK if light else "white")
    axis.set_yticks(range(len(rows)), [title_of(row.name) for row in rows], fontsize=9)
    axis.set_xticks(range(len(subsets)), [present.replace("+", "\n+ ") for present in subsets], fontsize=9)
    axis.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    axis.spines[:].set_visible(False)
    axis.set_xlabel(f"test {found.error_title}, mean over seeds; a constant: {worst:.2f} (the lightest colour)")
    figure.suptitle(_missing_title(rows), fontsize=13)
    return figure


def _missing_title(rows: list[Row]) -> str:
    """About DMD, or else about the first model."""
    row = next((row for row in rows if row.name == REFERENCE), rows[0])
    every, *pairs = [name_of(subset) for subset in SUBSETS if len(subset) > 1]
    least = {present: row.score_with(present)[0] for present in pairs}
    present = max(least, key=least.get)
    (absent,) = set(every.split("+")) - set(present.split("+"))
    before, after = row.score_with(every)[0], least[present]
    return f"Without {absent} the error of {title_of(row.name)} is {after:.2f} instead of {before:.2f}"
