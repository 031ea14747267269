"""PMR: Progressive Modality Reinforcement from unaligned sequences (Lv et al., CVPR 2021), with its message hub.

No code was published. From the abstract: a hub reinforces each modality by cross-modal attention and collects from
each in turn, in cycles. A walkthrough and two public re-implementations add that the hub is all streams in a row, how
three results merge into one, and what the head reads. Known from a re-implementation only: the gate of a unit, that
nothing is added around it, that its norms come last. In both of them the hub listens to modalities that are updated
already, as the abstract says, if we remember it rightly ("collects the reinforced features"). Where ours differs, it
is by a field of PMRConfig.

Ours without a field: no attention is causal, because steps of the hub have no order (theirs is), each modality and
layer has a unit of its own (theirs share one), and each step of the hub its merge weights. Sizes and rates are those
that all models share (theirs: width 40, five heads, five layers, kernels of 3 for language and vision and 5 for audio).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

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


@dataclass(kw_only=True)
class PMRConfig(ModelConfig):
    """Where re-implementations of PMR, here "theirs", differ from our model; see the top of this file."""

    later: ClassVar = "unit_residual norm hub_reads merge_feed_forward final_layers"
    # A residual and norms in front of the parts, as in all our transformers, train well however many layers there are.
    unit_residual: bool = True  # whether a unit adds the target to what it hears; theirs: False
    norm: Literal["pre", "post"] = "pre"  # layer norms of a unit: before its parts or after them; theirs: post
    # Which modalities the hub listens to in a layer: with "before" both directions start from the previous layer and
    # neither waits for the other; theirs: updated.
    hub_reads: Literal["before", "updated"] = "before"
    merge_feed_forward: bool = False  # after the merge; theirs, and in the walkthrough: True. A unit has one already
    final_layers: int = 1  # of the transformer that reads everything in the end; theirs: 5 and 1


@dataclass(repr=False)
class PMROutput(ModelOutput):
    """The prediction, and the weight of each modality in each step of the hub."""

    merge: Float[Tensor, "layer batch hub 3"] | None = None  # α: weights of language, vision, audio


class PMR(SavedModel):
    """Streams and a hub, all streams in a row, reinforce each other in layers; then one transformer reads everything.

    The hub is what distinguishes PMR from MulT: no modality attends to another directly, all of them attend to the hub.
    """

    needs = 3, "merges three streams in its hub"

    def __init__(self, config: PMRConfig):
        super().__init__(config)
        config = self.config
        self.temporal = TemporalConvolutions(config)
        self.embedding_dropout = fast.Dropout(config.embedding_dropout)
        self.layers = nn.ModuleList(HubLayer(config) for _ in range(config.layers))
        acausal, rates = config.replace(causal_attention=False), [config.memory_attention_dropout]
        self.memory = SelfAttentionEncoders(acausal, config.width, config.final_layers, rates, fast.TransformerLayer)
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
        return self.supervised(out, labels)


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

    def __init__(self, config: PMRConfig):
        super().__init__()
        self.hub_reads, unit = config.hub_reads, (config.unit_residual, config.norm)
        memory = [config.memory_attention_dropout] * len(MODALITIES)
        self.reinforce_modalities = ReinforcementUnits(config, memory, *unit)
        self.reinforce_hub = ReinforcementUnits(config, list(config.attention_rates.values()), *unit)
        self.merge = Merge(config.width)
        self.feed_forward = FeedForward(config) if config.merge_feed_forward else nn.Identity()

    def forward(self, modalities: Three, hub: Hub, masks: HubMasks) -> tuple[Three, Hub, Shares]:
        hubs = hub.expand(len(modalities), -1, -1, -1)
        reinforced = self.reinforce_modalities(modalities, hubs, masks.own, masks.hub_by_modality)
        heard = reinforced if self.hub_reads == "updated" else modalities
        hub, merge = self.merge(self.reinforce_hub(hubs, heard, masks.hub, masks.modality_by_hub))
        return reinforced, self.feed_forward(hub), merge


class ReinforcementUnits(fast.TransformerLayer):
    """MRUs, one for each modality: z + (1 − G) ⊙ z asks itself + G ⊙ z asks the source, then a feed-forward network.

    The gate G = σ(W [z asks itself, z asks the source] + b) says, entry by entry, how much is taken from the source.
    residual: whether the first z is there. norm: "pre" or "post", before the two parts or after them.
    """

    def __init__(
        self, config: ModelConfig, attention_rates: Sequence[float], residual: bool = True, norm: str = "pre"
    ):  # fmt: skip
        super().__init__(config, config.width, attention_rates)
        self.residual, self.pre = residual, norm == "pre"
        self.self_attention = self.Attention(config.width, config.heads, attention_rates)
        self.gate = self.Linear(2 * config.width, config.width, len(attention_rates))

    def forward(self, target: Three, source: Sources, own: AttentionMask, other: AttentionMask) -> Three:
        z, asked = (self.attention_norm(target), self.attention_norm(source)) if self.pre else (target, source)
        itself, heard = self.self_attention(z, z, z, own), self.attention(z, asked, asked, other)
        gate = self.gate(torch.cat([itself, heard], dim=-1)).sigmoid()
        taken = self.residual_dropout((1 - gate) * itself + gate * heard)
        x = target + taken if self.residual else taken
        return self.feed_forward(x if self.pre else self.attention_norm(x))

    def feed_forward(self, x: Three) -> Three:
        if self.pre:
            return super().feed_forward(x)
        return self.feed_forward_norm(x + self.transform(self.expand(x)))


class FeedForward(nn.Sequential):
    """x + W₂ ReLU(W₁ LN(x)), for the merged hub."""

    def __init__(self, config: PMRConfig):
        width, rate, residual = config.width, config.feed_forward_dropout, config.residual_dropout
        expand, contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        super().__init__(nn.LayerNorm(width), expand, nn.ReLU(), fast.Dropout(rate), contract, fast.Dropout(residual))

    def forward(self, hub: Hub) -> Hub:
        return hub + super().forward(hub)


class Merge(nn.Module):
    """Σ_m α_m z_m with α = softmax over the modalities of w · tanh(W z_m), for each step of the hub."""

    def __init__(self, width: int):
        super().__init__()
        self.look, self.score = nn.Linear(width, width), nn.Linear(width, 1, bias=False)

    def forward(self, hubs: Float[Tensor, "modality batch hub width"]) -> tuple[Hub, Shares]:
        weights = F.softmax(self.score(self.look(hubs).tanh()).squeeze(-1), dim=0)
        return torch.einsum("mbt,mbtd->btd", weights, hubs), weights.permute(1, 2, 0)
