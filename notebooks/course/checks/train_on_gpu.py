"""Notebook 09."""

from __future__ import annotations

from collections.abc import Callable

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, summary_of


def _sizes(dice: Dice) -> tuple:
    return dice.whole(1, 400), dice.whole(1, 40), dice.whole(1, 12)


def _steps(clips: int, batch_size: int, accumulation: int) -> int:
    """By counting: a step after every `accumulation` batches and after the last one."""
    batches = range(0, clips, batch_size)
    return len(range(0, len(batches), accumulation))


def _curve(dice: Dice) -> tuple:
    """Errors with one decimal, so that some are equal."""
    return [dice.whole(1, 9) / 10 for _ in range(dice.whole(3, 9))], dice.whole(1, 4)


def _stop_and_best(errors: list[float], patience: int) -> tuple[int, int]:
    for end in range(1, len(errors) + 1):
        best = errors.index(min(errors[:end])) + 1
        if end - best >= patience:
            break
    return end, best


@exercise("9.1", returns="whole", draw=_sizes, right=_steps)
def steps_of_an_epoch(answer: Callable) -> None:
    """answer(clips, batch_size, accumulation) -> the number of optimizer steps in one epoch."""
    got = answer(1284, 16, 10)
    expect(got == int(got), f"steps are whole numbers, got {got} for CMU-MOSI: round up")
    expect(got != 81, "81 is the number of batches of CMU-MOSI; one step is taken for every 10 of them")
    expect(got != 8, "8 steps leave out the last, smaller group; here it counts (the published code drops it)")
    expect(got == 9, f"CMU-MOSI has 9 steps (81 batches in groups of 10), got {got}")
    cases = {(100, 32, 2): 2, (64, 32, 1): 2, (1, 16, 10): 1, (320, 16, 10): 2, (321, 16, 10): 3, (170, 16, 10): 2}
    for given, expected in cases.items():
        got = answer(*given)
        where = "{} clips, batches of {}, {} a step".format(*given)
        expect(got >= expected, f"{where}: {got} omits the smaller last batch or group; there are {expected}")
        expect(got == expected, f"{where}: expected {expected}, got {got}")


@exercise("9.2", returns="pair", draw=_curve, right=_stop_and_best)
def stop_and_best(answer: Callable) -> None:
    """answer(errors, patience) -> (the epoch after which training stops, the best epoch), counted from 1."""
    errors = [0.9, 0.7, 0.8, 0.7, 0.6]
    got = tuple(answer(errors, 2))
    expect(got != (3, 1), "epochs count from 1 here, not from 0")
    expect(got != (2, 4), "first the epoch after which training stops, then the best one")
    expect(got != (5, 5), "training never sees the fifth epoch: after the fourth, two in a row were not better")
    expect(got != (4, 4), "of equal errors the first is the best: 0.7 comes first in epoch 2")
    expect(got != (5, 2), "training stops as soon as `patience` epochs in a row were not better, not one epoch later")
    expect(got == (4, 2), f"for {errors} and patience 2 expected (4, 2), got {got}")
    cases = [
        ([0.5, 0.4, 0.3], 10, (3, 3), "it never stops early here, so all three epochs are trained"),
        ([0.5, 0.6, 0.7], 10, (3, 1), "patience is not used up, and the best epoch is the first"),
        ([0.5, 0.5, 0.5], 10, (3, 1), "of equal errors the first is the best"),
        ([0.5, 0.6], 1, (2, 1), "patience 1 stops after the first epoch that is not better"),
        ([0.9, 0.5, 0.6, 0.4, 0.5, 0.6], 2, (6, 4), "the count starts again after every better epoch"),
        ([0.5, 0.6, 0.55, 0.58], 3, (4, 1), "better than the epoch before is not better than the best"),
    ]
    for errors, patience, expected, why in cases:
        got = tuple(answer(errors, patience))
        expect(got == expected, f"for {errors} and patience {patience} expected {expected}, got {got}: {why}")


summary = summary_of(__name__)
