"""DHMD, of "Decoupled Hierarchical Distillation for Multimodal Emotion Recognition" (Li et al., TPAMI 2026), as known.

Certain, from its abstract: DMD's decoupling; then knowledge is distilled twice, coarsely by a GD-Unit in each space
and finely by *cross-modal dictionary matching*, in a shared dictionary space. Not found: sizes, activation, what is
matched and how, the weights. They are fields of DHMDConfig; notebook 13 shows how our defaults were chosen.
"""

from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from dmdlite.components.dictionary import ContrastiveMatching, Dictionary, DivergenceMatching, Found, MarginMatching
from dmdlite.components.losses import Labels, Loss
from dmdlite.components.streams import Language, Masks, Stream
from dmdlite.config import SPACES, DMDConfig
from dmdlite.models.dmd import DMD, DMDOutput


@dataclass(kw_only=True)
class DHMDConfig(DMDConfig):
    """DMD's numbers and those of the two dictionaries, none of which the paper's abstract gives."""

    dictionary_size: int = 64  # atoms of each dictionary; FDT: 16384
    dictionary_pooling: Literal["max", "mean", "sum"] = "max"  # of an atom's scores over time
    dictionary_activation: Literal["sparsemax", "softmax", "top_k"] = "sparsemax"
    dictionary_top_k: int = 8  # atoms that stay with "top_k"
    dictionary_temperature: float = 10.0  # τ: scores are divided by √width and by this
    dictionary_matching: Literal["contrastive", "margin", "divergence"] = "margin"  # last: of activations
    contrast_temperature: float = 1.0  # of the contrastive matching, at the start
    contrast_learned: bool = True
    loss_weights: dict[str, float] = field(  # DMD's, and for the matchings that of the nearest public code, svliy/mmsa
        default_factory=lambda: DMDConfig().loss_weights | {f"dictionary_{space}": 0.1 for space in SPACES}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("dictionary_temperature", "contrast_temperature"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(repr=False)
class DHMDOutput(DMDOutput):
    """DMD's output, and the lookups of each modality in the dictionary of each space."""

    dictionaries: dict[str, Found] = field(default_factory=dict)  # space -> modality -> lookup


class DHMD(DMD):
    """DMD with a dictionary behind each of its two spaces.

    Our choices: a dictionary sees the features of the GD-Unit of its space. Homogeneous: the common streams X^com_m,
    step by step. Heterogeneous: the reinforced vectors Z^prt_{→m}, because private features of different modalities
    are comparable only after cross-modal attention. Only the matching uses dictionary features; no head reads them.
    """

    def __init__(self, config: DHMDConfig):
        super().__init__(config)
        config = self.config
        widths = {"homogeneous": config.width, "heterogeneous": self.reinforce.width}
        self.dictionaries = nn.ModuleDict({space: make_dictionary(config, width) for space, width in widths.items()})
        self.matching = nn.ModuleDict({space: make_matching(config) for space in SPACES})

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> DHMDOutput:  # fmt: skip
        out = DHMDOutput(**vars(super().forward(language, vision, audio, mask=mask)))
        vectors = {m: x[:, None] for m, x in out.reinforced.items()}
        out.dictionaries = {
            "homogeneous": self.dictionaries["homogeneous"](out.decoupled.common, out.masks),
            "heterogeneous": self.dictionaries["heterogeneous"](vectors),
        }
        return out if labels is None else out.with_losses(self.loss_terms(out, labels), self.loss_weights)

    def loss_terms(self, out: DHMDOutput, labels: Labels) -> dict[str, Loss]:
        matching = {f"dictionary_{space}": self.matching[space](x, labels) for space, x in out.dictionaries.items()}
        return super().loss_terms(out, labels) | matching


def make_dictionary(config: DHMDConfig, width: int) -> Dictionary:
    how = config.dictionary_pooling, config.dictionary_activation, config.dictionary_temperature
    return Dictionary(width, config.dictionary_size, *how, config.dictionary_top_k, config.modalities)


def make_matching(config: DHMDConfig) -> nn.Module:
    if config.dictionary_matching == "contrastive":
        return ContrastiveMatching(config.contrast_temperature, config.contrast_learned)
    if config.dictionary_matching == "margin":
        return MarginMatching(config)
    return DivergenceMatching(config.dictionary_activation)
