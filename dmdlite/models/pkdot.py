"""PKDOT: Privileged Knowledge Distillation by Optimal Transport (Aslam et al., FG 2024, arXiv 2401.15489).

A modality that is available in training but missing at test time is *privileged*, the others are *prevalent*. A teacher
learns from all. Then a student learns from the prevalent ones, hallucinates the teacher's vector of the privileged one
(T-Net), and arranges the clips of a batch as the teacher does: optimal transport brings the student's similarities to
the teacher's.

As published (PKDOT_kfold.py:107-302) are the shifted cosine similarities, anchors picked on the teacher, the debiased
Sinkhorn divergence at ε = 0.1², and its weight of 0.6. Everything else is ours: readers, fusion, T-Net and how it
learns, the order of the anchors, the way to the optimum, two prevalent modalities, and unlabelled clips, from which the
student learns everything but the task. `PKDOTConfig.official` takes the published choice of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from dmdlite.checking import known
from dmdlite.components.losses import Labels, Loss, task_loss_where_known
from dmdlite.components.reinforcement import SelfAttentionReaders
from dmdlite.components.similarities import partitioned_anchors, pick_anchors, shifted_similarities
from dmdlite.components.streams import Language, Masks, Stream, Streams, TemporalConvolutions, TimeMeans
from dmdlite.components.transport import annealed_divergence, sinkhorn_divergence
from dmdlite.config import ModelConfig
from dmdlite.models.base import SavedModel
from dmdlite.models.official import pkdot as official
from dmdlite.models.pkdot_fusion import FusedOutput, FusionTransformer, GatedFusion, transformation_net
from dmdlite.models.saving import load_weights

WEIGHTS = dict(task_final=1.0, transport=0.6, hallucination=1.0)  # the last is ours
TAUGHT = ("transport", "hallucination")  # the terms of the loss that need the teacher
FUSIONS = {"joined": GatedFusion, "transformer": FusionTransformer}
DIVERGENCES = {"alternating": sinkhorn_divergence, "annealed": annealed_divergence}


@dataclass(kw_only=True)
class PKDOTConfig(ModelConfig):
    """PKDOT's own numbers; a comment says where the default is ours, and why."""

    later: ClassVar = "readers fusion t_net t_net_frozen anchor_order transport_solver"

    privileged: Literal["language", "vision", "audio"] = "audio"
    readers: Literal["transformer", "time_mean"] = "transformer"  # published: vectors come, which time_mean keeps
    fusion: Literal["joined", "transformer"] = "joined"  # a clip's prediction is its own; published: not so
    t_net: Literal["two_layers", "autoencoder"] = "two_layers"  # gives any number; the published one 0 to 1
    t_net_frozen: bool = False  # it learns; published: at its random first weights, and no gradient passes through it
    anchors: int = 8  # k, at most the clips of a batch; published: 30, of 128
    anchor_choice: Literal["highest", "lowest"] = "lowest"  # paper: the top k; its code takes the lowest similarities
    anchor_order: Literal["sorted", "partition"] = "sorted"  # column j holds the j-th of each; published: any
    epsilon: float = 0.01  # of the transport; published as geomloss's blur, its root, of 0.1
    transport_solver: Literal["alternating", "annealed"] = "alternating"  # until the plan fits; published: not so far
    transport_iterations: int = 10  # at most, after ε-scaling; published: one at the last ε
    loss_weights: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epsilon <= 0:
            raise ValueError(f"epsilon must be positive, got {self.epsilon}")
        if self.fusion == "transformer" and self.privileged not in self.modalities:
            raise ValueError(f"privileged is {self.privileged}, which is not one of the modalities that are read")
        widths = {m: self.feature_widths[m] for m in self.modalities if self.feature_widths[m] != self.width}
        if self.readers == "time_mean" and widths:
            raise ValueError(f"readers='time_mean' keeps vectors as they are, of width {self.width}, but got {widths}")

    @classmethod
    def official(cls, dataset: str = "biovid", **changes: Any) -> "PKDOTConfig":
        """What the published code computes after its video and signal networks, which give one vector each.

        `modalities` are two, vision (the face, prevalent) and audio (signals of the body, privileged), so `lengths` and
        `kernel_sizes` are 1, and `feature_widths` are the `width` of 512, with two `heads`; the `task` has two classes,
        the `outputs`. Published, too, are `readers`, `fusion`, `t_net`, `t_net_frozen`, `anchors`, `anchor_order`,
        `transport_solver`, `transport_iterations`, and `loss_weights` without T-Net's lesson. Nothing has dropout, so
        `language_dropout`, `embedding_dropout`, `language_attention_dropout`, `audio_attention_dropout`,
        `memory_attention_dropout` and `output_dropout` are 0.

        Theirs has one video network for the teacher and one for the student; where their vectors differ, call `teacher`
        and `compare` yourself. Its batches have 128 clips; the last, smaller one is dropped, in validation, too.
        """
        known("dataset", dataset, ["biovid"])
        width, two = changes.get("width", 512), ("vision", "audio")
        sizes = dict(width=width, heads=changes.get("heads", 2), feature_widths=dict.fromkeys(two, width))
        sizes |= dict(modalities=list(two), lengths=dict.fromkeys(two, 1), kernel_sizes=dict.fromkeys(two, 1))
        sizes |= dict(readers="time_mean", fusion="transformer", t_net="autoencoder", t_net_frozen=True)
        sizes |= dict(anchors=30, anchor_order="partition", transport_solver="annealed", transport_iterations=1)
        sizes |= dict(task="classification", outputs=2, loss_weights=dict(hallucination=0.0))
        return cls().without_dropout().replace(**sizes).replace(**changes)

    @property
    def prevalent(self) -> tuple[str, ...]:
        """The modalities that are available at test time, too."""
        return tuple(m for m in self.modalities if m != self.privileged)

    @property
    def least(self) -> int:
        """How many modalities the model needs."""
        return 2 if self.fusion == "transformer" else 3


@dataclass(repr=False)
class PKDOTOutput(FusedOutput):
    """The student's output; the fields below need labels."""

    taught: FusedOutput | None = None  # the teacher's output for the same clips
    anchors: Int[Tensor, "batch anchor"] | None = None  # places in the batch
    similarities: dict[str, Float[Tensor, "batch anchor"]] = field(default_factory=dict)  # of "teacher", of "student"


class PKDOTTeacher(SavedModel):
    """The multimodal teacher: it reads all three modalities. Trained first, and on its own."""

    published = official
    needs = 3, "teaches with a third modality"
    learns_unlabelled = True  # it skips clips without a label, which its student learns from

    def __init__(self, config: PKDOTConfig):
        super().__init__(config, least=config.least)
        self.temporal, self.encode = readers(self.config, self.reads)
        self.fuse = FUSIONS[config.fusion](self.config, len(config.prevalent))

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

    published = official
    needs = 3, "learns with two what a teacher knows with a third"
    learns_unlabelled = True

    def __init__(self, config: PKDOTConfig):
        super().__init__(config, config.prevalent, config.least)
        self.teacher = PKDOTTeacher(config).requires_grad_(False).eval()
        self.config = config = self.teacher.config  # with the language model, even where only the teacher reads it
        self.temporal, self.encode = readers(config, config.prevalent)
        self.hallucinate = transformation_net(config.t_net, len(config.prevalent), config.width)
        self.hallucinate.requires_grad_(not config.t_net_frozen)
        self.fuse = FUSIONS[config.fusion](config, len(config.prevalent))

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
        config = self.config
        with torch.set_grad_enabled(torch.is_grad_enabled() and not config.t_net_frozen):
            privileged = self.hallucinate(prevalent)
        out = PKDOTOutput(**vars(self.fuse(prevalent, privileged)))
        if labels is None:
            return out
        terms = {"task_final": task_loss_where_known(out.prediction, labels, config.task, config.class_weights)}
        if any(config.loss_weights[term] for term in TAUGHT):
            streams, privileged = dict(language=language, vision=vision, audio=audio), config.privileged
            if streams[privileged] is None:
                raise ValueError(f"the losses need {privileged}, which is privileged; a prediction does not")
            with torch.no_grad():
                taught = self.teacher(**streams, mask=mask)
            out, lessons = self.compare(out, taught)
            terms |= lessons
        return out.with_losses(terms, config.loss_weights)

    def compare(self, out: PKDOTOutput, taught: FusedOutput) -> tuple[PKDOTOutput, dict[str, Loss]]:
        """The distance of student and teacher: L_OT as published, and the error of T-Net."""
        config, teacher, student = self.config, shifted_similarities(taught.fused), shifted_similarities(out.fused)
        if config.anchor_order == "sorted":
            anchors = pick_anchors(teacher, config.anchors, config.anchor_choice)
        else:
            anchors = partitioned_anchors(taught.fused, config.anchors, config.anchor_choice)
        teacher, student = teacher.gather(1, anchors), student.gather(1, anchors)
        divergence = DIVERGENCES[config.transport_solver]
        lessons = {
            "transport": divergence(student, teacher, config.epsilon, iterations=config.transport_iterations),
            "hallucination": F.mse_loss(out.privileged, taught.privileged),
        }
        rows = {"teacher": teacher, "student": student}
        return replace(out, taught=taught, anchors=anchors, similarities=rows), lessons


class AsTheyAre(nn.Module):
    """In place of temporal convolutions: the streams and their masks themselves."""

    def forward(self, streams: Streams, mask: Masks | None) -> tuple[Streams, Masks | None]:
        return streams, mask


def readers(config: PKDOTConfig, modalities: Sequence[str]) -> tuple[nn.Module, nn.Module]:
    """What makes one vector of each stream, in two steps."""
    if config.readers == "time_mean":
        return AsTheyAre(), TimeMeans()
    return TemporalConvolutions(config, modalities), SelfAttentionReaders(config, modalities)
