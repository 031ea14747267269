"""What notebook 12 draws: the family tree, errors seed by seed, and what is left without a modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from pandas import DataFrame, Series

from course.figures.style import minus
from dmdlite.experiments.reports import draw_heat
from dmdlite.training.figures import COLOURS, INK, MODEL, QUIET

# Name -> (column, row, second line). Columns go with time, rows with the idea.
FAMILY = {
    "Transformer": (0, 0, "2017"),
    "CMD": (0, 1, "2017"),
    "Distillation": (0, 2, "2015"),
    "MulT": (1, 0, "2019"),
    "MISA": (1, 1, "2020"),
    "Graph distillation": (1, 2, "2018"),
    "PMR": (2, 0, "2021"),
    "DMD": (2, 1, "2023"),
    "PKDOT": (2, 2, "2024"),
    "DLF": (3, 0, "2025"),
    "DHMD": (3, 1, "2026"),
}
INHERITED = {
    ("Transformer", "MulT"): "attention",
    ("MulT", "PMR"): "cross-modal\nattention",
    ("MulT", "DMD"): "six encoders,\nmemory",
    ("CMD", "MISA"): "moments",
    ("MISA", "DMD"): "private\nand shared",
    ("Distillation", "Graph distillation"): "teacher,\nstudent",
    ("Graph distillation", "DMD"): "learned\nedges",
    ("Distillation", "PKDOT"): "",
    ("DMD", "DHMD"): "both\ngraphs",
    ("DMD", "DLF"): "decoupling",
}
COLUMN, ROW, WIDTH, HEIGHT = 3.0, 1.35, 1.65, 0.62


def draw_family() -> Figure:
    """What each model takes over from earlier ones; the four that notebook 12 discusses are filled."""
    figure = Figure(figsize=(7, 3.3), layout="constrained")
    axis = figure.subplots()
    for (parent, child), what in INHERITED.items():
        _inherit(axis, _place(parent), _place(child), what, bend=(parent, child) == ("Distillation", "PKDOT"))
    for name, (*_, year) in FAMILY.items():
        x, y = _place(name)
        face, edge = {"DMD": ("#FBE3EC", MODEL)}.get(
            name, ("#EEF2F7" if name in ("MulT", "MISA", "PMR") else "w", QUIET)
        )
        style = {"boxstyle": "round,pad=0.02,rounding_size=0.12", "facecolor": face, "edgecolor": edge}
        axis.add_patch(FancyBboxPatch((x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, zorder=3, **style))
        axis.text(x, y, f"{name}\n{year}", ha="center", va="center", fontsize=8, color=INK, zorder=4)
    axis.set(xlim=(-1, 3 * COLUMN + 1), ylim=(-2 * ROW - 1.15, 0.5), aspect="equal")
    axis.axis("off")
    axis.set_title("DMD joins three lines: attention, private and shared, distillation", fontsize=11, loc="left")
    return figure


def _place(name: str) -> tuple[float, float]:
    column, row, _ = FAMILY[name]
    return column * COLUMN, -row * ROW


def _inherit(axis: Axes, start: tuple[float, float], end: tuple[float, float], what: str, bend: bool) -> None:
    tail, head = (start[0] + WIDTH / 2, start[1]), (end[0] - WIDTH / 2, end[1])
    style = {"arrowstyle": "-|>", "color": QUIET, "linewidth": 1}
    if bend:  # below the box between them
        tail, head = (start[0], start[1] - HEIGHT / 2), (end[0], end[1] - HEIGHT / 2)
        style["connectionstyle"] = "arc3,rad=0.2"
    axis.annotate("", head, tail, arrowprops=style, zorder=1)
    middle = ((tail[0] + head[0]) / 2, (tail[1] + head[1]) / 2)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    axis.text(*middle, what, fontsize=6.5, color=INK, ha="center", va="center", zorder=2, bbox=box if what else None)


def draw_seeds(
    values: Mapping[str, Sequence[float]], title: str, xlabel: str, lines: Mapping[str, float] | None = None
) -> Figure:
    """A row of dots for each name, one for each seed; a bar is mean ± standard deviation. `lines` are vertical."""
    figure = Figure(figsize=(7, 1.2 + 0.3 * len(values)), layout="constrained")
    _rows(figure.subplots(), values, xlabel, lines or {})
    figure.suptitle(title, fontsize=11)
    return figure


def draw_effects(
    values: Mapping[str, Sequence[float]], lines: Mapping[str, float], effects: DataFrame, title: str, xlabel: str
) -> Figure:
    """`draw_seeds`, and beside each row how far the model is from the reference, with the same seeds.

    effects: for each name "mean", "low" and "high" of the 95 % interval, "d", and whether it is "clear".
    """
    figure = Figure(figsize=(9, 1.4 + 0.27 * len(values)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    _rows(left, values, xlabel, lines)
    right.axvline(0, color=MODEL, linewidth=1, zorder=0)
    for place, name in enumerate(values):
        if name in effects.index:
            row = effects.loc[name]
            colour = INK if row.clear else QUIET
            right.plot([row.low, row.high], [place, place], color=colour, linewidth=2)
            right.plot(
                row["mean"], place, "o", color=colour, markersize=5, markerfacecolor=colour if row.clear else "w"
            )
            right.annotate(
                minus(f"{row.d:+.1f}"), (1.01, place), xycoords=("axes fraction", "data"), fontsize=7, va="center"
            )
    right.annotate("d", (1.03, -0.75), xycoords=("axes fraction", "data"), fontsize=9, style="italic", va="center")
    right.set_xlabel("MAE less DMD's, 95 % interval", fontsize=9)
    right.tick_params(axis="y", left=False)
    right.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def _rows(axis: Axes, values: Mapping[str, Sequence[float]], xlabel: str, lines: Mapping[str, float]) -> None:
    for place, (name, row) in enumerate(values.items()):
        colour = MODEL if name == "DMD" else COLOURS.get(name, INK)
        middle, around = Series(row).agg(["mean", "std"]).fillna(0)
        axis.plot([middle - around, middle + around], [place, place], color=colour, linewidth=5, alpha=0.3)
        axis.plot([middle, middle], [place - 0.4, place + 0.4], color=colour, linewidth=1.5, zorder=1)
        style = {"color": colour, "markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.5}
        axis.plot(row, [place] * len(row), "o", **style)
    for label, x in lines.items():
        axis.axvline(x, color=QUIET, linestyle="dashed", linewidth=1, zorder=0)
        axis.annotate(label, (x, 1), (3, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
                      fontsize=8, color=INK, va="top")  # fmt: skip
    axis.set_yticks(range(len(values)), list(values), fontsize=8)
    axis.set_ylim(len(values) - 0.5, -0.5 - 0.5 * bool(lines))
    axis.set_xlabel(xlabel, fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)


def draw_missing(table: DataFrame, title: str, worst: float) -> Figure:
    """Models as rows, present modalities as columns; dark is a low error, the lightest is a constant's (`worst`)."""
    figure = Figure(figsize=(7, 1.3 + 0.28 * len(table)), layout="constrained")
    axis = figure.subplots()
    draw_heat(axis, table, worst, font=7)
    axis.set_yticks(range(len(table)), list(table.index), fontsize=8)
    axis.set_xticks(range(len(table.columns)), [present.replace("+", "\n+ ") for present in table], fontsize=7)
    figure.suptitle(title, fontsize=11)
    return figure
