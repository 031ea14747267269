"""Notebook 12."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of

X = torch.tensor([[0.0, 0.5], [1.0, 0.5], [0.2, 0.2], [0.0, 0.4]])
Y = torch.tensor([[0.3, 0.9], [0.5, 0.1], [0.4, 0.2], [0.4, 0.8]])


def _clouds(dice: Dice) -> tuple:
    width = dice.whole(1, 4)
    return dice.positive(dice.whole(3, 7), width), dice.positive(dice.whole(3, 7), width), dice.whole(1, 5)


def _discrepancy(x: Tensor, y: Tensor, moments: int) -> Tensor:
    """A sum of lengths, with means written out."""
    a, b = (z.sum(dim=0) / len(z) for z in (x, y))
    total = (a - b).square().sum().sqrt()
    for k in range(2, moments + 1):
        first, second = (((z - m) ** k).sum(dim=0) / len(z) for z, m in ((x, a), (y, b)))
        total = total + (first - second).square().sum().sqrt()
    return total


def _runs(dice: Dice) -> tuple:
    """Errors with one decimal, so that some are equal."""
    return tuple(dice.rng.integers(5, 12, dice.whole(2, 6)) / 10 for _ in range(2))


def _share_won(ours: np.ndarray, theirs: np.ndarray) -> float:
    return sum(a < b for a in ours.tolist() for b in theirs.tolist()) / (len(ours) * len(theirs))


@exercise("12.1", returns="loss", draw=_clouds, right=_discrepancy, gradient=True)
def central_moment_discrepancy(answer: Callable) -> None:
    """answer(x, y, moments) -> (): the CMD of two batches, each (clip, width), with that many moments."""
    found = {moments: answer(X.clone(), Y.clone(), moments) for moments in (1, 2, 5)}
    for value in found.values():
        expect(isinstance(value, Tensor) and value.numel() == 1, "return one number as a tensor")
    mistakes = {
        "those are moments about 0; from k = 2 on subtract the mean first": _cmd(5, raw=True),
        "add up the lengths (norms) of the differences, not their squares": _cmd(5, power=1.0),
        "that is the sum of absolute values; use the L2 norm": _cmd(5, absolute=True),
        "the means are missing: the first term compares them, because a first central moment is always 0": (
            _cmd(5) - _cmd(1)
        ),
        "one moment is missing: k runs from 2 to `moments` inclusive": _cmd(4),
        "divide by the number of clips: moments are means, not sums": 4 * _cmd(5),
        "one moment too many: k runs from 2 to `moments`": _cmd(6),
    }
    rule_out(found[5].item(), mistakes)
    for moments, value in found.items():
        expect(
            like(value.item(), _cmd(moments)),
            f"with moments={moments} expected {_cmd(moments):.4f} for a small example, got {value.item():.4f}",
        )
    x = X.clone().requires_grad_()
    value = answer(x, Y.clone(), 5)
    expect(value.requires_grad, "no gradient is left: compute with tensors throughout, without item() or detach()")


def _cmd(moments: int, raw: bool = False, power: float = 0.5, absolute: bool = False) -> float:
    """Computed with loops, unlike any answer."""
    total = 0.0
    for k in range(1, moments + 1):
        channels = []
        for channel in range(X.shape[1]):
            x, y = X[:, channel].double(), Y[:, channel].double()
            a = x.mean() if k == 1 else ((x - (0 if raw else x.mean())) ** k).mean()
            b = y.mean() if k == 1 else ((y - (0 if raw else y.mean())) ** k).mean()
            channels.append(float(a - b))
        total += sum(map(abs, channels)) if absolute else sum(c**2 for c in channels) ** power
    return total


@exercise("12.2", returns="number", draw=_runs, right=_share_won)
def share_won(answer: Callable) -> None:
    """answer(ours, theirs) -> the share of pairs of one run each in which our error is lower."""
    ours, theirs = np.array([0.5, 0.7, 0.9, 0.6]), np.array([0.55, 0.75, 0.8, 0.95, 0.65])
    value = np.asarray(answer(ours, theirs))
    expect(value.shape == (), f"return one number, got an array of shape {value.shape}")
    wins = sum(1 for a in ours for b in theirs if a < b)
    value = float(value)
    mistakes = {
        "that compares run n with run n; every one of ours meets every one of theirs": 0.75,
        "that is the number of pairs won; divide by the number of all pairs": wins,
        "that is the share that *theirs* wins: a lower error is better": 1 - wins / 20,
    }
    rule_out(value, mistakes)
    expect(value not in (0.0, 1.0), "compare run with run, not mean with mean: the answer is a share between 0 and 1")
    expect(like(value, wins / 20), f"expected {wins / 20:.2f} for a small example, got {value:.2f}")
    tied = float(answer(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    expect(like(tied, 0.25), f"[1, 2] against [1, 2]: one pair of four is won, and ties do not count; got {tied:.2f}")


summary = summary_of(__name__)
