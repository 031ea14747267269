"""Notebook 06."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course.checks.marking import exercise, expect


@exercise("6.1")
def weighted_losses(answer: Callable) -> None:
    """answer(edges, differences) -> (3,): ζ_j of one clip, Eq. (7), from w and ε, both (3, 3)."""
    edges = torch.tensor([[0.0, 0.5, 0.1], [0.2, 0.0, 0.05], [0.1, 0.05, 0.0]])
    logits = torch.tensor([2.0, 1.0, -1.0])
    differences = (logits[None, :] - logits[:, None]).abs()
    products, expected = edges * differences, [0.5, 0.6, 0.4]
    got = torch.as_tensor(answer(edges.clone(), differences.clone()))

    def is_like(value):
        return got.shape == value.shape and torch.allclose(got, value, atol=1e-4)

    expect(not is_like(products.sum()), "that is the total of Eq. (9); ζ has one entry for each student")
    expect(tuple(got.shape) == (3,), f"one number for each student makes shape (3,), got {tuple(got.shape)}")
    expect(
        not is_like(products.sum(dim=1)), "summed over the students of each teacher; ζ_j adds up the teachers, the rows"
    )
    expect(not is_like(differences.sum(dim=0)), "every difference counts alike here: multiply by the edges first")
    expect(not is_like(edges.sum(dim=0)), "these are sums of the edges: multiply by the differences first")
    expect(
        not is_like(products.sum(dim=0) / 2) and not is_like(products.mean(dim=0)),
        "these are means; Eq. (7) is a sum, its weights are in the edges already",
    )
    said = ", ".join(f"{value:.3f}" for value in got.tolist())
    expect(is_like(torch.tensor(expected)), f"expected 0.500, 0.600, 0.400 for a small example, got {said}")


@exercise("6.2")
def softmax_over_edges(answer: Callable) -> None:
    """answer(scores) -> (batch, 3, 3): zero diagonal, the other six a softmax of the six scores of that clip."""
    scores = torch.tensor(
        [[[9.0, 1.0, 2.0], [0.5, 7.0, -1.0], [0.0, 1.5, 8.0]], [[0.0, -2.0, 0.0], [3.0] * 3, [1.0] * 3]]
    )
    given = scores.clone()
    got = torch.as_tensor(answer(given))
    expect(
        tuple(got.shape) == (2, 3, 3), f"the shape should stay (batch, 3, 3), here (2, 3, 3), got {tuple(got.shape)}"
    )
    expect(torch.equal(given, scores), "the scores that came in were changed in place: somebody may still need them")
    expect(got.isfinite().all(), "some edges are not finite: mask with -inf before the softmax, not after it")
    expect(
        got.diagonal(dim1=1, dim2=2).eq(0).all(), "nobody teaches himself: the diagonal must be zero, here it is not"
    )
    _sums_to_one(got)
    six = ~torch.eye(3, dtype=torch.bool)
    expected = torch.zeros_like(scores)
    expected[:, six] = scores[:, six].softmax(dim=1)
    i, j = divmod(int((got - expected).abs().amax(dim=0).argmax()), 3)
    pair = f"expected {expected[0, i, j]:.3f} for edge [0, {i}, {j}] of a small example, got {got[0, i, j]:.3f}"
    expect(
        torch.allclose(got, expected, atol=1e-5), f"the six sum to one, but they are no softmax of the scores: {pair}"
    )


def _sums_to_one(got: torch.Tensor) -> None:
    """Says over what else the softmax may have been taken."""
    ones = torch.ones(2, 3)
    expect(not torch.allclose(got.sum(dim=2), ones), "each row sums to one: that is a softmax for each teacher")
    expect(not torch.allclose(got.sum(dim=1), ones), "each column sums to one: that is a softmax for each student")
    expect(
        not torch.allclose(got.sum(), torch.tensor(1.0)), "the edges of both clips together sum to one, not each six"
    )
    total = got[0].sum().item()
    expect(
        abs(total - 1) > 1e-4 or abs(got[1].sum().item() - 1) < 1e-4,
        "the first clip's edges sum to one and the second's do not: every clip has its own softmax",
    )
    expect(
        abs(total - 1) < 1e-4,
        f"six edges of one clip should sum to one, got {total:.3f}: did the diagonal or another clip take part?",
    )
