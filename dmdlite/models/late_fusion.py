"""Late fusion: three models that know nothing of each other, and a weighted sum of what they say."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from dmdlite.components.heads import ResidualHead
from dmdlite.components.reinforcement import SelfAttentionReaders
from dmdlite.components.streams import Masks, StreamReader, TemporalConvolutions
from dmdlite.components.tasks import Logits, task_loss
from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.base import ModelOutput, SavedModel

TASKS = {"task_final": 1.0} | {f"task_{m}": 1.0 for m in MODALITIES}


@dataclass(frozen=True, kw_only=True)
class LateFusionConfig(DMDConfig):
    """Four task losses: of the weighted sum, and of each modality on its own."""

    loss_weights: dict[str, float] = field(default_factory=lambda: dict(TASKS))


@dataclass
class LateFusionOutput(ModelOutput):
    """The prediction, and what it is a weighted sum of."""

    predictions: dict[str, Logits] = field(default_factory=dict)  # of each modality


class LinearCombination(nn.Module):
    """b + Σ_m w_m ŷ_m: one weight for each modality, at first a third, and one constant for each logit, at first 0."""

    def __init__(self, logits: int):
        super().__init__()
        self.weight = nn.Parameter(torch.full((len(MODALITIES),), 1 / len(MODALITIES)))
        self.bias = nn.Parameter(torch.zeros(logits if logits > 1 else ()))

    def forward(self, predictions: Float[Tensor, "batch modality *logits"]) -> Logits:
        return torch.einsum("m,bm...->b...", self.weight, predictions) + self.bias


class LateFusion(SavedModel):
    """A unimodal model for each modality (see `Unimodal`), trained on its own loss, and a learned weighted sum.

    The sum learns from the predictions as they are and moves no branch: what a branch learns, it learns alone. That is
    our choice, for then the difference to `ConventionalDistillation` is teaching and nothing else.
    """

    def __init__(self, config: LateFusionConfig):
        super().__init__()
        self.read = StreamReader(config)
        self.config = config = self.read.config
        width, rate = config.width, config.output_dropout
        self.temporal = TemporalConvolutions(config)
        self.readers = SelfAttentionReaders(config)
        self.heads = nn.ModuleDict({m: ResidualHead(width, width, rate, config.logits) for m in MODALITIES})
        self.combine = LinearCombination(config.logits)

    def forward(
        self,
        language: Float[Tensor, "batch _ _"] | Int[Tensor, "batch 3 _"],
        vision: Float[Tensor, "batch _ _"],
        audio: Float[Tensor, "batch _ _"],
        labels: Num[Tensor, "batch *outputs"] | None = None,
        mask: Masks | None = None,
    ) -> LateFusionOutput:
        streams = self.read({"language": language, "vision": vision, "audio": audio}, mask)
        projected, masks = self.temporal(streams, mask)
        read = self.readers(projected, masks)
        predictions = {m: self.heads[m](read[m]).prediction for m in MODALITIES}
        final = self.combine(torch.stack([x.detach() for x in predictions.values()], dim=1))
        out = LateFusionOutput(final, predictions=predictions)
        if labels is not None:
            out.losses = self.terms(out, labels)
            out.add_up(self.config.loss_weights)
        return out

    def terms(self, out: LateFusionOutput, labels: Num[Tensor, "batch *outputs"]) -> dict[str, Float[Tensor, ""]]:
        """The task losses by name."""
        heads = {"final": out.prediction} | out.predictions
        return {f"task_{name}": task_loss(x, labels, self.config.task) for name, x in heads.items()}
