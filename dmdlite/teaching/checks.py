"""Marks the exercises: each check takes the student's function, says what is wrong with it, or that it is right.

A check compares with numbers that were worked out here, never with the student's own. Stubs raise NotImplementedError,
which counts as "not attempted yet", so that a notebook runs from top to bottom before anybody has solved anything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import torch

from dmdlite.config import MODALITIES, DMDConfig

Check = Callable[[Callable], None]


def exercise(number: str) -> Callable[[Check], Check]:
    """Turns a function that asserts things about an answer into one that reports on it."""

    def decorate(check: Check) -> Check:
        @wraps(check)
        def report(answer: Callable) -> None:
            try:
                check(answer)
            except NotImplementedError:
                print(f"Exercise {number}: not attempted yet")
            else:
                print(f"Exercise {number}: correct")

        report.exercise = number
        return report

    return decorate


def expect(condition: Any, message: str) -> None:
    """An assertion that speaks to a student."""
    if not condition:
        raise AssertionError(message)


@exercise("0.1")
def constant_error(answer: Callable) -> None:
    """answer(train_labels, test_labels) -> the mean absolute error of always predicting the training median."""
    train, test = np.array([-3.0, 1.0, 1.2, 1.4, 3.0]), np.array([0.0, 2.0, 2.6])
    value = float(answer(train, test))
    expect(value >= 0, "an absolute error is never negative: take the absolute value before the mean")
    expect(
        abs(value - np.abs(test - 0.72).mean()) > 1e-6, "that is the error of the training mean; the median errs less"
    )
    expect(
        abs(value - np.abs(test - 2.0).mean()) > 1e-6,
        "that constant knows the test labels: only the training ones may tell it",
    )
    expect(abs(value - np.square(test - 1.2).mean()) > 1e-6, "these are squared errors; MAE takes absolute ones")
    expect(abs(value - np.abs(test - 1.2).mean()) < 1e-6, f"expected 1.1333 for a small example, got {value:.4f}")


@exercise("0.2")
def strongest_edge(answer: Callable) -> None:
    """answer(edges) -> "source -> target" of the largest entry of a 3 by 3 matrix w[i, j], i teaches j."""
    for i, j in ((0, 2), (2, 1), (1, 0)):
        edges = torch.full((3, 3), 0.1).fill_diagonal_(0.0)
        edges[i, j] = 0.5
        right, reverse = f"{MODALITIES[i]} -> {MODALITIES[j]}", f"{MODALITIES[j]} -> {MODALITIES[i]}"
        said = answer(edges)
        expect(
            said != reverse,
            f"edges[{i}, {j}] is the largest: row {i} teaches column {j}, so it is {right!r}, not {reverse!r}",
        )
        expect(said == right, f"edges[{i}, {j}] is the largest, so the answer is {right!r}, got {said!r}")


@exercise("8.1")
def edge_matrix(answer: Callable) -> None:
    """answer(six) -> (batch, 3, 3) from (6, batch) in the published order v→l, a→l, l→v, a→v, l→a, v→a."""
    six = torch.arange(1.0, 13.0).view(6, 2)
    expected = torch.zeros(2, 3, 3)
    for edge, (source, target) in enumerate(((1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2))):
        expected[:, source, target] = six[edge]
    matrix = torch.as_tensor(answer(six))
    expect(
        tuple(matrix.shape) == (2, 3, 3),
        f"the shape should be (batch, 3, 3), here (2, 3, 3), got {tuple(matrix.shape)}",
    )
    expect(matrix.diagonal(dim1=1, dim2=2).eq(0).all(), "nobody teaches himself: the diagonal must be zero")
    transposed = torch.equal(matrix, expected.transpose(1, 2))
    expect(not transposed, "rows and columns are swapped: edges[b, i, j] is the edge from source i to target j")
    for _, i, j in (matrix != expected).nonzero().tolist():
        raise AssertionError(f"edges[:, {i}, {j}] holds another edge's value; see the order in the text")
    more = torch.as_tensor(answer(torch.ones(6, 5)))
    expect(tuple(more.shape) == (5, 3, 3), f"of 5 clips the shape should be (5, 3, 3), got {tuple(more.shape)}")


@exercise("8.2")
def weighted_total(answer: Callable) -> None:
    """answer(losses, weights) -> Eq. (11): every term by its weight."""
    weights = DMDConfig.official().loss_weights
    losses = {name: torch.tensor(1.0 + place) for place, name in enumerate(reversed(weights))}
    total, expected = float(answer(losses, weights)), sum(weights[name] * float(losses[name]) for name in weights)
    expect(abs(total - sum(map(float, losses.values()))) > 1e-4, "that is the plain sum: every term has its own weight")
    expect(
        abs(total - sum(map(float, losses.values())) / len(losses)) > 1e-4,
        "that is the mean: Eq. (11) is a weighted sum",
    )
    expect(abs(total - expected) < 1e-4, f"expected {expected:.4f} for a small example, got {total:.4f}")
    more = {"a_term_without_weight": torch.tensor(100.0)} | losses
    expect(abs(float(answer(more, weights)) - expected) < 1e-4, "a term that has no weight must not count")
