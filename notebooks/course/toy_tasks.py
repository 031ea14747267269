"""Other questions about the clips of a toy world: valence and arousal, ordered levels, and what is being reviewed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from dmdlite.data.features import FeatureSplit
from dmdlite.data.toy import ToyWorld

Splits = dict[str, FeatureSplit]


def valence_and_arousal(world: ToyWorld) -> Splits:
    """Two numbers for each clip, both from −3 to 3: the sentiment, and how stirred the speaker is.

    Arousal is the mean of the pace, from slowest to fastest, and of the strength of the sentiment, from none to ±3. So
    valence is mostly in the words, arousal in the voice too.
    """

    def labels(name: str, split: FeatureSplit) -> Float[np.ndarray, "clip 2"]:
        pace = (world.truth[name]["speaking_rate"] - 0.8) / 0.45  # drawn from 0.8 to 1.25
        strength = np.abs(split.labels) / 3
        return np.stack([split.labels, 3 * (pace + strength) - 3], axis=1).astype(np.float32)

    return {name: replace(split, labels=labels(name, split)) for name, split in world.splits.items()}


def sentiment_levels(splits: Splits, levels: int) -> Splits:
    """Ordered classes: the range of sentiment from −3 to 3 cut into equal parts, 0 the most negative."""

    def level(split: FeatureSplit) -> np.ndarray:
        return np.minimum((split.labels.astype(np.float64) + 3) * levels / 6, levels - 1).astype(np.int64)

    return {name: replace(split, classes=level(split)) for name, split in splits.items()}


def reviewed_topics(world: ToyWorld) -> Splits:
    """Classes without an order: which of `world.topics` the clip is about. Only the words say."""
    topics = {name: world.truth[name]["topic"].astype(np.int64) for name in world.splits}
    return {name: replace(split, classes=topics[name]) for name, split in world.splits.items()}
