"""Cross-modal reinforcement: what Eq. (10) is for. Each modality is enriched by the others, as in MulT."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmdlite.components import fast
from dmdlite.components.streams import Masks, Streams, Vectors
from dmdlite.components.transformer import CrossModalEncoders, Layer, SelfAttentionEncoders, encode_each, turns_of
from dmdlite.config import MODALITIES, ModelConfig

# In the order in which the published code concatenates the two results.
SOURCES = {"language": ("audio", "vision"), "vision": ("language", "audio"), "audio": ("language", "vision")}
Memories = dict[str, Float[Tensor, "batch _ others"]]  # by modality; the width counts the streams it has heard
Maps = dict[tuple[str, str], Float[Tensor, "layer batch head target source"]]  # (source, target) -> its attention
PAIRS = [(source, target) for target in MODALITIES for source in SOURCES[target]]  # the six cross-modal encoders


class CrossModalReinforcement(nn.Module):
    """Z^prt_{→m}: m asks the other modalities; their answers are concatenated and read by a memory encoder.

    Without cross-modal attention (`crossmodal=False`) the memory encoder reads copies of the modality itself.
    """

    def __init__(self, config: ModelConfig, crossmodal: bool = True, layer: Layer = fast.TransformerLayer):
        super().__init__()
        self.modalities, self.width = tuple(config.modalities), (len(config.modalities) - 1) * config.width
        self.pairs = [pair for pair in PAIRS if set(pair) <= set(self.modalities)]
        rates = [config.attention_rates[source] for source, _ in self.pairs]
        self.crossmodal = CrossModalEncoders(config, config.width, config.layers, rates, layer) if crossmodal else None
        memory = [config.memory_attention_dropout] * len(self.modalities)
        self.memory = SelfAttentionEncoders(config, self.width, config.memory_layers, memory, layer)

    def forward(self, private: Streams, masks: Masks | None) -> Vectors:
        """One vector for each modality: the memory encoder's last step."""
        return {m: x.squeeze(1) for m, x in self.remember(private, masks).items()}

    def remember(self, private: Streams, masks: Masks | None) -> Memories:
        """What the memory encoders give: the last step alone, or every step, if `memory.whole`."""
        sources, targets = zip(*self.pairs)
        answers = pick(private, targets)
        if self.crossmodal is not None:
            answers = encode_each(self.crossmodal, answers, pick(private, sources), masks=pick(masks, sources))
        joined = [torch.cat([x for x, t in zip(answers, targets) if t == m], dim=-1) for m in self.modalities]
        return dict(zip(self.modalities, encode_each(self.memory, joined, masks=pick(masks, self.modalities))))


class SelfAttentionReaders(nn.Module):
    """One self-attention encoder for each modality, of which the last step is kept."""

    def __init__(self, config: ModelConfig, modalities: Sequence[str] = (), layer: Layer = fast.TransformerLayer):
        super().__init__()
        self.modalities = tuple(modalities or config.modalities)
        rates = [config.attention_rates[m] for m in self.modalities]
        self.encoders = SelfAttentionEncoders(config, config.width, config.layers, rates, layer)

    def forward(self, streams: Streams, masks: Masks | None) -> Vectors:
        read = encode_each(self.encoders, pick(streams, self.modalities), masks=pick(masks, self.modalities))
        return {m: x.squeeze(1) for m, x in zip(self.modalities, read)}


def pick(streams: Streams | Masks | None, modalities: Sequence[str]) -> list[Tensor] | None:
    """The streams of these modalities as a list; None if there are none (no masks)."""
    return streams and [streams[m] for m in modalities]


@torch.no_grad()
def attention_maps(model: nn.Module, batch: dict[str, Any]) -> Maps:
    """The cross-modal attention maps of Eq. (10), as `model(**batch)` uses them: those of its part `reinforce`.

    Row t of a map says at which steps of the source step t of the target looks; it sums to 1. Steps are those that the
    temporal convolutions leave: step s covers the input steps s to s + kernel size − 1 ("valid" convolutions).
    """
    pairs, layers = model.reinforce.pairs, model.reinforce.crossmodal.layers
    seen: list[list[Tensor]] = [[] for _ in layers]

    def look(kept):
        def hook(attention, given):
            query, key, _, mask, *norms = given  # the fast layer leaves scale and shift of the norm to the attention
            for norm in norms:
                query, key = norm(query), norm(key)
            kept.extend(attention.map(query, key, mask))

        return hook

    hooks = [layer.attention.register_forward_pre_hook(look(kept)) for layer, kept in zip(layers, seen)]
    try:
        model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    kept = model.config.lengths_after_convolution
    lengths = [kept[target] for _, target in pairs], [kept[source] for source, _ in pairs]
    order = sum(turns_of(lengths), [])  # in which `encode_each` computes the pairs
    return {
        (s, t): torch.stack([maps[order.index(pair)][..., : kept[t], : kept[s]] for maps in seen])
        for pair, (s, t) in enumerate(pairs)
    }
