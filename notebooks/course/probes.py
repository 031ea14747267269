"""What can be read from a part of a model, measured against the truth of the toy world."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from jaxtyping import Float

from dmdlite.components.decoupling import Decoupled
from dmdlite.components.streams import TimeMeans
from dmdlite.config import MODALITIES
from dmdlite.data.features import FeatureSplit
from dmdlite.data.toy import ToyWorld
from dmdlite.models.dmd import DMD

PARTS = ("projected", "common", "private")
FACTORS = {  # modality -> the sentiment as it shows it, and a factor that is private to it
    "language": ("language_view", "topic"),
    "vision": ("vision_view", "head_yaw"),
    "audio": ("audio_view", "voice_pitch"),
}
# Turns two planes of four channels by a right angle: invertible, and the cosine of x and its image is 0 for every x.
QUARTER_TURN = torch.tensor([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]])
Means = dict[tuple[str, str], Float[np.ndarray, "clip width"]]  # (modality, part) -> the mean over each clip's time


@torch.no_grad()
def decoupled_parts(model: DMD, split: FeatureSplit) -> Decoupled:
    """Every clip of a split after the decoupling, without dropout; nothing behind it is computed.

    In double precision, so that a probe can read what an encoder has made very small, but no rounding noise.
    """
    was_training = model.training
    model.eval()
    batch = split.batch(range(len(split)))
    streams = model.read(*(batch[m] for m in MODALITIES), None)
    temporal, decouple = deepcopy((model.temporal, model.decouple))
    parts = decouple.double()({m: temporal[m].double()(x.double()) for m, x in streams.items()})
    model.train(was_training)
    return parts


def time_means(model: DMD, split: FeatureSplit) -> Means:
    """X̃_m, X^com_m and X^prt_m of every clip, each averaged over its real time steps."""
    parts, real = decoupled_parts(model, split), split.batch(range(len(split)), mask=True)["mask"]
    masks = {m: model.temporal[m].kept_mask(real[m]) for m in MODALITIES}
    means = {part: TimeMeans()(getattr(parts, part), masks) for part in PARTS}
    return {(m, part): means[part][m].numpy() for part in PARTS for m in MODALITIES}


def linear_probe(
    train_features: Float[np.ndarray, "train width"],
    train_truth: Float[np.ndarray, "train *_"],
    test_features: Float[np.ndarray, "test width"],
    test_truth: Float[np.ndarray, "test *_"],
) -> float:
    """R² on the test clips of the linear map from features to truth that fits the training clips best.

    1: read without error; 0: no better than predicting the mean; below 0: worse. Several columns share one R².
    """
    with_constant = [np.column_stack([x, np.ones(len(x))]) for x in (train_features, test_features)]
    line = np.linalg.lstsq(with_constant[0], train_truth, rcond=1e-10)[0]
    missed = np.square(with_constant[1] @ line - test_truth).sum()
    return float(1 - missed / np.square(test_truth - test_truth.mean(axis=0)).sum())


def hidden_factor(world: ToyWorld, split: str, name: str) -> Float[np.ndarray, "clip column"]:
    """A factor of the toy world as columns for a linear fit; a topic, one of eight, is eight columns of 0 and 1."""
    values = world.truth[split][name]
    return np.eye(len(world.topics))[values] if name == "topic" else values[:, None].astype(float)


def read_factors(model: DMD, world: ToyWorld) -> dict[str, dict[str, float]]:
    """part -> factor -> R² of a linear probe from the part's time mean in the factor's own modality; see FACTORS."""
    means = {split: time_means(model, world.splits[split]) for split in ("train", "test")}

    def read(m: str, part: str, factor: str) -> float:
        truth = {split: hidden_factor(world, split, factor) for split in means}
        return linear_probe(means["train"][m, part], truth["train"], means["test"][m, part], truth["test"])

    return {part: {factor: read(m, part, factor) for m in MODALITIES for factor in FACTORS[m]} for part in PARTS}
