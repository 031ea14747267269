"""The published PKDOT in numbers: the cases of its golden files, with inputs and weights made by formula."""

import numpy as np
import torch
from published import formula_weights

SIZES = {  # the small ones are stored whole; a narrow vector needs the published T-Net's 64 clips
    "pkdot_small": dict(width=12, heads=3, batch=64, seed=0),
    "pkdot_small_other_seed": dict(width=20, heads=2, batch=64, seed=1),
    "pkdot_full": dict(width=512, heads=2, batch=128, seed=2),
    "pkdot_full_other_seed": dict(width=512, heads=2, batch=40, seed=3),
}
SMALL, FULL = list(SIZES)[:2], list(SIZES)[2:]
T_NET_LAYERS = {
    "encoder.fc1": (256, 512),
    "encoder.fc2": (128, 256),
    "decoder.fc1": (256, 128),
    "decoder.fc2": (512, 256),
}


def fusion_shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Of the published MultimodalTransformer for two classes, by the names of its weights."""
    square, attention = (width, width), {"in_proj_weight": (3 * width, width), "in_proj_bias": (3 * width,)}
    attention |= {"out_proj.weight": square, "out_proj.bias": (width,)}
    shapes = {f"cross_attention_{x}.{name}": shape for x in "vp" for name, shape in attention.items()}
    for encoder in ("visual_encoder", "physiological_encoder"):
        shapes |= {f"{encoder}.attention.{name}": shape for name, shape in attention.items()}
        shapes |= {f"{encoder}.feed_forward.{i}.weight": square for i in (0, 2)}
        shapes |= {f"{encoder}.feed_forward.{i}.bias": (width,) for i in (0, 2)}
        shapes |= {f"{encoder}.layer_norm{i}.{kind}": (width,) for i in (1, 2) for kind in ("weight", "bias")}
    shapes |= {"gated_attention.weight": (1, 2 * width), "gated_attention.bias": (1,)}
    return shapes | {"fc.weight": (2, width), "fc.bias": (2,)}


def weights(width: int, heads: int, batch: int, seed: int) -> dict[str, dict[str, torch.Tensor]]:
    """Of the three published modules. Those of teacher and student are drawn apart."""
    t_net = {f"{layer}.weight": shape for layer, shape in T_NET_LAYERS.items()}
    t_net |= {f"{layer}.bias": shape[:1] for layer, shape in T_NET_LAYERS.items()}
    fusion = fusion_shapes(width)
    seeds = {"student": (fusion, 10 * seed), "teacher": (fusion, 10 * seed + 1), "t_net": (t_net, 10 * seed + 2)}
    return {name: formula_weights(shapes, own) for name, (shapes, own) in seeds.items()}


def vectors(width: int, heads: int, batch: int, seed: int) -> dict[str, torch.Tensor]:
    """v and p of each clip, which share a direction with its class, and the classes."""
    draw = np.random.Generator(np.random.PCG64([seed, batch]))
    labels = draw.integers(0, 2, batch)
    classes = draw.standard_normal((2, 2, width))
    v, p = (draw.standard_normal((batch, width)) + direction[labels] for direction in classes)
    streams = {m: torch.from_numpy(x).float() for m, x in (("vision", v), ("audio", p))}
    return streams | {"labels": torch.from_numpy(labels)}
