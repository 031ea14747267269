"""The three pictures of a run folder, whose titles say what they show, and a graph. No figure belongs to a window."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import ConfusionMatrixDisplay

from dmdlite.config import MODALITIES, SENTIMENT_RANGE, ModelConfig
from dmdlite.training.loop import epochs_without_progress, selected
from dmdlite.training.metrics import Logits, Truth, decided, lower_is_better, title

# Paul Tol's bright palette, safe for colour-blind readers.
COLOURS = {"language": "#4477AA", "vision": "#228833", "audio": "#EE6677"}
MARKERS = {"language": "o", "vision": "s", "audio": "^"}
TARGET_STYLES = {"language": "solid", "vision": "dashed", "audio": "dotted"}
MODEL, INK, QUIET = "#AA3377", "#222222", "#888888"  # all modalities together; a loss term; for comparison only
LABEL_RANGES = {"mosi": SENTIMENT_RANGE, "sims": (-1.0, 1.0)}  # label_scale -> least and greatest label
# Of a graph: where its nodes are, their radius, how far arrows bend, the widest of them, the least that is not 0.00.
NODES = {"language": (0.0, 1.0), "vision": (1.3, -0.9), "audio": (-1.3, -0.9)}
RADIUS, BEND, THICKEST, VISIBLE = 0.36, 0.17, 9.0, 0.005

Records = list[dict[str, Any]]
Priors = dict[str, list[list[float]]]


def draw_losses(epochs: Records, constant: float, select_by: str = "error") -> Figure:
    """The validation error, or the score that selects the best epoch, beside a constant predictor's, and all losses."""
    name = f"validation {title(select_by)}"
    curves = {f"{name} (dashed: a constant, {constant:.2f})": [selected(x, select_by) for x in epochs]}
    for term in epochs[0]["losses"]:
        label = "training loss, total" if term == "total" else term.replace("_", " ")
        curves[label] = [record["losses"][term] for record in epochs]
    rows = -(-len(curves) // 4)
    figure = Figure(figsize=(11, 1.0 + 1.6 * rows), layout="constrained")
    axes = figure.subplots(rows, 4, sharex=True, squeeze=False).ravel()
    for axis in axes[len(curves) :]:
        axis.remove()
    for axis, (label, values) in zip(axes, curves.items(), strict=False):
        _plot(axis, epochs, values, color=MODEL if axis is axes[0] else INK)
        axis.set_title(label, fontsize=8)
    best = epochs[-1 - epochs_without_progress(epochs, select_by)]
    axes[0].plot(best["epoch"], selected(best, select_by), "o", color=MODEL)
    axes[0].axhline(constant, color=QUIET, linestyle="dashed", linewidth=1)
    figure.supxlabel("epoch", fontsize=10)
    extreme = "lowest" if lower_is_better(select_by) else "highest"
    figure.suptitle(f"V{name[1:]} is {extreme} after epoch {best['epoch']} of {epochs[-1]['epoch']}", fontsize=13)
    return figure


def _plot(axis: Axes, epochs: Records, values: list[float], **style: Any) -> None:
    """A curve over the epochs: a dot where there is only one."""
    axis.plot([record["epoch"] for record in epochs], values, marker="o" if len(epochs) == 1 else "", **style)
    axis.spines[["top", "right"]].set_visible(False)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axis.tick_params(labelsize=8)


def draw_answers(predictions: Logits, truth: Truth, metrics: dict[str, Any], config: ModelConfig) -> Figure:
    """The answers to the test clips against the truth, as the task asks for."""
    if config.task == "multilabel":
        return draw_labels(metrics["test"], config)
    if config.task != "regression":
        return draw_classes(predictions, truth, config.task)
    error, constant = (scores["test"]["mae"] for scores in (metrics, metrics["constant"]))
    missed, beside = f"Test clips are missed by {error:.2f} on average", f"(by a constant: {constant:.2f})"
    if truth.ndim == 1 and config.label_scale != "other":
        figure = draw_sentiment(predictions, truth, round(LABEL_RANGES[config.label_scale][1]))
        figure.axes[0].set_title(f"{missed}\n{beside}", fontsize=12)
    else:
        scores = metrics["test"]
        if truth.ndim == 1:
            predictions, truth = predictions[:, None], truth[:, None]
            scores = {f"{name}_1": score for name, score in scores.items()}
        figure = draw_numbers(predictions, truth, scores)
        figure.suptitle(f"{missed} {beside}", fontsize=12)
    return figure


def draw_sentiment(predictions: Float[np.ndarray, "clips"], truth: Float[np.ndarray, "clips"], most: int) -> Figure:
    """Predicted against true sentiment; on the diagonal they agree."""
    figure = Figure(figsize=(5.6, 5.6), layout="constrained")
    axis = figure.subplots()
    edge, ticks = 1.05 * max(most, float(np.abs(predictions).max())), range(-most, most + 1)
    axis.axhline(0, color="#DDDDDD", linewidth=1)
    axis.axvline(0, color="#DDDDDD", linewidth=1)
    _scatter(axis, predictions, truth, [-edge, edge])
    axis.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal", xticks=ticks, yticks=ticks)
    axis.set(xlabel="true sentiment", ylabel="predicted sentiment")
    return figure


def draw_numbers(
    predictions: Float[np.ndarray, "clips outputs"], truth: Float[np.ndarray, "clips outputs"], scores: dict[str, float]
) -> Figure:
    """One panel for each number; on the diagonal prediction and truth agree."""
    count = truth.shape[1]
    figure = Figure(figsize=(3.6 * count, 4.2), layout="constrained")
    panels = zip(figure.subplots(1, count, squeeze=False)[0], predictions.T, truth.T, strict=True)
    for number, (axis, answers, wanted) in enumerate(panels, start=1):
        both = np.concatenate([answers, wanted])
        _scatter(axis, answers, wanted, [float(both.min()), float(both.max())])
        axis.set(xlabel=f"true number {number}", ylabel=f"predicted number {number}")
        axis.set_title(f"CCC {scores[f'ccc_{number}']:.2f}, MAE {scores[f'mae_{number}']:.2f}", fontsize=10)
    return figure


def _scatter(axis: Axes, predictions: np.ndarray, truth: np.ndarray, span: list[float]) -> None:
    axis.plot(span, span, color=QUIET, linestyle="dashed", linewidth=1)
    axis.scatter(truth, predictions, s=16, color=MODEL, alpha=0.6, linewidths=0)
    axis.spines[["top", "right"]].set_visible(False)


def draw_labels(scores: dict[str, float], config: ModelConfig) -> Figure:
    """The weighted accuracy of each of several labels: 0.5 is chance."""
    names = config.class_names or [str(i) for i in range(1, config.outputs + 1)]
    figure = Figure(figsize=(5.6, 1.4 + 0.35 * len(names)), layout="constrained")
    axis = figure.subplots()
    axis.barh(names, [scores[f"weighted_accuracy_{name}"] for name in names], color=MODEL)
    axis.axvline(0.5, color=QUIET, linestyle="dashed", linewidth=1)
    axis.set(xlim=(0, 1), xlabel="weighted accuracy on the test split (dashed: chance)")
    axis.invert_yaxis()
    axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"The weighted accuracy of a label is {scores['weighted_accuracy']:.2f} on average", fontsize=12)
    return figure


def draw_classes(predictions: Logits, truth: Int[np.ndarray, "clips"], task: str) -> Figure:
    """How many test clips of each true class (rows) got which answer (columns); right answers are on the diagonal."""
    answers = decided(predictions, task)
    classes = range(1 + max(truth.max(), answers.max()))
    figure = Figure(figsize=(1.6 + 0.55 * len(classes), 2.0 + 0.55 * len(classes)), layout="constrained")
    options = {"labels": classes, "cmap": "Purples", "colorbar": False, "ax": figure.subplots()}
    ConfusionMatrixDisplay.from_predictions(truth, answers, **options)
    figure.axes[0].set(xlabel="answer", ylabel="true class")
    figure.suptitle(f"{(truth == answers).mean():.0%} of the test clips\nget their class", fontsize=11)
    return figure


def draw_edges(epochs: Records, priors: Priors | None = None, modalities: Sequence[str] = MODALITIES) -> Figure:
    """The edges of each graph, means over the training clips, over the epochs (Fig. 5); priors are grey lines."""
    spaces, pairs = list(epochs[0]["edges"]), list(permutations(enumerate(modalities), 2))  # (i, source), (j, target)
    figure = Figure(figsize=(5.0 * len(spaces) + 1.8, 4.2), layout="constrained")
    axes = figure.subplots(1, len(spaces), sharey=True, squeeze=False).ravel()
    strongest = {}
    for axis, space in zip(axes, spaces, strict=True):
        curves = {}
        for (i, source), (j, target) in pairs:
            edge = f"{source} → {target}"
            curves[edge] = [record["edges"][space][i][j] for record in epochs]
            style = {"color": COLOURS[source], "linestyle": TARGET_STYLES[target], "label": edge}
            _plot(axis, epochs, curves[edge], linewidth=2, **style)
        strongest[space] = max(curves, key=lambda edge: curves[edge][-1])
        for (i, _), (j, _) in pairs if priors else ():
            axis.axhline(priors[space][i][j], label="prior", color=QUIET, linewidth=1, zorder=0)
        axis.set_title(f"{space} graph", fontsize=11)
        axis.set_xlabel("epoch")
    sums_to_one = all(abs(np.sum(edges) - 1) < 1e-3 for edges in epochs[-1]["edges"].values())
    together = " (all six sum to 1)" if len(pairs) == 6 else " (both sum to 1)"
    axes[0].set_ylabel("mean edge weight" + together * sums_to_one)
    lines = dict(zip(*reversed(axes[0].get_legend_handles_labels())))
    figure.legend(lines.values(), lines, loc="outside right center", frameon=False)
    parts = [f"{edge} ({space})" for space, edge in strongest.items()]
    answer = ", ".join(parts) if len(set(strongest.values())) > 1 else f"{strongest[spaces[0]]} in every graph"
    figure.suptitle(f"Strongest edge at the end: {answer}", fontsize=13)
    return figure


def draw_graph(
    axis: Axes,
    strengths: Float[np.ndarray, "source target"],
    title: str = "",
    *,
    largest: float = 0.5,
    notes: Mapping[str, str] | None = None,
    modalities: Sequence[str] = MODALITIES,
    number: str = "{:.2f}",
) -> None:
    """strengths[i, j] is how strongly i teaches j; its arrow leaves i in i's colour, as wide as it is strong.

    largest: the strength that gets the widest arrow; stronger ones get no wider. An edge that rounds to 0.00 is a
    thin dotted line. Each arrow carries its number, in this format. notes: words below the name of each modality.
    """
    for (i, source), (j, target) in permutations(enumerate(modalities), 2):
        _arrow(axis, source, target, float(strengths[i, j]), largest, number)
    for modality in modalities:
        colour, (x, y) = COLOURS[modality], NODES[modality]
        axis.add_patch(Circle((x, y), RADIUS, facecolor="white", edgecolor=colour, linewidth=2.5, zorder=3))
        lift = 0.08 if notes else 0.0
        axis.text(x, y + lift, modality, ha="center", va="center", fontsize=7, color=colour, zorder=4)
        if notes:
            axis.text(x, y - 0.14, notes[modality], ha="center", va="center", fontsize=7, color=INK, zorder=4)
    axis.set(xlim=(-1.8, 1.8), ylim=(-1.45, 1.45), aspect="equal")
    axis.axis("off")
    axis.set_title(title, fontsize=10)


def _arrow(axis: Axes, source: str, target: str, strength: float, largest: float, number: str) -> None:
    """Bent to the left of its direction, so that the two arrows of a pair lie side by side."""
    start, end = np.array(NODES[source]), np.array(NODES[target])
    along = (end - start) / np.linalg.norm(end - start)
    side = np.array([-along[1], along[0]])
    start, end = start + 0.12 * side + (RADIUS + 0.03) * along, end + 0.12 * side - (RADIUS + 0.03) * along
    width = 0.8 + THICKEST * min(strength / largest, 1.0)
    style = f"simple,tail_width={width * 0.45:.2f},head_width={2 + width:.2f},head_length={2 + 0.8 * width:.2f}"
    look = {"arrowstyle": style, "color": COLOURS[source]}
    if strength < VISIBLE:
        look = {"arrowstyle": "-", "color": QUIET, "linestyle": "dotted", "linewidth": 1}
    axis.add_patch(FancyArrowPatch(start, end, connectionstyle=f"arc3,rad={-BEND}", **look))
    bend = (start + end) / 2 + BEND * np.linalg.norm(end - start) * side  # the curve's control point
    nearer = 0.4  # the number is nearer to the source, where the three inner ones have room
    on_curve = (1 - nearer) ** 2 * start + 2 * nearer * (1 - nearer) * bend + nearer**2 * end
    place = on_curve + (0.17 + 0.008 * width) * side
    axis.text(*place, number.format(strength), ha="center", va="center", fontsize=8, color=look["color"], zorder=5)
