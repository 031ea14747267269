"""Attention and transformer layer in less time: fewer and larger products, and a hand-written gradient."""

import math
from collections.abc import Iterator
from itertools import chain

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from dmdlite.components import attention, transformer
from dmdlite.components.attention import AttentionMask, Source, Target
from dmdlite.components.fast.dropout import Dropout, keep_mask
from dmdlite.components.transformer import LayerNorm

BLOCKS, SMALLEST = 4, 24  # target steps are split into at most so many blocks, each of at least so many steps

Weight, Bias = Float[Tensor, "encoder outputs inputs"], Float[Tensor, "encoder outputs"]
Heads = Float[Tensor, "encoder batch head channel _"]  # the last axis is time, of the target or of the source
HeadsInOne = Float[Tensor, "_ encoder batch head channel _"]  # one to three of Q, K and V
AttentionMap = Float[Tensor, "encoder batch head target source"]


class Linear(attention.Linear):
    """One batched matrix product for all maps side by side."""

    def forward(
        self, x: Float[Tensor, "encoder batch time inputs"], norm: LayerNorm | None = None
    ) -> Float[Tensor, "encoder batch time outputs"]:
        """`norm`: the one that x still lacks the scale and the shift of."""
        return affine(x, *self.behind(norm))

    def behind(self, norm: LayerNorm | None) -> tuple[Weight, Bias]:
        """W (γ x + β) + b = (W γ) x + (W β + b): the map, smaller than x, takes in scale and shift of a norm."""
        if norm is None:
            return self.weight, self.bias
        return self.weight * norm.weight[:, None], self.bias + (self.weight @ norm.bias[..., None]).squeeze(-1)


def affine(x: Float[Tensor, "encoder batch time inputs"], weight: Weight, bias: Bias) -> Tensor:
    """W x + b, (encoder, batch, time, outputs)."""
    # A CPU gives one matrix product to one core; three would leave one of two cores idle, so each is cut in two.
    eager = x.device.type == "cpu" and not torch.compiler.is_compiling()
    cuts = math.lcm(len(x), torch.get_num_threads() if eager else 1) // len(x)
    cuts = cuts if x.shape[1] * x.shape[2] % cuts == 0 else 1
    rows = x.reshape(len(x) * cuts, -1, x.shape[-1])
    if cuts > 1:
        weight, bias = (w.repeat_interleave(cuts, dim=0) for w in (weight, bias))
    return torch.bmm(rows, weight.mT).add_(bias[:, None]).view(*x.shape[:3], -1)


class MultiHeadAttention(attention.MultiHeadAttention):
    """The same weights and results as the plain class. It takes a list of rates: there is always a leading axis."""

    Linear, Dropout = Linear, Dropout

    def forward(
        self, query: Target, key: Source, value: Source, mask: AttentionMask | None = None,
        norm: LayerNorm | None = None,
    ) -> Target:  # fmt: skip
        """`norm`: the one that the inputs still lack the scale and the shift of."""
        if mask is None:
            mask = AttentionMask(query.new_ones(1, 1, 1, query.shape[2], key.shape[2], dtype=torch.bool))
        rates = self.dropout.rates[:, None] if self.training and self.dropout.drops else None
        inputs = self.project_each(query, key, value, norm, rates)
        answer = Attend.apply(mask, None if rates is None else rates[..., None, None, None], *inputs)
        return self.output(answer.flatten(2, 3).mT)

    def project_each(
        self, query: Tensor, key: Tensor, value: Tensor, norm: LayerNorm | None, rates: Tensor | None
    ) -> list[HeadsInOne]:
        """Q / √d, K and V / (1 − rate), with time last. Inputs that are one tensor are projected together."""
        width, (weight, bias) = query.shape[-1], self.project.behind(norm)
        factors = weight.new_ones(len(weight), 3)
        factors[:, 0] /= math.sqrt(width / self.heads)
        if rates is not None:
            factors[:, 2:] /= 1 - rates
        factors = factors.repeat_interleave(width, dim=1)
        counts = [3] if query is key is value else [1, 2] if key is value else [1, 1, 1]
        sizes = [count * width for count in counts]
        maps = zip((weight * factors[..., None]).split(sizes, dim=1), (bias * factors).split(sizes, dim=1))
        projected = [affine(x, *parts) for x, parts in zip((query, key, value), maps)]
        in_heads = [x.unflatten(-1, (count, self.heads, -1)) for x, count in zip(projected, counts)]
        return [x.permute(3, 0, 1, 4, 5, 2).contiguous() for x in in_heads]


class TransformerLayer(transformer.TransformerLayer):
    """The same weights and results as the plain class; no norm is computed twice, nor its scale and shift at all."""

    Linear, Attention, Dropout = Linear, MultiHeadAttention, Dropout

    def forward(self, target: Target, key: Source, value: Source, mask: AttentionMask | None = None) -> Target:
        q = normalise(target)
        k = q if key is target else normalise(key)
        v = k if value is key else normalise(value)
        return self.feed_forward(target + self.residual_dropout(self.attention(q, k, v, mask, self.attention_norm)))

    def feed_forward(self, x: Target) -> Target:
        return x + self.transform(self.expand(normalise(x), self.feed_forward_norm))


def normalise(x: Target) -> Target:
    """The layer norm without its scale and shift."""
    return F.layer_norm(x, x.shape[-1:])


class Attend(torch.autograd.Function):
    """The attention map applied to V, with dropout; its gradient is written out.

    Memory: each map is kept once, with a byte per entry for dropout: less than half of what autograd would keep. Speed:
    blocks skip most of what is never seen, and every product has time as its last axis, which is up to four times as
    fast as the few channels of a head.
    """

    @staticmethod
    def forward(ctx, mask: AttentionMask, rates: Tensor | None, *inputs: HeadsInOne) -> Heads:
        """inputs: Q, K and V in one, two or three tensors, in which they are side by side."""
        maps, answers, (q, k, v) = [], [], chain.from_iterable(inputs)
        for target, source in blocks(mask):
            weights = attention_map(q[..., target], k[..., source], mask.visible[..., target, source])
            keep = None if rates is None else keep_mask(weights.shape, rates, q.device)
            answers.append(v[..., source] @ apply_keep_mask(weights, keep).mT)
            maps += weights, keep
        answer = torch.cat(answers, dim=-1)
        ctx.mask, ctx.inputs = mask, len(inputs)
        ctx.save_for_backward(*inputs, answer, *maps)
        return answer

    @staticmethod
    def backward(ctx, d_answer: Heads):
        inputs, (answer, *maps) = ctx.saved_tensors[: ctx.inputs], ctx.saved_tensors[ctx.inputs :]
        gradients = [torch.zeros_like(x) for x in inputs]
        (q, k, v), (d_q, d_k, d_v) = chain.from_iterable(inputs), chain.from_iterable(gradients)
        # The gradient of softmax is w (dw − Σ w dw); that sum over source steps is Σ answer · d_answer over channels.
        inner = (answer * d_answer).sum(dim=-2)[..., None]
        for (target, source), weights, keep in zip(blocks(ctx.mask), maps[::2], maps[1::2]):
            kept = apply_keep_mask(weights, keep)
            d_v[..., source] += d_answer[..., target] @ kept
            d_kept = d_answer[..., target].mT @ v[..., source]
            d_scores = d_kept.mul_(kept).addcmul_(weights, inner[..., target, :], value=-1)  # w dw is kept · d_kept
            d_q[..., target] = k[..., source] @ d_scores.mT
            d_k[..., source] += q[..., target] @ d_scores
        return None, None, *gradients


def blocks(mask: AttentionMask) -> Iterator[tuple[slice, slice]]:
    """Blocks of target steps, each with the source steps that it can see: the rest need not be computed."""
    target, source = mask.visible.shape[-2:]
    if mask.reach is None:
        yield slice(target), slice(source)
        return
    size = max(-(-target // BLOCKS), SMALLEST)
    for start in range(0, target, size):
        stop = min(start + size, target)
        yield slice(start, stop), slice(min(stop + mask.reach, source))


def attention_map(q: Heads, k: Heads, visible: Bool[Tensor, "#encoder #batch 1 target source"]) -> AttentionMap:
    """softmax(Q Kᵀ) over the source steps that are visible; Q is divided by √d already."""
    scores = q.mT @ k
    scores += torch.zeros_like(visible, dtype=scores.dtype).masked_fill_(~visible, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1, dtype=scores.dtype)  # autocast on a GPU would widen it, and a product mix types
    # Only padding, which differs from clip to clip, can hide every step; softmax then gives them equal weights.
    return weights.mul_(visible.any(dim=-1, keepdim=True)) if visible.shape[1] == q.shape[1] else weights


def apply_keep_mask(weights: AttentionMap, keep: Tensor | None) -> AttentionMap:
    """weights · keep; the bytes become floats first, because products of mixed types are slow."""
    return weights if keep is None else keep.to(weights.dtype).mul_(weights)
