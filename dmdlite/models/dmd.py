"""DMD: Decoupled Multimodal Distilling for emotion recognition (Li, Wang, Cui; CVPR 2023), Fig. 2 left to right."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from dmdlite.components import fast
from dmdlite.components.decoupling import Decoupled, FeatureDecoupler, NoDecoupling
from dmdlite.components.graph_distillation import Edges, EvidenceUnit, GraphDistillationUnit, NodeLogits, Nodes
from dmdlite.components.heads import AdaptiveFusion, ResidualHead
from dmdlite.components.losses import (
    Labels,
    Logits,
    Loss,
    margin_contrastive_loss,
    orthogonality_loss,
    reconstruction_loss,
    task_loss,
    total_loss,
)
from dmdlite.components.reinforcement import CrossModalReinforcement, SelfAttentionReaders
from dmdlite.components.streams import (
    FlattenedProjections,
    Language,
    Masks,
    Stream,
    TemporalConvolutions,
    TimeMeans,
    Vectors,
    concatenate,
)
from dmdlite.components.transformer import TransformerLayer
from dmdlite.config import SPACES, DMDConfig
from dmdlite.models.base import ModelOutput, SavedModel
from dmdlite.models.official import dmd as official
from dmdlite.models.saving import name_of


@dataclass
class Graph:
    """The inputs and the edges of one GD-Unit."""

    nodes: Nodes
    logits: NodeLogits
    edges: Edges


@dataclass(repr=False)
class DMDOutput(ModelOutput):
    """The prediction, those of all heads, eight for three modalities, and everything that led to them."""

    decoupled: Decoupled | None = None
    masks: Masks | None = None  # which steps of the decoupled streams are real
    margin_features: Vectors = field(default_factory=dict)  # the samples of the margin loss
    common: Vectors = field(default_factory=dict)  # X^com_m as one vector each
    reinforced: Vectors = field(default_factory=dict)  # Z^prt_{→m} as one vector each
    graphs: dict[str, Graph] = field(default_factory=dict)


LossFunction = Callable[[DMDOutput, Labels], Loss]


class DMD(SavedModel):
    """The whole model; each attribute is one box of Fig. 2, and `config` says where it follows paper or code.

    Every argument after `config` is optional and replaces a default module with your own, which is called in the same
    way: see `components/decoupling.py`, `streams.py`, `reinforcement.py`, `heads.py`, `graph_distillation.py`.
    layer: the kind of transformer layer; the plain one is in `components/transformer.py`.
    losses: name -> function of output and labels. A known name replaces that term and keeps its weight; a new one is
    added and counts fully. Modules that are not replaced start from the same weights as in a DMD of the same seed if
    yours draw theirs under `torch.random.fork_rng`: arguments are made first and would use up the random numbers.
    """

    published = official
    needs = 2, "distils between modalities"
    output = DMDOutput

    def __init__(
        self,
        config: DMDConfig,
        *,
        decouple: nn.Module | None = None,
        read_margin: nn.Module | None = None,
        read_common: nn.Module | None = None,
        reinforce: nn.Module | None = None,
        fusion: nn.Module | None = None,
        homogeneous: nn.Module | None = None,
        heterogeneous: nn.Module | None = None,
        losses: Mapping[str, LossFunction] | None = None,
        layer: type[TransformerLayer] = fast.TransformerLayer,
    ):
        super().__init__(config)
        self.add_default_parts(self.config, layer)
        parts = dict(decouple=decouple, read_margin=read_margin, read_common=read_common, reinforce=reinforce)
        parts |= dict(fusion=fusion, homogeneous=homogeneous, heterogeneous=heterogeneous)
        self.replace_parts({name: part for name, part in parts.items() if part is not None}, losses or {})
        if layer not in (fast.TransformerLayer, TransformerLayer):
            self.own_parts["layer"] = name_of(layer)

    def add_default_parts(self, config: DMDConfig, layer: type[TransformerLayer]) -> None:
        width, rate, logits = config.width, config.output_dropout, config.num_logits
        flat = {m: steps * width for m, steps in config.lengths_after_convolution.items()}
        common = len(self.reads) * width
        private = common - width  # what a modality hears from each of the others
        self.temporal = TemporalConvolutions(config)
        self.decouple = FeatureDecoupler(width, self.reads) if config.decoupling == "encoders" else NoDecoupling()
        self.read_margin = FlattenedProjections(config) if config.margin_features == "aligned" else TimeMeans()
        readers = config.common_branch == "transformer"
        self.read_common = SelfAttentionReaders(config, layer=layer) if readers else TimeMeans()
        self.reinforce = CrossModalReinforcement(config, config.reinforcement == "crossmodal", layer)
        self.homogeneous_heads = nn.ModuleDict({m: ResidualHead(flat[m], width, rate, logits) for m in flat})
        self.heterogeneous_heads = nn.ModuleDict({m: ResidualHead(private, private, rate, logits) for m in flat})
        self.common_head = ResidualHead(common, common, rate, logits)
        self.fusion = AdaptiveFusion(private, common, rate, config.fusion_gate, logits, self.reads)
        node_widths = {"homogeneous": width, "heterogeneous": private}
        unit = GraphDistillationUnit if config.edge_learning == "published" else EvidenceUnit
        self.units = nn.ModuleDict({space: unit(config, space, node_widths[space]) for space in SPACES})

    def replace_parts(self, parts: Mapping[str, nn.Module], losses: Mapping[str, LossFunction]) -> None:
        """Replaces default modules and losses with user-supplied ones."""
        for name, part in parts.items():
            (self.units if name in SPACES else self).register_module(name, part)
        self.own_losses = dict(losses)
        self.learned_losses = nn.ModuleDict({name: x for name, x in losses.items() if isinstance(x, nn.Module)})
        self.own_parts = {name: name_of(part) for name, part in {**parts, **losses}.items()}

    def saved_fields(self) -> dict:
        return super().saved_fields() | ({"own_parts": self.own_parts} if self.own_parts else {})

    def forward(
        self, language: Language | None = None, vision: Stream | None = None, audio: Stream | None = None,
        labels: Labels | None = None, mask: Masks | None = None,
    ) -> DMDOutput:  # fmt: skip
        """Streams are (batch, time, feature); with a language model `language` is (batch, 3, time) ids, mask, segments.

        mask[m] is True at the real time steps of modality m. Without it padding counts as signal, as published.
        """
        projected, masks = self.temporal(self.read(language, vision, audio, mask), mask)
        decoupled = self.decouple(projected)  # Eq. (1)
        common = self.read_common(decoupled.common, masks)
        reinforced, further = self.read_private(decoupled, masks)  # Eq. (10)
        fusion = self.fusion(reinforced, concatenate(common))
        margin_features = self.read_margin(decoupled.common, masks)
        predictions = {"final": fusion.prediction, "common": self.common_head(concatenate(common)).prediction}

        flat = {m: x.flatten(1) for m, x in decoupled.common.items()}
        homogeneous, taught = self.run_graph("homogeneous", flat, TimeMeans()(decoupled.common, masks))
        heterogeneous, reinforced_taught = self.run_graph("heterogeneous", reinforced, reinforced)
        graphs = {"homogeneous": homogeneous, "heterogeneous": heterogeneous}
        out = self.output(
            fusion.prediction,
            edges={space: graph.edges for space, graph in graphs.items()},
            fused=fusion.features,
            predictions=predictions | taught | reinforced_taught,
            decoupled=decoupled,
            masks=masks,
            margin_features=margin_features,
            common=common,
            reinforced=reinforced,
            graphs=graphs,
            **further,
        )
        if labels is None:
            return out
        terms = self.loss_terms(out, labels)
        return replace(out, losses=terms, loss=total_loss(terms, self.loss_weights))  # Eq. (11)

    def read_private(self, decoupled: Decoupled, masks: Masks | None) -> tuple[Vectors, dict[str, Any]]:
        """Z^prt_{→m}, Eq. (10), and further fields of the output, which an heir may have to add."""
        return self.reinforce(decoupled.private, masks), {}

    def run_graph(self, space: str, inputs: Vectors, features: Vectors) -> tuple[Graph, dict[str, Logits]]:
        """The heads and the graph of one space, Eq. (8). Published nodes are layers of the heads (`graph_nodes`)."""
        heads = {"homogeneous": self.homogeneous_heads, "heterogeneous": self.heterogeneous_heads}[space]
        read = {m: heads[m](inputs[m]) for m in self.reads}
        if self.config.graph_nodes == "head":
            layer = {"homogeneous": "hidden", "heterogeneous": "features"}[space]
            features = {m: getattr(head, layer) for m, head in read.items()}
        nodes = torch.stack([features[m] for m in read], dim=1)
        logits = torch.stack([head.prediction for head in read.values()], dim=1)
        graph = Graph(nodes, logits, self.units[space](nodes, logits))
        return graph, {f"{space}_{m}": head.prediction for m, head in read.items()}

    def loss_terms(self, out: DMDOutput, labels: Labels) -> dict[str, Loss]:
        """Every term of Eq. (11) by name."""
        config, parts = self.config, out.decoupled
        norm, over, clamped = config.reconstruction_norm, config.orthogonality_over, config.orthogonality_clamped
        task, weights = config.task, config.class_weights
        terms = {f"task_{head}": task_loss(x, labels, task, weights) for head, x in out.predictions.items()} | {
            "reconstruction": reconstruction_loss(parts.projected, parts.reconstruction, norm),  # Eq. (2)
            "cycle": reconstruction_loss(parts.private, parts.private_again, norm),  # Eq. (3)
            "orthogonality": orthogonality_loss(parts.common, parts.private, over, clamped),  # Eq. (5)
            "margin": margin_contrastive_loss(out.margin_features, labels.to(out.prediction.dtype), config),  # Eq. (4)
        }
        for space, graph in out.graphs.items():
            distilled = self.units[space].losses(graph.edges, graph.nodes, graph.logits)
            terms |= {f"gd_{space}_{name}": term for name, term in distilled.items()}
        return terms | {name: loss(out, labels) for name, loss in self.own_losses.items()}

    def update_evidence(self, out: DMDOutput, labels: Labels) -> None:
        """For units that gather evidence instead of learning by a gradient (`edge_learning`)."""
        for space, graph in out.graphs.items():
            self.units[space].update_evidence(graph.nodes, graph.logits, labels)
