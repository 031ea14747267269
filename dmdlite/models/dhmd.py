"""DHMD, of "Decoupled Hierarchical Distillation for Multimodal Emotion Recognition" (Li et al., TPAMI 2026), as known.

Certain, from its abstract: DMD's decoupling; then knowledge is distilled twice, coarsely by a GD-Unit in each space
and finely by *cross-modal dictionary matching*, in a shared dictionary space. Not found: sizes, activation, what is
matched and how, the weights, code of its authors. They are fields of DHMDConfig; notebook 13 shows how our defaults
were chosen. The nearest public code, svliy/mmsa, is `DHMDConfig.svliy`.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from dmdlite.checking import known
from dmdlite.components.decoupling import Decoupled
from dmdlite.components.dictionary import ContrastiveMatching, Dictionary, DivergenceMatching, Found, MarginMatching
from dmdlite.components.heads import AdaptiveFusion
from dmdlite.components.losses import Labels, Loss
from dmdlite.components.streams import Masks, Vectors
from dmdlite.components.transformer import last_step
from dmdlite.config import SPACES, DMDConfig
from dmdlite.models.dmd import DMD, DMDOutput
from dmdlite.models.official import svliy as official
from dmdlite.presets import SVLIY, SVLIY_DATASETS


@dataclass(kw_only=True)
class DHMDConfig(DMDConfig):
    """DMD's numbers and those of the dictionaries, none of which the paper's abstract gives."""

    later: ClassVar = (
        "dictionary_spaces dictionary_start dictionary_input dictionary_detached "
        "dictionary_normalised dictionary_in_fusion common_in_fusion"
    )
    dictionary_spaces: list[str] = field(default_factory=lambda: list(SPACES))  # those with a dictionary
    dictionary_size: int = 64  # atoms of each dictionary; FDT: 16384
    dictionary_start: Literal["normal", "xavier"] = "normal"  # how atoms are drawn: N(0, 1), as FDT, or Xavier's normal
    # What asks the heterogeneous one: Z^prt_{→m}, which its graph is about, or every step of the memory encoder.
    dictionary_input: Literal["last_step", "sequence"] = "last_step"
    dictionary_detached: bool = False  # true: matching changes dictionaries alone; ours teaches the features, too
    dictionary_pooling: Literal["max", "mean", "sum"] = "max"  # of an atom's scores over time
    dictionary_activation: Literal["sparsemax", "softmax", "top_k"] = "sparsemax"
    dictionary_top_k: int = 8  # atoms that stay with "top_k"
    dictionary_temperature: float = 10.0  # τ: scores are divided by √width and by this
    dictionary_normalised: bool = False  # true: z is divided by its length, which matters where a head reads it
    dictionary_in_fusion: bool = False  # true: fusion and heads read W [Z^prt_{→m}, z]; ours predict as DMD does
    dictionary_matching: Literal["contrastive", "margin", "divergence"] = "margin"  # last: of activations
    contrast_temperature: float = 1.0  # of the contrastive matching, at the start
    contrast_learned: bool = True
    common_in_fusion: bool = True  # as in DMD; false: the prediction comes from Z^prt alone
    loss_weights: dict[str, float] = field(  # DMD's, and for the matchings that of the nearest public code, svliy/mmsa
        default_factory=lambda: DMDConfig().loss_weights | {f"dictionary_{space}": 0.1 for space in SPACES}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("dictionary_temperature", "contrast_temperature"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.dictionary_in_fusion and "heterogeneous" not in self.dictionary_spaces:
            raise ValueError("dictionary_in_fusion needs a heterogeneous dictionary; see dictionary_spaces")

    @classmethod
    def svliy(cls, dataset: str = "mosi", **changes: Any) -> "DHMDConfig":
        """What svliy/mmsa computes (commit 21968f3, May 2024) on "mosi", "mosei" or "sims", all unaligned.

        It is DMD without graphs, decoupling losses and common stream (model/dmd.py): private streams, cross-modal
        attention, a dictionary, and a fusion that reads both; its loss is the L1 distance and the margins of z. So all
        other terms weigh nothing here; common branch and margin features, which it leaves out, are the cheapest kind.
        Outputs, losses and gradients agree; dropout acts in the same places (config/config_regression.json). Not as
        there: it can use a sigmoid for activation, and leaves out the convolution of a stream of width d.
        It was trained with `TrainingConfig.official(learning_rates={"dictionaries": 1e-3}, plateau_patience=10)`,
        with a patience of 5 on MOSEI.
        """
        chosen = SVLIY_DATASETS[known("dataset", dataset, SVLIY_DATASETS)]
        off = dict.fromkeys(cls().loss_weights, 0.0) | {"task_final": 1.0, "dictionary_heterogeneous": 0.1}
        return cls().replace(**SVLIY, loss_weights=off).replace(**chosen).replace(**changes)


@dataclass(repr=False)
class DHMDOutput(DMDOutput):
    """DMD's output, and the lookups of each modality in the dictionary of each space."""

    dictionaries: dict[str, Found] = field(default_factory=dict)  # space -> modality -> lookup


class DHMD(DMD):
    """DMD with a dictionary behind each of its two spaces.

    Our choices: a dictionary sees the features of the GD-Unit of its space. Homogeneous: the common streams X^com_m,
    step by step. Heterogeneous: the reinforced vectors Z^prt_{→m}, because private features of different modalities
    are comparable only after cross-modal attention. Only the matching uses dictionary features; no head reads them.
    Fields of the config choose otherwise, and `DHMDConfig.svliy` is one such choice.
    """

    published = official
    output = DHMDOutput

    def __init__(self, config: DHMDConfig):
        super().__init__(config)
        config, private = self.config, self.reinforce.width
        widths = {"homogeneous": config.width, "heterogeneous": private}
        spaces = [space for space in SPACES if space in config.dictionary_spaces]
        self.dictionaries = nn.ModuleDict({space: make_dictionary(config, widths[space]) for space in spaces})
        self.matching = nn.ModuleDict({space: make_matching(config) for space in spaces})
        self.reinforce.memory.whole = config.dictionary_input == "sequence"
        joined = self.reads if config.dictionary_in_fusion else ()
        self.join = nn.ModuleDict({m: nn.Linear(2 * private, private) for m in joined})
        if not config.common_in_fusion:
            gate, logits = config.fusion_gate, config.num_logits
            self.fusion = AdaptiveFusion(private, 0, config.output_dropout, gate, logits, self.reads)

    def read_private(self, decoupled: Decoupled, masks: Masks | None) -> tuple[Vectors, dict[str, Any]]:
        """Z^prt_{→m}, joined with z if fusion reads it, and the lookups."""
        config, memory = self.config, self.reinforce.remember(decoupled.private, masks)
        real = masks if config.dictionary_input == "sequence" else None  # a last step is never padding
        vectors = {m: last_step(x, real[m]).squeeze(1) if real else x[:, -1] for m, x in memory.items()}
        asking = {"homogeneous": (decoupled.common, masks), "heterogeneous": (memory, real)}
        found = {}
        for space, dictionary in self.dictionaries.items():
            streams, mask = asking[space]
            streams = {m: x.detach() for m, x in streams.items()} if config.dictionary_detached else streams
            found[space] = dictionary(streams, mask)
        for m, join in self.join.items():
            vectors[m] = join(torch.cat([vectors[m], found["heterogeneous"][m].features], dim=1))
        return vectors, {"dictionaries": found}

    def loss_terms(self, out: DHMDOutput, labels: Labels) -> dict[str, Loss]:
        matching = {f"dictionary_{space}": self.matching[space](x, labels) for space, x in out.dictionaries.items()}
        return super().loss_terms(out, labels) | matching


def make_dictionary(config: DHMDConfig, width: int) -> Dictionary:
    how = config.dictionary_pooling, config.dictionary_activation, config.dictionary_temperature
    start = config.dictionary_start, config.dictionary_normalised
    return Dictionary(width, config.dictionary_size, *how, config.dictionary_top_k, config.modalities, *start)


def make_matching(config: DHMDConfig) -> nn.Module:
    if config.dictionary_matching == "contrastive":
        return ContrastiveMatching(config.contrast_temperature, config.contrast_learned)
    if config.dictionary_matching == "margin":
        return MarginMatching(config)
    return DivergenceMatching(config.dictionary_activation)
