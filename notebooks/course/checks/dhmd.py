"""Notebook 13."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of


def _scores(dice: Dice) -> tuple:
    atoms = dice.whole(2, 7)
    return dice.tensor(atoms), dice.whole(1, atoms)


def _threshold(scores: torch.Tensor, k: int) -> float:
    return (sum(sorted(scores.tolist())[-k:]) - 1) / k


def _table(dice: Dice) -> tuple:
    clips = dice.whole(2, 6)
    return (dice.tensor(clips, clips, scale=2.0),)


def _info_nce(similarity: torch.Tensor) -> torch.Tensor:
    """Softmax by softmax."""
    exponentials, clips = similarity.exp(), len(similarity)
    found = [exponentials[i, i] / exponentials[i].sum() for i in range(clips)]
    found += [exponentials[i, i] / exponentials[:, i].sum() for i in range(clips)]
    return -torch.stack(found).log().mean()


@exercise("13.1", returns="number", draw=_scores, right=_threshold)
def threshold(answer: Callable) -> None:
    """answer(scores, k) -> τ, which leaves the k highest scores with a sum of 1 when it is subtracted from each."""
    scores = torch.tensor([0.2, 1.0, -2.0, 0.7])
    got = float(answer(scores.clone(), 3))
    mistakes = {
        "the mean of the three highest would leave a sum of 0; the sum that is left should be 1": 1.9 / 3,
        "1 was added to the sum; subtract it, because a sum of 1 should be left": 2.9 / 3,
        "these are the first three scores: look for the highest, wherever they are": -1.8 / 3,
        "these are the three lowest scores: sort in the other direction": -2.1 / 3,
        "divided by the number of all scores; divide by k, the number of scores that are kept": 0.9 / 4,
        "that is the third highest score itself, which would then be left with 0": 0.2,
        "all four scores take part; only the k highest may": -1.1 / 4,
    }
    rule_out(got, mistakes, 1e-4)
    expect(like(got, 0.3, 1e-4), f"expected 0.300 for the three highest of 0.2, 1.0, −2.0, 0.7, got {got:.3f}")
    expect(like(float(answer(scores.clone(), 1)), 0.0, 1e-4), "for k = 1 the highest score, 1.0, should stay 1: τ = 0")


@exercise("13.2", returns="loss", draw=_table, right=_info_nce, gradient=True)
def symmetric_info_nce(answer: Callable) -> None:
    """answer(similarity) -> (): the mean of the cross-entropies along rows and columns, partners on the diagonal."""
    similarity = torch.tensor([[2.0, 0.0, 1.0], [-1.0, 1.0, 3.0], [0.0, 0.5, 1.0]])
    rows, columns = (-x.log_softmax(dim=1).diagonal() for x in (similarity, similarity.T))
    got = torch.as_tensor(answer(similarity.clone()))
    expect(got.numel() == 1, f"return one number, got shape {tuple(got.shape)}: take the mean over the clips")
    value, total, expected = float(got), rows + columns, float((rows.mean() + columns.mean()) / 2)
    a_sum = "this is a sum over the clips; a larger batch should not have a larger loss: take the mean"
    rule_out(value, {a_sum: total.sum()}, 1e-4)
    mistakes = {
        "these are the rows alone: each clip of the columns has to find its partner, too": rows.mean(),
        "these are the columns alone: each clip of the rows has to find its partner, too": columns.mean(),
        "rows and columns are added; take the mean of the two": total.mean(),
        a_sum: total.sum() / 2,
        "one softmax over the whole table: each row and each column has its own": (
            -similarity.flatten().log_softmax(dim=0).view(3, 3).diagonal().mean()
        ),
        "these are probabilities; the loss is the mean of −log of them": ((-rows).exp() + (-columns).exp()).mean() / 2,
        "the sign is wrong: a good match should have a small loss": -expected,
        "that rewards partners and ignores how well the others fit: a softmax over the row is missing": (
            -similarity.diagonal().mean()
        ),
    }
    rule_out(value, mistakes, 1e-4)
    expect(like(value, expected, 1e-4), f"expected {expected:.3f} for a small example, got {value:.3f}")


summary = summary_of(__name__)
