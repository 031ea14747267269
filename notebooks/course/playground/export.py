"""Trains the bodies of three toy models and stores what the playground needs: python -m course.playground.export

From notebooks/; about two minutes on one core. The bodies learn from other clips than those of the playground.
"""

from __future__ import annotations

import json
from typing import Any

import torch

from course.playground.store import FILE, RELIABILITY, TRAIN, VALID, WIDTH, fresh_parts, packed
from dmdlite.components.streams import TimeMeans
from dmdlite.config import SPACES, DMDConfig, TrainingConfig
from dmdlite.data.features import FeatureSplit
from dmdlite.data.toy import ToyWorld, toy_world
from dmdlite.models.dmd import DMD
from dmdlite.models.registry import no_graphs
from dmdlite.training.loop import plain_loop, seed_everything

BODY_SEED, CLIP_SEED, CLIPS, EPOCHS = 1, 2, 1000, 12


def drawn(strongest: str, seed: int) -> ToyWorld:
    """A world without sarcasm: the modality planted as the strongest is also the better teacher."""
    return toy_world(CLIPS, seed, strongest=strongest, sarcasm=0.0, reliability=RELIABILITY[strongest])


def trained_body(strongest: str) -> DMD:
    """A small DMD that learned without distillation, and so prefers no direction."""
    config = DMDConfig.toy(
        width=WIDTH, heads=2, layers=1, minimum_memory_layers=1, loss_weights=no_graphs(*SPACES),
        common_branch="time_mean", margin_features="time_mean",
    ).without_dropout()  # fmt: skip
    seed_everything(0)
    body = DMD(config)
    plain_loop(body, drawn(strongest, BODY_SEED).splits, TrainingConfig(epochs=EPOCHS, padding_mask=True))
    return body.eval()


@torch.no_grad()
def features_of(body: DMD, split: FeatureSplit) -> dict[str, dict[str, torch.Tensor]]:
    """Of the first clips: the common features' time means, and Z^prt; each channel with mean 0 and spread 1."""
    batch = split.batch(range(TRAIN + VALID), mask=True, modalities=body.reads)
    out = body(**{name: x for name, x in batch.items() if name != "labels"})
    found = {"homogeneous": TimeMeans()(out.decoupled.common, out.masks), "heterogeneous": out.reinforced}
    scaled = lambda x: (x - x[:TRAIN].mean(dim=0)) / x[:TRAIN].std(dim=0).clamp_min(1e-6)
    return {space: {m: scaled(x) for m, x in vectors.items()} for space, vectors in found.items()}


def world_entry(strongest: str) -> dict[str, Any]:
    split = drawn(strongest, CLIP_SEED).splits["train"]
    found = features_of(trained_body(strongest), split)
    features = {space: {m: packed(x) for m, x in vectors.items()} for space, vectors in found.items()}
    return {"features": features, "labels": packed(split.labels[: TRAIN + VALID])}


def start_entry(space: str) -> dict[str, Any]:
    """Fresh heads and a fresh unit. A tenth of the last weights: before any lesson a head says about 0, the mean."""
    torch.manual_seed(0)
    weights = {name: x.detach() for name, x in fresh_parts(space).named_parameters()}
    return {name: packed(x * (0.1 if "regress" in name else 1.0)) for name, x in weights.items()}


def write() -> None:
    torch.set_num_threads(1)
    entry = {
        "worlds": {strongest: world_entry(strongest) for strongest in RELIABILITY},
        "start": {space: start_entry(space) for space in SPACES},
        "priors": {space: fresh_parts(space, prior=True)["unit"].prior.tolist() for space in SPACES},
    }
    FILE.write_text(json.dumps(entry, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
    print(f"wrote {FILE.name}: {FILE.stat().st_size / 1000:.0f} kB")
