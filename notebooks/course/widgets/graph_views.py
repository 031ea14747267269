"""What the graph editor shows: pictures and tables, each a pure function of its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from course.figures.graphs import NODES, draw_graph
from course.widgets.graph_drawing import graph_svg
from course.widgets.graph_state import PAIRS, GraphReading
from course.widgets.graph_training import HEADS, Outcome
from dmdlite.config import MODALITIES, SPACES
from dmdlite.training.figures import COLOURS, INK, QUIET

NUMBER = "display: inline-block; width: 50px; text-align: right; font-variant-numeric: tabular-nums; {}"
COLUMNS = ("w", "ε", "w · ε")


def view_reading(reading: GraphReading, space: str) -> bytes:
    """The graph of a space before any lesson, in SVG, with ζ at each student."""
    notes = {m: f"ζ {zeta:.2f}" for m, zeta in zip(MODALITIES, reading.per_student.tolist(), strict=True)}
    return graph_svg(reading.strengths, f"{space} graph, at the start", _message(reading), notes)


def view_trained(outcome: Outcome, space: str, steps: int) -> bytes:
    """The same graph as it is after the lessons, with the error of each head."""
    edges, errors = outcome.edges[space], outcome.errors
    i, j = max(PAIRS, key=lambda pair: edges[pair].item())
    widest = f"{MODALITIES[i]} → {MODALITIES[j]} is the widest edge, {edges[i, j]:.2f}"
    notes = {m: f"error {errors[f'{space}_{m}']:.2f}" for m in MODALITIES}
    return graph_svg(
        edges, f"{space} graph, after {steps} steps", widest if edges.any() else "all edges are off", notes
    )


def draw_readings(readings: Mapping[str, GraphReading], chosen: str) -> Figure:
    """Both graphs with ζ at each student; the title names the strongest edge of the chosen one."""
    figure = Figure(figsize=(7, 3.3), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)
    for axis, (space, reading) in zip(figure.subplots(1, len(readings)), readings.items(), strict=True):
        notes = {m: f"ζ {zeta:.2f}" for m, zeta in zip(MODALITIES, reading.per_student.tolist(), strict=True)}
        draw_graph(axis, reading.strengths.numpy(), f"{space} graph", notes=notes)
        axis.title.set(color=INK if space == chosen else QUIET, weight="bold" if space == chosen else "normal")
    figure.suptitle(f"{_message(readings[chosen])} in the {chosen} space", fontsize=11)
    return figure


def _message(reading: GraphReading) -> str:
    total = float(reading.weighted.sum())
    if total == 0:
        return "Nothing is distilled"
    i, j = max(PAIRS, key=lambda pair: float(reading.weighted[pair]))
    share = float(reading.weighted[i, j]) / total
    return f"{MODALITIES[i]} → {MODALITIES[j]} makes {share:.0%} of the distillation loss, {total:.2f}"


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


def view_outcomes(before: Outcome, control: Outcome, outcomes: Sequence[Outcome]) -> str:
    """One row for each choice of graphs: the error of every head, how it differs from the control, and the noise.

    outcomes: without the control, which has the second row.
    """
    owner = {head: head.split("_")[1] for head in HEADS}
    spaces = "".join(f"<th colspan='3' style='{CELL}'>{space} heads</th>" for space in SPACES)
    heads = "".join(f"<th style='{CELL} color: {COLOURS[owner[head]]}'>{owner[head]}</th>" for head in HEADS)
    names = "".join(f"<th style='{CELL} text-align: left'>{space}<br>graph</th>" for space in SPACES)
    rows = [f"<th colspan='2'></th>{spaces}", names + heads]
    for name, known in (("before", before), ("no distillation: the control", control)):
        cells = "".join(f"<td style='{CELL} color: {QUIET}'>{known.errors[head]:.2f}</td>" for head in HEADS)
        rows.append(f"<td colspan='2' style='{CELL} color: {QUIET}'>{name}</td>{cells}")
    for outcome in outcomes:
        graphs = "".join(f"<td style='{CELL} white-space: normal'>{_graph(outcome, space)}</td>" for space in SPACES)
        rows.append(graphs + "".join(_error(outcome, control, head) for head in HEADS))
    if not outcomes:
        rows.append(
            f"<td colspan='8' style='{CELL} padding: 14px'>Choose two graphs and train: a row appears here.</td>"
        )
    table = "".join(f"<tr style='border-top: 1px solid #e3e5ea'>{row}</tr>" for row in rows)
    explained = EXPLAINED.format(orders=len(control.runs))
    return f"<table style='border-collapse: collapse; font-size: 12px'>{table}</table>{explained}"


CELL = "padding: 3px 5px; white-space: nowrap; font-variant-numeric: tabular-nums;"
EXPLAINED = (
    "<div style='font-size: 12px; line-height: 1.4; padding: 6px 5px; max-width: 640px'>Mean absolute error of each "
    "head on validation clips, in points, the mean over {orders} orders of batches, and its change from the control. "
    "The bar spans the changes of the single orders; the tick marks no change. A change is bold if it has the same "
    "sign in every order and is larger than the bar.</div>"
)
BAND, SCALE = 54, 90  # pixels: of a whole bar; for a change of one point


def _error(outcome: Outcome, control: Outcome, head: str) -> str:
    changes = outcome.changes(control, head)
    low, high, mean = min(changes), max(changes), round(sum(changes) / len(changes), 2) + 0.0  # no minus before zero
    clear = low * high > 0 and abs(mean) > high - low
    small = f"<span style='font-size: 11px; {'font-weight: bold' if clear else f'color: {QUIET}'}'>{mean:+.2f}</span>"
    title = f"from {low:+.3f} to {high:+.3f}"
    return (
        f"<td style='{CELL}' title='{title}'>{outcome.errors[head]:.2f} {small}<br>"
        f"{_band(low, high, COLOURS[head.split('_')[1]])}</td>"
    )


def _band(low: float, high: float, colour: str) -> str:
    """From the lowest to the highest change, beside a tick at no change."""
    ends = [min(BAND - 2.0, max(2.0, BAND / 2 + SCALE * change)) for change in (low, high)]
    bar = f"<rect x='{ends[0] - 1:.1f}' y='3' width='{ends[1] - ends[0] + 2:.1f}' height='6' rx='2' fill='{colour}'/>"
    tick = f"<path d='M0 6H{BAND}M{BAND / 2} 0V12' stroke='#b5bac4' fill='none'/>"
    return f"<svg width='{BAND}' height='12' style='vertical-align: top'>{tick}{bar}</svg>"


def _graph(outcome: Outcome, space: str) -> str:
    return f"{graph_icon(outcome.edges[space])}<br>{escape(outcome.graphs[space])}"


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
