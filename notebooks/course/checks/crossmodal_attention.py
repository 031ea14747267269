"""Notebook 07."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from course.checks.drawing import Dice
from course.checks.marking import exercise, expect, like, rule_out, summary_of


def _questions(dice: Dice) -> tuple:
    width = dice.whole(1, 6)
    return dice.tensor(dice.whole(1, 5), width), dice.tensor(dice.whole(2, 6), width)


def _attention_weights(questions: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    exponentials = torch.exp((questions[:, None] * keys).sum(dim=2) / math.sqrt(keys.shape[1]))
    return exponentials / exponentials.sum(dim=1, keepdim=True)


def _sizes(dice: Dice) -> tuple:
    return dice.whole(1, 7), dice.whole(1, 7)


def _may_look(targets: int, sources: int) -> torch.Tensor:
    ahead = max(sources, targets) - min(sources, targets)
    return torch.tensor([[source <= target + ahead for source in range(sources)] for target in range(targets)])


def _map(dice: Dice) -> tuple:
    """Every row counts at least one step."""
    size = dice.whole(1, 5), dice.whole(2, 6)
    counted = dice.positive(*size) < 0.6
    counted[torch.arange(size[0]), torch.tensor([dice.whole(0, size[1] - 1) for _ in range(size[0])])] = True
    return dice.tensor(*size).softmax(dim=1), counted


def _in_fair_shares(weights: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    rows = []
    for row, counts in zip(weights, counted, strict=True):
        even = row[counts].sum() / counts.sum()
        rows.append(torch.where(counts, row / even, torch.zeros(())))
    return torch.stack(rows)


def _clip(dice: Dice) -> tuple:
    """Every target step sees at least one source step; widths of questions and values differ."""
    targets, sources, width = dice.whole(2, 5), dice.whole(2, 6), dice.whole(2, 6)
    visible = dice.positive(targets, sources) < 0.6
    visible[torch.arange(targets), torch.tensor([dice.whole(0, sources - 1) for _ in range(targets)])] = True
    questions, keys = dice.tensor(targets, width), dice.tensor(sources, width)
    return questions, keys, dice.tensor(sources, dice.whole(1, 4)), visible


def _mended(questions: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    scores = (questions[:, None] * keys).sum(dim=2) / math.sqrt(keys.shape[1])
    exponentials = torch.exp(scores) * visible
    return exponentials @ values / exponentials.sum(dim=1, keepdim=True)


@exercise("7.1", returns="tensor", draw=_questions, right=_attention_weights, gradient=True)
def attention_weights(answer: Callable) -> None:
    """answer(questions, keys) -> softmax(Q Kᵀ / √d), (target, source)."""
    questions = torch.tensor([[2.0, 0.0, 1.0, -1.0], [0.5, 1.0, -2.0, 0.0]])
    keys = torch.tensor([[1.0, 0.0, 2.0, 0.0], [0.0, -1.0, 1.0, 1.0], [2.0, 1.0, 0.0, -1.0]])
    scores = questions @ keys.T
    weights = torch.as_tensor(answer(questions, keys)).float()
    expect(
        tuple(weights.shape) == (2, 3),
        f"2 questions and 3 keys give a map of shape (2, 3), one row for each question, got {tuple(weights.shape)}",
    )
    mistakes = {
        "the scores are not divided by √d, which is √4 here": scores,
        "the scores are divided by d; Eq. (10) divides by √d": scores / 4,
        "d is the width of a question, 4 here, not the number of source steps": scores / 3**0.5,
        "the scores are multiplied by √d; Eq. (10) divides by it": scores * 2,
        "the scores are divided by √2; d is the width of a question, 4 here, not the number of questions": (
            scores / 2**0.5
        ),
    }
    late = "divide the scores by √d before the softmax, not its result after it"
    rule_out(weights, {late: scores.softmax(dim=1) / 2})
    rule_out(weights, {message: mistake.softmax(dim=1) for message, mistake in mistakes.items()})
    for scale in (1, 2, 4):
        across = (scores / scale).softmax(dim=0)
        rule_out(weights, {"columns sum to 1: that softmax runs over the targets, not over the sources": across})
    sums = weights.sum(dim=1)
    expect(
        like(sums, torch.ones(2), 1e-4),
        f"every row should sum to 1, these sum to {[round(x, 2) for x in sums.tolist()]}; is there a softmax?",
    )
    expect((weights > 0).all(), "a softmax gives positive numbers only; dividing by the sum is not a softmax")
    expected = (scores / 2).softmax(dim=1)
    expect(
        like(weights, expected),
        f"the first row should be {[round(x, 3) for x in expected[0].tolist()]}, "
        f"got {[round(x, 3) for x in weights[0].tolist()]}",
    )


@exercise("7.2", returns="mask", draw=_sizes, right=_may_look)
def may_look(answer: Callable) -> None:
    """answer(targets, sources) -> (target, source) bool, True where a target step sees a source step, as published."""
    for targets, sources in ((4, 6), (6, 4), (4, 4), (2, 3)):
        t, s = torch.arange(targets)[:, None], torch.arange(sources)
        seen, here = torch.as_tensor(answer(targets, sources)), f"with {targets} target and {sources} source steps"
        expect(
            tuple(seen.shape) == (targets, sources),
            f"{here} the shape should be ({targets}, {sources}), got {tuple(seen.shape)}",
        )
        expect(seen.dtype == torch.bool, f"return True where a step may look; these are {seen.dtype}, not bool")
        ahead = abs(sources - targets)
        expected, late = s <= t + ahead, t + sources - targets
        mistakes = {
            "True and False are swapped: True is where a step may look": s > t + ahead,
            "the offset is missing: step t sees up to t + |T_source − T_target|": s <= t,
            "the offset has no absolute value, so with more targets than sources it is negative": s <= late,
            "one step too far: the last visible step is t + |T_source − T_target| itself": s <= t + ahead + 1,
            "one step too few: the last visible step, t + |T_source − T_target|, is still visible": s < t + ahead,
            "nothing is hidden; late source steps should be hidden from early target steps": s >= 0 * t,
        }
        other = {f"{here}: {message}": x for message, x in mistakes.items() if not torch.equal(x, expected)}
        rule_out(seen, other)
        wrong = (seen != expected).nonzero()
        expect(not len(wrong), f"{here}: entry {tuple(wrong[0].tolist()) if len(wrong) else ()} is wrong")


@exercise("7.3", returns="tensor", draw=_clip, right=_mended, gradient=True)
def mended_attention(answer: Callable) -> None:
    """answer(questions, keys, values, visible) -> softmax over the visible source steps, times the values."""
    questions = torch.tensor([[2.0, 0.0, 1.0, -1.0], [0.5, 1.0, -2.0, 0.0], [1.0, 1.0, 0.0, 2.0]])
    keys = torch.tensor([[1.0, 0.0, 2.0, 0.0], [0.0, -1.0, 1.0, 1.0], [2.0, 1.0, 0.0, -1.0], [1.0, 0.0, 0.0, 1.0]])
    values = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0], [3.0, -2.0]])
    visible = torch.tensor([[True, True, False, False], [True, False, True, False], [True, True, True, True]])
    scores = questions @ keys.T / 2
    got, expected = torch.as_tensor(answer(questions, keys, values, visible)), _mended(questions, keys, values, visible)
    maps = {
        "the bug is still there: the softmax gives hidden steps a share, and the mask only throws it away": (
            scores.softmax(dim=1) * visible
        ),
        "nothing is hidden: each step still looks at all source steps": scores.softmax(dim=1),
        "a score of 0 hides nothing, since e⁰ = 1: a hidden score has to be −∞": (scores * visible).softmax(dim=1),
        "adding the mask to the scores hides nothing: a hidden score has to be −∞": (scores + visible).softmax(dim=1),
        "the softmax runs over the targets: its axis was right, `dim=1`, the sources": (
            scores.masked_fill(~visible, -1e9).softmax(dim=0)
        ),
        "the scores were divided by √d before, and that was right": (
            (2 * scores).masked_fill(~visible, -torch.inf).softmax(dim=1)
        ),
        "hidden and visible are exchanged: `visible` is True where a step may look": (
            scores.masked_fill(visible, -1e9).softmax(dim=1)
        ),
        "rescale each row to a sum of 1, not the map as a whole": (
            3 * scores.softmax(dim=1) * visible / (scores.softmax(dim=1) * visible).sum()
        ),
    }
    _about_the_shape(got, maps, expected)
    rule_out(got, {message: weights @ values for message, weights in maps.items()})
    other = torch.where(torch.tensor([False, False, False, True])[:, None], 100.0, values)  # hidden from steps 1 and 2
    leaks = not like(torch.as_tensor(answer(questions, keys, other, visible))[:2], got[:2], 1e-3)
    expect(not leaks, "a hidden step still has an effect: change its value, and your answers change")
    row = [round(x, 2) for x in expected[0].tolist()]
    expect(like(got, expected, 1e-4), f"the first answer should be {row}, got {[round(x, 2) for x in got[0].tolist()]}")


def _about_the_shape(got: torch.Tensor, maps: Mapping[str, torch.Tensor], expected: torch.Tensor) -> None:
    """A map in place of answers, another shape, and what is not a number."""
    weights = "that is the map; return the answers, the map times the values"
    expect(tuple(got.shape) != tuple(next(iter(maps.values())).shape), weights)
    shape = tuple(expected.shape)
    expect(tuple(got.shape) == shape, f"3 questions and values of width 2 give shape {shape}, got {tuple(got.shape)}")
    why = "a row of −∞ alone has no softmax (is the mask the wrong way round?), and −∞ times 0 is no number, either"
    expect(got.isfinite().all(), f"some answers are not numbers: {why}")


@exercise("7.4", returns="tensor", draw=_map, right=_in_fair_shares)
def in_fair_shares(answer: Callable) -> None:
    """answer(weights, counted) -> attention in units of an even spread over the steps that count."""
    weights = torch.tensor([[0.1, 0.5, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25]])
    counted = torch.tensor([[True, True, False, False], [True, True, True, False]])
    shares = torch.as_tensor(answer(weights.clone(), counted.clone())).float()
    expect(tuple(shares.shape) == (2, 4), f"the shape should stay (2, 4), got {tuple(shares.shape)}")
    why = "some entries are 0/0, not numbers: rescale each row (`dim=1`); a column may hold no step that counts"
    expect(not shares.isnan().any(), why)
    kept, count = weights * counted, counted.sum(dim=1, keepdim=True)
    part = kept / kept.sum(dim=1, keepdim=True)
    mistakes = {
        "these are shares of the whole, which sum to 1; multiply by the number of steps that count": part,
        "the padding still counts: a fair share is one part in 2 in the first row, not in 4": 4 * weights,
        "the padding was removed, but the rest of each row was not rescaled to a sum of 1": count * kept,
        "multiply by the number of steps that count in this row, not by the number of all steps": 4 * part,
        "rescale each row to a sum of 1, not the map as a whole": kept / kept.sum() * counted.sum(),
        "a fair share of n steps is 1/n: divide by it, do not multiply": part / count,
    }
    rule_out(shares, mistakes)
    expect(like(shares * ~counted, torch.zeros(2, 4)), "steps that do not count must get 0")
    for row, expected in enumerate((part * count).tolist()):
        expect(
            like(shares[row], expected),
            f"row {row} should be {[round(x, 2) for x in expected]}, got {[round(x, 2) for x in shares[row].tolist()]}",
        )


summary = summary_of(__name__)
