"""Notebook 16."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of

RIGHT_EYE, LEFT_EYE, UPPER_LIP, LOWER_LIP = (33, 133), (263, 362), 13, 14


def _face(dice: Dice) -> tuple:
    return (100 * dice.array(468, 3),)


def _opening(points: np.ndarray) -> float:
    """Coordinate by coordinate."""
    (rx, ry), (lx, ly) = (
        [(points[a, axis] + points[b, axis]) / 2 for axis in (0, 1)] for a, b in (RIGHT_EYE, LEFT_EYE)
    )
    (ux, uy), (dx, dy) = points[UPPER_LIP, :2], points[LOWER_LIP, :2]
    return float(np.hypot(ux - dx, uy - dy) / np.hypot(rx - lx, ry - ly))


@exercise("16.1", returns="number", draw=_face, right=_opening)
def opening(answer: Callable) -> None:
    """answer(points) -> how far the lips are apart, in distances between the middles of the eyes."""
    chance = np.random.default_rng(0)
    points = chance.uniform(0, 300, (468, 3))
    for i, place in zip((*RIGHT_EYE, *LEFT_EYE), ((80, 100), (110, 104), (200, 98), (170, 102))):
        points[i, :2] = place
    points[UPPER_LIP], points[LOWER_LIP] = (136, 180, -20), (142, 198, -12)
    eyes = [points[list(eye), :2].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE)]
    unit = np.linalg.norm(eyes[0] - eyes[1])
    lips = points[LOWER_LIP] - points[UPPER_LIP]
    expected = np.linalg.norm(lips[:2]) / unit
    found = answer(points.copy())
    expect(np.ndim(found) == 0, f"one face has one opening; yours has shape {np.shape(found)}")
    outer = np.linalg.norm(points[33, :2] - points[263, :2])
    inner = np.linalg.norm(points[133, :2] - points[362, :2])
    mistakes = {
        "that is in pixels, and grows when the face comes nearer: divide by the distance between the eyes": expected
        * unit,
        "you divided by the distance of the outer corners; take the middle of each eye first": expected * unit / outer,
        "you divided by the distance of the inner corners; take the middle of each eye first": expected * unit / inner,
        "only y counts in yours, which is wrong as soon as the head is tilted: take the length of (x, y)": lips[1]
        / unit,
        "z counts in yours, too; it is the least certain coordinate, so leave it out": np.linalg.norm(lips) / unit,
        "that is upside down: divide the lips' distance by that of the eyes, not the other way round": 1 / expected,
    }
    deep = (points[list(RIGHT_EYE)].mean(axis=0), points[list(LEFT_EYE)].mean(axis=0))
    far = np.linalg.norm(deep[0] - deep[1])
    mistakes |= {
        "z counts in your distance of the eyes; use x and y only, there too": expected * unit / far,
        "z counts in both of your distances; use x and y only": np.linalg.norm(lips) / far,
    }
    rule_out(found, mistakes)
    expect(like(found, expected), f"in a small example it should be {expected:.3f}, got {float(found):.3f}")
    turned = points.copy()
    turned[:, :2] = 3 * points[:, :2] @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    expect(like(answer(turned), expected), "it changes when the head is tilted and comes nearer; it should not")


def _ratings(dice: Dice) -> tuple:
    """Three raters or more; some ratings are missing, but the first two clips have at least two each."""
    ratings = 2 * dice.array(dice.whole(4, 8), dice.whole(3, 5))
    ratings[2, 0] = ratings[3, 1:] = np.nan
    ratings[0, :2] = 1, 3
    return (ratings,)


def _alpha(ratings: np.ndarray) -> float:
    """Pair by pair."""
    clips = [[x for x in row if x == x] for row in ratings.tolist()]
    clips = [clip for clip in clips if len(clip) > 1]
    values = [x for clip in clips for x in clip]
    anyhow = sum((a - b) ** 2 for a in values for b in values) / (len(values) * (len(values) - 1))
    return 1 - _within([np.array(clip) for clip in clips]) / anyhow


@exercise("16.2", returns="number", draw=_ratings, right=_alpha)
def alpha(answer: Callable) -> None:
    """answer(ratings) -> Krippendorff's alpha for numbers; ratings: (clip, rater), NaN where there is none."""
    n = np.nan
    ratings = np.array([[1.0, 1, 2], [3, 2, n], [-1, 0, -1], [n, n, 2], [0, 2, 1]])
    kept = [row[~np.isnan(row)] for row in ratings if (~np.isnan(row)).sum() > 1]
    values = np.concatenate(kept)
    within, anyhow = _within(kept), 2 * np.var(values, ddof=1)
    everything = 2 * np.var(ratings[~np.isnan(ratings)], ddof=1)
    found = answer(ratings.copy())
    expect(not np.isnan(found), "that is NaN: leave out the missing ratings of each clip")
    unweighted = float(np.mean([2 * np.var(clip, ddof=1) for clip in kept]))
    biased = sum(len(clip) * 2 * np.var(clip) for clip in kept) / len(values)
    mistakes = {
        "that is the disagreement, D_o / D_e; alpha is 1 minus it": within / anyhow,
        "the fourth clip has one rating and counts in your D_e; leave it out: there is no second one to agree with": 1
        - within / everything,
        "every clip counts the same in your D_o; weight each by its number of ratings": 1 - unweighted / anyhow,
        "your variances divide by n; for pairs of two different ratings it has to be n − 1 (`ddof=1`)": 1
        - biased / (2 * np.var(values)),
        "the variances of the clips divide by n; divide by n − 1 (`ddof=1`)": 1 - biased / anyhow,
    }
    rule_out(found, mistakes)
    expect(like(found, 1 - within / anyhow), f"in a small example alpha is {1 - within / anyhow:.3f}, got {found:.3f}")
    same = np.array([[1.0, 1, 1], [2, 2, 2]])
    expect(like(answer(same), 1.0), f"when all agree, alpha is 1, got {answer(same)}")
    published = np.array([
        [1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
        [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n],
    ]).T  # fmt: skip
    value = answer(published)
    expect(
        like(value, 0.849, 5e-4), f"right here, but on Krippendorff's own example it is 0.849, and yours {value:.3f}"
    )


def _within(clips: list[np.ndarray]) -> float:
    """The mean squared difference of two ratings of one clip, pair by pair; a clip counts by its ratings."""
    total = 0.0
    for clip in clips:
        total += sum((a - b) ** 2 for a in clip for b in clip) / (len(clip) - 1)
    return total / sum(map(len, clips))


@exercise("16.3")
def leave_one_out(answer: Callable) -> None:
    """answer(students) -> for each student, in order, (train, test): indices of the others' clips and of their own."""
    students = np.array([2, 0, 1, 0, 2, 2])
    folds = answer(students.copy())
    expect(not isinstance(folds, dict), "that is a dict; return a list of pairs of index arrays")
    folds = list(folds)
    expect(len(folds) != len(students), "you leave out one clip at a time; leave out a student, with all their clips")
    expect(len(folds) == 3, f"three students make three folds, got {len(folds)}")
    for who, fold in enumerate(folds):
        expect(len(fold) == 2, "a fold is a pair: (train, test)")
        flat = all(np.ndim(part) == 1 for part in fold)
        expect(
            flat, "each part of a pair is an array of indices; `np.where` returns a tuple, `np.flatnonzero` an array"
        )
        train, test = map(np.asarray, fold)
        expect(train.dtype != bool and test.dtype != bool, "those are masks; return indices (`np.flatnonzero`)")
        expect(not set(train) & set(test), "a clip is in train and in test")
        expect(set(train) | set(test) == set(range(6)), "every clip belongs to train or to test")
        swapped = len(set(students[train])) == 1 and len(set(students[test])) > 1
        expect(not swapped, "train and test are swapped: the student who is left out is the test")
        left_out = set(students[test].tolist())
        expect(len(left_out) == 1, f"fold {who} tests on students {sorted(left_out)}; it should be just one")
        expect(left_out == {who}, f"fold {who} tests on student {left_out.pop()}; go through them in their order")
    names = np.array(["zoe", "ali", "zoe"])
    first = list(answer(names))[0]
    expect(list(np.asarray(first[1])) == [1], "right for numbers; names are students, too: take `np.unique(students)`")


summary = summary_of(__name__)
