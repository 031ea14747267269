"""Reads the weights of published code, and maps them to ours; nothing in a file is executed."""

import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import Module

from dmdlite.models.saving import load_weights, no_such_folder

WRAPPINGS = ("state_dict", "model_state_dict", "model")  # keys under which training code keeps the weights
PREFIXES = ("module.", "Model.")  # of DataParallel, and of MMSA
INITIALS = {"language": "l", "vision": "v", "audio": "a"}  # of DMD and its family
Sources = dict[str, list[str]]  # our name -> the published ones: several for encoders, whose tensors are stacked
Convert = Callable[[str, Tensor], Tensor]
Weights = Mapping[str, Any] | str | Path  # a state dict, or the path of a file


def read_state(given: Weights) -> dict[str, Tensor]:
    """A state dict, or what a file of weights holds, under plain names; nothing in the file is executed."""
    if not isinstance(given, Mapping):
        if not Path(given).is_file():
            raise ValueError(no_such_folder(str(given), "file"))
        try:
            safe = Path(given).suffix == ".safetensors"
            with warnings.catch_warnings(action="ignore"):  # of odd pickles
                given = dict(load_file(given) if safe else torch.load(given, map_location="cpu", weights_only=True))
        except Exception as error:
            raise ValueError(f"{given} is not a readable checkpoint: {str(error).partition(chr(10))[0]}") from error
    while wrapped := [given[key] for key in WRAPPINGS if isinstance(given.get(key), Mapping)]:
        given = wrapped[0]
    found = dict(given)
    while prefix := next((x for x in PREFIXES if found and all(name.startswith(x) for name in found)), None):
        found = {name.removeprefix(prefix): weight for name, weight in found.items()}
    return found


def sources_of(own: Iterable[str], layers: Mapping[str, str], initials: Mapping[str, str] = INITIALS) -> Sources:
    """The published names of those of our weights that belong to these layers, or are named there themselves.

    layers: our name -> the published one; in both {m} stands for each modality, and {i} for its initial.
    """
    layers = {ours.format(m=m): theirs.format(i=i) for ours, theirs in layers.items() for m, i in initials.items()}
    return {
        name: [theirs + name.removeprefix(ours)]
        for name in own
        for ours, theirs in layers.items()
        if name == ours or name.startswith(f"{ours}.")
    }


def fill(model: Module, weights: Weights, sources: Sources, convert: Convert, unused: Collection[str] = ()) -> Module:
    """The model with published weights, by the arguments of `convert_weights`. What has no source stays fresh."""
    found = convert_weights(read_state(weights), sources, convert, unused)
    load_weights(model, model.state_dict() | found, "the published checkpoint")
    return model


def convert_weights(
    published: Mapping[str, Tensor], sources: Sources, convert: Convert, unused: Collection[str] = ()
) -> dict[str, Tensor]:
    """Our weights from published ones, which must all be used, but for those with one of these marks in their names.

    convert: from our name and a published weight to the weight in our layout.
    """
    needed = sum(sources.values(), [])
    if unknown := [x for x in published if x not in needed and not any(mark in x for mark in unused)]:
        raise ValueError(f"the published checkpoint has the weight {unknown[0]!r}, which this config has no place for")
    if missing := [name for name in needed if name not in published]:
        raise ValueError(f"the published checkpoint has no weight {missing[0]!r}")
    found = {}
    for ours, names in sources.items():
        weights = [convert(ours, torch.as_tensor(published[name])) for name in names]
        found[ours] = torch.stack(weights) if len(weights) > 1 else weights[0]
    return found
