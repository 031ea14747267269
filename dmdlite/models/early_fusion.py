"""Early fusion: the three streams are joined before anything is read from them, and one transformer reads the whole."""

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from dmdlite.components.heads import ResidualHead
from dmdlite.components.streams import Masks, StreamReader, TemporalConvolutions
from dmdlite.components.transformer import SelfAttentionEncoders, encode_each
from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.base import ModelOutput, SavedModel

MODALITY_SCALE = 0.02  # of the modality vectors at first, as BERT has for its segments


class EarlyFusion(SavedModel):
    """Temporal convolutions, the streams one after the other, one self-attention encoder, its last real step, a head.

    A single-stream transformer: a learned vector for each modality tells the encoder whose step it looks at. Every
    step may look at every other, whatever `causal_attention` says, for steps of different streams have no order.
    The field has many early fusions (the EF-LSTM of the paper's tables joins aligned features); this one is our choice.
    """

    def __init__(self, config: DMDConfig):
        super().__init__()
        self.read = StreamReader(config)
        self.config = config = self.read.config
        self.temporal = TemporalConvolutions(config)
        self.modality = nn.Parameter(MODALITY_SCALE * torch.randn(len(MODALITIES), config.width))
        acausal, rates = config.replace(causal_attention=False), [config.memory_attention_dropout]
        self.encoder = SelfAttentionEncoders(acausal, config.width, config.layers, rates)
        self.head = ResidualHead(config.width, config.width, config.output_dropout, config.logits)

    def forward(
        self,
        language: Float[Tensor, "batch _ _"] | Int[Tensor, "batch 3 _"],
        vision: Float[Tensor, "batch _ _"],
        audio: Float[Tensor, "batch _ _"],
        labels: Num[Tensor, "batch *outputs"] | None = None,
        mask: Masks | None = None,
    ) -> ModelOutput:
        streams = self.read({"language": language, "vision": vision, "audio": audio}, mask)
        projected, masks = self.temporal(streams, mask)
        marked = {m: projected[m] + own for m, own in zip(MODALITIES, self.modality)}
        kept = None if masks is None else [in_a_row(masks)]
        (read,) = encode_each(self.encoder, [in_a_row(marked)], masks=kept)
        return ModelOutput(self.head(read.squeeze(1)).prediction).supervise(labels, self.config.task)


def in_a_row(
    streams: dict[str, Float[Tensor, "batch _ width"] | Bool[Tensor, "batch _"]],
) -> Float[Tensor, "batch all_steps width"] | Bool[Tensor, "batch all_steps"]:
    """All steps of language, then of vision, then of audio; likewise which of them are real."""
    return torch.cat([streams[m] for m in MODALITIES], dim=1)
