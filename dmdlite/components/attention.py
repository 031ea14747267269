"""Multi-head attention, Eq. (10), of several encoders of one shape at once."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dmdlite.components.dropout import keep_mask
from dmdlite.components.grouped import GroupedLinear
from dmdlite.components.visibility import Visible

Heads = Float[Tensor, "group batch head channel _"]  # the last axis is time, of the target or of the source
AttentionMap = Float[Tensor, "group batch head target source"]


class MultiHeadAttention(nn.Module):
    """Eq. (10) for several heads: softmax(Q Kᵀ / √d) V with Q = X_target P_q, K = X_source P_k, V = X_source P_v.

    rates: the dropout of the attention map, one for each group.
    """

    rates: Float[Tensor, " group"]

    def __init__(self, width: int, heads: int, rates: Sequence[float]):
        super().__init__()
        self.heads, self.drops = heads, any(rates)
        self.project = GroupedLinear(len(rates), width, 3 * width)  # P_q, P_k and P_v, one below the other
        self.output = GroupedLinear(len(rates), width, width)
        self.register_buffer("rates", torch.tensor(rates), persistent=False)

    def forward(
        self,
        query: Float[Tensor, "group batch target width"],
        key: Float[Tensor, "group batch source width"],
        value: Float[Tensor, "group batch source width"],
        visible: Visible,
    ) -> Float[Tensor, "group batch target width"]:
        """A target step that sees no source step receives zero."""
        q, k, v = self.split_heads(*self.project_each(query, key, value))
        rates = None
        if self.training and self.drops:
            rates = self.rates[:, None, None, None, None]
            v = v / (1 - rates).to(v.dtype)
        answer = Attend.apply(q, k, v, visible, rates)
        return self.output(answer.flatten(2, 3).mT)

    @torch.no_grad()
    def map(
        self,
        query: Float[Tensor, "group batch target width"],
        key: Float[Tensor, "group batch source width"],
        visible: Visible,
    ) -> AttentionMap:
        """The attention map that `forward` uses, before dropout, for who wants to look at it."""
        q, k, _ = self.split_heads(*self.project_each(query, key, key))
        return attention_map(q, k, visible.steps)

    def project_each(self, query: Tensor, key: Tensor, value: Tensor) -> Sequence[Tensor]:
        """Q, K and V. Inputs that are one and the same tensor are projected in one go."""
        first, second = query.shape[-1], 2 * query.shape[-1]
        if query is key is value:
            return self.project(query).chunk(3, dim=-1)
        if key is value:
            return [self.project(query, slice(first)), *self.project(key, slice(first, None)).chunk(2, dim=-1)]
        parts = slice(first), slice(first, second), slice(second, None)
        return [self.project(x, part) for x, part in zip((query, key, value), parts)]

    def split_heads(self, *inputs: Float[Tensor, "group batch _ width"]) -> list[Heads]:
        return [x.unflatten(-1, (self.heads, -1)).permute(0, 1, 3, 4, 2).contiguous() for x in inputs]


class Attend(torch.autograd.Function):
    """The attention map applied to V, with dropout; its gradient is written out.

    Memory: a map is kept once, and a byte per entry for dropout, less than half of what autograd would keep; blocks
    skip most of what is never seen. Speed: each product has time as its last axis, where matrix products are up to four
    times as fast as over the few channels of a head.
    """

    @staticmethod
    def forward(ctx, q: Heads, k: Heads, v: Heads, visible: Visible, rates: Tensor | None) -> Heads:
        maps, answers = [], []
        for target, source in visible.blocks():
            weights = attention_map(q[..., target], k[..., source], visible.steps[..., target, source])
            keep = None if rates is None else keep_mask(weights.shape, rates, q.device)
            answers.append(v[..., source] @ strike(weights, keep).mT)
            maps += weights, keep
        answer = torch.cat(answers, dim=-1)
        ctx.visible = visible
        ctx.save_for_backward(q, k, v, answer, *maps)
        return answer

    @staticmethod
    def backward(ctx, d_answer: Heads):
        q, k, v, answer, *maps = ctx.saved_tensors
        d_q, d_k, d_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        # The gradient of softmax is w (dw − Σ w dw); that sum over source steps is Σ answer · d_answer over channels.
        inner = (answer * d_answer).sum(dim=-2)[..., None]
        for (target, source), weights, keep in zip(ctx.visible.blocks(), maps[::2], maps[1::2]):
            d_v[..., source] += d_answer[..., target] @ strike(weights, keep)
            d_weights = strike(d_answer[..., target].mT @ v[..., source], keep)
            d_scores = d_weights.sub_(inner[..., target, :]).mul_(weights)
            d_q[..., target] = k[..., source] @ d_scores.mT
            d_k[..., source] += q[..., target] @ d_scores
        scale = 1 / math.sqrt(q.shape[-2])
        return d_q * scale, d_k * scale, d_v, None, None


def attention_map(q: Heads, k: Heads, visible: Bool[Tensor, "group #batch 1 target source"]) -> AttentionMap:
    """softmax(Q Kᵀ / √d) over the source steps that are visible."""
    scores = (q / math.sqrt(q.shape[-2])).mT @ k
    scores += torch.zeros_like(visible, dtype=scores.dtype).masked_fill_(~visible, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1)
    # Only padding, which each clip has its own of, can hide every step; softmax then gives them equal weights.
    return weights.mul_(visible.any(dim=-1, keepdim=True)) if visible.shape[1] == q.shape[1] else weights


def strike(weights: AttentionMap, keep: Tensor | None) -> AttentionMap:
    """weights · keep; the bytes become floats first, because products of mixed types are slow."""
    return weights if keep is None else keep.to(weights.dtype).mul_(weights)
