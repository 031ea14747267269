"""What the graph editor shows: pictures and tables, each a pure function of its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from course.figures.plain import png
from course.widgets.graph_state import PAIRS, GraphReading
from course.widgets.graph_training import HEADS, Outcome
from dmdlite.config import MODALITIES, SPACES
from dmdlite.training.figures import COLOURS, INK, NODES, QUIET, draw_graph

NUMBER = "display: inline-block; width: 50px; text-align: right; font-variant-numeric: tabular-nums; {}"
COLUMNS = ("w", "ε", "w · ε")


def view_graphs(readings: Mapping[str, GraphReading], chosen: str) -> bytes:
    return png(draw_readings(readings, chosen))


def draw_readings(readings: Mapping[str, GraphReading], chosen: str) -> Figure:
    """Both graphs with ζ at each student; the title names the strongest edge of the chosen one."""
    figure = Figure(figsize=(7, 3.3), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)
    for axis, (space, reading) in zip(figure.subplots(1, len(readings)), readings.items(), strict=True):
        notes = {m: f"ζ {zeta:.2f}" for m, zeta in zip(MODALITIES, reading.per_student.tolist(), strict=True)}
        draw_graph(axis, reading.strengths.numpy(), f"{space} graph", notes=notes)
        axis.title.set(color=INK if space == chosen else QUIET, weight="bold" if space == chosen else "normal")
    figure.suptitle(_message(readings[chosen], chosen), fontsize=11)
    return figure


def _message(reading: GraphReading, space: str) -> str:
    total = float(reading.weighted.sum())
    if total == 0:
        return f"Nothing is distilled in the {space} space"
    i, j = max(PAIRS, key=lambda pair: float(reading.weighted[pair]))
    share = float(reading.weighted[i, j]) / total
    return f"{MODALITIES[i]} → {MODALITIES[j]} makes {share:.0%} of the {space} distillation loss, {total:.2f}"


def view_edge_name(pair: tuple[int, int]) -> str:
    """The name of an edge in the colour of its source, as its arrow has it."""
    source, target = (MODALITIES[place] for place in pair)
    return f"<span style='color: {COLOURS[source]}'><b>{source}</b> → {target}</span>"


def view_edge(reading: GraphReading, pair: tuple[int, int]) -> str:
    """Strength, disagreement and their product, of one edge."""
    values = (matrix[pair].item() for matrix in (reading.strengths, reading.disagreements, reading.weighted))
    looks = ("font-weight: bold", f"color: {QUIET}", "")
    cells = (f"<span style='{NUMBER.format(look)}'>{value:.2f}</span>" for value, look in zip(values, looks))
    return f"<div style='white-space: nowrap'>{''.join(cells)}</div>"


def view_columns() -> str:
    """The header of the columns of `view_edge`."""
    look = NUMBER.format(f"color: {QUIET}; font-size: 11px")
    cells = (f"<span style='{look}'>{name}</span>" for name in COLUMNS)
    return f"<div style='white-space: nowrap'>{''.join(cells)}</div>"


def view_student(reading: GraphReading, place: int) -> str:
    """ζ of one student, and how strongly Eq. (9) pulls at its head."""
    zeta, pull = reading.per_student[place].item(), reading.pulls[place].item()
    look = "white-space: nowrap; line-height: 1.5; margin-left: 10px; padding-left: 12px; border-left: 4px solid"
    return (
        f"<div style='{look} {COLOURS[MODALITIES[place]]}'>ζ of {MODALITIES[place]} <b>{zeta:.2f}</b><br>"
        f"pull on its head <b>{pull:.2f}</b></div>"
    )


def view_outcomes(before: Outcome, outcomes: Sequence[Outcome]) -> str:
    """One row for each choice of graphs: the error of every head, and beside it the change from the first, the control.

    The best choice of each column is bold on a light ground, as are all that share its two decimals.
    """
    best = {head: min(f"{outcome.errors[head]:.2f}" for outcome in outcomes) for head in HEADS}
    owner = {head: head.split("_")[1] for head in HEADS}
    spaces = "".join(f"<th colspan='3' style='{CELL}'>{space} heads</th>" for space in SPACES)
    heads = "".join(f"<th style='{CELL} color: {COLOURS[owner[head]]}'>{owner[head]}</th>" for head in HEADS)
    names = "".join(f"<th style='{CELL} text-align: left'>{space} graph</th>" for space in SPACES)
    start = "".join(_error(before, None, head, "") for head in HEADS)
    rows = [f"<th colspan='2'></th>{spaces}", names + heads, f"<td colspan='2' style='{CELL}'>before</td>{start}"]
    for outcome in outcomes:
        graphs = "".join(f"<td style='{CELL}'>{_graph(outcome, space)}</td>" for space in SPACES)
        rows.append(graphs + "".join(_error(outcome, outcomes[0], head, best[head]) for head in HEADS))
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table style='border-collapse: collapse; font-size: 12px'>{table}</table>{EXPLAINED}"


CELL = "padding: 2px 5px; white-space: nowrap; font-variant-numeric: tabular-nums;"
EXPLAINED = (
    "<div style='font-size: 12px; line-height: 1.4; padding: 6px 5px'>Mean absolute error of each head on validation "
    "clips; small: its change from the first choice, the control; bold: best of the column.<br>"
    "The small graphs are drawn as they are after the training.</div>"
)


def _error(outcome: Outcome, control: Outcome | None, head: str, best: str) -> str:
    text = f"{outcome.errors[head]:.2f}"
    mark = f"background: {COLOURS[head.split('_')[1]]}22; font-weight: bold;" if text == best else ""
    change = ""
    if control is not None and control is not outcome:
        change = f"{round(outcome.errors[head] - control.errors[head], 2) + 0.0:+.2f}"  # + 0.0: no minus before zero
    small = "display: inline-block; width: 36px; text-align: right; font-size: 11px; font-weight: normal"
    return f"<td style='{CELL} {mark}'>{text}<span style='{small}; color: {QUIET}'>{change}</span></td>"


def _graph(outcome: Outcome, space: str) -> str:
    return f"{graph_icon(outcome.edges[space])}<span style='padding-left: 6px'>{escape(outcome.graphs[space])}</span>"


def graph_icon(strengths: Float[Tensor, "3 3"]) -> str:
    """A small drawing without numbers, in SVG: each curve has the colour of its source and leaves it to the left."""
    curves = []
    for i, j in PAIRS:
        colour, width = COLOURS[MODALITIES[i]], 0.5 * min(strengths[i, j].item(), 1.0)
        (x, y), (to_x, to_y) = NODES[MODALITIES[i]], NODES[MODALITIES[j]]
        bend_x, bend_y = (x + to_x - 0.5 * (to_y - y)) / 2, (y + to_y + 0.5 * (to_x - x)) / 2
        path = f"M{x:.2f} {-y:.2f}Q{bend_x:.2f} {-bend_y:.2f} {to_x:.2f} {-to_y:.2f}"
        curves.append(f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='{width:.2f}'/>")
    nodes = [f"<circle cx='{x}' cy='{-y}' r='0.28' fill='{COLOURS[m]}'/>" for m, (x, y) in NODES.items()]
    box = "viewBox='-1.7 -1.4 3.4 2.9' width='34' height='29' style='vertical-align: middle'"
    return f"<svg {box}>{''.join(curves + nodes)}</svg>"
