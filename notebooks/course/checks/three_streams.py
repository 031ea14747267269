"""Notebook 01."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, summary_of


def _lengths(dice: Dice) -> tuple:
    steps = dice.whole(2, 7)
    return torch.tensor([dice.whole(1, steps) for _ in range(dice.whole(1, 5))]), steps


def _length_mask(lengths: torch.Tensor, steps: int) -> torch.Tensor:
    return torch.tensor([[step < length for step in range(steps)] for length in lengths.tolist()])


def _words(dice: Dice) -> tuple:
    """Two to five words with gaps; some begin or end exactly at a frame, and some are too short for one."""
    frames = dice.array(dice.whole(6, 12), dice.whole(1, 3))
    seconds = 0.25 * np.arange(len(frames)) + 0.125
    edges = np.sort(dice.rng.choice(0.0625 * np.arange(1, 4 * len(frames)), 2 * dice.whole(2, 5), replace=False))
    return frames, seconds, edges[::2], edges[1::2]


def _frames_to_words(frames: np.ndarray, seconds: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    words = []
    for start, end in zip(starts, ends, strict=True):
        inside = [frame for frame, second in zip(frames, seconds, strict=True) if start <= second < end]
        words.append(sum(inside) / len(inside) if inside else np.zeros(frames.shape[1]))
    return np.array(words)


@exercise("1.1", returns="mask", draw=_lengths, right=_length_mask)
def length_mask(answer: Callable) -> None:
    """answer(lengths, steps) -> (clip, step) bool, True at the first `lengths[clip]` steps."""
    lengths, steps = torch.tensor([2, 4, 1]), 6
    mask = torch.as_tensor(answer(lengths, steps))
    right = torch.tensor([[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0]]).bool()
    expect(tuple(mask.shape) != (6, 3), "clips are rows and steps are columns: yours is transposed")
    expect(tuple(mask.shape) != (3, 4), "the longest clip has 4 real steps, but the stream has 6: the mask needs all 6")
    expect(tuple(mask.shape) == (3, 6), f"for 3 clips and 6 steps the shape should be (3, 6), got {tuple(mask.shape)}")
    expect(mask.dtype == torch.bool, f"a mask is made of True and False, so its dtype is torch.bool, not {mask.dtype}")
    expect(not torch.equal(mask, ~right), "yours is True at the padding; a mask is True at the real steps")
    expect(not torch.equal(mask, right.flip(1)), "the real steps are the first ones: padding comes at the end")
    counts = mask.sum(dim=1).tolist()
    expect(counts != [3, 5, 2], "one step too many: in a clip of length 2, steps 0 and 1 are real and step 2 is not")
    expect(
        torch.equal(mask, right),
        f"the lengths are [2, 4, 1], your rows have {counts} real steps, or have them in other places",
    )
    more = torch.as_tensor(answer(torch.tensor([5, 3]), 5))
    expect(
        tuple(more.shape) == (2, 5) and more.sum(dim=1).tolist() == [5, 3],
        "for the lengths [5, 3] and 5 steps the mask is wrong: it must depend only on its two arguments",
    )


@exercise("1.2", returns="array", draw=_words, right=_frames_to_words)
def frames_to_words(answer: Callable) -> None:
    """answer(frames, seconds, starts, ends) -> (word, width): the mean of the frames with start <= seconds < end."""
    seconds = np.array([0.125, 0.375, 0.5, 0.75, 0.875])
    frames = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [9.0, 90.0], [16.0, 160.0]])
    starts, ends = np.array([0.0, 0.5, 0.8]), np.array([0.5, 0.8, 0.85])
    words = np.asarray(answer(frames, seconds, starts, ends), dtype=float)
    expect(words.shape != (2, 3), "words are rows and channels are columns: yours is transposed")
    expect(words.shape == (3, 2), f"for 3 words and 2 channels the shape should be (3, 2), got {words.shape}")
    expect(np.isfinite(words[:2]).all(), "NaN in a word that has frames")
    expect(np.isfinite(words[2]).all(), "the last word has no frame, and a mean of nothing is NaN: return zeros there")
    first, second, empty = words[:, 0]
    expect(first not in (1, 2), "that is one frame of the word; its mean runs over every frame inside it")
    expect(abs(first - 3) > 1e-6, "that is the sum of a word's frames; the mean divides by how many there are")
    expect(abs(first - 0.6) > 1e-6, "you divide by the number of all frames; divide by the number inside the word")
    expect(
        abs(first - 7 / 3) > 1e-6,
        "a frame at the very end of a word belongs to the next one: let start <= seconds < end",
    )
    expect(abs(second - 9) > 1e-6, "a frame at the very start of a word belongs to it: let start <= seconds < end")
    expect(abs(empty) < 1e-6, f"the last word has no frame inside it: zeros expected, got {empty:.1f}")
    expect(
        np.allclose(words, [[1.5, 15.0], [6.5, 65.0], [0.0, 0.0]]),
        f"the first channel should be 1.5, 6.5 and 0 for three words, got {first:.2f}, {second:.2f} and {empty:.2f};"
        " compare `seconds` with `starts` and `ends`",
    )
    later = np.asarray(answer(frames[:, :1], seconds + 10, starts[:2] + 10, ends[:2] + 10), dtype=float)
    expect(
        later.shape == (2, 1) and np.allclose(later[:, 0], [1.5, 6.5]),
        "two words ten seconds later come out wrong: count in `seconds`, not in frame or word numbers",
    )


summary = summary_of(__name__)
