"""Notebook 08."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course.checks.marking import exercise, expect
from dmdlite.config import DMDConfig


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
