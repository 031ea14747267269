"""Notebook 08."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of
from dmdlite.config import DMDConfig

SHARES = ("task", "dec", "dtl")


def _gated(dice: Dice) -> tuple:
    width = dice.whole(2, 5)
    return dice.tensor(dice.whole(1, 4), width), dice.tensor(width, width), dice.tensor(width), dice.pick([True, False])


def _gain(h: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, scales: bool) -> torch.Tensor:
    gate = torch.nn.functional.linear(h, weight, bias).sigmoid()
    passed = gate * h if scales else gate
    return passed.square().sum(dim=1).sqrt() / h.square().sum(dim=1).sqrt()


def _losses(dice: Dice) -> tuple:
    """In another order than their weights, one of them without a weight."""
    weights = {name: dice.pick([0.01, 0.05, 0.1, 1.0]) for name in DMDConfig.official().loss_weights}
    losses = {name: dice.positive() for name in [*reversed(weights), "gd_term_without_weight"]}
    return losses, weights


def _shares(losses: dict, weights: dict) -> dict:
    begin = {"task": ("task_",), "dtl": ("gd_",), "dec": ("rec", "cyc", "mar", "ort")}
    sums = {
        share: sum(float(losses[name]) * weights[name] for name in weights if name.startswith(begin[share]))
        for share in SHARES
    }
    return {share: part / sum(sums.values()) for share, part in sums.items()}


def _stages(dice: Dice) -> tuple:
    """Some stages differ, one of them by a NaN; our stages come in another order."""
    names = [f"stage {place}" for place in range(dice.whole(2, 6))]
    published = {name: dice.tensor(dice.whole(1, 3), 4) for name in names}
    ours = {name: published[name].clone() for name in reversed(names)}
    for name in names[dice.whole(0, len(names)) :]:
        ours[name][0, dice.whole(0, 3)] += dice.pick([-1.0, 1.0, 1e-3, float("nan")])
    return ours, published, 0.01


def _first_difference(ours: dict, published: dict, tolerance: float) -> str:
    for stage, theirs in published.items():
        if not torch.allclose(ours[stage], theirs, rtol=0.0, atol=tolerance):
            return stage
    return "none"


@exercise("8.1", returns="tensor", draw=_gated, right=_gain, gradient=True)
def gain(answer: Callable) -> None:
    """answer(h, weight, bias, scales) -> for each clip the length of what is passed on, divided by the length of h."""
    h = torch.tensor([[2.0, -1.0], [0.2, -0.1], [3.0, 4.0]])
    weight, bias = torch.tensor([[1.0, 0.5], [0.0, -1.0]]), torch.tensor([0.0, 0.5])
    scaled, replaced = answer(h, weight, bias, True), answer(h, weight, bias, False)
    expect(tuple(scaled.shape) == (3,), f"one number for each clip, shape (3,), got {tuple(scaled.shape)}")
    gate = torch.sigmoid(h @ weight.T + bias)
    long = h.norm(dim=1)
    expect(
        not like(scaled, gate.norm(dim=1) / long) or not like(replaced, (gate * h).norm(dim=1) / long),
        "the two forms are swapped: with `scales` the gate multiplies h, without it the gate takes h's place",
    )
    other = torch.sigmoid(h @ weight + bias)
    sums = (gate * h).abs().sum(dim=1) / h.abs().sum(dim=1)
    mistakes = {
        "there the gate takes h's place; with `scales` it multiplies h": gate.norm(dim=1) / long,
        "the weight is transposed: number i of W h is the sum over j of W[i, j] h[j]": (other * h).norm(dim=1) / long,
        "the bias is missing": (torch.sigmoid(h @ weight.T) * h).norm(dim=1) / long,
        "the sigmoid is missing": ((h @ weight.T + bias) * h).norm(dim=1) / long,
        "that is the length of what is passed on; divide it by the length of h": (gate * h).norm(dim=1),
        "that is upside down: the length of what is passed on comes first": long / (gate * h).norm(dim=1),
        "that is the mean of the gate; compare two lengths": gate.mean(dim=1),
        "divide by the length of each row of h, not of the whole batch": (gate * h).norm(dim=1) / h.norm(),
        "that adds up absolute values; the Euclidean length is the root of the sum of squares": sums,
    }
    rule_out(scaled, mistakes)
    expect(like(scaled, (gate * h).norm(dim=1) / long), "not right yet for `scales=True`, the form of the paper")
    message = "right for `scales=True`; with `scales=False` the gate itself is passed on, and h is not"
    expect(like(replaced, gate.norm(dim=1) / long), message)


@exercise("8.2", returns="dict", draw=_losses, right=_shares)
def shares(answer: Callable) -> None:
    """answer(losses, weights) -> the shares of L_task, λ1 L_dec and λ2 L_dtl in the total."""
    weights = DMDConfig.official().loss_weights
    losses = {name: torch.tensor(1.0 + place) for place, name in enumerate(reversed(weights))}
    got = answer(losses, weights)
    expect(set(got) == set(SHARES), f"the keys should be task, dec and dtl, got {', '.join(map(str, got))}")
    expected = _shares(losses, weights)
    total = sum(weights[name] * float(losses[name]) for name in weights)
    sums = torch.tensor([float(got[share]) for share in SHARES])
    by_place = _shares(dict(zip(weights, losses.values(), strict=True)), weights)
    mistakes = {
        "those are the three sums; divide each by the total": total * torch.tensor([*expected.values()]),
        "every term needs its weight": torch.tensor([*_shares(losses, dict.fromkeys(weights, 1.0)).values()]),
        "loss and weight are paired by their places; look each up by its name": torch.tensor([*by_place.values()]),
        "those are percentages: the three shares should add up to 1": 100 * torch.tensor([*expected.values()]),
    }
    rule_out(sums, mistakes)
    alone, rest = float(losses["task_final"]), total * (1 - expected["task"])
    for whole in (total, alone + rest):
        message = "that is the share of `task_final` alone, as in the paper; here all eight `task_…` terms count"
        expect(not like(float(got["task"]), alone / whole), message)
    expect(like(sums.sum(), 1.0), f"the three shares should add up to 1, yours add up to {sums.sum():.3f}")
    for share, value in expected.items():
        expect(like(float(got[share]), value), f"{share}: expected {value:.4f}, got {float(got[share]):.4f}")
    more = {"task_without_a_weight": torch.tensor(100.0)} | losses
    unchanged = like(float(answer(more, weights)["task"]), expected["task"])
    expect(unchanged, "a term that has no weight must not count")


@exercise("8.3", returns="text", draw=_stages, right=_first_difference)
def first_difference(answer: Callable) -> None:
    """answer(ours, published, tolerance) -> the first stage that differs by more than the tolerance, or "none"."""
    published = {"read": torch.zeros(2, 3), "decoupled": torch.ones(2, 3), "fused": torch.full((2,), 2.0)}
    same = {stage: x.clone() for stage, x in published.items()}

    def with_change(**changes: torch.Tensor) -> dict:
        return {stage: (same | changes)[stage] for stage in reversed(same)}

    third = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 1.3]])
    cases = [
        (same, 0.0, "none", "two equal models do not differ, even with a tolerance of 0"),
        (with_change(fused=torch.tensor([2.0, 2.3])), 0.1, "fused", "one number that is too large is a difference"),
        (with_change(fused=torch.tensor([2.0, 1.7])), 0.1, "fused", "a number that is too small is a difference, too"),
        (with_change(decoupled=third), 0.1, "decoupled",
         "one entry that differs is enough; a mean over all entries hides it"),
        (with_change(decoupled=third, fused=published["fused"] + 5), 0.1, "decoupled",
         "the first stage counts, in the order of `published`, not the one that differs most"),
        (with_change(fused=torch.tensor([1.7, 2.3])), 0.1, "fused", "deviations up and down must not cancel out"),
        (with_change(decoupled=third), 0.5, "none", "a difference within the tolerance does not count"),
        (with_change(read=torch.full((2, 3), float("nan"))), 0.1, "read",
         "a NaN is a difference: every comparison with NaN gives False, `difference > tolerance` as well"),
    ]  # fmt: skip
    for ours, tolerance, expected, why in cases:
        got = answer(ours, published, tolerance)
        expect(got == expected, f"expected {expected!r}, got {got!r}: {why}")


summary = summary_of(__name__)
