"""The three pictures of a run folder. Each returns a figure that belongs to no window; its title says what it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dmdlite.components.losses import decide
from dmdlite.config import MODALITIES

# Paul Tol's bright palette, safe for colour-blind readers.
COLOURS = {"language": "#4477AA", "vision": "#228833", "audio": "#EE6677"}
TARGET_STYLES = {"language": "solid", "vision": "dashed", "audio": "dotted"}
MODEL, INK, QUIET = "#AA3377", "#222222", "#888888"  # all modalities together; a loss term; for comparison only

Records = list[dict[str, Any]]


def draw_losses(epochs: Records, constant_error: float) -> Figure:
    """Validation error, beside a constant predictor's, and every loss term on its own scale, over the epochs."""
    terms = list(epochs[0]["losses"])
    columns = 4
    rows = -(-(len(terms) + 1) // columns)
    figure = Figure(figsize=(11, 1.0 + 1.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    numbers = [record["epoch"] for record in epochs]
    best = min(epochs, key=lambda record: record["valid_error"])
    _validation_panel(axes[0], numbers, epochs, best, constant_error)
    for axis, term in zip(axes[1:], terms, strict=False):
        axis.plot(numbers, [record["losses"][term] for record in epochs], color=INK, marker=_marker(epochs))
        axis.set_title("training loss, total" if term == "total" else term.replace("_", " "), fontsize=8)
    for axis in axes[len(terms) + 1 :]:
        axis.remove()
    for axis in axes[: len(terms) + 1]:
        _tidy(axis)
    figure.supxlabel("epoch", fontsize=10)
    figure.suptitle(f"Validation error is lowest after epoch {best['epoch']} of {numbers[-1]}", fontsize=13)
    return figure


def _validation_panel(axis: Axes, numbers: list[int], epochs: Records, best: dict[str, Any], constant: float) -> None:
    axis.plot(numbers, [record["valid_error"] for record in epochs], color=MODEL, marker=_marker(epochs))
    axis.plot(best["epoch"], best["valid_error"], "o", color=MODEL)
    axis.axhline(constant, color=QUIET, linestyle="dashed", linewidth=1)
    axis.set_title(f"validation error (dashed: a constant, {constant:.2f})", fontsize=8)


def draw_predictions(
    predictions: Float[np.ndarray, "clips"], labels: Float[np.ndarray, "clips"], metrics: dict[str, Any]
) -> Figure:
    """Predicted against true sentiment of the test clips; on the diagonal they agree."""
    figure = Figure(figsize=(5.6, 5.6), layout="constrained")
    axis = figure.subplots()
    edge = 1.05 * max(3.0, float(np.abs(predictions).max()))
    axis.axhline(0, color="#DDDDDD", linewidth=1)
    axis.axvline(0, color="#DDDDDD", linewidth=1)
    axis.plot([-edge, edge], [-edge, edge], color=QUIET, linestyle="dashed", linewidth=1)
    axis.scatter(labels, predictions, s=16, color=MODEL, alpha=0.6, linewidths=0)
    axis.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal", xticks=range(-3, 4), yticks=range(-3, 4))
    axis.set(xlabel="true sentiment", ylabel="predicted sentiment")
    error, constant = metrics["test"]["mae"], metrics["constant"]["test"]["mae"]
    axis.set_title(f"Test clips are missed by {error:.2f} on average\n(by a constant: {constant:.2f})", fontsize=12)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def draw_answers(
    predictions: Float[np.ndarray, "clips *logits"],
    truth: Num[np.ndarray, "clips *outputs"],
    metrics: dict[str, Any],
    task: str,
) -> Figure:
    """The answers to the test clips against the truth, as the task asks for."""
    if task == "regression" and truth.ndim == 1:
        return draw_predictions(predictions, truth, metrics)
    return draw_numbers(predictions, truth, metrics) if task == "regression" else draw_classes(predictions, truth, task)


def draw_numbers(
    predictions: Float[np.ndarray, "clips outputs"], truth: Float[np.ndarray, "clips outputs"], metrics: dict[str, Any]
) -> Figure:
    """One panel for each number; on the diagonal prediction and truth agree."""
    count = truth.shape[1]
    figure = Figure(figsize=(3.6 * count, 4.2), layout="constrained")
    for i, axis in enumerate(figure.subplots(1, count, squeeze=False)[0]):
        span = [min(truth[:, i].min(), predictions[:, i].min()), max(truth[:, i].max(), predictions[:, i].max())]
        axis.plot(span, span, color=QUIET, linestyle="dashed", linewidth=1)
        axis.scatter(truth[:, i], predictions[:, i], s=16, color=MODEL, alpha=0.6, linewidths=0)
        axis.set(xlabel=f"true number {i + 1}", ylabel=f"predicted number {i + 1}")
        axis.set_title(
            f"CCC {metrics['test'][f'ccc_{i + 1}']:.2f}, MAE {metrics['test'][f'mae_{i + 1}']:.2f}", fontsize=10
        )
        axis.spines[["top", "right"]].set_visible(False)
    error, constant = metrics["test"]["mae"], metrics["constant"]["test"]["mae"]
    figure.suptitle(f"Test clips are missed by {error:.2f} on average (by a constant: {constant:.2f})", fontsize=12)
    return figure


def draw_classes(predictions: Float[np.ndarray, "clips *logits"], truth: Int[np.ndarray, "clips"], task: str) -> Figure:
    """How many test clips of each true class (rows) got which answer (columns); right answers are on the diagonal."""
    answers = decide(torch.from_numpy(predictions), task).numpy()
    counts = np.zeros((1 + max(truth.max(), answers.max()),) * 2, int)
    np.add.at(counts, (truth, answers), 1)
    figure = Figure(figsize=(1.6 + 0.55 * len(counts), 2.0 + 0.55 * len(counts)), layout="constrained")
    axis = figure.subplots()
    axis.imshow(counts, cmap="Purples", vmin=0)
    for (row, column), count in np.ndenumerate(counts):
        axis.text(column, row, count, ha="center", va="center", color="white" if count > counts.max() / 2 else INK)
    axis.set(xticks=range(len(counts)), yticks=range(len(counts)), xlabel="answer", ylabel="true class")
    figure.suptitle(f"{(truth == answers).mean():.0%} of the test clips\nget their class", fontsize=11)
    return figure


def draw_edges(epochs: Records, priors: dict[str, list[list[float]]] | None = None) -> Figure:
    """The six edges of each graph, averaged over the training clips, over the epochs. Paper: Fig. 5.

    priors: the hand-set prior of each graph; its values are drawn as grey lines across the panel.
    """
    spaces = list(epochs[0]["edges"])
    figure = Figure(figsize=(5.0 * len(spaces) + 1.8, 4.2), layout="constrained")
    axes = figure.subplots(1, len(spaces), sharey=True, squeeze=False).ravel()
    numbers = [record["epoch"] for record in epochs]
    for axis, space in zip(axes, spaces, strict=True):
        for (source, i), (target, j) in _pairs():
            weights = [record["edges"][space][i][j] for record in epochs]
            style = {"color": COLOURS[source], "linestyle": TARGET_STYLES[target], "marker": _marker(epochs)}
            axis.plot(numbers, weights, label=f"{source} → {target}", linewidth=2, **style)
        for i, j in ((i, j) for (_, i), (_, j) in _pairs() if priors):
            axis.axhline(priors[space][i][j], label="prior", color=QUIET, linewidth=1, zorder=0)
        axis.set_title(f"{space} graph", fontsize=11)
        axis.set_xlabel("epoch")
        _tidy(axis)
    axes[0].set_ylabel("mean edge weight (all six sum to 1)" if _sums_to_one(epochs[-1]) else "mean edge weight")
    lines = dict(zip(*reversed(axes[0].get_legend_handles_labels())))
    figure.legend(lines.values(), lines, loc="outside right center", frameon=False)
    strongest = [_strongest(epochs[-1]["edges"][space]) for space in spaces]
    parts = [f"{edge} ({space})" for edge, space in zip(strongest, spaces, strict=True)]
    answer = f"{strongest[0]} in every graph" if len(set(strongest)) == 1 else ", ".join(parts)
    figure.suptitle(f"Strongest edge at the end: {answer}", fontsize=13)
    return figure


def _pairs() -> list[tuple[tuple[str, int], tuple[str, int]]]:
    nodes = [(modality, place) for place, modality in enumerate(MODALITIES)]
    return [(source, target) for source in nodes for target in nodes if source != target]


def _strongest(edges: list[list[float]]) -> str:
    (source, _), (target, _) = max(_pairs(), key=lambda pair: edges[pair[0][1]][pair[1][1]])
    return f"{source} → {target}"


def _sums_to_one(record: dict[str, Any]) -> bool:
    return all(abs(np.sum(edges) - 1) < 1e-3 for edges in record["edges"].values())


def _marker(epochs: Records) -> str:
    """Dots where a line is too short to be seen."""
    return "o" if len(epochs) == 1 else ""


def _tidy(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axis.tick_params(labelsize=8)
