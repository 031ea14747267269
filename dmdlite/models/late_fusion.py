"""Late fusion: three independent models, one for each modality, and a weighted sum of their predictions."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmdlite.components.heads import ResidualHead
from dmdlite.components.losses import Labels, Logits, Loss
from dmdlite.components.reinforcement import SelfAttentionReaders
from dmdlite.components.streams import Language, Masks, Stream, TemporalConvolutions
from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.models.base import ModelOutput, SavedModel

TASKS = {"task_final": 1.0} | {f"task_{m}": 1.0 for m in MODALITIES}


@dataclass(kw_only=True)
class LateFusionConfig(ModelConfig):
    """The task losses: one of the weighted sum, and one of each modality on its own."""

    loss_weights: dict[str, float] = field(default_factory=lambda: dict(TASKS))


@dataclass(repr=False)
class LateFusionOutput(ModelOutput):
    """The prediction, and those of each modality, whose weighted sum it is."""


class LinearCombination(nn.Module):
    """b + Σ_m w_m ŷ_m: a weight for each modality, at first all alike, and a constant for each logit, at first 0."""

    def __init__(self, logits: int, modalities: int = len(MODALITIES)):
        super().__init__()
        self.weight = nn.Parameter(torch.full((modalities,), 1 / modalities))
        self.bias = nn.Parameter(torch.zeros(logits if logits > 1 else ()))

    def forward(self, predictions: Float[Tensor, "batch modality *logits"]) -> Logits:
        return torch.einsum("m,bm...->b...", self.weight, predictions) + self.bias

    def extra_repr(self) -> str:
        return f"modalities={len(self.weight)}, logits={self.bias.numel()}"


class LateFusion(SavedModel):
    """A unimodal model for each modality (see `Unimodal`), trained on its own loss, and a learned weighted sum.

    The sum learns from the predictions as they are and changes no branch: each branch learns alone. That is our choice;
    it leaves teaching as the only difference to `ConventionalDistillation`.
    """

    def __init__(self, config: LateFusionConfig):
        super().__init__(config)
        config = self.config
        width, rate = config.width, config.output_dropout
        self.temporal = TemporalConvolutions(config)
        self.readers = SelfAttentionReaders(config)
        self.heads = nn.ModuleDict({m: ResidualHead(width, width, rate, config.num_logits) for m in self.reads})
        self.combine = LinearCombination(config.num_logits, len(self.reads))

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> LateFusionOutput:  # fmt: skip
        projected, masks = self.temporal(self.read(language, vision, audio, mask), mask)
        read = self.readers(projected, masks)
        heads = {m: self.heads[m](x) for m, x in read.items()}
        predictions = {m: head.prediction for m, head in heads.items()}
        final = self.combine(torch.stack([x.detach() for x in predictions.values()], dim=1))
        fused = torch.cat([head.features for head in heads.values()], dim=1)
        out = LateFusionOutput(final, fused=fused, predictions=predictions)
        return out if labels is None else out.with_losses(self.loss_terms(out, labels), self.loss_weights)

    def loss_terms(self, out: LateFusionOutput, labels: Labels) -> dict[str, Loss]:
        """The task losses by name."""
        heads = {"final": out.prediction} | out.predictions
        return {f"task_{name}": self.task_loss(x, labels) for name, x in heads.items()}
