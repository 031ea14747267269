"""Notebook 04."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of


def _triplet(dice: Dice) -> tuple:
    width = dice.whole(2, 5)
    return *(dice.tensor(width, scale=2.0) for _ in range(3)), dice.whole(1, 12) / 8


def _hinge(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    near, far = (anchor @ x / (anchor.norm() * x.norm()) for x in (positive, negative))
    value = margin - near + far
    return value if value > 0 else 0 * value


def _samples(dice: Dice) -> tuple:
    """Labels that never lie halfway between two classes, modalities in any order."""
    size = dice.whole(6, 12)
    labels = [dice.whole(-2, 2) + dice.pick([-0.4, -0.1, 0.0, 0.3, 0.45]) for _ in range(size)]
    return torch.tensor(labels), torch.tensor([dice.whole(0, 2) for _ in range(size)])


def _paper_pairs(labels: Tensor, modality: Tensor) -> tuple[Tensor, Tensor]:
    samples = [(round(label), m) for label, m in zip(labels.tolist(), modality.tolist(), strict=True)]
    positive = [[a == b and m != n for b, n in samples] for a, m in samples]
    negative = [[a != b and m == n for b, n in samples] for a, m in samples]
    return torch.tensor(positive), torch.tensor(negative)


@exercise("4.1", returns="loss", draw=_triplet, right=_hinge, gradient=True)
def hinge(answer: Callable) -> None:
    """answer(anchor, positive, negative, margin) -> max(0, margin − cos(anchor, positive) + cos(anchor, negative))."""
    anchor, right, up, left = (torch.tensor(x) for x in ([2.0, 0.0], [3.0, 0.0], [0.0, 2.0], [-1.0, 0.0]))
    half = torch.tensor([0.5, 3**0.5 / 2])  # at 60 degrees from the anchor: cosine 0.5
    quiet = float(answer(anchor, right, up, 0.3))
    expect(
        quiet > -1e-6,
        "the positive is nearer than the negative by more than the margin: that costs exactly 0, never less",
    )
    mistakes = {
        "positive and negative are swapped: a near positive and a far negative must cost nothing": 1.3,
        "the maximum with zero covers the whole sum, the margin included, not only the cosines": 0.3,
    }
    rule_out(quiet, mistakes)
    expect(like(quiet, 0.0), f"the triplet (0°, 0°, 90°) costs nothing at margin 0.3: expected 0, got {quiet:.4f}")
    value = float(answer(anchor, half, right, 0.3))
    mistakes = {
        "these are dot products; a cosine divides by the lengths of both vectors": 5.3,
        "the margin has the wrong sign: a larger margin must cost more": 0.2,
        "the margin is missing: the negative must be farther by at least that much": 0.5,
        "these are distances; Eq. (4) compares cosines, which ignore the lengths of the vectors": 0.3 + 3**0.5 - 1,
        "these are distances of unit vectors; Eq. (4) compares their cosines": 1.3,
    }
    rule_out(value, mistakes, 1e-4)
    expect(like(value, 0.8, 1e-4), f"for the triplet (0°, 60°, 0°) at margin 0.3 expected 0.8, got {value:.4f}")
    worst = float(answer(anchor, left, right, 1.0))
    expect(like(worst, 3.0, 1e-4), f"for the triplet (0°, 180°, 0°) at margin 1 expected 3, got {worst:.4f}")


@exercise("4.2", returns="masks", draw=_samples, right=_paper_pairs)
def paper_pairs(answer: Callable) -> None:
    """answer(labels, modality) -> two (sample, sample) masks, positives and negatives of each anchor, Eq. (4)."""
    labels, modality = torch.tensor([0.6, 1.0, -2.0]).repeat(2), torch.tensor([0, 0, 0, 1, 1, 1])
    masks = answer(labels, modality)
    expect(isinstance(masks, (tuple, list)) and len(masks) == 2, "return two masks: positive, negative")
    masks = [torch.as_tensor(mask) for mask in masks]
    for name, mask in zip(("positive", "negative"), masks, strict=True):
        expect(tuple(mask.shape) == (6, 6), f"for 6 samples {name} should be (6, 6), got {tuple(mask.shape)}")
        expect(mask.dtype == torch.bool, f"{name} should hold True and False, not {mask.dtype}")
    same_class, same_modality = _same(labels.round()), _same(modality)
    positive, negative = masks
    expect(
        not (torch.equal(positive, ~same_class & same_modality) and torch.equal(negative, same_class & ~same_modality)),
        "the two masks are in the wrong order: first the positives",
    )
    expect(
        not positive[0, 1],
        "positive[0, 1] is True, but both samples have the same modality; a positive needs m[i] ≠ m[j]",
    )
    expect(not positive.diagonal().any(), "positive[i, i] is True: a sample is not a positive of itself")
    expect(
        not torch.equal(positive, _same(labels) & ~same_modality),
        "0.6 and 1.0 are different labels in the same class of seven: round before you compare",
    )
    expect(
        not negative[0, 5],
        "negative[0, 5] is True, but the samples have different modalities; a negative needs m[i] = m[k]",
    )
    expect(
        not negative[0, 1], "negative[0, 1] is True, but 0.6 and 1.0 are in the same class; a negative is in another"
    )
    _compare(positive, same_class & ~same_modality, "positive")
    _compare(negative, ~same_class & same_modality, "negative")
    _twelve_samples(answer)


def _twelve_samples(answer: Callable) -> None:
    """A second example, of three modalities."""
    labels, modality = torch.tensor([-2.6, 2.6, -0.4, 0.4]).repeat(3), torch.arange(3).repeat_interleave(4)
    positive, negative = map(torch.as_tensor, answer(labels, modality))
    expect(
        tuple(positive.shape) == (12, 12), f"for 12 samples positive should be (12, 12), got {tuple(positive.shape)}"
    )
    expect(
        not positive[0, 5] and positive[2, 7],
        "−2.6 and 2.6 are far apart, and −0.4 and 0.4 are both in class 0: round to the nearest whole number",
    )
    _compare(positive, _same(labels.round()) & ~_same(modality), "positive")
    _compare(negative, ~_same(labels.round()) & _same(modality), "negative")


def _same(x: Shaped[Tensor, "sample"]) -> Bool[Tensor, "sample sample"]:
    return x[:, None] == x[None, :]


def _compare(mask: Bool[Tensor, "sample sample"], expected: Bool[Tensor, "sample sample"], name: str) -> None:
    for i, j in (mask != expected).nonzero().tolist():
        raise AssertionError(f"{name}[{i}, {j}] is {bool(mask[i, j])}; check the conditions of S once more")


summary = summary_of(__name__)
