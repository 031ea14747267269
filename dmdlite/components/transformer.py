"""The transformer built from cross-modal attention (MulT, ACL 2019).

Encoders of one shape are one module with a leading axis, which `encode_each` calls: six cost the calls of one.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call

from dmdlite.components.attention import AttentionMask, Linear, MultiHeadAttention, Source, Target
from dmdlite.components.dropout import Dropout
from dmdlite.config import ModelConfig

Lengths = Sequence[int]  # numbers of time steps, one for each encoder
StreamList = Sequence[Float[Tensor, "batch _ width"]]  # one for each encoder
MaskList = Sequence[Bool[Tensor, "batch _"]]  # one for each encoder, True at real steps
PADDED = 1.25  # streams up to this many times longer than the shortest are padded; others take turns


class LayerNorm(nn.Module):
    """A layer norm for each encoder."""

    def __init__(self, width: int, *leading: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(*leading, width)), nn.Parameter(torch.zeros(*leading, width))

    def forward(self, x: Float[Tensor, "*encoder batch time width"]) -> Float[Tensor, "*encoder batch time width"]:
        normed = F.layer_norm(x, x.shape[-1:])
        return torch.addcmul(self.bias[..., None, None, :], normed, self.weight[..., None, None, :])

    def extra_repr(self) -> str:
        return ", ".join(map(str, reversed(self.weight.shape)))


class TransformerLayer(nn.Module):
    """Attention and a feed-forward network, each behind a layer norm and beside a residual connection.

    One layer norm serves target and source, as in the published code. `fast/attention.py` has the fast layer.
    rates: the dropout of the attention map, one for each encoder.
    """

    Linear, Attention, Dropout = Linear, MultiHeadAttention, Dropout

    def __init__(self, config: ModelConfig, width: int, rates: Sequence[float]):
        super().__init__()
        encoders = len(rates)
        self.attention = self.Attention(width, config.heads, rates)
        self.attention_norm, self.feed_forward_norm = LayerNorm(width, encoders), LayerNorm(width, encoders)
        self.expand, self.contract = self.Linear(width, 4 * width, encoders), self.Linear(4 * width, width, encoders)
        self.feed_forward_dropout = self.Dropout(config.feed_forward_dropout)
        self.residual_dropout = self.Dropout(config.residual_dropout)

    def forward(self, target: Target, key: Source, value: Source, mask: AttentionMask | None = None) -> Target:
        q, k, v = self.attention_norm(target), self.attention_norm(key), self.attention_norm(value)
        return self.feed_forward(target + self.residual_dropout(self.attention(q, k, v, mask)))

    def feed_forward(self, x: Target) -> Target:
        """Step by step: x + W₂ ReLU(W₁ x)."""
        return x + self.transform(self.expand(self.feed_forward_norm(x)))

    def transform(self, hidden: Float[Tensor, "*encoder batch target hidden"]) -> Target:
        hidden = F.relu(hidden)
        return self.residual_dropout(self.contract(self.feed_forward_dropout(hidden)))


Layer = type[TransformerLayer]  # the plain or the fast one


class Transformer(nn.Module):
    """What cross-modal and self-attention encoders share: scaled inputs plus positions, layers, a final layer norm."""

    def __init__(self, config: ModelConfig, width: int, layers: int, rates: Sequence[float], layer: Layer):
        super().__init__()
        self.layers = nn.ModuleList(layer(config, width, rates) for _ in range(layers))
        self.norm = LayerNorm(width, len(rates))
        self.embedding_dropout = layer.Dropout(config.embedding_dropout)
        self.causal, self.positions_skip_zeros = config.causal_attention, config.positions_skip_zeros

    def embed(self, x: Target) -> Target:
        return with_positions(x, self.positions_skip_zeros)


class CrossModalEncoders(Transformer):
    """In every layer the target asks and the source answers: one enriched step for each target step."""

    def forward(self, target: Target, source: Source, mask: AttentionMask) -> Target:
        x, source = self.embedding_dropout(self.embed(target)), self.embed(source)
        # Without dropout both are one tensor; with it each has its own mask, as published.
        key, value = self.embedding_dropout(source), self.embedding_dropout(source)
        for layer in self.layers:
            x = layer(x, key, value, mask)
        return self.norm(x)


class StepEncoders(Transformer):
    """A stream attends to itself, and every step has a result."""

    def forward(self, x: Target, mask: AttentionMask) -> Target:
        x = self.embedding_dropout(self.embed(x))
        for layer in self.layers:
            x = layer(x, x, x, mask)
        return self.norm(x)


class SelfAttentionEncoders(StepEncoders):
    """A stream attends to itself, and its last step is the result; so the last layer computes only that step.

    It is the last real step where masks tell what is padding, and else step −1, as published, be it padding or not.
    """

    whole = False  # whether the result is every step

    def forward(self, x: Target, mask: AttentionMask) -> Float[Tensor, "encoder batch kept width"]:
        if self.whole:
            return super().forward(x, mask)
        x = self.embedding_dropout(self.embed(x))
        for layer in self.layers[:-1]:
            x = layer(x, x, x, mask)
        visible = mask.visible[..., -1:, :]  # what the last step sees is all that is not padding
        last = last_step(x, real=visible[:, :, 0, 0])
        return self.norm(self.layers[-1](last, x, x, AttentionMask(visible)))


def encode_each(encoders: nn.Module, *streams: StreamList, masks: MaskList | None = None) -> StreamList:
    """One result for each encoder. Each stream that an encoder takes is given as a list, one for each encoder.

    masks: the real steps of the last of these streams, the one that is attended to.
    Encoders with streams of about equal lengths take one turn: these are padded, stacked and computed together.
    """
    lengths, results = [[x.shape[1] for x in same] for same in streams], {}
    turns = turns_of(lengths)
    for turn, encode in zip(turns, select_encoders(encoders, turns)):
        targets, sources = ([same[e] for e in turn] for same in (lengths[0], lengths[-1]))
        real = masks and [masks[e] for e in turn]
        mask = attention_mask(targets, sources, encoders.causal, real, streams[0][0].device)
        encoded = encode(*(stack([same[e] for e in turn]) for same in streams), mask)
        results |= {e: x[:, :target] for e, x, target in zip(turn, encoded, targets)}
    return [results[e] for e in range(len(results))]


def turns_of(lengths: Sequence[Lengths]) -> list[list[int]]:
    """The encoders that may be computed together, by number. lengths: of each stream that they take."""
    turns: list[list[int]] = []
    for e in range(len(lengths[0])):
        for turn in turns:
            own = [[same[i] for i in (*turn, e)] for same in lengths]
            if all(max(same) <= PADDED * min(same) for same in own):
                turn.append(e)
                break
        else:
            turns.append([e])
    return turns


def select_encoders(encoders: nn.Module, turns: list[list[int]]) -> list[Callable]:
    """The encoders of each turn, as one function."""
    if len(turns) == 1:
        return [encoders]
    weights = dict(encoders.named_parameters()) | dict(encoders.named_buffers())
    order = torch.tensor([e for turn in turns for e in turn], device=next(encoders.parameters()).device)
    sizes = [len(turn) for turn in turns]
    parts = {name: x.index_select(0, order).split(sizes) if x.ndim else [x] * len(turns) for name, x in weights.items()}
    own = [{name: part[i] for name, part in parts.items()} for i in range(len(turns))]
    return [lambda *inputs, part=part: functional_call(encoders, part, inputs) for part in own]


def attention_mask(
    targets: Lengths, sources: Lengths, causal: bool, masks: MaskList | None = None, device: torch.device | None = None
) -> AttentionMask:
    """The mask for streams of these lengths. masks: which source steps are real, not padding.

    Causal: target step q sees source steps up to q + |T_source − T_target|, as published.
    """
    q, k = torch.arange(max(targets), device=device)[:, None], torch.arange(max(sources), device=device)
    reach = [abs(source - target) if causal else len(k) for target, source in zip(targets, sources)]
    visible = torch.stack([(k <= q + ahead) & (k < source) for ahead, source in zip(reach, sources)])[:, None, None]
    if masks is not None:
        real = torch.stack([F.pad(mask, (0, len(k) - mask.shape[1])) for mask in masks])
        visible = visible & real[:, :, None, None]
    return AttentionMask(visible, max(reach) if causal else None)


def stack(streams: StreamList) -> Float[Tensor, "encoder batch time width"]:
    """Shorter streams are padded with zeros."""
    longest = max(x.shape[1] for x in streams)
    return torch.stack([F.pad(x, (0, 0, 0, longest - x.shape[1])) for x in streams])


def last_step(
    x: Float[Tensor, "*batch time width"], real: Bool[Tensor, "*#batch time"]
) -> Float[Tensor, "*batch 1 width"]:
    """Each clip's last real time step (the very last where none is real)."""
    last = torch.where(real, torch.arange(x.shape[-2], device=x.device), -1).amax(dim=-1) % x.shape[-2]
    return x.take_along_dim(last[..., None, None], dim=-2)


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
