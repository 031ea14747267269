"""The names and layouts of the published MulT (its src/models.py), and how they map to ours."""

import torch
from torch import Tensor

from dmdlite.models.official import dmd
from dmdlite.models.official.weights import INITIALS, fill

MARK = "proj_l.weight"  # a weight that tells these checkpoints from ours

# DMD inherited its convolutions and transformers from MulT.
LAYERS = dmd.LAYERS | {f"head.{ours}": theirs for ours, theirs in dmd.INSIDE_A_HEAD.items()}
UNUSED = (".version", "._float_tensor")  # counters of the transformer
# The published head reads language, audio, vision, and ours language, vision, audio: on this axis of these weights.
ORDERED = {"head.contract.weight": -1, "head.expand.weight": 0, "head.expand.bias": 0, "head.regress.weight": -1}


def load_official(model, weights):
    """Fills a MulT with published weights: a state dict, or the path of a file, which is read but not executed.

    The published training pickles the whole model, which is code and is not read: save its `state_dict()` first.
    """
    found = model.state_dict()
    unconvolved = [f"proj_{i}." for m, i in INITIALS.items() if f"temporal.{m}.weight" not in found]
    return fill(model, weights, dmd.dmd_sources(found, LAYERS), convert, (*UNUSED, *unconvolved))


def convert(name: str, weight: Tensor) -> Tensor:
    """A published weight in the layout of ours, which has this name."""
    if (axis := ORDERED.get(name)) is None:
        return weight
    language, *others = weight.chunk(3, dim=axis)
    return torch.cat([language, *others[::-1]], dim=axis)
