"""From features to a prediction: the residual head, and the adaptive fusion that ends in one."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dmdlite.components.fast import Dropout
from dmdlite.components.losses import Logits
from dmdlite.components.streams import Vector, Vectors
from dmdlite.config import MODALITIES


class HeadOutput(NamedTuple):
    prediction: Logits
    hidden: Float[Tensor, "batch hidden"]  # after the ReLU
    features: Float[Tensor, "batch width"]  # after the residual connection


class ResidualHead(nn.Module):
    """x + W₂ ReLU(W₁ x), then a linear map to the prediction. All eight predictions of DMD come from such a head.

    logits: the size of one prediction; see `components/losses.py`.
    """

    def __init__(self, width: int, hidden: int, dropout: float, logits: int = 1):
        super().__init__()
        self.contract, self.expand = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = Dropout(dropout)
        self.regress = nn.Linear(width, logits)

    def forward(self, x: Float[Tensor, "batch width"]) -> HeadOutput:
        hidden = F.relu(self.contract(x))
        features = x + self.expand(self.dropout(hidden))
        return HeadOutput(self.regress(features).squeeze(-1), hidden, features)  # a single number has no axis


class AdaptiveFusion(nn.Module):
    """Weights the reinforced private vectors and the common one, and predicts from all of them (paper, Fig. 2).

    gate: "replaces" puts σ(W h) in place of h, as published; "scales" is an adaptive weight on h: σ(W h) ⊙ h.
    common_width: 0 leaves the common vector out.
    """

    def __init__(
        self, private_width: int, common_width: int, dropout: float, gate: str, logits: int = 1,
        modalities: Sequence[str] = MODALITIES,
    ):  # fmt: skip
        super().__init__()
        widths = {m: private_width for m in modalities} | ({"common": common_width} if common_width else {})
        self.gates = nn.ModuleDict({name: nn.Linear(width, width) for name, width in widths.items()})
        self.head = ResidualHead(total := sum(widths.values()), total, dropout, logits)
        self.scales = gate == "scales"

    def forward(self, private: Vectors, common: Vector) -> HeadOutput:
        parts = private | {"common": common}
        gates = {name: gate(parts[name]).sigmoid() for name, gate in self.gates.items()}
        weighted = [gate * parts[name] if self.scales else gate for name, gate in gates.items()]
        return self.head(torch.cat(weighted, dim=1))
