"""Notebook 03."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course.checks.drawing import Dice
from course.checks.layers import Layer
from course.checks.marking import exercise, expect, like, rule_out, summary_of


def _parts(dice: Dice) -> tuple:
    size = dice.whole(3, 6), dice.whole(1, 4), dice.whole(2, 4)
    return dice.tensor(*size), dice.tensor(*size)


def _orthogonality(common: Tensor, private: Tensor) -> Tensor:
    """By hand, clip by clip."""
    cosines = [(a * b).sum() / (a.norm() * b.norm()) for a, b in zip(common, private, strict=True)]
    return torch.stack([cosine if cosine > 0 else 0 * cosine for cosine in cosines]).mean()


def _layers(encoder: Tensor, decoder: Tensor) -> tuple[Layer, Layer]:
    both = "the decoder reads common and private side by side"
    return Layer(encoder, "the encoder reads features", True), Layer(decoder, both, False)


def _cycle(dice: Dice) -> tuple:
    width, size = dice.whole(2, 4), (dice.whole(2, 4), dice.whole(2, 3))
    encoder, decoder = dice.tensor(width, width).detach(), dice.tensor(width, 2 * width).detach()
    return dice.tensor(*size, width), dice.tensor(*size, width), *_layers(encoder, decoder)


def _cycle_loss(common: Tensor, private: Tensor, encode: Callable, decode: Callable) -> Tensor:
    misses = encode(decode(torch.cat([common, private], dim=2))) - private
    return (misses**2).sum() / misses.numel()


@exercise("3.1", returns="loss", draw=_parts, right=_orthogonality, gradient=True)
def orthogonality(answer: Callable) -> None:
    """answer(common, private) -> the mean over the clips of max(0, cos), one cosine for each (time, width) clip."""
    generator = torch.Generator().manual_seed(3)
    common, private = torch.randn(2, 4, 3, 5, generator=generator)
    private = private + torch.tensor([2.0, -0.6, 1.0, 0.1])[:, None, None] * common
    flat = common.flatten(1), private.flatten(1)
    cosine = F.cosine_similarity(*flat, dim=1)
    value = float(torch.as_tensor(answer(common, private)))
    mistakes = {
        "a clip with a negative cosine must count as 0: clamp each cosine, then take the mean": cosine.mean(),
        "these are dot products: a cosine divides by both norms": (flat[0] * flat[1]).sum(1).clamp_min(0).mean(),
    }
    for dim, what in ((2, "one time step"), (1, "one channel (dim=1 of three)"), (0, "the batch")):
        other = F.cosine_similarity(common, private, dim=dim).clamp_min(0).mean()
        mistakes[f"each of your cosines runs over {what}; it should run over all of one clip"] = other
    whole = F.cosine_similarity(common.flatten(), private.flatten(), dim=0).clamp_min(0)
    expected = cosine.clamp_min(0).mean()
    mistakes |= {
        "that is one cosine of the whole batch; every clip has its own": whole,
        "that is the sum over the clips; take their mean": cosine.clamp_min(0).sum(),
        "a negative cosine counts as 0, not as its absolute value": cosine.abs().mean(),
    }
    rule_out(value, mistakes)
    expect(like(value, expected), f"expected {expected:.4f} for a small example, got {value:.4f}")


@exercise("3.2", returns="loss", draw=_cycle, right=_cycle_loss, gradient=True)
def cycle_loss(answer: Callable) -> None:
    """answer(common, private, encode, decode) -> mean squared difference of private and encode(decode([both]))."""
    generator = torch.Generator().manual_seed(4)
    common, private = torch.randn(2, 4, 3, 2, generator=generator)
    encoder, decoder = torch.randn(2, 2, generator=generator), torch.randn(2, 4, generator=generator)

    encode, decode = _layers(encoder, decoder)
    value = float(torch.as_tensor(answer(common, private, encode, decode)))
    back, swapped = decode(torch.cat([common, private], -1)), decode(torch.cat([private, common], -1))
    missed = (private - encode(back)).square()
    differences = {
        "the common features come first, then the private ones": private - encode(swapped),
        "that compares with the reconstruction itself: pass it through the encoder once more": private - back,
        "that encodes the private features again; encode the reconstruction": private - encode(private),
        "that compares with the common features; Eq. (3) is about the private ones": common - encode(back),
    }
    mistakes = {message: difference.square().mean() for message, difference in differences.items()} | {
        "that is the sum of the squares; return their mean": missed.sum(),
        "these are absolute differences; square them": missed.sqrt().mean(),
        "that is the root of the mean; return the mean of the squares": missed.mean().sqrt(),
    }
    rule_out(value, mistakes)
    expect(like(value, missed.mean()), f"expected {missed.mean():.4f} for a small example, got {value:.4f}")


@exercise("3.3")
def hiding_place(answer: Callable) -> None:
    """answer() -> an invertible (4, 4) matrix that turns every vector by a right angle."""
    matrix = torch.as_tensor(answer(), dtype=torch.float64)
    expect(tuple(matrix.shape) == (4, 4), f"the shape should be (4, 4), got {tuple(matrix.shape)}")
    expect(
        torch.linalg.matrix_rank(matrix) == 4,
        f"its rank is {int(torch.linalg.matrix_rank(matrix))}: part of x is lost for good",
    )
    x = torch.randn(100, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    cosine = F.cosine_similarity(x, x @ matrix.T, dim=1)
    expect(
        not (cosine < -1 + 1e-6).all(),
        "that reverses each vector: its cosine is −1, which the clamped loss counts as 0, but a right angle has 0",
    )
    lengths = (x @ matrix.T).norm(dim=1) / x.norm(dim=1)
    expect(
        cosine.abs().max() < 1e-6 or cosine.mean().abs() > 0.2 or lengths.std() > 1e-6,
        "it keeps all lengths, but it turns some vectors by more than a right angle and some by less",
    )
    place = int(cosine.abs().argmax())
    expect(
        cosine.abs().max() < 1e-6,
        f"for one x the cosine of x and Qx is {cosine[place]:.2f}; it should be 0 for every x",
    )


summary = summary_of(__name__)
