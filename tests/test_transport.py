"""Entropic optimal transport against POT, against finite differences, and by what must hold for every problem."""

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmdlite.components.transport import annealed_divergence, sinkhorn, sinkhorn_divergence, squared_distances

EXACT = dict(iterations=20_000, tolerance=1e-11)


def clouds(n=5, m=6, d=3, batch=(), seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(*batch, size, d, generator=draw, dtype=dtype) for size in (n, m))


def pot_plan(x, y, a, b, epsilon):
    cost = squared_distances(x, y).numpy()
    return ot.sinkhorn(a.numpy(), b.numpy(), cost, epsilon, "sinkhorn_log", numItermax=100_000, stopThr=1e-12)


def pot_cost(x, y, a, b, epsilon):
    """min ⟨P, C⟩ + ε KL(P | a bᵀ), from POT's plan; POT itself adds ε Σ P log P, which is another constant."""
    plan = pot_plan(x, y, a, b, epsilon)
    spread = np.sum(plan * np.log(plan / np.outer(a, b)))
    return np.sum(plan * squared_distances(x, y).numpy()) + epsilon * spread


def test_by_hand():
    """Two points each: by symmetry P_11 = ½ σ(c / ε), where c is the difference in cost of staying and crossing."""
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    epsilon = 0.3
    stay = torch.sigmoid(torch.tensor(0.5 / epsilon, dtype=torch.float64)) / 2
    result = sinkhorn(x, x, epsilon, **EXACT)
    expected = torch.tensor([[stay, 0.5 - stay], [0.5 - stay, stay]], dtype=torch.float64)
    torch.testing.assert_close(result.plan, expected)
    crossing = 2 * (0.5 - stay) * 0.5
    entropy = (expected * (expected / 0.25).log()).sum()
    torch.testing.assert_close(result.cost, crossing + epsilon * entropy)


@pytest.mark.parametrize("epsilon", [0.05, 0.2, 1.0])
def test_plan_and_cost_are_those_of_pot(epsilon):
    x, y = clouds()
    a, b = (torch.full((n,), 1 / n, dtype=x.dtype) for n in (5, 6))
    result = sinkhorn(x, y, epsilon, **EXACT)
    np.testing.assert_allclose(result.plan, pot_plan(x, y, a, b, epsilon), atol=1e-9)
    np.testing.assert_allclose(result.cost, pot_cost(x, y, a, b, epsilon), atol=1e-9)


@pytest.mark.parametrize("epsilon", [0.05, 0.2, 1.0])
def test_divergence_is_that_of_pot(epsilon):
    x, y = clouds()
    a, b = (torch.full((n,), 1 / n, dtype=x.dtype) for n in (5, 6))
    expected = pot_cost(x, y, a, b, epsilon) - (pot_cost(x, x, a, a, epsilon) + pot_cost(y, y, b, b, epsilon)) / 2
    np.testing.assert_allclose(sinkhorn_divergence(x, y, epsilon, **EXACT), expected, atol=1e-9)


def test_pots_divergence_of_another_definition_follows_from_the_plans():
    """POT's `empirical_sinkhorn_divergence` leaves the entropy out: ⟨P, C⟩ of the three plans."""
    x, y = clouds()
    cross, first, second = (
        float((sinkhorn(p, q, 0.1, **EXACT).plan * squared_distances(p, q)).sum()) for p, q in ((x, y), (x, x), (y, y))
    )
    settings = dict(metric="sqeuclidean", numIterMax=100_000, stopThr=1e-12)
    pot = ot.bregman.empirical_sinkhorn_divergence(x.numpy(), y.numpy(), 0.2, **settings) / 2  # its cost is |x − y|²
    np.testing.assert_allclose(cross - (first + second) / 2, pot, atol=1e-7)


def pot_gradient(x, y, a, b, epsilon):
    """d/dx of OT_ε(x, y), analytic: Σ_j P_ij (x_i − y_j)."""
    plan = torch.from_numpy(pot_plan(x, y, a, b, epsilon))
    return plan.sum(1, keepdim=True) * x - plan @ y


@pytest.mark.parametrize("epsilon", [0.05, 0.2, 1.0])
def test_gradients_are_those_of_pots_plan(epsilon):
    x, y = (z.requires_grad_() for z in clouds())
    a, b = (torch.full((n,), 1 / n, dtype=x.dtype) for n in (5, 6))
    sinkhorn_divergence(x, y, epsilon, **EXACT).backward()
    x_, y_ = x.detach(), y.detach()
    own = pot_gradient(x_, x_, a, a, epsilon), pot_gradient(y_, y_, b, b, epsilon)  # both sides of ½ OT(x, x)
    np.testing.assert_allclose(x.grad, pot_gradient(x_, y_, a, b, epsilon) - own[0], atol=1e-9)
    np.testing.assert_allclose(y.grad, pot_gradient(y_, x_, b, a, epsilon) - own[1], atol=1e-9)


def test_gradients_are_those_of_pot_through_its_iterations():
    """Independent of the envelope theorem: autograd through POT's torch backend, entropy added by hand."""
    x, y = clouds()
    a, b = (torch.full((n,), 1 / n, dtype=x.dtype) for n in (5, 6))
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    sinkhorn(mine, y, 0.1, **EXACT).cost.backward()
    cost = squared_distances(theirs, y)
    plan = ot.sinkhorn(a, b, cost, 0.1, "sinkhorn_log", numItermax=2000, stopThr=1e-13)
    ((plan * cost).sum() + 0.1 * (plan * (plan / torch.outer(a, b)).log()).sum()).backward()
    torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-8, rtol=0)


def test_gradients_are_finite_differences():
    x, y = (z.requires_grad_() for z in clouds(4, 3, 2, batch=(2,)))
    torch.autograd.gradcheck(lambda x, y: sinkhorn_divergence(x, y, 0.1, **EXACT), (x, y), atol=1e-6)


problems = given(
    n=st.integers(1, 6),
    m=st.integers(1, 6),
    d=st.integers(1, 4),
    seed=st.integers(0, 10_000),
    epsilon=st.sampled_from([0.1, 1.0, 10.0]),
)
quick = settings(max_examples=15, deadline=None)


@problems
@quick
def test_marginals_and_optimality(n, m, d, seed, epsilon):
    x, y = clouds(n, m, d, seed=seed)
    plan = sinkhorn(x, y, epsilon, iterations=5000, tolerance=1e-6).plan
    assert (plan >= 0).all()
    torch.testing.assert_close(plan.sum(-2), torch.full((m,), 1 / m, dtype=x.dtype))
    assert (plan.sum(-1) - 1 / n).abs().sum() < 1e-5


@problems
@quick
def test_divergence_is_symmetric_never_negative_and_blind_to_order(n, m, d, seed, epsilon):
    x, y = clouds(n, m, d, seed=seed)
    exact = dict(iterations=5000, tolerance=1e-7)
    value = sinkhorn_divergence(x, y, epsilon, **exact)
    assert value > -1e-7
    order, other = torch.randperm(n), torch.randperm(m)
    close = dict(atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(value, sinkhorn_divergence(y, x, epsilon, **exact), **close)
    torch.testing.assert_close(value, sinkhorn_divergence(x[order], y[other], epsilon, **exact), **close)
    assert abs(float(sinkhorn_divergence(x, x[order], epsilon, **exact))) < 1e-6
    assert float(sinkhorn_divergence(x, x, epsilon, **exact)) == 0


def test_different_clouds_differ():
    x, y = clouds(4, 4)
    assert sinkhorn_divergence(x, y, 0.1, **EXACT) > 0.01


@pytest.mark.parametrize("epsilon", [1e-9, 1e-4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_overflow_at_tiny_epsilon(epsilon, dtype):
    """The cost is then that of the best assignment, as POT's exact solver finds it."""
    x, y = (5 * z for z in clouds(6, 6, dtype=dtype))
    x.requires_grad_()
    result = sinkhorn(x, y, epsilon)
    result.cost.backward()
    assert result.cost.isfinite() and x.grad.isfinite().all() and result.plan.isfinite().all()
    exact = ot.emd2([], [], squared_distances(x.detach(), y).double().numpy())
    np.testing.assert_allclose(result.cost.detach(), exact, rtol=2e-2)


def test_large_epsilon_compares_the_means():
    """For ε → ∞ the plan is a bᵀ, and the debiased divergence is half the squared distance of the means."""
    x, y = clouds()
    result = sinkhorn(x, y, 1e6, **EXACT)
    torch.testing.assert_close(result.plan, torch.full_like(result.plan, 1 / 30), atol=1e-6, rtol=0)
    expected = (x.mean(0) - y.mean(0)).square().sum() / 2
    torch.testing.assert_close(sinkhorn_divergence(x, y, 1e6, **EXACT), expected, atol=1e-6, rtol=0)


def test_a_batch_is_as_one_by_one():
    x, y = clouds(5, 4, 3, batch=(2, 3))
    x = x * torch.tensor([1.0, 3.0])[:, None, None, None]  # each with its own start of the ε-scaling
    together = sinkhorn(x, y, 0.05, **EXACT)
    for i in range(2):
        for j in range(3):
            alone = sinkhorn(x[i, j], y[i, j], 0.05, **EXACT)
            torch.testing.assert_close(together.cost[i, j], alone.cost, atol=1e-8, rtol=0)
            torch.testing.assert_close(together.plan[i, j], alone.plan, atol=1e-8, rtol=0)
    assert sinkhorn_divergence(x, y, 0.05).shape == (2, 3)


def test_half_precision_is_computed_in_single():
    x, y = clouds(dtype=torch.float32)
    rounded = sinkhorn_divergence(x.bfloat16(), y.bfloat16(), 0.1)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, sinkhorn_divergence(x.bfloat16().float(), y.bfloat16().float(), 0.1))


@pytest.mark.parametrize("m", [5, 6])
def test_an_annealed_divergence_goes_to_the_same_optimum(m):
    """With many passes; with one it is off, and is held to geomloss by the golden numbers of PKDOT."""
    found = []
    for divergence, much in ((annealed_divergence, dict(iterations=3000)), (sinkhorn_divergence, EXACT)):
        x, y = (z.requires_grad_() for z in clouds(5, m, batch=(2,)))
        values = divergence(x, y, 0.02, **much)
        values.sum().backward()
        found.append((values, x.grad, y.grad))
    for annealed, exact in zip(*found):
        torch.testing.assert_close(annealed, exact, atol=1e-6, rtol=0)
    assert (annealed_divergence(x, y, 0.02) - values).abs().max() > 1e-4
    assert annealed_divergence(x[:1], x[:1], 0.02) == 0 == annealed_divergence(0 * x, 0 * y, 0.02).sum()


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan")])
def test_epsilon_must_be_positive(epsilon):
    with pytest.raises(ValueError, match="epsilon must be positive"):
        annealed_divergence(*clouds(), epsilon)
    with pytest.raises(ValueError, match="epsilon must be positive"):
        sinkhorn(*clouds(), epsilon)
