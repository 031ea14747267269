"""Entropy-regularised optimal transport between clouds of points: plan, cost and debiased Sinkhorn divergence.

Moving mass from point i of the first cloud to point j of the second costs C_ij = |x_i − y_j|² / 2. The plan P says how
much goes where: its rows add up to the weights a of the first cloud, its columns to the weights b of the second. It is
the cheapest one when spread is rewarded:

    OT_ε(x, y) = min_P  Σ_ij P_ij C_ij + ε KL(P | a bᵀ) = max_{f,g} Σ_i a_i f_i + Σ_j b_j g_j, at the optimum

with P_ij = a_i b_j exp((f_i + g_j − C_ij) / ε). Cuturi (NeurIPS 2013) introduced it, Feydy et al. (AISTATS 2019) the
debiased divergence in this definition, which is also geomloss's, with ε = blur². Everything is computed in logarithms,
so that no ε overflows, and every leading axis is a batch of independent problems.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

ITERATIONS = 1000  # at most
TOLERANCE = 1e-3  # share of the mass that may be in a wrong row; the error of the cost is of its second order


class Transport(NamedTuple):
    """The optimum of one problem, or of a batch of them."""

    cost: Float[Tensor, "*batch"]  # OT_ε = ⟨f, a⟩ + ⟨g, b⟩, the differentiable one
    plan: Float[Tensor, "*batch n m"]  # P; its columns add up to b exactly, its rows to a within the tolerance
    potentials: tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch m"]]  # f, g


def squared_distances(x: Float[Tensor, "*batch n d"], y: Float[Tensor, "*batch m d"]) -> Float[Tensor, "*batch n m"]:
    """C_ij = |x_i − y_j|² / 2."""
    return (x[..., :, None, :] - y[..., None, :, :]).square().sum(dim=-1) / 2


def sinkhorn(
    x: Float[Tensor, "*batch n d"],
    y: Float[Tensor, "*batch m d"],
    epsilon: float,
    a: Float[Tensor, "*#batch n"] | None = None,
    b: Float[Tensor, "*#batch m"] | None = None,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
) -> Transport:
    """Entropic optimal transport from x to y; the weights are uniform unless given, and each add up to 1.

    Gradients of the cost are those of the optimum (envelope theorem): P for C, f for a, g for b. So nothing is kept of
    the iterations, and the gradient is as exact as the potentials are; the plan itself has no gradient.
    Raises ValueError if epsilon is not positive.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, got {epsilon}")
    exact = torch.promote_types(x.dtype, torch.float32)
    cost = squared_distances(x.to(exact), y.to(exact))
    a = torch.full_like(cost[..., 0], 1 / cost.shape[-2]) if a is None else a.to(exact)
    b = torch.full_like(cost[..., 0, :], 1 / cost.shape[-1]) if b is None else b.to(exact)
    with torch.no_grad():
        f, g = optimal_potentials(cost, a.log(), b.log(), epsilon, iterations, tolerance)
        plan = exp_plan(cost, a.log(), b.log(), f, g, epsilon)
    # The last term is zero; it brings the gradient P to the cost matrix.
    value = (f * a).sum(-1) + (g * b).sum(-1) + (plan * (cost - cost.detach())).sum((-2, -1))
    return Transport(value, plan, (f, g))


@torch.compiler.disable  # how many iterations are needed depends on the data
def optimal_potentials(
    cost: Float[Tensor, "*batch n m"],
    log_a: Float[Tensor, "*#batch n"],
    log_b: Float[Tensor, "*#batch m"],
    epsilon: float,
    iterations: int,
    tolerance: float,
) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch m"]]:
    """Sinkhorn's alternation: f makes the rows of the plan add up to a, then g its columns to b, and so on.

    ε starts at the largest cost of each problem and is halved down to its value (ε-scaling): far fewer iterations.
    """
    largest = cost.amax(dim=(-2, -1), keepdim=True)
    halvings = max(0, math.ceil(math.log2(max(float(largest.max()), epsilon) / epsilon)))
    g = torch.zeros_like(cost[..., :1, :])
    f = torch.zeros_like(cost[..., :1])
    for step in range(halvings + iterations):
        scale = (largest * 0.5**step).clamp_min(epsilon)
        better = -scale * ((g - cost) / scale + log_b[..., None, :]).logsumexp(dim=-1, keepdim=True)
        # The columns of (f, g) add up to b, its rows to a · exp((f − better) / ε).
        missing = (((f - better) / epsilon).exp() - 1).abs() * log_a[..., None].exp()
        if step > halvings and float(missing.sum(dim=(-2, -1)).max()) < tolerance:
            break
        f = better
        g = -scale * ((f - cost) / scale + log_a[..., None]).logsumexp(dim=-2, keepdim=True)
    return f.squeeze(-1), g.squeeze(-2)


def exp_plan(
    cost: Float[Tensor, "*batch n m"],
    log_a: Float[Tensor, "*#batch n"],
    log_b: Float[Tensor, "*#batch m"],
    f: Float[Tensor, "*batch n"],
    g: Float[Tensor, "*batch m"],
    epsilon: float,
) -> Float[Tensor, "*batch n m"]:
    """P_ij = a_i b_j exp((f_i + g_j − C_ij) / ε)."""
    return (log_a[..., None] + log_b[..., None, :] + (f[..., None] + g[..., None, :] - cost) / epsilon).exp()


def sinkhorn_divergence(
    x: Float[Tensor, "*batch n d"],
    y: Float[Tensor, "*batch m d"],
    epsilon: float,
    a: Float[Tensor, "*#batch n"] | None = None,
    b: Float[Tensor, "*#batch m"] | None = None,
    iterations: int = ITERATIONS,
    tolerance: float = TOLERANCE,
) -> Float[Tensor, "*batch"]:
    """S_ε(x, y) = OT_ε(x, y) − ½ OT_ε(x, x) − ½ OT_ε(y, y): never negative, and zero only for equal clouds.

    OT_ε itself is not: entropy spreads the plan of a cloud to itself, and the two corrections take that away.
    """
    limits = iterations, tolerance
    if x.shape == y.shape and a is None and b is None:  # then the three problems are one batch
        first, second = torch.stack([x, x, y]), torch.stack([y, x, y])
        between, within_x, within_y = sinkhorn(first, second, epsilon, None, None, *limits).cost
    else:
        pairs = (x, y, a, b), (x, x, a, a), (y, y, b, b)
        between, within_x, within_y = (sinkhorn(p, q, epsilon, v, w, *limits).cost for p, q, v, w in pairs)
    return between - (within_x + within_y) / 2
