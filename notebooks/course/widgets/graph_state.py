"""What the graph editor computes: a graph set by hand, and what it does to one batch. No controls in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from course.edge_audit.rules import UNIFORM
from dmdlite.components.graph_distillation import advantage, edges_of, logit_difference
from dmdlite.components.streams import TimeMeans, Vectors
from dmdlite.config import MODALITIES, SPACES, DMDConfig
from dmdlite.models.dmd import DMD
from dmdlite.presets import Matrix

Held = Float[Tensor, "3 3"]  # strengths set by hand, nan where an edge is left to learn
SWITCHED_OFF = [[0.0] * 3] * 3
PAIRS = [(i, j) for j in range(3) for i in range(3) if i != j]  # (source, target), one student after the other


def one_teacher(teacher: str) -> Matrix:
    """The teacher's two edges share a strength of 1; no other modality teaches."""
    return [[0.5 * (source == teacher != target) for target in MODALITIES] for source in MODALITIES]


_published = DMDConfig.official().graph_priors
PRESETS: dict[str, Matrix | None] = {  # name -> strengths, rows teach columns; None: all six are left to learn
    "learned": None,
    "no distillation": SWITCHED_OFF,
    "uniform": UNIFORM,
    "language teaches": one_teacher("language"),
    "vision teaches": one_teacher("vision"),
    "audio teaches": one_teacher("audio"),
    "published prior, homogeneous": _published["homogeneous"],
    "published prior, heterogeneous": _published["heterogeneous"],
}
BY_HAND = "set by hand"

Preset = Matrix | None | Callable[[Mapping[str, float]], Matrix]  # strengths may depend on the errors of the heads


def by_errors(errors: Mapping[str, float]) -> Matrix:
    """What `edge_learning="errors"` makes of the errors of the three heads of a space."""
    evidence = advantage(torch.tensor([errors[m] for m in MODALITIES]))
    return edges_of(evidence, DMDConfig().edge_sharpness).tolist()


def strengths_of(preset: Preset, errors: Mapping[str, float]) -> Matrix | None:
    """errors: modality -> error of its own head, in the space of this graph."""
    return preset(errors) if callable(preset) else preset


def held_strengths(strengths: Matrix | Float[Tensor, "3 3"] | None) -> Held:
    """A preset as what `GraphDistillationUnit.fixed_edges` takes."""
    held = torch.full((3, 3), torch.nan) if strengths is None else torch.as_tensor(strengths, dtype=torch.float32)
    return held.clone().fill_diagonal_(0.0)


def preset_name(held: Held, presets: Mapping[str, Matrix | None]) -> str:
    """The first preset that is this graph, or BY_HAND."""
    same = (name for name, strengths in presets.items() if held.allclose(held_strengths(strengths), equal_nan=True))
    return next(same, BY_HAND)


@dataclass(frozen=True, eq=False)
class SpaceInputs:
    """What the heads and the nodes of one space are made from, for a fixed batch; no graph changes it."""

    heads: Vectors
    features: Vectors


@torch.no_grad()
def space_inputs(model: DMD, batch: Mapping[str, Any]) -> dict[str, SpaceInputs]:
    out = model(**batch)
    flat = {m: x.flatten(1) for m, x in out.decoupled.common.items()}
    means = TimeMeans()(out.decoupled.common, None)
    inputs = SpaceInputs(flat, means), SpaceInputs(out.reinforced, out.reinforced)
    return dict(zip(SPACES, inputs, strict=True))


@dataclass(frozen=True, eq=False)
class GraphReading:
    """One graph on one batch; every matrix is a mean over the clips, rows teach columns."""

    strengths: Float[Tensor, "3 3"]  # in force: held by hand, or learned plus the prior, if there is one
    disagreements: Float[Tensor, "3 3"]  # ε_{i→j}
    weighted: Float[Tensor, "3 3"]  # w_{i→j} ε_{i→j}
    pulls: Float[Tensor, " 3"]  # of each student: the norm of the gradient of Eq. (9) in its head

    @property
    def per_student(self) -> Float[Tensor, " 3"]:
        """ζ_{:j} of Eq. (7)."""
        return self.weighted.sum(dim=0)


def read_graph(model: DMD, space: str, inputs: SpaceInputs, held: Held) -> GraphReading:
    """What the graph `held` is and does at the model's present weights; it stays in the model's unit."""
    unit, heads = model.units[space], model.get_submodule(f"{space}_heads")
    unit.fixed_edges.copy_(held)
    graph, _ = model.run_graph(space, inputs.heads, inputs.features)
    loss = unit.losses(graph.edges, graph.nodes, graph.logits)["logit"]
    weights = [list(heads[m].parameters()) for m in MODALITIES]
    gradients = torch.autograd.grad(loss, [p for group in weights for p in group])
    sizes = torch.stack([gradient.square().sum() for gradient in gradients]).split([len(group) for group in weights])
    with torch.no_grad():
        strengths, epsilon = unit.strengths(graph.edges), logit_difference(graph.logits)
        return GraphReading(
            strengths=strengths.mean(dim=0),
            disagreements=epsilon.mean(dim=0),
            weighted=(strengths * epsilon).mean(dim=0),
            pulls=torch.stack([group.sum().sqrt() for group in sizes]),
        )
