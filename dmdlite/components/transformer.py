"""The transformer built from cross-modal attention (MulT, ACL 2019), for several encoders of one shape at once."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call

from dmdlite.components.attention import MultiHeadAttention
from dmdlite.components.dropout import Dropout
from dmdlite.components.grouped import GroupedLinear, GroupedNorm
from dmdlite.components.pooling import last_step
from dmdlite.components.visibility import Visible
from dmdlite.config import DMDConfig

LONGER = 1.25  # up to so much longer than the shortest, streams are padded rather than computed one by one


class TransformerLayer(nn.Module):
    """Attention and a feed-forward network, each behind a layer norm and beside a residual connection.

    One layer norm serves target and source, as in the published code.
    """

    def __init__(self, config: DMDConfig, width: int, attention_rates: Sequence[float]):
        super().__init__()
        groups = len(attention_rates)
        self.attention = MultiHeadAttention(width, config.heads, attention_rates)
        self.attention_norm, self.feed_forward_norm = GroupedNorm(groups, width), GroupedNorm(groups, width)
        self.expand, self.contract = GroupedLinear(groups, width, 4 * width), GroupedLinear(groups, 4 * width, width)
        self.feed_forward_dropout, self.residual_dropout = (
            Dropout(rate) for rate in (config.feed_forward_dropout, config.residual_dropout)
        )

    def forward(
        self,
        target: Float[Tensor, "group batch target width"],
        key: Float[Tensor, "group batch source width"],
        value: Float[Tensor, "group batch source width"],
        visible: Visible,
    ) -> Float[Tensor, "group batch target width"]:
        q = self.attention_norm(target)
        k = q if key is target else self.attention_norm(key)
        v = k if value is key else self.attention_norm(value)
        return self.feed_forward(target + self.residual_dropout(self.attention(q, k, v, visible)))

    def feed_forward(self, x: Float[Tensor, "group batch time width"]) -> Float[Tensor, "group batch time width"]:
        """Step by step: x + W₂ ReLU(W₁ x)."""
        hidden = F.relu(self.expand(self.feed_forward_norm(x)), inplace=True)
        return x + self.residual_dropout(self.contract(self.feed_forward_dropout(hidden)))


class Transformer(nn.Module):
    """What cross-modal and self-attention encoders share: scaled inputs plus positions, layers, a final layer norm.

    attention_rates: the dropout of the attention map, one for each encoder (group). `encode_each` calls it.
    """

    def __init__(self, config: DMDConfig, width: int, layers: int, attention_rates: Sequence[float]):
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(config, width, attention_rates) for _ in range(layers))
        self.norm = GroupedNorm(len(attention_rates), width)
        self.embedding_dropout = Dropout(config.embedding_dropout)
        self.causal, self.positions_skip_zeros = config.causal_attention, config.positions_skip_zeros

    def embed(self, x: Float[Tensor, "group batch time width"]) -> Float[Tensor, "group batch time width"]:
        return with_positions(x, self.positions_skip_zeros)


class CrossModalEncoders(Transformer):
    """The target asks and the source answers, in every layer: one enriched step for each target step."""

    def forward(
        self,
        target: Float[Tensor, "group batch target width"],
        source: Float[Tensor, "group batch source width"],
        visible: Visible,
    ) -> Float[Tensor, "group batch target width"]:
        x, source = self.embedding_dropout(self.embed(target)), self.embed(source)
        # Without dropout both are one tensor; with it each is struck on its own, as published.
        key, value = self.embedding_dropout(source), self.embedding_dropout(source)
        for layer in self.layers:
            x = layer(x, key, value, visible)
        return self.norm(x)


class SelfAttentionEncoders(Transformer):
    """A stream asks itself, and its last real step is read. So the last layer computes that step alone."""

    def forward(
        self, x: Float[Tensor, "group batch time width"], visible: Visible
    ) -> Float[Tensor, "group batch 1 width"]:
        x = self.embedding_dropout(self.embed(x))
        for layer in self.layers[:-1]:
            x = layer(x, x, x, visible)
        visible = visible.of_last()  # that is every real step
        last = last_step(x, visible.steps[:, :, 0, 0])
        return self.norm(self.layers[-1](last, x, x, visible))


def encode_each(
    encoders: Transformer,
    *streams: Sequence[Float[Tensor, "batch _ width"]],
    masks: Sequence[Bool[Tensor, "batch _"]] | None = None,
) -> list[Float[Tensor, "batch _ width"]]:
    """One result for each encoder. Each stream that an encoder takes is given as a list, one for each encoder.

    masks: the real steps of the last of these streams, to which attention is paid.
    Streams of about equal lengths are padded, stacked and computed together; others take turns.
    """
    lengths = [[x.shape[1] for x in same] for same in streams]
    turns = [(slice(None), encoders)]
    if any(max(same) > LONGER * min(same) for same in lengths):
        turns = [(slice(g, g + 1), only(encoders, g)) for g in range(len(lengths[0]))]
    results = []
    for turn, encode in turns:
        targets, sources = lengths[0][turn], lengths[-1][turn]
        visible = Visible.among(targets, sources, encoders.causal, masks and masks[turn], streams[0][0].device)
        encoded = encode(*(stack(same[turn]) for same in streams), visible)
        results += [x[:, :target] for x, target in zip(encoded, targets)]
    return results


def only(encoders: Transformer, g: int) -> Callable:
    """Encoder g of several, as a function."""
    weights = dict(encoders.named_parameters()) | dict(encoders.named_buffers())
    own = {name: weight[g : g + 1] for name, weight in weights.items()}
    return lambda *inputs: functional_call(encoders, own, inputs)


def stack(streams: Sequence[Float[Tensor, "batch _ width"]]) -> Float[Tensor, "group batch time width"]:
    """Shorter ones are padded with zeros."""
    longest = max(x.shape[1] for x in streams)
    return torch.stack([F.pad(x, (0, 0, 0, longest - x.shape[1])) for x in streams])


def with_positions(x: Float[Tensor, "*batch time width"], skip_zeros: bool) -> Float[Tensor, "*batch time width"]:
    """√d x plus positions. skip_zeros: none for a step whose channel 0 is exactly 0."""
    positions = sinusoidal_positions(*x.shape[-2:]).to(x)
    if skip_zeros:
        positions = positions * (x[..., :1] != 0)
    return math.sqrt(x.shape[-1]) * x + positions


def sinusoidal_positions(time: int, width: int) -> Float[Tensor, "{time} {width}"]:
    """Sines in the first half of the channels, cosines in the second, of positions 1 to `time`; an odd last is 0."""
    half = width // 2
    frequency = torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
    angle = torch.outer(torch.arange(1.0, time + 1), frequency)
    return F.pad(torch.cat([angle.sin(), angle.cos()], dim=1), (0, width % 2))
