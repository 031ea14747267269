"""Attention and transformer layer in less time: fewer and larger products, and a hand-written gradient."""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dmdlite.components import attention, transformer
from dmdlite.components.attention import AttentionMask, Source, Target
from dmdlite.components.fast.dropout import Dropout, keep_mask

BLOCKS, SMALLEST = 4, 24  # target steps are split into at most so many blocks, each of at least so many steps

Heads = Float[Tensor, "encoder batch head channel _"]  # the last axis is time, of the target or of the source
AttentionMap = Float[Tensor, "encoder batch head target source"]


class Linear(attention.Linear):
    """One batched matrix product for all maps side by side."""

    def forward(
        self, x: Float[Tensor, "encoder batch time inputs"], part: slice = slice(None)
    ) -> Float[Tensor, "encoder batch time outputs"]:
        """`part` selects outputs."""
        weight, bias = self.weight[:, part], self.bias[:, None, part]
        # A CPU gives one matrix product to one core; three would leave one of two cores idle, so each is cut in two.
        eager = x.device.type == "cpu" and not torch.compiler.is_compiling()
        cuts = math.lcm(len(x), torch.get_num_threads() if eager else 1) // len(x)
        cuts = cuts if x.shape[1] * x.shape[2] % cuts == 0 else 1
        rows = x.reshape(len(x) * cuts, -1, x.shape[-1])
        weight, bias = (w[:, None].expand(-1, cuts, -1, -1).flatten(0, 1) for w in (weight, bias))
        return torch.baddbmm(bias, rows, weight.mT).view(*x.shape[:3], -1)


class MultiHeadAttention(attention.MultiHeadAttention):
    """The same weights and results as the plain class. It takes a list of rates: there is always a leading axis."""

    Linear, Dropout = Linear, Dropout

    def forward(self, query: Target, key: Source, value: Source, mask: AttentionMask | None = None) -> Target:
        q, k, v = self.time_last(*self.project_each(query, key, value))
        if mask is None:
            mask = AttentionMask(query.new_ones(1, 1, 1, query.shape[2], key.shape[2], dtype=torch.bool))
        rates = None
        if self.training and self.dropout.drops:
            rates = self.dropout.rates[:, None, None, None, None]
            v = v / (1 - rates).to(v.dtype)
        answer = Attend.apply(q, k, v, mask, rates)
        return self.output(answer.flatten(2, 3).mT)

    def project_each(self, query: Tensor, key: Tensor, value: Tensor) -> Sequence[Tensor]:
        """Q, K and V. Inputs that are one and the same tensor are projected together."""
        width = query.shape[-1]
        if query is key is value:
            return self.project(query).chunk(3, dim=-1)
        if key is value:
            return [self.project(query, slice(width)), *self.project(key, slice(width, None)).chunk(2, dim=-1)]
        return [self.project(x, slice(i * width, (i + 1) * width)) for i, x in enumerate((query, key, value))]

    def time_last(self, *inputs: Float[Tensor, "encoder batch _ width"]) -> list[Heads]:
        return [x.unflatten(-1, (self.heads, -1)).permute(0, 1, 3, 4, 2).contiguous() for x in inputs]


class TransformerLayer(transformer.TransformerLayer):
    """The same weights and results as the plain class, and no norm computed twice."""

    Linear, Attention, Dropout = Linear, MultiHeadAttention, Dropout

    def forward(self, target: Target, key: Source, value: Source, mask: AttentionMask | None = None) -> Target:
        q = self.attention_norm(target)
        k = q if key is target else self.attention_norm(key)
        v = k if value is key else self.attention_norm(value)
        return self.feed_forward(target + self.residual_dropout(self.attention(q, k, v, mask)))


class Attend(torch.autograd.Function):
    """The attention map applied to V, with dropout; its gradient is written out.

    Memory: each map is kept once, with a byte per entry for dropout: less than half of what autograd would keep. Speed:
    blocks skip most of what is never seen, and every product has time as its last axis, which is up to four times as
    fast as the few channels of a head.
    """

    @staticmethod
    def forward(ctx, q: Heads, k: Heads, v: Heads, mask: AttentionMask, rates: Tensor | None) -> Heads:
        maps, answers = [], []
        for target, source in blocks(mask):
            weights = attention_map(q[..., target], k[..., source], mask.visible[..., target, source])
            keep = None if rates is None else keep_mask(weights.shape, rates, q.device)
            answers.append(v[..., source] @ apply_keep_mask(weights, keep).mT)
            maps += weights, keep
        answer = torch.cat(answers, dim=-1)
        ctx.mask = mask
        ctx.save_for_backward(q, k, v, answer, *maps)
        return answer

    @staticmethod
    def backward(ctx, d_answer: Heads):
        q, k, v, answer, *maps = ctx.saved_tensors
        d_q, d_k, d_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        # The gradient of softmax is w (dw − Σ w dw); that sum over source steps is Σ answer · d_answer over channels.
        inner = (answer * d_answer).sum(dim=-2)[..., None]
        for (target, source), weights, keep in zip(blocks(ctx.mask), maps[::2], maps[1::2]):
            d_v[..., source] += d_answer[..., target] @ apply_keep_mask(weights, keep)
            d_weights = apply_keep_mask(d_answer[..., target].mT @ v[..., source], keep)
            d_scores = d_weights.sub_(inner[..., target, :]).mul_(weights)
            d_q[..., target] = k[..., source] @ d_scores.mT
            d_k[..., source] += q[..., target] @ d_scores
        scale = 1 / math.sqrt(q.shape[-2])
        return d_q * scale, d_k * scale, d_v, None, None


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
    """softmax(Q Kᵀ / √d) over the source steps that are visible."""
    scores = (q / math.sqrt(q.shape[-2])).mT @ k
    scores += torch.zeros_like(visible, dtype=scores.dtype).masked_fill_(~visible, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1)
    # Only padding, which differs from clip to clip, can hide every step; softmax then gives them equal weights.
    return weights.mul_(visible.any(dim=-1, keepdim=True)) if visible.shape[1] == q.shape[1] else weights


def apply_keep_mask(weights: AttentionMap, keep: Tensor | None) -> AttentionMap:
    """weights · keep; the bytes become floats first, because products of mixed types are slow."""
    return weights if keep is None else keep.to(weights.dtype).mul_(weights)
