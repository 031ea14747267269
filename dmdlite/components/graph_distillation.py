"""The graph distillation unit (GD-Unit), Eqs. (7) to (9), and one of our own whose edges no gradient learns."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmdlite.components.losses import Labels, Loss, task_loss, whole_batch
from dmdlite.config import MODALITIES, DMDConfig

Edges = Float[Tensor, "batch source target"]
Nodes = Float[Tensor, "batch modality width"]
NodeLogits = Float[Tensor, "batch modality *logits"]
Evidence = Float[Tensor, "source target"]
MEMORY = 0.95  # of the running mean of evidence: that from about the last 20 batches


class GraphDistillationUnit(nn.Module):
    """A directed graph whose nodes are the modalities; its learned edge w_{i→j} is how strongly i teaches j.

    Eq. (8): w_{i→j} = g([f(X_i), X_i], [f(X_j), X_j]), softmax-normalised over the edges: six, of two modalities two.
    The published code departs from the paper in these config fields: inputs are projected first (`graph_inputs`),
    scores are multiplied by 1/8 (`graph_sharpness`), a hand-set prior is added to the edges and pulls them
    (`graph_priors`, `graph_prior_penalty`), and representations are distilled too (`graph_representations`).

    fixed_edges: strengths set by hand; nan leaves an edge to learn, as all are at first. A fixed edge gets no prior on
    top; with all of them fixed this is conventional distillation, with directions and weights of your choice.
    """

    def __init__(self, config: DMDConfig, space: str, node_width: int):
        super().__init__()
        self.config, self.space = config, space
        self.build_scorer(config.graph_widths[space], node_width)
        self.prior = nn.Buffer(hand_set_prior(config, space))
        self.fixed_edges = nn.Buffer(torch.full_like(self.prior, torch.nan), persistent=False)

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
        """The edges w[b, i, j] without the prior: zero diagonal; the learned ones positive, a softmax of them all."""
        z = torch.cat([self.project_logit(logits.reshape(*nodes.shape[:2], -1)), self.project_node(nodes)], dim=-1)
        source, target = z[:, :, None, :], z[:, None, :, :]
        pairs = torch.cat(torch.broadcast_tensors(source, target), dim=-1)  # (batch, i, j, [z_i, z_j])
        scores = self.config.graph_sharpness * self.edge(pairs).squeeze(-1)
        loops = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device)
        learned = scores.masked_fill(loops, -torch.inf).flatten(1).softmax(dim=1).view_as(scores)
        return torch.where(self.fixed_edges.isnan(), learned, self.fixed_edges)

    def strengths(self, edges: Float[Tensor, "*batch source target"]) -> Float[Tensor, "*batch source target"]:
        """The weights of the lessons: learned edges plus the prior, if there is one, and fixed edges as they are."""
        return edges + self.prior * self.fixed_edges.isnan()

    def losses(self, edges: Edges, nodes: Nodes, logits: NodeLogits) -> dict[str, Loss]:
        """Eq. (9) as `logit`, and the published code's `representation` and `prior_penalty`, before their weights."""
        config, strength = self.config, self.strengths(edges)
        distance = representation_distance(nodes, config.graph_representations[self.space])
        penalty = logits.new_zeros(())
        if config.graph_priors[self.space] is not None:
            penalty = (whole_batch(edges).mean(dim=0) - self.prior).square().sum()
        return {
            "logit": torch.einsum("bij,bij->b", strength, logit_difference(logits)).mean(),
            "representation": config.graph_representation_scale * torch.einsum("bij,bij->b", strength, distance).mean(),
            "prior_penalty": config.graph_prior_penalty * penalty,
        }


def hand_set_prior(config: DMDConfig, space: str) -> Evidence:
    """The prior among the modalities that are read, with the sum of the whole; zeros if there is none."""
    whole = torch.tensor(config.graph_priors[space] or [[0.0] * 3] * 3)
    read = [MODALITIES.index(m) for m in config.modalities]
    part = whole[read][:, read]
    return part * (whole.sum() / part.sum()) if part.sum() else part


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


class EvidenceUnit(GraphDistillationUnit):
    """Edges that follow how good a teacher each modality is. Our own rule, not from a paper.

    The gradient of Eq. (9), Σ w ε, favours edges between heads that agree already, whether or not the lesson helps.
    Here w_{i→j} is i's share in a softmax, for each student j, over its possible teachers and "no teacher". Their
    scores are the running means of `evidence`, 0 for "no teacher", times `config.edge_sharpness`. So a student's
    lessons weigh at most 1, and one that errs less than all others refuses them all. There is no prior.
    """

    def __init__(self, config: DMDConfig, space: str, node_width: int):
        super().__init__(config.replace(graph_priors={space: None}), space, node_width)

    def build_scorer(self, graph_width: int, node_width: int) -> None:
        """The evidence so far; without any, all teachers and "no teacher" get the same."""
        self.gathered = nn.Buffer(torch.zeros(len(self.config.modalities), len(self.config.modalities)))

    def forward(self, nodes: Nodes, logits: NodeLogits) -> Edges:
        """The same edges for every clip; zero diagonal."""
        chosen = edges_of(self.gathered, self.config.edge_sharpness).to(logits.dtype).expand(len(nodes), -1, -1)
        return torch.where(self.fixed_edges.isnan(), chosen, self.fixed_edges)

    def update_evidence(self, nodes: Nodes, logits: NodeLogits, labels: Labels) -> None:
        """Adds the evidence of one training batch, of all processes."""
        nodes, logits, labels = (whole_batch(x.detach()) for x in (nodes, logits, labels))
        with torch.no_grad():
            self.gathered.lerp_(self.evidence(nodes, logits.float(), labels), 1 - MEMORY)

    def evidence(self, nodes: Nodes, logits: NodeLogits, labels: Labels) -> Evidence:
        return advantage(self.errors(logits, labels))

    def errors(self, logits: NodeLogits, labels: Labels) -> Float[Tensor, "modality"]:
        """L_task of each modality's own head."""
        task, weights = self.config.task, self.config.class_weights
        return torch.stack([task_loss(logit, labels, task, weights) for logit in logits.unbind(dim=1)])


def advantage(errors: Float[Tensor, "modality"]) -> Evidence:
    """log(error of j / error of i): positive where i errs less than j."""
    return errors.log()[None, :] - errors.log()[:, None]


def edges_of(evidence: Evidence, sharpness: float) -> Evidence:
    """For each student (column), the shares of its teachers in a softmax over both and "no teacher", which scores 0."""
    scores = (sharpness * evidence).fill_diagonal_(0.0)  # the diagonal is "no teacher": no student teaches itself
    return scores.softmax(dim=0).fill_diagonal_(0.0)
