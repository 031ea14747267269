"""The graph distillation unit (GD-Unit), Eqs. (7) to (9)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Num
from torch import Tensor, nn

from dmdlite.components.gathering import whole_batch
from dmdlite.config import MODALITIES, DMDConfig

Edges = Float[Tensor, "batch source target"]
Nodes = Float[Tensor, "batch modality width"]
NodeLogits = Float[Tensor, "batch modality *logits"]
Labels = Num[Tensor, "batch *outputs"]


class GraphDistillationUnit(nn.Module):
    """A directed graph whose nodes are the modalities; its learned edge w_{i→j} is how strongly i teaches j.

    Eq. (8): w_{i→j} = g([f(X_i), X_i], [f(X_j), X_j]), softmax-normalised over the six edges.
    The published code departs from the paper in these config fields: inputs are projected first (`graph_inputs`),
    scores are multiplied by 1/8 (`graph_sharpness`), a hand-set prior is added to the edges and pulls them
    (`graph_priors`, `graph_prior_penalty`), and representations are distilled too (`graph_representations`).

    held: strengths that somebody sets by hand, nan where the edge is left to learn, as all are at first. A held edge
    gets no prior on top; all six held are conventional distillation with fixed directions and weights.
    """

    prior: Float[Tensor, "3 3"]
    held: Float[Tensor, "3 3"]

    def __init__(self, config: DMDConfig, space: str, node_width: int):
        super().__init__()
        self.config, self.representation = config, config.graph_representations[space]
        self.learn_by(config.graph_widths[space], node_width)
        prior = config.graph_priors[space]
        self.has_prior = prior is not None
        self.register_buffer("prior", torch.tensor(prior or [[0.0] * 3] * 3))
        self.register_buffer("held", torch.full((3, 3), torch.nan), persistent=False)

    def learn_by(self, graph_width: int, node_width: int) -> None:
        """What the edges are made from: the linear maps of Eq. (8)."""
        config = self.config
        if config.graph_inputs == "projected":
            self.project_logit = nn.Linear(config.logits, graph_width)
            self.project_node = nn.Linear(node_width, graph_width)
        else:
            self.project_logit, self.project_node = nn.Identity(), nn.Identity()
            graph_width = (config.logits + node_width) / 2
        self.edge = nn.Linear(int(4 * graph_width), 1)  # g

    def observe(self, nodes: Nodes, logits: NodeLogits, labels: Labels) -> None:
        """What else a unit may learn from a training batch: nothing here, the edges learn by the gradient of `losses`.

        `EvidenceUnit` is a unit that does.
        """

    def forward(
        self, nodes: Float[Tensor, "batch modality width"], logits: Float[Tensor, "batch modality *logits"]
    ) -> Edges:
        """The edges w[b, i, j] without the prior: zero diagonal; the learned ones positive, a softmax of all six."""
        z = torch.cat([self.project_logit(logits.reshape(*nodes.shape[:2], -1)), self.project_node(nodes)], dim=-1)
        source, target = z[:, :, None, :], z[:, None, :, :]
        pairs = torch.cat(torch.broadcast_tensors(source, target), dim=-1)  # (batch, i, j, [z_i, z_j])
        scores = self.config.graph_sharpness * self.edge(pairs).squeeze(-1)
        loops = torch.eye(len(MODALITIES), dtype=torch.bool, device=scores.device)
        learned = scores.masked_fill(loops, -torch.inf).flatten(1).softmax(dim=1).view_as(scores)
        return torch.where(self.held.isnan(), learned, self.held)

    def strengths(self, edges: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
        """What weighs the lessons: learned edges plus the prior, if there is one, and held edges as they are."""
        return edges + self.prior * self.held.isnan()

    def losses(
        self,
        edges: Edges,
        nodes: Float[Tensor, "batch modality width"],
        logits: Float[Tensor, "batch modality *logits"],
    ) -> dict[str, Float[Tensor, ""]]:
        """Eq. (9) as `logit`, and the published code's `representation` and `prior_penalty`; none is weighted yet."""
        strength, scale = self.strengths(edges), self.config.graph_representation_scale
        distance = representation_distance(nodes, self.representation)
        mean_edges = whole_batch(edges).mean(dim=0)
        penalty = (mean_edges - self.prior).square().sum() if self.has_prior else logits.new_zeros(())
        return {
            "logit": torch.einsum("bij,bij->b", strength, logit_difference(logits)).mean(),
            "representation": scale * torch.einsum("bij,bij->b", strength, distance).mean(),
            "prior_penalty": self.config.graph_prior_penalty * penalty,
        }


def logit_difference(logits: Float[Tensor, "batch modality *logits"]) -> Edges:
    """ε_{i→j} = |logit_j − logit_i|, the teacher i held fixed: distillation moves the student j alone.

    Of several logits it is the mean over them, which the paper, with its one sentiment, leaves open.
    """
    teacher, student = logits.detach()[:, :, None], logits[:, None, :]
    return (student - teacher).abs().flatten(3).mean(dim=3) if logits.ndim == 3 else (student - teacher).abs()


def representation_distance(nodes: Float[Tensor, "batch modality width"], kind: str) -> Edges:
    """What the published code adds for representations, the teacher held fixed.

    "attract": the L1 distance of student and teacher. "repel": max(0, cos) averaged over the batch, which pushes the
    representations of different modalities apart; each edge then acts only through its mean over the batch.
    """
    teacher, student = nodes.detach()[:, :, None, :], nodes[:, None, :, :]
    if kind == "attract":
        return (student - teacher).abs().sum(dim=-1)
    cosine = F.cosine_similarity(student, teacher, dim=-1).clamp_min(0)
    return whole_batch(cosine).mean(dim=0, keepdim=True).expand_as(cosine)
