"""What the playground keeps on file: features of frozen bodies, and the weights at which every run starts."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dmdlite.components.graph_distillation import GraphDistillationUnit
from dmdlite.components.heads import ResidualHead
from dmdlite.config import MODALITIES, SPACES, DMDConfig

FILE = Path(__file__).with_name("stored.json")
TRAIN, VALID, WIDTH = 120, 80, 8  # clips; channels of a homogeneous feature, a heterogeneous one has twice as many
RELIABILITY = {  # strongest modality -> correlation of each view with the sentiment: strong, fair, weak
    "language": dict(language=0.97, vision=0.9, audio=0.5),
    "vision": dict(language=0.9, vision=0.97, audio=0.5),
    "audio": dict(language=0.9, vision=0.5, audio=0.97),
}


def playground_config(prior: bool = False) -> DMDConfig:
    """The GD-Unit of the published code with undamped scores; the prior can be had. Eq. (9) alone distils."""
    switched = {} if prior else {"graph_priors": dict.fromkeys(SPACES)}
    widths = dict.fromkeys(SPACES, WIDTH)
    return DMDConfig.toy(width=WIDTH, heads=2, graph_sharpness=1.0, graph_widths=widths).replace(**switched)


def fresh_parts(space: str, prior: bool = False) -> nn.ModuleDict:
    """The three heads and the GD-Unit of one space, with fresh weights in float64."""
    width = WIDTH * (1 + (space == "heterogeneous"))
    parts = {m: ResidualHead(width, width, 0.0) for m in MODALITIES}
    return nn.ModuleDict({**parts, "unit": GraphDistillationUnit(playground_config(prior), space, width)}).double()


@dataclass(frozen=True)
class Clips:
    """The clips of one world: for training first, then those that the errors are measured on."""

    features: dict[str, dict[str, Tensor]]  # space -> modality -> (clip, width)
    labels: Tensor  # (clip,), in points from −3 to 3


def packed(x: Any) -> dict[str, Any]:
    """An array as text: its shape, and float32 in base64, the lowest byte first."""
    array = np.ascontiguousarray(x, dtype="<f4")
    return {"shape": list(array.shape), "base64": base64.b64encode(array.tobytes()).decode()}


def unpacked(entry: dict[str, Any]) -> Tensor:
    flat = np.frombuffer(base64.b64decode(entry["base64"]), dtype="<f4").reshape(entry["shape"])
    return torch.from_numpy(flat.astype(np.float64))


@cache
def stored() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


@cache
def clips_of(world: str) -> Clips:
    entry = stored()["worlds"][world]
    features = {space: {m: unpacked(x) for m, x in each.items()} for space, each in entry["features"].items()}
    return Clips(features, unpacked(entry["labels"]))


def start_of(space: str, prior: bool = False) -> nn.ModuleDict:
    """Heads and unit as every run starts."""
    parts = fresh_parts(space, prior)
    weights = {name: unpacked(x) for name, x in stored()["start"][space].items()}
    parts.load_state_dict(weights, strict=False)  # the prior is no weight: it comes from the config
    return parts
