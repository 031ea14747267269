"""Attention and the encoders made of it: against PyTorch's own, for what they must not see, and for their shortcuts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dmdlite.components import attention, fast, transformer
from dmdlite.components.fast.attention import BLOCKS, SMALLEST, Attend, Linear, attention_map, blocks
from dmdlite.components.transformer import (
    CrossModalEncoders,
    LayerNorm,
    SelfAttentionEncoders,
    StepEncoders,
    attention_mask,
    encode_each,
    sinusoidal_positions,
)
from dmdlite.config import DMDConfig
from dmdlite.models.dmd import DMD

seeds = st.integers(0, 10_000)
close = torch.testing.assert_close
WIDTH = 24


def toy(kind: type, groups: int = 1, **changes) -> CrossModalEncoders | SelfAttentionEncoders:
    return kind(DMDConfig.toy(**changes).without_dropout(), WIDTH, 2, [0.0] * groups, fast.TransformerLayer).eval()


def cross(target, source, mask=None, **changes):
    torch.manual_seed(0)
    return encode_each(toy(CrossModalEncoders, **changes), [target], [source], masks=None if mask is None else [mask])[
        0
    ]


def test_grouped_layers_are_layers_beside_each_other():
    torch.manual_seed(0)
    linear, norm, x = Linear(4, 5, 3), LayerNorm(4, 3), torch.randn(3, 2, 7, 4)
    nn.init.normal_(linear.bias), nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    for g in range(3):
        close(linear(x)[g], nn.functional.linear(x[g], linear.weight[g], linear.bias[g]))
        close(norm(x)[g], nn.functional.layer_norm(x[g], (4,), norm.weight[g], norm.bias[g]))
    normed = nn.functional.layer_norm(x, (4,))
    close(linear(normed, norm), linear(norm(x)))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_grouped_product_is_cut_for_the_cores(threads):
    """Values and gradients do not depend on the cut."""
    before, linear, x = torch.get_num_threads(), Linear(4, 5, 3), torch.randn(3, 2, 6, 4, requires_grad=True)
    expected = torch.einsum("gbti,goi->gbto", x, linear.weight) + linear.bias[:, None, None]
    weight = torch.randn_like(expected)
    expected_gradients = torch.autograd.grad((expected * weight).sum(), [x, *linear.parameters()])
    torch.set_num_threads(threads)
    try:
        y = linear(x)
        gradients = torch.autograd.grad((y * weight).sum(), [x, *linear.parameters()])
    finally:
        torch.set_num_threads(before)
    close(y, expected)
    for ours, theirs in zip(gradients, expected_gradients):
        close(ours, theirs)


@pytest.mark.parametrize("kind", [attention.MultiHeadAttention, fast.MultiHeadAttention], ids=["plain", "fast"])
@pytest.mark.parametrize("shared", ["nothing", "key and value", "everything"])
def test_attention_is_that_of_pytorch(shared, kind):
    """In each group, with its own weights; whether inputs are one tensor or several makes no difference."""
    ours, theirs = kind(12, 3, [0.0, 0.0]), nn.MultiheadAttention(12, 3, batch_first=True)
    query = torch.randn(2, 2, 7, 12)
    key = query if shared == "everything" else torch.randn(2, 2, 7, 12)
    value = key if shared != "nothing" else torch.randn(2, 2, 7, 12)
    visible = attention_mask([7, 7], [7, 7], causal=True)
    nn.init.normal_(ours.project.bias), nn.init.normal_(ours.output.bias)
    for g in range(2):
        with torch.no_grad():
            theirs.in_proj_weight.copy_(ours.project.weight[g]), theirs.in_proj_bias.copy_(ours.project.bias[g])
            theirs.out_proj.weight.copy_(ours.output.weight[g]), theirs.out_proj.bias.copy_(ours.output.bias[g])
        hidden = ~visible.visible[g, 0, 0]
        answer, weights = theirs(query[g], key[g], value[g], attn_mask=hidden, average_attn_weights=False)
        close(ours(query, key, value, visible)[g], answer)
        close(ours.map(query, key, visible)[g], weights)


def test_attention_starts_as_published():
    """Query, key and value are one Xavier matrix of (3 · width, width); its bound tells it."""
    heads = attention.MultiHeadAttention(48, 4, [0.0, 0.0])
    for weight in heads.project.weight:
        assert 0.95 < weight.abs().max() / (6 / (48 + 3 * 48)) ** 0.5 <= 1
    assert heads.project.bias.eq(0).all() and heads.output.bias.eq(0).all()


LONG = BLOCKS * SMALLEST + 7  # so many steps go in blocks


@pytest.mark.parametrize(("target", "source"), [(5, 5), (LONG, LONG), (LONG, LONG + 9), (LONG + 9, 30)])
@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("padded", [False, True])
def test_the_written_gradient_is_that_of_autograd(target, source, rate, padded, monkeypatch):
    """Block by block and with dropout, against the formula in one piece."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 2, 3, 4, t, dtype=torch.float64, requires_grad=True) for t in (target, source, source))
    masks = [torch.arange(source) < torch.tensor([[source], [n]]) for n in (0, source // 2)] if padded else None
    visible = attention_mask([target] * 2, [source] * 2, True, masks)
    kept = (torch.rand(2, 2, 3, target, source) >= rate).to(torch.uint8)
    drawn = iter([kept[..., rows, columns] for rows, columns in blocks(visible)])
    monkeypatch.setattr("dmdlite.components.fast.attention.keep_mask", lambda *_: next(drawn))
    inputs = (q[None] / math.sqrt(4), k[None], v[None])
    ours = Attend.apply(visible, torch.tensor(rate) if rate else None, *inputs)

    scores = torch.einsum("gbhcq,gbhck->gbhqk", q, k) / math.sqrt(4)
    weights = scores.masked_fill(~visible.visible, -torch.inf).softmax(dim=-1).nan_to_num(0)
    struck = weights * kept if rate else weights
    theirs = torch.einsum("gbhqk,gbhck->gbhcq", struck, v)
    close(ours, theirs)
    close(attention_map(q / math.sqrt(4), k, visible.visible).double(), weights)
    weight = torch.randn_like(theirs)
    for ours_x, theirs_x in zip(*(torch.autograd.grad((y * weight).sum(), (q, k, v)) for y in (ours, theirs))):
        close(ours_x, theirs_x)


def test_blocks_cover_what_is_visible():
    for target, source in [(1, 1), (46, 46), (LONG, LONG), (300, 40), (40, 300)]:
        for causal in (True, False):
            visible = attention_mask([target], [source], causal)
            left = visible.visible.clone()
            for rows, columns in blocks(visible):
                left[..., rows, columns] = False
            assert not left.any() and len(list(blocks(visible))) <= BLOCKS
    steps = sum((rows.stop - rows.start) * columns.stop for rows, columns in blocks_of(400))
    assert steps < 0.63 * 400**2


def blocks_of(steps):
    return blocks(attention_mask([steps], [steps], causal=True))


@pytest.mark.parametrize("causal", [True, False])
def test_causal_attention_does_not_see_the_future(causal):
    x = torch.randn(2, 9, WIDTH)
    changed = x.clone()
    changed[:, 6:] += torch.randn(2, 3, WIDTH)
    ours, theirs = (cross(x, source, causal_attention=causal) for source in (x, changed))
    same = torch.isclose(ours, theirs, atol=1e-6).all(dim=-1)
    assert same[:, :6].all() == causal and not same[:, 6:].any()


def test_causal_attention_shifts_by_the_difference_of_lengths():
    target, source = torch.randn(1, 4, WIDTH), torch.randn(1, 6, WIDTH)
    changed = source.clone()
    changed[:, 3:] += torch.randn(1, 3, WIDTH)  # target step 0 sees source steps 0, 1, 2
    same = torch.isclose(cross(target, source), cross(target, changed), atol=1e-6).all(dim=-1)
    assert same.tolist() == [[True, False, False, False]]


@given(seeds, st.integers(1, 8), st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_padding_is_never_seen(seed, source_length, target_length):
    torch.manual_seed(seed)
    target, source = torch.randn(2, 6, WIDTH), torch.randn(2, 8, WIDTH)
    source_mask = torch.arange(8).expand(2, 8) < source_length
    noisy = source + torch.randn_like(source) * ~source_mask[..., None]
    close(cross(target, source, source_mask), cross(target, noisy, source_mask))
    target_mask = torch.arange(6).expand(2, 6) < target_length
    own, encoder = target + torch.randn_like(target) * ~target_mask[..., None], toy(SelfAttentionEncoders)
    close(*(encode_each(encoder, [x], masks=[target_mask]) for x in (target, own)))


def test_a_source_without_real_steps_is_silent():
    target = torch.randn(2, 6, WIDTH, requires_grad=True)
    nothing = torch.zeros(2, 8, dtype=torch.bool)
    out = cross(target, torch.randn(2, 8, WIDTH), nothing)
    close(out, cross(target, torch.randn(2, 8, WIDTH), nothing))
    out.sum().backward()
    assert target.grad.isfinite().all()


@pytest.mark.parametrize("masked", [False, True])
def test_the_last_step_alone_is_the_last_of_all_steps(masked):
    """A self-attention encoder is one with all steps, of which the last real one is read."""
    reader, every = toy(SelfAttentionEncoders, 2), toy(StepEncoders, 2)
    every.load_state_dict(reader.state_dict())
    streams = [torch.randn(3, 9, WIDTH), torch.randn(3, 9, WIDTH)]
    masks = [torch.arange(9) < torch.tensor([[9], [4], [1]])] * 2 if masked else None
    steps = [8, 3, 0] if masked else [8, 8, 8]
    all_steps = encode_each(every, streams, masks=masks)
    for ours, theirs in zip(encode_each(reader, streams, masks=masks), all_steps, strict=True):
        close(ours[:, 0], theirs[torch.arange(3), steps])
    for g, theirs in enumerate(all_steps):
        x = (streams[g] * math.sqrt(WIDTH) + sinusoidal_positions(9, WIDTH))[None].expand(2, -1, -1, -1)
        for layer in every.layers:
            x = layer(x, x, x, attention_mask([9, 9], [9, 9], True, masks))
        close(theirs, every.norm(x)[g])


@pytest.mark.parametrize("lengths", [(9, 9, 9), (9, 10, 8), (4, 9, 20)])
def test_encoders_together_are_encoders_one_by_one(lengths):
    """Equal lengths are stacked, about equal ones padded, others take turns: each encoder computes the same."""
    torch.manual_seed(0)
    encoders, readers = toy(CrossModalEncoders, 3), toy(SelfAttentionEncoders, 3)
    targets = [torch.randn(2, t, WIDTH) for t in lengths]
    sources = [torch.randn(2, t, WIDTH) for t in lengths[1:] + lengths[:1]]
    masks = [torch.rand(2, x.shape[1]) < 0.7 for x in sources]
    for several, streams in ((encoders, (targets, sources)), (readers, (sources,))):
        alone = toy(type(several))
        for given_masks in (None, masks):
            for g, ours in enumerate(encode_each(several, *streams, masks=given_masks)):
                alone.load_state_dict({name: weight[g : g + 1] for name, weight in several.state_dict().items()})
                own = [[same[g]] for same in streams]
                (theirs,) = encode_each(alone, *own, masks=given_masks and [given_masks[g]])
                close(ours, theirs)


def pair(kind: str, causal: bool = True):
    """A plain module and its fast twin with the same weights, every one of them random."""
    torch.manual_seed(0)
    config = DMDConfig.toy(causal_attention=causal).without_dropout()
    if kind == "attention":
        plain, twin = (module.MultiHeadAttention(WIDTH, 4, [0.0, 0.0]) for module in (attention, fast))
    else:
        plain, twin = (module.TransformerLayer(config, WIDTH, [0.0, 0.0]) for module in (transformer, fast))
    for parameter in plain.parameters():
        nn.init.normal_(parameter, std=0.3)
    twin.load_state_dict(plain.state_dict())
    return plain, twin


@pytest.mark.parametrize("kind", ["attention", "layer"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("shared", ["nothing", "key and value", "everything"])
def test_plain_and_fast_are_equal(kind, causal, padded, shared):
    """Values and all gradients, with and without masks (one clip has no real step), over several blocks of steps."""
    plain, twin = pair(kind, causal)
    target, source = (LONG, LONG) if shared == "everything" else (LONG, LONG + 5)
    q = torch.randn(2, 3, target, WIDTH, requires_grad=True)
    k = q if shared == "everything" else torch.randn(2, 3, source, WIDTH, requires_grad=True)
    v = k if shared != "nothing" else torch.randn(2, 3, source, WIDTH, requires_grad=True)
    masks = [torch.arange(source) < torch.tensor([[source], [source // 3], [0]])] * 2 if padded else None
    mask, weight = attention_mask([target] * 2, [source] * 2, causal, masks), torch.randn(2, 3, target, WIDTH)
    results, gradients = [], []
    for module in (plain, twin):
        results.append(module(q, k, v, mask))
        inputs = list({id(x): x for x in (q, k, v)}.values())
        gradients.append(torch.autograd.grad((results[-1] * weight).sum(), [*inputs, *module.parameters()]))
    close(*results, atol=1e-5, rtol=1e-4)
    for ours, theirs in zip(*gradients):
        close(ours, theirs, atol=2e-3, rtol=1e-3)
    if kind == "attention":
        close(plain(q, k, v), twin(q, k, v), atol=1e-5, rtol=1e-4)  # without a mask everything is visible


def test_a_single_plain_attention_needs_no_leading_axis():
    """It is the first of several side by side, with the same weights."""
    single, several = attention.MultiHeadAttention(WIDTH, 4), attention.MultiHeadAttention(WIDTH, 4, [0.0, 0.0])
    single.load_state_dict({name: weight[0] for name, weight in several.state_dict().items()})
    x, y = torch.randn(2, 5, WIDTH), torch.randn(2, 7, WIDTH)
    close(single(x, y, y), several(*(z.expand(2, -1, -1, -1) for z in (x, y, y)))[0])


@pytest.mark.parametrize("masked", [False, True])
def test_a_plain_dmd_is_a_fast_one(masked):
    """The whole model, given plain layers: loss terms, edges and gradients."""
    config = DMDConfig.toy(width=8, heads=2).without_dropout()
    plain, twin = DMD(config, layer=transformer.TransformerLayer), DMD(config)
    twin.load_state_dict(plain.state_dict())
    batch = {m: torch.randn(4, config.lengths[m], config.feature_widths[m]) for m in config.lengths}
    batch["labels"] = torch.tensor([1.0, -2.0, 1.0, 0.4])
    if masked:
        lengths = torch.tensor([[14], [9], [12], [3]])
        batch["mask"] = {m: torch.arange(config.lengths[m]) < lengths for m in config.lengths}
    outs = [model(**batch) for model in (plain, twin)]
    close(outs[0].losses, outs[1].losses, atol=1e-5, rtol=1e-4)
    close(outs[0].edges, outs[1].edges, atol=1e-5, rtol=1e-4)
    for out in outs:
        out.loss.backward()
    for (name, ours), theirs in zip(plain.named_parameters(), twin.parameters()):
        if ours.grad is not None:
            close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}")


def test_positions():
    table = sinusoidal_positions(3, 5)
    assert table.shape == (3, 5) and table[:, 4].eq(0).all()
    close(table[1, :4], torch.cat([torch.tensor([2.0, 2e-4]).sin(), torch.tensor([2.0, 2e-4]).cos()]))


def test_positions_can_skip_steps_whose_first_channel_is_zero():
    x = torch.randn(1, 1, 4, WIDTH)
    x[0, 0, 2, 0] = 0
    for skip in (True, False):
        added = toy(CrossModalEncoders, positions_skip_zeros=skip).embed(x) - WIDTH**0.5 * x
        assert added[0, 0, 2].abs().max().item() < 1e-6 if skip else added[0, 0, 2].abs().max() > 0.5
        assert added[0, 0, 1].abs().max() > 0.5
