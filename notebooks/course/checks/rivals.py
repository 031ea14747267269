"""Notebook 12."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from course.checks.marking import exercise, expect

X = torch.tensor([[0.0, 0.5], [1.0, 0.5], [0.2, 0.2], [0.0, 0.4]])
Y = torch.tensor([[0.3, 0.9], [0.5, 0.1], [0.4, 0.2], [0.4, 0.8]])


@exercise("12.1")
def central_moment_discrepancy(answer: Callable) -> None:
    """answer(x, y, moments) -> () CMD of two batches, (clip, width) each, with that many moments."""
    found = {moments: answer(X, Y, moments) for moments in (1, 2, 5)}
    for value in found.values():
        expect(isinstance(value, Tensor) and value.numel() == 1, "return one number as a tensor")
    value, first = found[5].item(), _cmd(1)
    expect(abs(value - _cmd(5, raw=True)) > 1e-5, "those are moments about 0; from k = 2 on subtract the mean first")
    expect(abs(value - _cmd(5, power=1.0)) > 1e-5, "add up the lengths of the differences, not their squares: the norm")
    expect(abs(value - _cmd(5, absolute=True)) > 1e-5, "that is the sum of absolute values; the norm is the L2 one")
    expect(
        abs(value - (_cmd(5) - first)) > 1e-5,
        "the means are missing: the first term compares them, for a first central moment is always 0",
    )
    expect(abs(value - _cmd(4)) > 1e-5, "one moment is missing: k runs from 2 to `moments`, the last one included")
    expect(abs(value - _cmd(6)) > 1e-5, "one moment too many: k runs from 2 to `moments`")
    for moments, value in found.items():
        expect(
            abs(value.item() - _cmd(moments)) < 1e-5,
            f"with {moments} moments expected {_cmd(moments):.4f} for a small example, got {value.item():.4f}",
        )
    x = X.clone().requires_grad_()
    value = answer(x, Y, 5)
    expect(value.requires_grad, "no gradient is left: compute with tensors to the end, without item() or detach()")


def _cmd(moments: int, raw: bool = False, power: float = 0.5, absolute: bool = False) -> float:
    """Worked out with loops, unlike any answer."""
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


@exercise("12.2")
def share_won(answer: Callable) -> None:
    """answer(ours, theirs) -> share of all pairs of a run of ours with a run of theirs that ours wins: lower error."""
    ours, theirs = np.array([0.5, 0.7, 0.9, 0.6]), np.array([0.55, 0.75, 0.8, 0.95, 0.65])
    value = np.asarray(answer(ours, theirs))
    expect(value.shape == (), f"return one number, got an array of shape {value.shape}")
    wins = sum(1 for a in ours for b in theirs if a < b)
    value = float(value)
    expect(abs(value - wins) > 1e-6, "that is the number of pairs won; divide by the number of all pairs")
    expect(abs(value - (1 - wins / 20)) > 1e-6, "that is the share that *theirs* wins: a lower error is better")
    expect(value not in (0.0, 1.0), "compare run with run, not mean with mean: the answer is a share between 0 and 1")
    expect(abs(value - wins / 20) < 1e-6, f"expected {wins / 20:.2f} for a small example, got {value:.2f}")
    tied = float(answer(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    expect(abs(tied - 0.25) < 1e-6, f"[1, 2] against [1, 2]: one pair of four is won, a tie is not; got {tied:.2f}")
