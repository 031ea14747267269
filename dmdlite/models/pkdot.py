"""PKDOT: Privileged Knowledge Distillation by Optimal Transport (Aslam et al., FG 2024, arXiv 2401.15489).

A modality that is available in training but missing at test time is *privileged*, the two others are *prevalent*. A
teacher learns from all three. Then a student learns from the prevalent two, hallucinates the teacher's vector of the
third (T-Net), and arranges the clips of a batch as the teacher does: optimal transport brings the student's
similarities to the teacher's.

Sourced (paper's summary and the authors' PKDOT_kfold.py): teacher, T-Net, the gate, shifted cosine similarities, top-k
anchors picked on the teacher, the debiased Sinkhorn divergence at ε = 0.1², and its weight of 0.6. Our choice: two
prevalent modalities instead of one, DMD's readers, a T-Net that is trained (the public script leaves it at its random
initial weights), and unlabelled clips, from which the student learns everything but the task.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmdlite.components.heads import ResidualHead
from dmdlite.components.losses import Labels, Loss, task_loss_where_known
from dmdlite.components.reinforcement import SelfAttentionReaders
from dmdlite.components.streams import Language, Masks, Stream, TemporalConvolutions, Vector
from dmdlite.components.transport import sinkhorn_divergence
from dmdlite.config import MODALITIES, ModelConfig
from dmdlite.models.base import ModelOutput, SavedModel
from dmdlite.models.saving import load_weights

WEIGHTS = dict(task_final=1.0, transport=0.6, hallucination=1.0)  # the last is ours
TAUGHT = ("transport", "hallucination")  # the terms of the loss that need the teacher


@dataclass(kw_only=True)
class PKDOTConfig(ModelConfig):
    """PKDOT's own numbers; defaults are the authors' unless a comment says otherwise."""

    privileged: Literal["language", "vision", "audio"] = "audio"
    anchors: int = 8  # k, at most the clips of a batch; published: 30, of 128
    anchor_choice: Literal["highest", "lowest"] = "lowest"  # paper: the top k; its code takes the lowest similarities
    epsilon: float = 0.01  # of the transport; published as geomloss's blur, its root, of 0.1
    transport_iterations: int = 10  # at most, after ε-scaling; published: none after it
    loss_weights: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epsilon <= 0:
            raise ValueError(f"epsilon must be positive, got {self.epsilon}")

    @property
    def prevalent(self) -> tuple[str, ...]:
        """The two modalities that are available at test time, too."""
        return tuple(m for m in MODALITIES if m != self.privileged)


@dataclass(repr=False)
class FusedOutput(ModelOutput):
    """The teacher's output; `fused` is z."""

    privileged: Vector | None = None  # the vector of the privileged modality, read or hallucinated


@dataclass(repr=False)
class PKDOTOutput(FusedOutput):
    """The student's output; the fields below need labels."""

    taught: FusedOutput | None = None  # the teacher's output for the same clips
    anchors: Int[Tensor, "batch anchor"] | None = None  # places in the batch
    similarities: dict[str, Float[Tensor, "batch anchor"]] = field(default_factory=dict)  # of "teacher", of "student"


class GatedFusion(nn.Module):
    """z = g ⊙ v + (1 − g) ⊙ p with g = σ(W [v; p]), of prevalent v and privileged p; then a head."""

    def __init__(self, config: PKDOTConfig):
        super().__init__()
        width = config.width
        self.join, self.gate = nn.Linear(2 * width, width), nn.Linear(2 * width, width)
        self.head = ResidualHead(width, width, config.output_dropout, config.num_logits)

    def forward(self, prevalent: Float[Tensor, "batch both"], privileged: Vector) -> FusedOutput:
        v = self.join(prevalent)  # published: attention with one step to attend to, which is a linear map, too
        g = self.gate(torch.cat([v, privileged], dim=1)).sigmoid()
        fused = g * v + (1 - g) * privileged
        return FusedOutput(self.head(fused).prediction, privileged=privileged, fused=fused)


class PKDOTTeacher(SavedModel):
    """The multimodal teacher: it reads all three modalities. Trained first, and on its own."""

    needs = 3, "teaches with a third modality"
    learns_unlabelled = True  # it skips clips without a label, which its student learns from

    def __init__(self, config: PKDOTConfig):
        super().__init__(config)
        self.temporal, self.encode = TemporalConvolutions(self.config), SelfAttentionReaders(self.config)
        self.fuse = GatedFusion(self.config)

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> FusedOutput:  # fmt: skip
        vectors = self.encode(*self.temporal(self.read(language, vision, audio, mask), mask))
        prevalent = torch.cat([vectors[m] for m in self.config.prevalent], dim=1)
        out = self.fuse(prevalent, vectors[self.config.privileged])
        if labels is None:
            return out
        loss = task_loss_where_known(out.prediction, labels, self.config.task, self.config.class_weights)
        return out.with_losses({"task_final": loss}, weights={})


class PKDOT(SavedModel):
    """The student, and inside it the teacher that it learns from: `learn_from` a trained one before training.

    The teacher of a fresh PKDOT is random. It is frozen, always in evaluation mode, and part of the checkpoint.
    A prediction does not use the privileged stream, which may be left out; the losses need it.
    """

    needs = 3, "learns with two what a teacher knows with a third"
    learns_unlabelled = True

    def __init__(self, config: PKDOTConfig):
        super().__init__(config, config.prevalent)
        self.teacher = PKDOTTeacher(config).requires_grad_(False).eval()
        self.config = config = self.teacher.config  # with the language model, even where only the teacher reads it
        width = config.width
        self.temporal = TemporalConvolutions(config, config.prevalent)
        self.encode = SelfAttentionReaders(config, config.prevalent)
        self.hallucinate = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, width))  # T-Net
        self.fuse = GatedFusion(config)

    def learn_from(self, teacher: PKDOTTeacher) -> "PKDOT":
        """Takes over the weights of a trained teacher. Raises ValueError if it does not fit."""
        if teacher.config.privileged != self.config.privileged:
            known, own = teacher.config.privileged, self.config.privileged
            raise ValueError(f"the teacher was trained with {known} as the privileged modality, the student with {own}")
        load_weights(self.teacher, teacher.state_dict(), "the teacher")
        return self

    @property
    def parameters_in_use(self) -> int:
        """Parameters that a prediction needs: those of the student without its teacher."""
        return sum(p.numel() for name, p in self.named_parameters() if not name.startswith("teacher."))

    def train(self, mode: bool = True) -> "PKDOT":
        """The teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> PKDOTOutput:  # fmt: skip
        """A missing label is NaN: such a clip teaches everything but the task."""
        vectors = self.encode(*self.temporal(self.read(language, vision, audio, mask), mask))
        prevalent = torch.cat([vectors[m] for m in self.config.prevalent], dim=1)
        out = PKDOTOutput(**vars(self.fuse(prevalent, self.hallucinate(prevalent))))
        if labels is None:
            return out
        config = self.config
        terms = {"task_final": task_loss_where_known(out.prediction, labels, config.task, config.class_weights)}
        if any(self.config.loss_weights[term] for term in TAUGHT):
            streams, privileged = dict(language=language, vision=vision, audio=audio), self.config.privileged
            if streams[privileged] is None:
                raise ValueError(f"the losses need {privileged}, which is privileged; a prediction does not")
            with torch.no_grad():
                taught = self.teacher(**streams, mask=mask)
            out, lessons = self.compare(out, taught)
            terms |= lessons
        return out.with_losses(terms, self.config.loss_weights)

    def compare(self, out: PKDOTOutput, taught: FusedOutput) -> tuple[PKDOTOutput, dict[str, Loss]]:
        """The distance of student and teacher: L_OT as published, and the error of T-Net."""
        config, teacher, student = self.config, shifted_similarities(taught.fused), shifted_similarities(out.fused)
        anchors = pick_anchors(teacher, config.anchors, config.anchor_choice)
        teacher, student = teacher.gather(1, anchors), student.gather(1, anchors)
        lessons = {
            "transport": sinkhorn_divergence(student, teacher, config.epsilon, iterations=config.transport_iterations),
            "hallucination": F.mse_loss(out.privileged, taught.privileged),
        }
        rows = {"teacher": teacher, "student": student}
        return replace(out, taught=taught, anchors=anchors, similarities=rows), lessons


def shifted_similarities(z: Vector) -> Float[Tensor, "batch batch"]:
    """S_ij = cos(z_i, z_j), minus the smallest of them all, so that none is negative (as published)."""
    unit = F.normalize(z, dim=1)
    similarities = unit @ unit.T
    return similarities - similarities.min()


def pick_anchors(similarities: Float[Tensor, "batch batch"], k: int, choice: str) -> Int[Tensor, "batch anchor"]:
    """For each clip the k clips that are the most (or the least) similar to it, in that order."""
    return similarities.topk(min(k, len(similarities)), largest=choice == "highest").indices
