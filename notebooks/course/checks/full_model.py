"""Notebook 08."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course.checks.marking import exercise, expect, like, rule_out
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
    expect(matrix.diagonal(dim1=1, dim2=2).eq(0).all(), "no modality teaches itself: the diagonal must be zero")
    transposed = torch.equal(matrix, expected.transpose(1, 2))
    expect(not transposed, "rows and columns are swapped: edges[b, i, j] is the edge from source i to target j")
    for _, i, j in (matrix != expected).nonzero().tolist():
        raise AssertionError(f"edges[:, {i}, {j}] holds another edge's value; see the order in the text")
    more = torch.as_tensor(answer(torch.ones(6, 5)))
    expect(tuple(more.shape) == (5, 3, 3), f"for 5 clips the shape should be (5, 3, 3), got {tuple(more.shape)}")


@exercise("8.2")
def weighted_total(answer: Callable) -> None:
    """answer(losses, weights) -> Eq. (11): the sum of all terms, each times its weight."""
    weights = DMDConfig.official().loss_weights
    losses = {name: torch.tensor(1.0 + place) for place, name in enumerate(reversed(weights))}
    total, expected = float(answer(losses, weights)), sum(weights[name] * float(losses[name]) for name in weights)
    plain = sum(map(float, losses.values()))
    mistakes = {
        "that is the plain sum: every term has its own weight": plain,
        "that is the mean: Eq. (11) is a weighted sum": plain / len(losses),
    }
    rule_out(total, mistakes)
    expect(like(total, expected), f"expected {expected:.4f} for a small example, got {total:.4f}")
    more = {"a_term_without_weight": torch.tensor(100.0)} | losses
    expect(like(float(answer(more, weights)), expected), "a term that has no weight must not count")
