"""Whether those who teach in the graphs of a DMD know anything: the published edges do not depend on it."""

import warnings

import torch
from torch import nn

from dmdlite.components.graph_distillation import GraphDistillationUnit
from dmdlite.config import SPACES
from dmdlite.data.features import FeatureSplit
from dmdlite.models.dmd import DMD, DMDOutput
from dmdlite.training.loop import predict_logits
from dmdlite.training.metrics import task_error

LEAST_SHARE = 0.1  # of all lessons in a graph: below it a modality hardly teaches


def warn_of_poor_teachers(model: nn.Module, valid: FeatureSplit, padding_mask: bool, constant_error: float) -> None:
    """Warns of modalities that teach although their own head is no better on this split than a constant."""
    found = []
    for space in SPACES if isinstance(model, DMD) else ():
        weights = [model.loss_weights.get(f"gd_{space}_{lesson}", 0) for lesson in ("logit", "representation")]
        if any(weights) and type(model.units[space]) is GraphDistillationUnit:
            found += _poor_teachers(model, space, valid, padding_mask, constant_error)
    if found:
        no_better = "no better on the validation split than a constant"
        text = f'{", ".join(found)}: a teacher that is {no_better}; edge_learning="errors" lets edges follow the errors'
        warnings.warn(text, stacklevel=2)


def _poor_teachers(model: DMD, space: str, valid: FeatureSplit, mask: bool, constant_error: float) -> list[str]:
    def heads(out: DMDOutput) -> torch.Tensor:
        return torch.stack([out.predictions[f"{space}_{m}"] for m in model.reads], dim=1)

    logits = predict_logits(model, valid, mask, heads)
    taught = predict_logits(model, valid, mask, lambda out: model.units[space].strengths(out.edges[space]).sum(dim=2))
    shares = taught.mean(axis=0) / taught.mean(axis=0).sum()
    truth, task = valid.truth(model.config.task), model.config.task
    poor = [task_error(logits[:, i], truth, task) >= constant_error for i in range(len(model.reads))]
    teachers = zip(model.reads, shares, poor, strict=True)
    return [f"{m} ({share:.0%} of the {space} graph)" for m, share, x in teachers if x and share >= LEAST_SHARE]
