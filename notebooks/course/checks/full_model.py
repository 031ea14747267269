"""Notebook 08."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of
from dmdlite.config import DMDConfig


def _six(dice: Dice) -> tuple:
    return (dice.tensor(6, dice.whole(1, 5)),)


def _edge_matrix(six: torch.Tensor) -> torch.Tensor:
    zero = torch.zeros_like(six[0])
    rows = [[zero, six[2], six[4]], [six[0], zero, six[5]], [six[1], six[3], zero]]
    return torch.stack([torch.stack(row) for row in rows]).permute(2, 0, 1)


def _losses(dice: Dice) -> tuple:
    """In another order than their weights, one of them without a weight."""
    names = [f"term_{place}" for place in range(dice.whole(2, 6))]
    losses = {name: dice.tensor() for name in [*reversed(names), "a_term_without_weight"]}
    return losses, {name: dice.pick([0.0, 0.1, 0.5, 2.0]) for name in names[:-1]} | {names[-1]: 1.5}


def _weighted_total(losses: dict, weights: dict) -> torch.Tensor:
    return torch.stack([losses[name] * weight for name, weight in weights.items()]).sum()


@exercise("8.1", returns="tensor", draw=_six, right=_edge_matrix, gradient=True)
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


@exercise("8.2", returns="loss", draw=_losses, right=_weighted_total, gradient=True)
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


summary = summary_of(__name__)
