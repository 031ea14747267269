"""Notebook 15."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from scipy.stats import t as student_t
from torch import Tensor, nn

from course.checks.answers import describe
from course.checks.drawing import Dice
from course.checks.fusions import (
    head_reads_the_vectors,
    keeps_clips_apart,
    prediction_of,
    reads_everything,
    takes_vectors_as_they_are,
)
from course.checks.marking import exercise, expect, like, rule_out, summary_of
from dmdlite.components.dropout import Dropout
from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.dmd import DMD


def _private_streams(dice: Dice) -> tuple:
    clips, width = dice.whole(3, 5), dice.whole(1, 3)
    private, common = (
        {m: dice.tensor(clips, dice.whole(1, 4), width, scale=dice.pick([0.5, 1.0, 2.0])) for m in MODALITIES}
        for _ in range(2)
    )
    return SimpleNamespace(decoupled=SimpleNamespace(private=private, common=common)), torch.zeros(clips)


def _silence(out: SimpleNamespace, labels: Tensor) -> Tensor:
    """Channel by channel."""
    short = []
    for x in out.decoupled.private.values():
        for channel in (x.sum(dim=1) / x.shape[1]).T:
            spread = ((channel - channel.mean()) ** 2).mean().sqrt()
            short.append(1 - spread if spread < 1 else 0 * spread)
    return torch.stack(short).mean()


def _effect(dice: Dice) -> tuple:
    return dice.pick([-1, 1]) * dice.whole(2, 30) / 100, dice.whole(1, 60) / 1000


def _seeds_needed(difference: float, deviation: float) -> int:
    """From the other side: the critical value of t, by its quantile."""
    seeds = 2
    while abs(difference) * seeds**0.5 / deviation <= student_t.ppf(0.975, seeds - 1):
        seeds += 1
    return seeds


@exercise("15.1")
def fusion(answer: type[nn.Module]) -> None:
    """answer(private_width, common_width): a module that predicts from three private vectors and a common one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        part = answer(4, 6)
        expect(isinstance(part, nn.Module), f"the class should be a torch.nn.Module, not {describe(part)}")
        part.eval()
        private = {m: torch.randn(5, 4, requires_grad=True) for m in MODALITIES}
        common = torch.randn(5, 6, requires_grad=True)
        prediction = prediction_of(part(private, common))
        reads_everything(part, prediction, private | {"the common vector": common})
        training = prediction_of(part.train()(private, common))
        rates = [layer.rate for layer in part.modules() if isinstance(layer, Dropout)]
        expect(all(0 <= rate < 1 for rate in rates), f"a dropout rate lies between 0 and 1, below 1; got {rates}")
        reads_everything(part, training, private | {"the common vector": common}, "in training mode ")
        part.eval()
        keeps_clips_apart(part, prediction, private, common)
        takes_vectors_as_they_are(part)
        head_reads_the_vectors(part, private, common)
        config = DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)
        try:
            model = DMD(config, fusion=answer(16, 24)).eval()
            out = model(**_clips(config), labels=torch.zeros(2))
        except NotImplementedError:
            raise
        except Exception as problem:
            raise AssertionError(f"right on its own, but not in a DMD of width 8: {problem}") from problem
        expect(bool(out.loss.isfinite()), "in a DMD of width 8 its loss is not finite")


def _clips(config: DMDConfig) -> dict[str, Tensor]:
    return {m: torch.randn(2, config.lengths[m], config.feature_widths[m]) for m in MODALITIES}


@exercise("15.2", returns="loss", draw=_private_streams, right=_silence, gradient=True)
def silence(answer: Callable) -> None:
    """answer(out, labels) -> (): how far the private streams fall short of a spread of 1 between clips, on average."""
    private = {
        "language": torch.tensor([[[0.5, 9.0], [0.5, 9.0]], [[-0.5, 3.0], [-0.5, 3.0]]]),
        "vision": torch.tensor([[[4.0, 0.2], [-4.0, 0.2]], [[4.0, 0.0], [-4.0, 0.0]]]),
        "audio": torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]]]),
    }
    private = {m: x.requires_grad_() for m, x in private.items()}
    common = {m: torch.zeros_like(x).requires_grad_() for m, x in private.items()}
    decoupled = SimpleNamespace(private=private, common=common)
    term = answer(SimpleNamespace(decoupled=decoupled), torch.zeros(2))
    expect(
        isinstance(term, Tensor) and term.requires_grad,
        "the term has to be a tensor with a gradient; `.item()` and `float()` remove it",
    )
    expect(term.shape == (), f"a loss term is one number, of shape (); yours has shape {tuple(term.shape)}")
    # Spreads over the two clips: 0.5 and 3; 0 and 0.1; 0.5 and 0. Short of 1 by: 0.5, 0, 1, 0.9, 0.5, 1.
    value = term.item()
    mistakes = {
        "that is the sum over channels and modalities; return the mean": 3.9,
        "the mean over channels is right; take the mean over modalities, too, not their sum": 1.95,
        "a spread of 3 counts as −2: clamp at zero, channel by channel (`clamp_min(0)`, `torch.relu`)": (3.9 - 2.0) / 6,
        "that is the excess over 1, max(0, s − 1); return the shortfall, max(0, 1 − s)": 2 / 6,
        "every spread is 0: are those the common streams? The private ones are in out.decoupled.private": 1.0,
        "that is the spread with `correction=1`; use `correction=0`, which divides by the number of clips": 3.4444 / 6,
        "that is the variance; take its square root, the standard deviation": 4.49 / 6,
        "the sign is wrong: a shortfall is 1 − s, and never negative": -3.9 / 6,
        "that is the spread over time; take the mean over time, dim=1, then the spread over clips, dim=0": 5 / 6,
        "that is the spread over time, clip by clip; take the mean over time, then the spread over clips": 5.5 / 6,
        "that is the spread over clips at each step; take the mean over time first, then the spread": 3.4 / 6,
        "steps are mixed with clips: take the mean over time first, then the spread over the clips": 0.4833,
    }
    rule_out(value, mistakes, 2e-4)
    expect(like(value, 3.9 / 6, 1e-4), f"in a small example the term should be {3.9 / 6:.2f}, got {value:.4f}")


@exercise("15.3", returns="whole", draw=_effect, right=_seeds_needed)
def seeds_needed(answer: Callable) -> None:
    """answer(difference, deviation) -> the smallest number of seeds for which the paired t-test has p < 0.05."""
    found = answer(0.02, 0.03)
    expect(float(found) == int(found), f"a number of seeds is whole, got {found}")
    mistakes = {
        "9 comes from the normal distribution (1.96) or a one-sided test: use t with n − 1 degrees, two tails": 9,
        "11 is one too few: t has n − 1 degrees of freedom, not n, and p must be below 0.05": 11,
        "5 comes from t without the square root: the mean difference times √n, not n": 5,
        "13 is one too many: with 12, p is below 0.05 already": 13,
    }
    rule_out(found, mistakes)
    expect(found == 12, f"a difference of 0.02 with a deviation of 0.03 takes 12 seeds, got {found}")
    expect(answer(-0.02, 0.03) == 12, "right for +0.02 but not for −0.02; the sign should not matter")
    expect(
        answer(0.5, 0.01) == 2,
        "a difference of 0.5 with a deviation of 0.01 takes 2 seeds; a single seed has no deviation",
    )
    expect(answer(0.02, 0.02) == 7, f"when both are 0.02 it takes 7 seeds, got {answer(0.02, 0.02)}")


def _streams(dice: Dice) -> tuple:
    return (dice.tensor(dice.whole(1, 4), dice.whole(1, 5), dice.whole(1, 3)),)


def _centre(x: Tensor) -> Tensor:
    """Clip by clip."""
    return torch.stack([clip - clip.sum(dim=0) / len(clip) for clip in x])


@exercise("15.4", returns="tensor", draw=_streams, right=_centre, gradient=True)
def centre(answer: Callable) -> None:
    """answer(x) -> a stream (batch, time, width) without each clip's own mean over time."""
    dice = torch.Generator().manual_seed(0)
    batches = [torch.randn(*size, 3, generator=dice) + 2 for size in ((2, 4), (2, 4), (3, 4), (1, 5))]
    first = batches[0].mean(dim=(0, 1))
    for place, x in enumerate([*batches, *batches]):
        got, expected = answer(x.clone()), _centre(x)
        shape, due = tuple(got.shape), tuple(x.shape)
        expect(shape == due, f"a centred stream has the shape of the stream, here {due}; yours has {shape}")
        if like(got, expected):
            continue
        mistakes = {
            "the stream is not centred: subtract each clip's mean over time": x,
            "the mean is that of all clips of the batch; only a clip's own steps, dim=1, may count": x - x.mean((0, 1)),
            "it still subtracts the mean of the first batch that it has read": x - first,
            "that is the mean over clips at each step; take the mean over time, dim=1": x - x.mean(0),
            "that is the mean over channels; take the mean over time, dim=1": x - x.mean(2, keepdim=True),
            "one number is subtracted from a whole clip; each channel has a mean of its own": (
                x - x.mean((1, 2), keepdim=True)
            ),
            "every clip loses the mean of the first clip": x - x.mean(1)[:1, None],
            "the sign is wrong: the stream minus its mean": -expected,
        }
        rule_out(got, mistakes)
        expect(not place, "right for the first batch, but not for a later one: does it remember something?")
        expect(False, "in a small example that is not the stream minus each clip's mean over time")


summary = summary_of(__name__)
