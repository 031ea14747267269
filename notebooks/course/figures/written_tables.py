"""Shows a table that a run has written as a picture: another machine may round its numbers differently."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmdlite.training.figures import INK, QUIET

ROW, MARGIN, CHARACTER = 0.25, 0.14, 0.066  # inches: of a line, between columns, of a letter


def draw_written_table(text: str, title: str) -> Figure:
    """The first table of a Markdown text, its first column flush left and all others flush right."""
    rows = [_cells(line) for line in text.splitlines() if line.startswith("|") and not line.startswith("|-")]
    rows = [row for row in rows if len(row) == len(rows[0])]
    widths = [MARGIN + CHARACTER * max(map(len, column)) for column in zip(*rows, strict=True)]
    figure = Figure(figsize=(sum(widths) + MARGIN, ROW * (len(rows) + 2.0)))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, sum(widths) + MARGIN), ylim=(len(rows) + 0.4, -1.6))
    axis.axis("off")
    axis.text(MARGIN, -1.0, title, fontsize=11, color=INK, va="center")
    for place, row in enumerate(rows):
        _draw_row(axis, place, row, widths)
    axis.plot([MARGIN, sum(widths)], [0.5, 0.5], color=QUIET, linewidth=1)
    return figure


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _draw_row(axis: Axes, place: int, row: list[str], widths: list[float]) -> None:
    weight = "bold" if place == 0 else "normal"
    for column, cell in enumerate(row):
        flush_left = column == 0
        x = MARGIN if flush_left else sum(widths[: column + 1])
        side = "left" if flush_left else "right"
        axis.text(x, place, cell, fontsize=8, color=INK, ha=side, va="center", fontweight=weight)
