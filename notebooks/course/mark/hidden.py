"""The hidden tests of the tasks in notebook 17, which only teachers have: the student's edition leaves this folder out.

A task's check in `course.checks` has `public=True` and tries one example; its test here has the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student_t
from torch import Tensor

from course.checks.drawing import Dice
from course.checks.marking import PUBLIC, SEEDS, exercise, expect, like, rule_out

NOTHING = float("nan")
Rows = list[dict[str, Any]]
Log = dict[str, dict[int, list[tuple[float, float]]]]  # model -> seed -> (validation, test error) of each epoch


def _lessons(scores: Tensor, logits: Tensor, present: Tensor, held: str = "teacher") -> Tensor:
    """By loops. held: whose logit gets no gradient."""
    total = scores.new_zeros(())
    for clip, there in enumerate(present):
        streams = there.nonzero().flatten().tolist()
        pairs = [(i, j) for i in streams for j in streams if i != j]
        if not pairs:
            continue
        weights = torch.stack([scores[clip, i, j] for i, j in pairs]).softmax(dim=0)
        teachers, students = (torch.stack([logits[clip, pair[side]] for pair in pairs]) for side in (0, 1))
        teachers = teachers.detach() if held == "teacher" else teachers
        students = students.detach() if held == "student" else students
        total = total + (weights * (students - teachers).abs()).sum()
    return total / len(logits)


def _clips(dice: Dice) -> tuple:
    """At least one clip has two streams. What is absent holds large numbers, or nan."""
    clips, n = dice.whole(1, 5), dice.whole(2, 6)
    scores, logits = dice.tensor(clips, n, n, scale=dice.pick([1.0, 3.0])), dice.tensor(clips, n)
    present = torch.from_numpy(dice.rng.random((clips, n)) < dice.pick([0.4, 0.8]))
    present[0, :2] = True
    with torch.no_grad():
        _spoil(scores, logits, present, dice.pick([1e4, NOTHING]))
    return scores, logits, present


def _spoil(scores: Tensor, logits: Tensor, present: Tensor, value: float) -> None:
    """Writes a value that means nothing wherever a stream is absent, and on the diagonal."""
    logits[~present] = value
    scores[~(present[:, :, None] & present[:, None, :])] = value
    scores.diagonal(dim1=1, dim2=2).fill_(value)


def _example(rows: list[str], scale: float = 1.0, value: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """A clip for each row, a stream for each letter: "1" is present, "0" absent."""
    present = torch.tensor([[letter == "1" for letter in row] for row in rows])
    dice = Dice(len(rows))
    scores, logits = dice.tensor(*present.shape, present.shape[1], scale=scale), dice.tensor(*present.shape)
    _spoil(scores, logits, present, value)
    return scores, logits, present


LESSONS = {
    "each clip has its own softmax, and the result is the mean over clips": _example(["1111", "1111"]),
    "it should work for two streams": _example(["11"]),
    "it should work for six streams": _example(["111111", "111111", "110110"]),
    "no stream teaches itself, whatever its score on the diagonal is": _example(["1111"], value=5.0),
    "clips may lack different streams": _example(["1110", "0111", "1001"]),
    "a clip with one stream has no lesson; it counts as 0 in the mean over all clips": _example(["1111", "0100"]),
    "a clip without any stream counts as 0 in the mean over all clips": _example(["1111", "0000"]),
    "with fewer than two streams in every clip the loss is 0": _example(["0100", "0000"]),
    "large numbers of an absent stream change the result": _example(["1101", "0111"], value=1e6),
    "an absent stream that holds nan changes the result": _example(["1101", "0111"], value=NOTHING),
    "large scores overflow": _example(["1111", "1110"], scale=200.0),
}


@exercise("17.1", returns="loss", draw=_clips, right=_lessons, gradient=True)
def lesson_loss(answer: Callable) -> None:
    """answer(scores, logits, present) -> (): the weighted lessons of a clip, averaged over clips."""
    for message, example in LESSONS.items():
        got, due = answer(*_copies(example)), float(_lessons(*example))
        expect(like(got, due, 1e-4 * max(1, abs(due))), f"{message}: expected {due:.3f}, got {float(got):.3f}")
    example = _example(["1110", "0111", "0100"], value=NOTHING)
    of_scores, of_logits = _gradients(answer, example)
    for name, gradient in (("scores", of_scores), ("logits", of_logits)):
        what = f"the loss is finite, but its gradient with respect to `{name}` is not"
        expect(gradient.isfinite().all(), what)
    expect(of_scores.any(), "no gradient reaches `scores`: the edges are learned, so do not detach them")
    mistakes = {
        "the value is right, but the teachers move, too: hold them fixed": "nobody",
        "the value is right, but the teachers move and the students are fixed": "student",
    }
    other = {
        text: _gradients(lambda *x, held=held: _lessons(*x, held=held), example)[1] for text, held in mistakes.items()
    }
    rule_out(of_logits, other)


def _copies(example: tuple[Tensor, ...]) -> list[Tensor]:
    return [x.clone() for x in example]


def _gradients(loss: Callable, example: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
    """With respect to scores and logits; zeros where none arrives."""
    scores, logits, present = _copies(example)
    inputs = scores.requires_grad_(), logits.requires_grad_()
    got = loss(*inputs, present)
    expect(got.requires_grad, "no gradient is left: no `.item()`, `float()` or `.detach()` on the way")
    found = torch.autograd.grad(got, inputs, allow_unused=True)
    return [torch.zeros_like(x) if gradient is None else gradient for gradient, x in zip(found, inputs, strict=True)]


def _rows(log: Log) -> Rows:
    return [
        {"model": model, "seed": seed, "epoch": epoch, "valid": valid, "test": test}
        for model, runs in log.items()
        for seed, epochs in runs.items()
        for epoch, (valid, test) in enumerate(epochs, start=1)
    ]


def _compared(runs: Rows, baseline: str, variant: str, control: str) -> dict[str, Any]:
    """One model and one seed at a time."""
    errors: dict[str, dict[int, float]] = {}
    for model in (baseline, variant, control):
        mine = [row for row in runs if row["model"] == model]
        best = {seed: min((r["valid"], r["epoch"]) for r in mine if r["seed"] == seed) for seed in _seeds(mine)}
        errors[model] = {row["seed"]: row["test"] for row in mine if (row["valid"], row["epoch"]) == best[row["seed"]]}
    common = sorted(set.intersection(*(set(found) for found in errors.values())))
    gaps = {model: np.array([found[s] - errors[baseline][s] for s in common]) for model, found in errors.items()}
    mean, n = float(gaps[variant].mean()), len(common)
    half = np.inf
    if n > 1:
        half = student_t.ppf(0.975, n - 1) * np.sqrt(((gaps[variant] - mean) ** 2).sum() / (n - 1) / n)
    largest = float(np.abs(gaps[control]).max())
    return {"seeds": n, "difference": mean, "low": mean - half, "high": mean + half, "control": largest}


def _seeds(rows: Rows) -> set[int]:
    return {row["seed"] for row in rows}


def _table(dice: Dice) -> tuple:
    """Runs in any order; validation errors with one decimal, so that there are ties; the first seed has all models."""
    models = [str(name) for name in dice.rng.permutation(["dmd", "ours", "again", "mult"])]
    seeds = [int(seed) for seed in dice.rng.choice(50, dice.whole(1, 6), replace=False)]
    log: Log = {}
    for model in models:
        kept = [seed for place, seed in enumerate(seeds) if place == 0 or dice.rng.random() < 0.85]
        log[model] = {seed: [_epoch(dice) for _ in range(dice.whole(1, 4))] for seed in kept}
    rows = _rows(log)
    return [rows[place] for place in dice.rng.permutation(len(rows))], *models[:3]


def _epoch(dice: Dice) -> tuple[float, float]:
    return round(float(dice.rng.random()), 1), float(dice.rng.random())


# What each of them shows if it goes wrong -> the runs; the first model is the baseline, then the variant, the control.
A, B, C = [(0.5, 0.61)], [(0.5, 0.58)], [(0.5, 0.65)]
LOGS: dict[str, Log] = {
    "the epoch is chosen by the lowest validation error, not by the test error, and it need not be the last": {
        "dmd": {0: [(0.7, 0.5), (0.5, 0.6), (0.6, 0.4)], 1: [(0.4, 0.7), (0.6, 0.5)]},
        "ours": {0: [(0.6, 0.3), (0.5, 0.7)], 1: [(0.5, 0.6), (0.7, 0.4)]},
        "unchanged": {0: [(0.7, 0.5), (0.5, 0.6), (0.6, 0.4)], 1: [(0.4, 0.7), (0.6, 0.5)]},
    },
    "of two epochs with the same validation error the earlier one counts": {
        "dmd": {0: [(0.5, 0.6), (0.5, 0.4)], 1: A},
        "ours": {0: B, 1: [(0.5, 0.7), (0.5, 0.9)]},
        "unchanged": {0: [(0.5, 0.6), (0.5, 0.4)], 1: A},
    },
    "pair runs by their seed; they need not come in the same order": {
        "dmd": {4: A, 9: B, 2: C},
        "ours": {2: A, 4: B, 9: A},
        "unchanged": {9: B, 2: C, 4: A},
    },
    "other models are in the table, too": {
        "dmd": {0: A, 1: B},
        "ours": {0: B, 1: B},
        "unchanged": {0: A, 1: B},
        "mult": {0: C, 1: C, 2: C},
    },
    "a seed counts only if all three models have it": {
        "dmd": {0: A, 1: B, 2: C},
        "ours": {0: B, 2: A, 3: B},
        "unchanged": {0: A, 1: B, 2: C, 3: A},
    },
    "a seed that only the control lacks does not count either": {
        "dmd": {0: A, 1: B, 2: C},
        "ours": {0: B, 1: A, 2: A},
        "unchanged": {0: A, 1: B},
    },
    "the control gives its largest difference, without its sign": {
        "dmd": {0: A, 1: C},
        "ours": {0: B, 1: B},
        "unchanged": {0: A, 1: B},
    },
    "with one seed the interval has no limits: low is -inf, high is inf": {
        "dmd": {0: A},
        "ours": {0: B},
        "unchanged": {0: A},
    },
}


@exercise("17.2", returns="dict", draw=_table, right=_compared)
def fair_comparison(answer: Callable) -> None:
    """answer(runs, baseline, variant, control) -> the paired difference, its interval, and what the control says."""
    for message, log in LOGS.items():
        got, due = (compared(_rows(log), "dmd", "ours", "unchanged") for compared in (answer, _compared))
        expect(set(got) == set(due), f"the dict should hold {', '.join(due)} and nothing else")
        for key, value in due.items():
            expect(like(got[key], value, 1e-5), f"{message} (`{key}`: expected {value:.3f}, got {float(got[key]):.3f})")


TESTS = {test.exercise: test for test in (lesson_loss, fair_comparison)}


def with_hidden_tests(check: Callable) -> Callable[..., tuple[str, str]]:
    """A check's `examine`; of a task, its public example and then its hidden tests."""

    def examine(answer: Any, seeds: Iterable[int] = SEEDS) -> tuple[str, str]:
        outcome, told = check.examine(answer, seeds)
        return TESTS[check.exercise].examine(answer, seeds) if outcome == PUBLIC else (outcome, told)

    return examine
