"""How PKDOT fuses the prevalent and the privileged vector of each clip, and how its student hallucinates the latter."""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmdlite.components.heads import ResidualHead
from dmdlite.components.streams import Vector
from dmdlite.config import ModelConfig
from dmdlite.models.output import ModelOutput

Prevalent = Float[Tensor, "batch prevalent"]  # the vectors of all prevalent modalities side by side


@dataclass(repr=False)
class FusedOutput(ModelOutput):
    """The teacher's output; `fused` is z."""

    privileged: Vector | None = None  # the vector of the privileged modality, read or hallucinated


class GatedFusion(nn.Module):
    """z = g ⊙ v + (1 − g) ⊙ p with g = σ(W [v; p]), of prevalent v and privileged p; then a head. Our fusion."""

    def __init__(self, config: ModelConfig, prevalent: int):
        super().__init__()
        width = config.width
        self.join, self.gate = nn.Linear(prevalent * width, width), nn.Linear(2 * width, width)
        self.head = ResidualHead(width, width, config.output_dropout, config.num_logits)

    def forward(self, prevalent: Prevalent, privileged: Vector) -> FusedOutput:
        v = self.join(prevalent)
        g = self.gate(torch.cat([v, privileged], dim=1)).sigmoid()
        fused = g * v + (1 - g) * privileged
        return FusedOutput(self.head(fused).prediction, privileged=privileged, fused=fused)


class FusionTransformer(nn.Module):
    """The published fusion (models/models.py:326-381), for one prevalent modality; several are joined by a linear map.

    Both vectors are encoded, v asks p and p asks v, one gate for each clip weights the answers, and a linear map of
    their sum z is the prediction. Two things are not as they look. The encoders attend across the clips of the batch,
    because the axis of clips is where time is expected: what is predicted for a clip depends on the others. And a
    question to a single vector has a single answer, so cross-attention is a linear map and never uses its query.
    """

    def __init__(self, config: ModelConfig, prevalent: int):
        super().__init__()
        width, heads = config.width, config.heads
        self.join = nn.Linear(prevalent * width, width) if prevalent > 1 else nn.Identity()
        self.read_prevalent, self.read_privileged = ClipEncoder(width, heads), ClipEncoder(width, heads)
        # PyTorch's own attention, as published: which anchors follow from z can depend on its last bits.
        self.ask_prevalent, self.ask_privileged = (nn.MultiheadAttention(width, heads) for _ in range(2))
        self.gate, self.head = nn.Linear(2 * width, 1), nn.Linear(width, config.num_logits)

    def forward(self, prevalent: Prevalent, privileged: Vector) -> FusedOutput:
        v, p = self.read_prevalent(self.join(prevalent))[None], self.read_privileged(privileged)[None]  # one time step
        v, p = self.ask_prevalent(p, v, v)[0][0], self.ask_privileged(v, p, p)[0][0]
        g = self.gate(torch.cat([v, p], dim=1)).sigmoid()
        fused = g * v + (1 - g) * p
        return FusedOutput(self.head(fused).squeeze(-1), privileged=privileged, fused=fused)


class ClipEncoder(nn.Module):
    """Self-attention across the clips of a batch, then a feed-forward network; a layer norm follows each sum."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads)
        self.expand, self.contract = nn.Linear(width, width), nn.Linear(width, width)
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        x = self.attention_norm(x + self.attention(x, x, x)[0])
        return self.feed_forward_norm(x + self.contract(F.relu(self.expand(x))))


def transformation_net(kind: str, prevalent: int, width: int) -> nn.Sequential:
    """T-Net, from the prevalent vectors of a clip to the privileged one.

    kind: "two_layers" is ours; "autoencoder" has the published layers and sizes, and ends in a σ, whatever the scale of
    the vectors (models/transformation_network.py:6-29).
    """
    sizes = [width, width] if kind == "two_layers" else [256, 128, 256, width]
    steps = [step for pair in pairwise([prevalent * width, *sizes]) for step in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*steps[:-1], *([nn.Sigmoid()] if kind == "autoencoder" else []))
