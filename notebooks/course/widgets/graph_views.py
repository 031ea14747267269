"""What the graph editor shows: pictures and tables, each a pure function of its arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from course.widgets.graph_drawing import graph_svg
from course.widgets.graph_state import PAIRS, GraphReading
from course.widgets.graph_training import Outcome
from dmdlite.config import MODALITIES, SPACES
from dmdlite.training.figures import COLOURS, NODES, QUIET, draw_graph

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


def draw_readings(readings: Mapping[str, GraphReading], title: str) -> Figure:
    """Both graphs with ζ at each student."""
    figure = Figure(figsize=(7, 3.3), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.08)
    for axis, (space, reading) in zip(figure.subplots(1, len(readings)), readings.items(), strict=True):
        notes = {m: f"ζ {zeta:.2f}" for m, zeta in zip(MODALITIES, reading.per_student.tolist(), strict=True)}
        draw_graph(axis, reading.strengths.numpy(), f"{space} graph", notes=notes)
    figure.suptitle(title, fontsize=11)
    return figure


def _message(reading: GraphReading) -> str:
    total = float(reading.weighted.sum())
    if total == 0:
        return "Nothing is distilled"
    i, j = max(PAIRS, key=lambda pair: float(reading.weighted[pair]))
    share = float(reading.weighted[i, j]) / total
    return f"{MODALITIES[i]} → {MODALITIES[j]} makes {share:.0%} of the distillation loss of {total:.2f}"


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


def view_outcomes(before: Outcome, control: Outcome, outcomes: Sequence[Outcome], space: str) -> str:
    """One row for each choice of graphs: the errors of a space's heads, their change from the control, and its noise.

    outcomes: without the control, which has the second row.
    """
    heads = {m: f"{space}_{m}" for m in MODALITIES}
    names = "".join(f"<th style='{CELL} color: {COLOURS[m]}'>{m}</th>" for m in heads)
    graphs = f"<th style='{CELL}' rowspan='2'>graphs: {SPACES[0]},<br>{SPACES[1]}</th>"
    rows = [f"{graphs}<th colspan='3' style='{CELL}'>errors of the {space} heads</th>", names]
    for name, known in (("before", before), ("no distillation, the control", control)):
        cells = "".join(f"<td style='{CELL} color: {QUIET}'>{known.errors[head]:.2f}</td>" for head in heads.values())
        rows.append(f"<td style='{CELL} color: {QUIET}'>{name}</td>{cells}")
    for outcome in outcomes:
        errors = (_error(outcome.errors[head], outcome.changes(control, head), m) for m, head in heads.items())
        rows.append(f"<td style='{CELL} white-space: normal'>{_graphs(outcome)}</td>{''.join(errors)}")
    if not outcomes:
        rows.append(
            f"<td colspan='4' style='{CELL} padding: 14px 5px'>Choose two graphs and train: a row appears.</td>"
        )
    table = "".join(f"<tr style='border-top: 1px solid #e3e5ea'>{row}</tr>" for row in rows)
    explained = EXPLAINED.format(orders=len(control.runs))
    return f"<table style='border-collapse: collapse; font-size: 12px; line-height: 1.3'>{table}</table>{explained}"


CELL = "padding: 3px 5px; white-space: nowrap; text-align: left; font-variant-numeric: tabular-nums;"
EXPLAINED = (
    "<div style='font-size: 12px; line-height: 1.35; padding: 6px 5px; width: 390px'>Mean absolute errors on "
    "validation clips, on the scale from −3 to +3: the mean over {orders} orders of batches, its change from the "
    "control, and a bar from the lowest to the highest change of a single order; the tick marks no change. Bold: "
    "larger than the bar, and of one sign.</div>"
)
BAND, SCALE = 66, 160  # pixels: of a whole bar; for a change of one point


def _error(error: float, changes: Sequence[float], modality: str) -> str:
    low, high, mean = min(changes), max(changes), round(sum(changes) / len(changes), 2) + 0.0  # no minus before zero
    clear = low * high > 0 and abs(mean) > high - low
    small = f"<span style='font-size: 11px; {'font-weight: bold' if clear else f'color: {QUIET}'}'>{mean:+.2f}</span>"
    bar = _band(low, high, COLOURS[modality])
    return f"<td style='{CELL}' title='from {low:+.3f} to {high:+.3f}'>{error:.2f} {small}<br>{bar}</td>"


def _band(low: float, high: float, colour: str) -> str:
    """From the lowest to the highest change, beside a tick at no change."""
    ends = [min(BAND - 2.0, max(2.0, BAND / 2 + SCALE * change)) for change in (low, high)]
    bar = f"<rect x='{ends[0] - 1:.1f}' y='3' width='{ends[1] - ends[0] + 2:.1f}' height='6' rx='2' fill='{colour}'/>"
    tick = f"<path d='M0 6H{BAND}M{BAND / 2} 0V12' stroke='#b5bac4' fill='none'/>"
    return f"<svg width='{BAND}' height='12' style='vertical-align: top'>{tick}{bar}</svg>"


def _graphs(outcome: Outcome) -> str:
    """Both graphs as they are after the lessons, and their names."""
    icons = " ".join(graph_icon(outcome.edges[space]) for space in SPACES)
    names = dict.fromkeys(outcome.graphs[space] for space in SPACES)  # once, if they are the same
    return f"{icons}<br>{escape(', '.join(names))}"


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
