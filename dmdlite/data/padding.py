"""Which time steps of a stream are real: zeros may pad a clip behind or in front."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Num

Stream = Num[np.ndarray, "clip time width"]
# Of each clip: the first real step, and how many there are.
Extent = tuple[Int[np.ndarray, "clip"], Int[np.ndarray, "clip"]]


def occupied(x: Stream) -> Extent:
    """The first step of each clip that is not all zero, and the last; the time and -1 where all are."""
    steps = np.stack([clip.any(axis=1) for clip in x])  # clip by clip: a large array needs no second one of its size
    any_step = steps.any(axis=1)
    last = x.shape[1] - 1 - steps[:, ::-1].argmax(axis=1)
    return np.where(any_step, steps.argmax(axis=1), x.shape[1]), np.where(any_step, last, -1)


def found(x: Stream) -> Extent:
    """The extent that the zeros tell. The padding is in front if no clip has any behind."""
    (first, last), time = occupied(x), x.shape[1]
    spoken = last >= 0
    if (last[spoken] == time - 1).all() and (first[spoken] > 0).any():
        lengths = np.where(spoken, time - first, 1)
        return time - lengths, lengths
    return np.zeros_like(last), np.maximum(last + 1, 1)


def placed(x: Stream, lengths: Int[np.ndarray, "clip"]) -> Extent | None:
    """The extent of clips whose lengths are known; None if values lie outside of it on either side."""
    (first, last), in_front = occupied(x), x.shape[1] - lengths
    if (last < lengths).all():
        return np.zeros_like(lengths), lengths
    return (in_front, lengths) if (first >= in_front).all() else None


def stacked(clips: Sequence[Any]) -> tuple[Stream, Int[np.ndarray, "clip"]]:
    """Clips of different lengths, zeros behind them, and their lengths; NaN for one that is None, or all NaN.

    Raises ValueError if they are no (time, width) arrays of numbers of one width.
    """
    try:
        arrays = [None if clip is None else np.asarray(clip, np.float32) for clip in clips]
    except (ValueError, TypeError) as problem:
        raise ValueError("clips that are not all arrays of numbers, (time, width)") from problem
    shapes = {x.shape[1:] for x in arrays if x is not None}
    if len(shapes) != 1 or len(width := shapes.pop()) != 1:
        raise ValueError(f"clips of shapes {sorted({x.shape for x in arrays if x is not None})[:4]}, not (time, width)")
    absent = [x is None or bool(x.size and np.isnan(x).all()) for x in arrays]
    lengths = np.array([0 if missing else len(x) for x, missing in zip(arrays, absent)])
    padded = np.zeros((len(arrays), max(lengths.max(), 1), *width), np.float32)
    for row, x, missing in zip(padded, arrays, absent):
        row[: None if missing else len(x)] = np.nan if missing else x
    return padded, np.maximum(lengths, 1)
