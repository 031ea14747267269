"""Notebook 10."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of


def _neighbours(dice: Dice) -> tuple:
    clips, width = dice.whole(4, 9), dice.whole(1, 4)
    features = dice.array(clips, width) * dice.array(width)
    return features, dice.array(clips), dice.array(width), dice.whole(1, clips - 1)


def _nearest_average(features: np.ndarray, labels: np.ndarray, point: np.ndarray, k: int) -> float:
    far = [sum((a - b) ** 2 for a, b in zip(clip, point, strict=True)) for clip in features.tolist()]
    return sum(label for _, label in sorted(zip(far, labels.tolist(), strict=True))[:k]) / k


def _streams(dice: Dice) -> tuple:
    clips = dice.whole(2, 5)
    features = {m: dice.array(clips, dice.whole(1, 4), dice.whole(1, 3)) for m in ("language", "vision", "audio")}
    name = dice.pick(list(features))
    return features, name, dice.array(*features[name].shape[1:])


def _hide(features: dict, name: str, stand_in: np.ndarray) -> dict:
    return {m: np.stack([stand_in] * len(x)) if m == name else x for m, x in features.items()}


@exercise("10.2", returns="number", draw=_neighbours, right=_nearest_average)
def nearest_average(answer: Callable) -> None:
    """answer(features, labels, point, k) -> the mean label of the k clips whose features are nearest to the point."""
    features = np.array([[0.0, 0.0], [1.0, 1.0], [4.0, 0.0], [0.0, 5.0], [-1.5, 0.0]])
    labels, point = np.array([-3.0, 1.0, 2.0, 3.0, -0.4]), np.array([0.2, 0.1])
    distances = np.linalg.norm(features - point, axis=1)  # 0.22, 1.20, 3.80, 4.90, 1.70
    value = float(answer(features, labels, point, 3))
    mistakes = {
        "that is one clip's label alone: take the mean of the k nearest, one distance per row (axis=1)": labels[0],
        "that is their sum: take the mean": labels[[0, 1, 4]].sum(),
        "that is one label in the middle: take the mean over the k nearest": labels[4],
        "those are the k farthest: the smallest distances come first in a sort": labels[[3, 2, 4]].mean(),
        "that is the mean of all labels: only the k nearest clips count": labels.mean(),
        "those are the first k clips: sort them by their distance to the point first": labels[:3].mean(),
        "that is a mean of indices: look up the labels at these indices": np.mean([0, 1, 4]),
        "that is a mean distance: average the labels of the nearest clips": distances[[0, 1, 4]].mean(),
    }
    rule_out(value, mistakes)
    signed = float(answer(np.array([[-9.0], [1.0], [2.0]]), np.array([3.0, -1.0, -2.0]), np.array([0.0]), 2))
    expect(like(signed, -1.5), "a clip far on the negative side counts as near: a distance has no sign")
    wide = np.array([[0.0, 9.0], [1.0, 1.0], [9.0, 0.0]])
    columns = float(answer(wide, np.array([3.0, -2.0, 3.0]), np.zeros(2), 1))
    rule_out(columns, {"one column alone decides which clip is near: the distance runs over all columns": 3.0})
    corner = float(answer(np.array([[3.0, 3.0], [0.0, 5.0]]), np.array([1.0, 2.0]), np.zeros(2), 1))
    rule_out(corner, {"that distance adds up the differences; the Euclidean one adds up their squares": 2.0})
    expect(like(value, -0.8), f"expected −0.8 for a small example, got {value:.4f}")
    expect(like(columns, -2.0), f"expected −2.0 for k = 1 in a second example, got {columns:.4f}")


@exercise("10.1", returns="dict", draw=_streams, right=_hide)
def hide(answer: Callable) -> None:
    """answer(features, name, stand_in) -> the features with every clip of one stream replaced by the stand-in."""
    rng = np.random.default_rng(0)
    sizes = {"language": (4, 3, 2), "vision": (4, 5, 3), "audio": (4, 6, 1)}
    for name in sizes:
        features = {m: rng.standard_normal(size).astype(np.float32) for m, size in sizes.items()}
        before = {m: x.copy() for m, x in features.items()}
        stand_in = rng.standard_normal(sizes[name][1:]).astype(np.float32)
        hidden = answer(features, name, stand_in)
        expect(set(hidden) == set(sizes), f"all three streams must come back, got {sorted(hidden)}")
        _check_stream(np.asarray(hidden[name]), before[name], stand_in, name)
        for m in (m for m in sizes if m != name):
            expect(np.array_equal(hidden[m], before[m]), f"only {name!r} should be hidden, but {m!r} changed too")


def _check_stream(stream: np.ndarray, before: np.ndarray, stand_in: np.ndarray, name: str) -> None:
    expect(
        stream.shape == before.shape,
        f"{name!r} should have shape {before.shape}, got {stream.shape}: the stand-in is one clip, repeat it for each",
    )
    expect(not (stream == 0).all(), "these are zeros; the stream should be replaced by the stand-in")
    expect(
        not np.allclose(stream - stand_in, before, atol=1e-5), f"{name!r} is added to the stand-in: replace it instead"
    )
    expect(np.array_equal(stream[0], stand_in), f"clip 0 of {name!r} is not the stand-in")
    expect((stream == stand_in).all(), f"only some clips of {name!r} are the stand-in; every clip should be")


summary = summary_of(__name__)
