"""Cross-modal attention, Eq. (10), and the transformer that is built from it (MulT, ACL 2019)."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dmdlite.config import DMDConfig


class MultiHeadAttention(nn.Module):
    """Eq. (10) for several heads: softmax(Q Kᵀ / √d) V with Q = X_target P_q, K = X_source P_k, V = X_source P_v."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)
        self.map = nn.Dropout(dropout)  # its input is the attention map: the place for a forward hook
        for linear in (self.query, self.key, self.value):
            # The published code draws the three as one (3·width, width) matrix, which halves Xavier's variance.
            nn.init.xavier_uniform_(linear.weight, gain=math.sqrt(0.5))
            nn.init.zeros_(linear.bias)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self,
        query: Float[Tensor, "batch target width"],
        key: Float[Tensor, "batch source width"],
        value: Float[Tensor, "batch source width"],
        visible: Bool[Tensor, "#batch 1 target source"],
    ) -> Float[Tensor, "batch target width"]:
        """`visible[b, 0, q, k]`: may target step q look at source step k? A step that sees nothing receives zero."""
        q, k, v = (
            linear(x).unflatten(-1, (self.heads, -1))  # (batch, time, head, width / heads)
            for linear, x in ((self.query, query), (self.key, key), (self.value, value))
        )
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(~visible, torch.finfo(scores.dtype).min)
        weights = self.map(scores.softmax(dim=-1) * visible)
        return self.output(torch.einsum("bhqk,bkhd->bqhd", weights, v).flatten(2))


class TransformerLayer(nn.Module):
    """Attention and a feed-forward network, each behind a layer norm and beside a residual connection.

    One layer norm serves target and source, as in the published code.
    """

    def __init__(
        self, width: int, heads: int, attention_dropout: float, feed_forward_dropout: float, residual_dropout: float
    ):
        super().__init__()
        self.attention = MultiHeadAttention(width, heads, attention_dropout)
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        expand, contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.feed_forward = nn.Sequential(expand, nn.ReLU(), nn.Dropout(feed_forward_dropout), contract)
        self.residual_dropout = nn.Dropout(residual_dropout)
        for linear in (expand, contract):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self,
        target: Float[Tensor, "batch target width"],
        key: Float[Tensor, "batch source width"],
        value: Float[Tensor, "batch source width"],
        visible: Bool[Tensor, "#batch 1 target source"],
    ) -> Float[Tensor, "batch target width"]:
        norm = self.attention_norm
        target = target + self.residual_dropout(self.attention(norm(target), norm(key), norm(value), visible))
        return target + self.residual_dropout(self.feed_forward(self.feed_forward_norm(target)))


class Transformer(nn.Module):
    """Scaled inputs plus positions, `layers` TransformerLayers, a final layer norm.

    With a source it is a cross-modal encoder (target asks, source answers); without one, a self-attention encoder.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        layers: int,
        *,
        attention_dropout: float,
        embedding_dropout: float,
        feed_forward_dropout: float,
        residual_dropout: float,
        causal: bool,
        positions_skip_zeros: bool,
    ):
        super().__init__()
        rates = attention_dropout, feed_forward_dropout, residual_dropout
        self.layers = nn.ModuleList(TransformerLayer(width, heads, *rates) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.causal, self.positions_skip_zeros = causal, positions_skip_zeros

    @classmethod
    def from_config(cls, config: DMDConfig, width: int, layers: int, attention_dropout: float) -> "Transformer":
        return cls(
            width,
            config.heads,
            layers,
            attention_dropout=attention_dropout,
            embedding_dropout=config.embedding_dropout,
            feed_forward_dropout=config.feed_forward_dropout,
            residual_dropout=config.residual_dropout,
            causal=config.causal_attention,
            positions_skip_zeros=config.positions_skip_zeros,
        )

    def forward(
        self,
        target: Float[Tensor, "batch target width"],
        source: Float[Tensor, "batch source width"] | None = None,
        target_mask: Bool[Tensor, "batch target"] | None = None,
        source_mask: Bool[Tensor, "batch source"] | None = None,
    ) -> Float[Tensor, "batch target width"]:
        x = self.embed(target)
        if source is None:
            visible = visible_steps(target, target, self.causal, target_mask)
            for layer in self.layers:
                x = layer(x, x, x, visible)
        else:
            visible = visible_steps(target, source, self.causal, source_mask)
            key, value = self.embed(source), self.embed(source)  # twice, as published: dropout strikes each on its own
            for layer in self.layers:
                x = layer(x, key, value, visible)
        return self.norm(x)

    def embed(self, x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        positions = sinusoidal_positions(*x.shape[1:]).to(x)
        if self.positions_skip_zeros:
            positions = positions * (x[..., :1] != 0)
        return self.embedding_dropout(math.sqrt(x.shape[-1]) * x + positions)


def sinusoidal_positions(time: int, width: int) -> Float[Tensor, "{time} {width}"]:
    """Sines in the first half of the channels, cosines in the second, of positions 1 to `time`; an odd last is 0."""
    half = width // 2
    frequency = torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
    angle = torch.outer(torch.arange(1.0, time + 1), frequency)
    return F.pad(torch.cat([angle.sin(), angle.cos()], dim=1), (0, width % 2))


def visible_steps(
    target: Float[Tensor, "batch target width"],
    source: Float[Tensor, "batch source width"],
    causal: bool,
    source_mask: Bool[Tensor, "batch source"] | None,
) -> Bool[Tensor, "#batch 1 target source"]:
    """Which source steps each target step may look at.

    Causal: target step q sees source steps up to q + |T_source − T_target|, as published. Padding is never seen.
    """
    times = target.shape[1], source.shape[1]
    visible = torch.ones(1, 1, *times, dtype=torch.bool, device=target.device)
    if causal:
        visible = visible.tril(abs(times[1] - times[0]))
    return visible if source_mask is None else visible & source_mask[:, None, None, :]
