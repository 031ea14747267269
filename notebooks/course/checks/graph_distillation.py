"""Notebook 06."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of


def _graph(dice: Dice) -> tuple:
    return dice.edges(), dice.edges()


def _weighted_losses(edges: torch.Tensor, differences: torch.Tensor) -> torch.Tensor:
    return torch.stack([sum(edges[i, j] * differences[i, j] for i in range(3)) for j in range(3)])


def _graphs(dice: Dice) -> tuple:
    clips = dice.whole(1, 4)
    return dice.positive(clips, 3, 3), dice.tensor(clips, 3)


def _students_only(edges: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    weights, held = edges.detach(), logits.detach()
    lessons = [weights[:, i, j] * abs(logits[:, j] - held[:, i]) for i in range(3) for j in range(3) if i != j]
    return sum(lessons).sum() / len(logits)


def _scores(dice: Dice) -> tuple:
    return (dice.tensor(dice.whole(1, 4), 3, 3, scale=2.0),)


def _softmax_over_edges(scores: torch.Tensor) -> torch.Tensor:
    exponentials = scores.exp() * (1 - torch.eye(3))
    return exponentials / exponentials.sum(dim=(1, 2), keepdim=True)


@exercise("6.1", returns="tensor", draw=_graph, right=_weighted_losses, gradient=True)
def weighted_losses(answer: Callable) -> None:
    """answer(edges, differences) -> (3,): ζ_j of one clip, Eq. (7), from w and ε, both (3, 3)."""
    edges = torch.tensor([[0.0, 0.5, 0.1], [0.2, 0.0, 0.05], [0.1, 0.05, 0.0]])
    logits = torch.tensor([2.0, 1.0, -1.0])
    differences = (logits[None, :] - logits[:, None]).abs()
    products, expected = edges * differences, [0.5, 0.6, 0.4]
    got = torch.as_tensor(answer(edges.clone(), differences.clone()))
    rule_out(got, {"that is the total of Eq. (9); ζ has one entry for each student": products.sum()}, 1e-4)
    expect(tuple(got.shape) == (3,), f"one number for each student makes shape (3,), got {tuple(got.shape)}")
    means = "these are means; Eq. (7) is a sum, because the edges are weights already"
    rule_out(got, {means: products.sum(dim=0) / 2}, 1e-4)
    mistakes = {
        "these are sums for each teacher; ζ_j belongs to a student and adds up column j": products.sum(dim=1),
        "every difference counts alike here: multiply by the edges first": differences.sum(dim=0),
        "these are sums of the edges: multiply by the differences first": edges.sum(dim=0),
        means: products.mean(dim=0),
    }
    rule_out(got, mistakes, 1e-4)
    numbers = ", ".join(f"{value:.3f}" for value in got.tolist())
    expect(like(got, expected, 1e-4), f"expected 0.500, 0.600, 0.400 for a small example, got {numbers}")


@exercise("6.2", returns="tensor", draw=_scores, right=_softmax_over_edges, gradient=True)
def softmax_over_edges(answer: Callable) -> None:
    """answer(scores) -> (batch, 3, 3): zero diagonal, the other six a softmax of the six scores of that clip."""
    scores = torch.tensor(
        [[[9.0, 1.0, 2.0], [0.5, 7.0, -1.0], [0.0, 1.5, 8.0]], [[0.0, -2.0, 0.0], [3.0] * 3, [1.0] * 3]]
    )
    got = torch.as_tensor(answer(scores))
    expect(
        tuple(got.shape) == (2, 3, 3), f"the shape should stay (batch, 3, 3), here (2, 3, 3), got {tuple(got.shape)}"
    )
    expect(got.isfinite().all(), "some edges are not finite: mask with -inf before the softmax, not after it")
    expect(got.diagonal(dim1=1, dim2=2).eq(0).all(), "no modality teaches itself: the diagonal must be zero")
    _sums_to_one(got)
    six = ~torch.eye(3, dtype=torch.bool)
    expected = torch.zeros_like(scores)
    expected[:, six] = scores[:, six].softmax(dim=1)
    i, j = divmod(int((got - expected).abs().amax(dim=0).argmax()), 3)
    pair = f"expected {expected[0, i, j]:.3f} for edge [0, {i}, {j}] of a small example, got {got[0, i, j]:.3f}"
    expect(like(got, expected), f"the six sum to one, but they are not a softmax of the scores: {pair}")


def _sums_to_one(got: torch.Tensor) -> None:
    """Names the axes over which the softmax was taken instead."""
    ones = torch.ones(2, 3)
    rule_out(got.sum(dim=2), {"each row sums to one: that is a softmax for each teacher": ones})
    rule_out(got.sum(dim=1), {"each column sums to one: that is a softmax for each student": ones})
    rule_out(got.sum(), {"the edges of both clips together sum to one, not each six": 1.0})
    first, second = got.sum(dim=(1, 2)).tolist()
    expect(
        not like(first, 1.0, 1e-4) or like(second, 1.0, 1e-4),
        "the first clip's edges sum to one and the second's do not: every clip has its own softmax",
    )
    expect(
        like(first, 1.0, 1e-4),
        f"the six edges of a clip should sum to one, got {first:.3f}: did the diagonal or another clip take part?",
    )


@exercise("6.3", returns="loss", draw=_graphs, right=_students_only, gradient=True)
def students_only(answer: Callable) -> None:
    """answer(edges, logits) -> () Eq. (9), a mean over the clips; only the students of ε get a gradient."""
    edges = torch.tensor(
        [[[0.0, 0.5, 0.1], [0.2, 0.0, 0.05], [0.1, 0.05, 0.0]], [[0.0, 0.2, 0.2]] + [[0.2, 0.0, 0.2]] * 2]
    )
    logits = torch.tensor([[2.0, 1.0, -1.0], [0.5, -1.5, 1.0]], requires_grad=True)
    edges = edges.where(~torch.eye(3, dtype=torch.bool), 0.0).requires_grad_()
    lessons = (edges * (logits[:, None, :] - logits[:, :, None]).abs()).sum(dim=(1, 2)).detach()
    loss = answer(edges * 1.0, logits * 1.0)
    expect(
        isinstance(loss, torch.Tensor) and loss.numel() == 1, "return one number as a tensor: the mean over the clips"
    )
    mistakes = {
        "that is the sum over the clips; take their mean": lessons.sum(),
        "that is a mean over students, too; Eq. (9) adds them up": lessons.mean() / 3,
        "that is a mean over all nine entries; Eq. (9) adds up the edges of a clip": lessons.mean() / 9,
    }
    rule_out(loss.item(), mistakes, 1e-4)
    expect(like(loss.item(), lessons.mean(), 1e-4), f"expected {lessons.mean():.3f}, got {loss.item():.3f}")
    expect(loss.requires_grad, "no gradient is left, so nothing is learned: detach the edges and the teachers only")
    by_edges, by_logits = torch.autograd.grad(loss, (edges, logits), allow_unused=True)
    expect(by_edges is None, "the edges still get a gradient, the reward for pairs that agree: detach them as well")
    expect(by_logits is not None, "the logits get no gradient: the students have to move")
    signs = (logits[:, None, :] - logits[:, :, None]).sign()  # of student − teacher
    pulls = (edges * signs).detach() / len(logits)
    both = pulls.sum(dim=1) - pulls.sum(dim=2)
    rule_out(by_logits, {"the teachers get a gradient, too: detach their logits in ε": both}, 1e-4)
    rule_out(by_logits, {"wrong direction: the teachers move, and the students are held": -pulls.sum(dim=2)}, 1e-4)
    expect(like(by_logits, pulls.sum(dim=1), 1e-4), "the value is right, but not the gradient at the students' logits")


summary = summary_of(__name__)
