"""Edges that follow how good a teacher each modality is, instead of learned scores. Our own rule, not from a paper.

The published score of an edge is learned by the gradient of Eq. (9), Σ w ε: it falls fastest when the weight goes to
pairs whose ε is small already, whether or not the lesson helps. Here evidence is gathered during training, and no
gradient reaches the edges.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dmdlite.components.graph_distillation import Edges, GraphDistillationUnit, NodeLogits, Nodes
from dmdlite.components.losses import Labels, task_loss, whole_batch
from dmdlite.config import MODALITIES, DMDConfig

MEMORY = 0.95  # of the running mean: evidence from about the last 20 batches
Evidence = Float[Tensor, "source target"]


def advantage(errors: Float[Tensor, "modality"]) -> Evidence:
    """log(error of j / error of i): positive where i errs less than j."""
    return errors.log()[None, :] - errors.log()[:, None]


def edges_of(evidence: Evidence, sharpness: float) -> Evidence:
    """For each student (column), the shares of its teachers in a softmax over both and "no teacher", which scores 0."""
    scores = (sharpness * evidence).fill_diagonal_(0.0)  # the diagonal is "no teacher": no student teaches itself
    return scores.softmax(dim=0).fill_diagonal_(0.0)


class EvidenceUnit(GraphDistillationUnit):
    """w_{i→j} is i's share in a softmax, for each student j, over its two possible teachers and "no teacher".

    Their scores are the running means of `evidence`, 0 for "no teacher", times `config.edge_sharpness`. So the lessons
    of a student weigh at most 1, and a student that errs less than both others refuses them all. There is no prior.
    """

    gathered: Evidence

    def __init__(self, config: DMDConfig, space: str, node_width: int):
        super().__init__(config.replace(graph_priors={space: None}), space, node_width)

    def build_scorer(self, graph_width: int, node_width: int) -> None:
        """The evidence so far; without any, both teachers and "no teacher" get a third each."""
        self.register_buffer("gathered", torch.zeros(len(MODALITIES), len(MODALITIES)))

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
        return torch.stack([task_loss(logit, labels, self.config.task) for logit in logits.unbind(dim=1)])
