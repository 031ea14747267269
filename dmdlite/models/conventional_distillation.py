"""Conventional distillation between modalities: late fusion's branches, and lessons that are set by hand."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from dmdlite.components.graph_distillation import logit_difference
from dmdlite.components.losses import Labels, Loss
from dmdlite.models.late_fusion import TASKS, LateFusion, LateFusionConfig, LateFusionOutput
from dmdlite.presets import EDGES

LESSONS = dict.fromkeys(EDGES, 0.0) | {"language->vision": 1.0, "language->audio": 1.0}


@dataclass(kw_only=True)
class ConventionalDistillationConfig(LateFusionConfig):
    """Which modality teaches which, and how strongly: 0 is no lesson. The weight of all lessons is DMD's λ2."""

    lessons: dict[str, float] = field(default_factory=lambda: dict(LESSONS))
    loss_weights: dict[str, float] = field(default_factory=lambda: TASKS | {"distillation": 0.05})

    def __post_init__(self) -> None:
        super().__post_init__()
        if negative := [name for name, strength in self.lessons.items() if strength < 0]:
            raise ValueError(f"lessons[{negative[0]!r}] must not be negative, got {self.lessons[negative[0]]}")


class ConventionalDistillation(LateFusion):
    """Σ_ij w_ij |ŷ_j − ŷ_i|, the teacher i held fixed, with fixed directions and strengths w.

    DMD's distillation graphs are meant to replace it. Which modalities teach is our choice: language, the strongest,
    teaches both others; without it there are no lessons unless `lessons` sets some.
    """

    needs = 2, "distils between modalities"
    lessons: Float[Tensor, "teacher student"]

    def __init__(self, config: ConventionalDistillationConfig):
        super().__init__(config)
        rows = [[config.lessons.get(f"{teacher}->{student}", 0.0) for student in self.reads] for teacher in self.reads]
        self.register_buffer("lessons", torch.tensor(rows), persistent=False)

    def loss_terms(self, out: LateFusionOutput, labels: Labels) -> dict[str, Loss]:
        logits = torch.stack(list(out.predictions.values()), dim=1)
        distillation = torch.einsum("ij,bij->b", self.lessons, logit_difference(logits)).mean()
        return super().loss_terms(out, labels) | {"distillation": distillation}
