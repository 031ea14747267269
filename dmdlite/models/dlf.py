"""DLF: Disentangled-Language-Focused Multimodal Sentiment Analysis (Wang, Zhou, Wu, Chen, Hu; AAAI 2025).

An heir of DMD: it decouples in the same way, but drops both graphs, and lets language alone hear the other modalities.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmdlite.checking import known
from dmdlite.components import fast
from dmdlite.components.decoupling import Decoupled
from dmdlite.components.heads import AdaptiveFusion, ResidualHead
from dmdlite.components.losses import Labels, Loss, margin_contrastive_loss, orthogonality_loss, reconstruction_loss
from dmdlite.components.reinforcement import SelfAttentionReaders, pick
from dmdlite.components.streams import (
    FlattenedProjections,
    Language,
    Masks,
    Stream,
    Streams,
    TemporalConvolutions,
    Vectors,
    concatenate,
)
from dmdlite.components.transformer import CrossModalEncoders, SelfAttentionEncoders, StepEncoders, encode_each
from dmdlite.config import MODALITIES, MarginConfig
from dmdlite.models.base import SavedModel
from dmdlite.models.dmd import DMDOutput
from dmdlite.models.official import dlf as official

# fmt: off
MOSEI: dict[str, Any] = dict(
    feature_widths=dict(vision=35, audio=74), kernel_sizes=dict.fromkeys(MODALITIES, 3), orthogonality_span=10,
    language_dropout=0.1, embedding_dropout=0.0,
    language_attention_dropout=0.5, audio_attention_dropout=0.0, memory_attention_dropout=0.5,
)
# fmt: on
DATASETS: dict[str, dict[str, Any]] = {"mosi": dict(orthogonality_span=50), "mosei": MOSEI}


def loss_weights() -> dict[str, float]:
    """L = L_task + 0.1 (L_r + L_s + 0.1 (L_m + L_o)); the head of language counts three times in L_task."""
    tasks = {"task_final": 1.0, "task_common": 1.0} | {f"task_heterogeneous_{m}": 1.0 for m in MODALITIES}
    decoupling = {"reconstruction": 0.1, "cycle": 0.1, "margin": 0.01, "orthogonality": 0.01}
    return tasks | {"task_heterogeneous_language": 3.0} | decoupling


@dataclass(kw_only=True)
class DLFConfig(MarginConfig):
    """DLF's own numbers; the defaults are the published code's for CMU-MOSI."""

    layers: int = 2
    focus: Literal["language", "vision", "audio"] = "language"  # hears the others; if it is not read, the first that is
    fusion_gate: Literal["replaces", "scales"] = "replaces"  # σ(W h) in place of h, or as a weight on h
    # Neighbours in (time, clip, channel) that share a cosine; none: the channels of one step of one clip. Published: 50
    # for CMU-MOSI, which is that at its width of 50, and 10 for CMU-MOSEI, a fifth of a step.
    orthogonality_span: int | None = None
    loss_weights: dict[str, float] = field(default_factory=loss_weights)

    @classmethod
    def official(cls, dataset: str = "mosi", **changes: Any) -> "DLFConfig":
        """What the published code computes on "mosi" or "mosei" (its config/config.json and trains/singleTask/DLF.py).

        For "mosi" only `orthogonality_span` differs from the defaults; for "mosei" also feature widths, kernels and
        dropout rates. The recipe of its training is that of DMD, `TrainingConfig.official`.
        """
        return cls().replace(**DATASETS[known("dataset", dataset, DATASETS)]).replace(**changes)


@dataclass(repr=False)
class DLFOutput(DMDOutput):
    """As DMD's, without graphs: five predictions for three modalities.

    In `reinforced` are the focus itself, and what it heard from each of the others.
    """


class DLF(SavedModel):
    """Transformers decouple each stream; the private ones meet in the attractor; all vectors are fused by gates.

    As published (trains/singleTask/model/DLF.py, DLF.py and HingeLoss.py): every layer and every place of dropout, five
    predictions with a task loss each, and the four losses of decoupling, L_r, L_s, L_m and L_o. Outputs, losses and
    gradients are held to that code (tests/test_parity_dlf.py), which we have not compared with the paper's equations.
    Not as published: layers without an effect on prediction or loss are left out; a stream that has the common width
    from the start is convolved all the same; sizes and rates are the shared config's unless `official` sets them.
    Beyond it: other tasks, masks, another `focus`. Two modalities are enough; without language, vision hears audio.
    """

    published = official
    needs = 2, "lets one modality hear the others"

    def __init__(self, config: DLFConfig):
        super().__init__(config)
        config = self.config
        width, rate, logits = config.width, config.output_dropout, config.num_logits
        common = len(self.reads) * width
        self.temporal = TemporalConvolutions(config)
        self.decouple = TransformerDecoupler(config)
        self.read_margin = FlattenedProjections(config)
        self.read_common = SelfAttentionReaders(config)
        self.attract = Attractor(config)
        self.heterogeneous_heads = nn.ModuleDict({m: ResidualHead(width, width, rate, logits) for m in self.reads})
        self.common_head = ResidualHead(common, common, rate, logits)
        self.fusion = AdaptiveFusion(width, common, rate, config.fusion_gate, logits, self.reads)

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> DLFOutput:  # fmt: skip
        """Streams and masks are as in DMD; without a mask padding counts as signal, as published."""
        projected, masks = self.temporal(self.read(language, vision, audio, mask), mask)
        decoupled = self.decouple(projected, masks)
        common = self.read_common(decoupled.common, masks)
        reinforced = self.attract(decoupled.private, masks)
        heads = {m: self.heterogeneous_heads[m](x) for m, x in reinforced.items()}
        fusion = self.fusion({m: head.features for m, head in heads.items()}, concatenate(common))
        predictions = {"final": fusion.prediction, "common": self.common_head(concatenate(common)).prediction}
        out = DLFOutput(
            fusion.prediction,
            fused=fusion.features,
            predictions=predictions | {f"heterogeneous_{m}": head.prediction for m, head in heads.items()},
            decoupled=decoupled,
            masks=masks,
            margin_features=self.read_margin(decoupled.common, masks),
            common=common,
            reinforced=reinforced,
        )
        return out if labels is None else out.with_losses(self.loss_terms(out, labels), self.loss_weights)

    def loss_terms(self, out: DLFOutput, labels: Labels) -> dict[str, Loss]:
        config, parts = self.config, out.decoupled
        span = config.orthogonality_span or config.width
        rows = lambda streams: {m: in_rows(x, span) for m, x in streams.items()}
        common, private = rows(parts.common), rows(parts.private)
        return {f"task_{head}": self.task_loss(x, labels) for head, x in out.predictions.items()} | {
            "reconstruction": reconstruction_loss(parts.projected, parts.reconstruction, "mean_square"),  # L_r
            "cycle": reconstruction_loss(parts.private, parts.private_again, "mean_square"),  # L_s
            "orthogonality": orthogonality_loss(common, private, "over_channels", clamped=True),  # L_o
            "margin": margin_contrastive_loss(out.margin_features, labels.to(out.prediction.dtype), config),  # L_m
        }


class TransformerDecoupler(nn.Module):
    """As `FeatureDecoupler`, with transformers in place of linear encoders: a shared one, and one for each modality."""

    def __init__(self, config: DLFConfig):
        super().__init__()
        self.modalities, width = tuple(config.modalities), config.width
        encoders = lambda rates: StepEncoders(config, width, config.layers, rates, fast.TransformerLayer)
        self.common_encoder = encoders([config.language_attention_dropout])
        self.private_encoders = encoders([config.attention_rates[m] for m in self.modalities])
        self.decoders = nn.ModuleDict({m: nn.Linear(2 * width, width, bias=False) for m in self.modalities})

    def forward(self, projected: Streams, masks: Masks | None) -> Decoupled:
        each = [encode_each(self.common_encoder, [x], masks=pick(masks, [m])) for m, x in projected.items()]
        common = without_padding(dict(zip(projected, sum(each, []))), masks)
        private = self.make_private(projected, masks)
        both = {m: torch.cat([common[m], private[m]], dim=-1) for m in projected}
        reconstruction = {m: self.decoders[m](x) for m, x in both.items()}
        return Decoupled(projected, common, private, reconstruction, self.make_private(reconstruction, masks))

    def make_private(self, streams: Streams, masks: Masks | None) -> Streams:
        encoded = encode_each(self.private_encoders, pick(streams, self.modalities), masks=pick(masks, self.modalities))
        return without_padding(dict(zip(self.modalities, encoded)), masks)


class Attractor(nn.Module):
    """The Language-Focused Attractor: language asks itself, vision and audio, and a memory encoder reads each answer.

    The memory of language has `layers` layers, the others `memory_layers`.
    """

    def __init__(self, config: DLFConfig):
        super().__init__()
        self.focus = config.focus if config.focus in config.modalities else config.modalities[0]
        self.others = [m for m in config.modalities if m != self.focus]
        width, layer, memory = config.width, fast.TransformerLayer, config.memory_attention_dropout
        rates = [config.attention_rates[m] for m in self.others]
        self.crossmodal = CrossModalEncoders(config, width, config.layers, rates, layer)
        self.memory = SelfAttentionEncoders(config, width, config.memory_layers, [memory] * len(self.others), layer)
        self.focus_memory = SelfAttentionEncoders(config, width, config.layers, [memory], layer)

    def forward(self, private: Streams, masks: Masks | None) -> Vectors:
        """One vector for each modality: the last step of its memory encoder."""
        asking = [self.focus] * len(self.others)
        sources = pick(private, self.others)
        answers = encode_each(self.crossmodal, pick(private, asking), sources, masks=pick(masks, self.others))
        heard = encode_each(self.memory, answers, masks=pick(masks, asking))
        itself = encode_each(self.focus_memory, [private[self.focus]], masks=pick(masks, [self.focus]))
        return {m: x.squeeze(1) for m, x in zip([self.focus, *self.others], [*itself, *heard])}


def without_padding(streams: Streams, masks: Masks | None) -> Streams:
    """Padded steps are 0, as a linear encoder without bias leaves them."""
    return {m: x * masks[m][..., None] for m, x in streams.items()} if masks else streams


def in_rows(x: Float[Tensor, "batch time width"], span: int) -> Float[Tensor, "1 row {span}"]:
    """All entries in the published order, time before batch, `span` to a row; the last is filled with zeros."""
    entries = x.transpose(0, 1).flatten()
    return F.pad(entries, (0, -len(entries) % span)).view(1, -1, span)
