"""The names and layouts of the published MoMKE (its MoMKE/model_expert_softmoe.py), and how they map to ours."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dmdlite.models.official.weights import Sources, convert_weights, read_state, sources_of
from dmdlite.models.saving import load_weights

MARK = "t_in_proj.0.weight"  # a weight that tells these checkpoints from ours

INITIALS = {"language": "t", "vision": "v", "audio": "a"}
ORDER = [1, 2, 0]  # of our modalities among the published ones, which are audio, text, video

# Our layers and the published ones; {m} is each modality, {i} its initial.
LAYERS = {
    "project.{m}": "{i}_in_proj.0",
    "heads.{m}": "nlp_head_{i}",
    "routers.{m}.0": "router_{i}.fc1",
    "routers.{m}.3": "router_{i}.fc2",
    "join": "proj1",
    "head": "nlp_head",
}
INSIDE_AN_EXPERT = {"attention.project": ["q", "k", "v"], "expand": ["mlp.fc1"], "contract": ["mlp.fc2"]}


def load_official(model, weights):
    """Fills a MoMKE with published weights: a state dict, or the path of a file, which is read but not executed."""
    found = convert_weights(read_state(weights), momke_sources(model.state_dict()), convert)
    for name, weight in found.items():
        if ".attention.project." in name:  # from nine maps, those of one expert together, to three below each other
            found[name] = weight.unflatten(0, (3, 3)).flatten(1, 2)
    load_weights(model, found, "the published checkpoint")
    return model


def momke_sources(own: Iterable[str]) -> Sources:
    """The published names of our weights."""
    sources = sources_of(own, LAYERS, INITIALS)
    for name in own:
        layer, _, kind = name.rpartition(".")
        if layer.startswith("experts."):
            _, _, k, inside = layer.split(".", 3)
            experts = [f"block.blocks.{k}.Transformer_{i}" for i in INITIALS.values()]
            sources[name] = [f"{expert}.{x}.{kind}" for expert in experts for x in INSIDE_AN_EXPERT[inside]]
    return sources


def convert(name: str, weight: Tensor) -> Tensor:
    """A published weight in the layout of ours, which has this name: experts and streams are in our order."""
    if name.startswith("routers.") and ".3." in name:
        return weight[ORDER]
    if name in ("join.weight", "head.weight"):
        weight = reordered(weight.mT).mT
    return reordered(weight) if name.startswith("join.") else weight


def reordered(rows: Tensor) -> Tensor:
    """Rows in three blocks, one for each stream."""
    blocks = rows.chunk(3)
    return torch.cat([blocks[i] for i in ORDER])
