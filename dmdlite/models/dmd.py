"""DMD: Decoupled Multimodal Distilling for emotion recognition (Li, Wang, Cui; CVPR 2023), Fig. 2 left to right."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from dmdlite.components.decoupling import Decoupled, FeatureDecoupler, NoDecoupling
from dmdlite.components.edge_learning import EvidenceUnit
from dmdlite.components.graph_distillation import GraphDistillationUnit
from dmdlite.components.heads import AdaptiveFusion, ResidualHead
from dmdlite.components.losses import margin_contrastive_loss, orthogonality_loss, reconstruction_loss
from dmdlite.components.pooling import FlattenedProjections, TimeMeans, Vectors
from dmdlite.components.reinforcement import CrossModalReinforcement, SelfAttentionReaders
from dmdlite.components.streams import Masks, StreamReader, TemporalConvolutions
from dmdlite.components.tasks import Logits, task_loss
from dmdlite.config import MODALITIES, SPACES, DMDConfig
from dmdlite.models.base import ModelOutput, SavedModel, name_of


@dataclass
class Graph:
    """What one GD-Unit saw and made of it."""

    nodes: Float[Tensor, "batch 3 width"]
    logits: Float[Tensor, "batch 3 *logits"]
    edges: Float[Tensor, "batch 3 3"]


@dataclass
class DMDOutput(ModelOutput):
    """The prediction, and everything that led to it."""

    predictions: dict[str, Logits] = field(default_factory=dict)  # of all eight heads
    decoupled: Decoupled | None = None
    masks: Masks | None = None  # which steps of the decoupled streams are real
    compared: Vectors = field(default_factory=dict)  # what the margin loss compares
    common: Vectors = field(default_factory=dict)  # X^com_m as one vector each
    reinforced: Vectors = field(default_factory=dict)  # Z^prt_{→m} as one vector each
    graphs: dict[str, Graph] = field(default_factory=dict)


Loss = Callable[[DMDOutput, Num[Tensor, "batch *outputs"]], Float[Tensor, ""]]


class DMD(SavedModel):
    """The whole model; each attribute is one box of Fig. 2, and `config` says where it follows paper or code.

    Every part after `config` is optional and takes the place of DMD's own, which says what it is called with and gives
    back: `components/decoupling.py`, `pooling.py` and `reinforcement.py`, `heads.py`, `graph_distillation.py`.
    losses: name -> function of output and labels. A known name replaces that term and keeps its weight; a new one is
    added and counts fully. What is not replaced starts from the same weights as in a DMD of the same seed, if the parts
    have drawn theirs under `torch.random.fork_rng`: arguments are made first, and would use up its random numbers.
    """

    Output = DMDOutput

    def __init__(
        self,
        config: DMDConfig,
        *,
        decouple: nn.Module | None = None,
        align: nn.Module | None = None,
        read_common: nn.Module | None = None,
        reinforce: nn.Module | None = None,
        fusion: nn.Module | None = None,
        homogeneous: nn.Module | None = None,
        heterogeneous: nn.Module | None = None,
        losses: Mapping[str, Loss] | None = None,
    ):
        super().__init__()
        self.read = StreamReader(config)
        self.config = config = self.read.config
        width, rate, logits = config.width, config.output_dropout, config.logits
        flat = {m: kept * width for m, kept in config.kept_lengths.items()}
        private, common = 2 * width, 3 * width
        self.temporal = TemporalConvolutions(config)
        self.decouple = FeatureDecoupler(width) if config.decoupling == "encoders" else NoDecoupling()
        self.align = FlattenedProjections(config) if config.margin_features == "aligned" else TimeMeans()
        self.read_common = SelfAttentionReaders(config) if config.common_branch == "transformer" else TimeMeans()
        self.reinforce = CrossModalReinforcement(config)
        self.homogeneous_heads = nn.ModuleDict({m: ResidualHead(flat[m], width, rate, logits) for m in MODALITIES})
        self.heterogeneous_heads = nn.ModuleDict({m: ResidualHead(private, private, rate, logits) for m in MODALITIES})
        self.common_head = ResidualHead(common, common, rate, logits)
        self.fusion = AdaptiveFusion(private, common, rate, config.fusion_gate, logits)
        node_widths = {"homogeneous": width, "heterogeneous": private}
        unit = GraphDistillationUnit if config.edge_learning == "published" else EvidenceUnit
        self.units = nn.ModuleDict({space: unit(config, space, node_widths[space]) for space in SPACES})
        boxes = dict(decouple=decouple, align=align, read_common=read_common, reinforce=reinforce, fusion=fusion)
        self.exchange(boxes, {"homogeneous": homogeneous, "heterogeneous": heterogeneous}, losses or {})

    def exchange(self, boxes: Mapping[str, Any], units: Mapping[str, Any], losses: Mapping[str, Loss]) -> None:
        """Puts somebody's own parts in the place of DMD's, where there are any."""
        boxes, units = ({name: part for name, part in parts.items() if part is not None} for parts in (boxes, units))
        for name, part in boxes.items():
            setattr(self, name, part)
        self.units.update(units)
        self.own_losses = dict(losses)
        self.learned_losses = nn.ModuleDict({name: x for name, x in losses.items() if isinstance(x, nn.Module)})
        self.own_parts = {name: name_of(part) for name, part in {**boxes, **units, **losses}.items()}

    def saved_fields(self) -> dict:
        return super().saved_fields() | ({"own_parts": self.own_parts} if self.own_parts else {})

    @classmethod
    def from_official(cls, weights, config: DMDConfig, homogeneous=None, heterogeneous=None) -> "DMD":
        """A model with published weights: state dicts, or paths of .pth files, of the model and of its two GD-Units.

        It comes in evaluation mode, as from `from_pretrained`.
        Raises ValueError naming the first weight that is missing, unknown or of another shape.
        """
        from dmdlite.models.official import load_official

        return load_official(cls(config), weights, homogeneous, heterogeneous).eval()

    def forward(
        self,
        language: Float[Tensor, "batch _ _"] | Int[Tensor, "batch 3 _"],
        vision: Float[Tensor, "batch _ _"],
        audio: Float[Tensor, "batch _ _"],
        labels: Num[Tensor, "batch *outputs"] | None = None,
        mask: Masks | None = None,
    ) -> DMDOutput:
        """Streams are (batch, time, feature); with a language model `language` is (batch, 3, time) ids, mask, segments.

        mask[m] is True at the real time steps of modality m. Without it padding counts as signal, as published.
        """
        streams = self.read({"language": language, "vision": vision, "audio": audio}, mask)
        projected, masks = self.temporal(streams, mask)
        decoupled = self.decouple(projected)  # Eq. (1)
        common = self.read_common(decoupled.common, masks)
        reinforced = self.reinforce(decoupled.private, masks)  # Eq. (10)
        joined = torch.cat([common[m] for m in MODALITIES], dim=1)
        prediction = self.fusion(reinforced, joined).prediction

        out = self.Output(prediction, decoupled=decoupled, masks=masks, common=common, reinforced=reinforced)
        out.compared = self.align(decoupled.common, masks)
        out.predictions = {"final": prediction, "common": self.common_head(joined).prediction}
        flat = {m: x.flatten(1) for m, x in decoupled.common.items()}
        self.connect(out, "homogeneous", self.homogeneous_heads, flat, TimeMeans()(decoupled.common, masks))
        self.connect(out, "heterogeneous", self.heterogeneous_heads, reinforced, reinforced)
        return out if labels is None else self.add_losses(out, labels).add_up(self.config.loss_weights)

    def connect(self, out: DMDOutput, space: str, heads: nn.ModuleDict, inputs: Vectors, features: Vectors) -> None:
        """The heads and the graph of one space, Eq. (8). Published nodes are layers of the heads (`graph_nodes`)."""
        read = {m: heads[m](inputs[m]) for m in MODALITIES}
        if self.config.graph_nodes == "head":
            layer = {"homogeneous": "hidden", "heterogeneous": "features"}[space]
            features = {m: getattr(read[m], layer) for m in MODALITIES}
        nodes = torch.stack([features[m] for m in MODALITIES], dim=1)
        logits = torch.stack([read[m].prediction for m in MODALITIES], dim=1)
        out.edges[space] = self.units[space](nodes, logits)
        out.graphs[space] = Graph(nodes, logits, out.edges[space])
        out.predictions |= {f"{space}_{m}": read[m].prediction for m in MODALITIES}

    def add_losses(self, out: DMDOutput, labels: Num[Tensor, "batch *outputs"]) -> DMDOutput:
        """Every term of Eq. (11) by name."""
        config, parts = self.config, out.decoupled
        out.losses = {f"task_{head}": task_loss(x, labels, config.task) for head, x in out.predictions.items()}
        norm = config.reconstruction_norm
        out.losses["reconstruction"] = reconstruction_loss(parts.projected, parts.reconstruction, norm)
        out.losses["cycle"] = reconstruction_loss(parts.private, parts.private_again, norm)
        over, clamped = config.orthogonality_over, config.orthogonality_clamped
        out.losses["orthogonality"] = orthogonality_loss(parts.common, parts.private, over, clamped)
        out.losses["margin"] = margin_contrastive_loss(out.compared, labels.to(out.prediction.dtype), config)
        for space, graph in out.graphs.items():
            if self.training:
                self.units[space].observe(graph.nodes, graph.logits, labels)
            terms = self.units[space].losses(graph.edges, graph.nodes, graph.logits)
            out.losses |= {f"gd_{space}_{name}": term for name, term in terms.items()}
        out.losses |= {name: loss(out, labels) for name, loss in self.own_losses.items()}
        return out
