"""Notebook 13."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course.checks.marking import exercise, expect


@exercise("13.1")
def threshold(answer: Callable) -> None:
    """answer(scores, k) -> τ: what is taken off so that the k highest scores are left with a sum of 1."""
    scores = torch.tensor([0.2, 1.0, -2.0, 0.7])
    got = float(answer(scores.clone(), 3))

    def is_like(value):
        return abs(got - value) < 1e-4

    expect(not is_like(1.9 / 3), "the mean of the three highest would leave a sum of 0; a sum of 1 has to be left")
    expect(not is_like(2.9 / 3), "1 was added to the sum; it has to be taken off, for it is what shall be left")
    expect(not is_like(-1.8 / 3), "these are the first three scores: look for the highest, wherever they stand")
    expect(not is_like(-2.1 / 3), "these are the three lowest scores: sort them the other way round")
    expect(not is_like(0.9 / 4), "divided by the number of all scores: only the k that stay share what is taken off")
    expect(not is_like(0.2), "that is the third highest score itself; it would be left with nothing")
    expect(not is_like(-1.1 / 4), "all four scores take part; only the k highest may")
    expect(is_like(0.3), f"expected 0.300 for the three highest of 0.2, 1.0, −2.0, 0.7, got {got:.3f}")
    expect(
        abs(float(answer(scores.clone(), 1))) < 1e-4, "for k = 1 the highest score, 1.0, has to be left with 1: τ = 0"
    )


@exercise("13.2")
def symmetric_info_nce(answer: Callable) -> None:
    """answer(similarity) -> (): the mean of the cross-entropies along rows and columns, partners on the diagonal."""
    similarity = torch.tensor([[2.0, 0.0, 1.0], [-1.0, 1.0, 3.0], [0.0, 0.5, 1.0]])
    rows, columns = (-x.log_softmax(dim=1).diagonal() for x in (similarity, similarity.T))
    got = torch.as_tensor(answer(similarity.clone()))

    def is_like(value):
        return got.numel() == 1 and abs(float(got) - float(value)) < 1e-4

    expect(got.numel() == 1, f"one number is asked for, got shape {tuple(got.shape)}: take the mean over the clips")
    expect(not is_like(rows.mean()), "these are the rows alone: each clip of the columns has to find its partner, too")
    expect(
        not is_like(columns.mean()), "these are the columns alone: each clip of the rows has to find its partner, too"
    )
    expect(not is_like(rows.mean() + columns.mean()), "rows and columns are added up; the mean of the two is asked for")
    expect(
        not is_like((rows.sum() + columns.sum()) / 2) and not is_like(rows.sum() + columns.sum()),
        "this is a sum over the clips; a larger batch should not have a larger loss: take the mean",
    )
    both = -similarity.flatten().log_softmax(dim=0).view(3, 3).diagonal().mean()
    expect(not is_like(both), "one softmax over the whole table: every row, and every column, has one of its own")
    chances = ((-rows).exp().mean() + (-columns).exp().mean()) / 2
    expect(not is_like(chances), "these are probabilities; the loss is the mean of −log of them")
    expected = (rows.mean() + columns.mean()) / 2
    expect(not is_like(-expected), "the sign is wrong: a good match has to have a small loss")
    expect(
        not is_like(-similarity.diagonal().mean()),
        "that rewards partners without asking how well the others fit: a softmax over the row is missing",
    )
    expect(is_like(expected), f"expected {float(expected):.3f} for a small example, got {float(got):.3f}")
