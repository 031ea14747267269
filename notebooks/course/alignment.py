"""Bringing a stream of frames to the steps of the words, as the word-aligned files of CMU-MOSI and CMU-MOSEI are."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Seconds = Float[np.ndarray, "*clip word"]


def word_means(
    frames: Float[np.ndarray, "*clip time width"], seconds: Float[np.ndarray, "time"], starts: Seconds, ends: Seconds
) -> Float[np.ndarray, "*clip word width"]:
    """The mean of the frames in each word: those with start <= seconds < end. Zero where there is none.

    seconds: the middle of each frame; starts, ends: of each word. Frames between words are in no mean.
    """
    inside = (starts[..., None] <= seconds) & (seconds < ends[..., None])  # (*clip, word, time)
    return inside @ frames / np.maximum(inside.sum(axis=-1), 1)[..., None]
