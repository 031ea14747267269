"""The published names of things, and the inputs and weights, made by formula, of golden/full_sizes.json."""

import zlib
from pathlib import Path

import numpy as np
import torch

from dmdlite.config import MODALITIES, DMDConfig

GOLDEN = Path(__file__).parent / "golden"
FULL_SIZES = {
    "mosi_aligned": dict(dataset="mosi", lengths=(50, 50, 50), vision=20, audio=5, batch=6, seed=0),
    "mosi_unaligned": dict(dataset="mosi", lengths=(50, 500, 375), vision=20, audio=5, batch=3, seed=1),
    "mosei_aligned": dict(dataset="mosei", lengths=(50, 50, 50), vision=35, audio=74, batch=6, seed=2),
    "mosei_unaligned": dict(dataset="mosei", lengths=(50, 500, 500), vision=35, audio=74, batch=3, seed=3),
    "mosi_aligned_other_seed": dict(dataset="mosi", lengths=(50, 50, 50), vision=20, audio=5, batch=16, seed=4),
}


def full_config(dataset, lengths, vision, audio, batch, seed) -> DMDConfig:
    widths = dict(language=768, vision=vision, audio=audio)
    return DMDConfig.official(dataset, feature_widths=widths, lengths=dict(zip(MODALITIES, lengths))).without_dropout()


def full_batch(dataset, lengths, vision, audio, batch, seed) -> dict[str, torch.Tensor]:
    """Random streams with right padding, and labels on MOSI's grid of which two are equal."""
    draw = np.random.Generator(np.random.PCG64(seed))
    sizes = zip(MODALITIES, lengths, (768, vision, audio))
    streams = {m: draw.standard_normal((batch, time, width)) for m, time, width in sizes}
    for m in ("vision", "audio"):
        for b in range(batch):
            streams[m][b, streams[m].shape[1] - 3 * b :] = 0
    labels = np.clip(np.round(draw.standard_normal(batch) * 7.5) / 5, -3, 3)
    labels[1] = labels[0]
    return {name: torch.from_numpy(x).float() for name, x in (streams | {"labels": labels}).items()}


def formula_weights(shapes: dict[str, list[int]], seed: int) -> dict[str, torch.Tensor]:
    """Weights that depend on name, shape and seed alone: norms near one, biases small, the rest by fan-in."""
    weights = {}
    for name, shape in shapes.items():
        noise = np.random.Generator(np.random.PCG64([zlib.crc32(name.encode()), seed])).standard_normal(shape)
        if "norm" in name:
            noise = 0.1 * noise + name.endswith("weight")
        elif len(shape) > 1:
            noise = noise / np.sqrt(np.prod(shape[1:]))
        else:
            noise = 0.1 * noise
        weights[name] = torch.from_numpy(np.asarray(noise)).float()
    return weights


def gradient_norms(model: torch.nn.Module) -> dict[str, float]:
    """The norm of every gradient that there is, under the model's own names."""
    return {name: p.grad.double().norm().item() for name, p in model.named_parameters() if p.grad is not None}


def published_norms(gradients: dict[str, torch.Tensor], sources: dict[str, list[str]]) -> dict[str, float]:
    """The norms of our gradients under the published names; a weight of several encoders has one for each of them."""
    norms = {}
    for ours, gradient in gradients.items():
        names = sources[ours]
        norms |= dict(zip(names, gradient.double().reshape(len(names), -1).norm(dim=1).tolist(), strict=True))
    return norms


def published_term(term: str) -> str:
    """Our name of a loss term -> the name in the golden files."""
    for ours, theirs in (("homogeneous", "homo"), ("heterogeneous", "hetero"), ("representation", "repr")):
        term = term.replace(ours, theirs)
    for m in MODALITIES:
        term = term.replace(f"_{m}", f"_{m[0]}")
    return {"orthogonality": "orthogonality_per_sample"}.get(term, term)


def published_edges(edges: torch.Tensor) -> torch.Tensor:
    """(batch, source, target) -> (six, batch) in the order v→l, a→l, l→v, a→v, l→a, v→a."""
    return torch.stack([edges[:, i, j] for j in range(3) for i in range(3) if i != j])
