"""Feature decoupling, Eqs. (1) to (3): each modality becomes a common and a private part; both give it back."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from dmdlite.components.streams import Streams
from dmdlite.config import MODALITIES


@dataclass
class Decoupled:
    """The decoupled streams; every entry maps a modality to (batch, time, width)."""

    projected: Streams  # X̃_m
    common: Streams  # X^com_m
    private: Streams  # X^prt_m
    reconstruction: Streams  # D_m([X^com_m, X^prt_m])
    private_again: Streams  # E^prt_m(D_m([X^com_m, X^prt_m])), the self-regression of Eq. (3)


class FeatureDecoupler(nn.Module):
    """Eq. (1): one common encoder E^com for all modalities, a private encoder E^prt_m and a decoder D_m for each.

    In the published code all are bias-free linear maps of one time step; the paper does not specify them.
    """

    def __init__(self, width: int, modalities: Sequence[str] = MODALITIES):
        super().__init__()
        self.common_encoder = nn.Linear(width, width, bias=False)
        self.private_encoders = nn.ModuleDict({m: nn.Linear(width, width, bias=False) for m in modalities})
        self.decoders = nn.ModuleDict({m: nn.Linear(2 * width, width, bias=False) for m in modalities})

    def forward(self, projected: Streams) -> Decoupled:
        common = {m: self.common_encoder(x) for m, x in projected.items()}
        private = {m: self.private_encoders[m](x) for m, x in projected.items()}
        both = {m: torch.cat([common[m], private[m]], dim=-1) for m in projected}
        reconstruction = {m: self.decoders[m](x) for m, x in both.items()}
        private_again = {m: self.private_encoders[m](x) for m, x in reconstruction.items()}
        return Decoupled(projected, common, private, reconstruction, private_again)


class NoDecoupling(nn.Module):
    """The ablation: every stream serves as its own common and private part, so nothing needs to be reconstructed."""

    def forward(self, projected: Streams) -> Decoupled:
        return Decoupled(projected, projected, projected, projected, projected)
