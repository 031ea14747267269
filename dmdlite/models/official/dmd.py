"""The names and layouts of the published DMD (its model/dmd.py), and how they map to ours."""

from collections.abc import Iterable

import torch
from torch import Tensor

from dmdlite.components.reinforcement import PAIRS
from dmdlite.config import SPACES
from dmdlite.models.official.weights import INITIALS, Sources, convert_weights, read_state, sources_of
from dmdlite.models.saving import load_weights

MARK = "proj_l.weight"  # a weight that tells these checkpoints from ours

# Our layers and the published ones; {m} is each modality, {i} its initial.
LAYERS = {
    "read.language_encoder": "text_model",
    "temporal.{m}": "proj_{i}",
    "decouple.common_encoder": "encoder_c",
    "decouple.private_encoders.{m}": "encoder_s_{i}",
    "decouple.decoders.{m}": "decoder_{i}",
    "read_margin.linear.{m}": "align_c_{i}",
    "fusion.gates.{m}": "weight_{i}",
    "fusion.gates.common": "weight_c",
}
HEADS = {"homogeneous_heads.{m}": "_{i}_low", "heterogeneous_heads.{m}": "_{i}_high"}
HEADS |= {"common_head": "_c", "fusion.head": ""}
INSIDE_A_HEAD = {"contract": "proj1", "expand": "proj2", "regress": "out_layer"}
LAYERS |= {f"{head}.{x}": f"{y}{which}" for head, which in HEADS.items() for x, y in INSIDE_A_HEAD.items()}
UNIT_LAYERS = {"project_logit": "W_logit", "project_node": "W_repr", "edge": "W_edge"}

# Our encoders of one shape are one module; each published encoder has its own name.
TRANSFORMERS = {
    "read_common.encoders.": [f"self_attentions_c_{i}." for i in INITIALS.values()],
    "reinforce.memory.": [f"trans_{i}_mem." for i in INITIALS.values()],
    "reinforce.crossmodal.": [f"trans_{INITIALS[target]}_with_{INITIALS[source]}." for source, target in PAIRS],
}
INSIDE_A_TRANSFORMER = {
    "attention_norm.": "layer_norms.0.",
    "feed_forward_norm.": "layer_norms.1.",
    "attention.project.": "self_attn.in_proj_",
    "attention.output.": "self_attn.out_proj.",
    "expand.": "fc1.",
    "contract.": "fc2.",
}

# In the checkpoint but unused by any output or loss: a projection of private features, and counters of the transformer.
UNUSED = ("proj_cosine_", ".version", "._float_tensor", "position_ids")


def load_official(model, weights, homogeneous=None, heterogeneous=None):
    """Fills a DMD with published weights; a GD-Unit whose weights are not given keeps its fresh ones.

    weights, homogeneous, heterogeneous: a state dict each, or the path of a .pth file, which is read but not executed.
    """
    found = model.state_dict()
    found |= convert_weights(read_state(weights), dmd_sources(found), convert, UNUSED)
    for space, unit in zip(SPACES, (homogeneous, heterogeneous)):
        if unit is not None:
            published = read_state(unit)
            prior, ours = published.pop("prior", None), model.units[space].prior
            if prior is not None and not torch.allclose(edge_matrix(prior), ours, atol=1e-5):
                own = f"config.graph_priors[{space!r}]"
                raise ValueError(f"the published prior of the {space} graph is not that of {own}")
            found |= convert_weights(published, unit_sources(space), convert)
    load_weights(model, found, "the published checkpoint")
    return model


def dmd_sources(
    own: Iterable[str], layers: dict[str, str] = LAYERS, transformers: dict[str, list[str]] = TRANSFORMERS
) -> Sources:
    """The published names of every weight of ours outside the GD-Units."""
    sources = sources_of(own, layers)
    for name in own:  # only our own names tell how many layers a transformer has
        for prefix, theirs in transformers.items():
            if name.startswith(prefix):
                inside = name.removeprefix(prefix)
                ours = next((x for x in INSIDE_A_TRANSFORMER if x in inside), None)
                inside = inside.replace(ours, INSIDE_A_TRANSFORMER[ours]) if ours else f"layer_{inside}"  # final norm
                sources[name] = [encoder + inside for encoder in theirs]
    return sources


def unit_sources(space: str) -> Sources:
    """The same for the GD-Unit of this space."""
    layers = {f"units.{space}.{ours}": theirs for ours, theirs in UNIT_LAYERS.items()}
    return {f"{x}.{kind}": [f"{y}.{kind}"] for x, y in layers.items() for kind in ("weight", "bias")}


def convert(name: str, weight: Tensor) -> Tensor:
    """A published weight in the layout of ours, which has this name."""
    if name.startswith("decouple."):
        weight = weight.squeeze(-1)  # a convolution with kernel 1 is a linear map
    if name.startswith("decouple.decoders.") or name.endswith(".edge.weight"):
        # Ours reads [common, private], Eq. (2), and [source, target], Eq. (8); the published code the other way round.
        return torch.cat(weight.chunk(2, dim=1)[::-1], dim=1)
    if name.startswith("read_margin.linear.") and name.endswith(".weight"):
        # Columns from (channel, time), the published order of flattening here, to (time, channel).
        return weight.unflatten(1, (len(weight), -1)).transpose(1, 2).flatten(1)
    return weight


def edge_matrix(six: Tensor) -> Tensor:
    """The published order is v→l, a→l, l→v, a→v, l→a, v→a: target by target, sources inside."""
    matrix = six.new_zeros(3, 3)
    matrix.T[~torch.eye(3, dtype=torch.bool)] = six
    return matrix
