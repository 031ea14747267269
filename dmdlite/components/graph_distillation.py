"""The graph distillation unit (GD-Unit), Eqs. (7) to (9)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmdlite.components.losses import Labels, Loss, whole_batch
from dmdlite.config import MODALITIES, DMDConfig

Edges = Float[Tensor, "batch source target"]
Nodes = Float[Tensor, "batch modality width"]
NodeLogits = Float[Tensor, "batch modality *logits"]


class GraphDistillationUnit(nn.Module):
    """A directed graph whose nodes are the modalities; its learned edge w_{i→j} is how strongly i teaches j.

    Eq. (8): w_{i→j} = g([f(X_i), X_i], [f(X_j), X_j]), softmax-normalised over the six edges.
    The published code departs from the paper in these config fields: inputs are projected first (`graph_inputs`),
    scores are multiplied by 1/8 (`graph_sharpness`), a hand-set prior is added to the edges and pulls them
    (`graph_priors`, `graph_prior_penalty`), and representations are distilled too (`graph_representations`).

    fixed_edges: strengths set by hand; nan leaves an edge to learn, as all are at first. A fixed edge gets no prior on
    top; with all six fixed this is conventional distillation, with directions and weights of your choice.
    """

    prior: Float[Tensor, "3 3"]
    fixed_edges: Float[Tensor, "3 3"]

    def __init__(self, config: DMDConfig, space: str, node_width: int):
        super().__init__()
        self.config, self.representation = config, config.graph_representations[space]
        self.build_scorer(config.graph_widths[space], node_width)
        prior = config.graph_priors[space]
        self.has_prior = prior is not None
        self.register_buffer("prior", torch.tensor(prior or [[0.0] * 3] * 3))
        self.register_buffer("fixed_edges", torch.full((3, 3), torch.nan), persistent=False)

    def build_scorer(self, graph_width: int, node_width: int) -> None:
        """The linear maps of Eq. (8), which score the edges."""
        widths = self.config.num_logits, node_width
        if self.config.graph_inputs == "projected":
            self.project_logit, self.project_node = (nn.Linear(width, graph_width) for width in widths)
            widths = graph_width, graph_width
        else:
            self.project_logit, self.project_node = nn.Identity(), nn.Identity()
        self.edge = nn.Linear(2 * sum(widths), 1)  # g

    def update_evidence(self, nodes: Nodes, logits: NodeLogits, labels: Labels) -> None:
        """Called after every training batch, for units like `EvidenceUnit`. These edges learn by a gradient instead."""

    def forward(self, nodes: Nodes, logits: NodeLogits) -> Edges:
        """The edges w[b, i, j] without the prior: zero diagonal; the learned ones positive, a softmax of all six."""
        z = torch.cat([self.project_logit(logits.reshape(*nodes.shape[:2], -1)), self.project_node(nodes)], dim=-1)
        source, target = z[:, :, None, :], z[:, None, :, :]
        pairs = torch.cat(torch.broadcast_tensors(source, target), dim=-1)  # (batch, i, j, [z_i, z_j])
        scores = self.config.graph_sharpness * self.edge(pairs).squeeze(-1)
        loops = torch.eye(len(MODALITIES), dtype=torch.bool, device=scores.device)
        learned = scores.masked_fill(loops, -torch.inf).flatten(1).softmax(dim=1).view_as(scores)
        return torch.where(self.fixed_edges.isnan(), learned, self.fixed_edges)

    def strengths(self, edges: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
        """The weights of the lessons: learned edges plus the prior, if there is one, and fixed edges as they are."""
        return edges + self.prior * self.fixed_edges.isnan()

    def losses(self, edges: Edges, nodes: Nodes, logits: NodeLogits) -> dict[str, Loss]:
        """Eq. (9) as `logit`, and the published code's `representation` and `prior_penalty`, before their weights."""
        strength, scale = self.strengths(edges), self.config.graph_representation_scale
        distance = representation_distance(nodes, self.representation)
        mean_edges = whole_batch(edges).mean(dim=0)
        penalty = (mean_edges - self.prior).square().sum() if self.has_prior else logits.new_zeros(())
        return {
            "logit": torch.einsum("bij,bij->b", strength, logit_difference(logits)).mean(),
            "representation": scale * torch.einsum("bij,bij->b", strength, distance).mean(),
            "prior_penalty": self.config.graph_prior_penalty * penalty,
        }


def logit_difference(logits: NodeLogits) -> Edges:
    """ε_{i→j} = |logit_j − logit_i|, the teacher i held fixed: distillation moves only the student j.

    With several logits it is their mean; the paper, with its one sentiment, leaves that open.
    """
    teacher, student = logits.detach()[:, :, None], logits[:, None, :]
    return (student - teacher).abs().flatten(3).mean(dim=3) if logits.ndim == 3 else (student - teacher).abs()


def representation_distance(nodes: Nodes, kind: str) -> Edges:
    """The published code's term for representations, the teacher held fixed.

    "attract": the L1 distance of student and teacher. "repel": max(0, cos) averaged over the batch, which pushes the
    representations of different modalities apart; each edge then acts only through its mean over the batch.
    """
    teacher, student = nodes.detach()[:, :, None, :], nodes[:, None, :, :]
    if kind == "attract":
        return (student - teacher).abs().sum(dim=-1)
    cosine = F.cosine_similarity(student, teacher, dim=-1).clamp_min(0)
    return whole_batch(cosine).mean(dim=0, keepdim=True).expand_as(cosine)
