"""Rules of edge learning, by name: the published one with three priors, ours, and two that did worse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from dmdlite.components.graph_distillation import Evidence, EvidenceUnit, Labels, NodeLogits, Nodes
from dmdlite.components.losses import task_loss
from dmdlite.config import SPACES, DMDConfig
from dmdlite.models.dmd import DMD
from dmdlite.models.registry import no_graphs

UNIFORM = [[(i != j) / 6 for j in range(3)] for i in range(3)]
STEP = 0.5  # of a look ahead: the part of the way that a student moves towards its teacher


class LookAheadUnit(EvidenceUnit):
    """How much the log error of j would fall if its logits moved halfway towards those of i."""

    def evidence(self, nodes: Nodes, logits: NodeLogits, labels: Labels) -> Evidence:
        now = self.errors(logits, labels).log()
        moved = [logits.lerp(teacher[:, None], STEP) for teacher in logits.unbind(dim=1)]
        return torch.stack([now - self.errors(students, labels).log() for students in moved])


class AlignmentUnit(EvidenceUnit):
    """Whether ε_{i→j} on some clips pulls the last layer of j in the direction of the task on the other clips.

    Both gradients are of that layer: a residual for each logit, times the node. Their inner product over pairs of
    different clips is summed and divided by what it would be if all pairs agreed, so it lies between −1 and 1.
    """

    def evidence(self, nodes: Nodes, logits: NodeLogits, labels: Labels) -> Evidence:
        logits = logits.flatten(2) if logits.ndim > 2 else logits[..., None]
        lesson = (logits[:, :, None] - logits[:, None, :]).sign()  # (clip, i, j, logit): where i wants j to go
        task = -self.task_gradient(logits, labels)
        alike = torch.einsum("bjd,cjd->jbc", *[F.normalize(nodes.float(), dim=-1)] * 2)
        alike = alike * (1 - torch.eye(len(nodes), device=nodes.device))
        aligned = torch.einsum("jbc,bijk,cjk->ij", alike, lesson, task)
        return aligned / torch.einsum("jbc,bijk,cjk->ij", alike.abs(), lesson.abs(), task.abs()).clamp_min(1e-9)

    def task_gradient(self, logits: NodeLogits, labels: Labels) -> NodeLogits:
        shape = (len(logits),) if logits.shape[2] == 1 and self.config.task == "regression" else logits.shape[::2]
        with torch.enable_grad():
            free = logits.clone().requires_grad_()
            loss = sum(task_loss(x.reshape(shape), labels, self.config.task) for x in free.unbind(dim=1))
        return torch.autograd.grad(loss, free)[0]


def with_fields(config: DMDConfig, **changes: object) -> DMD:
    return DMD(config.replace(**changes))


def with_units(config: DMDConfig, kind: type[EvidenceUnit], sharpness: float) -> DMD:
    config = config.replace(edge_sharpness=sharpness)
    widths = {"homogeneous": config.width, "heterogeneous": 2 * config.width}
    return DMD(config, **{space: kind(config, space, widths[space]) for space in SPACES})


RULES: dict[str, Callable[[DMDConfig], DMD]] = {
    "published prior": DMD,
    "uniform prior": partial(with_fields, graph_priors=dict.fromkeys(SPACES, UNIFORM)),
    "no prior": partial(with_fields, graph_priors=dict.fromkeys(SPACES)),
    "errors": partial(with_fields, edge_learning="errors"),
    "look ahead": partial(with_units, kind=LookAheadUnit, sharpness=16.0),
    "alignment": partial(with_units, kind=AlignmentUnit, sharpness=64.0),
    "no distillation": partial(with_fields, loss_weights=no_graphs(*SPACES)),
}
