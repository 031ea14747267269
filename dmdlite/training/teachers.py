"""Whether the teachers in the graphs of a DMD know anything: the published edges do not depend on it."""

import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dmdlite.components.graph_distillation import GraphDistillationUnit
from dmdlite.config import SPACES
from dmdlite.data.features import FeatureSplit
from dmdlite.models.dmd import DMD
from dmdlite.training.loop import batch_options, read_batches
from dmdlite.training.metrics import task_error

LEAST_SHARE = 0.1  # of all lessons in a graph: below it a modality hardly teaches


def warn_of_poor_teachers(model: nn.Module, valid: FeatureSplit, padding_mask: bool, constant_error: float) -> None:
    """Warns of modalities that teach although their own head is no better on this split than a constant."""
    spaces = [space for space in SPACES if isinstance(model, DMD) and distils(model, space)]
    if not spaces:
        return
    read = lambda out: {space: (x.logits, model.units[space].strengths(x.edges)) for space, x in out.graphs.items()}
    batches = read_batches(model, valid, batch_options(model, padding_mask), read)
    found = []
    for space in spaces:
        logits, lessons = (torch.cat(x).float().cpu() for x in zip(*(batch[space] for batch in batches), strict=True))
        found += poor_teachers(model, space, logits, lessons, valid, constant_error)
    if found:
        no_better = "no better on the validation split than a constant"
        text = f'{", ".join(found)}: a teacher that is {no_better}; edge_learning="errors" lets edges follow the errors'
        warnings.warn(text, stacklevel=2)


def distils(model: DMD, space: str) -> bool:
    """Whether the graph of this space teaches, by edges that do not follow the errors."""
    weights = [model.loss_weights.get(f"gd_{space}_{lesson}", 0) for lesson in ("logit", "representation")]
    return any(weights) and type(model.units[space]) is GraphDistillationUnit


def poor_teachers(
    model: DMD,
    space: str,
    logits: Float[Tensor, "clip modality *logits"],
    lessons: Float[Tensor, "clip source target"],
    valid: FeatureSplit,
    constant_error: float,
) -> list[str]:
    """Each with its share of all lessons in the graph."""
    shares = lessons.mean(dim=0).sum(dim=1) / lessons.mean(dim=0).sum()
    truth, task = valid.truth(model.config.task), model.config.task
    poor = [task_error(head.numpy(), truth, task) >= constant_error for head in logits.unbind(dim=1)]
    teachers = zip(model.reads, shares.tolist(), poor, strict=True)
    return [f"{m} ({share:.0%} of the {space} graph)" for m, share, x in teachers if x and share >= LEAST_SHARE]
