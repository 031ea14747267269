"""Reads checkpoints of the published code: its names and layouts (its model/dmd.py), and how they map to ours."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dmdlite.components.reinforcement import PAIRS
from dmdlite.config import SPACES
from dmdlite.models.base import load_weights

INITIALS = {"language": "l", "vision": "v", "audio": "a"}

# Our encoders of one shape are one module; each published encoder has its own name.
TRANSFORMERS = {
    "read_common.encoders.": [f"self_attentions_c_{i}." for i in INITIALS.values()],
    "reinforce.memory.": [f"trans_{i}_mem." for i in INITIALS.values()],
    "reinforce.crossmodal.": [f"trans_{INITIALS[target]}_with_{INITIALS[source]}." for source, target in PAIRS],
}
INSIDE_A_LAYER = {
    "attention_norm.": "layer_norms.0.",
    "feed_forward_norm.": "layer_norms.1.",
    "attention.project.": "self_attn.in_proj_",
    "attention.output.": "self_attn.out_proj.",
    "expand.": "fc1.",
    "contract.": "fc2.",
}

# In the checkpoint but unused by any output or loss: a projection of private features, and counters of the transformer.
UNUSED = ("proj_cosine_", ".version", "._float_tensor", "position_ids")


@dataclass(frozen=True)
class Source:
    """Where one weight of ours comes from: a published name, and the conversion of its tensor.

    A weight of several encoders has one name for each; their tensors are stacked.
    """

    names: tuple[str, ...]
    convert: Callable[[Tensor], Tensor] = lambda weight: weight
    needed: bool = True
    stacked: bool = False

    def weight(self, published: Mapping[str, Tensor]) -> Tensor:
        for name in self.names:
            if name not in published:
                raise ValueError(f"the published checkpoint has no weight {name!r}")
        weights = [self.convert(torch.as_tensor(published[name])) for name in self.names]
        return torch.stack(weights) if self.stacked else weights[0]


def load_official(model, weights, homogeneous=None, heterogeneous=None):
    """Fills a DMD with published weights; a GD-Unit whose weights are not given keeps its fresh ones.

    weights, homogeneous, heterogeneous: a state dict each, or the path of a .pth file, which is read but not executed.
    """
    found = model.state_dict()
    found |= convert_weights(weights, dmd_sources(found))
    for space, unit in zip(SPACES, (homogeneous, heterogeneous)):
        if unit is not None:
            found |= convert_weights(unit, unit_sources(space))
            check_prior(found[f"units.{space}.prior"], model.units[space].prior, space)
    load_weights(model, found, "the published checkpoint")
    return model


def convert_weights(given: Mapping[str, Tensor] | str | Path, sources: Mapping[str, Source]) -> dict[str, Tensor]:
    """Our weights from published ones, which must all be used."""
    published = read_state(given)
    used = {name for source in sources.values() for name in source.names}
    for name in published:
        if name not in used and not any(mark in name for mark in UNUSED):
            raise ValueError(f"the published checkpoint has the weight {name!r}, which this config has no place for")
    return {
        name: source.weight(published)
        for name, source in sources.items()
        if source.needed or published.keys() >= set(source.names)
    }


def check_prior(published: Tensor, ours: Tensor, space: str) -> None:
    if not torch.allclose(published, ours, atol=1e-5):
        raise ValueError(f"the published prior of the {space} graph is not that of config.graph_priors[{space!r}]")


def read_state(given: Mapping[str, Tensor] | str | Path) -> dict[str, Tensor]:
    if isinstance(given, Mapping):
        return dict(given)
    try:
        return dict(torch.load(given, map_location="cpu", weights_only=True))
    except Exception as error:
        raise ValueError(f"{given} is not a readable checkpoint: {str(error).splitlines()[0]}") from error


def dmd_sources(own: Iterable[str]) -> dict[str, Source]:
    """Our name -> its published source, for every weight of ours outside the GD-Units."""
    known = dict(_layers())
    # Only our own names tell how many layers a language model or a transformer has.
    for name in own:
        if name.startswith("read.language_encoder."):
            known[name] = Source((name.replace("read.language_encoder.", "text_model.", 1),))
        for prefix, theirs in TRANSFORMERS.items():
            if name.startswith(prefix):
                inside = _inside_a_transformer(name.removeprefix(prefix))
                known[name] = Source(tuple(their + inside for their in theirs), stacked=True)
    return {name: known[name] for name in own if name in known}


def unit_sources(space: str) -> dict[str, Source]:
    linears = {"project_logit": "W_logit", "project_node": "W_repr", "edge": "W_edge"}
    sources = dict(pair for ours, theirs in linears.items() for pair in _linear(f"units.{space}.{ours}", theirs))
    # Ours reads [source, target], as Eq. (8) does; the published one [target, source].
    sources[f"units.{space}.edge.weight"] = Source(("W_edge.weight",), _swap_halves)
    return sources | {f"units.{space}.prior": Source(("prior",), _edge_matrix, needed=False)}


def _layers() -> Iterator[tuple[str, Source]]:
    yield "decouple.common_encoder.weight", Source(("encoder_c.weight",), _drop_kernel)
    for m, i in INITIALS.items():
        yield f"temporal.{m}.weight", Source((f"proj_{i}.weight",))
        yield f"decouple.private_encoders.{m}.weight", Source((f"encoder_s_{i}.weight",), _drop_kernel)
        # Ours joins [common, private], as Eq. (2) does; the published one [private, common].
        yield f"decouple.decoders.{m}.weight", Source((f"decoder_{i}.weight",), lambda w: _swap_halves(_drop_kernel(w)))
        yield f"read_margin.linear.{m}.bias", Source((f"align_c_{i}.bias",))
        yield f"read_margin.linear.{m}.weight", Source((f"align_c_{i}.weight",), _time_major)
        yield from _linear(f"fusion.gates.{m}", f"weight_{i}")
        yield from _head(f"homogeneous_heads.{m}", f"_{i}_low")
        yield from _head(f"heterogeneous_heads.{m}", f"_{i}_high")
    yield from _linear("fusion.gates.common", "weight_c")
    yield from _head("common_head", "_c")
    yield from _head("fusion.head", "")


def _head(ours: str, theirs: str) -> Iterator[tuple[str, Source]]:
    for name, published in (("contract", "proj1"), ("expand", "proj2"), ("regress", "out_layer")):
        yield from _linear(f"{ours}.{name}", published + theirs)


def _linear(ours: str, theirs: str) -> Iterator[tuple[str, Source]]:
    for kind in ("weight", "bias"):
        yield f"{ours}.{kind}", Source((f"{theirs}.{kind}",))


def _inside_a_transformer(name: str) -> str:
    """Our name of a weight inside a transformer, e.g. "layers.0.expand.weight" -> the published one."""
    for ours, theirs in INSIDE_A_LAYER.items():
        if ours in name:
            return name.replace(ours, theirs)
    return f"layer_{name}"  # the final norm


def _drop_kernel(weight: Tensor) -> Tensor:
    """A convolution with kernel 1 is a linear map."""
    return weight.squeeze(-1)


def _swap_halves(weight: Tensor) -> Tensor:
    return torch.cat(weight.chunk(2, dim=1)[::-1], dim=1)


def _time_major(weight: Tensor) -> Tensor:
    """Columns from (channel, time), the published order of flattening here, to (time, channel)."""
    return weight.unflatten(1, (len(weight), -1)).transpose(1, 2).flatten(1)


def _edge_matrix(six: Tensor) -> Tensor:
    """The published order is v→l, a→l, l→v, a→v, l→a, v→a: target by target, sources inside."""
    matrix = six.new_zeros(3, 3)
    matrix.T[~torch.eye(3, dtype=torch.bool)] = six
    return matrix
