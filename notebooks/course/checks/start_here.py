"""Notebook 00."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, summary_of
from dmdlite.config import MODALITIES


def _two_sets(dice: Dice) -> tuple:
    return dice.array(dice.whole(3, 8)), dice.array(dice.whole(2, 6))


def _constant_error(train_labels: np.ndarray, test_labels: np.ndarray) -> float:
    """By sorting."""
    train, test = sorted(train_labels.tolist()), test_labels.tolist()
    middle = (train[(len(train) - 1) // 2] + train[len(train) // 2]) / 2
    return sum(abs(label - middle) for label in test) / len(test)


def _graph(dice: Dice) -> tuple:
    return (dice.edges(),)


def _strongest_edge(edges: torch.Tensor) -> str:
    named = {f"{a} -> {b}": edges[i, j] for i, a in enumerate(MODALITIES) for j, b in enumerate(MODALITIES) if i != j}
    return max(named, key=named.__getitem__)


@exercise("0.1", returns="number", draw=_two_sets, right=_constant_error)
def constant_error(answer: Callable) -> None:
    """answer(train_labels, test_labels) -> the mean absolute error of always predicting the training median."""
    train, test = np.array([-3.0, 1.0, 1.2, 1.4, 3.0]), np.array([0.0, 2.0, 2.6])
    value, missed = float(answer(train, test)), test - 1.2
    expect(value >= 0, "an absolute error is never negative: take the absolute value before the mean")
    expect(
        abs(value - np.abs(test - 0.72).mean()) > 1e-6,
        "that is the error of the training mean; the error of the median is lower",
    )
    expect(
        abs(value - np.abs(test - 2.0).mean()) > 1e-6,
        "that constant uses the test labels: compute it from the training labels only",
    )
    mistakes = {
        "these are squared errors; MAE takes absolute ones": np.square(missed).mean(),
        "that is the root of the mean square; take absolute values instead": np.sqrt(np.square(missed).mean()),
        "errors of opposite sign cancel here: take the absolute value of each one before the mean": abs(missed.mean()),
        "that is the error on the training labels; measure it on the test labels": np.abs(train - 1.2).mean(),
        "that is the median of the errors; take their mean": np.median(np.abs(missed)),
        "that is the sum of the errors; divide by their number": np.abs(missed).sum(),
    }
    for message, mistake in mistakes.items():
        expect(abs(value - mistake) > 1e-6, message)
    example = f"train_labels {train.tolist()} and test_labels {test.tolist()}"
    expect(abs(value - np.abs(missed).mean()) < 1e-6, f"{example} should give 1.1333, got {value:.4f}")


@exercise("0.2", returns="text", draw=_graph, right=_strongest_edge)
def strongest_edge(answer: Callable) -> None:
    """answer(edges) -> "source -> target" of the largest entry of a 3 by 3 matrix w[i, j], i teaches j."""
    for i, j in ((0, 2), (2, 1), (1, 0)):
        edges = torch.full((3, 3), 0.1).fill_diagonal_(0.0)
        edges[i, j] = 0.5
        right, reverse = f"{MODALITIES[i]} -> {MODALITIES[j]}", f"{MODALITIES[j]} -> {MODALITIES[i]}"
        got = answer(edges)
        arrow = "write the arrow as ' -> ', with a space on each side"
        expect(got == right or got.replace(" ", "").replace("→", "->") != right.replace(" ", ""), f"{arrow}: {right!r}")
        expect(
            got != reverse,
            f"edges[{i}, {j}] is the largest: row {i} teaches column {j}, so it is {right!r}, not {reverse!r}",
        )
        expect(got == right, f"edges[{i}, {j}] is the largest, so the answer is {right!r}, got {got!r}")
    # The strongest row and the strongest column meet in another entry than the largest.
    edges = torch.tensor([[0.0, 0.4, 0.4], [0.1, 0.0, 0.0], [0.6, 0.1, 0.0]])
    got, right = answer(edges), f"{MODALITIES[2]} -> {MODALITIES[0]}"
    shown = "\n".join(str([round(weight, 1) for weight in row]) for row in edges.tolist())
    expect(
        got == right,
        f"find the largest single entry, not the strongest row or column; here it is {right!r}, got {got!r}\n{shown}",
    )


summary = summary_of(__name__)
