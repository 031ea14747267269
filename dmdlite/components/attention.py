"""Multi-head attention, Eq. (10), letter by letter. `fast/attention.py` computes the same in less time."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dmdlite.components.dropout import Dropout

Target = Float[Tensor, "*encoder batch target width"]  # the stream that asks
Source = Float[Tensor, "*encoder batch source width"]  # the stream that answers


class AttentionMask(NamedTuple):
    """Which source steps each target step may look at."""

    visible: Bool[Tensor, "*#encoder #batch 1 target source"]
    reach: int | None = None  # target step q sees nothing after source step q + reach; None sets no limit


class Linear(nn.Module):
    """y = W x + b at every time step. With leading axes, several maps side by side, each with a W and b of its own."""

    def __init__(self, inputs: int, outputs: int, *leading: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(*leading, outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(*leading, outputs))
        for weight in self.weight.data.view(-1, outputs, inputs):
            nn.init.xavier_uniform_(weight)

    def forward(self, x: Float[Tensor, "*encoder batch time inputs"]) -> Float[Tensor, "*encoder batch time outputs"]:
        return torch.einsum("...oi,...bti->...bto", self.weight, x) + self.bias[..., None, None, :]

    def extra_repr(self) -> str:
        *leading, outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}" + "".join(f", {size} side by side" for size in leading)


class MultiHeadAttention(nn.Module):
    """Eq. (10) for several heads: softmax(Q Kᵀ / √d) V with Q = X_target P_q, K = X_source P_k, V = X_source P_v.

    rate: the dropout of the attention map. A list of rates makes a leading axis: one attention for each, side by side.
    """

    Linear, Dropout = Linear, Dropout

    def __init__(self, width: int, heads: int, rate: float | Sequence[float] = 0.0):
        super().__init__()
        leading = () if isinstance(rate, float | int) else (len(rate),)
        self.heads = heads
        self.project = self.Linear(width, 3 * width, *leading)  # P_q, P_k and P_v, one below the other
        self.output = self.Linear(width, width, *leading)
        self.dropout = self.Dropout(rate)

    def forward(self, query: Target, key: Source, value: Source, mask: AttentionMask | None = None) -> Target:
        """A target step that sees no source step receives b of the output map."""
        Q, K, V = self.split_heads(query, key, value)
        A = self.dropout(attention_map(Q, K, mask))
        answers = torch.einsum("...qk,...kd->...qd", A, V)  # (…, batch, head, target, channel)
        return self.output(answers.transpose(-3, -2).flatten(-2))

    def split_heads(self, *inputs: Float[Tensor, "*encoder batch _ width"]) -> list[Tensor]:
        """Q, K and V, each (…, batch, head, time, channel): every head has its own slice of the channels."""
        P, b = self.project.weight.chunk(3, dim=-2), self.project.bias.chunk(3, dim=-1)
        maps = zip(inputs, P, b)
        projected = [torch.einsum("...oi,...bti->...bto", P_x, x) + b_x[..., None, None, :] for x, P_x, b_x in maps]
        return [x.unflatten(-1, (self.heads, -1)).transpose(-3, -2) for x in projected]

    @torch.no_grad()
    def map(self, query: Tensor, key: Tensor, mask: AttentionMask | None = None) -> Tensor:
        """The attention map that `forward` uses, (…, batch, head, target, source), before dropout, for inspection."""
        Q, K = self.split_heads(query, key)
        return attention_map(Q, K, mask)


def attention_map(
    Q: Float[Tensor, "*lead target channel"], K: Float[Tensor, "*lead source channel"], mask: AttentionMask | None
) -> Float[Tensor, "*lead target source"]:
    """softmax(Q Kᵀ / √d) over the source steps that are visible; a target step that sees none has only zeros."""
    scores = torch.einsum("...qd,...kd->...qk", Q, K) / math.sqrt(Q.shape[-1])
    if mask is None:
        return scores.softmax(dim=-1)
    hidden = scores.masked_fill(~mask.visible, torch.finfo(scores.dtype).min)
    return hidden.softmax(dim=-1) * mask.visible.any(dim=-1, keepdim=True)
