"""Notebook 14."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from course.checks.marking import exercise, expect


@exercise("14.1")
def row_step(answer: Callable) -> None:
    """answer(cost, g, epsilon) -> (n,) the potentials f that make every row of the plan add up to 1/n."""
    cost = torch.tensor([[0.0, 0.5, 2.0], [0.5, 0.0, 0.5]], dtype=torch.float64)
    g = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    f = torch.as_tensor(answer(cost.clone(), g.clone(), 0.5))
    expected = _row_step(cost, g, 0.5)
    expect(
        tuple(f.shape) == (2,),
        f"f has one entry for each row, here 2, got the shape {tuple(f.shape)}: the sum runs over j, the columns",
    )
    expect(f.dtype.is_floating_point and bool(f.isfinite().all()), "f is not finite in a small example")
    expect(not torch.allclose(f, -expected), "the sign is wrong: f is −ε times the logarithm")
    expect(not torch.allclose(f, expected * 2), "the factor ε before the logarithm is missing")
    shift = 0.5 * math.log(3)
    expect(
        not torch.allclose(f, expected - shift),
        "all of f is too low by ε log m: the weights b_j = 1/m are missing from the sum",
    )
    expect(
        not torch.allclose(f, expected - shift + 0.5 * math.log(2)),
        "that takes the weights to be 1/n, of the rows; the sum runs over columns, whose weights are 1/m",
    )
    expect(not torch.allclose(f, _row_step(cost, -g, 0.5)), "g comes with the wrong sign: the exponent is (g − C) / ε")
    expect(not torch.allclose(f, _row_step(cost, 0 * g, 0.5)), "g is not used: the exponent is (g_j − C_ij) / ε")
    plan = torch.exp((f[:, None] + g - cost) / 0.5) / 6
    expect(
        torch.allclose(plan.sum(1), torch.full((2,), 0.5, dtype=torch.float64)),
        f"the rows of the plan should add up to 0.5, yours to {plan.sum(1)[0]:.3f} and {plan.sum(1)[1]:.3f}",
    )
    tiny = torch.as_tensor(answer(cost.clone(), g.clone(), 1e-4))
    expect(
        bool(tiny.isfinite().all()),
        "right for ε = 0.5, but not finite for ε = 0.0001: exp(−C/ε) underflows before the logarithm; use logsumexp",
    )
    expect(torch.allclose(tiny, _row_step(cost, g, 1e-4)), "right for ε = 0.5, but not for ε = 0.0001")


def _row_step(cost: Float[Tensor, "n m"], g: Float[Tensor, "m"], epsilon: float) -> Float[Tensor, "n"]:
    """Worked out row by row with Python's numbers; the largest exponent is taken out by hand."""
    f = []
    for row in cost.tolist():
        exponents = [(potential - c) / epsilon for potential, c in zip(g.tolist(), row)]
        largest = max(exponents)
        total = sum(math.exp(e - largest) for e in exponents) / len(exponents)
        f.append(-epsilon * (largest + math.log(total)))
    return torch.tensor(f, dtype=cost.dtype)


@exercise("14.2")
def similarities(answer: Callable) -> None:
    """answer(z) -> (batch, batch) cosines of all pairs of rows, minus the smallest of them all."""
    z = torch.tensor([[3.0, 0.0], [1.0, 1.0], [0.0, -2.0]])
    r = 0.5**0.5
    cosines = torch.tensor([[1.0, r, 0.0], [r, 1.0, -r], [0.0, -r, 1.0]])
    s = torch.as_tensor(answer(z.clone()))
    expect(tuple(s.shape) == (3, 3), f"three clips have a 3 × 3 matrix of similarities, got the shape {tuple(s.shape)}")
    products = z @ z.T
    expect(
        not (torch.allclose(s, products) or torch.allclose(s, products - products.min())),
        "those are products, which grow with the length of a vector: divide each row of z by its length first",
    )
    features = torch.nn.functional.normalize(z, dim=0)
    columns = features @ features.T
    expect(
        not (torch.allclose(s, columns) or torch.allclose(s, columns - columns.min())),
        "the columns have been normalised; it is each clip's vector, a row, that gets length 1",
    )
    expect(not torch.allclose(s, cosines), "the cosines are right, but some are negative: subtract the smallest of all")
    expect(not torch.allclose(s, cosines + 1), "they are shifted by 1; subtract the smallest entry of this matrix")
    by_row = cosines - cosines.min(dim=1, keepdim=True).values
    expect(
        not torch.allclose(s, by_row) and not torch.allclose(s, by_row.T),
        "each row has been shifted by its own minimum; one minimum, that of the whole matrix, is subtracted everywhere",
    )
    expect(not torch.allclose(s, cosines.clamp_min(0)), "negative cosines are cut off; shift all of them instead")
    expect(
        torch.allclose(s, cosines + r, atol=1e-5), f"S_11 should be {1 + r:.3f} in a small example, got {s[0, 0]:.3f}"
    )
