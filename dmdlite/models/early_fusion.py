"""Early fusion: the three streams are joined before anything is read from them, and one transformer reads them all."""

import torch
from torch import nn

from dmdlite.components import fast
from dmdlite.components.heads import ResidualHead
from dmdlite.components.losses import Labels
from dmdlite.components.streams import Language, Masks, Stream, TemporalConvolutions
from dmdlite.components.transformer import SelfAttentionEncoders, encode_each
from dmdlite.config import ModelConfig
from dmdlite.models.base import ModelOutput, SavedModel


class EarlyFusion(SavedModel):
    """Temporal convolutions, the streams one after the other, one self-attention encoder, its last real step, a head.

    A single-stream transformer: a learned vector tells the encoder which modality a step comes from. Every step may
    attend to every other, whatever `causal_attention` says, because steps of different streams have no order.
    The field has many early fusions (the EF-LSTM of the paper's tables joins aligned features); this one is our choice.
    """

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        config = self.config
        self.temporal = TemporalConvolutions(config)
        self.modality = nn.Parameter(0.02 * torch.randn(len(self.reads), config.width))  # as BERT's segments begin
        acausal, rates = config.replace(causal_attention=False), [config.memory_attention_dropout]
        self.encoder = SelfAttentionEncoders(acausal, config.width, config.layers, rates, fast.TransformerLayer)
        self.head = ResidualHead(config.width, config.width, config.output_dropout, config.num_logits)

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> ModelOutput:  # fmt: skip
        projected, masks = self.temporal(self.read(language, vision, audio, mask), mask)
        row = torch.cat([projected[m] + own for m, own in zip(self.reads, self.modality)], dim=1)
        real = None if masks is None else [torch.cat([masks[m] for m in self.reads], dim=1)]
        (read,) = encode_each(self.encoder, [row], masks=real)
        head = self.head(read.squeeze(1))
        out = ModelOutput(head.prediction, fused=head.features)
        return self.supervised(out, labels)
