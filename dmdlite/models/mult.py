"""MulT: the Multimodal Transformer (Tsai et al., ACL 2019), DMD's parent: cross-modal attention without decoupling."""

from dataclasses import dataclass, field
from typing import Literal

from dmdlite.components.heads import ResidualHead
from dmdlite.components.losses import Labels
from dmdlite.components.reinforcement import CrossModalReinforcement
from dmdlite.components.streams import Language, Masks, Stream, TemporalConvolutions, Vectors, concatenate
from dmdlite.config import ModelConfig
from dmdlite.models.base import ModelOutput, SavedModel


@dataclass(kw_only=True)
class MulTConfig(ModelConfig):
    """MulT's own number: whether there is cross-modal attention at all."""

    reinforcement: Literal["crossmodal", "none"] = "crossmodal"


@dataclass(repr=False)
class MulTOutput(ModelOutput):
    """The prediction, and the vectors that it is made from."""

    reinforced: Vectors = field(default_factory=dict)  # Z_{→m}: modality -> (batch, 2 · width), of two: (batch, width)


class MulT(SavedModel):
    """Temporal convolutions, six cross-modal encoders, a memory encoder for each modality, one residual head.

    As published (`src/models.py`): which modality asks which, the memory encoders on both answers side by side, their
    last step, the residual head. Not as published: sizes, rates, kernels and the causal order come from the config that
    all models share (MulT's own: kernels of 1, five layers of width 30 for CMU-MOSEI).
    """

    needs = 2, "attends across modalities"

    def __init__(self, config: MulTConfig):
        super().__init__(config)
        config = self.config
        self.temporal = TemporalConvolutions(config)
        self.reinforce = CrossModalReinforcement(config, config.reinforcement == "crossmodal")
        joined = len(self.reads) * self.reinforce.width
        self.head = ResidualHead(joined, joined, config.output_dropout, config.num_logits)

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> MulTOutput:  # fmt: skip
        projected, masks = self.temporal(self.read(language, vision, audio, mask), mask)
        reinforced = self.reinforce(projected, masks)
        head = self.head(concatenate(reinforced))
        out = MulTOutput(head.prediction, fused=head.features, reinforced=reinforced)
        return out.supervised(labels, self.config.task, self.config.class_weights)
