"""Notebook 02."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of


def _clip(dice: Dice) -> tuple:
    features = dice.whole(1, 4)
    return dice.tensor(dice.whole(3, 8), features), dice.tensor(dice.whole(1, 4), features, dice.pick([1, 3, 5, 7]))


def _same_convolution(x: Tensor, weight: Tensor) -> Tensor:
    half = weight.shape[2] // 2
    return _convolve(x, weight, half, half)


def _predictions(dice: Dice) -> tuple:
    """Labels between −3 and 3; predictions that go beyond, with halves among them."""
    clips = dice.whole(6, 12)
    labels = np.clip(dice.array(clips, scale=2.0), -3, 3)
    return np.append(labels[2:] + dice.array(clips - 2, scale=0.6), [0.5, -3.8]), labels


def _acc7(predictions: np.ndarray, labels: np.ndarray) -> float:
    classes = [[max(-3, min(3, round(x))) for x in values.tolist()] for values in (predictions, labels)]
    return sum(a == b for a, b in zip(*classes, strict=True)) / len(labels)


def _pairs(dice: Dice) -> tuple:
    clips, scale = dice.whole(3, 8), dice.pick([0.01, 1.0, 10.0])
    return dice.array(clips, scale=scale), dice.array(clips, scale=scale)


def _correlation(predictions: np.ndarray, labels: np.ndarray) -> float:
    return float(np.corrcoef(predictions, labels)[0, 1])


def _column_and_row(dice: Dice) -> tuple:
    clips = dice.whole(2, 9)
    return dice.tensor(clips, 1), dice.tensor(clips)


def _mean_error(prediction: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([abs(guess[0] - label) for guess, label in zip(prediction, labels, strict=True)]).mean()


@exercise("2.1", returns="tensor", draw=_clip, right=_same_convolution, gradient=True)
def same_convolution(answer: Callable) -> None:
    """answer(x, weight) -> (time, width) from (time, feature) and (width, feature, kernel): as long as its input."""
    for kernel in (3, 5, 1):
        draw = torch.Generator().manual_seed(kernel)
        x, weight = torch.randn(7, 2, generator=draw), torch.randn(4, 2, kernel, generator=draw)
        got, half = torch.as_tensor(answer(x, weight)), kernel // 2
        expect(got.ndim == 2 and tuple(got.shape) != (4, 7), "the result should be (time, width): transpose it")
        expect(
            len(got) != 7 - kernel + 1 or kernel == 1,
            f"a kernel of {kernel} left {len(got)} of 7 steps: that is the valid convolution, without the zeros",
        )
        expect(
            tuple(got.shape) == (7, 4),
            f"7 steps and a kernel of {kernel} should give (7, 4), got {tuple(got.shape)}: "
            f"each end gets kernel // 2 steps of zeros",
        )
        mistakes = {
            "all the zeros are at the end: put half of them at the start": _convolve(x, weight, 0, 2 * half),
            "all the zeros are at the start: put half of them at the end": _convolve(x, weight, 2 * half, 0),
            "the zeros belong at the ends of the input, before the convolution, not around its result": F.pad(
                _convolve(x, weight, 0, 0), (0, 0, half, half)
            ),
            "the kernel runs backwards: its first weight belongs to the earliest step": _convolve(
                x, weight.flip(2), half, half
            ),
        }
        right = _convolve(x, weight, half, half)
        rule_out(got, {message: mistake for message, mistake in mistakes.items() if not like(mistake, right)})
        inner = slice(half, 7 - half)
        expect(
            not like(got[inner], right[inner]) or like(got, right),
            "only the two ends are wrong: what is added there must be zeros",
        )
        expect(like(got, right), f"with a kernel of {kernel} the numbers differ from torch's")


def _convolve(
    x: Float[Tensor, "time feature"], weight: Float[Tensor, "width feature kernel"], before: int, after: int
) -> Float[Tensor, "kept width"]:
    """Zeros before and after, then PyTorch's own convolution."""
    return F.conv1d(F.pad(x.T, (before, after))[None], weight)[0].T


@exercise("2.2", returns="number", draw=_predictions, right=_acc7)
def acc7(answer: Callable) -> None:
    """answer(predictions, labels) -> share of clips in the same of seven classes."""
    score = _scorer(answer)
    expect(score([1.0, 2.0, -1.0, 2.0], [1.0, 1.0, 1.0, 2.0]) == 0.5, "2 of 4 right should give 0.5: return the share")
    expect(
        score([0.9, -1.8, 2.2], [1.0, -2.0, 2.0]) == 1,
        "0.9 belongs to class 1 and −1.8 to class −2: round to the nearest class, do not truncate",
    )
    expect(score([1.0, -2.0], [1.4, -1.6]) == 1, "the labels have to be rounded too: 1.4 belongs to class 1")
    expect(
        score([3.0, -2.0, 2.0], [2.0, -3.0, 3.0]) == 0,
        "2 and 3 are different classes: the seven run from −3 to 3, so clip there (clipped at ±2 you get five)",
    )
    expect(
        score([-0.4, 0.4], [0.4, -0.4]) == 1 and score([0.4, 1.4], [0.6, 1.6]) == 0,
        "near is not the same class: −0.4 and 0.4 are both class 0, but 0.4 and 0.6 are not; compare classes",
    )
    expect(score([3.9, -3.7], [2.8, -3.0]) == 1, "3.9 belongs to class 3 and −3.7 to class −3: clip to ±3")
    expect(
        score([0.5, 2.5, -1.5], [0.0, 2.0, -2.0]) == 1,
        "halves are rounded to the even class: 0.5 to 0, 2.5 to 2, −1.5 to −2 (np.round does that)",
    )
    expect(
        abs(score([0.0, 1.0, 2.0], [0.0, 1.2, 1.0]) - 2 / 3) < 1e-6,
        "clips whose true sentiment is 0 count too: zero is one of the seven classes",
    )


@exercise("2.3", returns="number", draw=_pairs, right=_correlation)
def correlation(answer: Callable) -> None:
    """answer(predictions, labels) -> Pearson's correlation; 0 where one of the two is constant."""
    score = _scorer(answer)
    predictions, labels = np.array([1.0, 2.0, 4.0, 2.5]), np.array([-1.0, 0.6, 2.8, -0.4])
    value, right = score(predictions, labels), np.corrcoef(predictions, labels)[0, 1]
    covariance = ((predictions - predictions.mean()) * (labels - labels.mean())).mean()
    cosine = predictions @ labels / np.linalg.norm(predictions) / np.linalg.norm(labels)
    mistakes = {
        "that is the cosine: subtract the two means first": cosine,
        "that is the covariance: divide by both standard deviations": covariance,
        "that is the square of the correlation": right**2,
        "means over n and over n − 1 are mixed (np.std divides by n, np.cov by n − 1)": right * 4 / 3,
        "your standard deviations divide by n − 1; divide by n, like the mean": right * 3 / 4,
        "that is the correlation of the ranks (Spearman's); use the numbers themselves": 0.8,
    }
    rule_out(value, mistakes)
    expect(like(value, right), f"expected {right:.4f} for a small example, got {value:.4f}")
    expect(like(score(-predictions, labels), -right), "predictions that fall when labels rise must score below 0")
    with np.errstate(all="ignore"):
        constant = score(np.full(4, 0.25), labels)
    expect(constant == 0, f"a constant predicts nothing and must score 0.0, got {constant}")
    expect(score(labels, np.full(4, 0.25)) == 0, "constant labels must give 0.0 as well")


@exercise("2.4", returns="loss", draw=_column_and_row, right=_mean_error, gradient=True)
def mean_error(answer: Callable) -> None:
    """answer(prediction, labels) -> the mean absolute error, from (clip, 1) and (clip,)."""
    prediction, labels = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.5, 0.0, 6.5])
    value, right = answer(prediction, labels), 5 / 3
    mistakes = {
        "every prediction is still compared with every label: (3, 1) minus (3,) makes (3, 3). "
        "Give both the same shape": (prediction - labels).abs().mean(),
        "that compares the first prediction with every label; each clip has its own": (1.0 - labels).abs().mean(),
        "that is the error of the mean prediction, in which misses of opposite sign cancel: "
        "take absolute values clip by clip, before the mean": 1 / 3,
        "that is the sum over the clips; divide by their number": 5.0,
        "these are squared errors; the loop minimised absolute ones": 3.5,
        "that is the median of the errors; take their mean": 2.0,
        "the sign is wrong: an error is never negative": -right,
    }
    rule_out(value, mistakes)
    expect(like(value, right), f"errors of 0.5, 2 and 2.5 have the mean 1.6667, got {float(value):.4f}")


def _scorer(answer: Callable) -> Callable[..., float]:
    """The answer as a function of two arrays or lists that has to return one number."""

    def score(predictions: np.ndarray | list[float], labels: np.ndarray | list[float]) -> float:
        value = answer(np.array(predictions), np.array(labels))
        expect(np.size(value) == 1, f"return one number, got {np.size(value)} of them")
        return float(value)

    return score


summary = summary_of(__name__)
