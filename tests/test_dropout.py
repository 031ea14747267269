"""Both dropouts, plain and cheap, are dropouts: kept at their rate, scaled, independent, repeated by a seed."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmdlite.components import attention, dropout, fast
from dmdlite.components.fast.dropout import keep_mask
from dmdlite.components.transformer import attention_mask

CPU = torch.device("cpu")
both = pytest.mark.parametrize("Dropout", [dropout.Dropout, fast.Dropout], ids=["plain", "fast"])
rates = st.floats(0.0, 1.0, exclude_max=True)


def deviation(mean: float, expected: float, count: int) -> float:
    """How many standard errors a frequency is from what it should be."""
    return abs(mean - expected) / math.sqrt(max(expected * (1 - expected), 1e-12) / count)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.3, 0.5, 0.9])
def test_keep_rate(rate):
    torch.manual_seed(0)
    keep = keep_mask((2000, 1001), rate, CPU).double()
    assert keep.unique().tolist() == [0, 1]
    assert deviation(keep.mean().item(), 1 - rate, keep.numel()) < 5
    # in every row, and in each of the four places that share a random word
    assert max(deviation(row.item(), 1 - rate, 1001) for row in keep.mean(dim=1)) < 6
    for place in keep.flatten()[: keep.numel() // 4 * 4].view(-1, 4).mean(dim=0):
        assert deviation(place.item(), 1 - rate, keep.numel() // 4) < 5


@given(rates, st.lists(st.integers(0, 7), min_size=0, max_size=4))
@settings(max_examples=50, deadline=None)
def test_any_rate_and_shape(rate, shape):
    keep = keep_mask(shape, rate, CPU)
    assert keep.shape == tuple(shape) and keep.dtype == torch.uint8 and keep.le(1).all()
    assert keep_mask(shape, 0.0, CPU).eq(1).all()


def test_a_rate_for_each_group():
    torch.manual_seed(0)
    wanted = torch.tensor([0.0, 0.3, 0.8])
    keep = keep_mask((3, 400, 400), wanted[:, None, None], CPU).double()
    for kept, rate in zip(keep.mean(dim=(1, 2)).tolist(), wanted.tolist()):
        assert deviation(kept, 1 - rate, 160_000) < 5 or kept == 1


def test_independence():
    """Of neighbours, of rows, of places in one random word, and of two calls: correlations are all noise."""
    torch.manual_seed(0)
    first, second = (keep_mask((1000, 1000), 0.3, CPU).double() - 0.7 for _ in range(2))
    pairs = [(first, second), (first[1:], first[:-1])]
    pairs += [(first[:, lag:], first[:, :-lag]) for lag in (1, 2, 3, 4, 8)]
    for a, b in pairs:
        correlation = (a * b).mean() / (0.3 * 0.7)
        assert abs(correlation) * math.sqrt(a.numel()) < 5


@both
def test_scaling_keeps_the_mean(Dropout):
    torch.manual_seed(0)
    layer, x = Dropout(0.3), torch.full((1000, 1000), 2.0, requires_grad=True)
    y = layer(x)
    assert y.unique().tolist() == pytest.approx([0, 2 / 0.7])
    assert y.mean().item() == pytest.approx(2, abs=5 * 2 * math.sqrt(0.3 / 0.7) / 1000)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach() / 2)


@both
def test_the_module_keeps_at_its_rate_and_independently(Dropout):
    torch.manual_seed(0)
    layer = Dropout([0.0, 0.3, 0.8])
    kept = (layer(torch.ones(3, 400, 400)) != 0).double()
    for keep, rate in zip(kept, (0.0, 0.3, 0.8)):
        assert deviation(keep.mean().item(), 1 - rate, keep.numel()) < 5 or keep.mean() == 1 - rate
        if rate:
            centred = keep - (1 - rate)
            for a, b in [(centred[1:], centred[:-1]), (centred[:, 1:], centred[:, :-1])]:
                assert abs((a * b).mean() / (rate * (1 - rate))) * math.sqrt(a.numel()) < 5


@both
def test_a_seed_repeats_it_and_no_seed_does_not(Dropout):
    x, layer = torch.ones(100, 100), Dropout(0.5)
    torch.manual_seed(7)
    first, second = layer(x), layer(x)
    torch.manual_seed(7)
    assert torch.equal(layer(x), first) and torch.equal(layer(x), second) and not torch.equal(first, second)


@both
def test_it_rests_in_evaluation_and_at_rate_zero(Dropout):
    x = torch.randn(5, 5)
    assert Dropout(0.5).eval()(x) is x and Dropout(0.0)(x) is x


@both
def test_half_precision(Dropout):
    y = Dropout(0.5)(torch.ones(1000, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16 and set(y.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("kind", [attention.MultiHeadAttention, fast.MultiHeadAttention], ids=["plain", "fast"])
def test_attention_with_dropout_is_right_on_average(kind):
    """The mean of many draws is the attention without dropout, also where groups have rates of their own."""
    torch.manual_seed(0)
    heads = kind(8, 2, [0.0, 0.2, 0.5])
    x, visible = torch.randn(3, 2, 6, 8), attention_mask([6] * 3, [6] * 3, causal=True)
    with torch.no_grad():
        drawn = torch.stack([heads(x, x, x, visible) for _ in range(4000)])
        expected = heads.eval()(x, x, x, visible)
    assert torch.equal(drawn[0, 0], drawn[1, 0]) and not torch.equal(drawn[0, 1], drawn[1, 1])
    error = drawn.std(dim=0) / math.sqrt(len(drawn))
    assert ((drawn.mean(dim=0) - expected).abs() < 6 * error + 1e-5).all()
