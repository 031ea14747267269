"""Entropy-regularised optimal transport between clouds of points: plan, cost and debiased Sinkhorn divergence.

Moving mass from point i of the first cloud to point j of the second costs C_ij = |x_i − y_j|² / 2. The plan P says how
much goes where: its rows add up to 1/n, its columns to 1/m. It is the cheapest one when spread is rewarded:

    OT_ε(x, y) = min_P  Σ_ij P_ij C_ij + ε Σ_ij P_ij log(n m P_ij) = max_{f,g} mean(f) + mean(g), at the optimum

with P_ij = exp((f_i + g_j − C_ij) / ε) / (n m). Cuturi (NeurIPS 2013) introduced it, Feydy et al. (AISTATS 2019) the
debiased divergence in this definition, which is also geomloss's, with ε = blur². Everything is computed in logarithms,
so that no ε overflows, and every leading axis is a batch of independent problems.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Cloud = Float[Tensor, "*batch n d"]  # n points in d dimensions
OtherCloud = Float[Tensor, "*batch m d"]
ITERATIONS = 1000  # at most
TOLERANCE = 1e-3  # share of the mass that may be in a wrong row; the error of the cost is of its second order


class Transport(NamedTuple):
    """The optimum of one problem, or of a batch of them."""

    cost: Float[Tensor, "*batch"]  # OT_ε, which is differentiable
    plan: Float[Tensor, "*batch n m"]  # P; its columns add up to 1/m exactly, its rows to 1/n within the tolerance
    potentials: tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch m"]]  # f, g


def squared_distances(x: Float[Tensor, "*batch n d"], y: Float[Tensor, "*batch m d"]) -> Float[Tensor, "*batch n m"]:
    """C_ij = |x_i − y_j|² / 2."""
    return (x[..., :, None, :] - y[..., None, :, :]).square().sum(dim=-1) / 2


def sinkhorn(
    x: Cloud, y: OtherCloud, epsilon: float, iterations: int = ITERATIONS, tolerance: float = TOLERANCE
) -> Transport:
    """Entropic optimal transport from x to y.

    The gradient of the cost is that of the optimum (envelope theorem): P for C. So nothing is kept of the iterations,
    and the gradient is as exact as the potentials are; the plan itself has no gradient.
    Raises ValueError if epsilon is not positive.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, got {epsilon}")
    exact = torch.promote_types(x.dtype, torch.float32)
    cost = squared_distances(x.to(exact), y.to(exact))
    with torch.no_grad():
        f, g = optimal_potentials(cost, epsilon, iterations, tolerance)
        plan = ((f + g - cost) / epsilon - math.log(math.prod(cost.shape[-2:]))).exp()
    # The last term is zero; it brings the gradient P to the cost matrix.
    value = f.mean(dim=(-2, -1)) + g.mean(dim=(-2, -1)) + (plan * (cost - cost.detach())).sum(dim=(-2, -1))
    return Transport(value, plan, (f.squeeze(-1), g.squeeze(-2)))


@torch.compiler.disable  # how many iterations are needed depends on the data
def optimal_potentials(
    cost: Float[Tensor, "*batch n m"], epsilon: float, iterations: int, tolerance: float
) -> tuple[Float[Tensor, "*batch n 1"], Float[Tensor, "*batch 1 m"]]:
    """Sinkhorn's alternation: f makes the rows of the plan add up to 1/n, then g its columns to 1/m, and so on.

    ε starts at the largest cost of each problem and is halved down to its value (ε-scaling): far fewer iterations.
    """
    largest = cost.amax(dim=(-2, -1), keepdim=True)
    halvings = max(0, math.ceil(math.log2(max(float(largest.max()), epsilon) / epsilon)))
    log_n, log_m = (math.log(size) for size in cost.shape[-2:])
    f, g = torch.zeros_like(cost[..., :1]), torch.zeros_like(cost[..., :1, :])
    for step in range(halvings + iterations):
        scale = (largest * 0.5**step).clamp_min(epsilon)
        better = -scale * ((g - cost) / scale - log_m).logsumexp(dim=-1, keepdim=True)
        # The columns of (f, g) add up to 1/m, its rows to exp((f − better) / ε) / n.
        missing = (((f - better) / epsilon).exp() - 1).abs().mean(dim=(-2, -1))
        if step > halvings and float(missing.max()) < tolerance:
            break
        f = better
        g = -scale * ((f - cost) / scale - log_n).logsumexp(dim=-2, keepdim=True)
    return f, g


def sinkhorn_divergence(
    x: Cloud, y: OtherCloud, epsilon: float, iterations: int = ITERATIONS, tolerance: float = TOLERANCE
) -> Float[Tensor, "*batch"]:
    """S_ε(x, y) = OT_ε(x, y) − ½ OT_ε(x, x) − ½ OT_ε(y, y): never negative, and zero only for equal clouds.

    OT_ε itself is not: entropy spreads the plan of a cloud to itself, and the two corrections take that away.
    """
    how = epsilon, iterations, tolerance
    if x.shape == y.shape:  # then the three problems are one batch
        between, within_x, within_y = sinkhorn(torch.stack([x, x, y]), torch.stack([y, x, y]), *how).cost
    else:
        between, within_x, within_y = (sinkhorn(p, q, *how).cost for p, q in ((x, y), (x, x), (y, y)))
    return between - (within_x + within_y) / 2


@torch.compiler.disable  # how many steps there are depends on the data
def annealed_divergence(x: Cloud, y: OtherCloud, epsilon: float, iterations: int = 1) -> Float[Tensor, "*batch"]:
    """S_ε(x, y) as geomloss 0.2.6 approximates it: one short cooling, whether or not the plan then fits.

    ε starts at the squared diagonal of the box around all points, which a whole batch shares, and is quartered down to
    its value, where `iterations` passes are made (geomloss/sinkhorn_divergence.py:97-166).
    Raises ValueError if epsilon is not positive.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, got {epsilon}")
    exact = torch.promote_types(x.dtype, torch.float32)
    x, y = x.to(exact), y.to(exact)
    points = torch.cat([x.detach().flatten(0, -2), y.detach().flatten(0, -2)])
    widest = max(float((points.amax(dim=0) - points.amin(dim=0)).square().sum()), torch.finfo(exact).tiny)
    quarterings = max(0, math.ceil(math.log(widest / epsilon, 4)))
    scales = [widest, *(widest * 0.25**step for step in range(quarterings)), *[epsilon] * iterations]
    between, within_x, within_y = (annealed_cost(p, q, scales) for p, q in ((x, y), (x, x), (y, y)))
    return between - (within_x + within_y) / 2


def annealed_cost(x: Cloud, y: OtherCloud, scales: list[float]) -> Float[Tensor, "*batch"]:
    """mean(f) + mean(g) after a pass at each of these ε, all of them without gradient, and one more with it.

    f and g follow from one another at the same time, and a pass takes the mean of old and new
    (geomloss/sinkhorn_divergence.py:259-630). x moves f and y moves g; each sees the other cloud as fixed.
    """
    there, back = squared_distances(x, y.detach()), squared_distances(y, x.detach())
    renewed = lambda f, g, epsilon: (soft_minimum(there, g, epsilon), soft_minimum(back, f, epsilon))
    with torch.no_grad():
        f, g = renewed(torch.zeros_like(there[..., 0]), torch.zeros_like(back[..., 0]), scales[0])
        for epsilon in scales:
            f, g = ((old + new) / 2 for old, new in zip((f, g), renewed(f, g, epsilon)))
    f, g = renewed(f, g, scales[-1])
    return f.mean(dim=-1) + g.mean(dim=-1)


def soft_minimum(
    cost: Float[Tensor, "*batch n m"], g: Float[Tensor, "*batch m"], epsilon: float
) -> Float[Tensor, "*batch n"]:
    """f_i = −ε log Σ_j exp((g_j − C_ij) / ε) / m, which makes the rows of the plan add up to 1/n."""
    return -epsilon * (((g[..., None, :] - cost) / epsilon).logsumexp(dim=-1) - math.log(cost.shape[-1]))
