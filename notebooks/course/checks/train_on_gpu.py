"""Notebook 09."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of


def _sizes(dice: Dice) -> tuple:
    return dice.whole(1, 400), dice.whole(1, 40), dice.whole(1, 12)


def _steps(clips: int, batch_size: int, accumulation: int) -> int:
    """By counting: a step after every `accumulation` batches and after the last one."""
    batches = range(0, clips, batch_size)
    return len(range(0, len(batches), accumulation))


def _data(dice: Dice) -> tuple:
    width, clips = dice.whole(1, 3), dice.whole(2, 4)
    batches = [(dice.tensor(clips, width), dice.tensor(clips)) for _ in range(dice.whole(3, 7))]
    return dice.tensor(width), batches, dice.whole(1, 3), dice.pick([0.1, 0.3])


def _repaired(
    w: torch.Tensor, batches: list, accumulation: int, rate: float,
    leftover: bool = True, divided: bool = True, zeroed: bool = True,
) -> torch.Tensor:  # fmt: skip
    """The loop with the gradient written out; each of its three parts can be left out."""
    total = torch.zeros_like(w)
    for start in range(0, len(batches), accumulation):
        group = batches[start : start + accumulation]
        if len(group) < accumulation and not leftover:
            break
        gradients = [(torch.sign(x @ w - y) @ x) / len(y) for x, y in group]
        total = sum(gradients) / (len(group) if divided else 1) + (0 if zeroed else total)
        w = w - rate * total
    return w


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


@exercise("9.2", returns="tensor", draw=_data, right=_repaired)
def repaired(answer: Callable) -> None:
    """answer(w, batches, accumulation, rate) -> the weights after an epoch of gradient descent with accumulation."""
    dice = Dice(3)
    w, batches = dice.tensor(2), [(dice.tensor(4, 2), dice.tensor(4)) for _ in range(5)]
    got = answer(w, batches, 2, 0.1)
    expected = _repaired(w, batches, 2, 0.1)
    expect(tuple(got.shape) == (2,), f"return the weights, shape (2,) here, got {tuple(got.shape)}")
    bugs = {
        "leftover": "the last group, which may be smaller, is left out",
        "divided": "the gradients of a group are added up; their mean is due",
        "zeroed": "gradients of the group before are still there when the next one begins",
    }
    for number in range(7):
        missing = [bug for place, bug in enumerate(bugs) if not number >> place & 1]
        message = f"{len(missing)} of 3 bugs left. One of them: {bugs[missing[-1]]}"
        rule_out(got, {message: _repaired(w, batches, 2, 0.1, **dict.fromkeys(missing, False))})
    whole = [(torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches]))]
    short = _repaired(_repaired(w, batches[:4], 2, 0.1), batches[4:], 1, 0.05)
    mistakes = {
        "the weights have not moved": w,
        "there should be one step for each group, not one for the whole epoch": _repaired(w, whole, 1, 0.1),
        "there should be one step for each group, not one for each batch": _repaired(w, batches, 1, 0.1),
        "the last group has one batch, not two: divide by the number of batches in the group": short,
    }
    rule_out(got, mistakes)
    expect(like(got, expected), "not right yet for five batches, two for each step")


@exercise("9.3", returns="pair", draw=_curve, right=_stop_and_best)
def stop_and_best(answer: Callable) -> None:
    """answer(errors, patience) -> (the epoch after which training stops, the best epoch), counted from 1."""
    errors = [0.9, 0.7, 0.8, 0.7, 0.6]
    got = tuple(answer(errors, 2))
    expect(got != (3, 1), "epochs count from 1 here, not from 0")
    expect(got != (2, 4), "first the epoch after which training stops, then the best one")
    expect(got != (5, 5), "epoch 4 (0.7) only equals the best so far: epochs 3 and 4 are both no better")
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
