"""PKDOT: Privileged Knowledge Distillation by Optimal Transport (Aslam et al., FG 2024, arXiv 2401.15489).

A modality that is there in training and missing in use is *privileged*, the two others are *prevalent*. A teacher
learns from all three. Then a student learns from the prevalent two, hallucinates what the teacher would have read in
the third (T-Net), and arranges the clips of a batch as the teacher does: optimal transport brings the student's
similarities to the teacher's.

Sourced (paper's summary and the authors' PKDOT_kfold.py): teacher, T-Net, the gate, shifted cosine similarities, top-k
anchors picked on the teacher, the debiased Sinkhorn divergence at ε = 0.1², and its weight of 0.6. Our choice: two
prevalent modalities instead of one, DMD's readers, a T-Net that is trained (the public script leaves it at its random
start), and clips without a label, from which the student learns all but the task.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from dmdlite.components.heads import ResidualHead
from dmdlite.components.pooling import Vector, Vectors
from dmdlite.components.reinforcement import SelfAttentionReaders
from dmdlite.components.streams import Masks, StreamReader, TemporalConvolutions
from dmdlite.components.tasks import task_loss_where_known
from dmdlite.components.transport import sinkhorn_divergence
from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.models.base import ModelOutput, SavedModel, load_weights

TAUGHT = ("transport", "hallucination")  # the terms of the loss that need the teacher
Rows = Float[Tensor, "batch anchor"]  # similarities of each clip to its anchors


@dataclass(frozen=True, kw_only=True)
class PKDOTConfig(DMDConfig):
    """DMDConfig and the numbers of PKDOT; defaults are the authors' unless said otherwise."""

    privileged: Literal["language", "vision", "audio"] = "audio"
    anchors: int = 8  # k, at most the clips of a batch; published: 30, of 128
    anchor_choice: Literal["highest", "lowest"] = "lowest"  # paper: the top k; its code takes the lowest similarities
    epsilon: float = 0.01  # of the transport; published as geomloss's blur, its root, of 0.1
    transport_iterations: int = 10  # at most, after ε-scaling; published: none after it
    loss_weights: dict[str, float] = field(
        default_factory=lambda: dict(task_final=1.0, transport=0.6, hallucination=1.0)  # the last one is ours
    )

    def __post_init__(self):
        super().__post_init__()
        if self.epsilon <= 0:
            raise ValueError(f"epsilon must be positive, got {self.epsilon}")

    @property
    def prevalent(self) -> tuple[str, ...]:
        """The two modalities that are there in use as well."""
        return tuple(m for m in MODALITIES if m != self.privileged)


@dataclass
class FusedOutput(ModelOutput):
    """What the teacher returns."""

    privileged: Vector | None = None  # what was read in the privileged modality, or hallucinated
    fused: Vector | None = None  # z


@dataclass
class PKDOTOutput(FusedOutput):
    """What the student returns; the rest is there if labels are."""

    taught: FusedOutput | None = None  # what the teacher made of the same clips
    anchors: Int[Tensor, "batch anchor"] | None = None  # places in the batch
    similarities: dict[str, Rows] = field(default_factory=dict)  # "teacher" and "student", to these anchors


class VectorReader(nn.Module):
    """One vector for each of some modalities: temporal convolution, self-attention encoder, its last step."""

    def __init__(self, config: DMDConfig, modalities: tuple[str, ...]):
        super().__init__()
        self.modalities = modalities
        self.read = StreamReader(config if "language" in modalities else config.replace(language_model=None))
        self.temporal = TemporalConvolutions(config, modalities)
        self.encode = SelfAttentionReaders(config, modalities)

    def forward(self, streams: dict[str, Tensor | None], mask: Masks | None) -> Vectors:
        read = self.read({m: streams[m] for m in self.modalities}, mask)
        return self.encode(*self.temporal(read, mask))


class GatedFusion(nn.Module):
    """z = g ⊙ v + (1 − g) ⊙ p with g = σ(W [v; p]), of prevalent v and privileged p; then a head.

    The published attention between v and p has one step to attend to, so it is a linear map: here that from the two
    prevalent vectors to v.
    """

    def __init__(self, config: PKDOTConfig):
        super().__init__()
        width = config.width
        self.join, self.gate = nn.Linear(2 * width, width), nn.Linear(2 * width, width)
        self.head = ResidualHead(width, width, config.output_dropout, config.logits)

    def forward(self, prevalent: Float[Tensor, "batch both"], privileged: Vector) -> FusedOutput:
        v = self.join(prevalent)
        g = self.gate(torch.cat([v, privileged], dim=1)).sigmoid()
        fused = g * v + (1 - g) * privileged
        return FusedOutput(self.head(fused).prediction, privileged=privileged, fused=fused)


class PKDOTTeacher(SavedModel):
    """The multimodal teacher: it reads all three modalities. Trained first, and on its own."""

    def __init__(self, config: PKDOTConfig):
        super().__init__()
        self.read = VectorReader(config, MODALITIES)
        self.config = config = self.read.read.config
        self.fuse = GatedFusion(config)

    def forward(
        self,
        language: Float[Tensor, "batch _ _"] | Int[Tensor, "batch 3 _"],
        vision: Float[Tensor, "batch _ _"],
        audio: Float[Tensor, "batch _ _"],
        labels: Num[Tensor, "batch *outputs"] | None = None,
        mask: Masks | None = None,
    ) -> FusedOutput:
        vectors = self.read({"language": language, "vision": vision, "audio": audio}, mask)
        prevalent = torch.cat([vectors[m] for m in self.config.prevalent], dim=1)
        out = self.fuse(prevalent, vectors[self.config.privileged])
        if labels is None:
            return out
        out.losses = {"task_final": task_loss_where_known(out.prediction, labels, self.config.task)}
        return out.add_up({"task_final": 1.0})


class PKDOT(SavedModel):
    """The student, and inside it the teacher that it learns from: `learn_from` a trained one before training.

    The teacher of a fresh PKDOT is random. It is frozen, in evaluation mode always, and part of the checkpoint.
    For a prediction the privileged stream is not looked at and may be left out; the losses need it.
    """

    def __init__(self, config: PKDOTConfig):
        super().__init__()
        self.teacher = PKDOTTeacher(config).requires_grad_(False).eval()
        self.config = self.teacher.config
        self.read = VectorReader(config, config.prevalent)
        width = config.width
        self.hallucinate = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, width))  # T-Net
        self.fuse = GatedFusion(config)

    def learn_from(self, teacher: PKDOTTeacher) -> "PKDOT":
        """Takes over the weights of a trained teacher. Raises ValueError if it does not fit."""
        if teacher.config.privileged != self.config.privileged:
            known, wanted = teacher.config.privileged, self.config.privileged
            raise ValueError(
                f"the teacher was trained with {known} as the privileged modality, the student with {wanted}"
            )
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
        self,
        language: Float[Tensor, "batch _ _"] | Int[Tensor, "batch 3 _"] | None = None,
        vision: Float[Tensor, "batch _ _"] | None = None,
        audio: Float[Tensor, "batch _ _"] | None = None,
        labels: Num[Tensor, "batch *outputs"] | None = None,
        mask: Masks | None = None,
    ) -> PKDOTOutput:
        """Labels that are NaN are not known: those clips teach all but the task."""
        streams = {"language": language, "vision": vision, "audio": audio}
        vectors = self.read(streams, mask)
        prevalent = torch.cat([vectors[m] for m in self.config.prevalent], dim=1)
        student = self.fuse(prevalent, self.hallucinate(prevalent))
        out = PKDOTOutput(student.prediction, privileged=student.privileged, fused=student.fused)
        if labels is None:
            return out
        out.losses = {"task_final": task_loss_where_known(out.prediction, labels, self.config.task)}
        if any(self.config.loss_weights[term] for term in TAUGHT):
            if streams[self.config.privileged] is None:
                raise ValueError(
                    f"the losses need {self.config.privileged}, which is privileged; a prediction does not"
                )
            with torch.no_grad():
                out.taught = self.teacher(**streams, mask=mask)
            self.compare(out)
        return out.add_up(self.config.loss_weights)

    def compare(self, out: PKDOTOutput) -> None:
        """The distance of student and teacher: L_OT as published, and the error of T-Net."""
        config = self.config
        teacher, student = shifted_similarities(out.taught.fused), shifted_similarities(out.fused)
        out.anchors = pick_anchors(teacher, config.anchors, config.anchor_choice)
        out.similarities = {"teacher": teacher.gather(1, out.anchors), "student": student.gather(1, out.anchors)}
        rows = out.similarities["student"], out.similarities["teacher"]
        out.losses["transport"] = sinkhorn_divergence(*rows, config.epsilon, iterations=config.transport_iterations)
        out.losses["hallucination"] = F.mse_loss(out.privileged, out.taught.privileged)


def shifted_similarities(z: Vector) -> Float[Tensor, "batch batch"]:
    """S_ij = cos(z_i, z_j), minus the smallest of them all, so that none is negative (as published)."""
    unit = F.normalize(z, dim=1)
    similarities = unit @ unit.T
    return similarities - similarities.min()


def pick_anchors(similarities: Float[Tensor, "batch batch"], k: int, choice: str) -> Int[Tensor, "batch anchor"]:
    """For each clip the k clips that are the most (or the least) similar to it, in that order."""
    return similarities.topk(min(k, len(similarities)), largest=choice == "highest").indices
