"""PMR: Progressive Modality Reinforcement from unaligned sequences (Lv et al., CVPR 2021), with its message hub.

No code was published. What is built here is known from a walkthrough of the paper and from two re-implementations by
others: the hub, who reinforces whom, the merge, and what the head reads. The gate of a unit is known from memory only.
Ours: both directions of a layer start from the layer before it; layer norms stand where `TransformerLayer` has them;
no attention is causal, for steps of the hub have no order; the transformer at the end has one layer, of which the last
step alone is computed; sizes and rates are the shared config's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from dmdlite.components.attention import MultiHeadAttention
from dmdlite.components.dropout import Dropout
from dmdlite.components.grouped import GroupedLinear
from dmdlite.components.heads import ResidualHead
from dmdlite.components.reinforcement import pick
from dmdlite.components.streams import Masks, StreamReader, TemporalConvolutions
from dmdlite.components.transformer import (
    SelfAttentionEncoders,
    TransformerLayer,
    encode_each,
    stack,
    with_positions,
)
from dmdlite.components.visibility import Visible
from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.base import ModelOutput, SavedModel

Three = Float[Tensor, "modality batch time width"]  # the streams, the shorter ones padded
Hub = Float[Tensor, "batch hub width"]


@dataclass
class PMROutput(ModelOutput):
    """The prediction, and whom each step of the hub listens to."""

    merge: Float[Tensor, "layer batch hub 3"] | None = None  # α: weights of language, vision, audio


class PMR(SavedModel):
    """Streams and a hub, which is all of them in a row, reinforce each other in layers; then one transformer reads all.

    The hub is what sets PMR apart from MulT: no modality asks another directly, all of them ask what is common.
    """

    def __init__(self, config: DMDConfig):
        super().__init__()
        self.read = StreamReader(config)
        self.config = config = self.read.config
        self.temporal = TemporalConvolutions(config)
        self.embedding_dropout = Dropout(config.embedding_dropout)
        self.layers = nn.ModuleList(HubLayer(config) for _ in range(config.layers))
        acausal, rates = config.replace(causal_attention=False), [config.memory_attention_dropout]
        self.memory = SelfAttentionEncoders(acausal, config.width, 1, rates)
        self.head = ResidualHead(config.width, config.width, config.output_dropout, config.logits)

    def forward(
        self,
        language: Float[Tensor, "batch _ _"] | Int[Tensor, "batch 3 _"],
        vision: Float[Tensor, "batch _ _"],
        audio: Float[Tensor, "batch _ _"],
        labels: Num[Tensor, "batch *outputs"] | None = None,
        mask: Masks | None = None,
    ) -> PMROutput:
        streams = self.read({"language": language, "vision": vision, "audio": audio}, mask)
        projected, masks = self.temporal(streams, mask)
        streams, masks = pick(projected, MODALITIES), pick(masks, MODALITIES)
        embedded = [self.embedding_dropout(with_positions(x, self.config.positions_skip_zeros)) for x in streams]
        sight, merges = Sight([x.shape[1] for x in streams], masks, language.device), []
        modalities, hub = stack(embedded), torch.cat(embedded, dim=1)
        for layer in self.layers:
            modalities, hub, merge = layer(modalities, hub, sight)
            merges.append(merge)

        everything = torch.cat([hub, sight.in_a_row(modalities)], dim=1)
        real = None if masks is None else [torch.cat(masks + masks, dim=1)]
        (read,) = encode_each(self.memory, [everything], masks=real)
        out = PMROutput(self.head(read.squeeze(1)).prediction, merge=torch.stack(merges))
        return out.supervise(labels, self.config.task)


class Sight:
    """What may be looked at, which is the same in every layer: the real steps of the hub, of each modality."""

    def __init__(self, times: Sequence[int], masks: Sequence[Bool[Tensor, "batch _"]] | None, device: torch.device):
        self.times = list(times)
        hub, hub_mask = [sum(times)] * len(times), masks and [torch.cat(masks, dim=1)] * len(masks)
        self.own = Visible.among(times, times, False, masks, device)  # a modality itself
        self.hub_by_modality = Visible.among(times, hub, False, hub_mask, device)
        self.modality_by_hub = Visible.among(hub, times, False, masks, device)
        self.hub = Visible.among(hub, hub, False, hub_mask, device)  # the hub itself

    def in_a_row(self, modalities: Three) -> Hub:
        return torch.cat([x[:, :time] for x, time in zip(modalities, self.times)], dim=1)


class HubLayer(nn.Module):
    """One progressive step: the hub reinforces each modality, each modality the hub, and the three results merge."""

    def __init__(self, config: DMDConfig):
        super().__init__()
        groups = len(MODALITIES)
        self.reinforce_modalities = ReinforcementUnits(config, [config.memory_attention_dropout] * groups)
        self.reinforce_hub = ReinforcementUnits(config, list(config.attention_rates.values()))
        self.merge = Merge(config.width)

    def forward(
        self, modalities: Three, hub: Hub, sight: Sight
    ) -> tuple[Three, Hub, Float[Tensor, "batch hub modality"]]:
        hubs = hub.expand(len(modalities), -1, -1, -1)
        reinforced = self.reinforce_modalities(modalities, hubs, sight.own, sight.hub_by_modality)
        hub, merge = self.merge(self.reinforce_hub(hubs, modalities, sight.hub, sight.modality_by_hub))
        return reinforced, hub, merge


class ReinforcementUnits(TransformerLayer):
    """MRUs, one for each modality: z + (1 − G) ⊙ z asks itself + G ⊙ z asks the source, then a feed-forward network.

    The gate G = σ(W [z asks itself, z asks the source] + b) says, entry by entry, how much is taken from the source.
    """

    def __init__(self, config: DMDConfig, attention_rates: Sequence[float]):
        super().__init__(config, config.width, attention_rates)
        self.self_attention = MultiHeadAttention(config.width, config.heads, attention_rates)
        self.gate = GroupedLinear(len(attention_rates), 2 * config.width, config.width)

    def forward(
        self,
        target: Float[Tensor, "group batch target width"],
        source: Float[Tensor, "group batch source width"],
        own: Visible,
        other: Visible,
    ) -> Float[Tensor, "group batch target width"]:
        z, asked = self.attention_norm(target), self.attention_norm(source)
        itself, heard = self.self_attention(z, z, z, own), self.attention(z, asked, asked, other)
        gate = self.gate(torch.cat([itself, heard], dim=-1)).sigmoid()
        return self.feed_forward(target + self.residual_dropout((1 - gate) * itself + gate * heard))


class Merge(nn.Module):
    """Σ_m α_m z_m with α = softmax over the modalities of w · tanh(W z_m), for each step of the hub."""

    def __init__(self, width: int):
        super().__init__()
        self.look, self.score = nn.Linear(width, width), nn.Linear(width, 1, bias=False)

    def forward(
        self, hubs: Float[Tensor, "modality batch hub width"]
    ) -> tuple[Hub, Float[Tensor, "batch hub modality"]]:
        weights = F.softmax(self.score(self.look(hubs).tanh()).squeeze(-1), dim=0)
        return torch.einsum("mbt,mbtd->btd", weights, hubs), weights.permute(1, 2, 0)
