"""Reads checkpoints of the published code: its names and layouts (its model/dmd.py), and how they map to ours."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dmdlite.components.reinforcement import SOURCES
from dmdlite.config import SPACES
from dmdlite.models.base import load_weights

INITIALS = {"language": "l", "vision": "v", "audio": "a"}

# In the checkpoint, but without a part in any output or loss: a projection of private features that nothing reads,
# and counters that its transformer keeps.
UNUSED = ("proj_cosine_", ".version", "._float_tensor", "position_ids")


@dataclass(frozen=True)
class Source:
    """Where one weight of ours comes from: a published name, and what has to be done to its tensor."""

    name: str
    convert: Callable[[Tensor], Tensor] = lambda weight: weight
    needed: bool = True


def load_official(model, weights, homogeneous=None, heterogeneous=None):
    """Fills a DMD with published weights; a GD-Unit whose weights are not given keeps its fresh ones.

    weights, homogeneous, heterogeneous: a state dict each, or the path of a .pth file, which is read but not executed.
    """
    found = model.state_dict()
    found |= adopt(weights, dmd_sources(found))
    for space, unit in zip(SPACES, (homogeneous, heterogeneous)):
        if unit is not None:
            found |= adopt(unit, unit_sources(space))
            check_prior(found[f"units.{space}.prior"], model.units[space].prior, space)
    load_weights(model, found, "the published checkpoint")
    return model


def adopt(given: Mapping[str, Tensor] | str | Path, sources: Mapping[str, Source]) -> dict[str, Tensor]:
    """Our weights from published ones; every published one must have its place."""
    published = read_state(given)
    places = {source.name for source in sources.values()}
    for name in published:
        if name not in places and not any(mark in name for mark in UNUSED):
            raise ValueError(f"the published checkpoint has the weight {name!r}, which this config has no place for")
    return {
        name: take(source, published) for name, source in sources.items() if source.needed or source.name in published
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


def take(source: Source, published: Mapping[str, Tensor]) -> Tensor:
    if source.name not in published:
        raise ValueError(f"the published checkpoint has no weight {source.name!r}")
    return source.convert(torch.as_tensor(published[source.name]))


def dmd_sources(own: Iterable[str]) -> dict[str, Source]:
    """Our name -> its published source, for every weight of ours outside the GD-Units."""
    language = {name: Source(name.replace("read.language_encoder.", "text_model.", 1)) for name in own}
    known = dict(_layers()) | {name: source for name, source in language.items() if source.name != name}
    # A transformer has as many layers as the config says: its sources are told by the name's beginning.
    for prefix, theirs in _transformers():
        inside = (name.removeprefix(prefix) for name in own if name.startswith(prefix))
        known |= {prefix + name: _transformer_source(theirs, name) for name in inside}
    return {name: known[name] for name in own if name in known}


def unit_sources(space: str) -> dict[str, Source]:
    linears = {"project_logit": "W_logit", "project_node": "W_repr", "edge": "W_edge"}
    sources = dict(pair for ours, theirs in linears.items() for pair in _linear(f"units.{space}.{ours}", theirs))
    # Ours reads [source, target], as Eq. (8) does; the published one [target, source].
    sources[f"units.{space}.edge.weight"] = Source("W_edge.weight", _swap_halves)
    return sources | {f"units.{space}.prior": Source("prior", _edge_matrix, needed=False)}


def _layers() -> Iterator[tuple[str, Source]]:
    yield "decouple.common_encoder.weight", Source("encoder_c.weight", _drop_kernel)
    for m, i in INITIALS.items():
        yield f"temporal.{m}.weight", Source(f"proj_{i}.weight")
        yield f"decouple.private_encoders.{m}.weight", Source(f"encoder_s_{i}.weight", _drop_kernel)
        # Ours joins [common, private], as Eq. (2) does; the published one [private, common].
        yield f"decouple.decoders.{m}.weight", Source(f"decoder_{i}.weight", lambda w: _swap_halves(_drop_kernel(w)))
        yield f"align.linear.{m}.bias", Source(f"align_c_{i}.bias")
        yield f"align.linear.{m}.weight", Source(f"align_c_{i}.weight", _time_major)
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
        yield f"{ours}.{kind}", Source(f"{theirs}.{kind}")


def _transformers() -> Iterator[tuple[str, str]]:
    for m, i in INITIALS.items():
        yield f"read_common.encoders.{m}.", f"self_attentions_c_{i}."
        yield f"reinforce.memory.{m}.", f"trans_{i}_mem."
        for source in SOURCES[m]:
            yield f"reinforce.crossmodal.{source}_to_{m}.", f"trans_{i}_with_{INITIALS[source]}."


_INSIDE_A_LAYER = {
    "attention.output.": "self_attn.out_proj.",
    "attention_norm.": "layer_norms.0.",
    "feed_forward_norm.": "layer_norms.1.",
    "feed_forward.0.": "fc1.",
    "feed_forward.3.": "fc2.",
    "norm.": "layer_norm.",
}


def _transformer_source(prefix: str, name: str) -> Source:
    """`name` is ours inside one transformer, e.g. "layers.0.attention.query.weight"."""
    for third, projection in enumerate(("query", "key", "value")):
        if f"attention.{projection}." in name:
            packed = name.replace(f"attention.{projection}.", "self_attn.in_proj_")
            return Source(prefix + packed, lambda weight, third=third: weight.chunk(3)[third])
    for ours, theirs in _INSIDE_A_LAYER.items():
        if ours in name:
            return Source(prefix + name.replace(ours, theirs))
    raise KeyError(name)


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
