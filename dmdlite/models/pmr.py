"""PMR: Progressive Modality Reinforcement from unaligned sequences (Lv et al., CVPR 2021), with its message hub.

No code was published. A walkthrough of the paper and two re-implementations confirm the hub, the directions of
reinforcement, the merge, and the inputs of the head; the gate of a unit is from memory. Our choices: both directions
of a layer start from the previous layer; layer norms as in `TransformerLayer`; no attention is causal, because steps of
the hub have no order; the transformer at the end has one layer; sizes and rates are the shared config's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dmdlite.components import fast
from dmdlite.components.attention import AttentionMask
from dmdlite.components.heads import ResidualHead
from dmdlite.components.losses import Labels
from dmdlite.components.reinforcement import pick
from dmdlite.components.streams import Language, Masks, Stream, TemporalConvolutions
from dmdlite.components.transformer import SelfAttentionEncoders, attention_mask, encode_each, stack, with_positions
from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.models.base import ModelOutput, SavedModel

Three = Float[Tensor, "modality batch time width"]  # the streams, the shorter ones padded
Sources = Float[Tensor, "modality batch source width"]
Hub = Float[Tensor, "batch hub width"]
Shares = Float[Tensor, "batch hub modality"]


@dataclass(repr=False)
class PMROutput(ModelOutput):
    """The prediction, and the weight of each modality in each step of the hub."""

    merge: Float[Tensor, "layer batch hub 3"] | None = None  # α: weights of language, vision, audio


class PMR(SavedModel):
    """Streams and a hub, all streams in a row, reinforce each other in layers; then one transformer reads everything.

    The hub is what distinguishes PMR from MulT: no modality attends to another directly, all of them attend to the hub.
    """

    needs = 3, "merges three streams in its hub"

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        config = self.config
        self.temporal = TemporalConvolutions(config)
        self.embedding_dropout = fast.Dropout(config.embedding_dropout)
        self.layers = nn.ModuleList(HubLayer(config) for _ in range(config.layers))
        acausal, rates = config.replace(causal_attention=False), [config.memory_attention_dropout]
        self.memory = SelfAttentionEncoders(acausal, config.width, 1, rates, fast.TransformerLayer)
        self.head = ResidualHead(config.width, config.width, config.output_dropout, config.num_logits)

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> PMROutput:  # fmt: skip
        projected, masks = self.temporal(self.read(language, vision, audio, mask), mask)
        streams, masks = pick(projected, MODALITIES), pick(masks, MODALITIES)
        embedded = [self.embedding_dropout(with_positions(x, self.config.positions_skip_zeros)) for x in streams]
        hub_masks, merges = HubMasks([x.shape[1] for x in streams], masks, streams[0].device), []
        modalities, hub = stack(embedded), torch.cat(embedded, dim=1)
        for layer in self.layers:
            modalities, hub, merge = layer(modalities, hub, hub_masks)
            merges.append(merge)

        everything = torch.cat([hub, hub_masks.in_a_row(modalities)], dim=1)
        real = None if masks is None else [torch.cat(masks + masks, dim=1)]
        (read,) = encode_each(self.memory, [everything], masks=real)
        head = self.head(read.squeeze(1))
        out = PMROutput(head.prediction, fused=head.features, merge=torch.stack(merges))
        return out.supervised(labels, self.config.task, self.config.class_weights)


class HubMasks:
    """The attention masks, which are the same in every layer: the real steps of the hub and of each modality."""

    def __init__(self, times: Sequence[int], masks: Sequence[Bool[Tensor, "batch _"]] | None, device: torch.device):
        self.times = list(times)
        hub, hub_mask = [sum(times)] * len(times), masks and [torch.cat(masks, dim=1)] * len(masks)
        self.own = attention_mask(times, times, False, masks, device)  # a modality itself
        self.hub_by_modality = attention_mask(times, hub, False, hub_mask, device)
        self.modality_by_hub = attention_mask(hub, times, False, masks, device)
        self.hub = attention_mask(hub, hub, False, hub_mask, device)  # the hub itself

    def in_a_row(self, modalities: Three) -> Hub:
        return torch.cat([x[:, :time] for x, time in zip(modalities, self.times)], dim=1)


class HubLayer(nn.Module):
    """One progressive step: the hub reinforces each modality, each modality the hub, and the three results merge."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.reinforce_modalities = ReinforcementUnits(config, [config.memory_attention_dropout] * len(MODALITIES))
        self.reinforce_hub = ReinforcementUnits(config, list(config.attention_rates.values()))
        self.merge = Merge(config.width)

    def forward(self, modalities: Three, hub: Hub, masks: HubMasks) -> tuple[Three, Hub, Shares]:
        hubs = hub.expand(len(modalities), -1, -1, -1)
        reinforced = self.reinforce_modalities(modalities, hubs, masks.own, masks.hub_by_modality)
        hub, merge = self.merge(self.reinforce_hub(hubs, modalities, masks.hub, masks.modality_by_hub))
        return reinforced, hub, merge


class ReinforcementUnits(fast.TransformerLayer):
    """MRUs, one for each modality: z + (1 − G) ⊙ z asks itself + G ⊙ z asks the source, then a feed-forward network.

    The gate G = σ(W [z asks itself, z asks the source] + b) says, entry by entry, how much is taken from the source.
    """

    def __init__(self, config: ModelConfig, attention_rates: Sequence[float]):
        super().__init__(config, config.width, attention_rates)
        self.self_attention = self.Attention(config.width, config.heads, attention_rates)
        self.gate = self.Linear(2 * config.width, config.width, len(attention_rates))

    def forward(self, target: Three, source: Sources, own: AttentionMask, other: AttentionMask) -> Three:
        z, asked = self.attention_norm(target), self.attention_norm(source)
        itself, heard = self.self_attention(z, z, z, own), self.attention(z, asked, asked, other)
        gate = self.gate(torch.cat([itself, heard], dim=-1)).sigmoid()
        return self.feed_forward(target + self.residual_dropout((1 - gate) * itself + gate * heard))


class Merge(nn.Module):
    """Σ_m α_m z_m with α = softmax over the modalities of w · tanh(W z_m), for each step of the hub."""

    def __init__(self, width: int):
        super().__init__()
        self.look, self.score = nn.Linear(width, width), nn.Linear(width, 1, bias=False)

    def forward(self, hubs: Float[Tensor, "modality batch hub width"]) -> tuple[Hub, Shares]:
        weights = F.softmax(self.score(self.look(hubs).tanh()).squeeze(-1), dim=0)
        return torch.einsum("mbt,mbtd->btd", weights, hubs), weights.permute(1, 2, 0)
