"""MulT: the Multimodal Transformer (Tsai et al., ACL 2019), DMD's parent: cross-modal attention without decoupling."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from dmdlite.components.heads import ResidualHead
from dmdlite.components.pooling import Vectors
from dmdlite.components.reinforcement import CrossModalReinforcement
from dmdlite.components.streams import Masks, StreamReader, TemporalConvolutions
from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.base import ModelOutput, SavedModel


@dataclass
class MulTOutput(ModelOutput):
    """The prediction, and what it is made from."""

    reinforced: Vectors = field(default_factory=dict)  # Z_{→m}: modality -> (batch, 2 · width)


class MulT(SavedModel):
    """Temporal convolutions, six cross-modal encoders, a memory encoder for each modality, one residual head.

    As published (`src/models.py`): who asks whom, the memory encoders on both answers side by side, their last step,
    the residual head. Not as published: sizes, rates, kernels and the causal order come from the config that all
    models share (MulT's own: kernels of 1, five layers of width 30 for CMU-MOSEI).
    """

    def __init__(self, config: DMDConfig):
        super().__init__()
        self.read = StreamReader(config)
        self.config = config = self.read.config
        self.temporal = TemporalConvolutions(config)
        self.reinforce = CrossModalReinforcement(config)
        joined = len(MODALITIES) * 2 * config.width
        self.head = ResidualHead(joined, joined, config.output_dropout, config.logits)

    def forward(
        self,
        language: Float[Tensor, "batch _ _"] | Int[Tensor, "batch 3 _"],
        vision: Float[Tensor, "batch _ _"],
        audio: Float[Tensor, "batch _ _"],
        labels: Num[Tensor, "batch *outputs"] | None = None,
        mask: Masks | None = None,
    ) -> MulTOutput:
        streams = self.read({"language": language, "vision": vision, "audio": audio}, mask)
        projected, masks = self.temporal(streams, mask)
        reinforced = self.reinforce(projected, masks)
        joined = torch.cat([reinforced[m] for m in MODALITIES], dim=1)
        out = MulTOutput(self.head(joined).prediction, reinforced=reinforced)
        return out.supervise(labels, self.config.task)
