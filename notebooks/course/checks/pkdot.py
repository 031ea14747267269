"""Notebook 14."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of


def _row_step(cost: Float[Tensor, "n m"], g: Float[Tensor, "m"], epsilon: float) -> Float[Tensor, "n"]:
    """Computed row by row in plain Python; the largest exponent is factored out by hand."""
    f = []
    for row in cost.tolist():
        exponents = [(potential - c) / epsilon for potential, c in zip(g.tolist(), row)]
        largest = max(exponents)
        total = sum(math.exp(e - largest) for e in exponents) / len(exponents)
        f.append(-epsilon * (largest + math.log(total)))
    return torch.tensor(f, dtype=cost.dtype)


def _transport(dice: Dice) -> tuple:
    n, m = dice.whole(1, 5), dice.whole(1, 5)
    cost, g = dice.positive(n, m).double(), dice.tensor(m, scale=0.3).double()
    return cost, g, dice.pick([0.0001, 0.05, 0.5, 2.0])


def _clips(dice: Dice) -> tuple:
    return (dice.tensor(dice.whole(2, 5), dice.whole(2, 4)),)


def _similarities(z: Tensor) -> Tensor:
    """Pair by pair."""
    cosines = torch.stack([torch.stack([a @ b / (a.norm() * b.norm()) for b in z]) for a in z])
    return cosines - cosines.amin()


@exercise("14.1", returns="tensor", draw=_transport, right=_row_step)
def row_step(answer: Callable) -> None:
    """answer(cost, g, epsilon) -> (n,) the potentials f with which every row of the plan sums to 1/n."""
    cost = torch.tensor([[0.0, 0.5, 2.0], [0.5, 0.0, 0.5]], dtype=torch.float64)
    g = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    f = torch.as_tensor(answer(cost.clone(), g.clone(), 0.5))
    expected = _row_step(cost, g, 0.5)
    expect(
        tuple(f.shape) == (2,),
        f"f has one entry for each row, here 2, got the shape {tuple(f.shape)}: the sum runs over j, the columns",
    )
    expect(f.dtype.is_floating_point and bool(f.isfinite().all()), "f is not finite in a small example")
    no_weights = expected - 0.5 * math.log(3)
    mistakes = {
        "the sign is wrong: f is −ε times the logarithm": -expected,
        "the factor ε before the logarithm is missing": 2 * expected,
        "all of f is too low by ε log m: the weights b_j = 1/m are missing from the sum": no_weights,
        "these weights are 1/n, those of the rows; the sum runs over columns, whose weights are 1/m": (
            no_weights + 0.5 * math.log(2)
        ),
        "g has the wrong sign: the exponent is (g − C) / ε": _row_step(cost, -g, 0.5),
        "g is not used: the exponent is (g_j − C_ij) / ε": _row_step(cost, 0 * g, 0.5),
    }
    rule_out(f, mistakes)
    plan = torch.exp((f[:, None] + g - cost) / 0.5) / 6
    expect(
        like(plan.sum(1), [0.5, 0.5]),
        f"the rows of the plan should sum to 0.5, yours sum to {plan.sum(1)[0]:.3f} and {plan.sum(1)[1]:.3f}",
    )
    tiny = torch.as_tensor(answer(cost.clone(), g.clone(), 1e-4))
    expect(
        bool(tiny.isfinite().all()),
        "right for ε = 0.5, but not finite for ε = 0.0001: exp(−C/ε) underflows before the logarithm; use logsumexp",
    )
    expect(like(tiny, _row_step(cost, g, 1e-4)), "right for ε = 0.5, but not for ε = 0.0001")


@exercise("14.2", returns="tensor", draw=_clips, right=_similarities, gradient=True)
def similarities(answer: Callable) -> None:
    """answer(z) -> (batch, batch) cosines of all pairs of rows, minus the smallest of all."""
    z = torch.tensor([[3.0, 0.0], [1.0, 1.0], [0.0, -2.0]])
    r = 0.5**0.5
    cosines = torch.tensor([[1.0, r, 0.0], [r, 1.0, -r], [0.0, -r, 1.0]])
    s = torch.as_tensor(answer(z.clone()))
    expect(tuple(s.shape) == (3, 3), f"three clips have a 3 × 3 matrix of similarities, got shape {tuple(s.shape)}")
    products = z @ z.T
    features = torch.nn.functional.normalize(z, dim=0)
    columns = features @ features.T
    by_row = cosines - cosines.min(dim=1, keepdim=True).values
    mistakes = {
        "those are products, which grow with the vectors: divide each row of z by its length first": products,
        "you normalised the columns; it is each clip's vector, a row, that gets length 1": columns,
        "each row is shifted by its own minimum; subtract one minimum everywhere, that of the whole matrix": by_row,
    }
    rule_out(s, {message: mistake - mistake.min() for message, mistake in mistakes.items()})
    rule_out(s, mistakes | {"each row is shifted by its own minimum; subtract that of the whole matrix": by_row.T})
    mistakes = {
        "the cosines are right, but some are negative: subtract the smallest of all": cosines,
        "the cosines are shifted by 1; subtract the smallest entry of this matrix": cosines + 1,
        "negative cosines are cut off; shift all of them instead": cosines.clamp_min(0),
    }
    rule_out(s, mistakes)
    expect(like(s, cosines + r), f"S_11 should be {1 + r:.3f} in a small example, got {s[0, 0]:.3f}")


summary = summary_of(__name__)
